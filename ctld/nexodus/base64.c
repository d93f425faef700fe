/* Characters become values through arithmetic instead of a table, as some of what is decoded is secret. */
#include "ctld/nexodus/base64.h"

#include "common/err.h"

#include <stdbool.h>
#include <string.h>

/* All ones if low <= c <= high, else 0. */
static unsigned within(unsigned c, unsigned low, unsigned high)
{
    return ((low - 1 - c) & (c - high - 1)) >> 31 ? ~0U : 0U;
}

/* 0..63, or a value above for anything that is no digit of this alphabet. */
static unsigned digit_value(enum base64_variant variant, char digit)
{
    const unsigned c = (unsigned char)digit, plus = variant == BASE64_STANDARD ? '+' : '-',
                   slash = variant == BASE64_STANDARD ? '/' : '_';
    const unsigned upper = within(c, 'A', 'Z'), lower = within(c, 'a', 'z'), number = within(c, '0', '9'),
                   is_plus = within(c, plus, plus), is_slash = within(c, slash, slash);
    const unsigned none = ~(upper | lower | number | is_plus | is_slash);
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (number & (c - '0' + 52)) | (is_plus & 62U) |
           (is_slash & 63U) | (none & 64U);
}

/* Without the padding, which must be as the variant has it. */
static bool padding_strip(enum base64_variant variant, const char *text, size_t *length)
{
    if (variant == BASE64_URL_UNPADDED)
        return *length % 4 != 1;
    if (*length % 4 != 0)
        return false;
    for (unsigned i = 0; i < 2 && *length > 0 && text[*length - 1] == '='; i++)
        --*length;
    return true;
}

int base64_decode(enum base64_variant variant, const char *text, size_t length, uint8_t *out, size_t out_size,
                  size_t *out_length)
{
    unsigned bits = 0, pending = 0, bad = 0;
    size_t written = 0;
    *out_length = 0;
    if (!padding_strip(variant, text, &length))
        return NX_EINVAL;
    if (length / 4 * 3 + length % 4 * 3 / 4 > out_size)
        return NX_ERANGE;
    for (size_t i = 0; i < length; i++) {
        const unsigned value = digit_value(variant, text[i]);
        bad |= value;
        bits = (bits << 6 | (value & 63U)) & 0xffffU;
        pending += 6;
        if (pending >= 8) {
            pending -= 8;
            out[written++] = (uint8_t)(bits >> pending);
        }
    }
    if (bad & 64U || (bits & ((1U << pending) - 1)) != 0) {
        explicit_bzero(out, written);
        return NX_EINVAL;
    }
    *out_length = written;
    return NX_OK;
}

char *base64_encode(enum base64_variant variant, const uint8_t *data, size_t length, char *out)
{
    static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                      url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *const digits = variant == BASE64_STANDARD ? standard : url;
    char *at = out;
    for (size_t i = 0; i < length; i += 3) {
        const size_t left = length - i;
        const unsigned bits = (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0U) |
                              (left > 2 ? (unsigned)data[i + 2] : 0U);
        for (size_t digit = 0; digit < 4; digit++) {
            if (digit <= left)
                *at++ = digits[bits >> (18 - 6 * digit) & 63U];
            else if (variant != BASE64_URL_UNPADDED)
                *at++ = '=';
        }
    }
    *at = '\0';
    return out;
}
