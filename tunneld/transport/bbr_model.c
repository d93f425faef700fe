/* BBR's model of the path: how fast it delivers, how long it is, and how much it bears. Each function is a
 * step of draft-ietf-ccwg-bbr, 5.5, under the draft's names. */
#include "common/clock.h"
#include "tunneld/transport/bbr.h"
#include <math.h>

#define MIN_RTT_FILTER_NS     (10 * NS_PER_S)
#define PROBE_RTT_INTERVAL_NS (5 * NS_PER_S)
enum { EXTRA_ACKED_ROUNDS = 5, OFFLOAD_QUANTA = 3 };
/* After so many rounds that grew by less the pipe is taken for full. The draft asks for the same when
 * probing: three rounds in which the queue grows by a quarter each. Of two the first still answers what was
 * sent before, a flow that is alone in a full pipe shows in the second, and one with a small share goes on,
 * for it still gains with every round. */
enum { FULL_BW_ROUNDS = 3, FULL_BW_ROUNDS_PROBING = 2 };
#define FULL_BW_GROWTH_PROBING 1.20
#define FULL_BW_GROWTH         1.25
#define LOSS_DEVIATIONS        3

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void bbr_shortterm_reset(struct bbr *bbr)
{
    bbr->bw_shortterm = CC_UNLIMITED;
    bbr->inflight_shortterm = CC_UNLIMITED;
    bbr->lossy = bbr->queue_rate = false;
}

void bbr_full_bw_reset(struct bbr *bbr)
{
    bbr->full_bw = 0;
    bbr->full_bw_count = 0;
    bbr->full_bw_now = false;
}

void bbr_model_init(struct bbr *bbr, uint64_t now_ns)
{
    bbr->min_rtt_ns = bbr->probe_rtt_min_delay_ns = UINT64_MAX;
    bbr->min_rtt_stamp_ns = bbr->probe_rtt_min_stamp_ns = now_ns;
    bbr->extra_acked_start_ns = now_ns;
    bbr->inflight_longterm = CC_UNLIMITED;
    bbr->probe_up_acked_per_inc = CC_UNLIMITED;
    bbr_shortterm_reset(bbr);
    bbr_full_bw_reset(bbr);
}

void bbr_round_begin(struct bbr *bbr, uint64_t delivered)
{
    bbr->next_round_delivered = delivered;
}

static void round_update(struct bbr *bbr, const struct cc_ack *ack)
{
    bbr->round_start = ack->has_sample && ack->prior_delivered >= bbr->next_round_delivered;
    if (!bbr->round_start)
        return;
    bbr_round_begin(bbr, ack->delivered);
    bbr->round_count++;
    bbr->rounds_since_probe_up++;
}

void bbr_latest_update(struct bbr *bbr, const struct cc_ack *ack)
{
    bbr->loss_round_start = false;
    if (!ack->has_sample)
        return;
    bbr->bw_latest = max64(bbr->bw_latest, ack->delivery_rate);
    bbr->inflight_latest = max64(bbr->inflight_latest, ack->sample_delivered);
    if (ack->prior_delivered >= bbr->loss_round_delivered) {
        bbr->loss_round_delivered = ack->delivered;
        bbr->loss_round_start = true;
    }
}

void bbr_latest_advance(struct bbr *bbr, const struct cc_ack *ack)
{
    if (!bbr->loss_round_start)
        return;
    bbr->bw_latest = ack->delivery_rate;
    bbr->inflight_latest = ack->sample_delivered;
}

static void max_bw_update(struct bbr *bbr, const struct cc_ack *ack)
{
    if (ack->delivery_rate == 0 || (ack->app_limited && ack->delivery_rate < bbr->max_bw))
        return;
    bbr->bw_filter[1] = max64(bbr->bw_filter[1], ack->delivery_rate);
    bbr->max_bw = max64(bbr->bw_filter[0], bbr->bw_filter[1]);
}

/* A probing cycle is over: its best sample becomes the previous one. Without any, the old one stays. */
void bbr_max_bw_advance(struct bbr *bbr)
{
    if (bbr->bw_filter[1] == 0)
        return;
    bbr->bw_filter[0] = bbr->bw_filter[1];
    bbr->bw_filter[1] = 0;
    bbr->max_bw = bbr->bw_filter[0];
}

/* Not in the draft: it compares the shares alone. With some hundred segments in flight, a path that loses 1 %
 * at random passes 2 % in one round of thirty, and Startup would end far too early. A full queue loses many
 * times the threshold, so nothing is lost by asking for three standard deviations more. */
bool bbr_loss_high(const struct cc *cc, uint64_t lost, uint64_t sent)
{
    double segments = (double)sent / cc->mss, expected = BBR_LOSS_THRESHOLD * segments;
    return (double)lost / cc->mss > expected + LOSS_DEVIATIONS * sqrt(expected);
}

/* The draft takes any loss in a round for congestion here, which on a path that loses at random halves the
 * rate within seconds of each probe. The threshold that it has for probing tells noise from a full queue here
 * too.
 */
static bool round_lossy(const struct cc *cc, const struct cc_ack *ack)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t lost = ack->lost - bbr->round_base_lost;
    uint64_t sent = ack->delivered - bbr->round_base_delivered + lost;
    return bbr->loss_in_round && bbr_loss_high(cc, lost, sent);
}

