/* So many events a second, and not more: a bucket that holds one second's worth. */
#ifndef NEXD_PROXYD_RATE_H
#define NEXD_PROXYD_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint64_t per_second; /* 0 = no bound */
    uint64_t due_ns;     /* when the events so far would have been due, spread evenly */
};

/* May one more happen now? With `take` it does. */
bool rate_take(struct rate *rate, uint64_t now_ns, bool take);

#endif
