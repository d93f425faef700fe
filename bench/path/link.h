/* What the path does to a datagram: the same in each direction, each with its own state. Loss first, then a
 * rate with a queue that drops what does not fit, then delay and jitter. */
#ifndef NEXD_BENCH_LINK_H
#define NEXD_BENCH_LINK_H

#include "bench/path/wheel.h"

struct link_model {
    uint64_t delay_ns, jitter_ns; /* jitter: up to so much more */
    uint64_t rate;                /* bits a second, 28 bytes of headers a datagram included; 0 = no limit */
    uint64_t queue_ns;            /* what may wait for the rate, as time */
    double loss, duplicate;
    double reorder; /* share that leaves without keeping its place: jitter moves it past others */
};

struct link_counters {
    uint64_t in, in_bytes, out, out_bytes, lost, queue_drop, too_long, pool_drop, send_drop, duplicated,
        reordered, late_sum_ns, late_max_ns;
};

struct link_state {
    uint64_t free_ns; /* when the link has sent all that it holds */
    uint64_t last_due_ns;
    struct link_counters counters;
};

void link_seed(uint64_t seed);
/* Takes the datagram over: puts it on the wheel, or drops it. */
void link_admit(const struct link_model *model, struct link_state *link, struct datagram *datagram,
                uint64_t now_ns);

#endif
