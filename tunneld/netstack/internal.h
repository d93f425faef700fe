/* What the files of netstack/ share; nobody else includes it. */
#ifndef NEXD_TUNNELD_NETSTACK_INTERNAL_H
#define NEXD_TUNNELD_NETSTACK_INTERNAL_H

#include "lwip/netif.h"
#include "tunneld/netstack/netstack.h"

struct netstack {
    const struct netstack_ops *ops;
    void *arg;
    struct netaddr own[16];
    size_t own_count;
    uint16_t mtu;
    struct netif netifs[16]; /* lwIP's interface has one IPv4 address: one interface for each */
    size_t netif_count;
    struct netstack_counters counters;
    size_t gap_bytes;    /* kept for all connections behind gaps */
    size_t orphan_bytes; /* of orphans (tcp_orphan.c), not acknowledged */
    size_t orphan_count;
    size_t orphans_max;
    size_t window_bytes;      /* by which all connections' receive windows have grown: they may be filled */
    size_t memory_limit;      /* for them and for what flow/ holds */
    const size_t *flow_bytes; /* what flow/ holds */
    bool ticks_fresh;         /* lwIP's clock has been set in this turn */
};

extern struct netstack netstack;

/* netstack.c: a packet that came from ourselves. */
void netstack_input_own(const uint8_t *data, size_t length);

/* netstack_timers.c: arms lwIP's timers when there is something to time. */
int netstack_timers_init(struct timerq *queue);
void netstack_timers_fragment_seen(void);

/* netstack_udp.c: takes UDP from lwIP after reassembly. */
int netstack_udp_init(void);
/* The fast way round lwIP for a whole, unfragmented UDP packet; true if it was consumed. */
bool netstack_udp_input(const uint8_t *packet, size_t length);
/* A fragment of a UDP datagram over IPv6. */
void netstack_udp_fragment6(const uint8_t *packet, size_t length);

/* ping.c */
void netstack_ping_init(struct timerq *queue);
/* An unfragmented ICMP packet with a whole IP header; true if it answered a ping of ours. */
bool netstack_ping_input(const uint8_t *packet, size_t length);

/* netstack_output.c: sends one packet to the mesh, or back to ourselves. The buffer stays the caller's. */
err_t netstack_packet_output(struct pbuf *p, const struct netaddr *dst);
err_t netstack_netif_init(struct netif *netif);
/* Packets to ourselves: the next one (the caller frees it), or NULL. */
struct pbuf *netstack_loop_pop(void);
bool netstack_loop_empty(void);

/* What all connections together may hold. */
size_t netstack_memory_limit(void);
/* tcp_timer.c: sets lwIP's clock. */
void tcp_conn_ticks_update(uint64_t now_ns);

/* netstack.c: at most so many resets and ICMP errors a second. */
bool netstack_answer_allowed(void);

#endif
