/* ID tokens: a recorded one, sound ones of both algorithms, and every way to get one accepted that must not
 * work. */
#include "common/err.h"
#include "ctld/nexodus/jwt.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"
#include "tests/unit/nexodus/token_maker.h"

#include <stdio.h>
#include <string.h>

#define ISSUER "https://auth.nexodus.test/realms/nexodus"
#define CLIENT "nexodus-cli"
#define NOW_S  UINT64_C(1795427457)

static EVP_PKEY *rsa, *p256;
static struct jwk_set *keys; /* rsa as "r", p256 as "e" */
static char error[JWT_ERROR_MAX];
static const struct jwt_expected expected = {.issuer = ISSUER, .client_id = CLIENT, .now_ms = NOW_S * 1000};

static struct jwk_set *set_of(const char *first, const char *second)
{
    char text[40000], why[JSON_ERROR_MAX];
    struct jwk_set *set;
    snprintf(text, sizeof text, "{\"keys\":[%s%s%s]}", first, second ? "," : "", second ? second : "");
    ck_assert_msg(jwk_set_decode(document(text), &set, why) == NX_OK, "%s", why);
    return set;
}

static void set_up(void)
{
    rsa = token_maker_rsa(2048);
    p256 = token_maker_p256();
    char *const r = token_maker_jwk(rsa, "r"), *const e = token_maker_jwk(p256, "e");
    keys = set_of(r, e);
    free(r);
    free(e);
}

static void tear_down(void)
{
    jwk_set_free(keys);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    document_end();
}

/* Verifies and frees. */
static int verify(char *token)
{
    struct jwt_claims claims;
    error[0] = '\0';
    const int err = jwt_verify(token, strlen(token), keys, &expected, &claims, error);
    ck_assert((err == NX_OK) == (error[0] == '\0'));
    ck_assert(err == NX_OK || (claims.expires_s == 0 && claims.subject[0] == '\0'));
    free(token);
    return err;
}

#define RS256 "{\"alg\":\"RS256\",\"kid\":\"r\"}"
#define ES256 "{\"alg\":\"ES256\",\"kid\":\"e\"}"
#define CLAIMS                                                                                               \
    "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT                                                              \
    "\",\"exp\":1795428057,\"iat\":1795427457,\"sub\":\"somebody\"}"

START_TEST(the_recorded_token)
{
    struct jwk_set *published;
    struct jwt_claims claims;
    char why[JSON_ERROR_MAX], token[4096];
    ck_assert_int_eq(jwk_set_decode(document_file("jwks.json"), &published, why), NX_OK);
    ck_assert_uint_eq(jwk_set_count(published), 1); /* the other one is for encryption */
    snprintf(token, sizeof token, "%s",
             json_text(json_member(document_file("tokens.json"), "id_token"), NULL));
    ck_assert_msg(jwt_verify(token, strlen(token), published, &expected, &claims, error) == NX_OK, "%s",
                  error);
    ck_assert_uint_eq(claims.expires_s, 1795428057);
    ck_assert_uint_eq(claims.issued_s, NOW_S);
    ck_assert_str_eq(claims.subject, "68be7514-f04e-4084-8438-60eca62c6c28");
    /* Our clock is ten minutes off: without the server's it would be refused. */
    struct jwt_expected off = expected;
    off.now_ms -= 600 * 1000;
    ck_assert_int_eq(jwt_verify(token, strlen(token), published, &off, &claims, error), NX_ETIMEDOUT);
    off.now_ms += 1210 * 1000;
    ck_assert_int_eq(jwt_verify(token, strlen(token), published, &off, &claims, error), NX_ETIMEDOUT);
    /* Any changed character. */
    for (size_t i = 0; i < strlen(token); i += 7) {
        const char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        ck_assert_int_ne(jwt_verify(token, strlen(token), published, &expected, &claims, error), NX_OK);
        token[i] = was;
    }
    ck_assert_int_eq(jwt_verify(token, strlen(token), published, &expected, &claims, error), NX_OK);
    jwk_set_free(published);
}
END_TEST

