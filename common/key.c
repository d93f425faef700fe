/* Base64 of keys through libsodium, whose codec has no secret-dependent table lookups or branches. */
#include "common/key.h"

#include "common/err.h"

#include <sodium.h>
#include <string.h>

enum { KEY_TEXT_CHARS = KEY_TEXT_MAX - 1, KEY_SHORT_CHARS = 8 };

int key_parse(const char *text, uint8_t out[KEY_BYTES])
{
    size_t length = 0;
    const char *end = NULL;
    unsigned char any = 0;
    if (strnlen(text, KEY_TEXT_MAX) != KEY_TEXT_CHARS)
        return NX_EINVAL;
    /* libsodium 1.0.18 takes some bytes beyond ASCII for '/'. */
    for (size_t i = 0; i < KEY_TEXT_CHARS; i++)
        any |= (unsigned char)text[i];
    if ((any & 0x80) != 0)
        return NX_EINVAL;
    if (sodium_base642bin(out, KEY_BYTES, text, KEY_TEXT_CHARS, NULL, &length, &end,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length != KEY_BYTES || end != text + KEY_TEXT_CHARS) {
        sodium_memzero(out, KEY_BYTES);
        return NX_EINVAL;
    }
    return NX_OK;
}

char *key_format(const uint8_t key[KEY_BYTES], char *out)
{
    return sodium_bin2base64(out, KEY_TEXT_MAX, key, KEY_BYTES, sodium_base64_VARIANT_ORIGINAL);
}

char *key_short(const uint8_t public_key[KEY_BYTES], char *out)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    char text[KEY_TEXT_MAX];
    key_format(public_key, text);
    memcpy(out, text, KEY_SHORT_CHARS);
    memcpy(out + KEY_SHORT_CHARS, ellipsis, sizeof(ellipsis));
    return out;
}
