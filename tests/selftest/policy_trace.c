/* policy_trace POLICIES OUT -- PROGRAM [ARGUMENT]... - which lines of the policies does a run of PROGRAM use?
 *
 * The program keeps its process number: a grandchild becomes the tracer. It follows all descendants, and
 * looks at the system calls of those whose executable has a policy in the folder POLICIES, from their own
 * first filter on. A process is in [start] from its first successful seccomp(2) on, in [run] from its second;
 * what a child does before its own filter, the loader included, and what the parent does between fork and
 * exec, is under the parent's [run]. Each call is held against the policy as the kernel does it: the first
 * line whose conditions hold. At the end, a line for each that was used is appended to OUT: "NAME STAGE
 * RULE". A call that no line names is one too, "NAME STAGE unlisted NUMBER": the kernel has killed the
 * process then.
 *
 * A tool of tests, run as root by scripts/trace-syscalls; nothing of it is in the product. */
#include "common/err.h"
#include "seccomp/policy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KINDS = 5,
    PARENT_KIND = 0,
    CONTAINED_KINDS = 4,
    PROCESSES_MAX = 4096,
    UNLISTED_MAX = 64,
    TEXT_BYTES = 256 * 1024
};

#ifdef __x86_64__
static const enum policy_arch machine = POLICY_X86_64;
#else
static const enum policy_arch machine = POLICY_AARCH64;
#endif

static const char *const kind_names[KINDS] = {"nexd", "tunneld", "proxyd", "ctld", "apid"};
static const char *const stage_names[POLICY_STAGES] = {"start", "run"};

struct kind {
    struct policy policy;
    char text[TEXT_BYTES];
    bool used[POLICY_STAGES][POLICY_RULES_MAX];
    long unlisted[POLICY_STAGES][UNLISTED_MAX];
    size_t unlisted_count[POLICY_STAGES];
};
static struct kind kinds[KINDS];

struct process {
    pid_t pid;
    int kind;         /* -1: a program without a policy */
    unsigned filters; /* installed by this program itself */
    bool contained;   /* a descendant of nexd in [run], whose filter it has */
    bool is_new, in_call, installs;
};
static struct process processes[PROCESSES_MAX];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(125);
}

/* -- Policies -- */

static void policies_read(const char *folder)
{
    for (size_t i = 0; i < KINDS; i++) {
        char path[PATH_MAX];
        struct policy_error error;
        snprintf(path, sizeof path, "%s/%s.policy", folder, kind_names[i]);
        FILE *file = fopen(path, "re");
        if (!file)
            die(path);
        size_t length = fread(kinds[i].text, 1, TEXT_BYTES - 1, file);
        fclose(file);
        if (policy_parse(&kinds[i].policy, kinds[i].text, length, &error)) {
            fprintf(stderr, "%s:%u: %s\n", path, error.line, error.text);
            exit(125);
        }
    }
}

static bool condition_holds(const struct policy_condition *condition, const uint64_t *args)
{
    uint64_t value = args[condition->argument] & condition->mask;
    switch (condition->op) {
    case POLICY_EQ:
        return value == condition->value;
    case POLICY_NE:
        return value != condition->value;
    case POLICY_LT:
        return value < condition->value;
    case POLICY_LE:
        return value <= condition->value;
    case POLICY_GT:
        return value > condition->value;
    case POLICY_GE:
        return value >= condition->value;
    }
    return false;
}

static bool names_call(const struct policy_rule *rule, uint64_t number)
{
    int here = policy_syscall_number(rule->syscall, machine);
    if (here < 0 && rule->otherwise[0])
        here = policy_syscall_number(rule->otherwise, machine);
    return here >= 0 && (uint64_t)here == number;
}

