/* The order: form, header, key, signature, and only then the claims, so that no unsigned word but the
 * header's is believed. The key's type decides the algorithm as much as the header does. */
#include "ctld/nexodus/jwt.h"

#include "common/err.h"
#include "ctld/nexodus/base64.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_BYTES_MAX = 1024, P256_HALF = 32, CLAIM_MAX = 2048, AUDIENCES_MAX = 64 };

static const struct json_limits token_limits = {
    .bytes_max = JWT_TEXT_MAX, .string_max = JWT_TEXT_MAX, .values_max = 1024, .depth_max = 8};

struct parts {
    const char *header, *payload, *signature;
    size_t header_length, payload_length, signature_length, signed_length;
};

struct verification {
    struct json_reader *reader;
    uint8_t *bytes; /* of a part, decoded */
    const struct jwt_expected *expected;
    char *error;
};

static int fail(const struct verification *v, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(const struct verification *v, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->error, JWT_ERROR_MAX, format, args);
    va_end(args);
    return err;
}

static bool split(const char *token, size_t length, struct parts *out)
{
    const char *const end = token + length, *const first = memchr(token, '.', length);
    const char *const second = first ? memchr(first + 1, '.', (size_t)(end - first) - 1) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second) - 1))
        return false;
    *out = (struct parts){.header = token,
                          .header_length = (size_t)(first - token),
                          .payload = first + 1,
                          .payload_length = (size_t)(second - first) - 1,
                          .signature = second + 1,
                          .signature_length = (size_t)(end - second) - 1,
                          .signed_length = (size_t)(second - token)};
    return true;
}

/* A part as a JSON object; the last one read is forgotten. */
static int part_read(const struct verification *v, const char *what, const char *text, size_t length,
                     const struct json_value **out)
{
    char error[JSON_ERROR_MAX];
    size_t size;
    if (base64_decode(BASE64_URL_UNPADDED, text, length, v->bytes, JWT_TEXT_MAX, &size) != NX_OK)
        return fail(v, NX_EPROTO, "the %s of the token is not base64url", what);
    const int err = json_read(v->reader, (const char *)v->bytes, size, out, error);
    if (err == NX_ENOMEM)
        return fail(v, err, "out of memory");
    if (err || json_type(*out) != JSON_OBJECT)
        return fail(v, NX_EPROTO, "the %s of the token is not a JSON object", what);
    return NX_OK;
}

static int key_choose(const struct verification *v, const struct json_value *header,
                      const struct jwk_set *keys, enum jwk_algorithm *algorithm, EVP_PKEY **key)
{
    char error[JSON_ERROR_MAX], shown[32];
    const char *name, *id = NULL;
    if (json_get_string(header, "alg", CLAIM_MAX, &name, error) != NX_OK ||
        json_get_string_optional(header, "kid", CLAIM_MAX, &id, error) != NX_OK)
        return fail(v, NX_EPROTO, "the header of the token: %.200s", error);
    if (json_member(header, "crit"))
        return fail(v, NX_ENOTSUP, "the token has critical extensions, none of which is known");
    if (strcmp(name, "RS256") == 0)
        *algorithm = JWK_RS256;
    else if (strcmp(name, "ES256") == 0)
        *algorithm = JWK_ES256;
    else
        return fail(v, NX_ENOTSUP, "the token is signed with %s; only RS256 and ES256 are admitted",
                    json_text_printable(name, strlen(name), shown, sizeof shown));
    *key = jwk_set_find(keys, id, *algorithm);
    return *key ? NX_OK
                : fail(v, NX_ENOENT, "the token is signed with a key that its issuer does not publish");
}

/* r || s of JWS as the DER that OpenSSL takes; returns its length, 0 on errors. `out` is freed with
 * OPENSSL_free(). */
static size_t ecdsa_to_der(const uint8_t *raw, size_t length, unsigned char **out)
{
    *out = NULL;
    if (length != 2 * (size_t)P256_HALF)
        return 0;
    ECDSA_SIG *const signature = ECDSA_SIG_new();
    BIGNUM *const r = BN_bin2bn(raw, P256_HALF, NULL), *const s = BN_bin2bn(raw + P256_HALF, P256_HALF, NULL);
    int size = 0;
    if (signature && r && s && ECDSA_SIG_set0(signature, r, s) > 0) {
        size = i2d_ECDSA_SIG(signature, out);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(signature);
    return size > 0 ? (size_t)size : 0;
}

static int digest_verify(EVP_PKEY *key, const uint8_t *signature, size_t signature_length, const char *text,
                         size_t length)
{
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    int err = NX_ECRYPTO;
    if (!context || EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) <= 0)
        err = NX_ENOMEM;
    else if (EVP_DigestVerify(context, signature, signature_length, (const uint8_t *)text, length) == 1)
        err = NX_OK;
    EVP_MD_CTX_free(context);
    return err;
}

