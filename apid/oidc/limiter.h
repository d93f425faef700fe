/* How often something may be tried, by a key such as a client's address or a user's name: a token bucket
 * each, in a table of fixed size. Keys that fall into one slot share its bucket, so the table can be made to
 * refuse too much but never too little; which keys share is secret. apid only. */
#ifndef NEXD_APID_LIMITER_H
#define NEXD_APID_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

enum { LIMITER_SLOTS = 4096, LIMITER_SECRET_BYTES = 16 };

struct limiter {
    uint64_t period_ns; /* one more attempt each period … */
    uint32_t burst;     /* … up to so many at once */
    uint8_t secret[LIMITER_SECRET_BYTES];
    uint64_t due_ns[LIMITER_SLOTS]; /* when the bucket will be full again */
};

void limiter_init(struct limiter *limiter, uint64_t period_ns, uint32_t burst);
/* Takes one attempt; false if there is none. `now_ns` is monotonic. */
bool limiter_take(struct limiter *limiter, const char *key, uint64_t now_ns);
/* Whether one could be taken. */
bool limiter_allows(const struct limiter *limiter, const char *key, uint64_t now_ns);

#endif