START_TEST(sound_tokens)
{
    static const struct {
        const char *header, *payload;
    } cases[] = {
        {RS256, CLAIMS},
        {ES256, CLAIMS},
        {"{\"alg\":\"RS256\"}", CLAIMS}, /* the only RSA key */
        {"{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":null,\"x\":[]}", CLAIMS},
        {RS256, "{\"iss\":\"" ISSUER "\",\"aud\":[\"" CLIENT "\"],\"exp\":1795428057}"},
        {RS256, "{\"iss\":\"" ISSUER "\",\"aud\":[\"other\",\"" CLIENT "\"],\"azp\":\"" CLIENT
                "\",\"exp\":1795428057}"},
        {RS256, "{\"iss\":\"" ISSUER "\",\"aud\":[\"other\",\"" CLIENT "\"],\"exp\":1795428057.9}"},
        /* Within the tolerance of five seconds. */
        {RS256, "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"exp\":1795427453}"},
        {RS256, "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT
                "\",\"exp\":1795428057,\"iat\":1795427462,\"nbf\":1795427462}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EVP_PKEY *const key = strstr(cases[i].header, "RS256") ? rsa : p256;
        ck_assert_msg(verify(token_maker_sign(cases[i].header, cases[i].payload, key)) == NX_OK, "%zu: %s", i,
                      error);
    }
}
END_TEST

START_TEST(claims_that_do_not_fit)
{
#define WITH(more) "{\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\"," more "}"
    static const struct {
        const char *payload;
        int err;
    } cases[] = {
        {"{\"aud\":\"" CLIENT "\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "/\",\"aud\":\"" CLIENT "\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\\u0000\",\"aud\":\"" CLIENT "\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":[\"" ISSUER "\"],\"aud\":\"" CLIENT "\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"aud\":\"other\",\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[],\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[7,null],\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"aud\":{\"" CLIENT "\":1},\"exp\":1795428057}", NX_EPERM},
        {"{\"iss\":\"" ISSUER "\",\"aud\":[\"" CLIENT "\",\"other\"],\"azp\":\"other\",\"exp\":1795428057}",
         NX_EPERM},
        {WITH("\"iat\":1795427457"), NX_EPROTO},
        {WITH("\"exp\":\"1795428057\""), NX_EPROTO},
        {WITH("\"exp\":-1"), NX_EPROTO},
        {WITH("\"exp\":1e12"), NX_EPROTO},
        {WITH("\"exp\":99999999999999999999"), NX_EPROTO},
        {WITH("\"exp\":0"), NX_EPROTO},
        {WITH("\"exp\":1795428057,\"sub\":7"), NX_EPROTO},
        {WITH("\"exp\":1795428057,\"nbf\":[]"), NX_EPROTO},
        {WITH("\"exp\":1795427452"), NX_ETIMEDOUT},
        {WITH("\"exp\":1795428057,\"iat\":1795427463"), NX_ETIMEDOUT},
        {WITH("\"exp\":1795428057,\"nbf\":1795427463"), NX_ETIMEDOUT},
        {"[]", NX_EPROTO},
        {"", NX_EPROTO},
        {"{", NX_EPROTO},
        {"{}{}", NX_EPROTO},
        {"{\"iss\":\"\xff\"}", NX_EPROTO},
        {"{\"a\":[[[[[[[[[]]]]]]]]]}", NX_EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(verify(token_maker_sign(RS256, cases[i].payload, rsa)) == cases[i].err, "%s: %s",
                      cases[i].payload, error);
}
END_TEST

START_TEST(algorithms_are_not_the_senders_choice)
{
    static const char *const headers[] = {"{\"alg\":\"none\"}",
                                          "{\"alg\":\"None\"}",
                                          "{\"alg\":\"\"}",
                                          "{\"alg\":\"HS256\",\"kid\":\"r\"}",
                                          "{\"alg\":\"RS512\",\"kid\":\"r\"}",
                                          "{\"alg\":\"PS256\",\"kid\":\"r\"}",
                                          "{\"alg\":\"rs256\",\"kid\":\"r\"}",
                                          "{\"alg\":\"RS256\\u0000\",\"kid\":\"r\"}",
                                          "{\"alg\":\"\\u001b[2J\",\"kid\":\"r\"}"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        const int err = verify(token_maker_sign(headers[i], CLAIMS, rsa));
        ck_assert_msg(err == (strstr(headers[i], "u0000") ? NX_EPROTO : NX_ENOTSUP), "%s: %s", headers[i],
                      error);
        ck_assert_int_ne(verify(token_maker_sign(headers[i], CLAIMS, NULL)), NX_OK);
        ck_assert_ptr_null(strchr(error, '\x1b'));
    }
    /* The public key as the secret of an HMAC. */
    char *const jwk = token_maker_jwk(rsa, "r");
    ck_assert_int_eq(verify(token_maker_hmac("{\"alg\":\"HS256\",\"kid\":\"r\"}", CLAIMS, jwk)), NX_ENOTSUP);
    ck_assert_int_eq(verify(token_maker_hmac(RS256, CLAIMS, jwk)), NX_ECRYPTO);
    free(jwk);
    /* A key of the other kind. */
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":\"ES256\",\"kid\":\"r\"}", CLAIMS, rsa)), NX_ENOENT);
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":\"RS256\",\"kid\":\"e\"}", CLAIMS, p256)), NX_ENOENT);
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":\"RS256\",\"kid\":\"r\"}", CLAIMS, p256)), NX_ECRYPTO);
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":\"ES256\",\"kid\":\"e\"}", CLAIMS, rsa)), NX_ECRYPTO);
    /* A key that the token brings along. */
    ck_assert_int_eq(
        verify(token_maker_sign("{\"alg\":\"RS256\",\"kid\":\"x\",\"jwk\":{\"kty\":\"RSA\"},\"jku\":"
                                "\"https://evil.test\"}",
                                CLAIMS, rsa)),
        NX_ENOENT);
    ck_assert_int_eq(
        verify(token_maker_sign("{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"]}", CLAIMS, rsa)),
        NX_ENOTSUP);
    ck_assert_int_eq(verify(token_maker_sign("{\"kid\":\"r\"}", CLAIMS, rsa)), NX_EPROTO);
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":7}", CLAIMS, rsa)), NX_EPROTO);
    ck_assert_int_eq(verify(token_maker_sign("{\"alg\":\"RS256\",\"kid\":7}", CLAIMS, rsa)), NX_EPROTO);
    ck_assert_int_eq(verify(token_maker_sign("[\"RS256\"]", CLAIMS, rsa)), NX_EPROTO);
}
END_TEST

