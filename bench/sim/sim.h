/* A network on a simulated clock: flows that run tunneld's own sender and reassembly, over one bottleneck and
 * a way back. Deterministic: everything random comes from one seed. Far faster than real time.
 *
 *      flow 0 ─┐                                   ┌─ receiver 0
 *      flow 1 ─┼─▶ queue ─▶ rate ─▶ delay, jitter ─┼─ receiver 1
 *      flow n ─┘◀──────────── delay ◀──────────────┘─ receiver n
 *
 * Losses, duplicates and reordering fall on the way there; the way back may lose too. */
#ifndef NEXD_BENCH_SIM_H
#define NEXD_BENCH_SIM_H

#include "tunneld/transport/reassembly.h"
#include "tunneld/transport/sender.h"

enum { SIM_FLOWS_MAX = 64, SIM_HEADER_BYTES = 100 /* IP, UDP, WireGuard, IP, TCP */, SIM_MSS = 1380 };

struct sim_link {
    uint64_t rate;        /* bytes a second; 0 = no limit */
    uint64_t delay_ns;    /* each way */
    uint64_t jitter_ns;   /* up to so much more; order is kept */
    uint64_t queue_bytes; /* in front of the rate; 0 = no limit */
    uint64_t mark_bytes;  /* a longer queue marks in place of waiting for the drop; 0 = never */
    double loss, ack_loss, duplicate;
    double reorder;      /* share of packets that are held back ... */
    uint64_t reorder_ns; /* ... by up to so much, others passing them */
    double burst_enter;  /* probability a packet that a bad stretch begins, in which half is lost */
    double burst_leave;  /* and that it ends */
    uint64_t dark_from, dark_until; /* everything is lost in between */
};

struct sim_packet {
    uint32_t flow;
    bool is_ack;
    bool marked, reduced; /* congestion experienced; congestion window reduced */
    uint32_t start, end;  /* of the segment */
    uint32_t number;      /* of the flow's transmissions, from 0 */
    struct sender_ack ack;
};

struct sim_flow {
    struct sender sender;
    const struct cc_ops *algorithm;
    bool no_sack;
    uint64_t begin_ns, end_ns;
    uint64_t limit_bytes;               /* 0 = as much as passes */
    uint64_t supply_rate;               /* bytes a second that the application makes; 0 = always enough */
    uint64_t burst_on_ns, burst_off_ns; /* it sends so long and rests so long; 0 = never rests */
    uint32_t receive_window;
    /* Receiver. */
    struct reassembly reassembly;
    uint32_t received; /* next expected */
    unsigned unacknowledged;
    bool ack_armed;
    bool echo;   /* the receiver has seen a mark, and no answer to it yet */
    bool answer; /* the sender has slowed down, and has not yet said so */
    /* Results. */
    uint64_t delivered_bytes, finished_ns;
    uint32_t transmissions;
    uint64_t delivered_mark;
    uint64_t timer_ns; /* of the event under way; UINT64_MAX = none */
    uint32_t timer_generation;
    bool started;
};

struct sim_event;

struct sim {
    uint64_t now_ns, random;
    struct sim_link link;
    struct sim_flow flows[SIM_FLOWS_MAX];
    uint32_t flow_count;
    uint64_t queue_bytes, link_free_ns, last_arrival_ns, queue_drops, losses, marks;
    bool burst;
    struct sim_event *heap;
    size_t heap_count, heap_capacity;
    uint64_t events;
    /* Called for each data packet before the link's own losses; true = lose it. */
    bool (*drop)(struct sim *sim, const struct sim_packet *packet, void *arg);
    void *drop_arg;
};

void sim_init(struct sim *sim, const struct sim_link *link, uint64_t seed);
void sim_free(struct sim *sim);
struct sim_flow *sim_flow_add(struct sim *sim, const char *algorithm, uint64_t begin_ns);
/* Runs until `until_ns`, or until every flow with a limit is done and there is no other. */
void sim_run(struct sim *sim, uint64_t until_ns);
/* A uniform number in [0, 1). */
double sim_random(struct sim *sim);

/* Between the two files. */
void sim_schedule(struct sim *sim, uint64_t at_ns, void (*fire)(struct sim *, const struct sim_packet *),
                  const struct sim_packet *packet);
void sim_transmit(struct sim *sim, const struct sim_packet *packet);
void sim_data_arrives(struct sim *sim, const struct sim_packet *packet);
void sim_ack_arrives(struct sim *sim, const struct sim_packet *packet);

#endif
