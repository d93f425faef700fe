/* base64 and base64url (RFC 4648), strict: no blanks, no stray bits, padding as said. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_BASE64_H
#define NEXD_CTLD_NEXODUS_BASE64_H

#include <stddef.h>
#include <stdint.h>

enum base64_variant {
    BASE64_STANDARD,     /* '+' '/', padded */
    BASE64_URL_PADDED,   /* '-' '_', padded */
    BASE64_URL_UNPADDED, /* '-' '_', padding refused: JWT */
};
/* Bytes that `length` characters can decode to at most. */
#define BASE64_DECODED_MAX(length) ((length) / 4 * 3 + 3)
/* Characters for `length` bytes, the end included. */
#define BASE64_ENCODED_MAX(length) (((length) + 2) / 3 * 4 + 1)

/* NX_EINVAL: malformed; NX_ERANGE: more than `out_size` bytes. Then *out_length is 0. */
int base64_decode(enum base64_variant variant, const char *text, size_t length, uint8_t *out, size_t out_size,
                  size_t *out_length);
/* `out` has BASE64_ENCODED_MAX(length) bytes; returns it. */
char *base64_encode(enum base64_variant variant, const uint8_t *data, size_t length, char *out);

#endif
