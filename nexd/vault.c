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
    struct ipc_credential credentials[IPC_CREDENTIAL_LAST]; /* by kind - 1; without length: none */
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
    memset(secrets->credentials, 0, sizeof secrets->credentials);
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

void vault_key_make(uint8_t private_key[KEY_BYTES], uint8_t public_key[KEY_BYTES])
{
    randombytes_buf(private_key, KEY_BYTES);
    private_key[0] &= 248;
    private_key[KEY_BYTES - 1] = (uint8_t)((private_key[KEY_BYTES - 1] & 127) | 64);
    crypto_scalarmult_base(public_key, private_key);
}

void vault_key_replace(struct vault *vault, const uint8_t private_key[KEY_BYTES])
{
    sodium_mprotect_readwrite(vault->secrets);
    memcpy(vault->secrets->private_key, private_key, KEY_BYTES);
    crypto_scalarmult_base(vault->public_key, vault->secrets->private_key);
    sodium_mprotect_noaccess(vault->secrets);
}

void vault_credential_put(struct vault *vault, enum ipc_credential_kind kind, const char *value,
                          size_t length)
{
    sodium_mprotect_readwrite(vault->secrets);
    struct ipc_credential *credential = &vault->secrets->credentials[kind - 1];
    sodium_memzero(credential, sizeof *credential);
    credential->kind = (uint8_t)kind;
    credential->value.length = (uint16_t)(length < IPC_CREDENTIAL_MAX ? length : IPC_CREDENTIAL_MAX);
    memcpy(credential->value.data, value, credential->value.length);
    sodium_mprotect_noaccess(vault->secrets);
}

bool vault_credential(struct vault *vault, enum ipc_credential_kind kind, struct ipc_credential *out)
{
    sodium_mprotect_readonly(vault->secrets);
    *out = vault->secrets->credentials[kind - 1];
    sodium_mprotect_noaccess(vault->secrets);
    return out->value.length > 0;
}
