/* Handshake messages, and the road from a packet to the transmit batch.
 *
 * A handshake message leaves by itself: there are few of them. Timers are told before the message is handed
 * out, as the owner's transmit may remove the peer. */
#include "tunneld/wireguard/device.h"
#include "tunneld/wireguard/tai64n.h"

#include "common/err.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void handshake_sent(struct wg_peer *peer, uint64_t now_ns)
{
    peer->last_sent_handshake_ns = now_ns;
    peer->has_sent_handshake = true;
    timers_any_authenticated_packet_traversal(peer, now_ns);
    timers_any_authenticated_packet_sent(peer);
}

void send_handshake_initiation(struct wg_peer *peer, bool retry, uint64_t now_ns)
{
    struct wg_device *device = peer->device;
    struct message_handshake_initiation message;
    uint8_t timestamp[NOISE_TIMESTAMP_LEN];

    if (!retry)
        timers_handshake_wanted(peer, now_ns);
    if (peer->dead || !peer_has_endpoint(peer))
        return;
    if (peer->has_sent_handshake && now_ns - peer->last_sent_handshake_ns < REKEY_TIMEOUT) {
        timers_handshake_postponed(peer, peer->last_sent_handshake_ns + REKEY_TIMEOUT);
        return;
    }
    peer_handshake_clear(peer);
    peer->handshake_index = index_table_insert(&device->indices, peer, NULL);
    peer->has_handshake_index = true;
    tai64n_from_unix(timestamp, device->ops.wall_ns(device->ops_arg));
    if (noise_initiation_create(&peer->initiator, device->identity, &peer->remote, peer->handshake_index,
                                timestamp, &message) != NX_OK) {
        peer_handshake_clear(peer);
        return;
    }
    cookie_add_macs(&peer->cookies, &message, sizeof(message), now_ns);
    handshake_sent(peer, now_ns);
    timers_handshake_initiated(peer, now_ns);
    device->counters.handshakes_initiated++;
    peer->tx_bytes += sizeof(message);
    device_transmit(device, &peer->endpoint, &message, sizeof(message));
}

void send_handshake_response(struct wg_peer *peer, struct noise_responder *responder, uint32_t receiver_index,
                             uint64_t now_ns)
{
    struct wg_device *device = peer->device;
    struct message_handshake_response message;
    struct keypair *keypair = keypair_new(device, peer, receiver_index, false, now_ns);

    if (!keypair) {
        sodium_memzero(responder, sizeof(*responder));
        return;
    }
    if (noise_response_create(responder, &peer->remote, keypair->local_index, receiver_index, &message,
                              &keypair->keys) != NX_OK) {
        keypair_discard(device, keypair);
        return;
    }
    keypairs_add(device, &peer->keypairs, keypair);
    cookie_add_macs(&peer->cookies, &message, sizeof(message), now_ns);
    timers_session_derived(peer, now_ns);
    handshake_sent(peer, now_ns);
    device->counters.handshakes_answered++;
    peer->tx_bytes += sizeof(message);
    device_transmit(device, &peer->endpoint, &message, sizeof(message));
}

void send_handshake_cookie(struct wg_device *device, const void *message, size_t length,
                           uint32_t receiver_index, const struct netsock *to, uint64_t now_ns)
{
    struct cookie_outbox *outbox = &device->cookie_outbox;

    if (outbox->count == COOKIE_OUTBOX_MAX) {
        receive_jobs_open(device, now_ns);
        send_cookies_flush(device);
    }
    cookie_reply_create(&device->cookies, message, length, receiver_index, to, now_ns,
                        &outbox->replies[outbox->count]);
    outbox->to[outbox->count++] = *to;
    device->counters.cookies_sent++;
}

/* All with one call, since a flood is when they are many. */
void send_cookies_flush(struct wg_device *device)
{
    struct cookie_outbox *outbox = &device->cookie_outbox;
    struct iovec iov[COOKIE_OUTBOX_MAX];
    struct wg_out out[COOKIE_OUTBOX_MAX];
    size_t count = outbox->count;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        iov[i] = (struct iovec){.iov_base = &outbox->replies[i], .iov_len = sizeof(outbox->replies[i])};
        out[i] = (struct wg_out){.to = outbox->to[i],
                                 .iov = &iov[i],
                                 .iov_count = 1,
                                 .datagrams = 1,
                                 .segment = sizeof(outbox->replies[i])};
    }
    outbox->count = 0;
    device->ops.transmit(device->ops_arg, out, count);
}

void send_keepalive(struct wg_peer *peer, uint64_t now_ns)
{
    struct wg_device *device = peer->device;

    if (!peer_has_endpoint(peer))
        return;
    if (!STAILQ_EMPTY(&peer->staged) || !keypair_can_send(device, peer->keypairs.current, now_ns)) {
        send_staged(peer, now_ns);
        return;
    }
    if (!tx_batch_make_room(device, 0, now_ns) || peer->dead)
        return;
    /* Making room may have ended the session. */
    if (keypair_can_send(device, peer->keypairs.current, now_ns))
        tx_batch_add(device, peer, 0);
}

void send_staged(struct wg_peer *peer, uint64_t now_ns)
{
    struct wg_device *device = peer->device;

    while (!peer->dead && keypair_can_send(device, peer->keypairs.current, now_ns)) {
        struct staged_packet *packet = STAILQ_FIRST(&peer->staged);

        if (!packet)
            return;
        /* The owner's transmit may run here, so look at the peer again after a flush. */
        if (tx_batch_is_full(device, packet->length)) {
            if (!tx_batch_make_room(device, packet->length, now_ns))
                return;
            continue;
        }
        packet = peer_staged_pop(peer);
        memcpy(tx_batch_slot(device), packet->data, packet->length);
        tx_batch_add(device, peer, packet->length);
        sodium_memzero(packet->data, packet->length);
        free(packet);
    }
    if (!peer->dead)
        send_handshake_initiation(peer, false, now_ns);
}

void send_keep_key_fresh(struct wg_peer *peer, uint64_t now_ns)
{
    const struct keypair *keypair = peer->keypairs.current;

    if (!keypair || !keypair->send_valid)
        return;
    if (keypair->send_counter > peer->device->limits.rekey_after_messages ||
        (keypair->initiator && now_ns - keypair->created_ns >= REKEY_AFTER_TIME))
        send_handshake_initiation(peer, false, now_ns);
}
