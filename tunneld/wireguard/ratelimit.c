/* A bucket is one time stamp: the moment at which it was empty. It holds (now - empty) * rate tokens, at most
 * the burst; taking one moves the stamp by one token's time. A bucket that is full again says nothing that a
 * new one would not say, so it may be given to another source: the table needs no sweeping and has a fixed
 * size. When all buckets of a set are in use, further sources wait: better than letting a flood from many
 * addresses evict its own records. */
#include "tunneld/wireguard/ratelimit.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_NS (NS_PER_S / RATELIMIT_PER_SECOND)
#define FULL_NS  (TOKEN_NS * RATELIMIT_BURST)

bool handshake_is_loaded(const struct handshake_load *load, uint64_t now_ns)
{
    return now_ns < load->loaded_until_ns;
}

bool handshake_load_count(struct handshake_load *load, uint64_t now_ns)
{
    if (now_ns - load->interval_start_ns >= LOAD_INTERVAL) {
        load->interval_start_ns = now_ns;
        load->messages = 0;
    }
    if (++load->messages > LOAD_MESSAGES)
        load->loaded_until_ns = now_ns + LOAD_HOLD;
    return handshake_is_loaded(load, now_ns);
}

struct ratelimit *ratelimit_new(void)
{
    struct ratelimit *limit = calloc(1, sizeof(*limit));

    if (limit)
        randombytes_buf(limit->hash_key, sizeof(limit->hash_key));
    return limit;
}

uint64_t ratelimit_source(const struct ratelimit *limit, const struct netaddr *from)
{
    uint8_t prefix[9] = {from->family};
    uint64_t hash;

    memcpy(prefix + 1, from->bytes, from->family == NETADDR_V4 ? 4 : 8);
    crypto_shorthash((uint8_t *)&hash, prefix, sizeof(prefix), limit->hash_key);
    return hash ? hash : 1;
}

static bool bucket_full(const struct ratelimit_bucket *bucket, uint64_t now_ns)
{
    return bucket->source == 0 || now_ns - bucket->empty_ns >= FULL_NS;
}

static struct ratelimit_bucket *bucket_find(struct ratelimit *limit, uint64_t source, uint64_t now_ns)
{
    struct ratelimit_bucket *set = limit->buckets[source % RATELIMIT_SETS], *unused = NULL;

    for (size_t i = 0; i < RATELIMIT_WAYS; i++) {
        if (set[i].source == source)
            return &set[i];
        if (!unused && bucket_full(&set[i], now_ns))
            unused = &set[i];
    }
    if (unused)
        *unused = (struct ratelimit_bucket){.source = source, .empty_ns = now_ns - FULL_NS};
    return unused;
}

bool ratelimit_allow(struct ratelimit *limit, const struct netaddr *from, uint64_t now_ns)
{
    struct ratelimit_bucket *bucket = bucket_find(limit, ratelimit_source(limit, from), now_ns);

    if (!bucket)
        return false;
    if (now_ns - bucket->empty_ns > FULL_NS)
        bucket->empty_ns = now_ns - FULL_NS;
    if (now_ns - bucket->empty_ns < TOKEN_NS)
        return false;
    bucket->empty_ns += TOKEN_NS;
    return true;
}
