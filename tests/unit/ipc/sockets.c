/* Each maker leaves exactly one new descriptor. */
#include "tests/unit/ipc/sockets.h"

#include "common/rule.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int must(int result)
{
    ck_assert_int_ge(result, 0);
    return result;
}

static int pipe_end(int which)
{
    int fds[2];
    must(pipe(fds));
    close(fds[!which]);
    return fds[which];
}

static int pipe_reader(void)
{
    return pipe_end(0);
}

static int pipe_writer(void)
{
    return pipe_end(1);
}

static int regular_file(void)
{
    return must(memfd_create("file", MFD_CLOEXEC));
}

static int directory(void)
{
    return must(open("/", O_RDONLY | O_DIRECTORY));
}

static int bare_path(void)
{
    return must(open("/", O_PATH));
}

static int device(void)
{
    return must(open("/dev/null", O_RDWR));
}

static int event_counter(void)
{
    return must(eventfd(0, 0));
}

static int event_queue(void)
{
    return must(epoll_create1(0));
}

static int unix_pair(int type)
{
    int fds[2];
    must(socketpair(AF_UNIX, type, 0, fds));
    close(fds[1]);
    return fds[0];
}

static int unix_stream(void)
{
    return unix_pair(SOCK_STREAM);
}

static int unix_dgram(void)
{
    return unix_pair(SOCK_DGRAM);
}

static int unix_seqpacket(void)
{
    return unix_pair(SOCK_SEQPACKET);
}

static int unix_listening(int type)
{
    /* Without a name the kernel chooses an abstract one. */
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = must(socket(AF_UNIX, type, 0));
    must(bind(fd, (const struct sockaddr *)&any, offsetof(struct sockaddr_un, sun_path)));
    must(listen(fd, 1));
    return fd;
}

static int unix_stream_listener(void)
{
    return unix_listening(SOCK_STREAM);
}

static int unix_seqpacket_listener(void)
{
    return unix_listening(SOCK_SEQPACKET);
}

static int unix_stream_alone(void)
{
    return must(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int unix_seqpacket_alone(void)
{
    return must(socket(AF_UNIX, SOCK_SEQPACKET, 0));
}

static int netlink(void)
{
    return must(socket(AF_NETLINK, SOCK_RAW, 0));
}

static socklen_t loopback(int family, struct sockaddr_storage *out)
{
    *out = (struct sockaddr_storage){.ss_family = (sa_family_t)family};
    if (family == AF_INET) {
        ((struct sockaddr_in *)out)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(struct sockaddr_in);
    }
    ((struct sockaddr_in6 *)out)->sin6_addr = in6addr_loopback;
    return sizeof(struct sockaddr_in6);
}

/* -1 where the host has no such loopback address. */
static int bound(int family, int type)
{
    struct sockaddr_storage address;
    socklen_t length = loopback(family, &address);
    int fd = socket(family, type, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, length) == 0)
        return fd;
    ck_assert_int_eq(family, AF_INET6);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int listening(int family)
{
    int fd = bound(family, SOCK_STREAM);
    if (fd >= 0)
        must(listen(fd, 1));
    return fd;
}

static void connect_to(int fd, int other)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    must(getsockname(other, (struct sockaddr *)&address, &length));
    must(connect(fd, (const struct sockaddr *)&address, length));
}

/* `reset`: the other side ends it so that no peer is left. */
static int tcp(int family, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int listener = listening(family);
    if (listener < 0)
        return -1;
    int fd = must(socket(family, SOCK_STREAM, 0));
    connect_to(fd, listener);
    int accepted = must(accept(listener, NULL, NULL));
    if (reset)
        must(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &now, sizeof now));
    close(accepted);
    close(listener);
    return fd;
}

static int tcp4(void)
{
    return tcp(AF_INET, false);
}

static int tcp6(void)
{
    return tcp(AF_INET6, false);
}

static int tcp4_reset(void)
{
    return tcp(AF_INET, true);
}

static int tcp4_listener(void)
{
    return listening(AF_INET);
}

static int tcp6_listener(void)
{
    return listening(AF_INET6);
}

static int tcp4_alone(void)
{
    return must(socket(AF_INET, SOCK_STREAM, 0));
}

/* What looks like TCP or UDP but for its protocol; -1 where the kernel has none. */
static int other_protocol(int type, int protocol, bool listens)
{
    struct sockaddr_storage address;
    socklen_t length = loopback(AF_INET, &address);
    int fd = socket(AF_INET, type, protocol);
    if (fd < 0)
        return -1;
    must(bind(fd, (const struct sockaddr *)&address, length));
    if (listens)
        must(listen(fd, 1));
    return fd;
}

