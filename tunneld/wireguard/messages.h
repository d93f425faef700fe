/* What WireGuard says on the wire, and its constants, under the names of the paper (sections 5.4 and 6). */
#ifndef NEXD_TUNNELD_WIREGUARD_MESSAGES_H
#define NEXD_TUNNELD_WIREGUARD_MESSAGES_H

#include "common/clock.h"
#include <endian.h>
#include <stdint.h>

enum noise_length {
    NOISE_PUBLIC_KEY_LEN = 32,
    NOISE_SYMMETRIC_KEY_LEN = 32,
    NOISE_HASH_LEN = 32,
    NOISE_AUTHTAG_LEN = 16,
    NOISE_TIMESTAMP_LEN = 8 + 4, /* TAI64N */
};

enum cookie_length { COOKIE_LEN = 16, COOKIE_NONCE_LEN = 24 };

#define REKEY_AFTER_TIME     (120 * NS_PER_S)
#define REJECT_AFTER_TIME    (180 * NS_PER_S)
#define REKEY_ATTEMPT_TIME   (90 * NS_PER_S)
#define REKEY_TIMEOUT        (5 * NS_PER_S)
#define KEEPALIVE_TIMEOUT    (10 * NS_PER_S)
#define REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
/* The counters that a replay window could not tell apart from wrapped ones are never used. */
#define REJECT_AFTER_MESSAGES (UINT64_MAX - REPLAY_WINDOW_BITS - 1)

/* Not in the paper, but common to its implementations. */
#define REKEY_TIMEOUT_JITTER_MAX (334 * NS_PER_MS)
#define INITIATIONS_PER_SECOND   50 /* accepted from one peer */
#define COOKIE_SECRET_MAX_AGE    (120 * NS_PER_S)
#define COOKIE_SECRET_LATENCY    (5 * NS_PER_S)
#define ZERO_KEY_MATERIAL_AFTER  (3 * REJECT_AFTER_TIME)
#define MESSAGE_PADDING_MULTIPLE 16u
#define REPLAY_WINDOW_BITS       UINT64_C(8192)

enum message_type {
    MESSAGE_HANDSHAKE_INITIATION = 1,
    MESSAGE_HANDSHAKE_RESPONSE = 2,
    MESSAGE_HANDSHAKE_COOKIE = 3,
    MESSAGE_DATA = 4,
};

/* Integers in wire order: read and written through htole/letoh only. */
typedef uint32_t le32;
typedef uint64_t le64;

/* The type's three reserved bytes are zero, which makes type and reserved bytes one little-endian word. */
struct message_header {
    le32 type;
} __attribute__((packed));

struct message_macs {
    uint8_t mac1[COOKIE_LEN];
    uint8_t mac2[COOKIE_LEN];
} __attribute__((packed));

struct message_handshake_initiation {
    struct message_header header;
    le32 sender_index;
    uint8_t unencrypted_ephemeral[NOISE_PUBLIC_KEY_LEN];
    uint8_t encrypted_static[NOISE_PUBLIC_KEY_LEN + NOISE_AUTHTAG_LEN];
    uint8_t encrypted_timestamp[NOISE_TIMESTAMP_LEN + NOISE_AUTHTAG_LEN];
    struct message_macs macs;
} __attribute__((packed));

struct message_handshake_response {
    struct message_header header;
    le32 sender_index;
    le32 receiver_index;
    uint8_t unencrypted_ephemeral[NOISE_PUBLIC_KEY_LEN];
    uint8_t encrypted_nothing[NOISE_AUTHTAG_LEN];
    struct message_macs macs;
} __attribute__((packed));

struct message_handshake_cookie {
    struct message_header header;
    le32 receiver_index;
    uint8_t nonce[COOKIE_NONCE_LEN];
    uint8_t encrypted_cookie[COOKIE_LEN + NOISE_AUTHTAG_LEN];
} __attribute__((packed));

/* Followed by the encrypted packet, padded, and the tag. */
struct message_data {
    struct message_header header;
    le32 receiver_index;
    le64 counter;
} __attribute__((packed));

enum message_length {
    MESSAGE_INITIATION_LEN = sizeof(struct message_handshake_initiation),
    MESSAGE_RESPONSE_LEN = sizeof(struct message_handshake_response),
    MESSAGE_COOKIE_LEN = sizeof(struct message_handshake_cookie),
    MESSAGE_DATA_HEADER_LEN = sizeof(struct message_data),
    MESSAGE_DATA_MIN_LEN = MESSAGE_DATA_HEADER_LEN + NOISE_AUTHTAG_LEN,
};
_Static_assert(sizeof(struct message_handshake_initiation) == 148, "wire format");
_Static_assert(sizeof(struct message_handshake_response) == 92, "wire format");
_Static_assert(sizeof(struct message_handshake_cookie) == 64, "wire format");
_Static_assert(sizeof(struct message_data) == 16, "wire format");

#endif
