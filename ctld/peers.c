/* The link's phases:
 *
 *   DOWN ── link up, list whole ──► LEARNING ── answer ──► SENDING ── all sent ──► CONFIRMING ── answer ──►
 * LIVE
 *
 * LEARNING asks what tunneld has: after a restart of ctld alone, tunneld's peers live on, perhaps at
 * addresses that they have roamed to, and a peer with a recent handshake must not be sent back to the
 * configured one. SENDING is framed by PEERS_SYNC, so that peers which are wanted no more go away. CONFIRMING
 * is one more query: since a link keeps its order, its answer means that all peers are in place. In LIVE,
 * changed peers are sent as they change.
 *
 * Sending stops where the link's queue is full and goes on from there (`cursor`, `sent_prefixes`) when it has
 * room. At most one query is under way; whoever wants fresh status meanwhile waits for its end with the
 * others. */
#include "ctld/peers.h"

#include "common/array.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

enum { WAITERS_MAX = 64 };

enum phase { DOWN = 0, LEARNING, SENDING, CONFIRMING, LIVE };

struct waiter {
    peers_done_fn done;
    void *arg, *token;
};

struct peers {
    const struct peers_ops *ops;
    void *arg;
    struct peer *items;
    size_t count, capacity;
    bool complete, link_up, sync_begun, synced_once;
    enum phase phase;
    size_t cursor,
        sent_prefixes; /* the peer, and how many of its prefixes, that SENDING or LIVE has come to */
    uint32_t last_request, query; /* `query`: the one under way, 0 = none */
    uint64_t query_deadline_ns, poll_at_ns;
    struct waiter waiters[WAITERS_MAX];
    size_t waiter_count;
    uint64_t waiters_deadline_ns;
};

struct peers *peers_new(const struct peers_ops *ops, void *arg)
{
    struct peers *peers = calloc(1, sizeof *peers);
    if (peers) {
        peers->ops = ops;
        peers->arg = arg;
        peers->poll_at_ns = UINT64_MAX;
    }
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    for (size_t i = 0; i < peers->count; i++)
        free(peers->items[i].allowed);
    free(peers->items);
    free(peers);
}

/* -- What is wanted -- */

/* Also one that is being removed. */
static struct peer *item_find(struct peers *peers, const uint8_t public_key[KEY_BYTES])
{
    for (size_t i = 0; i < peers->count; i++)
        if (memcmp(peers->items[i].public_key, public_key, KEY_BYTES) == 0)
            return &peers->items[i];
    return NULL;
}

struct peer *peers_find(struct peers *peers, const uint8_t public_key[KEY_BYTES])
{
    struct peer *peer = item_find(peers, public_key);
    return peer && !peer->removed ? peer : NULL;
}

static void peer_revive(struct peer *peer)
{
    peer->removed = false;
    peer->restart = true;
    peer->allowed_count = 0;
    peer->keepalive_s = 0;
    peer->dirty = true;
}

struct peer *peers_get(struct peers *peers, const uint8_t public_key[KEY_BYTES])
{
    struct peer *peer = item_find(peers, public_key);
    if (peer && peer->removed)
        peer_revive(peer);
    if (peer)
        return peer;
    struct peer *grown = array_reserve(peers->items, &peers->capacity, peers->count + 1, sizeof *peer);
    if (!grown)
        return NULL;
    peers->items = grown;
    peer = &peers->items[peers->count++];
    *peer = (struct peer){.dirty = true, .send_endpoint = true};
    memcpy(peer->public_key, public_key, KEY_BYTES);
    return peer;
}

int peers_allow(struct peer *peer, const struct netprefix *prefixes, size_t count)
{
    struct netprefix *grown = array_reserve(peer->allowed, &peer->allowed_capacity,
                                            peer->allowed_count + count, sizeof *peer->allowed);
    if (!grown)
        return NX_ENOMEM;
    peer->allowed = grown;
    if (count > 0)
        memcpy(peer->allowed + peer->allowed_count, prefixes, count * sizeof *prefixes);
    peer->allowed_count += count;
    peer->dirty = true;
    return NX_OK;
}

