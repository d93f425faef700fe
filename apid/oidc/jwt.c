/* The header that we sign is the only one that we accept, byte for byte: so there is no choice of algorithm
 * for an attacker to make, and no header is ever parsed. */
#include "apid/oidc/jwt.h"

#include "common/err.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
    NUMBER_TEXT_MAX = 1024, /* of a modulus of up to 6000 bits */
    HEADER_MAX = 160,       /* encoded */
};

struct jwt_key {
    EVP_PKEY *pkey;
    char id[JWT_KEY_ID_MAX];
    char modulus[NUMBER_TEXT_MAX], exponent[NUMBER_TEXT_MAX];
    char header[HEADER_MAX];
};

int jwt_key_generate(char out[JWT_KEY_PEM_MAX])
{
    EVP_PKEY *const pkey = EVP_RSA_gen(JWT_KEY_BITS);
    BIO *const bio = BIO_new(BIO_s_secmem());
    char *text;
    int err = NX_ECRYPTO;
    if (pkey && bio && PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)) {
        const long length = BIO_get_mem_data(bio, &text);
        if (length > 0 && length < JWT_KEY_PEM_MAX) {
            memcpy(out, text, (size_t)length);
            out[length] = '\0';
            err = NX_OK;
        }
    }
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    return err;
}

/* A number of the key in base64url, without leading zeros. */
static int number_text(const EVP_PKEY *pkey, const char *name, char out[NUMBER_TEXT_MAX])
{
    unsigned char bytes[NUMBER_TEXT_MAX * 3 / 4 - 3];
    BIGNUM *number = NULL;
    int err = NX_EINVAL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) && BN_num_bytes(number) <= (int)sizeof(bytes)) {
        const int length = BN_bn2bin(number, bytes);
        sodium_bin2base64(out, NUMBER_TEXT_MAX, bytes, (size_t)length, BASE64);
        err = NX_OK;
    }
    BN_free(number);
    return err;
}

/* The key's id: RFC 7638, the hash of its members in alphabetical order. */
static void thumbprint(struct jwt_key *key)
{
    char members[2 * NUMBER_TEXT_MAX + 64];
    unsigned char hash[crypto_hash_sha256_BYTES];
    const int length = snprintf(members, sizeof(members), "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}",
                                key->exponent, key->modulus);
    crypto_hash_sha256(hash, (const unsigned char *)members, (unsigned long long)length);
    sodium_bin2base64(key->id, sizeof(key->id), hash, sizeof(hash), BASE64);
}

int jwt_key_load(const char *pem, struct jwt_key **out)
{
    struct jwt_key *const key = calloc(1, sizeof(*key));
    BIO *const bio = BIO_new_mem_buf(pem, -1);
    char header[HEADER_MAX];
    int err = key && bio ? NX_OK : NX_ENOMEM;
    *out = NULL;
    if (err)
        goto out;
    key->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    if (key->pkey == NULL || EVP_PKEY_get_base_id(key->pkey) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bits(key->pkey) < JWT_KEY_BITS ||
        number_text(key->pkey, OSSL_PKEY_PARAM_RSA_N, key->modulus) ||
        number_text(key->pkey, OSSL_PKEY_PARAM_RSA_E, key->exponent)) {
        err = NX_EINVAL;
        goto out;
    }
    thumbprint(key);
    const int length =
        snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", key->id);
    sodium_bin2base64(key->header, sizeof(key->header), (const unsigned char *)header, (size_t)length,
                      BASE64);
out:
    BIO_free(bio);
    if (err)
        jwt_key_free(key);
    else
        *out = key;
    return err;
}

void jwt_key_free(struct jwt_key *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey);
    free(key);
}

const char *jwt_key_id(const struct jwt_key *key)
{
    return key->id;
}

