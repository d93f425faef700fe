/* HyStart++ (RFC 9406): leaves slow start when the round trip grows, before the queue overflows, by way of a
 * phase of slower growth that it takes back if the growth was noise. Rounds are counted by bytes delivered.
 */
#ifndef NEXD_TUNNELD_HYSTART_H
#define NEXD_TUNNELD_HYSTART_H

#include <stdbool.h>
#include <stdint.h>

struct hystart {
    uint64_t round_end_delivered;
    uint64_t last_min_rtt_ns, current_min_rtt_ns, baseline_min_rtt_ns;
    uint32_t samples;    /* of the round trip, this round */
    uint32_t css_rounds; /* 0 = in slow start, else rounds of conservative slow start so far, from 1 */
};

void hystart_init(struct hystart *hystart);
/* An acknowledgement in slow start that delivered `acked` bytes and left `inflight`. Returns by how much the
 * window grows; sets *done when slow start is over. */
uint64_t hystart_ack(struct hystart *hystart, uint64_t acked, uint64_t delivered, uint64_t inflight,
                     uint64_t rtt_ns, bool *done);

#endif
