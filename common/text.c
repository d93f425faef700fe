/* Everything here works on bytes with explicit lengths: input may hold NUL bytes, broken UTF-8 or terminal
 * escapes, and must come out as one harmless line. */
#include "common/text.h"

#include "common/err.h"

#include <string.h>

/* Decodes one UTF-8 sequence; 0 when malformed (overlong forms, surrogates and values past U+10FFFF
 * included). */
static size_t utf8_decode(const unsigned char *text, size_t length, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (length == 0)
        return 0;
    size_t size;
    if (text[0] < 0x80) {
        *code = text[0];
        return 1;
    } else if ((text[0] & 0xe0) == 0xc0) {
        size = 2;
        *code = text[0] & 0x1fU;
    } else if ((text[0] & 0xf0) == 0xe0) {
        size = 3;
        *code = text[0] & 0x0fU;
    } else if ((text[0] & 0xf8) == 0xf0) {
        size = 4;
        *code = text[0] & 0x07U;
    } else {
        return 0;
    }
    if (length < size)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3fU);
    }
    if (*code < smallest[size] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return size;
}

size_t text_printable(const char *text, size_t length)
{
    uint32_t code = 0;
    const size_t size = utf8_decode((const unsigned char *)text, length, &code);
    if (size == 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f))
        return 0;
    if (code == 0x2028 || code == 0x2029 || (code >= 0x200e && code <= 0x200f) ||
        (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff)
        return 0;
    return size;
}

/* Writes the escaped form of what stands at `text` into `piece` and returns its length; *used tells how many
 * bytes of the input it stands for. */
static size_t quote_piece(const char *text, size_t length, char piece[4], size_t *used)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char byte = (unsigned char)text[0];
    *used = text_printable(text, length);
    if (*used > 1 || (*used == 1 && byte != '"' && byte != '\\')) {
        memcpy(piece, text, *used);
        return *used;
    }
    *used = 1;
    piece[0] = '\\';
    if (byte == '"' || byte == '\\' || byte == '\n' || byte == '\t' || byte == '\r') {
        piece[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : byte == '\r' ? 'r' : (char)byte;
        return 2;
    }
    piece[1] = 'x';
    piece[2] = hex[byte >> 4];
    piece[3] = hex[byte & 15];
    return 4;
}

char *text_quote_bytes(const char *text, size_t length, char *out, size_t out_size)
{
    static const char cut[] = "...\"";
    size_t at = 0, safe = 1; /* `safe`: where the mark of a cut would still fit */
    out[at++] = '"';
    for (size_t i = 0; i < length;) {
        char piece[4];
        size_t used = 0;
        const size_t size = quote_piece(text + i, length - i, piece, &used);
        if (at + size + 2 > out_size) {
            memcpy(out + safe, cut, sizeof(cut));
            return out;
        }
        memcpy(out + at, piece, size);
        at += size;
        i += used;
        if (at + sizeof(cut) <= out_size)
            safe = at;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}

char *text_quote(const char *text, char *out, size_t out_size)
{
    /* Nothing past out_size bytes can show, so a huge text need not be measured. */
    return text_quote_bytes(text, strnlen(text, out_size), out, out_size);
}

int text_to_u64(const char *text, size_t length, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    bool overflow = false;
    if (length == 0)
        return NX_EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (!text_is_digit(text[i]))
            return NX_EINVAL;
        overflow = overflow || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
                   __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value);
    }
    if (overflow || value < min || value > max)
        return NX_ERANGE;
    *out = value;
    return NX_OK;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance_nocase(const char *a, const char *b)
{
    /* Three rows of the table of optimal string alignment: the one before last is needed for swaps. */
    enum { WORD_MAX = 63 };
    size_t rows[3][WORD_MAX + 1];
    const size_t a_length = strnlen(a, WORD_MAX), b_length = strnlen(b, WORD_MAX);
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        before[j] = previous[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const size_t replace = previous[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            current[j] = min_size(replace, min_size(previous[j], current[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                current[j] = min_size(current[j], before[j - 2] + 1);
        }
        size_t *const oldest = before;
        before = previous;
        previous = current;
        current = oldest;
    }
    return previous[b_length];
}

size_t text_typing_errors(const char *word, const char *candidate)
{
    enum { ERRORS_MAX = 3 };
    const size_t distance = text_distance_nocase(word, candidate);
    return distance > ERRORS_MAX || 3 * distance > strlen(candidate) + 1 ? SIZE_MAX : distance;
}

bool text_equal_nocase(const char *text, size_t length, const char *literal)
{
    for (size_t i = 0; i < length; i++) {
        if (literal[i] == '\0' || lower(text[i]) != lower(literal[i]))
            return false;
    }
    return literal[length] == '\0';
}

int text_compare_nocase(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

struct text_span text_trim(const char *start, size_t length)
{
    while (length > 0 && text_is_blank(start[0])) {
        start++;
        length--;
    }
    while (length > 0 && text_is_blank(start[length - 1]))
        length--;
    return (struct text_span){start, length};
}

int text_hex_value(char c)
{
    if (text_is_digit(c))
        return c - '0';
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int text_percent_value(const char *text, size_t length)
{
    if (length < 3 || text[0] != '%')
        return -1;
    const int high = text_hex_value(text[1]), low = text_hex_value(text[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}
