/* What a process gives up, in two stages.
 *
 * sandbox_start(), first thing in main(): no_new_privs, non-dumpable, no core files, all capabilities dropped,
 * PR_SET_PDEATHSIG, and the policy's [start] filter.
 * sandbox_enter(), before the event loop: resource limits, Landlock, and the policy's [run] filter.
 * Policies are seccomp/NAME.policy, compiled at build time to seccomp filter programs (generated/seccomp/NAME.h).
 *
 * Under SANDBOX_STRICT a layer that cannot be put in force ends the process with a message naming it; under
 * SANDBOX_BEST_EFFORT it is logged as a warning. */
#ifndef NEXD_SANDBOX_SANDBOX_H
#define NEXD_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

struct sock_filter;

enum sandbox_mode { SANDBOX_STRICT = 0, SANDBOX_BEST_EFFORT };

struct sandbox_path {
    const char *path;
    bool may_be_missing;
};

struct sandbox_spec {
    const char *name;
    const struct sock_filter *start, *run; /* compiled policies */
    size_t start_count, run_count;         /* instructions */
    rlim_t max_files;                      /* RLIMIT_NOFILE: raised to this where the hard limit lets it */
    rlim_t max_file_bytes;                 /* RLIMIT_FSIZE; 0 = may write no file */
    bool may_fork;                         /* else RLIMIT_NPROC 0 */
    const struct sandbox_path *read_only;  /* Landlock: files that may be read; ends with {NULL}. NULL = none at all */
};

/* Both return NX_OK, or do not return (strict). Best effort: NX_ENOTSUP when some layer is missing. */
int sandbox_start(const struct sandbox_spec *spec, enum sandbox_mode mode);
int sandbox_enter(const struct sandbox_spec *spec, enum sandbox_mode mode);

#endif
