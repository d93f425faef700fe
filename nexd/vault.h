/* The tunnel's secrets and the network's credentials, kept for as long as a restarted child may need them
 * again.
 *
 * They lie in memory that is locked (not swapped), left out of core files,
 * fenced by guard pages, and without access rights except while a message is being made from it. Only the
 * parent process. */
#ifndef NEXD_NEXD_VAULT_H
#define NEXD_NEXD_VAULT_H

#include "common/wgconf.h"
#include "ipc/messages.h"
#include <stdbool.h>
#include <stddef.h>

struct vault;

/* Takes the secrets over from `conf` and wipes them there (`has_preshared_key` stays). NX_ENOMEM: nothing was
 * taken and `conf` is as it was. */
int vault_take(struct wgconf *conf, struct vault **out);
/* Wipes and frees. NULL is harmless. */
void vault_free(struct vault *vault);

/* The public key that belongs to the private key; a copy is kept outside the guarded memory. */
const uint8_t *vault_public_key(const struct vault *vault);
/* Copies the private key; the caller wipes `out` as soon as it has been sent. */
void vault_private_key(struct vault *vault, uint8_t out[KEY_BYTES]);
/* Number of preshared keys, and the message for the one of index `i`, which the caller wipes likewise. */
size_t vault_preshared_count(const struct vault *vault);
void vault_preshared(struct vault *vault, size_t i, struct ipc_peer_secret *out);

/* A fresh key pair, as WireGuard wants it; the caller wipes `private_key`. */
void vault_key_make(uint8_t private_key[KEY_BYTES], uint8_t public_key[KEY_BYTES]);
/* The old private key is wiped. */
void vault_key_replace(struct vault *vault, const uint8_t private_key[KEY_BYTES]);

/* What lets us into a network. `length` is at most IPC_CREDENTIAL_MAX; one of the same kind is replaced. */
void vault_credential_put(struct vault *vault, enum ipc_credential_kind kind, const char *value,
                          size_t length);
/* The message for it, which the caller wipes; false: there is none of that kind. */
bool vault_credential(struct vault *vault, enum ipc_credential_kind kind, struct ipc_credential *out);

#endif
