/* Acts that are one system call, in one table: every argument is passed on as it stands.
 *
 * Arguments that would do damage where no sandbox is in force are replaced by ones that the kernel refuses
 * after the filter has looked: no descriptor, a name that does not exist, a null pointer. */
#include "tests/selftest/acts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE "/nonexistent/nexd-selftest"

struct call {
    const char *name;
    long number;
    long args[6];
};

#define P(pointer) ((long)(intptr_t)(pointer))
#define NO_FD      (-1)

static const struct open_how read_how = {.flags = O_RDONLY};
static char buffer[4096];

static const struct call calls[] = {
    /* Files. */
    {"openat", SYS_openat, {AT_FDCWD, P("/etc/passwd"), O_RDONLY}},
    {"openat_write", SYS_openat, {AT_FDCWD, P("/dev/null"), O_WRONLY}},
    {"openat_create", SYS_openat, {AT_FDCWD, P(NOWHERE), O_WRONLY | O_CREAT | O_EXCL, 0600}},
    {"openat_create_beside",
     SYS_openat,
     {AT_FDCWD, P("/tmp/nexd-selftest-file"), O_WRONLY | O_CREAT | O_EXCL, 0600}},
    {"openat_create_shared", SYS_openat, {AT_FDCWD, P(NOWHERE), O_WRONLY | O_CREAT, 0600}},
    {"openat_truncate", SYS_openat, {AT_FDCWD, P(NOWHERE), O_WRONLY | O_TRUNC}},
    {"openat_path", SYS_openat, {AT_FDCWD, P("/etc/passwd"), O_PATH}},
    {"openat2", SYS_openat2, {AT_FDCWD, P("/etc/passwd"), P(&read_how), sizeof read_how}},
    {"proc_self_mem", SYS_openat, {AT_FDCWD, P("/proc/self/mem"), O_RDWR}},
    {"proc_self_environ", SYS_openat, {AT_FDCWD, P("/proc/self/environ"), O_RDONLY}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, P(NOWHERE), 0}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, P(NOWHERE), AT_FDCWD, P(NOWHERE ".new"), 0}},
    {"renameat", SYS_renameat, {AT_FDCWD, P(NOWHERE), AT_FDCWD, P(NOWHERE ".new")}},
    {"mkdirat", SYS_mkdirat, {AT_FDCWD, P(NOWHERE), 0700}},
    {"linkat", SYS_linkat, {AT_FDCWD, P(NOWHERE), AT_FDCWD, P(NOWHERE ".new"), 0}},
    {"symlinkat", SYS_symlinkat, {P("target"), AT_FDCWD, P(NOWHERE)}},
    {"mknodat", SYS_mknodat, {AT_FDCWD, P(NOWHERE), S_IFCHR | 0600, 0}},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, P(NOWHERE), 0600}},
    {"fchownat", SYS_fchownat, {AT_FDCWD, P(NOWHERE), 0, 0, 0}},
    {"fchown", SYS_fchown, {NO_FD, 0, 0}},
    {"truncate", SYS_truncate, {P(NOWHERE), 0}},
    {"ftruncate", SYS_ftruncate, {NO_FD, 0}},
    {"utimensat", SYS_utimensat, {AT_FDCWD, P(NOWHERE), 0, 0}},
    {"setxattr", SYS_setxattr, {P(NOWHERE), P("user.x"), P(buffer), 1, 0}},
    {"readlinkat", SYS_readlinkat, {AT_FDCWD, P("/proc/self/exe"), P(buffer), sizeof buffer}},
    {"statx", SYS_statx, {AT_FDCWD, P("/etc/passwd"), 0, STATX_BASIC_STATS, P(buffer)}},
    {"newfstatat_path", SYS_newfstatat, {AT_FDCWD, P("/etc/passwd"), P(buffer), 0}},
    {"faccessat", SYS_faccessat, {AT_FDCWD, P("/etc/passwd"), R_OK}},
    {"getdents64", SYS_getdents64, {NO_FD, P(buffer), sizeof buffer}},
    {"getcwd", SYS_getcwd, {P(buffer), sizeof buffer}},
    {"chdir", SYS_chdir, {P(NOWHERE)}},
    {"chroot", SYS_chroot, {P(NOWHERE)}},
    {"pivot_root", SYS_pivot_root, {P(NOWHERE), P(NOWHERE)}},
    {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, P(NOWHERE), P(buffer), P(buffer), 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, P(buffer), O_RDONLY}},
    {"memfd_create", SYS_memfd_create, {P("selftest"), 0}},
    {"inotify_init1", SYS_inotify_init1, {0}},
    {"fanotify_init", SYS_fanotify_init, {0, 0}},
    {"copy_file_range", SYS_copy_file_range, {NO_FD, 0, NO_FD, 0, 1, 0}},
    {"sendfile", SYS_sendfile, {NO_FD, NO_FD, 0, 1}},
    {"splice", SYS_splice, {NO_FD, 0, NO_FD, 0, 1, 0}},
    {"fsync", SYS_fsync, {NO_FD}},
    {"flock", SYS_flock, {NO_FD, 0}},
    {"mount", SYS_mount, {P("none"), P(NOWHERE), P("tmpfs"), 0, 0}},
    {"umount2", SYS_umount2, {P(NOWHERE), 0}},
    {"fsopen", SYS_fsopen, {P("tmpfs"), 0}},
    {"open_tree", SYS_open_tree, {AT_FDCWD, P(NOWHERE), 0}},
    {"move_mount", SYS_move_mount, {NO_FD, P(""), NO_FD, P(""), 0}},
    /* Sockets. */
    {"socket_inet_stream", SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}},
    {"socket_inet_dgram", SYS_socket, {AF_INET, SOCK_DGRAM, 0}},
    {"socket_inet_raw", SYS_socket, {AF_INET, SOCK_RAW, IPPROTO_ICMP}},
    {"socket_inet_seqpacket", SYS_socket, {AF_INET, SOCK_SEQPACKET, 132 /* SCTP */}},
    {"socket_inet6_stream", SYS_socket, {AF_INET6, SOCK_STREAM, 0}},
    {"socket_inet6_dgram", SYS_socket, {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0}},
    {"socket_inet6_raw", SYS_socket, {AF_INET6, SOCK_RAW, IPPROTO_ICMPV6}},
    {"socket_unix", SYS_socket, {AF_UNIX, SOCK_STREAM, 0}},
    {"socket_netlink", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"socket_packet", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"socket_alg", SYS_socket, {38 /* AF_ALG */, SOCK_SEQPACKET, 0}},
    {"socket_vsock", SYS_socket, {40 /* AF_VSOCK */, SOCK_STREAM, 0}},
    {"socket_bluetooth", SYS_socket, {31 /* AF_BLUETOOTH */, SOCK_RAW, 0}},
    {"socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P(buffer)}},
    {"accept4", SYS_accept4, {NO_FD, 0, 0, SOCK_CLOEXEC}},
    /* Other processes. */
    {"execve", SYS_execve, {P(NOWHERE), P(buffer), P(buffer)}},
    {"execveat", SYS_execveat, {AT_FDCWD, P(NOWHERE), P(buffer), P(buffer), 0}},
    {"clone3", SYS_clone3, {P(buffer), CLONE_ARGS_SIZE_VER0 - 1}},
    {"ptrace", SYS_ptrace, {PTRACE_SEIZE, INT32_MAX, 0, 0}},
    {"pidfd_getfd", SYS_pidfd_getfd, {NO_FD, 0, 0}},
    {"kcmp", SYS_kcmp, {INT32_MAX, INT32_MAX, 0, 0, 0}},
    {"process_madvise", SYS_process_madvise, {NO_FD, P(buffer), 0, MADV_COLD, 0}},
    {"unshare_user", SYS_unshare, {CLONE_NEWUSER}},
    {"execveat_empty_path", SYS_execveat, {NO_FD, P(NOWHERE), P(buffer), P(buffer), AT_EMPTY_PATH}},
    {"setresuid_root", SYS_setresuid, {-1, 0, -1}},
    {"setresgid_root", SYS_setresgid, {-1, 0, -1}},
    {"setgroups_some", SYS_setgroups, {1, P(buffer)}},
    {"unshare_user_and_net", SYS_unshare, {CLONE_NEWUSER | CLONE_NEWNET}},
    {"unshare_user_and_mounts", SYS_unshare, {CLONE_NEWUSER | CLONE_NEWNS}},
    {"unshare_net", SYS_unshare, {CLONE_NEWNET}},
    {"setns", SYS_setns, {NO_FD, 0}},
    {"setuid", SYS_setuid, {12345}},
    {"setresuid", SYS_setresuid, {12345, 12345, 12345}},
    {"setgroups", SYS_setgroups, {0, 0}},
    {"capset", SYS_capset, {P(buffer), P(buffer)}},
    {"setpriority", SYS_setpriority, {0, 0, 0}},
    {"sched_setaffinity", SYS_sched_setaffinity, {0, 0, P(buffer)}},
    {"setsid", SYS_setsid, {0}},
    {"wait4", SYS_wait4, {-1, 0, WNOHANG, 0}},
    {"seccomp", SYS_seccomp, {1 /* SET_MODE_FILTER */, 0, 0}},
    {"landlock_create_ruleset", SYS_landlock_create_ruleset, {0, 0, 1}},
    {"prctl_dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}},
    {"prctl_name", SYS_prctl, {PR_SET_NAME, P("selftest"), 0, 0, 0}},
    {"prctl_pdeathsig", SYS_prctl, {PR_SET_PDEATHSIG, 0, 0, 0, 0}},
    {"prctl_mm", SYS_prctl, {PR_SET_MM, PR_SET_MM_BRK, 0, 0, 0}},
    {"prctl_ptracer", SYS_prctl, {0x59616d61 /* PR_SET_PTRACER */, 1, 0, 0, 0}},
    {"prlimit64_self", SYS_prlimit64, {0, RLIMIT_NOFILE, 0, P(buffer)}},
    /* The kernel. */
    {"bpf", SYS_bpf, {0, 0, 0}},
    {"io_uring_setup", SYS_io_uring_setup, {0, 0}},
    {"keyctl", SYS_keyctl, {0, 0, 0}},
    {"add_key", SYS_add_key, {P("user"), 0, 0, 0, 0}},
    {"request_key", SYS_request_key, {P("user"), 0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {-1}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
    {"personality", SYS_personality, {0xffffffff}},
    {"init_module", SYS_init_module, {0, 0, P("")}},
    {"finit_module", SYS_finit_module, {NO_FD, P(""), 0}},
    {"delete_module", SYS_delete_module, {P(""), O_NONBLOCK}},
    {"kexec_load", SYS_kexec_load, {0, 99, 0, -1}},
    {"reboot", SYS_reboot, {0, 0, 0, 0}},
    {"sethostname", SYS_sethostname, {P(buffer), -1}},
    {"clock_settime", SYS_clock_settime, {-1, 0}},
    {"adjtimex", SYS_adjtimex, {0}},
    {"syslog", SYS_syslog, {-1, 0, 0}},
    {"acct", SYS_acct, {P(NOWHERE)}},
    {"quotactl", SYS_quotactl, {-1, 0, 0, 0}},
    {"membarrier", SYS_membarrier, {0, 0}},
    {"vmsplice", SYS_vmsplice, {NO_FD, 0, 0, 0}},
    {"shmget", SYS_shmget, {0, 0, 0}},
    {"msgget", SYS_msgget, {-1, 0}},
    {"semget", SYS_semget, {0, -1, 0}},
    {"mq_open", SYS_mq_open, {P(""), O_RDONLY, 0, 0}},
    {"timer_create", SYS_timer_create, {-1, 0, 0}},
    {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, 0, 0, 8}},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {0, 0, 0}},
    {"setitimer", SYS_setitimer, {-1, 0, 0}},
    {"unassigned_number", 2000, {0}},
#ifdef __x86_64__
    {"open", SYS_open, {P("/etc/passwd"), O_RDONLY}},
    {"creat", SYS_creat, {P(NOWHERE), 0600}},
    {"unlink", SYS_unlink, {P(NOWHERE)}},
    {"rename", SYS_rename, {P(NOWHERE), P(NOWHERE ".new")}},
    {"stat", SYS_stat, {P("/etc/passwd"), P(buffer)}},
    {"accept", SYS_accept, {NO_FD, 0, 0}},
    {"iopl", SYS_iopl, {3}},
    {"ioperm", SYS_ioperm, {0, -1, 1}},
    {"modify_ldt", SYS_modify_ldt, {-1, 0, 0}},
    {"arch_prctl", SYS_arch_prctl, {-1, 0}},
    {"x32_getpid", 0x40000000 | SYS_getpid, {0}},
#endif
    /* Memory. */
    {"mmap_anonymous", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"mmap_exec", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"pkey_mprotect", SYS_pkey_mprotect, {0, 0, PROT_READ, -1}},
    {"remap_file_pages", SYS_remap_file_pages, {0, 0, 0, 0, 0}},
    {"mlockall", SYS_mlockall, {0}},
    /* What every process here must still be able to do: a filter that kills everything would pass all the
       rest. */
    {"read_nothing", SYS_read, {NO_FD, 0, 0}},
    {"close_nothing", SYS_close, {NO_FD}},
    {"clock_gettime", SYS_clock_gettime, {CLOCK_MONOTONIC, P(buffer)}},
    {"getrandom", SYS_getrandom, {P(buffer), 32, 0}},
    {"epoll_ctl_nothing", SYS_epoll_ctl, {NO_FD, 0, NO_FD, 0}},
    {"sendmsg_nothing", SYS_sendmsg, {NO_FD, P(buffer), 0}},
    {"recvmsg_nothing", SYS_recvmsg, {NO_FD, P(buffer), 0}},
};

const char *call_name(size_t index)
{
    return index < sizeof calls / sizeof calls[0] ? calls[index].name : NULL;
}

bool call_perform(const char *name, long *result)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const long *a = calls[i].args;
        if (strcmp(calls[i].name, name) != 0)
            continue;
        *result = syscall(calls[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
        return true;
    }
    return false;
}
