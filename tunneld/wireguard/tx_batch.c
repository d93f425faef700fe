/* Layout of the arena: messages follow each other without gaps, so that a group of one peer's messages is one
 * iovec, or few where peers take turns.
 *
 *   | header 16 | packet, padded | tag 16 | header 16 | packet, padded | tag 16 | ...
 *
 * Entries of one peer are chained in order. A group is a run of such a chain with equal sizes, whose last one
 * may be shorter: what UDP_SEGMENT cuts. The order between peers does not matter and is not kept. */
#include "tunneld/wireguard/tx_batch.h"

#include "common/err.h"
#include "tunneld/wireguard/device.h"
#include <stdlib.h>
#include <string.h>

struct tx_batch *tx_batch_new(void)
{
    struct tx_batch *batch = calloc(1, sizeof(*batch));

    if (batch)
        batch->arena = malloc(TX_ARENA_BYTES);
    if (!batch || !batch->arena) {
        free(batch);
        return NULL;
    }
    return batch;
}

void tx_batch_free(struct tx_batch *batch)
{
    if (!batch)
        return;
    free(batch->pending.staged);
    free(batch->arena);
    free(batch);
}

/* To a multiple of 16, but never beyond the MTU (paper, section 5.4.6). */
static size_t padded_length(const struct wg_device *device, size_t length)
{
    size_t padded = (length + MESSAGE_PADDING_MULTIPLE - 1) & ~(size_t)(MESSAGE_PADDING_MULTIPLE - 1);

    if (padded > device->mtu)
        padded = length > device->mtu ? length : device->mtu;
    return padded;
}

static size_t message_length(const struct tx_entry *entry)
{
    return entry->text_length + (size_t)WG_DATA_OVERHEAD;
}

bool tx_batch_is_full(const struct wg_device *device, size_t length)
{
    const struct tx_batch *batch = device->tx;

    return batch->count == TX_ENTRIES_MAX ||
           batch->used + padded_length(device, length) + WG_DATA_OVERHEAD > TX_ARENA_BYTES;
}

bool tx_batch_make_room(struct wg_device *device, size_t length, uint64_t now_ns)
{
    if (device->tx->flushing)
        return false;
    if (tx_batch_is_full(device, length))
        wg_tx_flush(device, now_ns);
    return true;
}

uint8_t *tx_batch_slot(struct wg_device *device)
{
    return device->tx->arena + device->tx->used + MESSAGE_DATA_HEADER_LEN;
}

void tx_batch_add(struct wg_device *device, struct wg_peer *peer, size_t length)
{
    struct tx_batch *batch = device->tx;
    struct keypair *keypair = peer->keypairs.current;
    struct tx_entry *entry = &batch->entries[batch->count];
    size_t padded = padded_length(device, length);
    uint8_t *message = batch->arena + batch->used;
    struct message_data header;

    *entry = (struct tx_entry){
        .peer = peer,
        .keypair = keypair,
        .counter = keypair->send_counter++,
        .offset = (uint32_t)batch->used,
        .text_length = (uint32_t)padded,
        .next = -1,
        .first = peer->batch_tail < 0,
    };
    header.header.type = htole32(MESSAGE_DATA);
    header.receiver_index = htole32(keypair->remote_index);
    header.counter = htole64(entry->counter);
    memcpy(message, &header, sizeof(header));
    memset(message + sizeof(header) + length, 0, padded - length);
    if (!entry->first)
        batch->entries[peer->batch_tail].next = (int)batch->count;
    peer->batch_tail = (int)batch->count;
    batch->count++;
    batch->used += message_length(entry);
}

void tx_batch_seal(struct wg_device *device)
{
    struct tx_batch *batch = device->tx;
    size_t count = 0;

    for (; batch->sealed < batch->count; batch->sealed++) {
        const struct tx_entry *entry = &batch->entries[batch->sealed];

        if (!entry->peer)
            continue;
        batch->jobs[count++] = (struct aead_job){
            .key = entry->keypair->keys.send,
            .counter = entry->counter,
            .data = batch->arena + entry->offset + MESSAGE_DATA_HEADER_LEN,
            .length = entry->text_length,
        };
    }
    if (count > 0)
        device->engine->seal(batch->jobs, count);
}

void tx_batch_forget_peer(struct wg_device *device, const struct wg_peer *peer)
{
    struct tx_batch *batch = device->tx;

    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].peer == peer)
            batch->entries[i].peer = NULL;
    if (batch->pending.peer == peer)
        batch->pending.peer = NULL;
}

static bool group_takes(const struct wg_out *group, size_t bytes, size_t last, size_t next)
{
    return group->datagrams < TX_GROUP_DATAGRAMS_MAX && last == group->segment && next <= group->segment &&
           bytes + next <= TX_GROUP_BYTES_MAX;
}

