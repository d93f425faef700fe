/* See hmap.h. */
#include "tunneld/flow/hmap.h"
#include "common/err.h"
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HMAP_INITIAL = 64 };

int hmap_init(struct hmap *map)
{
    map->slots = calloc(HMAP_INITIAL, sizeof *map->slots);
    if (map->slots == NULL)
        return NX_ENOMEM;
    map->slot_count = HMAP_INITIAL;
    map->count = 0;
    return NX_OK;
}

static void hmap_grow(struct hmap *map)
{
    size_t count = map->slot_count * 2;
    struct hnode **slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return; /* longer chains, no harm */
    for (size_t i = 0; i < map->slot_count; i++) {
        struct hnode *node = map->slots[i];
        while (node != NULL) {
            struct hnode *next = node->next;
            node->next = slots[node->hash & (count - 1)];
            slots[node->hash & (count - 1)] = node;
            node = next;
        }
    }
    free(map->slots);
    map->slots = slots;
    map->slot_count = count;
}

void hmap_insert(struct hmap *map, struct hnode *node, uint64_t hash)
{
    if (map->count >= map->slot_count)
        hmap_grow(map);
    node->hash = hash;
    node->next = map->slots[hash & (map->slot_count - 1)];
    map->slots[hash & (map->slot_count - 1)] = node;
    map->count++;
}

void hmap_remove(struct hmap *map, struct hnode *node)
{
    struct hnode **link = &map->slots[node->hash & (map->slot_count - 1)];
    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    node->next = NULL;
    map->count--;
}

static struct hnode *first_with(struct hnode *node, uint64_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

struct hnode *hmap_first(const struct hmap *map, uint64_t hash)
{
    return first_with(map->slots[hash & (map->slot_count - 1)], hash);
}

struct hnode *hmap_next(const struct hnode *node)
{
    return first_with(node->next, node->hash);
}

uint64_t hmap_hash(const void *key, size_t length)
{
    static uint8_t secret[crypto_shorthash_KEYBYTES];
    static bool keyed;
    if (!keyed) {
        randombytes_buf(secret, sizeof secret);
        keyed = true;
    }
    uint64_t hash;
    uint8_t bytes[crypto_shorthash_BYTES];
    crypto_shorthash(bytes, key, length, secret);
    memcpy(&hash, bytes, sizeof hash);
    return hash;
}
