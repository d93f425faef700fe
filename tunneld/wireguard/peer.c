/* A peer's life: made by wg_peer_set() (config.c), found by public key or by index, retired when removed. Its
 * memory holds secrets and is wiped before it is freed. */
#include "tunneld/wireguard/peer.h"

#include "tunneld/wireguard/device.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void peer_staged_push(struct wg_peer *peer, struct staged_packet *packet)
{
    if (peer->staged_count == WG_STAGED_MAX) {
        free(peer_staged_pop(peer));
        peer->device->counters.drop_staged++;
    }
    STAILQ_INSERT_TAIL(&peer->staged, packet, entry);
    peer->staged_count++;
    peer->device->staged_bytes += packet->length;
}

struct staged_packet *peer_staged_pop(struct wg_peer *peer)
{
    struct staged_packet *packet = STAILQ_FIRST(&peer->staged);

    if (!packet)
        return NULL;
    STAILQ_REMOVE_HEAD(&peer->staged, entry);
    peer->staged_count--;
    peer->device->staged_bytes -= packet->length;
    return packet;
}

void peer_staged_purge(struct wg_peer *peer)
{
    struct staged_packet *packet;

    peer->device->counters.drop_staged += peer->staged_count;
    while ((packet = peer_staged_pop(peer)) != NULL)
        free(packet);
}

void peer_handshake_clear(struct wg_peer *peer)
{
    if (peer->has_handshake_index)
        index_table_remove(&peer->device->indices, peer->handshake_index);
    peer->has_handshake_index = false;
    sodium_memzero(&peer->initiator, sizeof(peer->initiator));
}

void peer_keys_clear(struct wg_peer *peer)
{
    peer_handshake_clear(peer);
    keypairs_clear(peer->device, &peer->keypairs);
}

void peer_endpoint_learn(struct wg_peer *peer, const struct netsock *from)
{
    if (netsock_equal(&peer->endpoint, from))
        return;
    peer->endpoint = *from;
    peer_source_know(peer);
}

void peer_source_know(struct wg_peer *peer)
{
    struct wg_device *device = peer->device;

    cookie_budget_know(&device->cookie_budget, ratelimit_source(device->ratelimit, &peer->endpoint.addr));
}

struct wg_peer *peer_lookup(const struct wg_device *device, const uint8_t public_key[NOISE_PUBLIC_KEY_LEN])
{
    struct wg_peer *peer;

    if (device->bucket_count == 0)
        return NULL;
    LIST_FOREACH (peer, peer_bucket(device, public_key), in_bucket) {
        if (memcmp(peer->remote.public_key, public_key, NOISE_PUBLIC_KEY_LEN) == 0)
            return peer;
    }
    return NULL;
}

void peer_retire(struct wg_peer *peer)
{
    struct wg_device *device = peer->device;

    peer->dead = true;
    tx_batch_forget_peer(device, peer);
    timers_stop(peer);
    peer_staged_purge(peer);
    peer_keys_clear(peer);
    allowedips_remove_all(&device->allowed, &peer->allowed);
    LIST_REMOVE(peer, in_list);
    LIST_REMOVE(peer, in_bucket);
    device->peer_count--;
    peer->next_retired = device->retired_peers;
    device->retired_peers = peer;
}

void peers_free_retired(struct wg_device *device)
{
    while (device->retired_peers) {
        struct wg_peer *peer = device->retired_peers;

        device->retired_peers = peer->next_retired;
        sodium_memzero(peer, sizeof(*peer));
        free(peer);
    }
}
