/* Forbidden acts, tried from inside a process that has just entered its sandbox.
 *
 * Linked only into *_selftest executables, whose sandbox_enter() ends with sandbox_selftest(). The
 * environment says what to do:
 *
 *     NEXD_SELFTEST_ACT   one of acts[] below; unset: nothing is done and the process goes on as usual
 *     NEXD_SELFTEST_FDS   descriptors that the test has prepared: "REPORT,TCP,UDP,FILE": the pipe for the
 * outcome, an unbound socket of each kind, a regular file opened for reading
 *
 * "begin" is written to REPORT, then the act is performed by a bare system call, so that no library stands
 * between the filter and the act; a process that is still there writes "ok" or "errno N" and ends. What
 * should have come of it is the business of test_sandbox.py. Acts never harm the machine that runs the tests,
 * even where no sandbox is in force: arguments that would do damage are replaced by ones that the kernel
 * refuses after the filter has looked. */
#include "sandbox/layers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int report_fd, tcp_fd, udp_fd, file_fd;

#define NOWHERE "/nonexistent/nexd-selftest"

/* An act made of one system call: every argument is passed on as it stands. */
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
    {"openat_path", SYS_openat, {AT_FDCWD, P("/etc/passwd"), O_PATH}},
    {"openat2", SYS_openat2, {AT_FDCWD, P("/etc/passwd"), P(&read_how), sizeof read_how}},
    {"proc_self_mem", SYS_openat, {AT_FDCWD, P("/proc/self/mem"), O_RDWR}},
    {"proc_self_environ", SYS_openat, {AT_FDCWD, P("/proc/self/environ"), O_RDONLY}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, P(NOWHERE), 0}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, P(NOWHERE), AT_FDCWD, P(NOWHERE ".new"), 0}},
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

/* Acts that need more than one call, or values that are known only now. */
static long act_bind(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return syscall(SYS_bind, udp_fd, &any, sizeof any);
}

static long act_bind_tcp(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return syscall(SYS_bind, tcp_fd, &any, sizeof any);
}

static long act_connect(void)
{
    const struct sockaddr_in discard = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    return syscall(SYS_connect, tcp_fd, &discard, sizeof discard);
}

static long act_listen(void)
{
    return syscall(SYS_listen, tcp_fd, 1);
}

/* A datagram with an address of its own: what a process that owns an unconnected UDP socket may have to be
 * able to do. */
static long act_sendto_address(void)
{
    const struct sockaddr_in discard = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    return syscall(SYS_sendto, udp_fd, "", 1, MSG_DONTWAIT, &discard, sizeof discard);
}

static long setsockopt_int(int fd, int level, int name)
{
    int one = 1;
    return syscall(SYS_setsockopt, fd, level, name, &one, sizeof one);
}

static long act_setsockopt_nodelay(void)
{
    return setsockopt_int(tcp_fd, IPPROTO_TCP, TCP_NODELAY);
}