int peers_replace_allowed(struct peer *peer, const struct netprefix *prefixes, size_t count)
{
    const size_t before = peer->allowed_count;
    peer->allowed_count = 0;
    const int err = peers_allow(peer, prefixes, count);
    if (err)
        peer->allowed_count = before;
    else
        peer->restart = true;
    return err;
}

void peers_remove(struct peers *peers, const uint8_t public_key[KEY_BYTES])
{
    struct peer *peer = peers_find(peers, public_key);
    if (!peer)
        return;
    peer->removed = peer->dirty = true;
    peer->status.known = false;
}

void peers_set_endpoint(struct peer *peer, const struct netsock *endpoint)
{
    peer->endpoint = *endpoint;
    peer->dirty = peer->send_endpoint = true;
}

void peers_complete(struct peers *peers)
{
    peers->complete = true;
}

/* -- Sending -- */

static int message_send(struct peers *peers, enum ipc_type type, uint32_t request, const void *body)
{
    return peers->ops->send(peers->arg, type, request, body);
}

static int send_query(struct peers *peers, uint64_t now_ns)
{
    if (peers->query)
        return NX_OK;
    uint32_t request = peers->last_request + 1 ? peers->last_request + 1 : 1;
    const struct ipc_peers_query query = {.version = 1};
    int err = message_send(peers, IPC_MSG_PEERS_QUERY, request, &query);
    if (err)
        return err;
    peers->last_request = peers->query = request;
    peers->query_deadline_ns = now_ns + PEERS_QUERY_TIMEOUT_MS * NS_PER_MS;
    peers->poll_at_ns = UINT64_MAX;
    return NX_OK;
}

/* The peer may have gone while its list was being sent. */
static int send_removal(struct peers *peers, struct peer *peer)
{
    struct ipc_peer_remove body;
    memcpy(body.public_key, peer->public_key, KEY_BYTES);
    int err = message_send(peers, IPC_MSG_PEER_REMOVE, 0, &body);
    if (err)
        return err;
    peers->sent_prefixes = 0;
    peer->dirty = false;
    return NX_OK;
}

/* What is left of the peer at the cursor: the first message carries its endpoint, the others continue the
 * list. */
static int send_peer(struct peers *peers, struct peer *peer)
{
    if (peer->removed)
        return send_removal(peers, peer);
    if (peer->restart)
        peers->sent_prefixes = 0;
    peer->restart = false;
    do {
        struct ipc_peer_set set = {.keepalive_s = peer->keepalive_s, .append = peers->sent_prefixes > 0};
        memcpy(set.public_key, peer->public_key, KEY_BYTES);
        if (!set.append && peer->send_endpoint)
            set.endpoint = peer->endpoint;
        size_t left = peer->allowed_count - peers->sent_prefixes;
        set.allowed.count = (uint16_t)(left < IPC_PREFIXES_MAX ? left : IPC_PREFIXES_MAX);
        memcpy(set.allowed.item, peer->allowed + peers->sent_prefixes,
               set.allowed.count * sizeof *set.allowed.item);
        int err = message_send(peers, IPC_MSG_PEER_SET, 0, &set);
        if (err)
            return err;
        peers->sent_prefixes += set.allowed.count;
    } while (peers->sent_prefixes < peer->allowed_count);
    peers->sent_prefixes = 0;
    peer->dirty = peer->send_endpoint = false;
    return NX_OK;
}

/* All dirty peers, from the cursor on and then those before it. */
static int send_dirty(struct peers *peers)
{
    bool whole = peers->cursor == 0;
    for (; peers->cursor < peers->count; peers->cursor++) {
        struct peer *peer = &peers->items[peers->cursor];
        int err = peer->dirty ? send_peer(peers, peer) : NX_OK;
        if (err)
            return err;
    }
    peers->cursor = 0;
    return whole ? NX_OK : send_dirty(peers);
}

