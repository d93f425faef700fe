/* Names that policies use: system calls (through libseccomp, which knows every machine's numbers), constants,
 * errnos.
 *
 * The constants come from this host's headers and are used for every machine, so only those may stand here
 * whose values are the same on x86-64 and aarch64 (O_DIRECTORY and O_NOFOLLOW, for one, are not). */
#include "seccomp/policy.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* Younger than the oldest headers we build with. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define SOCK_TYPE_MASK 0xf /* of socket(2)'s type argument: what is not SOCK_CLOEXEC or SOCK_NONBLOCK */

struct named {
    const char *name;
    uint64_t value;
};

/* Through 32 bits: a negative int (AT_FDCWD) is compared as the lower half of its register. */
#define C(name)                                                                                              \
    {                                                                                                        \
#name, (uint32_t)(name)                                                                              \
    }

static const struct named constants[] = {
    C(AF_UNIX),
    C(AF_INET),
    C(AF_INET6),
    C(AF_NETLINK),
    C(AF_UNSPEC),
    C(SOCK_STREAM),
    C(SOCK_DGRAM),
    C(SOCK_SEQPACKET),
    C(SOCK_RAW),
    C(SOCK_CLOEXEC),
    C(SOCK_NONBLOCK),
    C(SOCK_TYPE_MASK),
    C(IPPROTO_IP),
    C(IPPROTO_IPV6),
    C(IPPROTO_TCP),
    C(IPPROTO_UDP),
    C(SOL_SOCKET),
    C(SO_REUSEADDR),
    C(SO_KEEPALIVE),
    C(SO_SNDBUF),
    C(SO_RCVBUF),
    C(SO_SNDBUFFORCE),
    C(SO_RCVBUFFORCE),
    C(SO_ERROR),
    C(SO_LINGER),
    C(SO_BINDTODEVICE),
    C(SO_MARK),
    C(SO_PRIORITY),
    C(SO_BUSY_POLL),
    C(SO_ZEROCOPY),
    C(SO_TXTIME),
    C(SO_ATTACH_FILTER),
    C(TCP_NODELAY),
    C(TCP_KEEPIDLE),
    C(TCP_KEEPINTVL),
    C(TCP_KEEPCNT),
    C(TCP_USER_TIMEOUT),
    C(TCP_QUICKACK),
    C(TCP_CORK),
    C(TCP_NOTSENT_LOWAT),
    C(TCP_FASTOPEN_CONNECT),
    C(IPV6_V6ONLY),
    C(IPV6_RECVPKTINFO),
    C(IPV6_PKTINFO),
    C(IPV6_TCLASS),
    C(IPV6_RECVTCLASS),
    C(IPV6_MTU_DISCOVER),
    C(IPV6_RECVERR),
    C(IPV6_DONTFRAG),
    C(IP_PKTINFO),
    C(IP_TOS),
    C(IP_RECVTOS),
    C(IP_MTU_DISCOVER),
    C(IP_RECVERR),
    C(IP_BIND_ADDRESS_NO_PORT),
    C(UDP_SEGMENT),
    C(UDP_GRO),
    C(O_ACCMODE),
    C(O_RDONLY),
    C(O_WRONLY),
    C(O_RDWR),
    C(O_CREAT),
    C(O_EXCL),
    C(O_TRUNC),
    C(O_APPEND),
    C(O_NONBLOCK),
    C(O_CLOEXEC),
    C(AT_FDCWD),
    C(AT_EMPTY_PATH),
    C(PROT_NONE),
    C(PROT_READ),
    C(PROT_WRITE),
    C(PROT_EXEC),
    C(MAP_SHARED),
    C(MAP_PRIVATE),
    C(MAP_ANONYMOUS),
    C(MAP_FIXED),
    C(MADV_DONTNEED),
    C(MADV_FREE),
    C(MADV_DONTDUMP),
    C(MADV_DODUMP),
    C(MADV_HUGEPAGE),
    C(MADV_WIPEONFORK),
    C(F_DUPFD),
    C(F_DUPFD_CLOEXEC),
    C(F_GETFD),
    C(F_SETFD),
    C(F_GETFL),
    C(F_SETFL),
    C(FD_CLOEXEC),
    C(F_SETLK),
    C(F_OFD_SETLK),
    C(FIONBIO),
    C(FIONREAD),
    C(SIOCGIFINDEX),
    C(TCGETS),
    C(FUTEX_WAKE_PRIVATE),
    C(SIGPIPE),
    C(TIOCGWINSZ),
    C(PR_SET_NAME),
    C(PR_SET_PDEATHSIG),
    C(PR_GET_DUMPABLE),
    C(PR_SET_DUMPABLE),
    C(PR_SET_NO_NEW_PRIVS),
    C(PR_GET_NO_NEW_PRIVS),
    C(PR_CAP_AMBIENT),
    C(PR_CAPBSET_DROP),
    C(PR_CAPBSET_READ),
    C(PR_SET_SECUREBITS),
    C(PR_GET_SECUREBITS),
    C(PR_SET_VMA),
    C(PR_SET_MM),
    C(PR_GET_SECCOMP),
    C(SECCOMP_SET_MODE_FILTER),
    C(CLONE_NEWUSER),
    C(CLONE_NEWNS),
    C(CLONE_NEWPID),
    C(CLONE_NEWUTS),
    C(CLONE_NEWIPC),
    C(CLONE_NEWCGROUP),
    C(CLONE_NEWNET),
    C(CLONE_THREAD),
    C(CLONE_VM),
    C(SIGTERM),
    C(SIGKILL),
    C(SIGABRT),
    C(MSG_CMSG_CLOEXEC),
    C(MSG_DONTWAIT),
    C(MSG_NOSIGNAL),
    C(MSG_PEEK),
    C(MSG_ERRQUEUE),
};

static const struct named errnos[] = {
    C(EPERM),       C(EACCES),       C(ENOSYS), C(EINVAL),     C(ENOENT),
    C(EINPROGRESS), C(EAFNOSUPPORT), C(ENOTTY), C(EOPNOTSUPP),
};

static bool named_find(const struct named *table, size_t count, const char *name, uint64_t *value)
{
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(table[i].name, name)) {
            *value = table[i].value;
            return true;
        }
    }
    return false;
}

bool policy_constant(const char *name, uint64_t *value)
{
    return named_find(constants, sizeof constants / sizeof constants[0], name, value);
}

bool policy_errno(const char *name, uint16_t *value)
{
    uint64_t wide;
    if (!named_find(errnos, sizeof errnos / sizeof errnos[0], name, &wide))
        return false;
    *value = (uint16_t)wide;
    return true;
}

int policy_syscall_number(const char *name, enum policy_arch arch)
{
    static const uint32_t tokens[POLICY_ARCHES] = {SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64};
    int number = seccomp_syscall_resolve_name_arch(tokens[arch], name);
    return number < 0 ? -1 : number;
}