static int mptcp_bound(void)
{
    return other_protocol(SOCK_STREAM, IPPROTO_MPTCP, false);
}

static int mptcp_listener(void)
{
    return other_protocol(SOCK_STREAM, IPPROTO_MPTCP, true);
}

static int udplite_bound(void)
{
    return other_protocol(SOCK_DGRAM, IPPROTO_UDPLITE, false);
}

static int udp4_alone(void)
{
    return must(socket(AF_INET, SOCK_DGRAM, 0));
}

static int udp4_bound(void)
{
    return bound(AF_INET, SOCK_DGRAM);
}

static int udp6_bound(void)
{
    return bound(AF_INET6, SOCK_DGRAM);
}

static int udp(int family)
{
    int other = bound(family, SOCK_DGRAM);
    if (other < 0)
        return -1;
    int fd = must(socket(family, SOCK_DGRAM, 0));
    connect_to(fd, other);
    close(other);
    return fd;
}

static int udp4(void)
{
    return udp(AF_INET);
}

static int udp6(void)
{
    return udp(AF_INET6);
}

#define KIND(name) (1u << IPC_FD_##name)

const struct specimen specimens[] = {
    {"pipe, reading end", pipe_reader, 0},
    {"pipe, writing end", pipe_writer, 0},
    {"regular file", regular_file, 0},
    {"directory", directory, 0},
    {"path", bare_path, 0},
    {"device", device, 0},
    {"eventfd", event_counter, 0},
    {"epoll", event_queue, 0},
    {"netlink socket", netlink, 0},
    {"Unix stream", unix_stream, KIND(UNIX_CLIENT)},
    {"Unix stream, alone", unix_stream_alone, KIND(UNIX_CLIENT)},
    {"Unix stream listener", unix_stream_listener, KIND(UNIX_LISTENER)},
    {"Unix datagrams", unix_dgram, 0},
    {"Unix seqpacket", unix_seqpacket, KIND(LINK)},
    {"Unix seqpacket, alone", unix_seqpacket_alone, 0},
    {"Unix seqpacket listener", unix_seqpacket_listener, 0},
    {"TCP over IPv4", tcp4, KIND(TCP_CONNECTED)},
    {"TCP over IPv6", tcp6, KIND(TCP_CONNECTED)},
    {"TCP, reset since", tcp4_reset, KIND(TCP_CONNECTED)},
    {"TCP, alone", tcp4_alone, 0},
    {"TCP listener, IPv4", tcp4_listener, KIND(TCP_LISTENER)},
    {"TCP listener, IPv6", tcp6_listener, KIND(TCP_LISTENER)},
    {"MPTCP, bound", mptcp_bound, 0},
    {"MPTCP listener", mptcp_listener, 0},
    {"UDP-Lite, bound", udplite_bound, 0},
    {"UDP, alone", udp4_alone, 0},
    {"UDP bound, IPv4", udp4_bound, KIND(UDP_BOUND)},
    {"UDP bound, IPv6", udp6_bound, KIND(UDP_BOUND)},
    {"UDP connected, IPv4", udp4, KIND(UDP_CONNECTED)},
    {"UDP connected, IPv6", udp6, KIND(UDP_CONNECTED)},
};
const size_t specimen_count = sizeof specimens / sizeof specimens[0];

int socket_of(enum ipc_fd_kind kind, uint8_t protocol)
{
    if (kind == IPC_FD_BY_PROTOCOL)
        kind = protocol == RULE_TCP ? IPC_FD_TCP_CONNECTED : IPC_FD_UDP_CONNECTED;
    for (size_t i = 0; i < specimen_count; i++)
        if (specimens[i].kinds & 1u << kind)
            return specimens[i].make();
    ck_abort_msg("no specimen of kind %u", (unsigned)kind);
}

size_t open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(dir);
    size_t count = 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static size_t fds_found;

static void fds_count(void)
{
    fds_found = open_fds();
}

static void fds_compare(void)
{
    ck_assert_uint_eq(open_fds(), fds_found);
}

void open_fds_guard(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, fds_count, fds_compare);
}

bool fd_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

uint64_t fd_identity(int fd)
{
    struct stat status;
    must(fstat(fd, &status));
    return (uint64_t)status.st_ino;
}
