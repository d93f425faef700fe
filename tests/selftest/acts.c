/* Acts that need more than one call, or values that are known only when they are performed. */
#include "tests/selftest/acts.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct act_fds act_fds;
static char buffer[4096];

static long act_bind(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return syscall(SYS_bind, act_fds.udp, &any, sizeof any);
}

static long act_bind_tcp(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return syscall(SYS_bind, act_fds.tcp, &any, sizeof any);
}

static long act_connect(void)
{
    const struct sockaddr_in discard = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    return syscall(SYS_connect, act_fds.tcp, &discard, sizeof discard);
}

static long act_listen(void)
{
    return syscall(SYS_listen, act_fds.tcp, 1);
}

/* A datagram with an address of its own: what a process that owns an unconnected UDP socket may have to be
 * able to do. */
static long act_sendto_address(void)
{
    const struct sockaddr_in discard = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
    return syscall(SYS_sendto, act_fds.udp, "", 1, MSG_DONTWAIT, &discard, sizeof discard);
}

static long setsockopt_int(int fd, int level, int name)
{
    int one = 1;
    return syscall(SYS_setsockopt, fd, level, name, &one, sizeof one);
}

static long act_setsockopt_nodelay(void)
{
    return setsockopt_int(act_fds.tcp, IPPROTO_TCP, TCP_NODELAY);
}

static long act_setsockopt_linger(void)
{
    const struct linger now = {.l_onoff = 1};
    return syscall(SYS_setsockopt, act_fds.tcp, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static long act_setsockopt_mark(void)
{
    return setsockopt_int(act_fds.tcp, SOL_SOCKET, SO_MARK);
}

static long act_setsockopt_bindtodevice(void)
{
    return syscall(SYS_setsockopt, act_fds.udp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
}

static long act_setsockopt_attach_filter(void)
{
    return setsockopt_int(act_fds.udp, SOL_SOCKET, SO_ATTACH_FILTER);
}

static long act_setsockopt_ulp(void)
{
    return syscall(SYS_setsockopt, act_fds.tcp, IPPROTO_TCP, TCP_ULP, "tls", 3);
}

static long act_ioctl_tiocsti(void)
{
    return syscall(SYS_ioctl, act_fds.file, TIOCSTI, "x");
}

static long act_ioctl_tioclinux(void)
{
    return syscall(SYS_ioctl, act_fds.file, TIOCLINUX, buffer);
}

static long act_ioctl_ifconf(void)
{
    return syscall(SYS_ioctl, act_fds.udp, 0x8912 /* SIOCGIFCONF */, buffer);
}

static long act_ioctl_fionbio(void)
{
    int one = 1;
    return syscall(SYS_ioctl, act_fds.udp, FIONBIO, &one);
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
    return syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, act_fds.file, 0);
}

static long act_mmap_file_exec(void)
{
    return syscall(SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, act_fds.file, 0);
}

/* The upper half of a register that carries an int is ignored by the kernel, and must not fool the filter. */
static long act_mmap_exec_upper_bits(void)
{
    return syscall(SYS_mmap, 0, 4096, 0x100000000L | PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                   0);
}

static long act_fstat_descriptor(void)
{
    return syscall(SYS_newfstatat, act_fds.file, "", buffer, AT_EMPTY_PATH);
}

static long act_fcntl_setlk(void)
{
    const struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    return syscall(SYS_fcntl, act_fds.file, F_SETLK, &lock);
}

static long act_fcntl_setown(void)
{
    return syscall(SYS_fcntl, act_fds.udp, F_SETOWN, getppid());
}

static long act_fcntl_getfl(void)
{
    return syscall(SYS_fcntl, act_fds.udp, F_GETFL);
}

static long act_fchmod(void)
{
    return syscall(SYS_fchmod, act_fds.file, 0777);
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
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, -1);
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

const char *act_name(size_t index)
{
    return index < sizeof acts / sizeof acts[0] ? acts[index].name : NULL;
}

bool act_perform(const char *name, long *result)
{
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, name) != 0)
            continue;
        *result = acts[i].perform();
        return true;
    }
    return false;
}
