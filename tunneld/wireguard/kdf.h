/* The hashes of the handshake: BLAKE2s, keyed BLAKE2s, HMAC-BLAKE2s and the HKDF made from it (paper,
 * section 5.4, where they are called Hash, Mac, Hmac and Kdf). No function allocates or fails. tunneld only.
 */
#ifndef NEXD_TUNNELD_WIREGUARD_KDF_H
#define NEXD_TUNNELD_WIREGUARD_KDF_H

#include <stddef.h>
#include <stdint.h>

enum { KDF_HASH_BYTES = 32, KDF_MAC_BYTES = 16 };

/* out = Hash(a || b); `b_length` may be 0. `out` may overlap the inputs. */
void kdf_hash(uint8_t out[KDF_HASH_BYTES], const void *a, size_t a_length, const void *b, size_t b_length);
/* out = Mac(key, input): BLAKE2s keyed with 1..32 bytes, 16 bytes of output. */
void kdf_mac(uint8_t out[KDF_MAC_BYTES], const void *key, size_t key_length, const void *input,
             size_t length);
/* RFC 2104 with BLAKE2s; any key length. `out` may overlap the inputs. */
void kdf_hmac(uint8_t out[KDF_HASH_BYTES], const void *key, size_t key_length, const void *input,
              size_t length);
/* Kdf1 to Kdf3 (RFC 5869 with empty info): each of the outputs that is not NULL gets its 32 bytes, and none
 * after the first NULL. The outputs may overlap `chaining_key`. */
void kdf_derive(uint8_t *first, uint8_t *second, uint8_t *third, const uint8_t chaining_key[KDF_HASH_BYTES],
                const void *input, size_t length);

#endif
