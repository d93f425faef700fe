/* 32-byte WireGuard keys and their base64 text (44 characters, RFC 4648 with padding). Encoding and decoding take
 * constant time in the key's value. Any process that is allowed keys. */
#ifndef NEXD_COMMON_KEY_H
#define NEXD_COMMON_KEY_H

#include <stdint.h>

enum { KEY_BYTES = 32, KEY_TEXT_MAX = 45 };

/* Exactly 44 characters that decode to 32 bytes with no stray bits; NX_EINVAL otherwise. */
int key_parse(const char *text, uint8_t out[KEY_BYTES]);
char *key_format(const uint8_t key[KEY_BYTES], char *out);
/* First 4 bytes as base64 and an ellipsis, for log lines about a peer (public keys only): "AbCd…". */
enum { KEY_SHORT_MAX = 16 };
char *key_short(const uint8_t public_key[KEY_BYTES], char *out);

#endif
