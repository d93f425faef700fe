/* BBRv3 after draft-ietf-ccwg-bbr: send at the rate at which the path has lately delivered, keep no more in
 * flight than rate and shortest round trip explain, and try now and then whether there is more. Losses below
 * 2 % of a round are taken for noise of the path, not for a full queue; that is what carries it over paths
 * where loss-based control collapses.
 *
 *   STARTUP ─▶ DRAIN ─▶ PROBE_DOWN ─▶ PROBE_CRUISE ─▶ PROBE_REFILL ─▶ PROBE_UP ─┐
 *                            ▲──────────────────────────────────────────────────┘
 *   from any, every 5 s without a shorter round trip: PROBE_RTT
 *
 * This file: the phases other than ProbeBW's (bbr_probe.c), and what follows from the model (bbr_model.c) for
 * window, rate and burst. */
#include "tunneld/transport/bbr.h"
#include "common/clock.h"

#define STARTUP_PACING_GAIN   2.77
#define DRAIN_PACING_GAIN     0.5
#define CWND_GAIN             2.0
#define PROBE_RTT_CWND_GAIN   0.5
#define PACING_MARGIN         0.99
#define PROBE_RTT_DURATION_NS (200 * NS_PER_MS)
#define QUANTUM_NS            NS_PER_MS
#define SHORT_PATH_NS         NS_PER_MS
#define FASTEST_HOLDS_NS      (200 * NS_PER_MS)
enum {
    STARTUP_LOSS_RANGES = 6,
    DRAIN_ROUNDS_MAX = 3,
    QUANTUM_MAX = 256 * 1024,
    QUANTUM_MIN_SEGMENTS = 2,
    QUANTUM_SHORT_SEGMENTS = 64,
};

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* -- Control parameters (5.6) ---------------------------------------------------------------- */

static void pacing_rate_from_rtt(struct cc *cc, uint64_t rtt_ns)
{
    cc->pacing_rate =
        (uint64_t)(STARTUP_PACING_GAIN * (double)cc->cwnd * (double)NS_PER_S / (double)rtt_ns) + 1;
}

/* On a path shorter than the step of our pacing, what limits is a processor that flows share, and how much of
 * it a flow has had lately says little about its share of the next millisecond. By its own samples a flow
 * that came late would stay behind for many probes; so each may have in flight, and send, most of what the
 * fastest of them does. Paths are not told apart: what the fastest has is bounded, and losses bind a flow as
 * ever. */
static struct {
    uint64_t bw, stamp_ns;
} fastest;

static bool path_is_short(const struct bbr *bbr)
{
    return bbr->rtt_seen && bbr->min_rtt_ns < SHORT_PATH_NS;
}

static void fastest_update(const struct bbr *bbr, uint64_t now_ns)
{
    if (path_is_short(bbr) && (bbr->bw >= fastest.bw || now_ns - fastest.stamp_ns > FASTEST_HOLDS_NS)) {
        fastest.bw = bbr->bw;
        fastest.stamp_ns = now_ns;
    }
}

static uint64_t quantum_least(const struct cc *cc)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t least = QUANTUM_MIN_SEGMENTS * (uint64_t)cc->mss;
    if (!path_is_short(bbr))
        return least;
    uint64_t most = QUANTUM_SHORT_SEGMENTS * (uint64_t)cc->mss;
    return max64(least, min64(most, fastest.bw / (NS_PER_S / QUANTUM_NS) * 3 / 4));
}

static void pacing_rate_set(struct cc *cc, double gain)
{
    const struct bbr *bbr = bbr_of(cc);
    uint64_t rate = (uint64_t)(gain * (double)bbr->bw * PACING_MARGIN);
    if (path_is_short(bbr))
        rate = max64(rate, quantum_least(cc) * (NS_PER_S / QUANTUM_NS));
    if (bbr->full_bw_reached || rate > cc->pacing_rate)
        cc->pacing_rate = max64(rate, 1);
}

