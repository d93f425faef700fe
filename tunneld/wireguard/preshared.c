/* An unordered array: it is searched when a peer is made or a key is set, never for a packet. */
#include "tunneld/wireguard/preshared.h"

#include "common/array.h"
#include "common/err.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static struct preshared_entry *entry_find(const struct preshared_keys *keys, const uint8_t *public_key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (memcmp(keys->entries[i].public_key, public_key, NOISE_PUBLIC_KEY_LEN) == 0)
            return &keys->entries[i];
    return NULL;
}

int preshared_set(struct preshared_keys *keys, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN],
                  const uint8_t key[NOISE_SYMMETRIC_KEY_LEN])
{
    struct preshared_entry *entry = entry_find(keys, public_key);

    if (sodium_is_zero(key, NOISE_SYMMETRIC_KEY_LEN)) {
        if (entry) {
            *entry = keys->entries[--keys->count];
            sodium_memzero(&keys->entries[keys->count], sizeof(*entry));
        }
        return NX_OK;
    }
    if (!entry) {
        entry = array_reserve_secret(keys->entries, &keys->capacity, keys->count + 1, sizeof(*entry));
        if (!entry)
            return NX_ENOMEM;
        keys->entries = entry;
        entry = &keys->entries[keys->count++];
        memcpy(entry->public_key, public_key, NOISE_PUBLIC_KEY_LEN);
    }
    memcpy(entry->key, key, NOISE_SYMMETRIC_KEY_LEN);
    return NX_OK;
}

void preshared_get(const struct preshared_keys *keys, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN],
                   uint8_t key[NOISE_SYMMETRIC_KEY_LEN])
{
    const struct preshared_entry *entry = entry_find(keys, public_key);

    if (entry)
        memcpy(key, entry->key, NOISE_SYMMETRIC_KEY_LEN);
    else
        memset(key, 0, NOISE_SYMMETRIC_KEY_LEN);
}

void preshared_destroy(struct preshared_keys *keys)
{
    if (keys->entries)
        sodium_memzero(keys->entries, keys->capacity * sizeof(*keys->entries));
    free(keys->entries);
    *keys = (struct preshared_keys){0};
}