static bool stage_use(struct kind *kind, enum policy_stage_name stage, uint64_t number, const uint64_t *args)
{
    const struct policy_stage *rules = &kind->policy.stages[stage];
    for (size_t i = 0; i < rules->count; i++) {
        const struct policy_rule *rule = &rules->rules[i];
        bool holds = names_call(rule, number);
        for (size_t k = 0; k < rule->condition_count && holds; k++)
            holds = condition_holds(&rule->conditions[k], args);
        if (!holds)
            continue;
        kind->used[stage][i] = true;
        return true;
    }
    return false;
}

/* Is it listed, without counting as used? */
static bool stage_allows(struct kind *kind, enum policy_stage_name stage, uint64_t number,
                         const uint64_t *args)
{
    static bool before[POLICY_RULES_MAX];
    memcpy(before, kind->used[stage], sizeof before);
    bool allowed = stage_use(kind, stage, number, args);
    memcpy(kind->used[stage], before, sizeof before);
    return allowed;
}

/* [start] holds what [run] allows; a line of [run] counts as used only once [run] is in force. The parent's
 * filters hold what its children may do. */
static bool allowed_beside(int which, enum policy_stage_name stage, uint64_t number, const uint64_t *args)
{
    if (stage == POLICY_START && stage_allows(&kinds[which], POLICY_RUN, number, args))
        return true;
    for (int i = PARENT_KIND + 1; which == PARENT_KIND && i < CONTAINED_KINDS; i++)
        if (stage_allows(&kinds[i], POLICY_START, number, args) ||
            stage_allows(&kinds[i], POLICY_RUN, number, args))
            return true;
    return false;
}

static void use(int which, enum policy_stage_name stage, uint64_t number, const uint64_t *args)
{
    struct kind *kind = &kinds[which];
    if (stage_use(kind, stage, number, args) || allowed_beside(which, stage, number, args))
        return;
    size_t *count = &kind->unlisted_count[stage];
    for (size_t i = 0; i < *count; i++)
        if (kind->unlisted[stage][i] == (long)number)
            return;
    if (*count < UNLISTED_MAX)
        kind->unlisted[stage][(*count)++] = (long)number;
}

/* -- Processes -- */

static struct process *process_of(pid_t pid)
{
    struct process *room = NULL;
    for (size_t i = 0; i < PROCESSES_MAX; i++) {
        if (processes[i].pid == pid)
            return &processes[i];
        if (processes[i].pid == 0 && !room)
            room = &processes[i];
    }
    if (!room)
        die("too many processes");
    *room = (struct process){.pid = pid, .kind = -1, .is_new = true};
    return room;
}

static void program_changed(struct process *process)
{
    char path[64], target[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)process->pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    const char *name = basename(target);
    process->kind = -1;
    process->filters = 0;
    for (int i = 0; i < KINDS; i++)
        if (strcmp(name, kind_names[i]) == 0)
            process->kind = i;
}

static void forked(const struct process *parent)
{
    unsigned long number = 0;
    if (ptrace(PTRACE_GETEVENTMSG, parent->pid, 0, &number))
        return;
    struct process *child = process_of((pid_t)number);
    child->kind = parent->kind;
    child->filters = parent->filters;
    child->contained = parent->contained || (parent->kind == PARENT_KIND && parent->filters > 1);
}

static void call_enters(struct process *process, const struct __ptrace_syscall_info *info)
{
    const uint64_t *args = (const uint64_t *)info->entry.args;
    process->in_call = true;
    process->installs =
        info->entry.nr == SYS_seccomp && (uint32_t)args[0] == SECCOMP_SET_MODE_FILTER && args[2] != 0;
    if (process->filters > 0)
        use(process->kind, process->filters > 1 ? POLICY_RUN : POLICY_START, info->entry.nr, args);
    else if (process->contained)
        use(PARENT_KIND, POLICY_RUN, info->entry.nr, args);
}

static void call_stop(struct process *process)
{
    struct __ptrace_syscall_info info;
    if (process->kind < 0 || ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        call_enters(process, &info);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        if (process->installs && process->in_call && info.exit.rval == 0)
            process->filters++;
        process->in_call = process->installs = false;
    }
}

