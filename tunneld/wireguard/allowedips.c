/* A binary trie for each family, path-compressed: a node stands for a prefix, its children for longer
 * prefixes that differ in the bit after it, and nodes without a peer exist only where two branches part. So a
 * lookup visits no more nodes than there are prefixes nested or parting along its way: some 15 with 10,000
 * random prefixes.
 *
 *            0.0.0.0/0 (A)
 *           /             \
 *     10.0.0.0/8 (B)    192.168.0.0/23 (no peer: parting)
 *                          /                    \
 *               192.168.0.0/24 (C)      192.168.1.0/24 (D)
 *
 * Keys of both families are 128 bits in host order in two words, IPv4 in the top 32: one piece of code serves
 * both. Nodes come from slabs and go back to a free list, so that a change that was reserved for cannot fail
 * half way. */
#include "tunneld/wireguard/allowedips.h"

#include "common/err.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct allowedips_key {
    uint64_t high, low;
};

struct allowedips_node {
    struct allowedips_key key; /* bits beyond `length` are zero */
    uint8_t length;
    uint8_t family;
    struct wg_peer *peer; /* NULL = only a parting; then it has both children */
    struct allowedips_node *child[2];
    struct allowedips_node *parent;
    /* Among the peer's prefixes; list_next also links the free nodes. */
    struct allowedips_list *list;
    struct allowedips_node *list_prev, *list_next;
};

enum { SLAB_NODES = 64, V4_BITS = 32, V6_BITS = 128 };

struct allowedips_slab {
    struct allowedips_slab *next;
    struct allowedips_node nodes[SLAB_NODES];
};

static struct allowedips_key key_from_v4(const uint8_t bytes[4])
{
    uint32_t be;

    memcpy(&be, bytes, sizeof(be));
    return (struct allowedips_key){.high = (uint64_t)be32toh(be) << 32};
}

static struct allowedips_key key_from_v6(const uint8_t bytes[16])
{
    uint64_t be[2];

    memcpy(be, bytes, sizeof(be));
    return (struct allowedips_key){.high = be64toh(be[0]), .low = be64toh(be[1])};
}

static struct allowedips_key key_cut(struct allowedips_key key, unsigned length)
{
    if (length == 0)
        return (struct allowedips_key){0};
    if (length <= 64)
        return (struct allowedips_key){.high = key.high & ~UINT64_C(0) << (64 - length)};
    if (length < 128)
        key.low &= ~UINT64_C(0) << (128 - length);
    return key;
}

static unsigned key_common_bits(struct allowedips_key a, struct allowedips_key b)
{
    uint64_t high = a.high ^ b.high, low = a.low ^ b.low;

    if (high)
        return (unsigned)__builtin_clzll(high);
    return low ? 64 + (unsigned)__builtin_clzll(low) : 128;
}

static unsigned key_bit(struct allowedips_key key, unsigned position)
{
    return (unsigned)(position < 64 ? key.high >> (63 - position) : key.low >> (127 - position)) & 1;
}

static bool node_covers(const struct allowedips_node *node, struct allowedips_key key, unsigned length)
{
    return node->length <= length && key_common_bits(node->key, key) >= node->length;
}

void allowedips_init(struct allowedips *table)
{
    *table = (struct allowedips){0};
}

void allowedips_destroy(struct allowedips *table)
{
    while (table->slabs) {
        struct allowedips_slab *slab = table->slabs;

        table->slabs = slab->next;
        free(slab);
    }
    allowedips_init(table);
}

static void node_free(struct allowedips *table, struct allowedips_node *node)
{
    node->list_next = table->free_nodes;
    table->free_nodes = node;
    table->free_count++;
}

static struct allowedips_node *node_take(struct allowedips *table, uint8_t family, struct allowedips_key key,
                                         unsigned length)
{
    struct allowedips_node *node = table->free_nodes;

    table->free_nodes = node->list_next;
    table->free_count--;
    *node =
        (struct allowedips_node){.key = key_cut(key, length), .length = (uint8_t)length, .family = family};
    return node;
}

int allowedips_reserve(struct allowedips *table, size_t prefixes)
{
    /* An insert takes at most the prefix's own node and one for a parting. */
    while (table->free_count / 2 < prefixes) {
        struct allowedips_slab *slab = malloc(sizeof(*slab));

        if (!slab)
            return NX_ENOMEM;
        slab->next = table->slabs;
        table->slabs = slab;
        for (size_t i = SLAB_NODES; i > 0; i--)
            node_free(table, &slab->nodes[i - 1]);
    }
    return NX_OK;
}

static struct allowedips_node **root_of(struct allowedips *table, uint8_t family)
{
    return family == NETADDR_V4 ? &table->root_v4 : &table->root_v6;
}

/* Where the pointer to `node` stands. */
static struct allowedips_node **link_of(struct allowedips *table, const struct allowedips_node *node)
{
    if (!node->parent)
        return root_of(table, node->family);
    return &node->parent->child[node->parent->child[1] == node];
}

