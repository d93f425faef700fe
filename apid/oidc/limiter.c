#include "apid/oidc/limiter.h"

#include <sodium.h>
#include <string.h>

_Static_assert(LIMITER_SECRET_BYTES == crypto_shorthash_KEYBYTES, "the secret is SipHash's key");

void limiter_init(struct limiter *limiter, uint64_t period_ns, uint32_t burst)
{
    memset(limiter, 0, sizeof(*limiter));
    limiter->period_ns = period_ns;
    limiter->burst = burst;
    randombytes_buf(limiter->secret, sizeof(limiter->secret));
}

static unsigned slot_of(const struct limiter *limiter, const char *key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, (const uint8_t *)key, strlen(key), limiter->secret);
    return ((unsigned)hash[0] | (unsigned)hash[1] << 8) % LIMITER_SLOTS;
}

bool limiter_allows(const struct limiter *limiter, const char *key, uint64_t now_ns)
{
    const uint64_t due = limiter->due_ns[slot_of(limiter, key)];
    return due < now_ns || due - now_ns <= limiter->period_ns * (limiter->burst - 1);
}

bool limiter_take(struct limiter *limiter, const char *key, uint64_t now_ns)
{
    uint64_t *const due = &limiter->due_ns[slot_of(limiter, key)];
    if (!limiter_allows(limiter, key, now_ns))
        return false;
    *due = (*due < now_ns ? now_ns : *due) + limiter->period_ns;
    return true;
}
