/* How sessions succeed each other:
 *
 *   we began (initiator)    current -> previous, new -> current (a `next` that was never confirmed ->
 * previous instead) we answered             new -> next, previous is dropped next is confirmed       current
 * -> previous, next -> current
 *
 * A session that falls out is retired: its index and its keys go at once, its memory when the device's
 * outermost call ends, because a batch in work may still point to it. What waits in the transmit batch is
 * sealed before keys go. */
#include "tunneld/wireguard/keypair.h"

#include "tunneld/wireguard/device.h"
#include <sodium.h>
#include <stdlib.h>

struct keypair *keypair_new(struct wg_device *device, struct wg_peer *peer, uint32_t remote_index,
                            bool initiator, uint64_t now_ns)
{
    struct keypair *keypair = calloc(1, sizeof(*keypair));

    if (!keypair)
        return NULL;
    keypair->peer = peer;
    keypair->created_ns = now_ns;
    keypair->remote_index = remote_index;
    keypair->initiator = initiator;
    keypair->send_valid = keypair->receive_valid = true;
    if (initiator) {
        keypair->local_index = peer->handshake_index;
        peer->has_handshake_index = false;
        index_table_lookup(&device->indices, keypair->local_index)->keypair = keypair;
    } else {
        keypair->local_index = index_table_insert(&device->indices, peer, keypair);
    }
    return keypair;
}

void keypair_discard(struct wg_device *device, struct keypair *keypair)
{
    index_table_remove(&device->indices, keypair->local_index);
    sodium_memzero(keypair, sizeof(*keypair));
    free(keypair);
}

static void keypair_retire(struct wg_device *device, struct keypair **slot)
{
    struct keypair *keypair = *slot;

    if (!keypair)
        return;
    *slot = NULL;
    tx_batch_seal(device);
    index_table_remove(&device->indices, keypair->local_index);
    keypair->send_valid = keypair->receive_valid = false;
    sodium_memzero(&keypair->keys, sizeof(keypair->keys));
    keypair->next_retired = device->retired_keypairs;
    device->retired_keypairs = keypair;
}

void keypairs_free_retired(struct wg_device *device)
{
    while (device->retired_keypairs) {
        struct keypair *keypair = device->retired_keypairs;

        device->retired_keypairs = keypair->next_retired;
        sodium_memzero(keypair, sizeof(*keypair));
        free(keypair);
    }
}

void keypairs_add(struct wg_device *device, struct keypairs *keypairs, struct keypair *keypair)
{
    keypair_retire(device, &keypairs->previous);
    if (!keypair->initiator) {
        keypair_retire(device, &keypairs->next);
        keypairs->next = keypair;
        return;
    }
    if (keypairs->next) {
        keypairs->previous = keypairs->next;
        keypairs->next = NULL;
        keypair_retire(device, &keypairs->current);
    } else {
        keypairs->previous = keypairs->current;
    }
    keypairs->current = keypair;
}

bool keypairs_received_with(struct wg_device *device, struct keypairs *keypairs, struct keypair *keypair)
{
    if (keypair != keypairs->next)
        return false;
    keypair_retire(device, &keypairs->previous);
    keypairs->previous = keypairs->current;
    keypairs->current = keypair;
    keypairs->next = NULL;
    return true;
}

void keypairs_clear(struct wg_device *device, struct keypairs *keypairs)
{
    keypair_retire(device, &keypairs->previous);
    keypair_retire(device, &keypairs->current);
    keypair_retire(device, &keypairs->next);
}

bool keypair_can_send(const struct wg_device *device, const struct keypair *keypair, uint64_t now_ns)
{
    return keypair && keypair->send_valid && now_ns - keypair->created_ns < REJECT_AFTER_TIME &&
           keypair->send_counter < device->limits.reject_after_messages;
}

bool keypair_can_receive(const struct keypair *keypair, uint64_t counter, uint64_t now_ns)
{
    return keypair->receive_valid && now_ns - keypair->created_ns < REJECT_AFTER_TIME &&
           counter < REJECT_AFTER_MESSAGES;
}
