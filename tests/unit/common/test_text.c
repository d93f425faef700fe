/* Quoting must yield one harmless line for any bytes; numbers and words are read strictly. */
#include "common/err.h"
#include "common/text.h"
#include "tests/unit/common/unit.h"

#include <string.h>

static const struct {
    const char *text;
    size_t length;
    const char *quoted;
} quotes[] = {
    {"plain", 5, "\"plain\""},
    {"", 0, "\"\""},
    {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
    {"line\nfeed\r\t", 11, "\"line\\nfeed\\r\\t\""},
    {"\x1b[31m", 5, "\"\\x1b[31m\""},
    {"nul\0byte", 8, "\"nul\\x00byte\""},
    {"\xc3\xa4", 2, "\"\xc3\xa4\""}, /* a letter beyond ASCII stays */
    {"\xc2\x9b"
     "1m",
     4, "\"\\xc2\\x9b1m\""},                             /* C1 control sequence introducer */
    {"\xe2\x80\xae", 3, "\"\\xe2\\x80\\xae\""},          /* right-to-left override */
    {"\xc0\x80\xff\xc3", 4, "\"\\xc0\\x80\\xff\\xc3\""}, /* overlong, never valid, cut short */
    {"\xed\xa0\x80", 3, "\"\\xed\\xa0\\x80\""},          /* a surrogate */
    {"\xf4\x90\x80\x80", 4, "\"\\xf4\\x90\\x80\\x80\""}, /* past the last code point */
};

START_TEST(quote_escapes_what_could_harm)
{
    char out[TEXT_QUOTE_MAX];
    text_quote_bytes(quotes[_i].text, quotes[_i].length, out, sizeof(out));
    ck_assert_str_eq(out, quotes[_i].quoted);
}
END_TEST

START_TEST(quote_cuts_and_marks)
{
    char out[TEXT_QUOTE_MAX], small[16], input[300];
    memset(input, 'x', sizeof(input));
    text_quote_bytes(input, sizeof(input), out, sizeof(out));
    ck_assert_uint_eq(strlen(out), sizeof(out) - 1);
    ck_assert_str_eq(out + strlen(out) - 6, "xx...\"");
    text_quote_bytes("12345678901234", 13, small, sizeof(small));
    ck_assert_str_eq(small, "\"1234567890123\"");
    text_quote_bytes("12345678901234", 14, small, sizeof(small));
    ck_assert_str_eq(small, "\"1234567890...\"");
}
END_TEST

START_TEST(quote_never_overruns_nor_cuts_a_character)
{
    /* Every size of buffer, with input whose pieces are 1, 2, 3 and 4 bytes long. */
    const char input[] = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n\x01zzzzzzzzzzzzzzzzzzz";
    for (size_t size = 16; size < 60; size++) {
        char *const out = malloc(size);
        text_quote(input, out, size);
        const size_t length = strlen(out);
        ck_assert_uint_lt(length, size);
        ck_assert_int_eq(out[length - 1], '"');
        for (size_t i = 0; i < length;) {
            const size_t step = text_printable(out + i, length - i);
            ck_assert_uint_ne(step, 0);
            i += step;
        }
        free(out);
    }
}
END_TEST

START_TEST(numbers_are_digits_within_limits)
{
    uint64_t value = 7;
    ck_assert_int_eq(text_to_u64("0", 1, 0, 9, &value), NX_OK);
    ck_assert_uint_eq(value, 0);
    ck_assert_int_eq(text_to_u64("00065535", 8, 1, 65535, &value), NX_OK);
    ck_assert_uint_eq(value, 65535);
    ck_assert_int_eq(text_to_u64("18446744073709551615", 20, 0, UINT64_MAX, &value), NX_OK);
    ck_assert(value == UINT64_MAX);
    value = 7;
    static const char *const wrong[] = {"", "+1", "-1", " 1", "1 ", "0x10", "1e3", "1.0", "\xd9\xa1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_int_eq(text_to_u64(wrong[i], strlen(wrong[i]), 0, 100, &value), NX_EINVAL);
    static const char *const far[] = {"0", "65536", "18446744073709551616", "184467440737095516150",
                                      "99999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
        ck_assert_int_eq(text_to_u64(far[i], strlen(far[i]), 1, 65535, &value), NX_ERANGE);
    ck_assert_int_eq(text_to_u64("1\0002", 3, 0, 100, &value), NX_EINVAL);
    ck_assert_int_eq(text_to_u64("99999999999999999999x", 21, 0, 100, &value), NX_EINVAL);
    ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST(distance_counts_edits)
{
    ck_assert_uint_eq(text_distance_nocase("", ""), 0);
    ck_assert_uint_eq(text_distance_nocase("abc", ""), 3);
    ck_assert_uint_eq(text_distance_nocase("PublicKye", "publickey"), 1);
    ck_assert_uint_eq(text_distance_nocase("ingres", "ingress"), 1);
    ck_assert_uint_eq(text_distance_nocase("kitten", "sitting"), 3);
    ck_assert_uint_eq(text_distance_nocase("ab", "ba"), 1);
    char long_word[200];
    memset(long_word, 'a', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    ck_assert_uint_eq(text_distance_nocase(long_word, "b"), 63);
}
END_TEST

START_TEST(only_near_words_are_typing_errors)
{
    ck_assert_uint_eq(text_typing_errors("ingres", "ingress"), 1);
    ck_assert_uint_eq(text_typing_errors("wiregaurd-confg", "wireguard-config"), 2);
    ck_assert_uint_eq(text_typing_errors("mtx", "mtu"), 1);
    ck_assert(text_typing_errors("Jc", "MTU") == SIZE_MAX);
    ck_assert(text_typing_errors("", "x") == SIZE_MAX);
    ck_assert(text_typing_errors("egress", "ingress") != SIZE_MAX);
    ck_assert(text_typing_errors("bogus", "proxy") == SIZE_MAX);
}
END_TEST

START_TEST(case_and_blanks)
{
    ck_assert(text_equal_nocase("TcPx", 3, "tcp"));
    ck_assert(!text_equal_nocase("tc", 2, "tcp"));
    ck_assert(!text_equal_nocase("tcpx", 4, "tcp"));
    ck_assert(!text_equal_nocase("tc\0", 3, "tc"));
    struct text_span span = text_trim(" \t a b\r\n", 8);
    ck_assert_uint_eq(span.length, 3);
    ck_assert(memcmp(span.start, "a b", 3) == 0);
    ck_assert_uint_eq(text_trim("   ", 3).length, 0);
}
END_TEST

START_TEST(percent_escapes)
{
    ck_assert_int_eq(text_percent_value("%41", 3), 0x41);
    ck_assert_int_eq(text_percent_value("%fFx", 4), 0xff);
    ck_assert_int_eq(text_percent_value("%00", 3), 0);
    ck_assert_int_eq(text_percent_value("%4", 2), -1);
    ck_assert_int_eq(text_percent_value("%41", 2), -1); /* the rest is not part of it */
    ck_assert_int_eq(text_percent_value("", 0), -1);
    ck_assert_int_eq(text_percent_value("%g1", 3), -1);
    ck_assert_int_eq(text_percent_value("%1`", 3), -1);
    ck_assert_int_eq(text_percent_value("%+1", 3), -1);
    ck_assert_int_eq(text_percent_value("x41", 3), -1);
    for (int c = -128; c < 256; c++) {
        const char *digits = "0123456789abcdef", *upper = "0123456789ABCDEF";
        const char *at = c > 0 && c < 128 ? strchr(digits, c) : NULL,
                   *big = c > 0 && c < 128 ? strchr(upper, c) : NULL;
        const int expected = at ? (int)(at - digits) : big ? (int)(big - upper) : -1;
        ck_assert_int_eq(text_hex_value((char)c), expected);
    }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, percent_escapes);
    tcase_add_loop_test(tcase, quote_escapes_what_could_harm, 0, sizeof(quotes) / sizeof(quotes[0]));
    tcase_add_test(tcase, quote_cuts_and_marks);
    tcase_add_test(tcase, quote_never_overruns_nor_cuts_a_character);
    tcase_add_test(tcase, numbers_are_digits_within_limits);
    tcase_add_test(tcase, distance_counts_edits);
    tcase_add_test(tcase, only_near_words_are_typing_errors);
    tcase_add_test(tcase, case_and_blanks);
}

int main(void)
{
    return unit_run("text", fill);
}
