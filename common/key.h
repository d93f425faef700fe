/* 32-byte WireGuard keys and their base64 text (44 characters, RFC 4648 with padding). Encoding and decoding
 * take constant time in the key's value. Any process that is allowed keys. */
#ifndef NEXD_COMMON_KEY_H
#define NEXD_COMMON_KEY_H

#include <stdint.h>

enum { KEY_BYTES = 32, KEY_TEXT_MAX = 45 };

/* Exactly 44 characters that decode to 32 bytes with no stray bits; NX_EINVAL otherwise, and then `out` is
 * zero or as it was. */
int key_parse(const char *text, uint8_t out[KEY_BYTES]);
/* `out` has KEY_TEXT_MAX bytes; returns it. */
char *key_format(const uint8_t key[KEY_BYTES], char *out);
/* The first 8 characters of the base64 text and an ellipsis, for log lines about a peer (public keys only):
 * what `wg show` prints begins the same way. `out` has KEY_SHORT_MAX bytes; returns it. */
enum { KEY_SHORT_MAX = 16 };
char *key_short(const uint8_t public_key[KEY_BYTES], char *out);

#endif
