/* BLAKE2s comes from libb2, which picks the processor's best code by itself. HMAC follows RFC 2104 (block of
 * 64 bytes) and must not be confused with keyed BLAKE2s: the protocol uses both, the former for keys, the
 * latter for MACs. */
#include "tunneld/wireguard/kdf.h"

#include <blake2.h>
#include <sodium.h>
#include <string.h>

void kdf_hash(uint8_t out[KDF_HASH_BYTES], const void *a, size_t a_length, const void *b, size_t b_length)
{
    blake2s_state state;

    blake2s_init(&state, KDF_HASH_BYTES);
    blake2s_update(&state, a, a_length);
    if (b_length > 0)
        blake2s_update(&state, b, b_length);
    blake2s_final(&state, out, KDF_HASH_BYTES);
    sodium_memzero(&state, sizeof(state));
}

void kdf_mac(uint8_t out[KDF_MAC_BYTES], const void *key, size_t key_length, const void *input, size_t length)
{
    blake2s_state state;

    blake2s_init_key(&state, KDF_MAC_BYTES, key, key_length);
    blake2s_update(&state, input, length);
    blake2s_final(&state, out, KDF_MAC_BYTES);
    sodium_memzero(&state, sizeof(state));
}

void kdf_hmac(uint8_t out[KDF_HASH_BYTES], const void *key, size_t key_length, const void *input,
              size_t length)
{
    uint8_t inner_pad[BLAKE2S_BLOCKBYTES] = {0}, outer_pad[BLAKE2S_BLOCKBYTES], inner[KDF_HASH_BYTES];

    if (key_length > sizeof(inner_pad))
        kdf_hash(inner_pad, key, key_length, NULL, 0);
    else
        memcpy(inner_pad, key, key_length);
    for (size_t i = 0; i < sizeof(inner_pad); i++) {
        outer_pad[i] = inner_pad[i] ^ 0x5c;
        inner_pad[i] ^= 0x36;
    }
    kdf_hash(inner, inner_pad, sizeof(inner_pad), input, length);
    kdf_hash(out, outer_pad, sizeof(outer_pad), inner, sizeof(inner));
    sodium_memzero(inner_pad, sizeof(inner_pad));
    sodium_memzero(outer_pad, sizeof(outer_pad));
    sodium_memzero(inner, sizeof(inner));
}

void kdf_derive(uint8_t *first, uint8_t *second, uint8_t *third, const uint8_t chaining_key[KDF_HASH_BYTES],
                const void *input, size_t length)
{
    uint8_t *const outputs[] = {first, second, third};
    uint8_t secret[KDF_HASH_BYTES], block[KDF_HASH_BYTES + 1];
    size_t previous = 0;

    kdf_hmac(secret, chaining_key, KDF_HASH_BYTES, input, length);
    for (uint8_t i = 0; i < 3 && outputs[i]; i++) {
        block[previous] = (uint8_t)(i + 1);
        kdf_hmac(block, secret, sizeof(secret), block, previous + 1);
        memcpy(outputs[i], block, KDF_HASH_BYTES);
        previous = KDF_HASH_BYTES;
    }
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(block, sizeof(block));
}
