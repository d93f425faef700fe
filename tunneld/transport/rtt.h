/* Round-trip time and the retransmission timeout that follows from it (RFC 6298), in nanoseconds. As the
 * kernels of today do, the timeout stays at least RTT_VARIATION_MIN_NS above the smoothed round trip rather
 * than above one second, and backs off to RTT_RTO_MAX_NS only: in a tunnel, whose probes cost little, a path
 * that comes back is to be used at once. */
#ifndef NEXD_TUNNELD_RTT_H
#define NEXD_TUNNELD_RTT_H

#include "common/clock.h"
#include <stdint.h>

#define RTT_RTO_INITIAL_NS   NS_PER_S
#define RTT_VARIATION_MIN_NS (200 * NS_PER_MS)
#define RTT_RTO_MAX_NS       (1500 * NS_PER_MS)

struct rtt {
    uint64_t smoothed_ns, variation_ns; /* 0 = no sample yet */
    uint64_t latest_ns;
    uint64_t min_ns[2], min_since_ns; /* least of this period and of the one before it; 0 = none */
};

void rtt_sample(struct rtt *rtt, uint64_t sample_ns, uint64_t now_ns);
/* Least of the last 10 to 20 seconds; 0 = no sample. */
uint64_t rtt_min_ns(const struct rtt *rtt);
/* The timeout after `backoff` timeouts in a row. */
uint64_t rtt_rto_ns(const struct rtt *rtt, unsigned backoff);

#endif
