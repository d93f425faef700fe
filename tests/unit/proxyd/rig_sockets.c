/* The test's own ends of connections, on loopback. */
#include "common/err.h"
#include "common/fd.h"
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

struct netsock rig_sock(const char *address, uint16_t port)
{
    struct netsock sock = {.port = port};
    ck_assert_int_eq(netaddr_parse(address, &sock.addr), NX_OK);
    return sock;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    struct netsock sock;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&address, length, &sock), NX_OK);
    return sock.port;
}

static int bound_socket(const char *address, int type, uint16_t *port)
{
    const struct netsock sock = rig_sock(address, *port);
    struct sockaddr_storage storage;
    const socklen_t length = netsock_to_sockaddr(&sock, &storage);
    const int fd = socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    /* A port that another socket had may be held by its last connection, or for a moment by someone's else.
     */
    const int one = 1;
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    int bound = bind(fd, (struct sockaddr *)&storage, length);
    for (unsigned i = 0; bound != 0 && errno == EADDRINUSE && i < 250; i++) {
        (void)poll(NULL, 0, 20);
        bound = bind(fd, (struct sockaddr *)&storage, length);
    }
    ck_assert_int_eq(bound, 0);
    *port = port_of(fd);
    return fd;
}

int rig_listen(const char *address, uint16_t *port)
{
    const int fd = bound_socket(address, SOCK_STREAM, port);
    ck_assert_int_eq(listen(fd, 128), 0);
    return fd;
}

int rig_bind_udp(const char *address, uint16_t *port)
{
    return bound_socket(address, SOCK_DGRAM, port);
}

uint16_t rig_free_port(int type)
{
    uint16_t port = 0;
    close(bound_socket("0.0.0.0", type, &port));
    return port;
}

int rig_connect(const char *address, uint16_t port)
{
    const struct netsock sock = rig_sock(address, port);
    const struct timeval wait = {5, 0};
    struct sockaddr_storage storage;
    const socklen_t length = netsock_to_sockaddr(&sock, &storage);
    FD_AUTO int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (struct sockaddr *)&storage, length))
        return -1;
    return fd_release(&fd);
}
