/* Each function below reads like the table of its message in the paper: a token in a comment, the step
 * beneath.
 *
 *   Initiation (I to R):  e, es, s, ss, {timestamp}       Response (R to I):  e, ee, se, psk, {}
 *
 * The symmetric state is a chaining key ck and a hash h. mix_hash() binds what was sent into h; mix_dh()
 * mixes a shared secret into ck and gives the key for the next encrypted field, which is sealed with h as
 * additional data and nonce zero: every key is used once. */
#include "tunneld/wireguard/noise.h"

#include "common/err.h"
#include "tunneld/wireguard/kdf.h"
#include <sodium.h>
#include <string.h>

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";
static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

enum { KEY_LEN = NOISE_SYMMETRIC_KEY_LEN };

void noise_constants(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t hash[NOISE_HASH_LEN])
{
    kdf_hash(chaining_key, construction, sizeof(construction) - 1, NULL, 0);
    kdf_hash(hash, chaining_key, NOISE_HASH_LEN, identifier, sizeof(identifier) - 1);
}

static void mix_hash(uint8_t hash[NOISE_HASH_LEN], const void *data, size_t length)
{
    kdf_hash(hash, hash, NOISE_HASH_LEN, data, length);
}

/* `key` may be NULL where the token is followed by another one. */
static bool mix_dh(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t *key,
                   const uint8_t private_key[NOISE_PUBLIC_KEY_LEN],
                   const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    uint8_t shared[NOISE_PUBLIC_KEY_LEN];
    bool ok = crypto_scalarmult(shared, private_key, public_key) == 0;

    if (ok)
        kdf_derive(chaining_key, key, NULL, chaining_key, shared, sizeof(shared));
    sodium_memzero(shared, sizeof(shared));
    return ok;
}

static void mix_psk(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t hash[NOISE_HASH_LEN], uint8_t key[KEY_LEN],
                    const uint8_t psk[NOISE_SYMMETRIC_KEY_LEN])
{
    uint8_t temporary[NOISE_HASH_LEN];

    kdf_derive(chaining_key, temporary, key, chaining_key, psk, NOISE_SYMMETRIC_KEY_LEN);
    mix_hash(hash, temporary, sizeof(temporary));
    sodium_memzero(temporary, sizeof(temporary));
}

/* Ephemeral public keys are sent in clear and go into both the hash and the chaining key, as psk modes
 * require. */
static void mix_ephemeral(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t hash[NOISE_HASH_LEN],
                          const uint8_t ephemeral[NOISE_PUBLIC_KEY_LEN])
{
    mix_hash(hash, ephemeral, NOISE_PUBLIC_KEY_LEN);
    kdf_derive(chaining_key, NULL, NULL, chaining_key, ephemeral, NOISE_PUBLIC_KEY_LEN);
}

static void field_seal(uint8_t *out, const uint8_t *text, size_t length, const uint8_t key[KEY_LEN],
                       uint8_t hash[NOISE_HASH_LEN])
{
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, text, length, hash, NOISE_HASH_LEN, NULL, zero_nonce,
                                              key);
    mix_hash(hash, out, length + NOISE_AUTHTAG_LEN);
}

/* `out` may be NULL for an empty field. */
static bool field_open(uint8_t *out, const uint8_t *sealed, size_t sealed_length, const uint8_t key[KEY_LEN],
                       uint8_t hash[NOISE_HASH_LEN])
{
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_length, hash,
                                                  NOISE_HASH_LEN, zero_nonce, key) != 0)
        return false;
    mix_hash(hash, sealed, sealed_length);
    return true;
}

static void ephemeral_generate(uint8_t private_key[NOISE_PUBLIC_KEY_LEN],
                               uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    randombytes_buf(private_key, NOISE_PUBLIC_KEY_LEN);
    crypto_scalarmult_base(public_key, private_key);
}

static void handshake_begin(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t hash[NOISE_HASH_LEN],
                            const uint8_t responder_static[NOISE_PUBLIC_KEY_LEN])
{
    noise_constants(chaining_key, hash);
    mix_hash(hash, responder_static, NOISE_PUBLIC_KEY_LEN);
}

