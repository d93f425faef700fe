/* MACs and cookies: what lets a responder under load refuse work without keeping state (paper,
 * sections 5.3, 5.4.4 and 5.4.7). The checker belongs to the side that receives handshakes, the jar, one a
 * peer, to the side that sends them. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_COOKIE_H
#define NEXD_TUNNELD_WIREGUARD_COOKIE_H

#include "common/netaddr.h"
#include "tunneld/wireguard/messages.h"
#include <stdbool.h>

enum { COOKIE_NONCES = 64 };

struct cookie_checker {
    uint8_t mac1_key[NOISE_SYMMETRIC_KEY_LEN];   /* Hash(LABEL-MAC1 || our public key) */
    uint8_t cookie_key[NOISE_SYMMETRIC_KEY_LEN]; /* Hash(LABEL-COOKIE || our public key) */
    uint8_t secret[NOISE_HASH_LEN];              /* changed every COOKIE_SECRET_MAX_AGE */
    uint64_t secret_made_ns;
    bool has_secret;
    /* Random numbers for nonces, many at a time: under a flood, asking for each costs more than the rest. */
    uint8_t nonces[COOKIE_NONCES][COOKIE_NONCE_LEN];
    size_t nonces_left;
};

struct cookie_jar {
    uint8_t mac1_key[NOISE_SYMMETRIC_KEY_LEN]; /* the same two for the peer's public key */
    uint8_t cookie_key[NOISE_SYMMETRIC_KEY_LEN];
    uint8_t cookie[COOKIE_LEN];
    uint64_t received_ns;
    bool has_cookie;
    uint8_t last_mac1[COOKIE_LEN]; /* of the last handshake message sent: what a cookie must answer */
    bool has_last_mac1;
};

void cookie_checker_init(struct cookie_checker *checker, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN]);
void cookie_jar_init(struct cookie_jar *jar, const uint8_t peer_public_key[NOISE_PUBLIC_KEY_LEN]);

/* Of a handshake message of `length` bytes, struct message_macs at its end: whether there is a cookie in it
 * at all (who has none leaves its place zero), whether it is from someone who knows our public key, and
 * whether he has shown a cookie that we sent to that address. */
bool cookie_is_shown(const void *message, size_t length);
bool cookie_check_mac1(const struct cookie_checker *checker, const void *message, size_t length);
bool cookie_check_mac2(struct cookie_checker *checker, const void *message, size_t length,
                       const struct netsock *from, uint64_t now_ns);
/* Makes the cookie reply to that message, whose sender's index is `receiver_index`. */
void cookie_reply_create(struct cookie_checker *checker, const void *message, size_t length,
                         uint32_t receiver_index, const struct netsock *from, uint64_t now_ns,
                         struct message_handshake_cookie *reply);

/* Writes both MACs at the end of a handshake message that is ready otherwise; mac2 is zero without a fresh
 * cookie. */
void cookie_add_macs(struct cookie_jar *jar, void *message, size_t length, uint64_t now_ns);
/* NX_ECRYPTO: not an answer to the message last sent. */
int cookie_reply_consume(struct cookie_jar *jar, const struct message_handshake_cookie *reply,
                         uint64_t now_ns);

#endif
