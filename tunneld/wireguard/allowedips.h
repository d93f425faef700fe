/* Cryptokey routing: which peer a prefix belongs to, by longest match (paper, section 2). One table serves
 * both ways: the destination of what is sent, the source of what was received. Lookups neither allocate nor
 * write. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_ALLOWEDIPS_H
#define NEXD_TUNNELD_WIREGUARD_ALLOWEDIPS_H

#include "common/netaddr.h"

struct wg_peer;
struct allowedips_node;
struct allowedips_slab;

struct allowedips {
    struct allowedips_node *root_v4, *root_v6;
    struct allowedips_node *free_nodes;
    size_t free_count;
    struct allowedips_slab *slabs;
};

/* A peer's own prefixes; zero-initialised it is empty. */
struct allowedips_list {
    struct allowedips_node *first;
    size_t count;
};

void allowedips_init(struct allowedips *table);
void allowedips_destroy(struct allowedips *table);
/* Makes sure that the next `prefixes` inserts cannot fail. NX_ENOMEM. */
int allowedips_reserve(struct allowedips *table, size_t prefixes);
/* The prefix belongs to `peer` from now on, and no longer to who had it. `list` is that peer's, and must stay
 * where it is. There must be room (allowedips_reserve). The prefix's host bits are ignored. */
void allowedips_insert(struct allowedips *table, const struct netprefix *prefix, struct wg_peer *peer,
                       struct allowedips_list *list);
/* Removes all of a peer's prefixes. */
void allowedips_remove_all(struct allowedips *table, struct allowedips_list *list);
/* Whose the longest prefix around `addr` is; NULL = nobody's. */
struct wg_peer *allowedips_lookup(const struct allowedips *table, const struct netaddr *addr);
/* The same for an address in network order as it stands in an IP header. */
struct wg_peer *allowedips_lookup_v4(const struct allowedips *table, const uint8_t addr[4]);
struct wg_peer *allowedips_lookup_v6(const struct allowedips *table, const uint8_t addr[16]);
/* Writes a list's prefixes, `list->count` of them, to `out`. */
void allowedips_list_read(const struct allowedips_list *list, struct netprefix *out);

#endif
