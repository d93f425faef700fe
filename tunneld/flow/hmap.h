/* An intrusive hash table for flows: chained, growing, keyed by 64-bit hashes that the caller computes with
 * hmap_hash() (keyed with a secret of the process, so that nobody outside can aim at one chain). One thread.
 */
#ifndef NEXD_TUNNELD_HMAP_H
#define NEXD_TUNNELD_HMAP_H

#include <stddef.h>
#include <stdint.h>

struct hnode {
    struct hnode *next;
    uint64_t hash;
};

struct hmap {
    struct hnode **slots;
    size_t slot_count, count;
};

/* NX_OK or NX_ENOMEM. */
int hmap_init(struct hmap *map);
void hmap_insert(struct hmap *map, struct hnode *node, uint64_t hash);
void hmap_remove(struct hmap *map, struct hnode *node);
/* The first node with that hash, and the next one after `node`; NULL at the end. The caller compares keys. */
struct hnode *hmap_first(const struct hmap *map, uint64_t hash);
struct hnode *hmap_next(const struct hnode *node);
/* SipHash-2-4 of `length` bytes; padding in structs must be zero. */
uint64_t hmap_hash(const void *key, size_t length);

#endif