void noise_identity_init(struct noise_identity *identity, const uint8_t private_key[NOISE_PUBLIC_KEY_LEN])
{
    memcpy(identity->private_key, private_key, NOISE_PUBLIC_KEY_LEN);
    crypto_scalarmult_base(identity->public_key, private_key);
}

int noise_remote_init(struct noise_remote *remote, const struct noise_identity *identity,
                      const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    memset(remote, 0, sizeof(*remote));
    memcpy(remote->public_key, public_key, NOISE_PUBLIC_KEY_LEN);
    if (crypto_scalarmult(remote->static_static, identity->private_key, public_key) != 0) {
        sodium_memzero(remote, sizeof(*remote));
        return NX_EINVAL;
    }
    return NX_OK;
}

int noise_initiation_create(struct noise_initiator *initiator, const struct noise_identity *identity,
                            const struct noise_remote *remote, uint32_t sender_index,
                            const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
                            struct message_handshake_initiation *message)
{
    uint8_t key[KEY_LEN];
    int err = NX_ECRYPTO;

    initiator->waiting = false;
    handshake_begin(initiator->chaining_key, initiator->hash, remote->public_key);

    /* e */
    ephemeral_generate(initiator->ephemeral_private, message->unencrypted_ephemeral);
    mix_ephemeral(initiator->chaining_key, initiator->hash, message->unencrypted_ephemeral);

    /* es */
    if (!mix_dh(initiator->chaining_key, key, initiator->ephemeral_private, remote->public_key))
        goto out;

    /* s */
    field_seal(message->encrypted_static, identity->public_key, NOISE_PUBLIC_KEY_LEN, key, initiator->hash);

    /* ss */
    kdf_derive(initiator->chaining_key, key, NULL, initiator->chaining_key, remote->static_static,
               NOISE_PUBLIC_KEY_LEN);

    /* {timestamp} */
    field_seal(message->encrypted_timestamp, timestamp, NOISE_TIMESTAMP_LEN, key, initiator->hash);

    message->header.type = htole32(MESSAGE_HANDSHAKE_INITIATION);
    message->sender_index = htole32(sender_index);
    initiator->waiting = true;
    err = NX_OK;
out:
    if (err != NX_OK)
        sodium_memzero(initiator, sizeof(*initiator));
    sodium_memzero(key, sizeof(key));
    return err;
}

int noise_initiation_identify(struct noise_responder *responder, const struct noise_identity *identity,
                              const struct message_handshake_initiation *message)
{
    uint8_t key[KEY_LEN];
    int err = NX_ECRYPTO;

    handshake_begin(responder->chaining_key, responder->hash, identity->public_key);

    /* e */
    memcpy(responder->remote_ephemeral, message->unencrypted_ephemeral, NOISE_PUBLIC_KEY_LEN);
    mix_ephemeral(responder->chaining_key, responder->hash, responder->remote_ephemeral);

    /* es */
    if (!mix_dh(responder->chaining_key, key, identity->private_key, responder->remote_ephemeral))
        goto out;

    /* s */
    if (!field_open(responder->remote_static, message->encrypted_static, sizeof(message->encrypted_static),
                    key, responder->hash))
        goto out;
    err = NX_OK;
out:
    if (err != NX_OK)
        sodium_memzero(responder, sizeof(*responder));
    sodium_memzero(key, sizeof(key));
    return err;
}