static bool stops_a_group(int signal)
{
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/* What is to be done with a process that has stopped: how it goes on, and with which signal. */
static void stopped(struct process *process, int status)
{
    int signal = WSTOPSIG(status), event = status >> 16;
    long request;
    if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE)
        forked(process);
    else if (event == PTRACE_EVENT_EXEC)
        program_changed(process);
    else if (signal == (SIGTRAP | 0x80))
        call_stop(process);
    request = process->kind >= 0 ? PTRACE_SYSCALL : PTRACE_CONT;
    if (event == PTRACE_EVENT_STOP && stops_a_group(signal) && !process->is_new)
        request = PTRACE_LISTEN;
    process->is_new = false;
    if (event != 0 || signal == (SIGTRAP | 0x80))
        signal = 0;
    ptrace((enum __ptrace_request)request, process->pid, 0, (long)signal);
}

static void follow(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (pid <= 0)
            continue;
        if (WIFSTOPPED(status))
            stopped(process_of(pid), status);
        else
            *process_of(pid) = (struct process){0};
    }
}

/* -- What came of it -- */

/* The line without its reason, blanks made one. */
static void rule_print(FILE *out, const struct kind *kind, unsigned line)
{
    const char *c = kind->text;
    for (unsigned i = 1; i < line; i++)
        c = strchr(c, '\n') + 1;
    bool blank = false;
    for (; *c && *c != '\n' && *c != '#'; c++) {
        if (isblank((unsigned char)*c)) {
            blank = true;
            continue;
        }
        if (blank)
            fputc(' ', out);
        blank = false;
        fputc(*c, out);
    }
    fputc('\n', out);
}

static void results_print(const char *path)
{
    FILE *out = fopen(path, "ae");
    if (!out)
        die(path);
    for (size_t i = 0; i < KINDS; i++) {
        for (int stage = 0; stage < POLICY_STAGES; stage++) {
            const struct policy_stage *rules = &kinds[i].policy.stages[stage];
            for (size_t k = 0; k < rules->count; k++) {
                if (!kinds[i].used[stage][k])
                    continue;
                fprintf(out, "%s %s ", kind_names[i], stage_names[stage]);
                rule_print(out, &kinds[i], rules->rules[k].line);
            }
            for (size_t k = 0; k < kinds[i].unlisted_count[stage]; k++)
                fprintf(out, "%s %s unlisted %ld\n", kind_names[i], stage_names[stage],
                        kinds[i].unlisted[stage][k]);
        }
    }
    if (fclose(out))
        die(path);
}

static _Noreturn void tracer(pid_t pid, int go, const char *policies, const char *path)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    policies_read(policies);
    if (ptrace(PTRACE_SEIZE, pid, 0, options))
        die("PTRACE_SEIZE");
    process_of(pid)->is_new = false;
    if (write(go, "", 1) != 1)
        die("write");
    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDOUT_FILENO; fd++)
        dup2(null, fd);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    follow();
    results_print(path);
    exit(0);
}

int main(int argc, char **argv)
{
    int go[2];
    char byte;
    if (argc < 5 || strcmp(argv[3], "--") != 0) {
        fprintf(stderr, "usage: policy_trace POLICIES OUT -- PROGRAM [ARGUMENT]...\n");
        return 2;
    }
    if (pipe2(go, O_CLOEXEC))
        die("pipe");
    pid_t self = getpid(), middle = fork();
    if (middle < 0)
        die("fork");
    if (middle == 0) {
        if (fork() == 0)
            tracer(self, go[1], argv[1], argv[2]);
        _exit(0);
    }
    close(go[1]);
    waitpid(middle, NULL, 0);
    if (read(go[0], &byte, 1) != 1) {
        fprintf(stderr, "policy_trace: the tracer did not start\n");
        return 125;
    }
    execvp(argv[4], argv + 4);
    die(argv[4]);
}
