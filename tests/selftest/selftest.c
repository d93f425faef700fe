/* Forbidden acts, tried from inside a process that has just entered its sandbox.
 *
 * Linked only into *_selftest executables, whose sandbox_enter() ends with sandbox_selftest(). The
 * environment says what to do:
 *
 *     NEXD_SELFTEST_ACT   a name from calls.c or acts.c, or "list"; unset: nothing is done, the process goes
 * on as usual NEXD_SELFTEST_FDS   descriptors that the test has prepared: "REPORT,TCP,UDP,FILE": the pipe for
 * the outcome, and act_fds
 *
 * "begin" is written to REPORT, then the act is performed; a process that is still there writes "ok" or
 * "errno N" and ends. What should have come of it is the business of test_sandbox.py and expected.txt. */
#include "sandbox/layers.h"
#include "tests/selftest/acts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { EXIT_REPORT_BROKEN = 98, EXIT_WRONG_USE = 97, EXIT_UNKNOWN_ACT = 96 };

static int report_fd;

static _Noreturn void leave(int status)
{
    for (;;)
        syscall(SYS_exit_group, status);
}

static void say(const char *text)
{
    if (syscall(SYS_write, report_fd, text, strlen(text)) < 0)
        leave(EXIT_REPORT_BROKEN);
}

static void list(const char *(*name_at)(size_t index))
{
    const char *name;
    for (size_t i = 0; (name = name_at(i)); i++) {
        say(name);
        say("\n");
    }
}

void sandbox_selftest(void)
{
    const char *name = getenv("NEXD_SELFTEST_ACT"), *fds = getenv("NEXD_SELFTEST_FDS");
    long result = 0;
    if (!name)
        return;
    if (!fds || sscanf(fds, "%d,%d,%d,%d", &report_fd, &act_fds.tcp, &act_fds.udp, &act_fds.file) != 4)
        leave(EXIT_WRONG_USE);
    if (!strcmp(name, "list")) {
        list(call_name);
        list(act_name);
        leave(0);
    }
    say("begin\n");
    if (!call_perform(name, &result) && !act_perform(name, &result))
        leave(EXIT_UNKNOWN_ACT);
    char outcome[32] = "ok\n";
    if (result == -1)
        snprintf(outcome, sizeof outcome, "errno %d\n", errno);
    say(outcome);
    leave(0);
}