static void node_adopt(struct allowedips_node *parent, struct allowedips_node *child)
{
    parent->child[key_bit(child->key, parent->length)] = child;
    child->parent = parent;
}

static void owner_clear(struct allowedips_node *node)
{
    if (!node->peer)
        return;
    if (node->list_prev)
        node->list_prev->list_next = node->list_next;
    else
        node->list->first = node->list_next;
    if (node->list_next)
        node->list_next->list_prev = node->list_prev;
    node->list->count--;
    node->peer = NULL;
    node->list = NULL;
    node->list_prev = node->list_next = NULL;
}

static void owner_set(struct allowedips_node *node, struct wg_peer *peer, struct allowedips_list *list)
{
    owner_clear(node);
    node->peer = peer;
    node->list = list;
    node->list_next = list->first;
    if (list->first)
        list->first->list_prev = node;
    list->first = node;
    list->count++;
}

/* Puts a new node for key/length under `parent` (NULL = at the root), where `below` (or nothing) hangs now.
 */
static struct allowedips_node *node_place(struct allowedips *table, uint8_t family, struct allowedips_key key,
                                          unsigned length, struct allowedips_node *parent,
                                          struct allowedips_node *below)
{
    struct allowedips_node *node = node_take(table, family, key, length), *top = node;

    if (below && node_covers(node, below->key, below->length)) {
        node_adopt(node, below);
    } else if (below) {
        top = node_take(table, family, key, key_common_bits(key, below->key));
        node_adopt(top, below);
        node_adopt(top, node);
    }
    top->parent = parent;
    if (parent)
        node_adopt(parent, top);
    else
        *root_of(table, family) = top;
    return node;
}

void allowedips_insert(struct allowedips *table, const struct netprefix *prefix, struct wg_peer *peer,
                       struct allowedips_list *list)
{
    uint8_t family = prefix->addr.family;
    unsigned length = prefix->length;
    struct allowedips_key key =
        family == NETADDR_V4 ? key_from_v4(prefix->addr.bytes) : key_from_v6(prefix->addr.bytes);
    struct allowedips_node *parent = NULL, *node = *root_of(table, family);

    key = key_cut(key, length);
    while (node && node_covers(node, key, length) && node->length < length) {
        parent = node;
        node = node->child[key_bit(key, node->length)];
    }
    if (!node || !node_covers(node, key, length))
        node = node_place(table, family, key, length, parent, node);
    owner_set(node, peer, list);
}

/* Takes out a node without a peer and with at most one child, and then its parent, where that has become
 * needless. */
static void node_prune(struct allowedips *table, struct allowedips_node *node)
{
    while (node && !node->peer && !(node->child[0] && node->child[1])) {
        struct allowedips_node *parent = node->parent,
                               *child = node->child[0] ? node->child[0] : node->child[1];

        *link_of(table, node) = child;
        if (child)
            child->parent = parent;
        node_free(table, node);
        node = parent;
    }
}

void allowedips_remove_all(struct allowedips *table, struct allowedips_list *list)
{
    while (list->first) {
        struct allowedips_node *node = list->first;

        owner_clear(node);
        node_prune(table, node);
    }
}

static inline struct wg_peer *trie_lookup(const struct allowedips_node *node, struct allowedips_key key,
                                          unsigned bits)
{
    struct wg_peer *found = NULL;

    while (node && node_covers(node, key, bits)) {
        if (node->peer)
            found = node->peer;
        if (node->length == bits)
            break;
        node = node->child[key_bit(key, node->length)];
    }
    return found;
}

struct wg_peer *allowedips_lookup_v4(const struct allowedips *table, const uint8_t addr[4])
{
    return trie_lookup(table->root_v4, key_from_v4(addr), V4_BITS);
}

struct wg_peer *allowedips_lookup_v6(const struct allowedips *table, const uint8_t addr[16])
{
    return trie_lookup(table->root_v6, key_from_v6(addr), V6_BITS);
}

struct wg_peer *allowedips_lookup(const struct allowedips *table, const struct netaddr *addr)
{
    switch (addr->family) {
    case NETADDR_V4:
        return allowedips_lookup_v4(table, addr->bytes);
    case NETADDR_V6:
        return allowedips_lookup_v6(table, addr->bytes);
    default:
        return NULL;
    }
}

void allowedips_list_read(const struct allowedips_list *list, struct netprefix *out)
{
    for (const struct allowedips_node *node = list->first; node; node = node->list_next, out++) {
        *out = (struct netprefix){.addr.family = node->family, .length = node->length};
        if (node->family == NETADDR_V4) {
            uint32_t be = htobe32((uint32_t)(node->key.high >> 32));

            memcpy(out->addr.bytes, &be, sizeof(be));
        } else {
            uint64_t be[2] = {htobe64(node->key.high), htobe64(node->key.low)};

            memcpy(out->addr.bytes, be, sizeof(be));
        }
    }
}
