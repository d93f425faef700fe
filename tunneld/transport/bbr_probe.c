/* BBR's search for more bandwidth: the cycle DOWN, CRUISE, REFILL, UP (draft-ietf-ccwg-bbr, 5.3.3), and what
 * losses during it teach about how much the path bears (5.5.10). */
#include "common/clock.h"
#include "tunneld/transport/bbr.h"

/* The draft waits 2 to 3 s. But all flows at a bottleneck begin to wait together, after ProbeRTT, and would
 * probe together. */
#define PROBE_WAIT_NS        NS_PER_S
#define PROBE_WAIT_RANDOM_NS (3 * NS_PER_S)
enum { RENO_ROUNDS_MAX = 63, PROBE_UP_ROUNDS_MAX = 30 };
#define GAIN_DOWN    0.90
#define GAIN_CRUISE  1.0
#define GAIN_UP      1.25
#define CWND_GAIN    2.0
#define CWND_GAIN_UP 2.25

bool bbr_probing_bw(const struct bbr *bbr)
{
    return bbr->phase == BBR_STARTUP || bbr->phase == BBR_PROBE_REFILL || bbr->phase == BBR_PROBE_UP;
}

bool bbr_in_probe_bw(const struct bbr *bbr)
{
    return bbr->phase >= BBR_PROBE_DOWN && bbr->phase <= BBR_PROBE_UP;
}

static void enter(struct bbr *bbr, enum bbr_phase phase, double pacing_gain, double cwnd_gain)
{
    bbr->phase = phase;
    bbr->pacing_gain = pacing_gain;
    bbr->cwnd_gain = cwnd_gain;
}

void bbr_probe_down_start(struct cc *cc, uint64_t now_ns, uint64_t delivered)
{
    struct bbr *bbr = bbr_of(cc);
    bbr->loss_in_round = false;
    bbr->bw_latest = bbr->inflight_latest = 0;
    bbr->probe_up_acked_per_inc = CC_UNLIMITED;
    bbr->rounds_since_probe_up = cc_random(cc) & 1;
    bbr->probe_wait_ns = PROBE_WAIT_NS + cc_random(cc) % PROBE_WAIT_RANDOM_NS;
    bbr->cycle_stamp_ns = now_ns;
    bbr->ack_phase = BBR_ACKS_PROBE_STOPPING;
    bbr_round_begin(bbr, delivered);
    enter(bbr, BBR_PROBE_DOWN, GAIN_DOWN, CWND_GAIN);
}

void bbr_probe_cruise_start(struct bbr *bbr)
{
    enter(bbr, BBR_PROBE_CRUISE, GAIN_CRUISE, CWND_GAIN);
}

void bbr_probe_refill_start(struct bbr *bbr, uint64_t delivered)
{
    bbr_queue_probe_up(bbr);
    bbr_shortterm_reset(bbr);
    bbr->probe_up_rounds = 0;
    bbr->probe_up_acked = 0;
    bbr->prev_probe_precautionary = false;
    bbr->ack_phase = BBR_ACKS_REFILLING;
    bbr_round_begin(bbr, delivered);
    enter(bbr, BBR_PROBE_REFILL, GAIN_CRUISE, CWND_GAIN);
}

static void longterm_slope_raise(struct cc *cc)
{
    struct bbr *bbr = bbr_of(cc);
    uint64_t per_inc = cc->cwnd >> bbr->probe_up_rounds;
    if (bbr->probe_up_rounds < PROBE_UP_ROUNDS_MAX)
        bbr->probe_up_rounds++;
    bbr->probe_up_acked_per_inc = per_inc > cc->mss ? per_inc : cc->mss;
}

static void probe_up_start(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    bbr->ack_phase = BBR_ACKS_PROBE_STARTING;
    bbr_round_begin(bbr, ack->delivered);
    bbr_full_bw_reset(bbr);
    bbr->full_bw = ack->delivery_rate;
    bbr->probe_up_stamp_ns = ack->now_ns;
    enter(bbr, BBR_PROBE_UP, GAIN_UP, CWND_GAIN_UP);
    longterm_slope_raise(cc);
}

static uint64_t target_inflight(const struct cc *cc)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t bdp = bbr_bdp(cc, bbr->bw, 1.0);
    return bdp < cc->cwnd ? bdp : cc->cwnd;
}

/* By the clock, or as often as a Reno flow of that window would get there (5.3.3.6). */
static bool time_to_probe(const struct cc *cc, uint64_t now_ns)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t reno_rounds = target_inflight(cc) / cc->mss;
    if (reno_rounds > RENO_ROUNDS_MAX)
        reno_rounds = RENO_ROUNDS_MAX;
    return now_ns > bbr->cycle_stamp_ns + bbr->probe_wait_ns || bbr->rounds_since_probe_up >= reno_rounds;
}

static bool time_to_cruise(const struct cc *cc, const struct cc_ack *ack)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    return ack->inflight <= bbr_inflight_with_headroom(cc) &&
           ack->inflight <= bbr_inflight(cc, bbr->max_bw, 1.0);
}

static bool time_to_go_down(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (bbr_queue_stops_probe(bbr, ack))
        return true;
    if (bbr->prev_probe_too_high && ack->inflight >= bbr->inflight_longterm) {
        bbr->prev_probe_precautionary = true;
        return true;
    }
    if (ack->cwnd_limited && cc->cwnd >= bbr->inflight_longterm) {
        bbr_full_bw_reset(bbr);
        bbr->full_bw = ack->delivery_rate;
        return false;
    }
    return bbr->full_bw_now;
}

