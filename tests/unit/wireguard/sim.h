/* Devices joined by a network that exists only in memory, on a clock that only the test moves.
 *
 * Datagrams that a device transmits are cut as UDP_SEGMENT would, checked against the contract of wg_out, and
 * put on the wire, where a test may drop, keep or change each one. What arrives at a device at one moment is
 * one batch. */
#ifndef NEXD_TESTS_WIREGUARD_SIM_H
#define NEXD_TESTS_WIREGUARD_SIM_H

#include "tunneld/wireguard/device.h"

enum {
    SIM_NODES_MAX = 3,
    SIM_DATAGRAM_MAX = 10000,
    SIM_WIRE_MAX = 4096,
    SIM_RECEIVED_MAX = 8192,
    SIM_TYPES = 5
};

struct sim;

struct sim_received {
    uint32_t tag; /* the test's number in the packet */
    size_t length;
    uint8_t from[32]; /* the peer's public key */
};

struct sim_node {
    struct sim *sim;
    struct noise_identity *identity;
    struct wg_device *device;
    struct timerq queue;
    struct netsock address; /* outside */
    struct netaddr tunnel_v4, tunnel_v6;
    uint8_t private_key[32], public_key[32];
    uint64_t sent[SIM_TYPES];   /* datagrams by message type */
    uint64_t transmits, groups; /* calls, and groups in them */
    struct sim_received received[SIM_RECEIVED_MAX];
    size_t received_count, deliveries;
    void (*on_deliver)(struct sim_node *node, const struct wg_inner *packets, size_t count);
    void (*on_transmit)(struct sim_node *node);
};

struct sim_datagram {
    struct netsock from, to;
    size_t length;
    uint8_t data[SIM_DATAGRAM_MAX];
};

struct sim {
    uint64_t now_ns, wall_offset_ns;
    struct sim_node nodes[SIM_NODES_MAX];
    size_t node_count;
    struct sim_datagram *wire[SIM_WIRE_MAX];
    size_t wire_count;
    /* Sees each datagram that a device sends, may change it; false drops it. */
    bool (*filter)(struct sim *sim, struct sim_datagram *datagram);
    uint64_t filter_count;
    void *filter_arg;
};

/* `node_count` devices at 192.0.2.1 and on, port 51820, tunnel addresses 10.0.0.1 and on and fd00::1 and on.
 * No peers. */
struct sim *sim_new(size_t node_count);
void sim_free(struct sim *sim);
/* Makes node `to` a peer of node `from`: its tunnel addresses, and its outside address where `with_endpoint`.
 */
void sim_peer_add(struct sim *sim, size_t from, size_t to, bool with_endpoint, uint16_t keepalive_s);
/* Two nodes that know each other, only the first knows where the other is. */
struct sim *sim_pair_new(void);

/* Sends an IPv4 packet of `length` bytes with `tag` to the other node; returns what wg_tx_begin() did. Not
 * flushed. */
int sim_send(struct sim *sim, size_t from, size_t to, size_t length, uint32_t tag);
int sim_send_v6(struct sim *sim, size_t from, size_t to, size_t length, uint32_t tag);
/* Flushes and carries datagrams until nothing moves any more; time stands still. */
void sim_settle(struct sim *sim);
/* Lets time pass, timers fire and datagrams move. */
void sim_advance(struct sim *sim, uint64_t ns);
/* Hands datagrams to a device as one batch, from any address; copies them. */
void sim_inject(struct sim *sim, size_t to, const struct sim_datagram *datagrams, size_t count);

/* Writes an IP packet with `tag` behind its header. */
void sim_packet_v4(uint8_t *out, size_t length, const struct netaddr *src, const struct netaddr *dst,
                   uint32_t tag);
void sim_packet_v6(uint8_t *out, size_t length, const struct netaddr *src, const struct netaddr *dst,
                   uint32_t tag);
struct netaddr sim_addr(const char *text);
struct netprefix sim_prefix(const char *text);
struct wg_peer *sim_peer(struct sim *sim, size_t node, size_t of);
uint32_t sim_message_type(const struct sim_datagram *datagram);
/* Whether the first node's packets reach the second: sends one and looks. */
bool sim_reaches(struct sim *sim, size_t from, size_t to);

#endif
