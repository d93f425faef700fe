/* Host-side UDP sockets as batches of datagrams with both addresses. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_UDP_HOST_H
#define NEXD_TUNNELD_UDP_HOST_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stddef.h>

enum { UDP_HOST_BATCH = 64 };

struct udp_host_datagram {
    const uint8_t *data; /* valid until the next receive */
    size_t length;
    struct netsock from;
    struct netaddr to; /* the local address it was sent to; family NETADDR_NONE if the kernel did not tell */
};

/* Receives up to UDP_HOST_BATCH datagrams without blocking. Returns their number; 0 when there is none; -1 on
 * a socket error (errno), such as ECONNREFUSED on a connected socket. */
int udp_host_receive(int fd, bool connected, struct udp_host_datagram *out);

/* Where a datagram leaves. */
struct udp_host_way {
    int fd;
    bool v6;             /* the socket is AF_INET6 */
    struct netsock to;   /* port 0: the socket is connected */
    struct netaddr from; /* local address; family NETADDR_NONE: the kernel chooses */
};

/* Copies a datagram into the queue of what is to be sent; a full queue is flushed. */
void udp_host_send(const struct udp_host_way *way, const uint8_t *data, size_t length);
/* Sends what is queued: at the end of each batch, and before any of its sockets is closed. Returns how many
 * datagrams the kernel has not taken since the last call. */
size_t udp_host_flush(void);

#endif
