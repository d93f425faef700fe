/* How many cookies are sent a second. One costs several times what it costs to drop the message it answers:
 * under a flood with forged addresses, answering all of it would take the processor from the sessions that
 * stand, and make us send to whoever the addresses belong to. So strangers share a budget, and addresses
 * that a peer is known by have one of their own, which a flood from anywhere cannot use up. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_COOKIE_BUDGET_H
#define NEXD_TUNNELD_WIREGUARD_COOKIE_BUDGET_H

#include "common/clock.h"

#include <stdbool.h>
#include <stdint.h>

enum { COOKIES_PER_SECOND = 20000, COOKIES_BURST = 256, COOKIE_KNOWN_SOURCES = 8192 };

/* Zeroed, it is full and knows no source, which is ratelimit_source()'s number. */
struct cookie_budget {
    uint64_t empty_ns[2];                 /* of strangers, of known sources: as in struct ratelimit_bucket */
    uint64_t known[COOKIE_KNOWN_SOURCES]; /* 0 = none */
};

/* A peer has this address. Of very many, the latest are remembered. */
void cookie_budget_know(struct cookie_budget *budget, uint64_t source);
/* Whether a cookie may be sent there now. */
bool cookie_budget_left(const struct cookie_budget *budget, uint64_t source, uint64_t now_ns);
/* One is sent, which cookie_budget_left() allows. */
void cookie_budget_take(struct cookie_budget *budget, uint64_t source, uint64_t now_ns);

#endif
