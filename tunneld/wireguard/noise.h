/* The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s as WireGuard uses it (paper, section 5.4). Pure
 * functions on explicit state: no table, timer or I/O; MACs and cookies are cookie.h's. Secrets that a
 * function makes on its way are wiped before it returns. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_NOISE_H
#define NEXD_TUNNELD_WIREGUARD_NOISE_H

#include "tunneld/wireguard/messages.h"
#include <stdbool.h>

/* Our own long-term key pair. */
struct noise_identity {
    uint8_t private_key[NOISE_PUBLIC_KEY_LEN];
    uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
};

/* What is known of a peer from one handshake to the next. */
struct noise_remote {
    uint8_t public_key[NOISE_PUBLIC_KEY_LEN];
    uint8_t static_static[NOISE_PUBLIC_KEY_LEN]; /* DH(our private key, its public key), made once */
    uint8_t preshared_key[NOISE_SYMMETRIC_KEY_LEN];
    uint8_t latest_timestamp[NOISE_TIMESTAMP_LEN]; /* of an authentic initiation; zero = none yet */
    uint64_t last_initiation_ns;                   /* when that came; monotonic, 0 = never */
};

/* An initiation of ours that waits for its response. One that comes in meanwhile is answered without touching
 * this, so that both sides may start at the same time and both handshakes complete. */
struct noise_initiator {
    bool waiting;
    uint8_t ephemeral_private[NOISE_PUBLIC_KEY_LEN];
    uint8_t hash[NOISE_HASH_LEN];
    uint8_t chaining_key[NOISE_HASH_LEN];
};

/* An initiation of the peer's between its parts being read and its response being written. Lives on the
 * stack. */
struct noise_responder {
    uint8_t remote_static[NOISE_PUBLIC_KEY_LEN];
    uint8_t remote_ephemeral[NOISE_PUBLIC_KEY_LEN];
    uint8_t hash[NOISE_HASH_LEN];
    uint8_t chaining_key[NOISE_HASH_LEN];
};

/* The session that a handshake gives, seen from our side. */
struct noise_session_keys {
    uint8_t send[NOISE_SYMMETRIC_KEY_LEN];
    uint8_t receive[NOISE_SYMMETRIC_KEY_LEN];
};

/* Hash(CONSTRUCTION) and Hash(Hash(CONSTRUCTION) || IDENTIFIER): where every handshake starts. */
void noise_constants(uint8_t chaining_key[NOISE_HASH_LEN], uint8_t hash[NOISE_HASH_LEN]);

void noise_identity_init(struct noise_identity *identity, const uint8_t private_key[NOISE_PUBLIC_KEY_LEN]);
/* Sets the keys; no preshared key. NX_EINVAL where the shared secret would be zero (a point of low order). */
int noise_remote_init(struct noise_remote *remote, const struct noise_identity *identity,
                      const uint8_t public_key[NOISE_PUBLIC_KEY_LEN]);

/* First message, initiator. Replaces what `initiator` waited for. NX_ECRYPTO: only where a DH gives zero. */
int noise_initiation_create(struct noise_initiator *initiator, const struct noise_identity *identity,
                            const struct noise_remote *remote, uint32_t sender_index,
                            const uint8_t timestamp[NOISE_TIMESTAMP_LEN],
                            struct message_handshake_initiation *message);

/* First message, responder, in two steps, since the sender's key, and so the peer, stands inside.
 * identify: reads remote_static; NX_ECRYPTO if it is not authentic.
 * authenticate: `remote` is the peer of that key. NX_ECRYPTO: not from it; NX_EEXIST: a time stamp not later
 * than the last (a replay); NX_EAGAIN: more than INITIATIONS_PER_SECOND. On NX_OK the time stamp is taken as
 * the latest. */
int noise_initiation_identify(struct noise_responder *responder, const struct noise_identity *identity,
                              const struct message_handshake_initiation *message);
int noise_initiation_authenticate(struct noise_responder *responder, struct noise_remote *remote,
                                  const struct message_handshake_initiation *message, uint64_t now_ns);

/* Second message. create ends the responder's part, consume the initiator's; on NX_OK `keys` are set, and
 * what the handshake state held is wiped. consume: NX_ENOENT if nothing waits; NX_ECRYPTO, with the state
 * kept, if the message is not authentic: a forged answer must not stop the true one. */
int noise_response_create(struct noise_responder *responder, const struct noise_remote *remote,
                          uint32_t sender_index, uint32_t receiver_index,
                          struct message_handshake_response *message, struct noise_session_keys *keys);
int noise_response_consume(struct noise_initiator *initiator, const struct noise_identity *identity,
                           const struct noise_remote *remote,
                           const struct message_handshake_response *message, struct noise_session_keys *keys);

#endif