static void longterm_probe_upward(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (!ack->cwnd_limited || cc->cwnd < bbr->inflight_longterm)
        return;
    bbr->probe_up_acked += ack->newly_acked;
    uint64_t steps = bbr->probe_up_acked / bbr->probe_up_acked_per_inc;
    bbr->probe_up_acked -= steps * bbr->probe_up_acked_per_inc;
    bbr->inflight_longterm += steps * cc->mss;
    if (bbr->round_start)
        longterm_slope_raise(cc);
}

/* True: it has decided what comes next. */
static bool longterm_adapt(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (bbr->ack_phase == BBR_ACKS_PROBE_STARTING && bbr->round_start)
        bbr->ack_phase = BBR_ACKS_PROBE_FEEDBACK;
    if (bbr->ack_phase == BBR_ACKS_PROBE_STOPPING && bbr->round_start) {
        bbr->is_probe_sample = false;
        /* The draft lets the filter stand where this sample is limited by the application. After ProbeRTT it
         * always is, and with a long queue a sample from before the queue stayed the best for good. */
        if (!ack->app_limited) {
            bbr->ack_phase = BBR_ACKS_INIT;
            if (bbr_in_probe_bw(bbr))
                bbr_max_bw_advance(bbr);
        }
        if (bbr_in_probe_bw(bbr) && bbr->prev_probe_precautionary && !bbr->prev_probe_too_high) {
            bbr_probe_refill_start(bbr, ack->delivered);
            return true;
        }
    }
    if (!ack->has_sample || bbr_loss_high(cc, ack->sample_lost, ack->tx_in_flight) ||
        bbr->inflight_longterm == CC_UNLIMITED)
        return false;
    if (ack->tx_in_flight > bbr->inflight_longterm)
        bbr->inflight_longterm = ack->tx_in_flight;
    if (bbr->phase == BBR_PROBE_UP)
        longterm_probe_upward(cc, ack);
    return false;
}

void bbr_probe_bw_update(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    if (!bbr->full_bw_reached || longterm_adapt(cc, ack))
        return;
    switch (bbr->phase) {
    case BBR_PROBE_DOWN:
        if (time_to_probe(cc, ack->now_ns))
            bbr_probe_refill_start(bbr, ack->delivered);
        else if (time_to_cruise(cc, ack))
            bbr_probe_cruise_start(bbr);
        break;
    case BBR_PROBE_CRUISE:
        if (time_to_probe(cc, ack->now_ns))
            bbr_probe_refill_start(bbr, ack->delivered);
        break;
    case BBR_PROBE_REFILL:
        if (bbr->round_start) {
            bbr->is_probe_sample = true;
            probe_up_start(cc, ack);
        }
        break;
    case BBR_PROBE_UP:
        if (time_to_go_down(cc, ack)) {
            bbr->prev_probe_too_high = false;
            bbr_probe_down_start(cc, ack->now_ns, ack->delivered);
        }
        break;
    default:
        break;
    }
}

/* How much was in flight when the losses crossed the threshold, within the burst that the segment was part
 * of. */
static uint64_t inflight_at_loss(const struct cc_loss *loss)
{
    double before = (double)loss->tx_in_flight - (double)loss->bytes;
    double lost_before = (double)loss->lost_since_tx - (double)loss->bytes;
    double prefix = (BBR_LOSS_THRESHOLD * before - lost_before) / (1 - BBR_LOSS_THRESHOLD);
    double at = before + prefix;
    return at > 0 ? (uint64_t)at : 0;
}

void bbr_probe_loss(struct cc *cc, const struct cc_loss *loss)
{
    struct bbr *bbr = bbr_of(cc);
    if (!bbr->is_probe_sample || !bbr_loss_high(cc, loss->lost_since_tx, loss->tx_in_flight))
        return;
    bbr->prev_probe_too_high = true;
    bbr->is_probe_sample = false; /* one answer a probe */
    if (!loss->app_limited) {
        uint64_t at = inflight_at_loss(loss);
        uint64_t least = (uint64_t)(BBR_BETA * (double)target_inflight(cc));
        bbr->inflight_longterm = at > least ? at : least;
    }
    if (bbr->phase == BBR_PROBE_UP) {
        bbr->undo_phase = BBR_UNDO_PROBE_UP;
        bbr_probe_down_start(cc, loss->now_ns, loss->delivered);
    }
}

void bbr_probe_echo(struct cc *cc, uint64_t now_ns, uint64_t inflight)
{
    struct bbr *bbr = bbr_of(cc);
    uint64_t least = (uint64_t)(BBR_BETA * (double)target_inflight(cc));
    if (!bbr->full_bw_reached) {
        bbr->full_bw_reached = true;
        bbr->inflight_longterm = bbr_bdp(cc, bbr->max_bw, 1.0);
    } else if (bbr->phase == BBR_PROBE_UP || bbr->phase == BBR_PROBE_REFILL) {
        bbr->prev_probe_too_high = true;
        bbr->is_probe_sample = false;
        bbr->inflight_longterm = inflight > least ? inflight : least;
        bbr_probe_down_start(cc, now_ns, bbr->next_round_delivered);
    } else if (bbr->phase != BBR_PROBE_RTT) {
        uint64_t bound = bbr->inflight_shortterm == CC_UNLIMITED ? cc->cwnd : bbr->inflight_shortterm;
        bbr->inflight_shortterm = (uint64_t)(BBR_ECHO_BETA * (double)bound);
        if (bbr->inflight_shortterm < least)
            bbr->inflight_shortterm = least;
    }
}
