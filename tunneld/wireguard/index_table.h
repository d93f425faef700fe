/* From the 32-bit index in a received message to the handshake or session that it is for. Indices are our own
 * random choice, so the table needs no further hashing and nobody outside can make entries collide. tunneld
 * only. */
#ifndef NEXD_TUNNELD_WIREGUARD_INDEX_TABLE_H
#define NEXD_TUNNELD_WIREGUARD_INDEX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wg_peer;
struct keypair;

struct index_entry {
    uint32_t index;
    struct wg_peer *peer;    /* NULL = free slot */
    struct keypair *keypair; /* NULL = the peer's handshake that waits for a response */
};

struct index_table {
    struct index_entry *slots;
    size_t capacity; /* a power of two, 0 at first */
    size_t count;
};

void index_table_init(struct index_table *table);
void index_table_destroy(struct index_table *table);
/* Makes room for `entries` in all, so that the next inserts up to that number cannot fail. NX_ENOMEM. */
int index_table_reserve(struct index_table *table, size_t entries);
/* Adds an entry under a new random index and returns that. There must be room (index_table_reserve). */
uint32_t index_table_insert(struct index_table *table, struct wg_peer *peer, struct keypair *keypair);
/* The entry, or NULL; valid until the next insert, reserve or remove. */
struct index_entry *index_table_lookup(const struct index_table *table, uint32_t index);
/* Harmless when there is no such entry. */
void index_table_remove(struct index_table *table, uint32_t index);

#endif
