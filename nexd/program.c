/* fork, put three descriptors in order, exec.
 *
 * Between fork and exec only async-signal-safe calls are made. Everything the new program is given is
 * prepared before the fork; a close-on-exec pipe tells the parent whether exec took place, and otherwise its
 * errno: so a missing or broken executable is reported with its cause, not as a child that died. Signals are
 * held back over the fork, so that no handler of ours ever runs in the new process. */
#include "nexd/program.h"

#include "child/child.h"
#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Relative to the folder of nexd: as installed, and as in the build tree. */
static const char *const program_folders[] = {NEXD_LIBEXEC_INSTALLED, NEXD_LIBEXEC_BUILT};

int program_find(const char *name, char *path)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self);
    if (length < 0)
        return NX_ESYS;
    if ((size_t)length >= sizeof self)
        return NX_ERANGE;
    self[length] = '\0';
    const char *folder = dirname(self);
    for (size_t i = sizeof program_folders / sizeof *program_folders; i-- > 0;) {
        int written = snprintf(path, PATH_MAX, "%s/%s/%s", folder, program_folders[i], name);
        if (written < 0 || written >= PATH_MAX)
            return NX_ERANGE;
        if (access(path, X_OK) == 0)
            return NX_OK;
    }
    return NX_ENOENT;
}

enum { ENVIRONMENT_MAX = 4, OPTION_MAX = 48, SIGNALS = 65 };

/* Sanitizers read their options from the environment; nothing else of ours does. */
static void environment_fill(char *environment[ENVIRONMENT_MAX])
{
    size_t count = 0;
#ifdef NEXD_SANITIZE
    static const char *const names[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    for (char **entry = environ; entry && *entry; entry++)
        for (size_t i = 0; i < sizeof names / sizeof *names && count < ENVIRONMENT_MAX - 1; i++)
            if (strncmp(*entry, names[i], strlen(names[i])) == 0)
                environment[count++] = *entry;
#endif
    environment[count] = NULL;
}

/* In the new process: a clean slate, or the errno. Returns only on failure. The program is opened before its
 * user changes: he need not be able to reach the folder where it stands. */
static int child_exec(const char *path, char *const argv[], char *const envp[],
                      const struct identity *identity, const char *file, int link_fd, int *report_fd)
{
    for (int number = 1; number < SIGNALS; number++)
        signal(number, SIG_DFL);
    int program = open(path, O_PATH | O_CLOEXEC);
    if (program < 0)
        return errno;
    int given = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    int wrong = identity_assume(identity);
    if (wrong)
        return wrong;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
        return errno;
    /* All out of the way of the numbers that are about to be filled. */
    int link_high = fcntl(link_fd, F_DUPFD_CLOEXEC, CHILD_FILE_FD + 1);
    int report_high = fcntl(*report_fd, F_DUPFD_CLOEXEC, CHILD_FILE_FD + 1);
    program = fcntl(program, F_DUPFD_CLOEXEC, CHILD_FILE_FD + 1);
    given = given < 0 ? -1 : fcntl(given, F_DUPFD_CLOEXEC, CHILD_FILE_FD + 1);
    if (link_high < 0 || report_high < 0 || program < 0)
        return errno;
    *report_fd = report_high;
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(link_high, CHILD_PARENT_FD) < 0)
        return errno;
    if (given >= 0 && dup2(given, CHILD_FILE_FD) < 0)
        return errno;
    if (close_range(given >= 0 ? CHILD_FILE_FD + 1 : CHILD_FILE_FD, ~0u, CLOSE_RANGE_CLOEXEC))
        return errno;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execveat(program, "", argv, envp, AT_EMPTY_PATH);
    return errno;
}

/* What exec answered: 0 when it took place. */
static int exec_outcome(int report_fd)
{
    int cause = 0;
    ssize_t got;
    do
        got = read(report_fd, &cause, sizeof cause);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof cause ? cause : 0;
}

static pid_t fork_and_exec(const char *path, char *const argv[], char *const envp[],
                           const struct identity *identity, const char *file, int link_fd)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC))
        return NX_ESYS;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        int cause = child_exec(path, argv, envp, identity, file, link_fd, &report[1]);
        ssize_t ignored = write(report[1], &cause, sizeof cause);
        (void)ignored;
        _exit(127);
    }
    int cause = pid < 0 ? errno : 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid > 0) {
        cause = exec_outcome(report[0]);
        if (cause)
            waitpid(pid, NULL, 0);
    }
    close(report[0]);
    errno = cause;
    return cause ? NX_ESYS : pid;
}

pid_t program_start(const char *path, const char *name, const struct identity *identity, int link_fd,
                    enum log_level level, enum sandbox_mode mode, bool no_network, const char *extra,
                    const char *file)
{
    char title[OPTION_MAX], level_option[OPTION_MAX], format_option[OPTION_MAX], sandbox_option[OPTION_MAX];
    snprintf(title, sizeof title, "nexd-%s", name);
    snprintf(level_option, sizeof level_option, "--log-level=%d", (int)level);
    snprintf(format_option, sizeof format_option, "--log-format=%s%s",
             log_get_format() == LOG_FORMAT_JSON ? "json" : "text", log_is_for_journal() ? ",journal" : "");
    snprintf(sandbox_option, sizeof sandbox_option, "--sandbox=%s",
             mode == SANDBOX_STRICT ? "strict" : "best-effort");
    const char *last[] = {no_network ? "--network=none" : extra, no_network ? extra : NULL};
    char *argv[] = {title,
                    level_option,
                    format_option,
                    sandbox_option,
                    (char *)(uintptr_t)last[0],
                    (char *)(uintptr_t)last[1],
                    NULL};
    char *envp[ENVIRONMENT_MAX];
    environment_fill(envp);
    return fork_and_exec(path, argv, envp, identity, file, link_fd);
}
