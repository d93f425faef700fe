/* The test's own ends of connections, on loopback. */
#include "common/err.h"
#include "common/fd.h"
#include "rig.h"

#include <sys/socket.h>
#include <sys/time.h>

struct netsock rig_sock(const char *address, uint16_t port)
{
    struct netsock sock = {.port = port};
    ck_assert_int_eq(netaddr_parse(address, &sock.addr), NX_OK);
    return sock;
}

static int try_bind(const char *address, int type, uint16_t port, int reuse)
{
    const struct netsock sock = rig_sock(address, port);
    struct sockaddr_storage storage;
    const socklen_t length = netsock_to_sockaddr(&sock, &storage);
    const int fd = socket(storage.ss_family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse), 0);
    if (bind(fd, (struct sockaddr *)&storage, length) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Free at every address of the host, and below the ports that the system gives to connections: one of those
 * may be somebody's at another address of loopback, or become so between two uses. */
static uint16_t free_port(int type)
{
    static unsigned tries;
    for (unsigned i = 0; i < 1000; i++) {
        const uint16_t port = (uint16_t)(10000 + ((unsigned)getpid() * 16 + tries++) % 20000);
        const int fd = try_bind("::", type, port, 0); /* of both families */
        if (fd < 0)
            continue;
        close(fd);
        return port;
    }
    ck_abort_msg("no free port");
    return 0;
}

static int bound_socket(const char *address, int type, uint16_t *port)
{
    if (*port == 0)
        *port = free_port(type);
    const int fd = try_bind(address, type, *port, 1);
    ck_assert_msg(fd >= 0, "port %u at %s: %m", *port, address);
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
    return free_port(type);
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
