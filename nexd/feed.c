/* A walk through stages; each step sends one message. It pauses when a few messages wait in the link's queue,
 * and goes on when the link has room again; what ctld was told before stays in order with what follows. */
#include "nexd/feed.h"

#include "common/err.h"
#include "common/log.h"
#include "nexd/parent.h"

#include <sodium.h>
#include <string.h>

void feed_init(struct feed *feed)
{
    *feed = (struct feed){.reader.fd = -1};
}

void feed_stop(struct feed *feed)
{
    slot_read_end(&feed->reader);
    feed_init(feed);
}

static void stage_next(struct feed *feed)
{
    feed->stage = feed->stage == FEED_DONE ? FEED_IDLE : feed->stage + 1;
    feed->index = 0;
}

static int send_credential(struct parent_child *ctld, struct feed *feed)
{
    struct ipc_credential credential;
    int err = NX_OK;
    if (feed->index == IPC_CREDENTIAL_LAST) {
        stage_next(feed);
        return NX_OK;
    }
    enum ipc_credential_kind kind = (enum ipc_credential_kind)++ feed->index;
    if (vault_credential(ctld->parent->config->vault, kind, &credential))
        err = ipc_send(ctld->link, IPC_MSG_CREDENTIAL, 0, &credential);
    sodium_memzero(&credential, sizeof credential);
    return err;
}

static int send_stun_server(struct parent_child *ctld, struct feed *feed)
{
    const struct network_config *network = ctld->parent->config->network;
    if (feed->index == network->stun_server_count) {
        stage_next(feed);
        return NX_OK;
    }
    return ipc_send(ctld->link, IPC_MSG_STUN_SERVER, 0, &network->stun_servers[feed->index++]);
}

static int send_piece(struct parent_child *ctld, struct feed *feed)
{
    struct ipc_stored piece = {.slot = (uint8_t)feed->index, .first = feed->first};
    piece.data.length = (uint16_t)slot_read_piece(&feed->reader, piece.data.data, IPC_STORED_MAX);
    piece.last = feed->reader.left == 0;
    feed->first = false;
    int err = ipc_send(ctld->link, IPC_MSG_STORED, 0, &piece);
    sodium_memzero(&piece, sizeof piece);
    if (feed->reader.left == 0) {
        slot_read_end(&feed->reader);
        feed->reading = false;
    }
    return err;
}

/* An empty slot needs no message: ctld knows nothing at its start. */
static int send_document(struct parent_child *ctld, struct feed *feed)
{
    char error[STATE_ERROR_MAX];
    if (feed->reading)
        return send_piece(ctld, feed);
    if (feed->index == IPC_SLOT_LAST) {
        stage_next(feed);
        return NX_OK;
    }
    enum ipc_slot slot = (enum ipc_slot)++ feed->index;
    if (slot_read_begin(ctld->parent->config->state, slot, &feed->reader, error))
        log_warn("%s", error);
    feed->reading = feed->first = feed->reader.left > 0;
    if (!feed->reading)
        slot_read_end(&feed->reader);
    return NX_OK;
}

static int step(struct parent_child *ctld, struct feed *feed)
{
    const struct network_config *network = ctld->parent->config->network;
    const struct ipc_network_done done = {.stun_servers = (uint32_t)network->stun_server_count};
    int err = NX_OK;
    switch (feed->stage) {
    case FEED_IDLE:
        break;
    case FEED_NETWORK:
        err = ipc_send(ctld->link, IPC_MSG_NETWORK, 0, &network->network);
        stage_next(feed);
        break;
    case FEED_CREDENTIALS:
        err = send_credential(ctld, feed);
        break;
    case FEED_STUN_SERVERS:
        err = send_stun_server(ctld, feed);
        break;
    case FEED_DOCUMENTS:
        err = send_document(ctld, feed);
        break;
    case FEED_DONE:
        err = ipc_send(ctld->link, IPC_MSG_NETWORK_DONE, 0, &done);
        stage_next(feed);
        break;
    }
    return err;
}

static int run(struct parent_child *ctld, struct feed *feed)
{
    int err = NX_OK;
    while (err == NX_OK && feed->stage != FEED_IDLE) {
        if (ipc_link_queued(ctld->link) >= FEED_QUEUE_MAX) {
            ipc_link_await_room(ctld->link);
            return NX_OK;
        }
        err = step(ctld, feed);
    }
    return err;
}

void feed_start(struct parent_child *ctld, int *err)
{
    struct feed *feed = &ctld->parent->feed;
    if (*err)
        return;
    feed_stop(feed);
    feed->stage = FEED_NETWORK;
    *err = run(ctld, feed);
}

void feed_run(struct parent_child *ctld)
{
    int err = ctld->link ? run(ctld, &ctld->parent->feed) : NX_OK;
    if (err && err != NX_ECLOSED)
        parent_misbehaved(ctld, nx_strerror(err));
}
