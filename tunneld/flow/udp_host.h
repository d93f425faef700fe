/* Host-side UDP sockets as batches of datagrams with both addresses. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_UDP_HOST_H
#define NEXD_TUNNELD_UDP_HOST_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stddef.h>

enum { UDP_HOST_BATCH = 16 };

struct udp_host_datagram {
    const uint8_t *data; /* valid until the next receive */
    size_t length;
    struct netsock from;
    struct netaddr to; /* the local address it was sent to; family NETADDR_NONE if the kernel did not tell */
};

/* Receives up to UDP_HOST_BATCH datagrams without blocking. Returns their number; 0 when there is none; -1 on
 * a socket error (errno), such as ECONNREFUSED on a connected socket. */
int udp_host_receive(int fd, bool connected, struct udp_host_datagram *out);
/* Sends to `to` from the local address `from` (family NETADDR_NONE: the kernel chooses); `v6`: the socket is
 * AF_INET6. False: dropped. */
bool udp_host_send(int fd, bool v6, const struct netaddr *from, const struct netsock *to, const uint8_t *data,
                   size_t length);

#endif