/* Adds a message to a group's iovecs, which end at *iov_count, lengthening the last where it is adjacent. */
static void group_append(struct tx_batch *batch, struct wg_out *group, size_t *iov_count,
                         const struct tx_entry *entry)
{
    uint8_t *message = batch->arena + entry->offset;
    struct iovec *last = group->iov_count > 0 ? &batch->iovs[*iov_count - 1] : NULL;

    group->datagrams++;
    if (last && (uint8_t *)last->iov_base + last->iov_len == message) {
        last->iov_len += message_length(entry);
        return;
    }
    batch->iovs[(*iov_count)++] = (struct iovec){message, message_length(entry)};
    group->iov_count++;
}

/* Makes the groups of the peer whose chain begins with `first`; returns how many datagrams. */
static void peer_groups_make(struct tx_batch *batch, const struct tx_entry *first, size_t *out_count,
                             size_t *iov_count)
{
    struct wg_out *group = NULL;
    size_t bytes = 0, last = 0;

    for (const struct tx_entry *entry = first; entry;
         entry = entry->next < 0 ? NULL : &batch->entries[entry->next]) {
        size_t length = message_length(entry);

        if (!group || !group_takes(group, bytes, last, length)) {
            group = &batch->outs[(*out_count)++];
            *group = (struct wg_out){
                .to = first->peer->endpoint, .iov = &batch->iovs[*iov_count], .segment = (uint16_t)length};
            bytes = 0;
        }
        group_append(batch, group, iov_count, entry);
        bytes += length;
        last = length;
        first->peer->tx_bytes += length;
    }
}

/* Tells a peer's timers what its chain holds. */
static void peer_sent(struct wg_device *device, const struct tx_entry *first, uint64_t now_ns)
{
    struct wg_peer *peer = first->peer;
    bool data = false;

    for (const struct tx_entry *entry = first; entry;
         entry = entry->next < 0 ? NULL : &device->tx->entries[entry->next]) {
        if (entry->text_length > 0) {
            data = true;
            device->counters.tx_data++;
        } else {
            device->counters.tx_keepalive++;
        }
    }
    peer->batch_tail = -1;
    timers_any_authenticated_packet_traversal(peer, now_ns);
    timers_any_authenticated_packet_sent(peer);
    if (data)
        timers_data_sent(peer, now_ns);
}

void wg_tx_flush(struct wg_device *device, uint64_t now_ns)
{
    struct tx_batch *batch = device->tx;
    size_t out_count = 0, iov_count = 0;

    if (batch->count == 0 || batch->flushing)
        return;
    batch->flushing = true;
    device_enter(device);
    tx_batch_seal(device);
    for (size_t i = 0; i < batch->count; i++) {
        const struct tx_entry *entry = &batch->entries[i];

        if (!entry->first || !entry->peer)
            continue;
        peer_groups_make(batch, entry, &out_count, &iov_count);
        peer_sent(device, entry, now_ns);
    }
    if (out_count > 0)
        device->ops.transmit(device->ops_arg, batch->outs, out_count);
    /* The owner may have removed peers meanwhile, here and in what follows. */
    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].first && batch->entries[i].peer)
            send_keep_key_fresh(batch->entries[i].peer, now_ns);
    batch->count = batch->sealed = batch->used = 0;
    batch->flushing = false;
    device_leave(device);
}

int wg_tx_begin(struct wg_device *device, const struct netaddr *dst, size_t length, uint64_t now_ns,
                uint8_t **slot)
{
    struct tx_batch *batch = device->tx;
    struct wg_peer *peer;

    if (length == 0 || length > WG_MTU_MAX)
        return NX_ERANGE;
    /* First, because a flush may remove peers. */
    if (!tx_batch_make_room(device, length, now_ns))
        return NX_EAGAIN;
    peer = allowedips_lookup(&device->allowed, dst);
    if (!peer || !peer_has_endpoint(peer)) {
        device->counters.drop_no_route++;
        return NX_ENOENT;
    }
    free(batch->pending.staged);
    batch->pending.staged = NULL;
    batch->pending.peer = peer;
    batch->pending.length = length;
    batch->pending.now_ns = now_ns;
    if (keypair_can_send(device, peer->keypairs.current, now_ns)) {
        *slot = tx_batch_slot(device);
        return NX_OK;
    }
    if (device->staged_bytes + length <= STAGED_BYTES_MAX)
        batch->pending.staged = malloc(sizeof(*batch->pending.staged) + length);
    if (!batch->pending.staged) {
        batch->pending.peer = NULL;
        device->counters.drop_staged++;
        return NX_ENOMEM;
    }
    batch->pending.staged->length = length;
    *slot = batch->pending.staged->data;
    return NX_OK;
}

void wg_tx_end(struct wg_device *device)
{
    struct tx_batch *batch = device->tx;
    struct wg_peer *peer = batch->pending.peer;
    struct staged_packet *staged = batch->pending.staged;

    batch->pending.peer = NULL;
    batch->pending.staged = NULL;
    if (!peer) {
        free(staged);
        return;
    }
    if (!staged) {
        tx_batch_add(device, peer, batch->pending.length);
        return;
    }
    device_enter(device);
    peer_staged_push(peer, staged);
    send_handshake_initiation(peer, false, batch->pending.now_ns);
    device_leave(device);
}