static long act_setsockopt_linger(void)
{
    const struct linger now = {.l_onoff = 1};
    return syscall(SYS_setsockopt, tcp_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static long act_setsockopt_mark(void)
{
    return setsockopt_int(tcp_fd, SOL_SOCKET, SO_MARK);
}

static long act_setsockopt_bindtodevice(void)
{
    return syscall(SYS_setsockopt, udp_fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static long act_setsockopt_attach_filter(void)
{
    return setsockopt_int(udp_fd, SOL_SOCKET, SO_ATTACH_FILTER);
}

static long act_setsockopt_ulp(void)
{
    return syscall(SYS_setsockopt, tcp_fd, IPPROTO_TCP, TCP_ULP, "tls", 3);
}

static long act_ioctl_tiocsti(void)
{
    return syscall(SYS_ioctl, file_fd, TIOCSTI, "x");
}

static long act_ioctl_tioclinux(void)
{
    return syscall(SYS_ioctl, file_fd, TIOCLINUX, buffer);
}

static long act_ioctl_ifconf(void)
{
    return syscall(SYS_ioctl, udp_fd, 0x8912 /* SIOCGIFCONF */, buffer);
}

static long act_ioctl_fionbio(void)
{
    int one = 1;
    return syscall(SYS_ioctl, udp_fd, FIONBIO, &one);
}

/* The test must not be left with a second process. */
static long child_ends(long child)
{
    if (child == 0)
        syscall(SYS_exit_group, 0);
    if (child > 0)
        syscall(SYS_wait4, child, NULL, 0, NULL);
    return child;
}

static long act_fork(void)
{
    return child_ends(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static long act_clone_newuser(void)
{
    return child_ends(syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0));
}

static long act_clone_thread(void)
{
    /* Without CLONE_SIGHAND the kernel refuses it, behind the filter. */
    return syscall(SYS_clone, CLONE_VM | CLONE_THREAD, 0, 0, 0, 0);
}

static long act_execve_self(void)
{
    char *const arguments[] = {(char *)(uintptr_t) "true", NULL}, *const environment[] = {NULL};
    return syscall(SYS_execve, "/bin/true", arguments, environment);
}

static long act_ptrace_parent(void)
{
    return syscall(SYS_ptrace, PTRACE_SEIZE, getppid(), 0, 0);
}

static long act_kill_self(void)
{
    return syscall(SYS_kill, getpid(), 0);
}

static long act_kill_parent(void)
{
    return syscall(SYS_kill, getppid(), 0);
}

static long act_tgkill_parent(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0);
}

static long act_pidfd_open_parent(void)
{
    return syscall(SYS_pidfd_open, getppid(), 0);
}

static long act_process_vm_readv(void)
{
    struct iovec here = {buffer, 1}, there = {buffer, 1};
    return syscall(SYS_process_vm_readv, getppid(), &here, 1, &there, 1, 0);
}

static long act_process_vm_writev(void)
{
    struct iovec here = {buffer, 1}, there = {NULL, 1};
    return syscall(SYS_process_vm_writev, getppid(), &here, 1, &there, 1, 0);
}

static long act_prlimit_parent(void)
{
    return syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, buffer);
}

static long act_setrlimit_raise(void)
{
    const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    return syscall(SYS_prlimit64, 0, RLIMIT_NPROC, &more, NULL);
}

static long act_mprotect_exec(void)
{
    return syscall(SYS_mprotect, (uintptr_t)buffer & ~(uintptr_t)4095, 4096,
                   PROT_READ | PROT_WRITE | PROT_EXEC);
}

static long act_mmap_file(void)
{
    return syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, file_fd, 0);
}

static long act_mmap_file_exec(void)
{
    return syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file_fd, 0);
}

/* The upper half of a register that carries an int is ignored by the kernel, and must not fool the filter. */
static long act_mmap_exec_upper_bits(void)
{
    return syscall(SYS_mmap, 0, 4096, 0x100000000L | PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
}

static long act_fstat_descriptor(void)
{
    return syscall(SYS_newfstatat, file_fd, "", buffer, AT_EMPTY_PATH);
}

static long act_fcntl_setlk(void)
{
    const struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    return syscall(SYS_fcntl, file_fd, F_SETLK, &lock);
}

static long act_fcntl_setown(void)
{
    return syscall(SYS_fcntl, udp_fd, F_SETOWN, getppid());
}

static long act_fcntl_getfl(void)
{
    return syscall(SYS_fcntl, udp_fd, F_GETFL);
}

static long act_fchmod(void)
{
    return syscall(SYS_fchmod, file_fd, 0777);
}

#ifdef __x86_64__
/* The 32-bit entry: another machine to the filter. */
static long act_int80_getpid(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "cc", "r8", "r9", "r10", "r11");
    return result;
}
#endif

/* Stands still while standard input is open, so that the test can look at the process from outside. */
static long act_wait(void)
{
    return syscall(SYS_read, STDIN_FILENO, buffer, 1);
}

static const struct {
    const char *name;
    long (*perform)(void);
} acts[] = {
    {"bind", act_bind},
    {"bind_tcp", act_bind_tcp},
    {"connect", act_connect},
    {"listen", act_listen},
    {"sendto_address", act_sendto_address},
    {"setsockopt_nodelay", act_setsockopt_nodelay},
    {"setsockopt_linger", act_setsockopt_linger},
    {"setsockopt_mark", act_setsockopt_mark},
    {"setsockopt_bindtodevice", act_setsockopt_bindtodevice},
    {"setsockopt_attach_filter", act_setsockopt_attach_filter},
    {"setsockopt_ulp", act_setsockopt_ulp},
    {"ioctl_tiocsti", act_ioctl_tiocsti},
    {"ioctl_tioclinux", act_ioctl_tioclinux},
    {"ioctl_ifconf", act_ioctl_ifconf},
    {"ioctl_fionbio", act_ioctl_fionbio},
    {"fork", act_fork},
    {"clone_newuser", act_clone_newuser},
    {"clone_thread", act_clone_thread},
    {"execve_self", act_execve_self},
    {"ptrace_parent", act_ptrace_parent},
    {"kill_self", act_kill_self},
    {"kill_parent", act_kill_parent},
    {"tgkill_parent", act_tgkill_parent},
    {"pidfd_open_parent", act_pidfd_open_parent},
    {"process_vm_readv", act_process_vm_readv},
    {"process_vm_writev", act_process_vm_writev},
    {"prlimit_parent", act_prlimit_parent},
    {"setrlimit_raise", act_setrlimit_raise},
    {"mprotect_exec", act_mprotect_exec},
    {"mmap_file", act_mmap_file},
    {"mmap_file_exec", act_mmap_file_exec},
    {"mmap_exec_upper_bits", act_mmap_exec_upper_bits},
    {"fstat_descriptor", act_fstat_descriptor},
    {"fcntl_setlk", act_fcntl_setlk},
    {"fcntl_setown", act_fcntl_setown},
    {"fcntl_getfl", act_fcntl_getfl},
    {"fchmod", act_fchmod},
#ifdef __x86_64__
    {"int80_getpid", act_int80_getpid},
#endif
    {"wait", act_wait},
};

static void say(const char *text)
{
    if (syscall(SYS_write, report_fd, text, strlen(text)) < 0)
        syscall(SYS_exit_group, 98);
}

static long perform_call(const struct call *call)
{
    const long *a = call->args;
    return syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* False: no such act. */
static bool perform(const char *name, long *result)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (!strcmp(calls[i].name, name)) {
            *result = perform_call(&calls[i]);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (!strcmp(acts[i].name, name)) {
            *result = acts[i].perform();
            return true;
        }
    }
    return false;
}

static void list(void)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        say(calls[i].name);
        say("\n");
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        say(acts[i].name);
        say("\n");
    }
}

void sandbox_selftest(void)
{
    const char *name = getenv("NEXD_SELFTEST_ACT"), *fds = getenv("NEXD_SELFTEST_FDS");
    long result = 0;
    if (!name)
        return;
    if (!fds || sscanf(fds, "%d,%d,%d,%d", &report_fd, &tcp_fd, &udp_fd, &file_fd) != 4)
        syscall(SYS_exit_group, 97);
    if (!strcmp(name, "list")) {
        list();
        syscall(SYS_exit_group, 0);
    }
    say("begin\n");
    if (!perform(name, &result)) {
        say("unknown\n");
        syscall(SYS_exit_group, 96);
    }
    char outcome[32] = "ok\n";
    if (result == -1)
        snprintf(outcome, sizeof outcome, "errno %d\n", errno);
    say(outcome);
    syscall(SYS_exit_group, 0);
}
