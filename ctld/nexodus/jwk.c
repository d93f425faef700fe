/* A key that is not understood, too weak, malformed or for something else is passed over: providers publish
 * what newer clients need beside what we do. */
#include "ctld/nexodus/jwk.h"

#include "common/err.h"
#include "ctld/nexodus/base64.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    RSA_EXPONENT_BYTES_MAX = 8,
    P256_BYTES = 32,
    MEMBER_MAX = 1400
};

struct jwk {
    char id[JWK_ID_MAX + 1]; /* "" = none */
    enum jwk_algorithm algorithm;
    EVP_PKEY *key;
};

struct jwk_set {
    struct jwk keys[JWK_KEYS_MAX];
    size_t count;
};

/* A member as text; "" where there is none. False: not a string, or too long. */
static bool text_get(const struct json_value *value, const char *name, size_t max, const char **out)
{
    char error[JSON_ERROR_MAX];
    *out = "";
    return json_get_string_optional(value, name, max, out, error) == NX_OK;
}

static bool bytes_get(const struct json_value *value, const char *name, uint8_t *out, size_t size,
                      size_t *length)
{
    const char *text;
    return text_get(value, name, MEMBER_MAX, &text) && text[0] != '\0' &&
           base64_decode(BASE64_URL_UNPADDED, text, strlen(text), out, size, length) == NX_OK;
}

static EVP_PKEY *key_build(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *const params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *const context = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (context && EVP_PKEY_fromdata_init(context) > 0 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_read(const struct json_value *value)
{
    uint8_t modulus[RSA_BITS_MAX / 8], exponent[RSA_EXPONENT_BYTES_MAX];
    size_t modulus_length, exponent_length;
    EVP_PKEY *key = NULL;
    if (!bytes_get(value, "n", modulus, sizeof modulus, &modulus_length) ||
        !bytes_get(value, "e", exponent, sizeof exponent, &exponent_length))
        return NULL;
    BIGNUM *const n = BN_bin2bn(modulus, (int)modulus_length, NULL), *const e = BN_bin2bn(
                                                                         exponent, (int)exponent_length,
                                                                         NULL);
    OSSL_PARAM_BLD *const builder = OSSL_PARAM_BLD_new();
    if (n && e && builder && BN_num_bits(n) >= RSA_BITS_MIN && BN_is_odd(n) && BN_is_odd(e) &&
        !BN_is_one(e) && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) > 0 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) > 0)
        key = key_build("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

/* OpenSSL refuses points that are not on the curve. */
static EVP_PKEY *p256_read(const struct json_value *value)
{
    const char *curve;
    uint8_t point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t x, y;
    EVP_PKEY *key = NULL;
    if (!text_get(value, "crv", MEMBER_MAX, &curve) || strcmp(curve, "P-256") != 0 ||
        !bytes_get(value, "x", point + 1, P256_BYTES, &x) || x != P256_BYTES ||
        !bytes_get(value, "y", point + 1 + P256_BYTES, P256_BYTES, &y) || y != P256_BYTES)
        return NULL;
    OSSL_PARAM_BLD *const builder = OSSL_PARAM_BLD_new();
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) > 0 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) > 0)
        key = key_build("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static bool is_or_absent(const struct json_value *value, const char *name, const char *wanted)
{
    const char *text;
    return text_get(value, name, MEMBER_MAX, &text) && (text[0] == '\0' || strcmp(text, wanted) == 0);
}

static void key_add(const struct json_value *value, struct jwk_set *set)
{
    struct jwk *const out = &set->keys[set->count];
    const char *type, *id;
    *out = (struct jwk){.key = NULL};
    if (!text_get(value, "kty", MEMBER_MAX, &type) || !text_get(value, "kid", JWK_ID_MAX, &id) ||
        !is_or_absent(value, "use", "sig"))
        return;
    if (strcmp(type, "RSA") == 0 && is_or_absent(value, "alg", "RS256")) {
        out->algorithm = JWK_RS256;
        out->key = rsa_read(value);
    } else if (strcmp(type, "EC") == 0 && is_or_absent(value, "alg", "ES256")) {
        out->algorithm = JWK_ES256;
        out->key = p256_read(value);
    }
    if (!out->key)
        return;
    memcpy(out->id, id, strlen(id) + 1);
    set->count++;
}

int jwk_set_decode(const struct json_value *value, struct jwk_set **out, char *error)
{
    const struct json_value *keys = NULL;
    *out = NULL;
    int err = json_require_object(value, error);
    if (!err)
        err = json_get_array_optional(value, "keys", &keys, error);
    if (!err && !keys)
        err = json_fail(value, "keys", "missing", error);
    if (err)
        return err;
    struct jwk_set *const set = calloc(1, sizeof *set);
    if (!set) {
        json_fail(value, NULL, "out of memory", error);
        return NX_ENOMEM;
    }
    for (const struct json_value *each = json_first(keys); each && set->count < JWK_KEYS_MAX;
         each = json_next(each))
        key_add(each, set);
    if (set->count == 0) {
        jwk_set_free(set);
        return json_fail(value, "keys", "no key that can verify RS256 or ES256", error);
    }
    *out = set;
    return NX_OK;
}

void jwk_set_free(struct jwk_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        EVP_PKEY_free(set->keys[i].key);
    free(set);
}

size_t jwk_set_count(const struct jwk_set *set)
{
    return set->count;
}

EVP_PKEY *jwk_set_find(const struct jwk_set *set, const char *id, enum jwk_algorithm algorithm)
{
    EVP_PKEY *found = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct jwk *const each = &set->keys[i];
        if (each->algorithm != algorithm)
            continue;
        if (id && strcmp(each->id, id) == 0)
            return each->key;
        if (!id && found)
            return NULL;
        if (!id)
            found = each->key;
    }
    return found;
}
