/* The sessions of a peer: up to three at a time, since both sides change over at different moments (paper,
 * section 6.3, and 5.4.6 for who may send first). tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_KEYPAIR_H
#define NEXD_TUNNELD_WIREGUARD_KEYPAIR_H

#include "tunneld/wireguard/noise.h"
#include "tunneld/wireguard/replay.h"

struct wg_device;
struct wg_peer;

struct keypair {
    struct noise_session_keys keys;
    struct wg_peer *peer;
    uint64_t created_ns;
    uint64_t send_counter; /* of the next message */
    uint32_t local_index, remote_index;
    bool initiator; /* we began the handshake: rekeying after time is up to us */
    bool send_valid, receive_valid;
    struct replay replay;
    struct keypair *next_retired;
};

/* All may be NULL.
 * current: what we send with. previous: what the peer may still send with. next: we answered its handshake,
 * but it has not used the session yet; only then do we know that it has our response, and may send with it.
 */
struct keypairs {
    struct keypair *current, *previous, *next;
};

/* A new session, whose keys the caller fills in. It takes over the index of the peer's waiting handshake
 * where `initiator`, else it gets one of its own. NULL: out of memory. Ends in keypairs_add() or
 * keypair_discard(). */
struct keypair *keypair_new(struct wg_device *device, struct wg_peer *peer, uint32_t remote_index,
                            bool initiator, uint64_t now_ns);
void keypair_discard(struct wg_device *device, struct keypair *keypair);
/* Puts a new session into the peer's keypairs. */
void keypairs_add(struct wg_device *device, struct keypairs *keypairs, struct keypair *keypair);
/* To be told of each authenticated message: true if it confirmed `next`, which is `current` now. */
bool keypairs_received_with(struct wg_device *device, struct keypairs *keypairs, struct keypair *keypair);
/* Ends all sessions. */
void keypairs_clear(struct wg_device *device, struct keypairs *keypairs);

/* Whether the session (NULL: none) may carry one more message. */
bool keypair_can_send(const struct wg_device *device, const struct keypair *keypair, uint64_t now_ns);
bool keypair_can_receive(const struct keypair *keypair, uint64_t counter, uint64_t now_ns);

/* Wipes and frees what keypairs_add and keypairs_clear took out of use. Called by the device when nothing
 * points to it any more. */
void keypairs_free_retired(struct wg_device *device);

#endif
