#include "apid/listen.h"

#include "common/err.h"
#include "common/fd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { BACKLOG = 1024 };

int listen_open(const struct netsock *where, int *fd, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t length = netsock_to_sockaddr(where, &address);
    struct netsock bound;
    const int on = 1, off = 0;
    FD_AUTO int sock = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (sock < 0)
        return NX_ESYS;
    /* TCP_NODELAY passes to accepted connections: an answer's header and body are written one after the
     * other. */
    if (setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        (address.ss_family == AF_INET6 && setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))) ||
        bind(sock, (struct sockaddr *)&address, length) || listen(sock, BACKLOG))
        return NX_ESYS;
    length = sizeof(address);
    if (getsockname(sock, (struct sockaddr *)&address, &length) ||
        netsock_from_sockaddr((struct sockaddr *)&address, length, &bound))
        return NX_ESYS;
    *port = bound.port;
    *fd = fd_release(&sock);
    return NX_OK;
}