/* tunneld knows that these are gone. */
static void forget_removed(struct peers *peers)
{
    size_t kept = 0;
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        if (peer->removed && !peer->dirty)
            free(peer->allowed);
        else
            peers->items[kept++] = *peer;
    }
    peers->count = kept;
}

static int send_frame(struct peers *peers, bool begin)
{
    const struct ipc_peers_sync sync = {.begin = begin};
    return message_send(peers, IPC_MSG_PEERS_SYNC, 0, &sync);
}

static int send_all(struct peers *peers)
{
    int err = peers->sync_begun ? NX_OK : send_frame(peers, true);
    if (err)
        return err;
    peers->sync_begun = true;
    err = send_dirty(peers);
    return err ? err : send_frame(peers, false);
}

void peers_pump(struct peers *peers, uint64_t now_ns)
{
    if (!peers->link_up || !peers->complete)
        return;
    if (peers->phase == DOWN && send_query(peers, now_ns) == NX_OK)
        peers->phase = LEARNING;
    if (peers->phase == SENDING && send_all(peers) == NX_OK)
        peers->phase = CONFIRMING;
    if (peers->phase == CONFIRMING && send_query(peers, now_ns) != NX_OK)
        return;
    if (peers->phase == LIVE && send_dirty(peers) == NX_OK)
        forget_removed(peers);
}

/* -- Answers -- */

static void waiters_call(struct peers *peers)
{
    struct waiter waiters[WAITERS_MAX];
    size_t count = peers->waiter_count;
    memcpy(waiters, peers->waiters, count * sizeof *waiters);
    peers->waiter_count = 0; /* a waiter may ask again */
    for (size_t i = 0; i < count; i++)
        waiters[i].done(waiters[i].arg, waiters[i].token);
}

static bool is_alive(const struct peer *peer, uint64_t now_ns)
{
    const struct peer_status *status = &peer->status;
    return status->known && status->handshake_ns &&
           now_ns - status->handshake_ns < PEERS_ALIVE_MS * NS_PER_MS;
}

/* Everything is to be sent again, but a peer that is well keeps the endpoint that tunneld has. */
static void start_sending(struct peers *peers, uint64_t now_ns)
{
    for (size_t i = 0; i < peers->count; i++) {
        struct peer *peer = &peers->items[i];
        peer->dirty = true;
        peer->send_endpoint = !is_alive(peer, now_ns);
    }
    peers->cursor = peers->sent_prefixes = 0;
    peers->sync_begun = false;
    peers->phase = SENDING;
}

/* The query under way has been answered, or will not be. */
static void query_over(struct peers *peers, bool answered, uint64_t now_ns)
{
    peers->query = 0;
    if (peers->phase == LEARNING) {
        start_sending(peers, now_ns);
    } else if (peers->phase == CONFIRMING && answered) {
        peers->phase = LIVE;
        peers->ops->on_synced(peers->arg);
    }
    waiters_call(peers);
    peers_pump(peers, now_ns);
}

static void status_take(struct peers *peers, const struct ipc_peer_status *report, uint64_t now_ns,
                        uint64_t wall_s)
{
    struct peer *peer = peers_find(peers, report->public_key);
    if (!peer)
        return;
    struct peer_status *status = &peer->status;
    *status = (struct peer_status){.known = true,
                                   .endpoint = report->endpoint,
                                   .handshake_unix_s = report->handshake_unix_s,
                                   .rx_bytes = report->rx_bytes,
                                   .tx_bytes = report->tx_bytes};
    if (report->handshake_unix_s) {
        uint64_t age_s = wall_s > report->handshake_unix_s ? wall_s - report->handshake_unix_s : 0;
        uint64_t boot_s = now_ns / NS_PER_S; /* nothing is older than the clock */
        status->handshake_ns = age_s < boot_s ? now_ns - age_s * NS_PER_S : 1;
    }
    peers->ops->on_status(peers->arg, peer, now_ns);
}

