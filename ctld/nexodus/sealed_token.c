/* The steps of the construction, a line or function each, in its order. Every intermediate secret is wiped.
 */
#include "ctld/nexodus/sealed_token.h"

#include "common/err.h"
#include "ctld/nexodus/base64.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

enum { TAG_BYTES = 16, NONCE_BYTES = 12 };

struct sealed {
    uint8_t epk[KEY_BYTES];
    uint8_t text[SEALED_TOKEN_MAX + TAG_BYTES]; /* CT */
    size_t length;
};

/* Up to the next ':' or the end. */
static size_t part_length(const char *text, const char *end)
{
    const char *const colon = memchr(text, ':', (size_t)(end - text));
    return (size_t)((colon ? colon : end) - text);
}

static int parts_read(const char *text, size_t length, struct sealed *out)
{
    const char *const end = text + length;
    const size_t kind = part_length(text, end);
    size_t size;
    if (kind != 4 || memcmp(text, "djE=", 4) != 0) /* "v1" */
        return kind < length ? NX_ENOTSUP : NX_EINVAL;
    if (text + kind == end)
        return NX_EINVAL;
    const char *const epk = text + kind + 1;
    const size_t epk_length = part_length(epk, end);
    if (epk + epk_length == end ||
        base64_decode(BASE64_URL_PADDED, epk, epk_length, out->epk, sizeof out->epk, &size) != NX_OK ||
        size != KEY_BYTES)
        return NX_EINVAL;
    const char *const ct = epk + epk_length + 1; /* one more ':' in it is not base64 */
    if (base64_decode(BASE64_URL_PADDED, ct, (size_t)(end - ct), out->text, sizeof out->text, &out->length) !=
            NX_OK ||
        out->length <= TAG_BYTES)
        return NX_EINVAL;
    return NX_OK;
}

/* OpenSSL refuses a result of all zeros, which points of low order give. */
static int x25519(const uint8_t scalar[KEY_BYTES], const uint8_t point[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    size_t length = KEY_BYTES;
    int err = NX_ECRYPTO;
    EVP_PKEY *const own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, KEY_BYTES),
                    *const peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, KEY_BYTES);
    EVP_PKEY_CTX *const context = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    if (!peer || !context)
        err = NX_ENOMEM;
    else if (EVP_PKEY_derive_init(context) > 0 && EVP_PKEY_derive_set_peer(context, peer) > 0 &&
             EVP_PKEY_derive(context, out, &length) > 0 && length == KEY_BYTES)
        err = NX_OK;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return err;
}

static int hkdf(uint8_t ikm[KEY_BYTES], uint8_t salt[2 * KEY_BYTES], uint8_t out[KEY_BYTES])
{
    char digest[] = "SHA256", info[] = "X25519";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, ikm, KEY_BYTES),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof(uint8_t[2 * KEY_BYTES])),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info - 1),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *const kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *const context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const int err = context && EVP_KDF_derive(context, out, KEY_BYTES, params) > 0 ? NX_OK : NX_ENOMEM;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return err;
}

static int aes_256_gcm_open(const uint8_t key[KEY_BYTES], struct sealed *sealed, uint8_t *out)
{
    static const uint8_t nonce[NONCE_BYTES];
    const int length = (int)(sealed->length - TAG_BYTES);
    int size = 0, rest = 0, err = NX_ECRYPTO;
    EVP_CIPHER_CTX *const context = EVP_CIPHER_CTX_new();
    if (!context || EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) <= 0)
        err = NX_ENOMEM;
    else if (EVP_DecryptUpdate(context, out, &size, sealed->text, length) > 0 && size == length &&
             EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, sealed->text + length) > 0 &&
             EVP_DecryptFinal_ex(context, out + size, &rest) > 0)
        err = NX_OK;
    EVP_CIPHER_CTX_free(context);
    return err;
}

/* Can it stand in a header, after "Bearer "? */
static bool token_valid(const uint8_t *token, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (token[i] <= 0x20 || token[i] > 0x7e)
            return false;
    return true;
}

int sealed_token_open(const char *text, size_t length, const uint8_t public_key[KEY_BYTES], char *out)
{
    struct sealed sealed = {.length = 0};
    uint8_t shared[KEY_BYTES], salt[2 * KEY_BYTES], key[KEY_BYTES], plain[SEALED_TOKEN_MAX + TAG_BYTES];
    int err = length > SEALED_TOKEN_TEXT_MAX ? NX_EINVAL : parts_read(text, length, &sealed);
    out[0] = '\0';
    if (err)
        goto out;
    err = x25519(sealed.epk, public_key, shared);
    if (err)
        goto out;
    memcpy(salt, sealed.epk, KEY_BYTES);
    memcpy(salt + KEY_BYTES, public_key, KEY_BYTES);
    err = hkdf(shared, salt, key);
    if (err)
        goto out;
    err = aes_256_gcm_open(key, &sealed, plain);
    if (err)
        goto out;
    const size_t size = sealed.length - TAG_BYTES;
    err = size < SEALED_TOKEN_MAX && token_valid(plain, size) ? NX_OK : NX_EINVAL;
    if (err)
        goto out;
    memcpy(out, plain, size);
    out[size] = '\0';
out:
    explicit_bzero(plain, sizeof plain);
    explicit_bzero(shared, sizeof shared);
    explicit_bzero(key, sizeof key);
    explicit_bzero(&sealed, sizeof sealed);
    return err;
}

const char *sealed_token_strerror(int err)
{
    switch (err) {
    case NX_OK:
        return "no error";
    case NX_EINVAL:
        return "the device token is not in the form of a sealed token";
    case NX_ENOTSUP:
        return "the device token is sealed in a way that this version does not know";
    case NX_ECRYPTO:
        return "the device token was sealed for another key";
    default:
        return "out of memory while opening the device token";
    }
}
