/* The portable engine: one libsodium call a message. It is the reference that the other engines are tested
 * against, and the one to fall back on. */
#include "tunneld/aead/engines.h"

#include "common/err.h"
#include <sodium.h>

static int sodium_engine_init(void)
{
    return sodium_init() < 0 ? NX_ENOTSUP : NX_OK;
}

static void sodium_engine_seal(struct aead_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct aead_job *job = &jobs[i];
        uint8_t nonce[AEAD_NONCE_BYTES];

        aead_nonce_from_counter(nonce, job->counter);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(
            job->data, job->data + job->length, NULL, job->data, job->length, NULL, 0, NULL, nonce, job->key);
    }
}

static void sodium_engine_open(struct aead_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct aead_job *job = &jobs[i];
        uint8_t nonce[AEAD_NONCE_BYTES];

        aead_nonce_from_counter(nonce, job->counter);
        job->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(job->data, NULL, job->data, job->length,
                                                                     job->data + job->length, NULL, 0, nonce,
                                                                     job->key) == 0;
        if (!job->ok)
            sodium_memzero(job->data, job->length);
    }
}

const struct aead_engine aead_sodium = {
    .name = "libsodium",
    .init = sodium_engine_init,
    .seal = sodium_engine_seal,
    .open = sodium_engine_open,
};
