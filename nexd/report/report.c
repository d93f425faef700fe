/* Which nexd: the one that listens on the control socket, as the kernel names it (SO_PEERCRED of a
 * connection: who called listen(2)), or --pid. */
#include "nexd/report/report.h"

#include "common/err.h"
#include "nexctl/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parent_find(const struct options *options, pid_t *pid, FILE *errors)
{
    if (options->report_pid) {
        *pid = (pid_t)options->report_pid;
        return NX_OK;
    }
    if (options->unix_socket[0] == '\0') {
        fprintf(errors, "nexd: no control socket is known, HOME is not set; --unix-socket PATH or --pid PID "
                        "says which nexd\n");
        return NX_ENOENT;
    }
    int err = rpc_server(options->unix_socket, pid);
    if (err)
        fprintf(errors,
                "nexd: no nexd answers at %s: %s; --unix-socket PATH (before the command) or --pid PID says "
                "which nexd\n",
                options->unix_socket, strerror(errno));
    return err;
}

/* Without a control socket, the rest of the report stands. */
static void landlock_ask(const struct options *options, pid_t parent, struct report *report)
{
    char error[RPC_ERROR_MAX], *answer = NULL;
    pid_t there = 0;
    if (rpc_server(options->unix_socket, &there) || there != parent) {
        snprintf(report->landlock_why, sizeof report->landlock_why,
                 "this nexd is not behind the control socket, and the kernel shows Landlock to nobody");
        return;
    }
    if (rpc_call(options->unix_socket, "SandboxReport", "", &answer, error))
        snprintf(report->landlock_why, sizeof report->landlock_why, "%.250s", error);
    else if (report_landlock_parse(answer, report))
        snprintf(report->landlock_why, sizeof report->landlock_why, "ctld's answer makes no sense");
    free(answer);
    for (size_t i = 0; i < REPORT_PROCESSES && !report->landlock_why[0]; i++)
        if (!report->processes[i].landlock_known)
            snprintf(report->landlock_why, sizeof report->landlock_why, "the process has not said it");
}

static void ignore(void *arg, const struct report_process *process, const char *what)
{
    (void)arg, (void)process, (void)what;
}

int report_run(const struct options *options, FILE *out, FILE *errors)
{
    static struct report report;
    pid_t parent;
    if (parent_find(options, &parent, errors))
        return EXIT_FAILURE;
    if (report_processes_find(parent, &report)) {
        fprintf(errors, "nexd: process %d is no nexd, or of another pid namespace\n", (int)parent);
        return EXIT_FAILURE;
    }
    landlock_ask(options, parent, &report);
    if (options->report_output == OPTIONS_REPORT_JSON)
        report_print_json(out, &report);
    else
        report_print_text(out, &report);
    return report_judge(&report, ignore, NULL) ? EXIT_FAILURE : EXIT_SUCCESS;
}