static int signature_verify(const struct verification *v, const struct parts *parts,
                            enum jwk_algorithm algorithm, EVP_PKEY *key)
{
    uint8_t raw[SIGNATURE_BYTES_MAX];
    unsigned char *der = NULL;
    size_t length, der_length;
    int err;
    if (base64_decode(BASE64_URL_UNPADDED, parts->signature, parts->signature_length, raw, sizeof raw,
                      &length) != NX_OK)
        return fail(v, NX_EPROTO, "the signature of the token is not base64url, or too long");
    if (algorithm == JWK_RS256) {
        err = digest_verify(key, raw, length, parts->header, parts->signed_length);
    } else {
        der_length = ecdsa_to_der(raw, length, &der);
        err = der_length ? digest_verify(key, der, der_length, parts->header, parts->signed_length)
                         : NX_ECRYPTO;
        OPENSSL_free(der);
    }
    if (err)
        return fail(v, err, err == NX_ECRYPTO ? "the signature of the token is wrong" : "out of memory");
    return NX_OK;
}

/* -- Claims -- */

static bool is_text(const struct json_value *value, const char *wanted)
{
    size_t length;
    const char *const text = json_text(value, &length);
    return text && length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

/* One name, or several; among several, `azp` must say that the token was made for us. */
static bool audience_fits(const struct json_value *claims, const char *client_id)
{
    const struct json_value *const audience = json_member(claims, "aud");
    if (json_type(audience) != JSON_ARRAY)
        return is_text(audience, client_id);
    bool named = false;
    size_t count = 0;
    for (const struct json_value *each = json_first(audience); each; each = json_next(each), count++)
        named = named || is_text(each, client_id);
    const struct json_value *const party = json_member(claims, "azp");
    return named && count <= AUDIENCES_MAX && (count == 1 || !party || is_text(party, client_id));
}

static int times_check(const struct verification *v, const struct json_value *claims, struct jwt_claims *out)
{
    char error[JSON_ERROR_MAX];
    const uint64_t now_s = v->expected->now_ms / 1000, tolerance_s = JWT_CLOCK_TOLERANCE_S;
    uint64_t not_before_s = 0;
    if (json_get_time_optional(claims, "exp", &out->expires_s, error) != NX_OK ||
        json_get_time_optional(claims, "iat", &out->issued_s, error) != NX_OK ||
        json_get_time_optional(claims, "nbf", &not_before_s, error) != NX_OK)
        return fail(v, NX_EPROTO, "the claims of the token: %.200s", error);
    if (out->expires_s == 0)
        return fail(v, NX_EPROTO, "the token does not say when it expires");
    if (out->expires_s + tolerance_s <= now_s)
        return fail(v, NX_ETIMEDOUT, "the token expired %llu s ago",
                    (unsigned long long)(now_s - out->expires_s));
    const uint64_t from_s = out->issued_s > not_before_s ? out->issued_s : not_before_s;
    if (from_s > now_s + tolerance_s)
        return fail(v, NX_ETIMEDOUT, "the token is valid in %llu s only: are both clocks right?",
                    (unsigned long long)(from_s - now_s));
    return NX_OK;
}

static int claims_check(const struct verification *v, const struct json_value *claims, struct jwt_claims *out)
{
    char error[JSON_ERROR_MAX];
    const char *subject = "";
    if (!is_text(json_member(claims, "iss"), v->expected->issuer))
        return fail(v, NX_EPERM, "the token is from another issuer");
    if (!audience_fits(claims, v->expected->client_id))
        return fail(v, NX_EPERM, "the token is meant for another client");
    if (json_get_string_optional(claims, "sub", JWT_SUBJECT_MAX, &subject, error) != NX_OK)
        return fail(v, NX_EPROTO, "the claims of the token: %.200s", error);
    memcpy(out->subject, subject, strlen(subject) + 1);
    return times_check(v, claims, out);
}

static int verify(const struct verification *v, const struct parts *parts, const struct jwk_set *keys,
                  struct jwt_claims *out)
{
    const struct json_value *part;
    enum jwk_algorithm algorithm = 0;
    EVP_PKEY *key = NULL;
    int err = part_read(v, "header", parts->header, parts->header_length, &part);
    if (!err)
        err = key_choose(v, part, keys, &algorithm, &key);
    if (!err)
        err = signature_verify(v, parts, algorithm, key);
    if (!err)
        err = part_read(v, "payload", parts->payload, parts->payload_length, &part);
    return err ? err : claims_check(v, part, out);
}

int jwt_verify(const char *token, size_t length, const struct jwk_set *keys,
               const struct jwt_expected *expected, struct jwt_claims *out, char *error)
{
    struct verification v = {.expected = expected, .error = error};
    struct parts parts;
    int err;
    memset(out, 0, sizeof *out);
    if (length > JWT_TEXT_MAX)
        return fail(&v, NX_EPROTO, "the token is too long");
    if (!split(token, length, &parts))
        return fail(&v, NX_EPROTO, "the token is not in three parts");
    v.reader = json_reader_new(&token_limits);
    v.bytes = malloc(JWT_TEXT_MAX);
    err = v.reader && v.bytes ? verify(&v, &parts, keys, out) : fail(&v, NX_ENOMEM, "out of memory");
    if (err)
        memset(out, 0, sizeof *out);
    if (v.bytes)
        explicit_bzero(v.bytes, JWT_TEXT_MAX);
    free(v.bytes);
    json_reader_free(v.reader);
    return err;
}
