/* Data messages, from datagram to inner packet.
 *
 *   datagram -> index, age and counter looked at -> job -> [opened as a batch] -> counter accepted -> session
 * confirmed, endpoint learned, timers told -> inner header checked, source looked up -> inner packet ->
 * [delivered as a batch]
 *
 * The counter is looked at twice: before, because opening a replayed message would be work for nothing; and
 * after, because only an authentic message may move the window, and a batch may hold the same message twice.
 * Opening waits for the end of the batch or for a handshake message in it, so that everything takes effect in
 * the order of arrival. */
#include "tunneld/wireguard/receive.h"

#include "common/err.h"
#include "tunneld/wireguard/device.h"
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>

struct rx_batch *rx_batch_new(void)
{
    return calloc(1, sizeof(struct rx_batch));
}

void rx_batch_free(struct rx_batch *batch)
{
    free(batch);
}

/* Peers that were removed after their packets were opened are not delivered for. */
static void inners_deliver(struct wg_device *device)
{
    struct rx_batch *rx = device->rx;
    size_t count = rx->inner_count;

    if (device->retired_peers) {
        count = 0;
        for (size_t i = 0; i < rx->inner_count; i++)
            if (!rx->inners[i].peer->dead)
                rx->inners[count++] = rx->inners[i];
    }
    rx->inner_count = 0;
    if (count > 0)
        device->ops.deliver(device->ops_arg, rx->inners, count);
}

/* The inner packet's length by its own header, 0 if it is not an IP packet that fits into `room` bytes;
 * *source is whose its source address is. */
static size_t inner_inspect(const struct wg_device *device, const uint8_t *data, size_t room,
                            struct wg_peer **source)
{
    size_t length;

    if (room >= sizeof(struct ip) && data[0] >> 4 == 4) {
        size_t header_length = (size_t)(data[0] & 15) * 4;

        length = (size_t)data[2] << 8 | data[3];
        if (header_length < sizeof(struct ip) || length < header_length || length > room)
            return 0;
        *source = allowedips_lookup_v4(&device->allowed, data + offsetof(struct ip, ip_src));
        return length;
    }
    if (room >= sizeof(struct ip6_hdr) && data[0] >> 4 == 6) {
        length = sizeof(struct ip6_hdr) + ((size_t)data[4] << 8 | data[5]);
        if (length > room)
            return 0;
        *source = allowedips_lookup_v6(&device->allowed, data + offsetof(struct ip6_hdr, ip6_src));
        return length;
    }
    return 0;
}

static void inner_take(struct wg_device *device, struct wg_peer *peer, const struct aead_job *job,
                       void *owner)
{
    struct rx_batch *rx = device->rx;
    struct wg_peer *source = NULL;
    size_t length = inner_inspect(device, job->data, job->length, &source);

    if (length == 0) {
        device->counters.drop_inner++;
        return;
    }
    if (source != peer) {
        device->counters.drop_source++;
        return;
    }
    device->counters.rx_data++;
    rx->inners[rx->inner_count++] =
        (struct wg_inner){.data = job->data, .length = length, .peer = peer, .owner = owner};
    if (rx->inner_count == WG_DELIVER_MAX)
        inners_deliver(device);
}

/* The receiving side's last chance to keep a session from ending in the middle of traffic that only comes in.
 */
static void receive_keep_key_fresh(struct wg_peer *peer, uint64_t now_ns)
{
    const struct keypair *keypair = peer->keypairs.current;

    if (peer->timers.sent_lastminute_handshake)
        return;
    if (keypair && keypair->send_valid && keypair->initiator &&
        now_ns - keypair->created_ns >= REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT) {
        peer->timers.sent_lastminute_handshake = true;
        send_handshake_initiation(peer, false, now_ns);
    }
}

