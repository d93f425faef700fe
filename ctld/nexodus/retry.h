/* When to try again: back-off with decorrelated jitter, and what the server asks for with Retry-After. Time
 * and randomness come in as arguments. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_RETRY_H
#define NEXD_CTLD_NEXODUS_RETRY_H

#include <stddef.h>
#include <stdint.h>

enum {
    RETRY_BASE_MS = 1000,
    RETRY_CAP_MS = 60 * 1000,
    RETRY_AFTER_MAX_MS = 3600 * 1000, /* what Retry-After may ask for; more is cut to this */
};

/* The next pause is random between `base_ms` and three times the last one, at most `cap_ms`: many clients
 * that lost the same server come back spread out, and each ever more seldom. */
struct retry {
    uint64_t base_ms, cap_ms;
    uint64_t pause_ms; /* the last one; 0 = none in a row */
    unsigned failures; /* in a row */
};

/* 0 for either limit = RETRY_BASE_MS, RETRY_CAP_MS. */
void retry_init(struct retry *retry, uint64_t base_ms, uint64_t cap_ms);
/* It worked: the next failure begins anew. */
void retry_succeeded(struct retry *retry);
/* It failed: how long to wait. `random` is 64 random bits. `retry_after_ms` (0 = not said) is kept to as a
 * minimum; random time is added to it as well, so that those who were told the same do not come at once. */
uint64_t retry_failed(struct retry *retry, uint64_t random, uint64_t retry_after_ms);

/* The value of Retry-After: seconds, or an HTTP date, which is compared with the Date header of the same
 * answer
 * (`date`, may be NULL; then with `now_ms`, Unix time). 0 = nothing that can be read, or not later than now.
 */
uint64_t retry_after_parse(const char *value, size_t length, const char *date, size_t date_length,
                           uint64_t now_ms);

#endif
