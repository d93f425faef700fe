/* Which addresses of the mesh a device may have: what it claims against what it can be granted. The decision
 * and its reasons: docs/decisions. ctld only, no I/O. */
#ifndef NEXD_CTLD_PEERING_CLAIMS_H
#define NEXD_CTLD_PEERING_CLAIMS_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpc_ranges {
    struct netprefix v4, v6; /* family NETADDR_NONE = the VPC has none */
};

enum claim_kind {
    CLAIM_TUNNEL,     /* from allowed_ips: the device's own addresses */
    CLAIM_ADVERTISED, /* from advertise_cidrs: networks behind it */
};

struct claim {
    struct netprefix prefix;
    enum claim_kind kind;
    bool granted;
    bool told; /* its refusal has been logged */
};

/* A claim and who makes it, for claims_grant(). */
struct claimant {
    struct claim *claim;
    const char *id; /* the device's; ties are broken by it */
    bool own;       /* our own device: its claims come first */
};

bool prefix_equal(const struct netprefix *a, const struct netprefix *b);
/* Is there an address in both? */
bool prefix_overlaps(const struct netprefix *a, const struct netprefix *b);

/* NULL, or why no VPC can have this range: it is too wide or meets addresses with a meaning of their own. */
const char *vpc_range_refusal(const struct netprefix *range);
/* NULL, or why this claim is refused whoever makes it. */
const char *claim_refusal(const struct vpc_ranges *vpc, const struct claim *claim);

/* Grants each claim that stands by itself, and each prefix to one claimant: our own device, else who holds it
 * already, else the lowest id. `claimants` is reordered. Returns how many were granted. */
size_t claims_grant(const struct vpc_ranges *vpc, struct claimant *claimants, size_t count);

#endif
