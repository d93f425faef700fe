/* The transmit batch: data messages of all peers, laid out in one arena as they go on the wire, sealed with
 * one call and handed out in groups that UDP_SEGMENT can take. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_TX_BATCH_H
#define NEXD_TUNNELD_WIREGUARD_TX_BATCH_H

#include "tunneld/wireguard/wireguard.h"

struct keypair;
struct staged_packet;

enum {
    TX_ENTRIES_MAX = AEAD_BATCH_MAX,
    TX_ARENA_BYTES = 256 << 10,
    TX_GROUP_DATAGRAMS_MAX = 64, /* UDP_MAX_SEGMENTS of Linux before 6.9 */
    TX_GROUP_BYTES_MAX = 65507,  /* the largest UDP payload over IPv4 */
};

struct tx_entry {
    struct wg_peer *peer;    /* NULL = removed meanwhile: not to be sent */
    struct keypair *keypair; /* valid until sealed */
    uint64_t counter;
    uint32_t offset;      /* of the message in the arena */
    uint32_t text_length; /* padded */
    int next;             /* of the same peer, -1 = none */
    bool first;           /* of its peer */
};

struct tx_batch {
    uint8_t *arena;
    size_t used;
    size_t count, sealed; /* entries; those before `sealed` are encrypted */
    bool flushing;
    /* What wg_tx_begin() promised and wg_tx_end() will keep: a slot in the arena, or a staged packet. */
    struct {
        struct wg_peer *peer;
        struct staged_packet *staged;
        size_t length;
        uint64_t now_ns;
    } pending;
    struct tx_entry entries[TX_ENTRIES_MAX];
    struct aead_job jobs[TX_ENTRIES_MAX];
    struct wg_out outs[TX_ENTRIES_MAX];
    struct iovec iovs[TX_ENTRIES_MAX];
};

/* NULL: out of memory. */
struct tx_batch *tx_batch_new(void);
void tx_batch_free(struct tx_batch *batch);

/* Whether a packet of `length` bytes does not fit any more. */
bool tx_batch_is_full(const struct wg_device *device, size_t length);
/* Flushes if need be. False while a flush is under way: then nothing can be sent. Calls the owner's transmit.
 */
bool tx_batch_make_room(struct wg_device *device, size_t length, uint64_t now_ns);
/* Where the next packet's bytes go; room must have been made. */
uint8_t *tx_batch_slot(struct wg_device *device);
/* Takes the packet of `length` bytes (0 = keepalive) in the slot, under the peer's current session, which
 * must be able to send. */
void tx_batch_add(struct wg_device *device, struct wg_peer *peer, size_t length);
/* Encrypts what is not encrypted yet: before a session's keys are wiped, and when flushing. */
void tx_batch_seal(struct wg_device *device);
/* Drops what waits for a peer that is going away. */
void tx_batch_forget_peer(struct wg_device *device, const struct wg_peer *peer);

#endif
