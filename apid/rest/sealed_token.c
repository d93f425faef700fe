/* X25519 and base64 from libsodium, HKDF and AES-GCM from OpenSSL: libsodium's AES needs hardware. */
#include "apid/rest/sealed_token.h"

#include "common/err.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BASE64 = sodium_base64_VARIANT_URLSAFE, AEAD_KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16 };
static const char kind[] = "djE=";

static int key_derive(const uint8_t secret[SEALED_KEY_BYTES], const uint8_t salt[2 * SEALED_KEY_BYTES],
                      uint8_t out[AEAD_KEY_BYTES])
{
    EVP_KDF *const kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *const context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, SEALED_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, 2 * SEALED_KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)"X25519", 6),
        OSSL_PARAM_construct_end(),
    };
    const int derived = context && EVP_KDF_derive(context, out, AEAD_KEY_BYTES, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return derived ? NX_OK : NX_ECRYPTO;
}

/* `out` has room for the text and the tag. */
static int aead_seal(const uint8_t key[AEAD_KEY_BYTES], const char *text, size_t length, uint8_t *out)
{
    static const uint8_t nonce[NONCE_BYTES];
    EVP_CIPHER_CTX *const context = EVP_CIPHER_CTX_new();
    int n = 0, end = 0;
    const bool sealed = context && EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, NULL) == 1 &&
                        EVP_EncryptUpdate(context, out, &n, (const uint8_t *)text, (int)length) == 1 &&
                        (size_t)n == length && EVP_EncryptFinal_ex(context, out + n, &end) == 1 && end == 0 &&
                        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + length) == 1;
    EVP_CIPHER_CTX_free(context);
    return sealed ? NX_OK : NX_ECRYPTO;
}

int sealed_token_make_with(const uint8_t ephemeral_secret[SEALED_KEY_BYTES],
                           const uint8_t public_key[SEALED_KEY_BYTES], const char *token,
                           char out[SEALED_TOKEN_MAX])
{
    uint8_t secret[SEALED_KEY_BYTES], salt[2 * SEALED_KEY_BYTES], key[AEAD_KEY_BYTES];
    uint8_t sealed[SEALED_TOKEN_PLAIN_MAX + TAG_BYTES];
    char epk_text[64], sealed_text[SEALED_TOKEN_MAX];
    const size_t length = strlen(token);
    int err = NX_OK;
    if (length > SEALED_TOKEN_PLAIN_MAX)
        return NX_ERANGE;
    crypto_scalarmult_base(salt, ephemeral_secret);
    memcpy(salt + SEALED_KEY_BYTES, public_key, SEALED_KEY_BYTES);
    if (crypto_scalarmult(secret, salt, public_key)) {
        err = NX_EINVAL;
        goto out;
    }
    err = key_derive(secret, salt, key);
    if (!err)
        err = aead_seal(key, token, length, sealed);
    if (err)
        goto out;
    sodium_bin2base64(epk_text, sizeof(epk_text), salt, SEALED_KEY_BYTES, BASE64);
    sodium_bin2base64(sealed_text, sizeof(sealed_text), sealed, length + TAG_BYTES, BASE64);
    const int n = snprintf(out, SEALED_TOKEN_MAX, "%s:%s:%s", kind, epk_text, sealed_text);
    err = n < 0 || n >= SEALED_TOKEN_MAX ? NX_ERANGE : NX_OK;
out:
    sodium_memzero(secret, sizeof(secret));
    sodium_memzero(key, sizeof(key));
    return err;
}

int sealed_token_make(const uint8_t public_key[SEALED_KEY_BYTES], const char *token,
                      char out[SEALED_TOKEN_MAX])
{
    uint8_t ephemeral_secret[SEALED_KEY_BYTES];
    randombytes_buf(ephemeral_secret, sizeof(ephemeral_secret));
    const int err = sealed_token_make_with(ephemeral_secret, public_key, token, out);
    sodium_memzero(ephemeral_secret, sizeof(ephemeral_secret));
    return err;
}
