/* BBR's state, shared by its four files; nobody else includes it. Names follow draft-ietf-ccwg-bbr. */
#ifndef NEXD_TUNNELD_BBR_H
#define NEXD_TUNNELD_BBR_H

#include "tunneld/transport/congestion.h"

enum bbr_phase {
    BBR_STARTUP,
    BBR_DRAIN,
    BBR_PROBE_DOWN,
    BBR_PROBE_CRUISE,
    BBR_PROBE_REFILL,
    BBR_PROBE_UP,
    BBR_PROBE_RTT,
};

enum bbr_ack_phase {
    BBR_ACKS_INIT,
    BBR_ACKS_REFILLING,
    BBR_ACKS_PROBE_STARTING,
    BBR_ACKS_PROBE_FEEDBACK,
    BBR_ACKS_PROBE_STOPPING,
};

/* Which phase a loss made it leave, to return there if nothing was lost. */
enum bbr_undo { BBR_UNDO_NONE, BBR_UNDO_STARTUP, BBR_UNDO_PROBE_UP };

#define BBR_LOSS_THRESHOLD 0.02
#define BBR_BETA           0.7
#define BBR_ECHO_BETA      0.85 /* as RFC 8511 has it for marks */
#define BBR_HEADROOM       0.15
#define BBR_MIN_SEGMENTS   4

struct bbr {
    enum bbr_phase phase;
    enum bbr_ack_phase ack_phase;
    enum bbr_undo undo_phase;
    double pacing_gain, cwnd_gain;

    /* The model: rates. */
    uint64_t bw_filter[2]; /* best sample of the previous and of the current probing cycle */
    uint64_t max_bw, bw_shortterm, bw, bw_latest;
    /* The model: volumes. */
    uint64_t inflight_longterm, inflight_shortterm, inflight_latest;
    uint64_t extra_acked_filter[2]; /* best of the previous and of the current five rounds */
    uint64_t extra_acked_start_ns, extra_acked_delivered;
    uint64_t max_inflight;
    uint32_t extra_acked_rounds;
    /* The model: time. */
    uint64_t min_rtt_ns, min_rtt_stamp_ns;
    uint64_t round_rtt_ns; /* the shortest in this round by losses; 0 = none yet */
    bool lossy;            /* losses have lowered the short-term bounds: a queue does not raise them again */
    bool queue_standing;   /* in the round before nothing passed the bottleneck without waiting */
    bool queue_alike;      /* the last ProbeRTT emptied the queue: all who keep it do as we do */
    bool queue_rate;       /* the short-term rate is the queue's, and may be above the best sample */

    /* Packet-timed rounds, and rounds by losses. */
    uint64_t next_round_delivered, round_count, loss_round_delivered;
    uint64_t round_base_delivered, round_base_lost, round_base_ns; /* when the round by losses began */
    bool round_start, loss_round_start, loss_in_round;
    uint32_t loss_ranges_in_round;

    /* Is the pipe full? */
    uint64_t full_bw;
    uint32_t full_bw_count;
    bool full_bw_now, full_bw_reached;

    /* Probing for bandwidth. */
    uint64_t cycle_stamp_ns, probe_up_stamp_ns, probe_wait_ns, rounds_since_probe_up;
    uint64_t probe_up_acked, probe_up_acked_per_inc;
    uint32_t probe_up_rounds;
    bool is_probe_sample, prev_probe_too_high, prev_probe_precautionary;
    uint64_t drain_start_round;

    /* Probing for the round trip. */
    uint64_t probe_rtt_min_delay_ns, probe_rtt_min_stamp_ns, probe_rtt_done_stamp_ns;
    uint64_t probe_rtt_least_ns; /* the shortest round trip of this ProbeRTT; 0 = none yet */
    bool probe_rtt_expired, probe_rtt_round_done;

    /* Loss recovery and idleness. */
    uint64_t prior_cwnd;
    uint64_t undo_bw_shortterm, undo_inflight_shortterm, undo_inflight_longterm;
    bool in_recovery, idle_restart, rtt_seen;
};

_Static_assert(sizeof(struct bbr) <= CC_STATE_BYTES, "BBR's state must fit");

static inline struct bbr *bbr_of(struct cc *cc)
{
    return (struct bbr *)(void *)cc->state;
}

/* bbr_model.c */
void bbr_model_init(struct bbr *bbr, uint64_t now_ns);
void bbr_latest_update(struct bbr *bbr, const struct cc_ack *ack);
void bbr_latest_advance(struct bbr *bbr, const struct cc_ack *ack);
void bbr_congestion_update(struct cc *cc, const struct cc_ack *ack);
void bbr_aggregation_update(struct cc *cc, const struct cc_ack *ack);
void bbr_min_rtt_update(struct bbr *bbr, const struct cc_ack *ack);
void bbr_max_bw_advance(struct bbr *bbr);
void bbr_round_begin(struct bbr *bbr, uint64_t delivered);
void bbr_shortterm_reset(struct bbr *bbr);
/* Have more of `sent` bytes been lost than the threshold, and than chance explains on a path that loses as
 * much as the threshold? */
bool bbr_loss_high(const struct cc *cc, uint64_t lost, uint64_t sent);
void bbr_full_bw_reset(struct bbr *bbr);
void bbr_full_bw_check(struct bbr *bbr, const struct cc_ack *ack);
uint64_t bbr_bdp(const struct cc *cc, uint64_t bw, double gain);
/* The bandwidth-delay product as a window, with room for batches at both ends. */
uint64_t bbr_inflight(const struct cc *cc, uint64_t bw, double gain);
uint64_t bbr_inflight_with_headroom(const struct cc *cc);

/* bbr_queue.c */
void bbr_queue_sample(struct bbr *bbr, const struct cc_ack *ack);
/* ProbeRTT begins, goes on, is over. */
void bbr_queue_probe_begin(struct bbr *bbr);
void bbr_queue_probe_sample(struct bbr *bbr, const struct cc_ack *ack);
void bbr_queue_probe_end(struct bbr *bbr);
/* The rate that the model explains. */
uint64_t bbr_queue_bw(const struct bbr *bbr);
/* A probe of a flow that has its rate from the queue starts there, not at the best of older samples. */
void bbr_queue_probe_up(struct bbr *bbr);
/* Has a probe of a queue of flows alike shown that it is there already? */
bool bbr_queue_stops_probe(const struct bbr *bbr, const struct cc_ack *ack);
/* Once a round, after its last sample. True: a queue stands, and the bounds follow from it. */
bool bbr_queue_adapt(struct cc *cc, const struct cc_ack *ack, bool lossy);
/* `cap`, or less while a queue stands. */
uint64_t bbr_queue_cap(const struct cc *cc, uint64_t cap, uint64_t extra_acked);

/* bbr_probe.c */
bool bbr_probing_bw(const struct bbr *bbr);
bool bbr_in_probe_bw(const struct bbr *bbr);
void bbr_probe_down_start(struct cc *cc, uint64_t now_ns, uint64_t delivered);
void bbr_probe_cruise_start(struct bbr *bbr);
void bbr_probe_refill_start(struct bbr *bbr, uint64_t delivered);
void bbr_probe_bw_update(struct cc *cc, const struct cc_ack *ack);
void bbr_probe_loss(struct cc *cc, const struct cc_loss *loss);
/* A mark on a packet says what a loss beyond the threshold says, earlier. Once a round trip. */
void bbr_probe_echo(struct cc *cc, uint64_t now_ns, uint64_t inflight);

#endif
