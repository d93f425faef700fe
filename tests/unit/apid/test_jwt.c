/* The issuer's tokens: a round trip, every way of tampering, hostile texts, keys that are none; and form
 * bodies. */
#include "apid/oidc/form.h"
#include "apid/oidc/jwt.h"
#include "common/err.h"

#include <check.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct jwt_key *key;
static char pem[JWT_KEY_PEM_MAX];
static const char payload[] = "{\"sub\":\"u\",\"exp\":1}";

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    ck_assert_int_eq(jwt_key_generate(pem), NX_OK);
    ck_assert_int_eq(jwt_key_load(pem, &key), NX_OK);
}

static void teardown(void)
{
    jwt_key_free(key);
}

START_TEST(test_round_trip)
{
    char *token;
    struct json_document *document;
    ck_assert_int_eq(jwt_sign(key, payload, strlen(payload), &token), NX_OK);
    ck_assert_int_eq(jwt_verify(key, token, &document), NX_OK);
    ck_assert_str_eq(json_member_text(json_root(document), "sub"), "u");
    json_free(document);
    free(token);
}
END_TEST

/* Each character of a token matters, the bits of the last one that base64 does not use excepted: those are
 * refused. */
START_TEST(test_tampered)
{
    char *token;
    struct json_document *document = NULL;
    ck_assert_int_eq(jwt_sign(key, payload, strlen(payload), &token), NX_OK);
    for (size_t i = 0; token[i]; i++) {
        const char original = token[i];
        token[i] = original == 'A' ? 'B' : 'A';
        ck_assert_int_ne(jwt_verify(key, token, &document), NX_OK);
        ck_assert_ptr_null(document);
        token[i] = original;
    }
    ck_assert_int_eq(jwt_verify(key, token, &document), NX_OK);
    json_free(document);
    free(token);
}
END_TEST

START_TEST(test_other_key)
{
    struct jwt_key *other;
    struct json_document *document;
    char other_pem[JWT_KEY_PEM_MAX], *token;
    ck_assert_int_eq(jwt_key_generate(other_pem), NX_OK);
    ck_assert_int_eq(jwt_key_load(other_pem, &other), NX_OK);
    ck_assert_str_ne(jwt_key_id(key), jwt_key_id(other));
    ck_assert_int_eq(jwt_sign(other, payload, strlen(payload), &token), NX_OK);
    ck_assert_int_eq(jwt_verify(key, token, &document), NX_ECRYPTO);
    free(token);
    jwt_key_free(other);
}
END_TEST

static const struct {
    const char *token;
    int err;
} hostile[] = {
    {"", NX_EINVAL},
    {"garbage", NX_EINVAL},
    {"a.b", NX_EINVAL},
    {"a.b.c.d", NX_EINVAL},
    {"..", NX_ECRYPTO},
    {"!!.e30.AA", NX_EINVAL},
    {"e30.e30.!!", NX_EINVAL},
    /* {"alg":"none"}, with and without a signature */
    {"eyJhbGciOiJub25lIn0.e30.", NX_ECRYPTO},
    {"eyJhbGciOiJub25lIn0.e30.AAAA", NX_ECRYPTO},
    {"eyJhbGciOiJIUzI1NiJ9.e30.AAAA", NX_ECRYPTO},
};

START_TEST(test_hostile)
{
    struct json_document *document;
    ck_assert_int_eq(jwt_verify(key, hostile[_i].token, &document), hostile[_i].err);
    ck_assert_ptr_null(document);
}
END_TEST

START_TEST(test_long)
{
    char *const token = malloc(JWT_TEXT_MAX + 3);
    struct json_document *document;
    memset(token, 'A', JWT_TEXT_MAX + 2);
    token[JWT_TEXT_MAX + 2] = '\0';
    token[10] = token[20] = '.';
    ck_assert_int_eq(jwt_verify(key, token, &document), NX_EINVAL);
    char *const long_payload = calloc(1, JWT_TEXT_MAX + 1);
    ck_assert_int_eq(jwt_sign(key, long_payload, JWT_TEXT_MAX + 1, (char **)&document), NX_ERANGE);
    free(long_payload);
    free(token);
}
END_TEST