static void data_opened(struct wg_device *device, const struct aead_job *job, struct keypair *keypair,
                        const struct wg_datagram *datagram, uint64_t now_ns)
{
    struct wg_peer *peer = keypair->peer;

    if (!keypair->receive_valid) {
        device->counters.drop_unknown_index++; /* ended by an earlier message of this batch */
        return;
    }
    if (!job->ok) {
        device->counters.drop_auth++;
        return;
    }
    if (!replay_accept(&keypair->replay, job->counter)) {
        device->counters.drop_replay++;
        return;
    }
    peer_endpoint_learn(peer, &datagram->from);
    peer->rx_bytes += datagram->length;
    if (keypairs_received_with(device, &peer->keypairs, keypair)) {
        timers_handshake_complete(peer, now_ns);
        if (!STAILQ_EMPTY(&peer->staged))
            send_staged(peer, now_ns);
    }
    receive_keep_key_fresh(peer, now_ns);
    timers_any_authenticated_packet_received(peer);
    timers_any_authenticated_packet_traversal(peer, now_ns);
    if (job->length == 0) {
        device->counters.rx_keepalive++;
        return;
    }
    timers_data_received(peer, now_ns);
    inner_take(device, peer, job, datagram->owner);
}

void receive_jobs_open(struct wg_device *device, uint64_t now_ns)
{
    struct rx_batch *rx = device->rx;

    if (rx->job_count == 0)
        return;
    device->engine->open(rx->jobs, rx->job_count);
    for (size_t i = 0; i < rx->job_count; i++)
        data_opened(device, &rx->jobs[i], rx->keypairs[i], rx->datagrams[i], now_ns);
    rx->job_count = 0;
}

static void receive_data(struct wg_device *device, struct wg_datagram *datagram, uint64_t now_ns)
{
    struct rx_batch *rx = device->rx;
    struct message_data header;
    const struct index_entry *entry;
    uint64_t counter;

    if (datagram->length < MESSAGE_DATA_MIN_LEN || datagram->length > UINT16_MAX) {
        device->counters.drop_malformed++;
        return;
    }
    memcpy(&header, datagram->data, sizeof(header));
    counter = le64toh(header.counter);
    entry = index_table_lookup(&device->indices, le32toh(header.receiver_index));
    if (!entry || !entry->keypair) {
        device->counters.drop_unknown_index++;
        return;
    }
    if (!keypair_can_receive(entry->keypair, counter, now_ns)) {
        device->counters.drop_expired++;
        return;
    }
    if (!replay_check(&entry->keypair->replay, counter)) {
        device->counters.drop_replay++;
        return;
    }
    rx->keypairs[rx->job_count] = entry->keypair;
    rx->datagrams[rx->job_count] = datagram;
    rx->jobs[rx->job_count++] = (struct aead_job){
        .key = entry->keypair->keys.receive,
        .counter = counter,
        .data = datagram->data + MESSAGE_DATA_HEADER_LEN,
        .length = (uint32_t)(datagram->length - MESSAGE_DATA_MIN_LEN),
    };
    if (rx->job_count == RX_JOBS_MAX)
        receive_jobs_open(device, now_ns);
}

void wg_receive(struct wg_device *device, struct wg_datagram *datagrams, size_t count, uint64_t now_ns)
{
    if (device->rx->busy)
        return;
    device->rx->busy = true;
    device_enter(device);
    for (size_t i = 0; i < count; i++) {
        struct message_header header = {0};

        if (datagrams[i].length >= sizeof(header))
            memcpy(&header, datagrams[i].data, sizeof(header));
        switch (le32toh(header.type)) {
        case MESSAGE_DATA:
            receive_data(device, &datagrams[i], now_ns);
            break;
        case MESSAGE_HANDSHAKE_INITIATION:
        case MESSAGE_HANDSHAKE_RESPONSE:
        case MESSAGE_HANDSHAKE_COOKIE:
            receive_handshake(device, le32toh(header.type), &datagrams[i], now_ns);
            break;
        default:
            device->counters.drop_malformed++;
        }
    }
    receive_jobs_open(device, now_ns);
    send_cookies_flush(device);
    inners_deliver(device);
    device->rx->busy = false;
    device_leave(device);
}
