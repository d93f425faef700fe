/* The inside of a device, shared by the files of this room. tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_DEVICE_H
#define NEXD_TUNNELD_WIREGUARD_DEVICE_H

#include "tunneld/wireguard/cookie_budget.h"
#include "tunneld/wireguard/index_table.h"
#include "tunneld/wireguard/peer.h"
#include "tunneld/wireguard/preshared.h"
#include "tunneld/wireguard/ratelimit.h"
#include "tunneld/wireguard/receive.h"
#include "tunneld/wireguard/send.h"
#include "tunneld/wireguard/tx_batch.h"
#include "tunneld/wireguard/wireguard.h"

enum { PEER_BUCKETS_MIN = 64, INDICES_PER_PEER = 4 /* a handshake and three sessions */ };

enum { COOKIE_OUTBOX_MAX = 64 };

/* Cookie replies of one receive batch. */
struct cookie_outbox {
    size_t count;
    struct message_handshake_cookie replies[COOKIE_OUTBOX_MAX];
    struct netsock to[COOKIE_OUTBOX_MAX];
};

struct wg_device {
    struct noise_identity *identity; /* sodium_malloc */
    const struct aead_engine *engine;
    struct timerq *queue;
    struct wg_ops ops;
    void *ops_arg;
    uint16_t mtu; /* padding does not go beyond it */

    struct peer_list peers, *buckets; /* all, and by public key */
    size_t peer_count, bucket_count;
    uint8_t bucket_hash_key[16];
    struct allowedips allowed;
    struct index_table indices;
    struct preshared_keys preshared;
    struct netprefix *status_prefixes; /* room for the prefixes of the peer that has most */
    size_t status_prefix_capacity;

    struct cookie_checker cookies;
    struct cookie_outbox cookie_outbox;
    struct handshake_load load;
    struct ratelimit *ratelimit;
    struct cookie_budget cookie_budget;

    struct rx_batch *rx;
    struct tx_batch *tx;
    size_t staged_bytes; /* of all peers */

    /* How many of our calls are on the stack. What is removed meanwhile is retired, and freed when it is zero
     * again. */
    unsigned depth;
    struct wg_peer *retired_peers;
    struct keypair *retired_keypairs;

    struct {
        uint64_t rekey_after_messages, reject_after_messages;
    } limits; /* the paper's; tests lower them */
    struct wg_counters counters;
};

/* Around every call that may call back. */
static inline void device_enter(struct wg_device *device)
{
    device->depth++;
}
static inline void device_leave(struct wg_device *device)
{
    if (--device->depth == 0 && (device->retired_peers || device->retired_keypairs)) {
        keypairs_free_retired(device);
        peers_free_retired(device);
    }
}

/* Hands one handshake message to the owner's transmit. The peer may be gone afterwards (its memory is not).
 */
void device_transmit(struct wg_device *device, const struct netsock *to, const void *message, size_t length);

#endif
