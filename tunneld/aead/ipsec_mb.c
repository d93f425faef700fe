/* The multi-buffer engine: intel-ipsec-mb's job interface.
 *
 * Jobs are handed to the library's manager one after another; it may return finished ones from any submit, in
 * an order of its own, and the rest when flushed. user_data carries a job back to its message. Nonces and
 * computed tags live in arrays beside the batch, because the library keeps pointers to them until a job is
 * done; nothing is outstanding between two calls of ours.
 *
 * The library computes tags but compares none and always decrypts: comparing in constant time and wiping what
 * is not authentic is done here. A job that the library refuses is never let through: opened messages count
 * as forged, sealed ones are zeroed, so that the receiver drops them and no clear text leaves. */
#include "tunneld/aead/engines.h"

#include "common/err.h"
#include "common/log.h"
#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <string.h>

static IMB_MGR *manager;
static uint8_t nonces[AEAD_BATCH_MAX][AEAD_NONCE_BYTES];
static uint8_t tags[AEAD_BATCH_MAX][AEAD_TAG_BYTES];
/* What became of each job of the batch in flight. */
static bool completed[AEAD_BATCH_MAX];

static void ipsec_mb_collect(const IMB_JOB *done)
{
    for (; done; done = IMB_GET_COMPLETED_JOB(manager))
        completed[(uintptr_t)done->user_data] = done->status == IMB_STATUS_COMPLETED;
}

static void ipsec_mb_submit(struct aead_job *job, size_t index, IMB_CIPHER_DIRECTION direction, uint8_t *tag)
{
    IMB_JOB *slot = IMB_GET_NEXT_JOB(manager);

    aead_nonce_from_counter(nonces[index], job->counter);
    slot->cipher_direction = direction;
    slot->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    slot->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    slot->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    slot->enc_keys = job->key;
    slot->dec_keys = job->key;
    slot->key_len_in_bytes = AEAD_KEY_BYTES;
    slot->u.CHACHA20_POLY1305.aad = NULL;
    slot->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
    slot->iv = nonces[index];
    slot->iv_len_in_bytes = AEAD_NONCE_BYTES;
    slot->src = job->data;
    slot->dst = job->data;
    slot->cipher_start_src_offset_in_bytes = 0;
    slot->hash_start_src_offset_in_bytes = 0;
    slot->msg_len_to_cipher_in_bytes = job->length;
    slot->msg_len_to_hash_in_bytes = job->length;
    slot->auth_tag_output = tag;
    slot->auth_tag_output_len_in_bytes = AEAD_TAG_BYTES;
    slot->user_data = (void *)(uintptr_t)index;
    ipsec_mb_collect(IMB_SUBMIT_JOB(manager));
}

static void ipsec_mb_flush(void)
{
    const IMB_JOB *done;

    while ((done = IMB_FLUSH_JOB(manager)) != NULL)
        ipsec_mb_collect(done);
}

static void refused_log(const char *verb)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 5};

    if (log_ratelimit_ok(&limit))
        log_error("aead: the multi-buffer engine refused to %s a message", verb);
}

static void ipsec_mb_seal_batch(struct aead_job *jobs, size_t count)
{
    memset(completed, 0, count * sizeof(completed[0]));
    for (size_t i = 0; i < count; i++)
        ipsec_mb_submit(&jobs[i], i, IMB_DIR_ENCRYPT, jobs[i].data + jobs[i].length);
    ipsec_mb_flush();
    for (size_t i = 0; i < count; i++) {
        if (completed[i])
            continue;
        sodium_memzero(jobs[i].data, (size_t)jobs[i].length + AEAD_TAG_BYTES);
        refused_log("seal");
    }
}

static void ipsec_mb_open_batch(struct aead_job *jobs, size_t count)
{
    memset(completed, 0, count * sizeof(completed[0]));
    for (size_t i = 0; i < count; i++)
        ipsec_mb_submit(&jobs[i], i, IMB_DIR_DECRYPT, tags[i]);
    ipsec_mb_flush();
    for (size_t i = 0; i < count; i++) {
        jobs[i].ok =
            completed[i] && sodium_memcmp(tags[i], jobs[i].data + jobs[i].length, AEAD_TAG_BYTES) == 0;
        if (!jobs[i].ok)
            sodium_memzero(jobs[i].data, jobs[i].length);
        if (!completed[i])
            refused_log("open");
    }
    sodium_memzero(tags, count * sizeof(tags[0]));
}

static void ipsec_mb_seal(struct aead_job *jobs, size_t count)
{
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < AEAD_BATCH_MAX ? count - done : AEAD_BATCH_MAX;
        ipsec_mb_seal_batch(jobs + done, n);
    }
}

static void ipsec_mb_open(struct aead_job *jobs, size_t count)
{
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < AEAD_BATCH_MAX ? count - done : AEAD_BATCH_MAX;
        ipsec_mb_open_batch(jobs + done, n);
    }
}

/* One message through this engine and through libsodium: a build or a processor that computes something else
 * must not carry traffic. */
static bool ipsec_mb_agrees(void)
{
    static const uint8_t key[AEAD_KEY_BYTES] = {0x6e, 0x65, 0x78, 0x64};
    uint8_t ours[320 + AEAD_TAG_BYTES] = {1, 2, 3}, theirs[sizeof(ours)] = {1, 2, 3};
    struct aead_job job = {.key = key, .counter = 0x0102030405060708, .data = ours, .length = 320};
    struct aead_job reference = job;

    reference.data = theirs;
    ipsec_mb_seal(&job, 1);
    aead_sodium.seal(&reference, 1);
    if (memcmp(ours, theirs, sizeof(ours)) != 0)
        return false;
    ipsec_mb_open(&job, 1);
    return job.ok;
}

static int ipsec_mb_init(void)
{
    if (manager)
        return NX_OK;
    if (aead_sodium.init() != NX_OK)
        return NX_ENOTSUP;
    manager = alloc_mb_mgr(0);
    if (!manager)
        return NX_ENOTSUP;
    init_mb_mgr_auto(manager, NULL);
    if (imb_get_errno(manager) == 0 && ipsec_mb_agrees())
        return NX_OK;
    free_mb_mgr(manager);
    manager = NULL;
    return NX_ENOTSUP;
}

const struct aead_engine aead_ipsec_mb = {
    .name = "ipsec-mb",
    .init = ipsec_mb_init,
    .seal = ipsec_mb_seal,
    .open = ipsec_mb_open,
};
