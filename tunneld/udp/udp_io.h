/* The tunnel's UDP sockets, in batches: UDP_GRO and recvmmsg(2) in, UDP_SEGMENT and sendmmsg(2) out, with a
 * way round where the kernel or the network card lacks segmentation. The sockets come from proxyd by way of
 * the parent. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_UDP_IO_H
#define NEXD_TUNNELD_UDP_IO_H

#include "tunneld/wireguard/wireguard.h"

struct event_base;

struct udp_io_counters {
    uint64_t rx_datagrams, rx_bytes, rx_batches, rx_stun, tx_datagrams, tx_bytes, tx_dropped, tx_unsegmented;
};

/* `receive` gets each batch; a datagram's owner is the struct rxbuf its bytes lie in. */
typedef void (*udp_io_receive_fn)(void *arg, struct wg_datagram *datagrams, size_t count);

void udp_io_init(struct event_base *base, udp_io_receive_fn receive, void *arg);
/* What has the form of a STUN answer goes here and not into the batch. */
typedef void (*udp_io_stun_fn)(void *arg, const uint8_t *data, size_t length, const struct netsock *from);
void udp_io_set_stun(udp_io_stun_fn receive, void *arg);
/* Takes over both descriptors (fd6 may be -1) in place of older ones. NX_OK or NX_ENOMEM. */
int udp_io_set_sockets(int fd4, int fd6);
void udp_io_close(void);
/* wg_ops.transmit: sends at once or drops. */
void udp_io_transmit(const struct wg_out *out, size_t count);
const struct udp_io_counters *udp_io_counters_get(void);

#endif
