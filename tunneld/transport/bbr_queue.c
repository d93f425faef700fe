/* A queue that stands though nobody needs it (not in the draft).
 *
 * BBR's rate is the best sample of two probing cycles. Each flow's best was had at others' expense, so
 * together they send more than the path delivers, fill the queue up to what their windows allow, and from
 * there on shares are as windows are: whoever came first keeps most of it for minutes. And a probe, once the
 * pipe is full, finds only what it takes from others.
 *
 * So, where in a whole round nothing has passed without waiting, and outside of probing, the rate follows
 * what is delivered. How far depends on who keeps the queue. All flows of BBR that share a bottleneck go into
 * ProbeRTT together; if that empties it, nobody else keeps it:
 *
 * - Among flows alike the rate is what was delivered in the round before and a constant, the same for all,
 *   and the window what that rate needs on the empty path:
 *
 *       rate' = delivered + c,   delivered = rate x empty / (empty + queue)
 *
 *   Each round trip takes the same share from everybody and gives everybody the same amount, so shares draw
 *   together by queue / (empty + queue) a round trip, and the queue settles where flows x c x empty is in it.
 *   No flow has to know how many there are. Above a quarter of the empty round trip c falls as the queue
 *   grows, again alike for all: the queue grows with the root of the number of flows. The pipe is full, so
 *   nobody probes; c grows into what becomes free, and when the queue is gone probing begins again. Rounds of
 *   heavy losses cut as ever.
 * - Beside flows that keep a queue as they like, what follows the rate goes down to half of the best sample
 *   and no further, the window is the bandwidth-delay product and a constant, and probes go on: that bounds
 *   what is given up. */
#include "common/clock.h"
#include "tunneld/transport/bbr.h"

#define QUEUE_RATE_FLOOR 0.5
#define QUEUE_SLACK_NS   (2 * NS_PER_MS) /* of both ends' timers and batches */
#define EMPTY_SLACK_NS   NS_PER_MS
#define LEAST_PATH_NS    NS_PER_MS /* on a shorter path what waits, waits for a processor (bbr.c) */
enum {
    QUEUE_RTT_SHARE = 16,
    QUEUE_WHOLE_SHARE = 4,
    EMPTY_RTT_SHARE = 16,
    WINDOW_QUANTA = 3,
    /* The constant among flows alike, bytes a second, and at least so many segments a round trip. */
    ALIKE_RATE = 500000,
    ALIKE_SEGMENTS = 8,
    /* The constant beside others: so many segments, on long paths what this rate brings in a round trip. */
    OTHERS_SEGMENTS = 64,
    OTHERS_RATE = 1000000,
};

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t in_round_trip(const struct bbr *bbr, uint64_t rate)
{
    return (uint64_t)((double)rate * (double)bbr->min_rtt_ns / (double)NS_PER_S);
}

void bbr_queue_sample(struct bbr *bbr, const struct cc_ack *ack)
{
    if (ack->rtt_ns != 0 && (bbr->round_rtt_ns == 0 || ack->rtt_ns < bbr->round_rtt_ns))
        bbr->round_rtt_ns = ack->rtt_ns;
}

void bbr_queue_probe_begin(struct bbr *bbr)
{
    bbr->probe_rtt_least_ns = 0;
}

void bbr_queue_probe_sample(struct bbr *bbr, const struct cc_ack *ack)
{
    if (ack->rtt_ns != 0 && (bbr->probe_rtt_least_ns == 0 || ack->rtt_ns < bbr->probe_rtt_least_ns))
        bbr->probe_rtt_least_ns = ack->rtt_ns;
}

/* The draft forgets the short-term bounds here. Among flows alike they are no trace of ProbeRTT, and all
 * flows that forget them at once fill the queue that they have just emptied. */
void bbr_queue_probe_end(struct bbr *bbr)
{
    uint64_t empty_ns = bbr->min_rtt_ns + bbr->min_rtt_ns / EMPTY_RTT_SHARE + EMPTY_SLACK_NS;
    bbr->queue_alike = bbr->min_rtt_ns >= LEAST_PATH_NS && bbr->probe_rtt_least_ns != 0 &&
                       bbr->probe_rtt_least_ns <= empty_ns;
    if (!bbr->queue_alike || bbr->lossy)
        bbr_shortterm_reset(bbr);
}

