/* base64 in its three forms, against RFC 4648's vectors, and everything that is nearly one of them. */
#include "common/err.h"
#include "ctld/nexodus/base64.h"
#include "tests/unit/common/unit.h"

#include <string.h>

START_TEST(vectors_both_ways)
{
    static const struct {
        const char *plain, *padded, *unpadded;
    } cases[] = {{"", "", ""},
                 {"f", "Zg==", "Zg"},
                 {"fo", "Zm8=", "Zm8"},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg==", "Zm9vYg"},
                 {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                 {"foobar", "Zm9vYmFy", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t length = strlen(cases[i].plain);
        uint8_t out[16];
        size_t size;
        char text[16];
        ck_assert_int_eq(
            base64_decode(BASE64_STANDARD, cases[i].padded, strlen(cases[i].padded), out, length, &size),
            NX_OK);
        ck_assert_uint_eq(size, length);
        ck_assert_mem_eq(out, cases[i].plain, length);
        ck_assert_int_eq(base64_decode(BASE64_URL_PADDED, cases[i].padded, strlen(cases[i].padded), out,
                                       sizeof out, &size),
                         NX_OK);
        ck_assert_uint_eq(size, length);
        ck_assert_int_eq(base64_decode(BASE64_URL_UNPADDED, cases[i].unpadded, strlen(cases[i].unpadded), out,
                                       sizeof out, &size),
                         NX_OK);
        ck_assert_uint_eq(size, length);
        ck_assert_mem_eq(out, cases[i].plain, length);
        ck_assert_str_eq(base64_encode(BASE64_STANDARD, (const uint8_t *)cases[i].plain, length, text),
                         cases[i].padded);
        ck_assert_str_eq(base64_encode(BASE64_URL_UNPADDED, (const uint8_t *)cases[i].plain, length, text),
                         cases[i].unpadded);
        if (length > 0) {
            ck_assert_int_eq(base64_decode(BASE64_STANDARD, cases[i].padded, strlen(cases[i].padded), out,
                                           length - 1, &size),
                             NX_ERANGE);
            ck_assert_uint_eq(size, 0);
        }
    }
}
END_TEST

START_TEST(each_digit_has_its_value)
{
    static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (unsigned c = 0; c < 256; c++) {
        const char *const found = c ? strchr(common, (int)c) : NULL;
        const int standard = found ? (int)(found - common) : c == '+' ? 62 : c == '/' ? 63 : -1;
        const int url = found ? (int)(found - common) : c == '-' ? 62 : c == '_' ? 63 : -1;
        const char text[4] = {'A', 'A', 'A', (char)c};
        uint8_t out[3];
        size_t size;
        ck_assert_int_eq(base64_decode(BASE64_URL_UNPADDED, text, 4, out, 3, &size),
                         url < 0 ? NX_EINVAL : NX_OK);
        if (url >= 0)
            ck_assert_int_eq(out[2], url);
        if (c == '=')
            continue; /* padding, where there is padding */
        ck_assert_int_eq(base64_decode(BASE64_STANDARD, text, 4, out, 3, &size),
                         standard < 0 ? NX_EINVAL : NX_OK);
        if (standard >= 0)
            ck_assert_int_eq(out[2], standard);
    }
}
END_TEST

START_TEST(what_is_nearly_base64)
{
    static const struct {
        enum base64_variant variant;
        const char *text;
    } bad[] = {
        {BASE64_STANDARD, "Zg"},       {BASE64_STANDARD, "Zg="},     {BASE64_STANDARD, "Z==="},
        {BASE64_STANDARD, "===="},     {BASE64_STANDARD, "Zh=="},    {BASE64_STANDARD, "Zm9="},
        {BASE64_STANDARD, "Zg==Zg=="}, {BASE64_STANDARD, "Zm 9"},    {BASE64_STANDARD, "Zm9v\n"},
        {BASE64_STANDARD, "Z-_v"},     {BASE64_URL_PADDED, "Z+/v"},  {BASE64_URL_PADDED, "Zg"},
        {BASE64_URL_UNPADDED, "Zg=="}, {BASE64_URL_UNPADDED, "Z"},   {BASE64_URL_UNPADDED, "Zm9vY"},
        {BASE64_URL_UNPADDED, "Zh"},   {BASE64_URL_UNPADDED, "Zm9"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t out[16];
        size_t size = 7;
        ck_assert_msg(base64_decode(bad[i].variant, bad[i].text, strlen(bad[i].text), out, sizeof out,
                                    &size) == NX_EINVAL,
                      "%s", bad[i].text);
        ck_assert_uint_eq(size, 0);
    }
}
END_TEST

START_TEST(all_bytes_survive)
{
    uint8_t bytes[256], back[256];
    char text[BASE64_ENCODED_MAX(256)];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t length = 0; length <= 256; length++)
        for (enum base64_variant variant = BASE64_STANDARD; variant <= BASE64_URL_UNPADDED; variant++) {
            size_t size;
            base64_encode(variant, bytes, length, text);
            ck_assert_uint_lt(strlen(text), BASE64_ENCODED_MAX(length));
            ck_assert_int_eq(base64_decode(variant, text, strlen(text), back, length, &size), NX_OK);
            ck_assert_uint_eq(size, length);
            ck_assert(memcmp(back, bytes, length) == 0);
        }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, vectors_both_ways);
    tcase_add_test(tcase, each_digit_has_its_value);
    tcase_add_test(tcase, what_is_nearly_base64);
    tcase_add_test(tcase, all_bytes_survive);
}

int main(void)
{
    return unit_run("nexodus/base64", fill);
}
