/* Sealed device tokens: known answers, those of recorded registrations, and everything that is not quite one.
 */
#include "common/err.h"
#include "ctld/nexodus/base64.h"
#include "ctld/nexodus/sealed_token.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <string.h>

#define PUBLIC_KEY "43EthRoOXXm4McXjSrIrQaGYFx3iCbi4+sojoRxiSFk="
#define TOKEN      "DT:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define SEALED                                                                                               \
    "djE=:B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHw=:"                                                     \
    "0wGtox0gBDYwYIfOpGdSvcvojwRUd3AR3zsKA9zG3yUjoqsn4L8yRTxwuvl7Mp"                                         \
    "jJYA-TSXH2UZO9cr-T_qus"
#define SEALED_BY_UPSTREAM                                                                                   \
    "djE=:bLLiMU60b8q4Fxy_4NnyE70xUAliMHXwEC9gWaI6Xj8=:cGXQMxf_lS9onxLj_"                                    \
    "ECJ20swOrWmbNUs7PB2pSkmyIyacjKPhkeCtP6N4mYmzk"                                                          \
    "bKazPPf1iegs2jJQi-7dTZ"

static char token[SEALED_TOKEN_MAX];

static int open_with(const char *text, const char *key)
{
    uint8_t public_key[KEY_BYTES];
    ck_assert_int_eq(key_parse(key, public_key), NX_OK);
    memset(token, 'x', sizeof token);
    return sealed_token_open(text, strlen(text), public_key, token);
}

START_TEST(known_answers)
{
    ck_assert_int_eq(open_with(SEALED, PUBLIC_KEY), NX_OK);
    ck_assert_str_eq(token, TOKEN);
    ck_assert_int_eq(open_with(SEALED_BY_UPSTREAM, PUBLIC_KEY), NX_OK);
    ck_assert_str_eq(token, TOKEN);
}
END_TEST

START_TEST(recorded_registrations)
{
    size_t count = 0;
    for (const struct json_value *each = json_first(document_file("sealed-tokens.json")); each;
         each = json_next(each)) {
        ck_assert_int_eq(open_with(json_text(json_member(each, "sealed"), NULL),
                                   json_text(json_member(each, "public_key"), NULL)),
                         NX_OK);
        ck_assert_str_eq(token, json_text(json_member(each, "token"), NULL));
        count++;
    }
    ck_assert_uint_ge(count, 5);
    document_end();
}
END_TEST

/* Whatever single character is changed, nothing comes out. */
START_TEST(every_change_is_noticed)
{
    char text[] = SEALED;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        const char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        const int err = open_with(text, PUBLIC_KEY);
        /* Five bits of a scalar are fixed by X25519; the salt has them all the same. */
        ck_assert_msg(err != NX_OK, "%zu", i);
        ck_assert_str_eq(token, "");
        text[i] = was;
    }
    ck_assert_int_eq(open_with(text, PUBLIC_KEY), NX_OK);
    for (size_t length = 0; length < sizeof text - 1; length++) {
        uint8_t key[KEY_BYTES];
        key_parse(PUBLIC_KEY, key);
        ck_assert_int_ne(sealed_token_open(text, length, key, token), NX_OK);
    }
}
END_TEST

