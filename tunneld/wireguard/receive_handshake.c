/* Handshake messages. A message meets the cheapest refusal first: its length, under load whether there is a
 * cookie in it or one left to answer it with, mac1 (do you know our key?), under load mac2 and the rate limit
 * (is this your address? not too often?), and only then X25519. What is refused does not disturb the data
 * messages around it: they stay one batch. */
#include "tunneld/wireguard/receive.h"

#include "common/err.h"
#include "tunneld/wireguard/device.h"
#include <sodium.h>

/* A handshake message that was authenticated, after what it brought about. */
static void handshake_received(struct wg_peer *peer, size_t length, uint64_t now_ns)
{
    peer_source_know(peer);
    peer->rx_bytes += length;
    timers_any_authenticated_packet_received(peer);
    timers_any_authenticated_packet_traversal(peer, now_ns);
}

static void receive_initiation(struct wg_device *device, const struct message_handshake_initiation *message,
                               const struct netsock *from, uint64_t now_ns)
{
    struct noise_responder responder;
    struct wg_peer *peer = NULL;

    if (noise_initiation_identify(&responder, device->identity, message) != NX_OK) {
        device->counters.drop_auth++;
        return;
    }
    peer = peer_lookup(device, responder.remote_static);
    if (!peer) {
        device->counters.drop_unknown_peer++;
        goto out;
    }
    switch (noise_initiation_authenticate(&responder, &peer->remote, message, now_ns)) {
    case NX_OK:
        break;
    case NX_EEXIST:
        device->counters.drop_replay++;
        goto out;
    case NX_EAGAIN:
        device->counters.drop_rate++;
        goto out;
    default:
        device->counters.drop_auth++;
        goto out;
    }
    peer_endpoint_learn(peer, from);
    send_handshake_response(peer, &responder, le32toh(message->sender_index), now_ns);
    handshake_received(peer, sizeof(*message), now_ns);
out:
    sodium_memzero(&responder, sizeof(responder));
}

static void receive_response(struct wg_device *device, const struct message_handshake_response *message,
                             const struct netsock *from, uint64_t now_ns)
{
    const struct index_entry *entry = index_table_lookup(&device->indices, le32toh(message->receiver_index));
    struct noise_session_keys keys;
    struct keypair *keypair;
    struct wg_peer *peer;

    if (!entry || entry->keypair) {
        device->counters.drop_unknown_index++;
        return;
    }
    peer = entry->peer;
    if (noise_response_consume(&peer->initiator, device->identity, &peer->remote, message, &keys) != NX_OK) {
        device->counters.drop_auth++;
        return;
    }
    keypair = keypair_new(device, peer, le32toh(message->sender_index), true, now_ns);
    if (!keypair) {
        peer_handshake_clear(peer);
        goto out;
    }
    keypair->keys = keys;
    keypairs_add(device, &peer->keypairs, keypair);
    peer_endpoint_learn(peer, from);
    timers_session_derived(peer, now_ns);
    timers_handshake_complete(peer, now_ns);
    handshake_received(peer, sizeof(*message), now_ns);
    /* The responder may not use the session before it has seen us do so. */
    send_keepalive(peer, now_ns);
out:
    sodium_memzero(&keys, sizeof(keys));
}

static void receive_cookie(struct wg_device *device, const struct message_handshake_cookie *message,
                           uint64_t now_ns)
{
    const struct index_entry *entry = index_table_lookup(&device->indices, le32toh(message->receiver_index));

    if (!entry)
        device->counters.drop_unknown_index++;
    else if (cookie_reply_consume(&entry->peer->cookies, message, now_ns) != NX_OK)
        device->counters.drop_auth++;
    else
        device->counters.cookies_received++;
}

/* A cookie for who has shown none, or a wrong one, if the budget has one left. Never admits. */
static bool cookie_answer(struct wg_device *device, const void *message, size_t length, uint32_t sender_index,
                          const struct netsock *from, uint64_t now_ns)
{
    const uint64_t source = ratelimit_source(device->ratelimit, &from->addr);

    if (cookie_budget_left(&device->cookie_budget, source, now_ns)) {
        cookie_budget_take(&device->cookie_budget, source, now_ns);
        send_handshake_cookie(device, message, length, sender_index, from, now_ns);
    } else {
        device->counters.drop_rate++;
    }
    return false;
}

/* Whether a message with that many bytes and that sender's index may cost us X25519. */
static bool handshake_admit(struct wg_device *device, const void *message, size_t length,
                            uint32_t sender_index, const struct netsock *from, uint64_t now_ns)
{
    if (handshake_is_loaded(&device->load, now_ns) && !cookie_is_shown(message, length) &&
        !cookie_budget_left(&device->cookie_budget, ratelimit_source(device->ratelimit, &from->addr),
                            now_ns)) {
        device->counters.drop_rate++;
        return false;
    }
    if (!cookie_check_mac1(&device->cookies, message, length)) {
        device->counters.drop_mac1++;
        return false;
    }
    if (!handshake_load_count(&device->load, now_ns))
        return true;
    if (!cookie_check_mac2(&device->cookies, message, length, from, now_ns))
        return cookie_answer(device, message, length, sender_index, from, now_ns);
    if (!ratelimit_allow(device->ratelimit, &from->addr, now_ns)) {
        device->counters.drop_rate++;
        return false;
    }
    return true;
}

void receive_handshake(struct wg_device *device, uint32_t type, const struct wg_datagram *datagram,
                       uint64_t now_ns)
{
    const void *data = datagram->data;

    if (type == MESSAGE_HANDSHAKE_INITIATION && datagram->length == MESSAGE_INITIATION_LEN) {
        const struct message_handshake_initiation *message = data;

        if (handshake_admit(device, message, sizeof(*message), le32toh(message->sender_index),
                            &datagram->from, now_ns)) {
            receive_jobs_open(device, now_ns);
            receive_initiation(device, message, &datagram->from, now_ns);
        }
    } else if (type == MESSAGE_HANDSHAKE_RESPONSE && datagram->length == MESSAGE_RESPONSE_LEN) {
        const struct message_handshake_response *message = data;

        if (handshake_admit(device, message, sizeof(*message), le32toh(message->sender_index),
                            &datagram->from, now_ns)) {
            receive_jobs_open(device, now_ns);
            receive_response(device, message, &datagram->from, now_ns);
        }
    } else if (type == MESSAGE_HANDSHAKE_COOKIE && datagram->length == MESSAGE_COOKIE_LEN) {
        receive_cookie(device, data, now_ns); /* changes no session */
    } else {
        device->counters.drop_malformed++;
    }
}
