/* Text that came from outside, made safe to show, and small strict readers for it. No function allocates,
 * none depends on the locale. Any process. */
#ifndef NEXD_COMMON_TEXT_H
#define NEXD_COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_QUOTE_MAX = 64 };

/* Length in bytes of the UTF-8 sequence at `text` if it is well formed (RFC 3629) and shows something
 * harmless; 0 when it is malformed, a control character (C0, DEL, C1), a line separator or a bidirectional
 * override. */
size_t text_printable(const char *text, size_t length);

/* Quotes `length` bytes for a one-line message: "…" with everything that text_printable() refuses written as
 * \xHH (or \n, \t, \r), quote and backslash escaped, and what does not fit into `out_size` cut and marked
 * with "...". `out_size` is at least 16; TEXT_QUOTE_MAX suits messages. Returns `out`. */
char *text_quote_bytes(const char *text, size_t length, char *out, size_t out_size);
char *text_quote(const char *text, char *out, size_t out_size);

/* Decimal digits only (no sign, no blanks, at least one; leading zeros are fine) with a value in min..max.
 * NX_EINVAL: not a number; NX_ERANGE: outside the limits. `out` is written on success only. */
int text_to_u64(const char *text, size_t length, uint64_t min, uint64_t max, uint64_t *out);

/* Number of single-character edits (insert, delete, replace, swap of neighbours) that turn one word into the
 * other, both cut at 63 characters and without regard to the case of ASCII letters: used to suggest what was
 * meant. */
size_t text_distance_nocase(const char *a, const char *b);
/* The same if `word` may well be a mistyped `candidate`, SIZE_MAX if the two have too little in common. */
size_t text_typing_errors(const char *word, const char *candidate);

/* ASCII only, independent of the locale. */
static inline bool text_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool text_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline bool text_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}
/* 0 to 15, or -1 for what is no hexadecimal digit. */
int text_hex_value(char c);
/* The byte that the "%HH" at `text` stands for (RFC 3986 section 2.1), or -1 when there is none. */
int text_percent_value(const char *text, size_t length);
/* Equal but for the case of ASCII letters. `literal` is a C string, `text` has `length` bytes. */
bool text_equal_nocase(const char *text, size_t length, const char *literal);
/* As strcmp(3), but for the case of ASCII letters. */
int text_compare_nocase(const char *a, const char *b);

/* A part of a larger text; not terminated. */
struct text_span {
    const char *start;
    size_t length;
};
/* Without blanks at both ends. */
struct text_span text_trim(const char *start, size_t length);

#endif
