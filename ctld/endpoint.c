/* An address that was written down is used as it is. A name is looked up at once and its addresses are tried
 * in turn, the families alternating, for as long as the tunnel sends without getting a handshake through.
 *
 * A handshake younger than ENDPOINT_ALIVE_MS settles it: no look-up, no change; the peer may even have roamed
 * to an address that no name knows. And a peer that nobody talks to is left alone too: without traffic there
 * is no handshake, which proves nothing. So both changing the address and looking the name up again need
 * evidence that the tunnel tried (its count of sent bytes grew) and failed. */
#include "ctld/endpoint.h"

#include "common/clock.h"
#include "common/err.h"

#include <stdio.h>
#include <string.h>

/* An address, perhaps "v6%zone" with the zone as a number. */
static int literal_parse(const char *host, uint16_t port, struct netsock *out)
{
    char text[IPC_NAME_MAX + 12];
    snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    return netsock_parse(text, out);
}

int endpoint_init(struct endpoint *e, const char *host, uint16_t port, uint64_t now_ns)
{
    *e = (struct endpoint){.port = port, .backoff_ms = ENDPOINT_BACKOFF_MIN_MS, .resolve_at_ns = now_ns};
    if (host[0] == '\0')
        return NX_OK;
    if (port == 0 || strlen(host) > IPC_NAME_MAX)
        return NX_EINVAL;
    if (literal_parse(host, port, &e->candidates[0]) == NX_OK) {
        e->literal = e->changed = true;
        e->candidate_count = 1;
    } else if (!hostname_valid(host)) {
        return NX_EINVAL;
    }
    snprintf(e->host, sizeof e->host, "%s", host);
    return NX_OK;
}

static bool is_alive(const struct endpoint *e, uint64_t now_ns)
{
    return e->handshake_ns && now_ns - e->handshake_ns < ENDPOINT_ALIVE_MS * NS_PER_MS;
}

void endpoint_status(struct endpoint *e, uint64_t handshake_ns, uint64_t tx_bytes, uint64_t now_ns)
{
    bool sent = tx_bytes > e->tx_bytes;
    e->handshake_ns = handshake_ns;
    e->tx_bytes = tx_bytes;
    if (is_alive(e, now_ns)) {
        e->trying = e->attempted = false;
    } else if (sent) {
        e->attempted = true;
        if (!e->trying) {
            e->trying = true;
            e->try_since_ns = now_ns;
        }
    }
}

void endpoint_resolving(struct endpoint *e)
{
    e->resolving = true;
}

/* The families in turn, each in its given order, beginning with the first address's. */
static void interleave(const struct netaddr *in, size_t count, uint16_t port, struct netsock *out)
{
    size_t next[2] = {0, 0}; /* position in `in` of the first and of the other family */
    const uint8_t first = in[0].family;
    for (size_t filled = 0; filled < count;) {
        for (size_t turn = 0; turn < 2; turn++) {
            size_t *i = &next[turn];
            while (*i < count && (in[*i].family == first) != (turn == 0))
                (*i)++;
            if (*i < count)
                out[filled++] = (struct netsock){.addr = in[(*i)++], .port = port};
        }
    }
}

void endpoint_resolved(struct endpoint *e, const struct netaddr *addresses, size_t count, uint32_t ttl_s,
                       uint64_t now_ns)
{
    if (!e->resolving)
        return;
    if (count == 0) {
        endpoint_resolve_failed(e, now_ns);
        return;
    }
    const struct netsock before = endpoint_address(e);
    e->resolving = false;
    e->backoff_ms = ENDPOINT_BACKOFF_MIN_MS;
    uint64_t ttl_ns = ttl_s * NS_PER_S;
    e->fresh_until_ns =
        now_ns + (ttl_ns < ENDPOINT_TTL_MIN_MS * NS_PER_MS ? ENDPOINT_TTL_MIN_MS * NS_PER_MS : ttl_ns);
    e->attempted = false;
    e->candidate_count = (uint16_t)(count < IPC_ADDRS_MAX ? count : IPC_ADDRS_MAX);
    interleave(addresses, e->candidate_count, e->port, e->candidates);
    e->current = 0;
    for (uint16_t i = 0; i < e->candidate_count; i++) {
        if (netsock_equal(&e->candidates[i], &before)) {
            e->current = i;
            return;
        }
    }
    e->changed = true;
    e->trying = false;
}

void endpoint_resolve_failed(struct endpoint *e, uint64_t now_ns)
{
    if (!e->resolving)
        return;
    e->resolving = false;
    e->resolve_at_ns = now_ns + e->backoff_ms * NS_PER_MS;
    e->backoff_ms =
        e->backoff_ms >= ENDPOINT_BACKOFF_MAX_MS / 2 ? ENDPOINT_BACKOFF_MAX_MS : e->backoff_ms * 2;
}

void endpoint_retry(struct endpoint *e, uint64_t now_ns)
{
    e->resolving = false;
    e->resolve_at_ns = now_ns;
    e->backoff_ms = ENDPOINT_BACKOFF_MIN_MS;
}

static bool is_name(const struct endpoint *e)
{
    return e->host[0] && !e->literal;
}

static bool wants_look_up(const struct endpoint *e, uint64_t now_ns)
{
    if (!is_name(e) || e->resolving || now_ns < e->resolve_at_ns)
        return false;
    if (e->candidate_count == 0)
        return true;
    return !is_alive(e, now_ns) && e->attempted && now_ns >= e->fresh_until_ns;
}

enum endpoint_step endpoint_step(struct endpoint *e, uint64_t now_ns)
{
    if (e->candidate_count > 1 && e->trying && now_ns - e->try_since_ns >= ENDPOINT_TRY_MS * NS_PER_MS) {
        e->current = (uint16_t)((e->current + 1) % e->candidate_count);
        e->trying = false;
        e->changed = true;
    }
    if (e->changed) {
        e->changed = false;
        return ENDPOINT_USE;
    }
    return wants_look_up(e, now_ns) ? ENDPOINT_RESOLVE : ENDPOINT_NOTHING;
}

struct netsock endpoint_address(const struct endpoint *e)
{
    return e->candidate_count ? e->candidates[e->current] : (struct netsock){0};
}

uint64_t endpoint_next_ns(const struct endpoint *e)
{
    if (e->changed)
        return 0;
    if (!is_name(e))
        return UINT64_MAX;
    if (e->candidate_count == 0)
        return e->resolving ? UINT64_MAX : e->resolve_at_ns;
    uint64_t next_ns = UINT64_MAX;
    if (!e->resolving && e->attempted)
        next_ns = e->fresh_until_ns > e->resolve_at_ns ? e->fresh_until_ns : e->resolve_at_ns;
    if (e->trying && e->candidate_count > 1) {
        uint64_t turn_ns = e->try_since_ns + ENDPOINT_TRY_MS * NS_PER_MS;
        next_ns = turn_ns < next_ns ? turn_ns : next_ns;
    }
    return next_ns;
}

uint64_t endpoint_status_due_ns(const struct endpoint *e, uint64_t now_ns)
{
    if (!is_name(e) || e->candidate_count == 0)
        return UINT64_MAX;
    if (is_alive(e, now_ns))
        return e->handshake_ns + ENDPOINT_ALIVE_MS * NS_PER_MS;
    return now_ns + ENDPOINT_STATUS_MS * NS_PER_MS;
}
