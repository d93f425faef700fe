/* Guards of the handshake path: whether there is so much of it that senders must prove their address first,
 * and how much of it one source may then ask for (paper, section 5.3). tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_RATELIMIT_H
#define NEXD_TUNNELD_WIREGUARD_RATELIMIT_H

#include "common/clock.h"
#include "common/netaddr.h"

/* Under load: more than LOAD_MESSAGES handshake messages with a valid mac1 within a LOAD_INTERVAL, and until
 * LOAD_HOLD has passed since. A handshake costs about 0.2 ms of X25519, so that this is a fifth of a core. */
#define LOAD_INTERVAL (100 * NS_PER_MS)
#define LOAD_HOLD     (1 * NS_PER_S)
enum { LOAD_MESSAGES = 100 };

struct handshake_load {
    uint64_t interval_start_ns;
    unsigned messages; /* in this interval */
    uint64_t loaded_until_ns;
};

/* Whether we are under load by what was counted before. */
bool handshake_is_loaded(const struct handshake_load *load, uint64_t now_ns);
/* Counts a message and tells whether we are under load. */
bool handshake_load_count(struct handshake_load *load, uint64_t now_ns);

/* A token bucket for each source: an IPv4 address, or an IPv6 /64. */
enum { RATELIMIT_PER_SECOND = 20, RATELIMIT_BURST = 5, RATELIMIT_SETS = 1024, RATELIMIT_WAYS = 4 };

struct ratelimit_bucket {
    uint64_t source;   /* keyed hash of the prefix; 0 = free */
    uint64_t empty_ns; /* the time at which the bucket was, or would have been, empty */
};

struct ratelimit {
    uint8_t hash_key[16];
    struct ratelimit_bucket buckets[RATELIMIT_SETS][RATELIMIT_WAYS];
};

/* NULL: out of memory. Free with free(). */
struct ratelimit *ratelimit_new(void);
/* A keyed hash of what counts as one source; never 0. */
uint64_t ratelimit_source(const struct ratelimit *limit, const struct netaddr *from);
/* Takes a token; false when there is none, or when no bucket is to be had. */
bool ratelimit_allow(struct ratelimit *limit, const struct netaddr *from, uint64_t now_ns);

#endif