void jwt_key_set_write(const struct jwt_key *key, struct json_out *out)
{
    json_object_begin(out);
    json_key(out, "keys");
    json_array_begin(out);
    json_object_begin(out);
    json_put_string(out, "kid", key->id);
    json_put_string(out, "kty", "RSA");
    json_put_string(out, "alg", "RS256");
    json_put_string(out, "use", "sig");
    json_put_string(out, "n", key->modulus);
    json_put_string(out, "e", key->exponent);
    json_object_end(out);
    json_array_end(out);
    json_object_end(out);
}

static int signature_make(EVP_PKEY *pkey, const char *text, size_t length, unsigned char *out,
                          size_t *out_length)
{
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    const int made = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
                     EVP_DigestSign(context, out, out_length, (const unsigned char *)text, length) == 1;
    EVP_MD_CTX_free(context);
    return made ? NX_OK : NX_ECRYPTO;
}

int jwt_sign(const struct jwt_key *key, const char *payload, size_t length, char **out)
{
    unsigned char signature[1024];
    size_t signature_length = sizeof(signature);
    const size_t header_length = strlen(key->header);
    const size_t body = sodium_base64_encoded_len(length, BASE64) - 1;
    *out = NULL;
    if ((size_t)EVP_PKEY_get_size(key->pkey) > sizeof(signature) || length > JWT_TEXT_MAX)
        return NX_ERANGE;
    const size_t tail = sodium_base64_encoded_len(sizeof(signature), BASE64);
    const size_t size = header_length + 1 + body + 1 + tail;
    char *const text = calloc(1, size);
    if (text == NULL)
        return NX_ENOMEM;
    memcpy(text, key->header, header_length);
    text[header_length] = '.';
    sodium_bin2base64(text + header_length + 1, body + 1, (const unsigned char *)payload, length, BASE64);
    const size_t signed_length = header_length + 1 + body;
    const int err = signature_make(key->pkey, text, signed_length, signature, &signature_length);
    if (err) {
        free(text);
        return err;
    }
    text[signed_length] = '.';
    sodium_bin2base64(text + signed_length + 1, size - signed_length - 1, signature, signature_length,
                      BASE64);
    *out = text;
    return NX_OK;
}

static int signature_check(EVP_PKEY *pkey, const char *text, size_t length, const unsigned char *signature,
                           size_t signature_length)
{
    EVP_MD_CTX *const context = EVP_MD_CTX_new();
    const int good =
        context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, pkey) == 1 &&
        EVP_DigestVerify(context, signature, signature_length, (const unsigned char *)text, length) == 1;
    EVP_MD_CTX_free(context);
    return good ? NX_OK : NX_ECRYPTO;
}

static int part_decode(const char *text, size_t length, unsigned char *out, size_t out_size,
                       size_t *out_length)
{
    return sodium_base642bin(out, out_size, text, length, NULL, out_length, NULL, BASE64) ? NX_EINVAL : NX_OK;
}

int jwt_verify(const struct jwt_key *key, const char *token, struct json_document **payload)
{
    unsigned char part[JWT_TEXT_MAX];
    char error[JSON_ERROR_MAX];
    size_t length;
    const size_t token_length = strnlen(token, JWT_TEXT_MAX + 1);
    const char *const first = strchr(token, '.'), *const second = first ? strchr(first + 1, '.') : NULL;
    *payload = NULL;
    if (token_length > JWT_TEXT_MAX || second == NULL || strchr(second + 1, '.'))
        return NX_EINVAL;
    if (part_decode(token, (size_t)(first - token), part, sizeof(part), &length) ||
        part_decode(second + 1, strlen(second + 1), part, sizeof(part), &length))
        return NX_EINVAL;
    if ((size_t)(first - token) != strlen(key->header) ||
        memcmp(token, key->header, strlen(key->header)) != 0 ||
        signature_check(key->pkey, token, (size_t)(second - token), part, length))
        return NX_ECRYPTO;
    if (part_decode(first + 1, (size_t)(second - first) - 1, part, sizeof(part), &length))
        return NX_EINVAL;
    const int err = json_parse((const char *)part, length, payload, error);
    return err == NX_ENOMEM || err == NX_OK ? err : NX_ECRYPTO;
}
