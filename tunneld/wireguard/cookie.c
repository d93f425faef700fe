/* mac1 proves that a sender knows our public key, before any expensive work: who scans for WireGuard gets no
 * answer. mac2 proves that the sender owns its source address: its key is the cookie that we sent there, a
 * MAC of address and port under a secret which lives two minutes. The cookie travels encrypted with mac1 of
 * the message it answers as additional data, so that only who saw that message can make or read one. */
#include "tunneld/wireguard/cookie.h"

#include "common/err.h"
#include "tunneld/wireguard/kdf.h"
#include <sodium.h>
#include <string.h>

enum { LABEL_LEN = 8 };
static const char label_mac1[LABEL_LEN + 1] = "mac1----";
static const char label_cookie[LABEL_LEN + 1] = "cookie--";

static struct message_macs *macs_of(void *message, size_t length)
{
    return (struct message_macs *)((uint8_t *)message + length - sizeof(struct message_macs));
}

static const struct message_macs *macs_of_const(const void *message, size_t length)
{
    return (const struct message_macs *)((const uint8_t *)message + length - sizeof(struct message_macs));
}

static void mac1_make(uint8_t out[COOKIE_LEN], const uint8_t key[NOISE_SYMMETRIC_KEY_LEN],
                      const void *message, size_t length)
{
    kdf_mac(out, key, NOISE_SYMMETRIC_KEY_LEN, message, length - sizeof(struct message_macs));
}

static void mac2_make(uint8_t out[COOKIE_LEN], const uint8_t cookie[COOKIE_LEN], const void *message,
                      size_t length)
{
    kdf_mac(out, cookie, COOKIE_LEN, message, length - COOKIE_LEN);
}

static void keys_init(uint8_t mac1_key[NOISE_SYMMETRIC_KEY_LEN], uint8_t cookie_key[NOISE_SYMMETRIC_KEY_LEN],
                      const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    kdf_hash(mac1_key, label_mac1, LABEL_LEN, public_key, NOISE_PUBLIC_KEY_LEN);
    kdf_hash(cookie_key, label_cookie, LABEL_LEN, public_key, NOISE_PUBLIC_KEY_LEN);
}

void cookie_checker_init(struct cookie_checker *checker, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    memset(checker, 0, sizeof(*checker));
    keys_init(checker->mac1_key, checker->cookie_key, public_key);
}

void cookie_jar_init(struct cookie_jar *jar, const uint8_t peer_public_key[NOISE_PUBLIC_KEY_LEN])
{
    memset(jar, 0, sizeof(*jar));
    keys_init(jar->mac1_key, jar->cookie_key, peer_public_key);
}

/* The cookie of an address; a new secret is made when the old one is too old, and every cookie before ends
 * with it. */
static void cookie_make(struct cookie_checker *checker, uint8_t cookie[COOKIE_LEN],
                        const struct netsock *from, uint64_t now_ns)
{
    uint8_t source[sizeof(from->addr.bytes) + sizeof(uint16_t) + 1];
    uint16_t port = htobe16(from->port);

    if (!checker->has_secret || now_ns - checker->secret_made_ns >= COOKIE_SECRET_MAX_AGE) {
        randombytes_buf(checker->secret, sizeof(checker->secret));
        checker->secret_made_ns = now_ns;
        checker->has_secret = true;
    }
    source[0] = from->addr.family;
    memcpy(source + 1, from->addr.bytes, sizeof(from->addr.bytes));
    memcpy(source + 1 + sizeof(from->addr.bytes), &port, sizeof(port));
    kdf_mac(cookie, checker->secret, sizeof(checker->secret), source, sizeof(source));
}

bool cookie_check_mac1(const struct cookie_checker *checker, const void *message, size_t length)
{
    uint8_t computed[COOKIE_LEN];

    mac1_make(computed, checker->mac1_key, message, length);
    return sodium_memcmp(computed, macs_of_const(message, length)->mac1, COOKIE_LEN) == 0;
}

bool cookie_is_shown(const void *message, size_t length)
{
    static const uint8_t none[COOKIE_LEN];

    return memcmp(macs_of_const(message, length)->mac2, none, COOKIE_LEN) != 0;
}

bool cookie_check_mac2(struct cookie_checker *checker, const void *message, size_t length,
                       const struct netsock *from, uint64_t now_ns)
{
    uint8_t cookie[COOKIE_LEN], computed[COOKIE_LEN];
    bool ok;

    if (!cookie_is_shown(message, length))
        return false;
    cookie_make(checker, cookie, from, now_ns);
    mac2_make(computed, cookie, message, length);
    ok = sodium_memcmp(computed, macs_of_const(message, length)->mac2, COOKIE_LEN) == 0;
    sodium_memzero(cookie, sizeof(cookie));
    sodium_memzero(computed, sizeof(computed));
    return ok;
}

/* Each is used once. */
static void nonce_take(struct cookie_checker *checker, uint8_t nonce[COOKIE_NONCE_LEN])
{
    if (checker->nonces_left == 0) {
        randombytes_buf(checker->nonces, sizeof(checker->nonces));
        checker->nonces_left = COOKIE_NONCES;
    }
    memcpy(nonce, checker->nonces[--checker->nonces_left], COOKIE_NONCE_LEN);
}

void cookie_reply_create(struct cookie_checker *checker, const void *message, size_t length,
                         uint32_t receiver_index, const struct netsock *from, uint64_t now_ns,
                         struct message_handshake_cookie *reply)
{
    uint8_t cookie[COOKIE_LEN];

    reply->header.type = htole32(MESSAGE_HANDSHAKE_COOKIE);
    reply->receiver_index = htole32(receiver_index);
    nonce_take(checker, reply->nonce);
    cookie_make(checker, cookie, from, now_ns);
    crypto_aead_xchacha20poly1305_ietf_encrypt(reply->encrypted_cookie, NULL, cookie, COOKIE_LEN,
                                               macs_of_const(message, length)->mac1, COOKIE_LEN, NULL,
                                               reply->nonce, checker->cookie_key);
    sodium_memzero(cookie, sizeof(cookie));
}

void cookie_add_macs(struct cookie_jar *jar, void *message, size_t length, uint64_t now_ns)
{
    struct message_macs *macs = macs_of(message, length);

    mac1_make(macs->mac1, jar->mac1_key, message, length);
    memcpy(jar->last_mac1, macs->mac1, COOKIE_LEN);
    jar->has_last_mac1 = true;
    if (jar->has_cookie && now_ns - jar->received_ns < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY)
        mac2_make(macs->mac2, jar->cookie, message, length);
    else
        memset(macs->mac2, 0, COOKIE_LEN);
}

int cookie_reply_consume(struct cookie_jar *jar, const struct message_handshake_cookie *reply,
                         uint64_t now_ns)
{
    uint8_t cookie[COOKIE_LEN];

    if (!jar->has_last_mac1 ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, reply->encrypted_cookie,
                                                   sizeof(reply->encrypted_cookie), jar->last_mac1,
                                                   COOKIE_LEN, reply->nonce, jar->cookie_key) != 0)
        return NX_ECRYPTO;
    memcpy(jar->cookie, cookie, COOKIE_LEN);
    jar->received_ns = now_ns;
    jar->has_cookie = true;
    jar->has_last_mac1 = false;
    sodium_memzero(cookie, sizeof(cookie));
    return NX_OK;
}
