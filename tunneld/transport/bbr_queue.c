/* A queue that stands though nobody needs it (not in the draft).
 *
 * BBR's rate is the best sample of two probing cycles. Each flow's best was had at others' expense, so
 * together they send more than the path delivers, fill the queue up to what their windows allow, and from
 * there on shares are as windows are: whoever came first keeps most of it for minutes.
 *
 * So, where in a whole round nothing has passed without waiting, and outside of probing:
 * - the rate follows what is delivered now, down to half of the best sample. All flows together then send
 * what the path delivers, and the queue stops growing;
 * - the window is the bandwidth-delay product and a constant, the same for all. In a flow with a small share
 *   the constant weighs more: shares draw nearer to each other with every round trip.
 * Beside loss-based flows, which keep queues, the half bounds what is given up. */
#include "common/clock.h"
#include "tunneld/transport/bbr.h"

#define QUEUE_RATE_FLOOR 0.5
#define QUEUE_SLACK_NS   (2 * NS_PER_MS) /* of both ends' timers and batches */
/* The constant: so many segments, on long paths what this rate (bytes a second) brings in a round trip. */
enum { QUEUE_RTT_SHARE = 8, QUEUE_SEGMENTS = 64, QUEUE_RATE = 1000000 };

void bbr_queue_sample(struct bbr *bbr, const struct cc_ack *ack)
{
    if (ack->rtt_ns != 0 && (bbr->round_rtt_ns == 0 || ack->rtt_ns < bbr->round_rtt_ns))
        bbr->round_rtt_ns = ack->rtt_ns;
}

bool bbr_queue_adapt(struct bbr *bbr, const struct cc_ack *ack, bool lossy)
{
    uint64_t rtt_ns = bbr->round_rtt_ns, min_ns = bbr->min_rtt_ns;
    bbr->round_rtt_ns = 0;
    bbr->queue_standing = rtt_ns != 0 && min_ns != UINT64_MAX && rtt_ns > QUEUE_SLACK_NS &&
                          rtt_ns - QUEUE_SLACK_NS > min_ns + min_ns / QUEUE_RTT_SHARE;
    if (!bbr->queue_standing || lossy || !bbr->full_bw_reached || bbr_probing_bw(bbr) ||
        bbr->phase == BBR_PROBE_RTT || ack->app_limited)
        return false;
    uint64_t least = (uint64_t)(QUEUE_RATE_FLOOR * (double)bbr->max_bw);
    uint64_t rate = bbr->bw_latest > least ? bbr->bw_latest : least;
    uint64_t most = bbr->lossy ? bbr->bw_shortterm : bbr->max_bw;
    bbr->bw_shortterm = rate < most ? rate : most;
    return true;
}

uint64_t bbr_queue_cap(const struct cc *cc, uint64_t cap, uint64_t extra_acked)
{
    const struct bbr *bbr = (const struct bbr *)(const void *)cc->state;
    if (!bbr->queue_standing || (bbr->phase != BBR_PROBE_CRUISE && bbr->phase != BBR_PROBE_DOWN))
        return cap;
    uint64_t constant = (uint64_t)QUEUE_SEGMENTS * cc->mss;
    uint64_t of_path = (uint64_t)((double)QUEUE_RATE * (double)bbr->min_rtt_ns / (double)NS_PER_S);
    if (constant < of_path)
        constant = of_path;
    uint64_t least = bbr_bdp(cc, bbr->bw, 1.0) + (extra_acked > constant ? extra_acked : constant);
    return least < cap ? least : cap;
}
