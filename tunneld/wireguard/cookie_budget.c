/* Two token buckets of the kind that ratelimit.c has, and a table of known sources in which a source has one
 * place: a newer one takes it over. Being forgotten costs a peer its place before strangers, no more, and its
 * next handshake brings it back. */
#include "tunneld/wireguard/cookie_budget.h"

#include <stddef.h>

#define TOKEN_NS (NS_PER_S / COOKIES_PER_SECOND)
#define FULL_NS  (TOKEN_NS * COOKIES_BURST)

static size_t place_of(uint64_t source)
{
    return source % COOKIE_KNOWN_SOURCES;
}

static bool is_known(const struct cookie_budget *budget, uint64_t source)
{
    return budget->known[place_of(source)] == source;
}

void cookie_budget_know(struct cookie_budget *budget, uint64_t source)
{
    budget->known[place_of(source)] = source;
}

bool cookie_budget_left(const struct cookie_budget *budget, uint64_t source, uint64_t now_ns)
{
    return now_ns - budget->empty_ns[is_known(budget, source)] >= TOKEN_NS;
}

void cookie_budget_take(struct cookie_budget *budget, uint64_t source, uint64_t now_ns)
{
    uint64_t *empty_ns = &budget->empty_ns[is_known(budget, source)];

    if (now_ns - *empty_ns > FULL_NS)
        *empty_ns = now_ns - FULL_NS;
    *empty_ns += TOKEN_NS;
}
