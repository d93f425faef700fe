/* A program that is nothing but its sandbox: enters the one that its argument names, where sandbox_selftest()
 * performs the act.
 *
 *     policy_selftest tunneld|proxyd|ctld|nexd|apid|open|without_landlock|without_seccomp
 * [strict|best-effort]
 *
 * "open" has filters that allow everything: what is refused there is refused by the layers beside seccomp.
 * "without_…" is a kernel that lacks a layer, as the process sees it. */
#include "common/log.h"
#include "sandbox/sandbox.h"
#include "seccomp/apid.h"
#include "seccomp/ctld.h"
#include "seccomp/nexd.h"
#include "seccomp/proxyd.h"
#include "seccomp/tunneld.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static const struct sock_filter allow_all[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};

static const struct sock_filter lacks_landlock[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};
static const struct sock_filter lacks_seccomp[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

#define FILTERS(first)                                                                                       \
    .start = first, .start_count = sizeof(first) / sizeof((first)[0]), .run = allow_all, .run_count = 1,     \
    .max_files = 64

#define POLICY(policy)                                                                                       \
    .name = #policy, .start = policy##_start_filter, .start_count = policy##_start_filter_count,             \
    .run = policy##_run_filter, .run_count = policy##_run_filter_count, .max_files = 64

static const struct sandbox_spec specs[] = {
    {POLICY(tunneld), .no_tcp = true},
    {POLICY(proxyd)},
    {POLICY(ctld), .no_tcp = true},
    {POLICY(nexd), .may_fork = true, .max_file_bytes = 1 << 20},
    {POLICY(apid), .no_tcp = true, .stands_alone = true, .max_file_bytes = 1 << 20},
    {.name = "open", FILTERS(allow_all), .no_tcp = true},
    {.name = "without_landlock", FILTERS(lacks_landlock)},
    {.name = "without_seccomp", FILTERS(lacks_seccomp)},
};

int main(int argc, char **argv)
{
    enum sandbox_mode mode =
        argc > 2 && !strcmp(argv[2], "best-effort") ? SANDBOX_BEST_EFFORT : SANDBOX_STRICT;
    for (size_t i = 0; argc > 1 && i < sizeof specs / sizeof specs[0]; i++) {
        if (strcmp(argv[1], specs[i].name) != 0)
            continue;
        log_init(specs[i].name, LOG_LEVEL_INFO);
        sandbox_start(&specs[i], mode);
        sandbox_enter(&specs[i], mode);
        return 95; /* no act was asked for */
    }
    fprintf(stderr, "usage: policy_selftest tunneld|proxyd|ctld|nexd|apid|open|... [strict|best-effort]\n");
    return 2;
}