static void quantum_set(struct cc *cc)
{
    uint64_t quantum = (uint64_t)((double)cc->pacing_rate * (double)QUANTUM_NS / (double)NS_PER_S);
    cc->quantum = max64(min64(quantum, QUANTUM_MAX), quantum_least(cc));
}

static uint64_t probe_rtt_cwnd(const struct cc *cc)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    return max64(bbr_bdp(cc, bbr->bw, PROBE_RTT_CWND_GAIN), (uint64_t)BBR_MIN_SEGMENTS * cc->mss);
}

static uint64_t model_cap(const struct cc *cc)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t cap = CC_UNLIMITED;
    if (bbr->phase == BBR_PROBE_CRUISE || bbr->phase == BBR_PROBE_RTT)
        cap = bbr_inflight_with_headroom(cc);
    else if (bbr_in_probe_bw(bbr))
        cap = bbr->inflight_longterm;
    return max64(min64(cap, bbr->inflight_shortterm), (uint64_t)BBR_MIN_SEGMENTS * cc->mss);
}

static void cwnd_set(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    uint64_t extra = max64(bbr->extra_acked_filter[0], bbr->extra_acked_filter[1]);
    uint64_t cap = bbr_queue_cap(cc, bbr_bdp(cc, bbr->bw, bbr->cwnd_gain) + extra, extra);
    bbr->max_inflight = max64(cap, bbr_inflight(cc, bbr->bw, 0));
    if (bbr->full_bw_reached)
        cc->cwnd = min64(cc->cwnd + ack->newly_acked, bbr->max_inflight);
    else if (cc->cwnd < bbr->max_inflight || ack->delivered < (uint64_t)CC_INITIAL_SEGMENTS * cc->mss)
        cc->cwnd += ack->newly_acked;
    cc->cwnd = max64(cc->cwnd, (uint64_t)BBR_MIN_SEGMENTS * cc->mss);
    if (bbr->phase == BBR_PROBE_RTT)
        cc->cwnd = min64(cc->cwnd, probe_rtt_cwnd(cc));
    cc->cwnd = min64(cc->cwnd, model_cap(cc));
}

static void cwnd_save(struct cc *cc)
{
    struct bbr *bbr = bbr_of(cc);
    bool modulated = bbr->in_recovery || bbr->phase == BBR_PROBE_RTT;
    bbr->prior_cwnd = modulated ? max64(bbr->prior_cwnd, cc->cwnd) : cc->cwnd;
}

static void cwnd_restore(struct cc *cc)
{
    cc->cwnd = max64(cc->cwnd, bbr_of(cc)->prior_cwnd);
}

/* -- Startup and Drain (5.3.1, 5.3.2) -------------------------------------------------------- */

static void startup_enter(struct bbr *bbr)
{
    bbr->phase = BBR_STARTUP;
    bbr->pacing_gain = STARTUP_PACING_GAIN;
    bbr->cwnd_gain = CWND_GAIN;
}

/* Losses that last a round, in many places: the queue is full, whatever the rate says. */
static void startup_loss_check(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (!bbr->loss_round_start)
        return;
    bool high = ack->in_recovery && bbr->loss_ranges_in_round >= STARTUP_LOSS_RANGES &&
                bbr_loss_high(cc, ack->sample_lost, ack->tx_in_flight);
    bbr->loss_ranges_in_round = 0;
    if (!high || bbr->full_bw_reached)
        return;
    bbr->undo_phase = BBR_UNDO_STARTUP;
    bbr->full_bw_reached = true;
    bbr->inflight_longterm = max64(bbr_bdp(cc, bbr->bw, 1.0), bbr->inflight_latest);
}

static void startup_check(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    startup_loss_check(cc, ack);
    if (bbr->phase == BBR_STARTUP && bbr->full_bw_reached) {
        bbr->phase = BBR_DRAIN;
        bbr->pacing_gain = DRAIN_PACING_GAIN;
        bbr->cwnd_gain = CWND_GAIN;
        bbr->drain_start_round = bbr->round_count;
    }
    if (bbr->phase == BBR_DRAIN && (ack->inflight <= bbr_inflight(cc, bbr->bw, 1.0) ||
                                    bbr->round_count > bbr->drain_start_round + DRAIN_ROUNDS_MAX))
        bbr_probe_down_start(cc, ack->now_ns, ack->delivered);
}

