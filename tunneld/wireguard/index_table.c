/* Open addressing with linear probing at a load of at most one half; a removal moves later entries of the run
 * back, so that there are no tombstones and a lookup ends at the first free slot. */
#include "tunneld/wireguard/index_table.h"

#include "common/err.h"
#include <sodium.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 16 };

void index_table_init(struct index_table *table)
{
    *table = (struct index_table){0};
}

void index_table_destroy(struct index_table *table)
{
    free(table->slots);
    index_table_init(table);
}

static size_t slot_home(const struct index_table *table, uint32_t index)
{
    return index & (table->capacity - 1);
}

static size_t slot_next(const struct index_table *table, size_t slot)
{
    return (slot + 1) & (table->capacity - 1);
}

static void slot_fill(struct index_table *table, const struct index_entry *entry)
{
    size_t slot = slot_home(table, entry->index);

    while (table->slots[slot].peer)
        slot = slot_next(table, slot);
    table->slots[slot] = *entry;
    table->count++;
}

int index_table_reserve(struct index_table *table, size_t entries)
{
    struct index_table grown = {.capacity = table->capacity ? table->capacity : CAPACITY_MIN};

    while (grown.capacity < entries * 2)
        grown.capacity *= 2;
    if (grown.capacity == table->capacity)
        return NX_OK;
    grown.slots = calloc(grown.capacity, sizeof(*grown.slots));
    if (!grown.slots)
        return NX_ENOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].peer)
            slot_fill(&grown, &table->slots[i]);
    free(table->slots);
    *table = grown;
    return NX_OK;
}

uint32_t index_table_insert(struct index_table *table, struct wg_peer *peer, struct keypair *keypair)
{
    struct index_entry entry = {.peer = peer, .keypair = keypair};

    do
        entry.index = randombytes_random();
    while (index_table_lookup(table, entry.index));
    slot_fill(table, &entry);
    return entry.index;
}

struct index_entry *index_table_lookup(const struct index_table *table, uint32_t index)
{
    if (table->count == 0)
        return NULL;
    for (size_t slot = slot_home(table, index); table->slots[slot].peer; slot = slot_next(table, slot))
        if (table->slots[slot].index == index)
            return &table->slots[slot];
    return NULL;
}

void index_table_remove(struct index_table *table, uint32_t index)
{
    struct index_entry *entry = index_table_lookup(table, index);
    size_t hole, mask = table->capacity - 1;

    if (!entry)
        return;
    hole = (size_t)(entry - table->slots);
    for (size_t slot = slot_next(table, hole); table->slots[slot].peer; slot = slot_next(table, slot)) {
        size_t home = slot_home(table, table->slots[slot].index);

        /* An entry may fill the hole unless its home lies after the hole. */
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            table->slots[hole] = table->slots[slot];
            hole = slot;
        }
    }
    table->slots[hole] = (struct index_entry){0};
    table->count--;
}