START_TEST(forms_and_their_errors)
{
#define EPK "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9_AsrhtHHw="
#define CT  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"", NX_EINVAL},
        {"djE=", NX_EINVAL},
        {"djE=:", NX_EINVAL},
        {"djE=::", NX_EINVAL},
        {"DT:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", NX_ENOTSUP},
        {"djI=:" EPK ":" CT, NX_ENOTSUP},
        {"djE:" EPK ":" CT, NX_ENOTSUP},
        {":" EPK ":" CT, NX_ENOTSUP},
        {"djE=:" EPK, NX_EINVAL},
        {"djE=:" EPK ":", NX_EINVAL},
        {"djE=:" EPK ":AAAA", NX_EINVAL},
        {"djE=:" EPK ":AAAAAAAAAAAAAAAAAAAAAA==", NX_EINVAL}, /* nothing but a tag */
        {"djE=:" EPK ":" CT ":", NX_EINVAL},
        {"djE=:" EPK ":" CT ":" CT, NX_EINVAL},
        {"djE=:" EPK "=:" CT, NX_EINVAL},
        {"djE=:B6N8:" CT, NX_EINVAL},
        {"djE=:B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=:" CT, NX_EINVAL},
        {"djE=:" EPK ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+AAAAAAAAAAAAA", NX_EINVAL},
        {"djE=:" EPK ":" CT, NX_ECRYPTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_msg(open_with(cases[i].text, PUBLIC_KEY) == cases[i].err, "%s", cases[i].text);
        ck_assert_str_eq(token, "");
    }
    ck_assert_int_eq(open_with(SEALED, "eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo="), NX_ECRYPTO);
    /* A key of low order: the result of X25519 would be zero, known to everybody. */
    ck_assert_int_eq(open_with(SEALED, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), NX_ECRYPTO);
    char text[2 * SEALED_TOKEN_TEXT_MAX];
    snprintf(text, sizeof text, "djE=:%s:", EPK);
    memset(text + strlen(text), 'A', sizeof text - strlen(text));
    uint8_t key[KEY_BYTES];
    key_parse(PUBLIC_KEY, key);
    ck_assert_int_eq(sealed_token_open(text, SEALED_TOKEN_TEXT_MAX + 2, key, token), NX_EINVAL);
    ck_assert_int_eq(sealed_token_open(text, SEALED_TOKEN_TEXT_MAX - 2, key, token), NX_EINVAL);
}
END_TEST

/* Seals any bytes for PUBLIC_KEY with the first vector's key of the header, as a hostile server could. */
static int open_sealed(const void *plain, int length)
{
    static const uint8_t key[KEY_BYTES] = {0x29, 0x67, 0x99, 0x8f, 0x50, 0x51, 0x14, 0xd1, 0xd7, 0xad, 0x62,
                                           0x3f, 0x49, 0x9e, 0x80, 0x22, 0x2e, 0xba, 0x3a, 0xa0, 0xf1, 0x04,
                                           0x64, 0x7e, 0xda, 0x97, 0x3a, 0xda, 0xc7, 0xf8, 0xd4, 0x0c};
    uint8_t nonce[12] = {0}, ct[1024];
    char text[2048];
    int size = 0, rest = 0;
    EVP_CIPHER_CTX *const context = EVP_CIPHER_CTX_new();
    ck_assert(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) > 0);
    ck_assert(EVP_EncryptUpdate(context, ct, &size, plain, length) > 0);
    ck_assert(EVP_EncryptFinal_ex(context, ct + size, &rest) > 0);
    ck_assert(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, ct + length) > 0);
    EVP_CIPHER_CTX_free(context);
    const int head = snprintf(text, sizeof text, "djE=:%s:", EPK);
    base64_encode(BASE64_URL_PADDED, ct, (size_t)length + 16, text + head);
    return open_with(text, PUBLIC_KEY);
}

START_TEST(what_is_inside_must_be_a_token)
{
    char longest[SEALED_TOKEN_MAX];
    memset(longest, 't', sizeof longest);
    ck_assert_int_eq(open_sealed(TOKEN, (int)strlen(TOKEN)), NX_OK);
    ck_assert_str_eq(token, TOKEN);
    ck_assert_int_eq(open_sealed("x", 1), NX_OK);
    ck_assert_str_eq(token, "x");
    ck_assert_int_eq(open_sealed(longest, SEALED_TOKEN_MAX - 1), NX_OK);
    ck_assert_uint_eq(strlen(token), SEALED_TOKEN_MAX - 1);
    ck_assert_int_eq(open_sealed(longest, SEALED_TOKEN_MAX), NX_EINVAL);
    static const char *const bad[] = {"DT:a b", "DT:a\r\nX-Evil: 1", "DT:\x7f", "DT:\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(open_sealed(bad[i], (int)strlen(bad[i])), NX_EINVAL);
        ck_assert_str_eq(token, "");
    }
    ck_assert_int_eq(open_sealed("DT:\0x", 5), NX_EINVAL);
}
END_TEST

START_TEST(each_error_has_words)
{
    static const int errors[] = {NX_OK, NX_EINVAL, NX_ENOTSUP, NX_ECRYPTO, NX_ENOMEM};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(sealed_token_strerror(errors[i]), sealed_token_strerror(errors[j]));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, known_answers);
    tcase_add_test(tcase, recorded_registrations);
    tcase_add_test(tcase, every_change_is_noticed);
    tcase_add_test(tcase, forms_and_their_errors);
    tcase_add_test(tcase, what_is_inside_must_be_a_token);
    tcase_add_test(tcase, each_error_has_words);
}

int main(void)
{
    return unit_run("nexodus/sealed_token", fill);
}