START_TEST(signatures_of_others)
{
    EVP_PKEY *const other_rsa = token_maker_rsa(2048), *const other_p256 = token_maker_p256();
    ck_assert_int_eq(verify(token_maker_sign(RS256, CLAIMS, other_rsa)), NX_ECRYPTO);
    ck_assert_int_eq(verify(token_maker_sign(ES256, CLAIMS, other_p256)), NX_ECRYPTO);
    ck_assert_int_eq(verify(token_maker_sign(RS256, CLAIMS, NULL)), NX_ECRYPTO);
    ck_assert_int_eq(verify(token_maker_sign(ES256, CLAIMS, NULL)), NX_ECRYPTO);
    EVP_PKEY_free(other_rsa);
    EVP_PKEY_free(other_p256);
    /* An ECDSA signature of zeros. */
    char *const token = token_maker_sign(ES256, CLAIMS, p256);
    char *const signature = strrchr(token, '.') + 1;
    memset(signature, 'A', strlen(signature));
    ck_assert_int_eq(verify(token), NX_ECRYPTO);
}
END_TEST

START_TEST(forms)
{
    static const char *const cases[] = {"",        ".",        "..",          "...",         "a.b",
                                        "a.b.c.d", "e30.e30.", "e30.e30.e30", "e30=.e30.e30"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(verify(strdup(cases[i])) == NX_EPROTO, "%s: %s", cases[i], error);
    char *token = token_maker_sign(RS256, CLAIMS, rsa);
    strcat(token, "=");
    ck_assert_int_eq(verify(token), NX_EPROTO);
    token = token_maker_sign(RS256, CLAIMS, rsa);
    token[strlen(token) - 1] = '\n';
    ck_assert_int_eq(verify(token), NX_EPROTO);
    token = token_maker_sign(RS256, CLAIMS, rsa);
    memset(token + strlen(token), 'A', 2000);
    ck_assert_int_eq(verify(token), NX_EPROTO);
    /* Ten megabytes. */
    const size_t size = 10 << 20;
    struct jwt_claims claims;
    token = malloc(size);
    ck_assert_ptr_nonnull(token);
    memset(token, 'A', size);
    ck_assert_int_eq(jwt_verify(token, size, keys, &expected, &claims, error), NX_EPROTO);
    token[5] = token[9000] = '.';
    ck_assert_int_eq(jwt_verify(token, JWT_TEXT_MAX, keys, &expected, &claims, error), NX_EPROTO);
    free(token);
}
END_TEST

START_TEST(key_sets)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"[]", "not an object"},
        {"{}", "keys: missing"},
        {"{\"keys\":{}}", "keys: not an array"},
        {"{\"keys\":[]}", "keys: no key that can verify RS256 or ES256"},
        {"{\"keys\":[7,null,{},{\"kty\":7},{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"RSA\"},{\"kty\":"
         "\"EC\"},{\"kty\":\"RSA\",\"n\":"
         "\"AQAB\",\"e\":\"AQAB\"},{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"},{\"kty\":\"RSA\",\"n\":\"%\","
         "\"e\":\"AQAB\"},{\"kty\":\"EC\","
         "\"crv\":\"P-521\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}]}",
         "keys: no key that can verify RS256 or ES256"},
        /* Not on the curve. */
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
         "\"y\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
         "keys: no key that can verify RS256 or ES256"},
    };
    char why[JSON_ERROR_MAX], text[8192];
    struct jwk_set *set = (struct jwk_set *)1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_eq(jwk_set_decode(document(bad[i].text), &set, why), NX_EINVAL);
        ck_assert_str_eq(why, bad[i].error);
        ck_assert_ptr_null(set);
    }
    jwk_set_free(NULL);
    /* Too small; for encryption; for another algorithm. */
    EVP_PKEY *const weak = token_maker_rsa(1024);
    char *const weak_jwk = token_maker_jwk(weak, "weak"), *const good = token_maker_jwk(rsa, "r");
    snprintf(text, sizeof text, "{\"keys\":[%s]}", weak_jwk);
    ck_assert_int_eq(jwk_set_decode(document(text), &set, why), NX_EINVAL);
    snprintf(text, sizeof text, "{\"keys\":[%s]}", good);
    char *const use = strstr(text, "\"sig\"");
    memcpy(use, "\"enc\"", 5);
    ck_assert_int_eq(jwk_set_decode(document(text), &set, why), NX_EINVAL);
    memcpy(use, "\"sig\"", 5);
    memcpy(strstr(text, "RS256"), "RS512", 5);
    ck_assert_int_eq(jwk_set_decode(document(text), &set, why), NX_EINVAL);
    free(weak_jwk);
    EVP_PKEY_free(weak);
    /* Without an id, only where there is no choice. */
    char *const nameless = token_maker_jwk(p256, NULL);
    set = set_of(good, nameless);
    ck_assert_uint_eq(jwk_set_count(set), 2);
    ck_assert_ptr_nonnull(jwk_set_find(set, NULL, JWK_ES256));
    ck_assert_ptr_nonnull(jwk_set_find(set, NULL, JWK_RS256));
    ck_assert_ptr_nonnull(jwk_set_find(set, "r", JWK_RS256));
    ck_assert_ptr_null(jwk_set_find(set, "r", JWK_ES256));
    ck_assert_ptr_null(jwk_set_find(set, "q", JWK_RS256));
    jwk_set_free(set);
    set = set_of(good, good);
    ck_assert_ptr_null(jwk_set_find(set, NULL, JWK_RS256));
    ck_assert_ptr_nonnull(jwk_set_find(set, "r", JWK_RS256));
    jwk_set_free(set);
    free(nameless);
    /* More than anybody publishes. */
    char *const many = malloc(200000);
    ck_assert_ptr_nonnull(many);
    char *at = many + sprintf(many, "{\"keys\":[");
    for (unsigned i = 0; i < 100; i++)
        at += sprintf(at, "%s%s", i ? "," : "", good);
    sprintf(at, "]}");
    ck_assert_int_eq(jwk_set_decode(document(many), &set, why), NX_OK);
    ck_assert_uint_eq(jwk_set_count(set), JWK_KEYS_MAX);
    jwk_set_free(set);
    free(many);
    free(good);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_unchecked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_recorded_token);
    tcase_add_test(tcase, sound_tokens);
    tcase_add_test(tcase, claims_that_do_not_fit);
    tcase_add_test(tcase, algorithms_are_not_the_senders_choice);
    tcase_add_test(tcase, signatures_of_others);
    tcase_add_test(tcase, forms);
    tcase_add_test(tcase, key_sets);
}

int main(void)
{
    return unit_run("nexodus/jwt", fill);
}
