/* What every process of nexd has in common, however it was started; the rest an operator judges. */
#include "nexd/report/report.h"

#include <string.h>

enum { FILTERS_LEAST = 2, SECCOMP_MODE_FILTERS = 2, LIMIT_PROCESSES = 1, LIMIT_CORE = 3 };

struct judge {
    report_complain_fn complain;
    void *arg;
    unsigned count;
};

static void check(struct judge *judge, const struct report_process *process, bool is_well, const char *what)
{
    if (is_well)
        return;
    judge->count++;
    judge->complain(judge->arg, process, what);
}

/* Not readable is no complaint. */
static bool is_zero(const char *limit)
{
    return limit[0] == '\0' || strcmp(limit, "0") == 0;
}

static void judge_process(struct judge *judge, const struct report_process *p, bool is_child)
{
    check(judge, p, p->no_new_privs == 1, "no_new_privs is not set");
    check(judge, p, p->seccomp_mode == SECCOMP_MODE_FILTERS, "no seccomp filter is in force");
    check(judge, p, p->seccomp_filters < 0 || p->seccomp_filters >= FILTERS_LEAST,
          "there are fewer seccomp filters than it installs");
    check(judge, p, p->dumpable != REPORT_YES, "other processes of this user may look into it");
    check(judge, p, p->capabilities[REPORT_CAP_INH] == 0 && p->capabilities[REPORT_CAP_AMB] == 0,
          "it could hand on capabilities");
    check(judge, p, is_zero(p->limits[LIMIT_CORE][1]), "it may leave a core file");
    check(judge, p, p->missing[0] == '\0', "it runs without a layer of its sandbox");
    check(judge, p, !p->landlock_known || p->landlock_abi > 0 || p->missing[0], "Landlock is not in force");
    if (!is_child)
        return;
    check(judge, p, p->capabilities[REPORT_CAP_PRM] == 0 && p->capabilities[REPORT_CAP_EFF] == 0,
          "it has capabilities");
    check(judge, p, is_zero(p->limits[LIMIT_PROCESSES][1]), "it may start processes");
}

unsigned report_judge(const struct report *report, report_complain_fn complain, void *arg)
{
    struct judge judge = {.complain = complain, .arg = arg};
    for (size_t i = 0; i < REPORT_PROCESSES; i++) {
        const struct report_process *process = &report->processes[i];
        check(&judge, process, process->found, "it does not run");
        if (process->found)
            judge_process(&judge, process, i > 0);
    }
    return judge.count;
}
