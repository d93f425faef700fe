/* A peer: its keys, its handshake and sessions, its endpoint, its timers, and what waits for a session.
 * tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_PEER_H
#define NEXD_TUNNELD_WIREGUARD_PEER_H

#include "common/key.h"
#include "tunneld/wireguard/allowedips.h"
#include "tunneld/wireguard/cookie.h"
#include "tunneld/wireguard/keypair.h"
#include "tunneld/wireguard/noise.h"
#include "tunneld/wireguard/timers.h"
#include <sys/queue.h>

/* An inner packet that waits for a session; not yet padded. */
struct staged_packet {
    STAILQ_ENTRY(staged_packet) entry;
    size_t length;
    uint8_t data[];
};
STAILQ_HEAD(staged_queue, staged_packet);

struct wg_peer {
    struct wg_device *device;
    LIST_ENTRY(wg_peer) in_list;
    LIST_ENTRY(wg_peer) in_bucket; /* of the table by public key */
    struct wg_peer *next_retired;
    bool dead;  /* removed; memory stays until the device's outermost call ends */
    bool stale; /* marked by wg_peers_mark() */
    char name[KEY_SHORT_MAX];

    struct noise_remote remote;
    struct noise_initiator initiator;
    bool has_handshake_index;
    uint32_t handshake_index; /* under which the initiator's response will come */
    uint64_t last_sent_handshake_ns;
    bool has_sent_handshake;
    struct keypairs keypairs;
    struct cookie_jar cookies;

    struct netsock endpoint;            /* where to send; moves with authenticated messages */
    struct netsock configured_endpoint; /* as last set from outside */
    struct allowedips_list allowed;
    uint64_t keepalive_ns; /* 0 = off */

    struct staged_queue staged;
    size_t staged_count;
    struct peer_timers timers;
    int batch_tail; /* its last entry in the transmit batch, -1 = none */

    uint64_t handshake_unix_ns, rx_bytes, tx_bytes;
};

/* Appends, dropping the oldest past WG_STAGED_MAX. Takes over the packet (malloc). */
void peer_staged_push(struct wg_peer *peer, struct staged_packet *packet);
/* The oldest, now the caller's to free(); NULL if there is none. */
struct staged_packet *peer_staged_pop(struct wg_peer *peer);
/* Drops and counts all of them. */
void peer_staged_purge(struct wg_peer *peer);

/* Ends the handshake in flight; ends that and all sessions. */
void peer_handshake_clear(struct wg_peer *peer);
void peer_keys_clear(struct wg_peer *peer);

/* The peer's address counts as known when cookies are given out. */
void peer_source_know(struct wg_peer *peer);
/* An authenticated message came from there. */
void peer_endpoint_learn(struct wg_peer *peer, const struct netsock *from);
static inline bool peer_has_endpoint(const struct wg_peer *peer)
{
    return peer->endpoint.addr.family != NETADDR_NONE;
}

LIST_HEAD(peer_list, wg_peer);
/* The bucket of a public key, in the table that device->buckets is. There must be one (device->bucket_count >
 * 0). */
struct peer_list *peer_bucket(const struct wg_device *device, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN]);
struct wg_peer *peer_lookup(const struct wg_device *device, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN]);
/* Takes a peer out of all tables, wipes its keys and retires it. */
void peer_retire(struct wg_peer *peer);
void peers_free_retired(struct wg_device *device);

#endif
