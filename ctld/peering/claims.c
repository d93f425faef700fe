/* Two rules make up the check:
 *
 *   - A tunnel address is one address, inside the VPC's ranges. An advertised network lies outside them, and
 *     clear of what is never a network behind somebody (loopback, link-local, multicast). So nobody can widen
 * an address of its own into those of others, and a default route, which meets all of these, goes to nobody.
 *   - A prefix belongs to one device. Who has it keeps it: a second claim cannot take traffic away from
 *     the first. Once the holder withdraws, the next in line gets it.
 *
 * Advertised networks may be nested: the longer prefix wins, as in any routing table. */
#include "ctld/peering/claims.h"

#include "common/log.h"

#include <stdlib.h>
#include <string.h>

enum { VPC_V4_BITS_MIN = 8, VPC_V6_BITS_MIN = 8 };

bool prefix_equal(const struct netprefix *a, const struct netprefix *b)
{
    return a->length == b->length && netaddr_equal(&a->addr, &b->addr);
}

bool prefix_overlaps(const struct netprefix *a, const struct netprefix *b)
{
    if (a->addr.family != b->addr.family || a->addr.family == NETADDR_NONE)
        return false;
    return a->length <= b->length ? netprefix_contains(a, &b->addr) : netprefix_contains(b, &a->addr);
}

/* Addresses that mean something to every host by themselves. */
static bool is_reserved(const struct netprefix *prefix)
{
    static const struct netprefix reserved[] = {
        {{NETADDR_V4, {0}}, 8},                  /* this network */
        {{NETADDR_V4, {127}}, 8},                /* loopback */
        {{NETADDR_V4, {169, 254}}, 16},          /* link-local */
        {{NETADDR_V4, {224}}, 3},                /* multicast, reserved, broadcast */
        {{NETADDR_V6, {0}}, 96},                 /* unspecified, loopback, IPv4-compatible */
        {{NETADDR_V6, {[10] = 0xff, 0xff}}, 96}, /* IPv4-mapped */
        {{NETADDR_V6, {0xfe, 0x80}}, 10},        /* link-local */
        {{NETADDR_V6, {0xff}}, 8},               /* multicast */
    };
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (prefix_overlaps(prefix, &reserved[i]))
            return true;
    return false;
}

const char *vpc_range_refusal(const struct netprefix *range)
{
    if (range->addr.family == NETADDR_NONE)
        return NULL;
    if (range->length < (range->addr.family == NETADDR_V4 ? VPC_V4_BITS_MIN : VPC_V6_BITS_MIN))
        return "it is too wide";
    return is_reserved(range) ? "it meets loopback, link-local or multicast addresses" : NULL;
}

static const struct netprefix *range_of(const struct vpc_ranges *vpc, const struct netprefix *prefix)
{
    return prefix->addr.family == NETADDR_V4 ? &vpc->v4 : &vpc->v6;
}

const char *claim_refusal(const struct vpc_ranges *vpc, const struct claim *claim)
{
    const struct netprefix *prefix = &claim->prefix, *range = range_of(vpc, prefix);
    const unsigned bits = prefix->addr.family == NETADDR_V4 ? 32 : 128;
    if (claim->kind == CLAIM_TUNNEL) {
        if (prefix->length != bits)
            return "a tunnel address is one address";
        return prefix_overlaps(range, prefix) ? NULL : "it is outside the VPC's ranges";
    }
    if (is_reserved(prefix))
        return "it meets loopback, link-local or multicast addresses";
    return prefix_overlaps(range, prefix) ? "an advertised network meets the VPC's ranges" : NULL;
}

static int compare(const void *left, const void *right)
{
    const struct claimant *a = left, *b = right;
    const struct netprefix *p = &a->claim->prefix, *q = &b->claim->prefix;
    int order = (int)p->addr.family - (int)q->addr.family;
    if (order == 0)
        order = memcmp(p->addr.bytes, q->addr.bytes, sizeof p->addr.bytes);
    if (order == 0)
        order = (int)p->length - (int)q->length;
    if (order == 0)
        order = (int)b->own - (int)a->own;
    if (order == 0)
        order = (int)b->claim->granted - (int)a->claim->granted;
    return order != 0 ? order : strcmp(a->id, b->id);
}

static void refuse(const struct claimant *claimant, const char *why)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 20};
    char prefix[NETPREFIX_TEXT_MAX];
    claimant->claim->granted = false;
    if (claimant->claim->told || !log_ratelimit_ok(&limit))
        return;
    claimant->claim->told = true;
    log_warn("device %s may not have %s: %s", claimant->id,
             netprefix_format(&claimant->claim->prefix, prefix), why);
}

size_t claims_grant(const struct vpc_ranges *vpc, struct claimant *claimants, size_t count)
{
    size_t granted = 0;
    const struct claimant *holder = NULL;
    if (count > 0)
        qsort(claimants, count, sizeof *claimants, compare);
    for (size_t i = 0; i < count; i++) {
        struct claimant *claimant = &claimants[i];
        const char *why = claim_refusal(vpc, claimant->claim);
        if (why) {
            refuse(claimant, why);
        } else if (holder && prefix_equal(&holder->claim->prefix, &claimant->claim->prefix)) {
            if (strcmp(holder->id, claimant->id) != 0)
                refuse(claimant, "another device has it");
            else
                claimant->claim->granted = false; /* it says so twice */
        } else {
            claimant->claim->granted = true;
            claimant->claim->told = false;
            holder = claimant;
            granted++;
        }
    }
    return granted;
}
