/* A device's token, sealed to the device's public key in the form "v1" of Nexodus:
 *
 *   base64url("v1") ":" base64url(EPK) ":" base64url(ciphertext and tag)      (base64url with padding)
 *
 * EPK is a fresh X25519 public key. The shared secret is X25519 with EPK itself as the scalar and the
 * device's key as the point; AES-256-GCM key = HKDF-SHA256(secret, salt EPK || device key, info "X25519"),
 * nonce zero. That construction needs no secret to open, so a sealed token has to be kept from everybody but
 * its device: it is what clients expect, not what protects. apid only. */
#ifndef NEXD_APID_SEALED_TOKEN_H
#define NEXD_APID_SEALED_TOKEN_H

#include <stddef.h>
#include <stdint.h>

enum { SEALED_KEY_BYTES = 32, SEALED_TOKEN_PLAIN_MAX = 128, SEALED_TOKEN_MAX = 256 };

/* `out` has SEALED_TOKEN_MAX bytes. NX_EINVAL: the public key is a point of small order; NX_ERANGE: token too
 * long; NX_ECRYPTO. */
int sealed_token_make(const uint8_t public_key[SEALED_KEY_BYTES], const char *token,
                      char out[SEALED_TOKEN_MAX]);

/* The same with a given secret of the ephemeral key, for test vectors. */
int sealed_token_make_with(const uint8_t ephemeral_secret[SEALED_KEY_BYTES],
                           const uint8_t public_key[SEALED_KEY_BYTES], const char *token,
                           char out[SEALED_TOKEN_MAX]);

#endif