int noise_initiation_authenticate(struct noise_responder *responder, struct noise_remote *remote,
                                  const struct message_handshake_initiation *message, uint64_t now_ns)
{
    uint8_t key[KEY_LEN], timestamp[NOISE_TIMESTAMP_LEN];
    int err = NX_ECRYPTO;

    /* ss */
    kdf_derive(responder->chaining_key, key, NULL, responder->chaining_key, remote->static_static,
               NOISE_PUBLIC_KEY_LEN);

    /* {timestamp} */
    if (!field_open(timestamp, message->encrypted_timestamp, sizeof(message->encrypted_timestamp), key,
                    responder->hash))
        goto out;

    err = NX_EEXIST;
    if (memcmp(timestamp, remote->latest_timestamp, NOISE_TIMESTAMP_LEN) <= 0)
        goto out;
    err = NX_EAGAIN;
    if (remote->last_initiation_ns != 0 &&
        now_ns - remote->last_initiation_ns < NS_PER_S / INITIATIONS_PER_SECOND)
        goto out;
    memcpy(remote->latest_timestamp, timestamp, NOISE_TIMESTAMP_LEN);
    remote->last_initiation_ns = now_ns;
    err = NX_OK;
out:
    if (err != NX_OK)
        sodium_memzero(responder, sizeof(*responder));
    sodium_memzero(key, sizeof(key));
    return err;
}

int noise_response_create(struct noise_responder *responder, const struct noise_remote *remote,
                          uint32_t sender_index, uint32_t receiver_index,
                          struct message_handshake_response *message, struct noise_session_keys *keys)
{
    uint8_t key[KEY_LEN], ephemeral_private[NOISE_PUBLIC_KEY_LEN];
    int err = NX_ECRYPTO;

    /* e */
    ephemeral_generate(ephemeral_private, message->unencrypted_ephemeral);
    mix_ephemeral(responder->chaining_key, responder->hash, message->unencrypted_ephemeral);

    /* ee */
    if (!mix_dh(responder->chaining_key, NULL, ephemeral_private, responder->remote_ephemeral))
        goto out;

    /* se */
    if (!mix_dh(responder->chaining_key, NULL, ephemeral_private, remote->public_key))
        goto out;

    /* psk */
    mix_psk(responder->chaining_key, responder->hash, key, remote->preshared_key);

    /* {} */
    field_seal(message->encrypted_nothing, NULL, 0, key, responder->hash);

    message->header.type = htole32(MESSAGE_HANDSHAKE_RESPONSE);
    message->sender_index = htole32(sender_index);
    message->receiver_index = htole32(receiver_index);
    kdf_derive(keys->receive, keys->send, NULL, responder->chaining_key, NULL, 0);
    err = NX_OK;
out:
    sodium_memzero(responder, sizeof(*responder));
    sodium_memzero(key, sizeof(key));
    sodium_memzero(ephemeral_private, sizeof(ephemeral_private));
    return err;
}

int noise_response_consume(struct noise_initiator *initiator, const struct noise_identity *identity,
                           const struct noise_remote *remote,
                           const struct message_handshake_response *message, struct noise_session_keys *keys)
{
    uint8_t key[KEY_LEN], hash[NOISE_HASH_LEN], chaining_key[NOISE_HASH_LEN];
    int err = NX_ENOENT;

    if (!initiator->waiting)
        return err;
    memcpy(hash, initiator->hash, sizeof(hash));
    memcpy(chaining_key, initiator->chaining_key, sizeof(chaining_key));
    err = NX_ECRYPTO;

    /* e */
    mix_ephemeral(chaining_key, hash, message->unencrypted_ephemeral);

    /* ee */
    if (!mix_dh(chaining_key, NULL, initiator->ephemeral_private, message->unencrypted_ephemeral))
        goto out;

    /* se */
    if (!mix_dh(chaining_key, NULL, identity->private_key, message->unencrypted_ephemeral))
        goto out;

    /* psk */
    mix_psk(chaining_key, hash, key, remote->preshared_key);

    /* {} */
    if (!field_open(NULL, message->encrypted_nothing, sizeof(message->encrypted_nothing), key, hash))
        goto out;

    kdf_derive(keys->send, keys->receive, NULL, chaining_key, NULL, 0);
    sodium_memzero(initiator, sizeof(*initiator));
    err = NX_OK;
out:
    sodium_memzero(key, sizeof(key));
    sodium_memzero(hash, sizeof(hash));
    sodium_memzero(chaining_key, sizeof(chaining_key));
    return err;
}