uint64_t bbr_queue_bw(const struct bbr *bbr)
{
    return bbr->queue_rate ? bbr->bw_shortterm : min64(bbr->max_bw, bbr->bw_shortterm);
}

void bbr_queue_probe_up(struct bbr *bbr)
{
    if (!bbr->queue_rate)
        return;
    bbr->bw_filter[0] = 0;
    bbr->bw_filter[1] = bbr->max_bw = bbr->bw_shortterm;
}

bool bbr_queue_stops_probe(const struct bbr *bbr, const struct cc_ack *ack)
{
    return bbr->queue_alike && bbr->queue_standing && bbr->round_start &&
           ack->now_ns > bbr->probe_up_stamp_ns + bbr->min_rtt_ns;
}

static void adapt_beside_others(struct bbr *bbr)
{
    uint64_t least = (uint64_t)(QUEUE_RATE_FLOOR * (double)bbr->max_bw);
    uint64_t most = bbr->lossy ? bbr->bw_shortterm : bbr->max_bw;
    bbr->bw_shortterm = min64(max64(bbr->bw_latest, least), most);
}

static void adapt_among_alike(struct cc *cc, const struct cc_ack *ack, uint64_t queue_ns)
{
    struct bbr *bbr = bbr_of(cc);
    uint64_t took_ns = ack->now_ns - bbr->round_base_ns;
    uint64_t constant = max64(in_round_trip(bbr, ALIKE_RATE), (uint64_t)ALIKE_SEGMENTS * cc->mss);
    uint64_t whole_ns = bbr->min_rtt_ns / QUEUE_WHOLE_SHARE;
    if (queue_ns > whole_ns)
        constant = (uint64_t)((double)constant * (double)whole_ns / (double)queue_ns);
    double delivered = (double)(ack->delivered - bbr->round_base_delivered);
    bbr->bw_shortterm = (uint64_t)(delivered * (double)NS_PER_S / (double)took_ns +
                                   (double)constant * (double)NS_PER_S / (double)bbr->min_rtt_ns);
    bbr->queue_rate = true;
    /* What losses once bounded grows by as much; a bound that only probes raise would keep this flow back. */
    bbr->lossy = false;
    bbr->inflight_shortterm = CC_UNLIMITED;
    if ((double)bbr->inflight_longterm * (1 - BBR_HEADROOM) < (double)in_round_trip(bbr, bbr->bw_shortterm))
        bbr->inflight_longterm += constant;
    bbr->cycle_stamp_ns = ack->now_ns; /* the wait for the next probe begins anew */
    bbr->rounds_since_probe_up = 0;
}

bool bbr_queue_adapt(struct cc *cc, const struct cc_ack *ack, bool lossy)
{
    struct bbr *bbr = bbr_of(cc);
    uint64_t rtt_ns = bbr->round_rtt_ns, min_ns = bbr->min_rtt_ns;
    bbr->round_rtt_ns = 0;
    bbr->queue_standing = rtt_ns != 0 && min_ns != UINT64_MAX && rtt_ns > QUEUE_SLACK_NS &&
                          rtt_ns - QUEUE_SLACK_NS > min_ns + min_ns / QUEUE_RTT_SHARE;
    if (!bbr->queue_standing || lossy || !bbr->full_bw_reached || bbr_probing_bw(bbr) ||
        bbr->phase == BBR_PROBE_RTT || ack->app_limited)
        return false;
    if (!bbr->queue_alike)
        adapt_beside_others(bbr);
    else if (ack->now_ns > bbr->round_base_ns)
        adapt_among_alike(cc, ack, rtt_ns - min_ns);
    return true;
}

uint64_t bbr_queue_cap(const struct cc *cc, uint64_t cap, uint64_t extra_acked)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    if (!bbr->queue_standing || (bbr->phase != BBR_PROBE_CRUISE && bbr->phase != BBR_PROBE_DOWN))
        return cap;
    uint64_t constant = WINDOW_QUANTA * cc->quantum;
    if (!bbr->queue_alike) {
        constant = max64((uint64_t)OTHERS_SEGMENTS * cc->mss, in_round_trip(bbr, OTHERS_RATE));
        constant = max64(constant, extra_acked);
    }
    return min64(bbr_bdp(cc, bbr->bw, 1.0) + constant, cap);
}
