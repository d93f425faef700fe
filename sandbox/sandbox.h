/* What a process gives up, in two stages.
 *
 * sandbox_start(), first thing in main(): no_new_privs, non-dumpable, no core files, all capabilities
 * dropped, PR_SET_PDEATHSIG, and the policy's [start] filter. sandbox_enter(), before the event loop:
 * resource limits, Landlock, and the policy's [run] filter. Policies are seccomp/NAME.policy, compiled at
 * build time to seccomp filter programs (generated/seccomp/NAME.h).
 *
 * Under SANDBOX_STRICT a layer that cannot be put in force ends the process with a message naming it; under
 * SANDBOX_BEST_EFFORT it is logged as a warning. */
#ifndef NEXD_SANDBOX_SANDBOX_H
#define NEXD_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

struct sock_filter;

enum sandbox_mode { SANDBOX_STRICT = 0, SANDBOX_BEST_EFFORT };

struct sandbox_path {
    const char *path;
    bool may_be_missing;
};

struct sandbox_ports {
    size_t count;
    const uint16_t *ports;
};

struct sandbox_spec {
    const char *name;
    const struct sock_filter *start, *run; /* compiled policies */
    size_t start_count, run_count;         /* instructions */
    rlim_t max_files;                      /* RLIMIT_NOFILE: raised to this where the hard limit lets it */
    rlim_t max_file_bytes;                 /* RLIMIT_FSIZE; 0 = may write no file */
    /* The supervisor: starts programs, which inherit its limits and filters. So no RLIMIT_NPROC 0, a hard
     * RLIMIT_NOFILE that children can still raise theirs to, a Landlock that leaves reading and executing
     * alone; and it outlives the process that started it: no PR_SET_PDEATHSIG. */
    bool may_fork;
    uint64_t keep_capabilities; /* bits of 1 << CAP_…: what a supervisor needs to start its children as
                                   other users */
    bool no_tcp;                /* Landlock: no TCP bind and connect either, where the kernel can (ABI 4) */
    /* Landlock, where the kernel can: TCP is bound to, and connected to, these ports only. NULL = any. */
    const struct sandbox_ports *tcp_bind, *tcp_connect;
    bool stands_alone; /* started by an operator, not by a supervisor: no PR_SET_PDEATHSIG */
    const struct sandbox_path
        *read_only; /* Landlock: files that may be read; ends with {NULL}. NULL = none at all */
    const struct sandbox_path
        *read_write; /* Landlock: folders in which regular files may be made, written, renamed and removed; of
                        one that is not there yet, the nearest one above it, where it may be made too */
    const struct sandbox_path *removable; /* Landlock: folders from which files may be removed */
};

/* In the order in which they are put in force. */
enum sandbox_layer {
    SANDBOX_NO_NEW_PRIVS,
    SANDBOX_CAPABILITIES,
    SANDBOX_NOT_DUMPABLE,
    SANDBOX_PARENT_DEATH,
    SANDBOX_NO_CORE,
    SANDBOX_FILTER_START,
    SANDBOX_LIMITS,
    SANDBOX_LANDLOCK,
    SANDBOX_FILTER_RUN,
    SANDBOX_LAYERS,
};

/* What the kernel took from this process. Nobody outside can read the Landlock part back: the kernel shows it
 * nowhere. */
struct sandbox_facts {
    enum sandbox_mode mode;
    uint32_t missing;         /* bits of 1 << enum sandbox_layer */
    uint32_t landlock_abi;    /* that the kernel offers; 0 = none in force */
    uint64_t fs, net, scoped; /* Landlock: what is refused, as bits of the kernel's interface */
};

/* Before sandbox_start(), which gives up the rights that this brings: into a network without devices, in a
 * user namespace of one's own. Undoes PR_SET_PDEATHSIG. False: not permitted here; the other layers stand. */
bool sandbox_leave_network(void);

/* Both are called once, while the process has a single thread, after log_init().
 * Both return NX_OK, or do not return (strict). Best effort: NX_ENOTSUP when some layer is missing.
 *
 * `read_only` folders grant what is below them; a file grants its present inode, so a file that is replaced
 * by renaming another over it is not readable any more: name its folder then. A path is followed through
 * symbolic links when the sandbox is entered. RLIMIT_FSIZE is left alone where standard output or error is a
 * regular file: the log would be cut off by it. */
int sandbox_start(const struct sandbox_spec *spec, enum sandbox_mode mode);
int sandbox_enter(const struct sandbox_spec *spec, enum sandbox_mode mode);

/* Of this process, as far as it has come. */
const struct sandbox_facts *sandbox_facts(void);
/* "no_new_privs", "seccomp filter [run]". */
const char *sandbox_layer_name(enum sandbox_layer layer);

#endif
