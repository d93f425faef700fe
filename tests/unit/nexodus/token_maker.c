#include "tests/unit/nexodus/token_maker.h"

#include "ctld/nexodus/base64.h"

#include <check.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 64 << 10 };

EVP_PKEY *token_maker_rsa(unsigned bits)
{
    EVP_PKEY *const key = EVP_RSA_gen(bits);
    ck_assert_ptr_nonnull(key);
    return key;
}

EVP_PKEY *token_maker_p256(void)
{
    EVP_PKEY *const key = EVP_EC_gen("P-256");
    ck_assert_ptr_nonnull(key);
    return key;
}

/* A number of the key as base64url, in at least `size` bytes. */
static void number(EVP_PKEY *key, const char *name, int size, char *out)
{
    BIGNUM *value = NULL;
    uint8_t bytes[2048];
    ck_assert_int_eq(EVP_PKEY_get_bn_param(key, name, &value), 1);
    const int length = BN_num_bytes(value) > size ? BN_num_bytes(value) : size;
    ck_assert_int_eq(BN_bn2binpad(value, bytes, length), length);
    base64_encode(BASE64_URL_UNPADDED, bytes, (size_t)length, out);
    BN_free(value);
}

char *token_maker_jwk(EVP_PKEY *key, const char *id)
{
    char a[4096], b[4096], kid[256] = "";
    char *const out = malloc(16384);
    ck_assert_ptr_nonnull(out);
    if (id)
        snprintf(kid, sizeof kid, "\"kid\":\"%s\",", id);
    if (EVP_PKEY_is_a(key, "RSA")) {
        number(key, OSSL_PKEY_PARAM_RSA_N, 0, a);
        number(key, OSSL_PKEY_PARAM_RSA_E, 0, b);
        snprintf(out, 16384,
                 "{%s\"kty\":\"RSA\",\"alg\":\"RS256\",\"use\":\"sig\",\"n\":\"%s\",\"e\":\"%s\"}", kid, a,
                 b);
    } else {
        number(key, OSSL_PKEY_PARAM_EC_PUB_X, 32, a);
        number(key, OSSL_PKEY_PARAM_EC_PUB_Y, 32, b);
        snprintf(out, 16384, "{%s\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", kid, a, b);
    }
    return out;
}

/* "header.payload"; room for the signature. */
static char *signed_part(const char *header, const char *payload)
{
    char *const out = malloc(TOKEN_MAX);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_lt(BASE64_ENCODED_MAX(strlen(header)) + BASE64_ENCODED_MAX(strlen(payload)),
                      TOKEN_MAX - 2048);
    base64_encode(BASE64_URL_UNPADDED, (const uint8_t *)header, strlen(header), out);
    strcat(out, ".");
    base64_encode(BASE64_URL_UNPADDED, (const uint8_t *)payload, strlen(payload), out + strlen(out));
    return out;
}

/* DER to r || s. */
static size_t ecdsa_raw(uint8_t *signature, size_t length)
{
    const unsigned char *der = signature;
    ECDSA_SIG *const parsed = d2i_ECDSA_SIG(NULL, &der, (long)length);
    ck_assert_ptr_nonnull(parsed);
    uint8_t raw[64];
    BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw + 32, 32);
    ECDSA_SIG_free(parsed);
    memcpy(signature, raw, sizeof raw);
    return sizeof raw;
}

char *token_maker_sign(const char *header, const char *payload, EVP_PKEY *key)
{
    char *const out = signed_part(header, payload);
    uint8_t signature[1024];
    size_t length = key ? sizeof signature : 0;
    if (key) {
        EVP_MD_CTX *const context = EVP_MD_CTX_new();
        ck_assert_int_eq(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
        ck_assert_int_eq(EVP_DigestSign(context, signature, &length, (const uint8_t *)out, strlen(out)), 1);
        EVP_MD_CTX_free(context);
        if (!EVP_PKEY_is_a(key, "RSA"))
            length = ecdsa_raw(signature, length);
    }
    strcat(out, ".");
    base64_encode(BASE64_URL_UNPADDED, signature, length, out + strlen(out));
    return out;
}

char *token_maker_hmac(const char *header, const char *payload, const char *secret)
{
    char *const out = signed_part(header, payload);
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)out, strlen(out), mac, &length);
    strcat(out, ".");
    base64_encode(BASE64_URL_UNPADDED, mac, length, out + strlen(out));
    return out;
}
