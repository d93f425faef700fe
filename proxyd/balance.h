/* Which rule of a port serves the next flow: round robin, with rules whose destination failed lately put at
 * the end. Pure functions on an explicit clock. */
#ifndef NEXD_PROXYD_BALANCE_H
#define NEXD_PROXYD_BALANCE_H

#include <stddef.h>
#include <stdint.h>

enum { BALANCE_BACKOFF_MIN_MS = 1000, BALANCE_BACKOFF_MAX_MS = 30000 };

/* Zero: never failed. Passed over until retry_at_ns; each failure in a row doubles the pause. */
struct balance_health {
    uint64_t retry_at_ns; /* monotonic */
    uint32_t backoff_ms;  /* 0 = it works, as far as we know */
};

void balance_failed(struct balance_health *health, uint64_t now_ns);
void balance_worked(struct balance_health *health);
/* An attempt begins. A destination that has failed is tried by one flow at a time, not by all that arrive
 * while the outcome is open. */
void balance_trying(struct balance_health *health, uint64_t now_ns);

/* The order in which `count` rules are to be tried, as indexes into `order` (`count` entries). `turn` is the
 * port's counter, incremented before use. Healthy rules come first, in rotation; then the others, the one
 * whose pause ends first in front. A flow is never refused without a try. */
void balance_order(const struct balance_health *health, size_t count, uint32_t *turn, uint64_t now_ns,
                   uint32_t *order);

#endif