START_TEST(test_bad_keys)
{
    EVP_PKEY *const pkeys[] = {EVP_EC_gen("P-256"), EVP_RSA_gen(1024)};
    static const char *const texts[] = {"", "no key",
                                        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
    struct jwt_key *loaded;
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(jwt_key_load(texts[i], &loaded), NX_EINVAL);
        ck_assert_ptr_null(loaded);
    }
    for (size_t i = 0; i < 2; i++) { /* of another kind, and too short */
        BIO *const bio = BIO_new(BIO_s_mem());
        char *text;
        ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkeys[i], NULL, NULL, 0, NULL, NULL), 1);
        ck_assert_int_eq(BIO_write(bio, "", 1), 1);
        ck_assert_int_gt(BIO_get_mem_data(bio, &text), 0);
        ck_assert_int_eq(jwt_key_load(text, &loaded), NX_EINVAL);
        ck_assert_ptr_null(loaded);
        BIO_free(bio);
        EVP_PKEY_free(pkeys[i]);
    }
}
END_TEST

START_TEST(test_key_set)
{
    struct json_out out = {0};
    struct json_document *document;
    char error[JSON_ERROR_MAX];
    jwt_key_set_write(key, &out);
    ck_assert_int_eq(json_parse(out.data, out.length, &document, error), NX_OK);
    const struct json_value *const jwk = json_member(json_root(document), "keys")->child;
    ck_assert_str_eq(json_member_text(jwk, "kid"), jwt_key_id(key));
    ck_assert_str_eq(json_member_text(jwk, "kty"), "RSA");
    ck_assert_str_eq(json_member_text(jwk, "e"), "AQAB");
    ck_assert_uint_eq(strlen(json_member_text(jwk, "n")), 342); /* 256 bytes */
    ck_assert_ptr_null(json_member(jwk, "d"));
    json_free(document);
    json_out_free(&out);
}
END_TEST

START_TEST(test_form)
{
    struct form form;
    const char text[] = "a=1&b=x+y%20z&&empty=&flag&a%62=%C3%A9&twice=1&twice=2";
    ck_assert_int_eq(form_parse(text, strlen(text), &form), NX_OK);
    ck_assert_uint_eq(form.count, 7);
    ck_assert_str_eq(form_get(&form, "a"), "1");
    ck_assert_str_eq(form_get(&form, "b"), "x y z");
    ck_assert_str_eq(form_get(&form, "empty"), "");
    ck_assert_str_eq(form_get(&form, "flag"), "");
    ck_assert_str_eq(form_get(&form, "ab"), "é");
    ck_assert_ptr_null(form_get(&form, "twice"));
    ck_assert_ptr_null(form_get(&form, "absent"));
    form_free(&form);
    ck_assert_int_eq(form_parse("", 0, &form), NX_OK);
    ck_assert_uint_eq(form.count, 0);
    form_free(&form);
}
END_TEST

START_TEST(test_form_refused)
{
    static const char *const texts[] = {"a=%", "a=%4", "a=%zz", "%0=1", "a=%00", "a%00=1"};
    struct form form;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ck_assert_int_eq(form_parse(texts[i], strlen(texts[i]), &form), NX_EINVAL);
        ck_assert_ptr_null(form.text);
    }
    ck_assert_int_eq(form_parse("a\0b=1", 5, &form), NX_EINVAL);
    char many[4 * FORM_FIELDS_MAX + 8] = "";
    for (size_t i = 0; i <= FORM_FIELDS_MAX; i++)
        memcpy(many + 3 * i, "a&", 3);
    ck_assert_int_eq(form_parse(many, 3 * FORM_FIELDS_MAX + 3, &form), NX_EINVAL); /* NUL bytes in it */
    for (size_t i = 0; i <= FORM_FIELDS_MAX; i++)
        memcpy(many + 2 * i, "a&", 2);
    ck_assert_int_eq(form_parse(many, 2 * FORM_FIELDS_MAX + 1, &form), NX_ERANGE);
    char *const huge = calloc(1, FORM_BYTES_MAX + 1);
    ck_assert_int_eq(form_parse(huge, FORM_BYTES_MAX + 1, &form), NX_ERANGE);
    free(huge);
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_jwt");
    TCase *const cases = tcase_create("jwt");
    tcase_add_unchecked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_round_trip);
    tcase_add_test(cases, test_tampered);
    tcase_add_test(cases, test_other_key);
    tcase_add_loop_test(cases, test_hostile, 0, sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(cases, test_long);
    tcase_add_test(cases, test_bad_keys);
    tcase_add_test(cases, test_key_set);
    tcase_add_test(cases, test_form);
    tcase_add_test(cases, test_form_refused);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