/* Once a round with losses, what can be delivered for now bounds what is sent. */
static void lower_bounds_adapt(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    bool lossy = round_lossy(cc, ack);
    if (bbr_queue_adapt(cc, ack, lossy) || bbr_probing_bw(bbr) || !lossy)
        return;
    bbr->lossy = true;
    bbr->queue_rate = false;
    if (bbr->bw_shortterm == CC_UNLIMITED)
        bbr->bw_shortterm = bbr->max_bw;
    if (bbr->inflight_shortterm == CC_UNLIMITED)
        bbr->inflight_shortterm = cc->cwnd;
    bbr->bw_shortterm = max64(bbr->bw_latest, (uint64_t)(BBR_BETA * (double)bbr->bw_shortterm));
    bbr->inflight_shortterm =
        max64(bbr->inflight_latest, (uint64_t)(BBR_BETA * (double)bbr->inflight_shortterm));
}

void bbr_congestion_update(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    round_update(bbr, ack);
    max_bw_update(bbr, ack);
    bbr_queue_sample(bbr, ack);
    if (!bbr->loss_round_start)
        return;
    lower_bounds_adapt(cc, ack);
    bbr->loss_in_round = false;
    bbr->round_base_delivered = ack->delivered;
    bbr->round_base_lost = ack->lost;
    bbr->round_base_ns = ack->now_ns;
}

/* How much more than the estimated rate explains comes at once: the path, or the far end, delivers in lumps.
 */
void bbr_aggregation_update(struct cc *cc, const struct cc_ack *ack)
{
    struct bbr *bbr = bbr_of(cc);
    /* Not what a queue makes of the rate: that follows the path, and lags behind it. */
    uint64_t bw = bbr->lossy || bbr->min_rtt_ns < NS_PER_MS ? bbr->bw : bbr->max_bw;
    double expected = (double)bw * (double)(ack->now_ns - bbr->extra_acked_start_ns) / (double)NS_PER_S;
    if ((double)bbr->extra_acked_delivered <= expected) {
        bbr->extra_acked_delivered = 0;
        bbr->extra_acked_start_ns = ack->now_ns;
        expected = 0;
    }
    bbr->extra_acked_delivered += ack->newly_acked;
    double over = (double)bbr->extra_acked_delivered - expected;
    uint64_t extra = over < (double)cc->cwnd ? (uint64_t)over : cc->cwnd;
    uint32_t rounds = bbr->full_bw_reached ? EXTRA_ACKED_ROUNDS : 1;
    if (bbr->round_start && ++bbr->extra_acked_rounds >= rounds) {
        bbr->extra_acked_rounds = 0;
        bbr->extra_acked_filter[0] = bbr->full_bw_reached ? bbr->extra_acked_filter[1] : 0;
        bbr->extra_acked_filter[1] = 0;
    }
    bbr->extra_acked_filter[1] = max64(bbr->extra_acked_filter[1], extra);
}

void bbr_full_bw_check(struct bbr *bbr, const struct cc_ack *ack)
{
    if (bbr->full_bw_now || !bbr->round_start || ack->app_limited || !ack->has_sample)
        return;
    double growth = bbr->full_bw_reached ? FULL_BW_GROWTH_PROBING : FULL_BW_GROWTH;
    if ((double)ack->delivery_rate >= (double)bbr->full_bw * growth) {
        bbr_full_bw_reset(bbr);
        bbr->full_bw = ack->delivery_rate;
        return;
    }
    bbr->full_bw_count++;
    uint32_t rounds = bbr->full_bw_reached ? FULL_BW_ROUNDS_PROBING : FULL_BW_ROUNDS;
    bbr->full_bw_now = bbr->full_bw_count >= rounds;
    bbr->full_bw_reached |= bbr->full_bw_now;
}

void bbr_min_rtt_update(struct bbr *bbr, const struct cc_ack *ack)
{
    bbr->probe_rtt_expired = ack->now_ns > bbr->probe_rtt_min_stamp_ns + PROBE_RTT_INTERVAL_NS;
    if (ack->rtt_ns != 0 && (ack->rtt_ns < bbr->probe_rtt_min_delay_ns || bbr->probe_rtt_expired)) {
        bbr->probe_rtt_min_delay_ns = ack->rtt_ns;
        bbr->probe_rtt_min_stamp_ns = ack->now_ns;
    }
    bool min_rtt_expired = ack->now_ns > bbr->min_rtt_stamp_ns + MIN_RTT_FILTER_NS;
    if (bbr->probe_rtt_min_delay_ns < bbr->min_rtt_ns || min_rtt_expired) {
        bbr->min_rtt_ns = bbr->probe_rtt_min_delay_ns;
        bbr->min_rtt_stamp_ns = bbr->probe_rtt_min_stamp_ns;
    }
}

uint64_t bbr_bdp(const struct cc *cc, uint64_t bw, double gain)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    if (bbr->min_rtt_ns == UINT64_MAX || bw == 0)
        return (uint64_t)CC_INITIAL_SEGMENTS * cc->mss;
    return (uint64_t)(gain * (double)bw * (double)bbr->min_rtt_ns / (double)NS_PER_S);
}

uint64_t bbr_inflight(const struct cc *cc, uint64_t bw, double gain)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    uint64_t cap = max64(bbr_bdp(cc, bw, gain), OFFLOAD_QUANTA * cc->quantum);
    cap = max64(cap, (uint64_t)BBR_MIN_SEGMENTS * cc->mss);
    return bbr->phase == BBR_PROBE_UP ? cap + 2 * (uint64_t)cc->mss : cap;
}

uint64_t bbr_inflight_with_headroom(const struct cc *cc)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    if (bbr->inflight_longterm == CC_UNLIMITED)
        return CC_UNLIMITED;
    uint64_t headroom = max64(cc->mss, (uint64_t)(BBR_HEADROOM * (double)bbr->inflight_longterm));
    uint64_t floor = (uint64_t)BBR_MIN_SEGMENTS * cc->mss;
    return bbr->inflight_longterm > floor + headroom ? bbr->inflight_longterm - headroom : floor;
}