/* -- ProbeRTT (5.3.4) ------------------------------------------------------------------------ */

static void probe_rtt_done_check(struct cc *cc, uint64_t now_ns, uint64_t delivered)
{
    struct bbr *bbr = bbr_of(cc);
    if (bbr->probe_rtt_done_stamp_ns == 0 || now_ns <= bbr->probe_rtt_done_stamp_ns)
        return;
    bbr->probe_rtt_min_stamp_ns = now_ns;
    cwnd_restore(cc);
    bbr_queue_probe_end(bbr);
    if (bbr->full_bw_reached) {
        bbr_probe_down_start(cc, now_ns, delivered);
        bbr_probe_cruise_start(bbr);
    } else {
        startup_enter(bbr);
    }
}

static void probe_rtt_check(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (bbr->phase != BBR_PROBE_RTT && bbr->probe_rtt_expired && !bbr->idle_restart) {
        cwnd_save(cc);
        bbr->phase = BBR_PROBE_RTT;
        bbr->pacing_gain = 1;
        bbr->cwnd_gain = PROBE_RTT_CWND_GAIN;
        bbr->probe_rtt_done_stamp_ns = 0;
        bbr_queue_probe_begin(bbr);
        bbr->ack_phase = BBR_ACKS_PROBE_STOPPING;
        bbr_round_begin(bbr, ack->delivered);
    }
    if (bbr->phase == BBR_PROBE_RTT) {
        bbr_queue_probe_sample(bbr, ack);
        if (bbr->probe_rtt_done_stamp_ns == 0 && ack->inflight <= probe_rtt_cwnd(cc)) {
            bbr->probe_rtt_done_stamp_ns = ack->now_ns + PROBE_RTT_DURATION_NS;
            bbr->probe_rtt_round_done = false;
            bbr_round_begin(bbr, ack->delivered);
        } else if (bbr->probe_rtt_done_stamp_ns != 0) {
            bbr->probe_rtt_round_done |= bbr->round_start;
            if (bbr->probe_rtt_round_done)
                probe_rtt_done_check(cc, ack->now_ns, ack->delivered);
        }
    }
    cc->probe_quiet = bbr->phase == BBR_PROBE_RTT;
    if (ack->newly_acked > 0)
        bbr->idle_restart = false;
}

/* -- The interface --------------------------------------------------------------------------- */

static void bbr_init(struct cc *cc, uint64_t now_ns)
{
    struct bbr *bbr = bbr_of(cc);
    bbr_model_init(bbr, now_ns);
    startup_enter(bbr);
    pacing_rate_from_rtt(cc, NS_PER_MS);
    quantum_set(cc);
}

static void bbr_on_send(struct cc *cc, uint64_t now_ns, uint64_t inflight, bool app_limited)
{
    struct bbr *bbr = bbr_of(cc);
    if (inflight != 0 || !app_limited)
        return;
    bbr->idle_restart = true;
    bbr->extra_acked_start_ns = now_ns;
    if (bbr_in_probe_bw(bbr))
        pacing_rate_set(cc, 1.0);
    else if (bbr->phase == BBR_PROBE_RTT)
        probe_rtt_done_check(cc, now_ns, bbr->next_round_delivered);
}

static void state_save(struct cc *cc)
{
    struct bbr *bbr = bbr_of(cc);
    cwnd_save(cc);
    bbr->undo_phase = BBR_UNDO_NONE;
    bbr->undo_bw_shortterm = bbr->bw_shortterm;
    bbr->undo_inflight_shortterm = bbr->inflight_shortterm;
    bbr->undo_inflight_longterm = bbr->inflight_longterm;
}

static void bbr_on_loss(struct cc *cc, const struct cc_loss *loss)
{
    struct bbr *bbr = bbr_of(cc);
    if (!bbr->loss_in_round) {
        bbr->loss_round_delivered = loss->delivered;
        state_save(cc);
    }
    bbr->loss_in_round = true;
    bbr->loss_ranges_in_round += loss->new_hole;
    bbr_probe_loss(cc, loss);
}

