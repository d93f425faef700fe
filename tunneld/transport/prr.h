/* Proportional rate reduction (RFC 6937 and its successor draft-ietf-tcpm-prr-rfc6937bis): how much may leave
 * during a recovery, so that the amount in flight sinks evenly to ssthresh over a round trip, and comes back
 * to it without a burst where losses went below. */
#ifndef NEXD_TUNNELD_PRR_H
#define NEXD_TUNNELD_PRR_H

#include <stdbool.h>
#include <stdint.h>

struct prr {
    uint64_t recover_fs; /* in flight when the recovery began */
    uint64_t delivered, out;
};

void prr_begin(struct prr *prr, uint64_t inflight);
static inline void prr_sent(struct prr *prr, uint64_t bytes)
{
    prr->out += bytes;
}
/* Returns the window after an acknowledgement that delivered `delivered` bytes. `safe`: it moved the
 * cumulative acknowledgement and found no new loss. `first`: it began the recovery, so one segment may leave
 * in any case. */
uint64_t prr_ack(struct prr *prr, uint64_t delivered, uint64_t inflight, uint64_t ssthresh, uint32_t mss,
                 bool safe, bool first);

#endif
