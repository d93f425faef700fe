/* See rtt.h. */
#include "tunneld/transport/rtt.h"

#define MIN_PERIOD_NS (10 * NS_PER_S)
enum { BACKOFF_MAX = 16 };

static void min_update(struct rtt *rtt, uint64_t sample_ns, uint64_t now_ns)
{
    if (rtt->min_ns[1] == 0 || now_ns - rtt->min_since_ns > MIN_PERIOD_NS) {
        rtt->min_ns[0] = rtt->min_ns[1];
        rtt->min_ns[1] = sample_ns;
        rtt->min_since_ns = now_ns;
    } else if (sample_ns < rtt->min_ns[1]) {
        rtt->min_ns[1] = sample_ns;
    }
}

void rtt_sample(struct rtt *rtt, uint64_t sample_ns, uint64_t now_ns)
{
    if (sample_ns == 0)
        sample_ns = 1;
    min_update(rtt, sample_ns, now_ns);
    rtt->latest_ns = sample_ns;
    if (rtt->smoothed_ns == 0) {
        rtt->smoothed_ns = sample_ns;
        rtt->variation_ns = sample_ns / 2;
        return;
    }
    uint64_t error =
        sample_ns > rtt->smoothed_ns ? sample_ns - rtt->smoothed_ns : rtt->smoothed_ns - sample_ns;
    rtt->variation_ns = (3 * rtt->variation_ns + error) / 4;
    rtt->smoothed_ns = (7 * rtt->smoothed_ns + sample_ns) / 8;
}

uint64_t rtt_min_ns(const struct rtt *rtt)
{
    if (rtt->min_ns[0] != 0 && rtt->min_ns[0] < rtt->min_ns[1])
        return rtt->min_ns[0];
    return rtt->min_ns[1];
}

uint64_t rtt_rto_ns(const struct rtt *rtt, unsigned backoff)
{
    uint64_t rto = RTT_RTO_INITIAL_NS;
    if (rtt->smoothed_ns != 0) {
        uint64_t variation = 4 * rtt->variation_ns;
        rto = rtt->smoothed_ns + (variation > RTT_VARIATION_MIN_NS ? variation : RTT_VARIATION_MIN_NS);
    }
    /* A path longer than the limit keeps its own timeout. */
    uint64_t limit = rto > RTT_RTO_MAX_NS ? rto : RTT_RTO_MAX_NS;
    rto <<= backoff < BACKOFF_MAX ? backoff : BACKOFF_MAX;
    return rto < limit ? rto : limit;
}
