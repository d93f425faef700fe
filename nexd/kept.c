/* A descriptor that proxyd hands up is believed only after its own address says the same port as the message:
 * a proxyd that was taken over cannot plant another socket under a rule's port. */
#include "nexd/kept.h"

#include "common/array.h"
#include "common/err.h"
#include "common/fd.h"

#include <stdlib.h>
#include <sys/socket.h>

void kept_init(struct kept *kept)
{
    *kept = (struct kept){.tunnel4 = -1, .tunnel6 = -1};
}

void kept_free(struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++)
        fd_close(&kept->sockets[i].fd);
    free(kept->sockets);
    fd_close(&kept->tunnel4);
    fd_close(&kept->tunnel6);
    kept_init(kept);
}

static bool bound_to(int fd, uint16_t port, const struct netaddr *at)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    struct netsock local;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           netsock_from_sockaddr((const struct sockaddr *)&address, length, &local) == NX_OK &&
           local.port == port && (at->family == NETADDR_NONE || netaddr_equal(&local.addr, at));
}

int kept_put(struct kept *kept, enum rule_protocol protocol, uint16_t port, const struct netaddr *address,
             int *fd)
{
    if (!bound_to(*fd, port, address))
        return NX_EPROTO;
    for (size_t i = 0; i < kept->count; i++) {
        struct kept_socket *old = &kept->sockets[i];
        if (old->protocol != protocol || old->port != port)
            continue;
        fd_close(&old->fd);
        old->fd = fd_release(fd);
        return NX_OK;
    }
    struct kept_socket *grown =
        array_reserve(kept->sockets, &kept->capacity, kept->count + 1, sizeof *kept->sockets);
    if (!grown)
        return NX_ENOMEM;
    kept->sockets = grown;
    kept->sockets[kept->count++] =
        (struct kept_socket){.protocol = protocol, .port = port, .fd = fd_release(fd)};
    return NX_OK;
}

void kept_drop(struct kept *kept, enum rule_protocol protocol, uint16_t port)
{
    for (size_t i = 0; i < kept->count; i++) {
        struct kept_socket *socket = &kept->sockets[i];
        if (socket->protocol != protocol || socket->port != port)
            continue;
        fd_close(&socket->fd);
        *socket = kept->sockets[--kept->count];
        return;
    }
}

void kept_drop_listeners(struct kept *kept)
{
    for (size_t i = kept->count; i-- > 0;)
        if (kept->sockets[i].protocol == RULE_TCP)
            kept_drop(kept, RULE_TCP, kept->sockets[i].port);
}

int kept_put_tunnel(struct kept *kept, uint16_t port, int *udp4, int *udp6)
{
    static const struct netaddr any = {.family = NETADDR_NONE};
    if (kept->tunnel4 >= 0)
        return NX_EEXIST;
    if (!bound_to(*udp4, port, &any) || (*udp6 >= 0 && !bound_to(*udp6, port, &any)))
        return NX_EPROTO;
    kept->tunnel4 = fd_release(udp4);
    kept->tunnel6 = fd_release(udp6);
    kept->tunnel_port = port;
    return NX_OK;
}