static void bbr_on_ack(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (!bbr->rtt_seen && ack->srtt_ns != 0) {
        bbr->rtt_seen = true;
        if (!bbr->full_bw_reached)
            pacing_rate_from_rtt(cc, ack->srtt_ns);
    }
    bbr_latest_update(bbr, ack);
    bbr_congestion_update(cc, ack);
    bbr_aggregation_update(cc, ack);
    bbr_full_bw_check(bbr, ack);
    startup_check(cc, ack);
    bbr_probe_bw_update(cc, ack);
    bbr_min_rtt_update(bbr, ack);
    probe_rtt_check(cc, ack);
    bbr_latest_advance(bbr, ack);
    bbr->bw = bbr_queue_bw(bbr);
    fastest_update(bbr, ack->now_ns);

    pacing_rate_set(cc, bbr->pacing_gain);
    quantum_set(cc);
    cwnd_set(cc, ack);
}

/* Nothing had been lost: back to what was known before (5.5.11). */
static void undo(struct cc *cc)
{
    struct bbr *bbr = bbr_of(cc);
    enum bbr_undo phase = bbr->undo_phase;
    bbr->undo_phase = BBR_UNDO_NONE;
    cwnd_restore(cc);
    bbr->loss_in_round = false;
    bbr_full_bw_reset(bbr);
    bbr->bw_shortterm = max64(bbr->bw_shortterm, bbr->undo_bw_shortterm);
    bbr->inflight_shortterm = max64(bbr->inflight_shortterm, bbr->undo_inflight_shortterm);
    bbr->inflight_longterm = max64(bbr->inflight_longterm, bbr->undo_inflight_longterm);
    if (phase == BBR_UNDO_STARTUP && bbr->phase != BBR_STARTUP) {
        bbr->full_bw_reached = false;
        if (bbr->phase != BBR_PROBE_RTT)
            startup_enter(bbr);
    } else if (phase == BBR_UNDO_PROBE_UP && bbr->phase != BBR_PROBE_UP && bbr->phase != BBR_PROBE_RTT) {
        bbr_probe_refill_start(bbr, bbr->next_round_delivered);
    }
}

static void bbr_on_recovery(struct cc *cc, enum cc_recovery event, uint64_t now_ns, uint64_t inflight)
{
    struct bbr *bbr = bbr_of(cc);
    switch (event) {
    case CC_RECOVERY_ENTER:
        state_save(cc);
        bbr->in_recovery = true;
        break;
    case CC_RECOVERY_ECHO:
        bbr_probe_echo(cc, now_ns, inflight);
        break;
    case CC_RECOVERY_TIMEOUT:
        state_save(cc);
        bbr->in_recovery = true;
        cc->cwnd = inflight + cc->mss;
        break;
    case CC_RECOVERY_EXIT:
        bbr->in_recovery = false;
        cwnd_restore(cc);
        break;
    case CC_RECOVERY_UNDO:
        bbr->in_recovery = false;
        undo(cc);
        break;
    }
}

static const char *phase_name(const struct cc *cc)
{
    static const char *const names[] = {
        [BBR_STARTUP] = "startup",           [BBR_DRAIN] = "drain",
        [BBR_PROBE_DOWN] = "probe-down",     [BBR_PROBE_CRUISE] = "probe-cruise",
        [BBR_PROBE_REFILL] = "probe-refill", [BBR_PROBE_UP] = "probe-up",
        [BBR_PROBE_RTT] = "probe-rtt",
    };
    return names[((const struct bbr *)(const void *)cc->state)->phase];
}

const struct cc_ops cc_bbr = {
    .name = "bbr",
    .own_recovery = true,
    .init = bbr_init,
    .on_send = bbr_on_send,
    .on_loss = bbr_on_loss,
    .on_ack = bbr_on_ack,
    .on_recovery = bbr_on_recovery,
    .phase = phase_name,
};
