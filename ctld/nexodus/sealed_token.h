/* The sealed device token, kind "v1": X25519, HKDF-SHA256 and AES-256-GCM through OpenSSL.
 *
 *     text = b64url("v1") ":" b64url(EPK) ":" b64url(CT)
 *     ss   = X25519(scalar = EPK, point = pk)
 *     key  = HKDF-SHA256(ikm = ss, salt = EPK || pk, info = "X25519", 32 bytes)
 *     CT   = AES-256-GCM(key, nonce = 12 zero bytes, no AAD), its tag at the end
 *
 * The ephemeral public key is the scalar, so that the device's public key opens it: who opens needs no
 * secret, and ctld has none. Pure functions. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SEALED_TOKEN_H
#define NEXD_CTLD_NEXODUS_SEALED_TOKEN_H

#include "common/key.h"

#include <stddef.h>

enum { SEALED_TOKEN_TEXT_MAX = 512, SEALED_TOKEN_MAX = 256 };

/* Opens `length` characters for the device with this public key. `out` (SEALED_TOKEN_MAX bytes) becomes the
 * token, terminated: printable ASCII that can stand in a header. Whoever called wipes it.
 * NX_EINVAL: not of this form, or what is inside is no token; NX_ENOTSUP: another kind than v1; NX_ECRYPTO:
 * sealed for another key, or changed; NX_ENOMEM. Then `out` is "". */
int sealed_token_open(const char *text, size_t length, const uint8_t public_key[KEY_BYTES], char *out);

/* What is to be told about an error of the above. */
const char *sealed_token_strerror(int err);

#endif
