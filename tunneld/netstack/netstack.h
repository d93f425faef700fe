/* lwIP as one layer-3 interface without a device: the tunnel's addresses, TCP connections to raw-API
 * callbacks, UDP as plain calls, ICMP answered. There is one netstack in a process (lwIP is global); tunneld
 * only, one thread.
 *
 * Packets come in through netstack_input() and leave through ops->output_begin/end. Output that a batch of
 * input causes is collected (an ACK is sent once a batch) until netstack_flush(). What is sent to one of our
 * own tunnel addresses comes back in through the same door. */
#ifndef NEXD_TUNNELD_NETSTACK_H
#define NEXD_TUNNELD_NETSTACK_H

#include "common/netaddr.h"
#include "common/timerq.h"
#include "lwip/tcp.h"
#include "tunneld/rxbuf.h"
#include <sys/uio.h>

/* A SYN that waits for its destination to be connected. Enough of it is kept to let it in later. */
struct netstack_syn {
    struct netsock remote, local;
    uint32_t sequence;
    uint8_t tcp_length; /* header and options, bytes */
    uint8_t tcp[60];    /* as on the wire */
};

struct netstack_ops {
    /* Does any peer have this address? */
    bool (*routable)(void *arg, const struct netaddr *dst);
    /* Room for an inner packet towards `dst`; NX_OK and *slot, or why not (the packet is then dropped). */
    int (*output_begin)(void *arg, const struct netaddr *dst, size_t length, uint8_t **slot);
    void (*output_end)(void *arg);
    /* A SYN for a port opened by netstack_listen(): call netstack_syn_accept() or netstack_syn_reset() later.
     */
    void (*on_syn)(void *arg, const struct netstack_syn *syn);
    /* The handshake of a connection let in by netstack_syn_accept() is complete. `flow` is its tcp_arg(). */
    void (*on_accepted)(void *arg, void *flow);
    /* A whole UDP datagram; the data is valid during the call. False = nobody wants it (ICMP tells the
     * sender). */
    bool (*on_udp)(void *arg, const struct netsock *from, const struct netsock *to, const uint8_t *data,
                   size_t length);
};

struct netstack_counters {
    uint64_t rx_packets, rx_foreign, rx_malformed, rx_no_memory, tx_packets, tx_dropped, loop_packets,
        loop_dropped, answers_limited;
};

/* Sets the stack up with up to 16 addresses. `queue` drives its timers. NX_OK, NX_ENOMEM, NX_ERANGE (more
 * IPv6 addresses than lwIP's interface holds). */
int netstack_init(const struct netaddr *addresses, size_t count, uint16_t mtu, struct timerq *queue,
                  const struct netstack_ops *ops, void *arg);
/* One inner packet of a peer whose data lies in `owner` (NULL: it is copied). Dropped if its source is one of
 * our own addresses. */
void netstack_input(const uint8_t *data, size_t length, struct rxbuf *owner);
/* Sends what has been collected and delivers what loops back, until nothing is left or `rounds` have passed.
 * Returns true if more is to be done. */
bool netstack_flush(unsigned rounds);

bool netstack_is_own(const struct netaddr *addr);
/* Our address of that family, or NULL. */
const struct netaddr *netstack_own_address(uint8_t family);

/* Opens or closes a TCP port on every tunnel address. NX_ENOMEM. */
int netstack_listen(uint16_t port);
void netstack_unlisten(uint16_t port);
/* Lets the SYN in. Returns the connection in SYN-RCVD, on which the caller sets its callbacks now, or NULL.
 */
struct tcp_pcb *netstack_syn_accept(const struct netstack_syn *syn);
void netstack_syn_reset(const struct netstack_syn *syn);
/* A new connection from a free port of ours; callbacks as with tcp_connect(). The caller has set arg and err
 * callbacks on
 * `*pcb` through `prepare`. NX_ENOENT: no address of the destination's family, or no peer has it; NX_ENOMEM;
 * NX_EAGAIN: no free port. */
int netstack_connect(const struct netsock *dest, void (*prepare)(struct tcp_pcb *, void *),
                     tcp_connected_fn connected, void *arg, struct tcp_pcb **pcb);
/* Marks a connection for output at the next netstack_flush(). */
void netstack_output_later(struct tcp_pcb *pcb);
/* Leaves a connection whose callbacks are off to the stack, which sends what is left and closes it;
 * `unacked_bytes` of the caller's are in it, and count as held from now on. Takes the connection over. */
void netstack_close(struct tcp_pcb *pcb, size_t unacked_bytes);
size_t netstack_tcp_count(void);
/* Algorithm of connections opened from now on: "bbr" (as long as nothing is said) or "cubic". NX_ENOENT. */
int netstack_congestion_control(const char *name);
/* How a connection's path looks from here; false: not known (any more). */
struct netstack_transport {
    const char *algorithm;
    uint64_t rtt_ns, min_rtt_ns; /* 0 = not measured yet */
    uint64_t cwnd_bytes, retransmitted_bytes;
    uint64_t pacing_rate, delivery_rate; /* bytes a second; 0 = not known */
};
bool netstack_transport(const struct tcp_pcb *pcb, struct netstack_transport *out);
/* Bytes that all connections may hold, and where the caller counts what it holds itself of them. */
void netstack_memory_set(size_t limit_bytes, const size_t *held_bytes);
/* What is left of them. */
size_t netstack_memory_left(void);
/* The application has had its turn and has left so many bytes: the receive window may grow; or no more is
 * taken in, where memory is short. */
void netstack_window_measure(struct tcp_pcb *pcb, size_t left_bytes);

/* Sends a UDP datagram (up to 65,507 bytes over IPv4, 65,527 over IPv6), fragmented where needed. */
int netstack_udp_send(const struct netsock *from, const struct netsock *to, const uint8_t *data,
                      size_t length);

const struct netstack_counters *netstack_counters_get(void);

/* Conversions at the border to lwIP's types. */
void netstack_to_lwip(const struct netaddr *addr, ip_addr_t *out);
void netstack_from_lwip(const ip_addr_t *addr, struct netaddr *out);

#endif
