/* Preshared keys by public key. They outlive peers: a peer that is removed and comes back has its key again.
 * tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_PRESHARED_H
#define NEXD_TUNNELD_WIREGUARD_PRESHARED_H

#include "tunneld/wireguard/messages.h"
#include <stddef.h>

struct preshared_entry {
    uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
    uint8_t key[NOISE_SYMMETRIC_KEY_LEN];
};

/* Empty when zero-initialised. */
struct preshared_keys {
    struct preshared_entry *entries;
    size_t count, capacity;
};

/* Sets, or with a zero key removes. NX_ENOMEM. */
int preshared_set(struct preshared_keys *keys, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN],
                  const uint8_t key[NOISE_SYMMETRIC_KEY_LEN]);
/* The key, all zero when there is none. */
void preshared_get(const struct preshared_keys *keys, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN],
                   uint8_t key[NOISE_SYMMETRIC_KEY_LEN]);
/* Wipes and frees. */
void preshared_destroy(struct preshared_keys *keys);

#endif
