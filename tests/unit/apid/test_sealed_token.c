/* Sealed device tokens: the published vector, and what is refused. */
#include "apid/rest/sealed_token.h"
#include "common/err.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char plain[] = "DT:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
static const char expected[] =
    "djE=:B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHw=:"
    "0wGtox0gBDYwYIfOpGdSvcvojwRUd3AR3zsKA9zG3yUjoqsn4L8yRTxwuvl7MpjJYA-TSXH2UZO9cr-T_qus";
static uint8_t public_key[SEALED_KEY_BYTES], ephemeral[SEALED_KEY_BYTES];

static void setup(void)
{
    size_t length;
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_int_eq(sodium_hex2bin(public_key, sizeof(public_key),
                                    "e3712d851a0e5d79b831c5e34ab22b41a198171de209b8b8faca23a11c624859", 64,
                                    NULL, &length, NULL),
                     0);
    for (uint8_t i = 0; i < SEALED_KEY_BYTES; i++)
        ephemeral[i] = (uint8_t)(i + 1);
}

START_TEST(test_vector)
{
    char out[SEALED_TOKEN_MAX];
    ck_assert_int_eq(sealed_token_make_with(ephemeral, public_key, plain, out), NX_OK);
    ck_assert_str_eq(out, expected);
}
END_TEST

START_TEST(test_fresh)
{
    char first[SEALED_TOKEN_MAX], second[SEALED_TOKEN_MAX];
    ck_assert_int_eq(sealed_token_make(public_key, plain, first), NX_OK);
    ck_assert_int_eq(sealed_token_make(public_key, plain, second), NX_OK);
    ck_assert_str_ne(first, second);
    ck_assert_uint_eq(strlen(first), strlen(expected));
}
END_TEST

START_TEST(test_refused)
{
    char out[SEALED_TOKEN_MAX], token[SEALED_TOKEN_PLAIN_MAX + 2];
    const uint8_t small_order[SEALED_KEY_BYTES] = {0};
    ck_assert_int_eq(sealed_token_make(small_order, plain, out), NX_EINVAL);
    memset(token, 'a', sizeof(token) - 1);
    token[sizeof(token) - 1] = '\0';
    ck_assert_int_eq(sealed_token_make(public_key, token, out), NX_ERANGE);
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_sealed_token");
    TCase *const cases = tcase_create("sealed_token");
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, test_vector);
    tcase_add_test(cases, test_fresh);
    tcase_add_test(cases, test_refused);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
