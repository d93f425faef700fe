/* Sockets that outlive the child which made them: egress listeners, egress UDP sockets and the tunnel's own
 * UDP sockets. proxyd makes them and gives the parent a duplicate; a restarted child gets them again, so no
 * queued connection, port or NAT mapping is lost. Only the parent process. */
#ifndef NEXD_NEXD_KEPT_H
#define NEXD_NEXD_KEPT_H

#include "common/rule.h"
#include <stddef.h>

struct kept_socket {
    enum rule_protocol protocol;
    uint16_t port;
    int fd;
};

struct kept {
    struct kept_socket *sockets;
    size_t count, capacity;
    int tunnel4, tunnel6; /* -1 = not bound (yet) */
    uint16_t tunnel_port;
};

void kept_init(struct kept *kept);
/* Closes everything. */
void kept_free(struct kept *kept);

/* Keeps the socket of an egress port, replacing an older one of that port and protocol. Takes *fd over (sets
 * it to -1) on NX_OK. NX_EPROTO: the descriptor is not bound to that port, or not at `address` (family
 * NETADDR_NONE: at whichever); NX_ENOMEM. */
int kept_put(struct kept *kept, enum rule_protocol protocol, uint16_t port, const struct netaddr *address,
             int *fd);
/* Closes the kept socket of an egress port, if there is one. */
/* Gives up every TCP listener. */
void kept_drop_listeners(struct kept *kept);
void kept_drop(struct kept *kept, enum rule_protocol protocol, uint16_t port);
/* Keeps the tunnel's sockets, likewise; *udp6 may be -1. NX_EEXIST: there are some already. */
int kept_put_tunnel(struct kept *kept, uint16_t port, int *udp4, int *udp6);

#endif
