/* The devices of the VPC: which there are, which of them holds a public key that several name, which is our
 * own, and which addresses each may have. ctld/peering only. */
#ifndef NEXD_CTLD_PEERING_ROSTER_H
#define NEXD_CTLD_PEERING_ROSTER_H

#include "ctld/peering/path.h"

/* What the tunnel was told of a peer. */
struct given {
    bool there;
    uint8_t key[KEY_BYTES];
    struct netsock endpoint;
    bool via_derp;
    struct netprefix *allowed; /* owned */
    size_t allowed_count;
};

struct entry {
    struct member member;
    struct path path;
    struct given given;
    bool holds_key; /* of all entries with this key, this one counts */
    bool own;
    bool stale; /* not yet seen in the list that is being read */
    bool gone;  /* removed; stays until the tunnel has been told */
};

struct roster {
    struct entry **items; /* by id */
    size_t count, capacity;
    struct entry **by_key; /* one for each key, as of the last settling */
    size_t key_count, key_capacity;
    struct claimant *claimants; /* memory for claims_grant() */
    size_t claimant_capacity;
    bool unsettled;
};

void roster_destroy(struct roster *roster);
/* As peering_put(). */
int roster_put(struct roster *roster, const struct peering_device *device, size_t max);
void roster_remove(struct roster *roster, const char *id);
void roster_list_begin(struct roster *roster);
void roster_list_end(struct roster *roster);
/* After changes: decides who holds which key, who we are, and which claims are granted. `own_id` may be "".
 * NX_ENOMEM: all is as it was, and still unsettled. */
int roster_settle(struct roster *roster, const struct vpc_ranges *vpc, const char *own_id,
                  const uint8_t own_key[KEY_BYTES]);
/* Who holds this key; NULL = nobody. */
struct entry *roster_by_key(const struct roster *roster, const uint8_t key[KEY_BYTES]);
/* Frees what is gone. */
void roster_sweep(struct roster *roster);

/* The entry's tunnel address of this family if it was granted; else family NETADDR_NONE. */
struct netaddr entry_address(const struct entry *entry, enum netaddr_family family);

#endif
