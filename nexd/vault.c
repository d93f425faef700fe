/* One guarded allocation (libsodium's sodium_malloc: guard pages, mlock where RLIMIT_MEMLOCK admits it,
 * canary, wiped on free), opened for reading around each copy and closed again. */
#include "nexd/vault.h"

#include "common/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct preshared {
    uint8_t public_key[KEY_BYTES];
    uint8_t preshared_key[KEY_BYTES];
};

struct secrets {
    uint8_t private_key[KEY_BYTES];
    struct preshared preshared[];
};

struct vault {
    uint8_t public_key[KEY_BYTES];
    size_t preshared_count;
    struct secrets *secrets; /* guarded */
};

static void vault_fill(struct vault *vault, struct wgconf *conf)
{
    struct secrets *secrets = vault->secrets;
    memcpy(secrets->private_key, conf->private_key, KEY_BYTES);
    sodium_memzero(conf->private_key, KEY_BYTES);
    size_t count = 0;
    for (size_t i = 0; i < conf->peer_count; i++) {
        struct wgconf_peer *peer = &conf->peers[i];
        if (!peer->has_preshared_key)
            continue;
        memcpy(secrets->preshared[count].public_key, peer->public_key, KEY_BYTES);
        memcpy(secrets->preshared[count].preshared_key, peer->preshared_key, KEY_BYTES);
        sodium_memzero(peer->preshared_key, KEY_BYTES);
        count++;
    }
    crypto_scalarmult_base(vault->public_key, secrets->private_key);
    sodium_mprotect_noaccess(secrets);
}

int vault_take(struct wgconf *conf, struct vault **out)
{
    struct vault *vault = calloc(1, sizeof *vault);
    if (!vault)
        return NX_ENOMEM;
    for (size_t i = 0; i < conf->peer_count; i++)
        vault->preshared_count += conf->peers[i].has_preshared_key;
    vault->secrets =
        sodium_malloc(sizeof *vault->secrets + vault->preshared_count * sizeof(struct preshared));
    if (!vault->secrets) {
        free(vault);
        return NX_ENOMEM;
    }
    vault_fill(vault, conf);
    *out = vault;
    return NX_OK;
}

void vault_free(struct vault *vault)
{
    if (!vault)
        return;
    sodium_free(vault->secrets);
    free(vault);
}

const uint8_t *vault_public_key(const struct vault *vault)
{
    return vault->public_key;
}

void vault_private_key(struct vault *vault, uint8_t out[KEY_BYTES])
{
    sodium_mprotect_readonly(vault->secrets);
    memcpy(out, vault->secrets->private_key, KEY_BYTES);
    sodium_mprotect_noaccess(vault->secrets);
}

size_t vault_preshared_count(const struct vault *vault)
{
    return vault->preshared_count;
}

void vault_preshared(struct vault *vault, size_t i, struct ipc_peer_secret *out)
{
    sodium_mprotect_readonly(vault->secrets);
    memcpy(out->public_key, vault->secrets->preshared[i].public_key, KEY_BYTES);
    memcpy(out->preshared_key, vault->secrets->preshared[i].preshared_key, KEY_BYTES);
    sodium_mprotect_noaccess(vault->secrets);
}