void peers_message(struct peers *peers, const struct ipc_message *message, uint64_t now_ns, uint64_t wall_s)
{
    if (message->header.type == IPC_MSG_PEER_STATUS) {
        status_take(peers, &message->body.peer_status, now_ns, wall_s);
        return;
    }
    if (message->header.type != IPC_MSG_RESULT || !peers->query || message->header.request != peers->query)
        return;
    if (message->body.result.result != IPC_OK)
        log_warn("the tunnel's report on its peers is incomplete: %s", message->body.result.text);
    query_over(peers, true, now_ns);
}

void peers_link_up(struct peers *peers, uint64_t now_ns)
{
    peers_link_down(peers);
    for (size_t i = 0; i < peers->count; i++)
        peers->items[i].status.known = false;
    peers->link_up = true;
    peers_pump(peers, now_ns);
}

void peers_link_down(struct peers *peers)
{
    peers->link_up = false;
    peers->phase = DOWN;
    peers->query = 0;
    waiters_call(peers);
}

/* -- Reading -- */

size_t peers_count(const struct peers *peers)
{
    return peers->count;
}

const struct peer *peers_at(const struct peers *peers, size_t index)
{
    return &peers->items[index];
}

bool peers_synced(const struct peers *peers)
{
    return peers->phase == LIVE;
}

int peers_refresh(struct peers *peers, peers_done_fn done, void *arg, void *token, uint64_t now_ns)
{
    if (peers->waiter_count == WAITERS_MAX)
        return NX_EAGAIN;
    /* In the phases before LIVE a query is under way or will follow by itself. */
    if (!peers->link_up || !peers->complete || (peers->phase == LIVE && send_query(peers, now_ns) != NX_OK)) {
        done(arg, token);
        return NX_OK;
    }
    if (peers->waiter_count == 0)
        peers->waiters_deadline_ns = now_ns + PEERS_QUERY_TIMEOUT_MS * NS_PER_MS;
    peers->waiters[peers->waiter_count++] = (struct waiter){done, arg, token};
    return NX_OK;
}

void peers_refresh_cancel(struct peers *peers, const void *token)
{
    size_t kept = 0;
    for (size_t i = 0; i < peers->waiter_count; i++)
        if (peers->waiters[i].token != token)
            peers->waiters[kept++] = peers->waiters[i];
    peers->waiter_count = kept;
}

void peers_poll_at(struct peers *peers, uint64_t at_ns)
{
    if (at_ns < peers->poll_at_ns)
        peers->poll_at_ns = at_ns;
}

void peers_run(struct peers *peers, uint64_t now_ns)
{
    if (peers->query && now_ns >= peers->query_deadline_ns) {
        log_warn("the tunnel does not answer");
        query_over(peers, false, now_ns);
    }
    if (peers->waiter_count && now_ns >= peers->waiters_deadline_ns)
        waiters_call(peers);
    if (peers->phase == LIVE && now_ns >= peers->poll_at_ns && send_query(peers, now_ns) != NX_OK)
        peers->poll_at_ns = now_ns + PEERS_QUERY_TIMEOUT_MS * NS_PER_MS;
}

uint64_t peers_next_ns(const struct peers *peers)
{
    uint64_t next_ns = peers->query ? peers->query_deadline_ns : UINT64_MAX;
    if (peers->waiter_count && peers->waiters_deadline_ns < next_ns)
        next_ns = peers->waiters_deadline_ns;
    if (peers->phase == LIVE && !peers->query && peers->poll_at_ns < next_ns)
        next_ns = peers->poll_at_ns;
    return next_ns;
}
