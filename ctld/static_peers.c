/* One entry a peer: its endpoint's state machine and the look-up under way for it. Look-ups are tied to their
 * entries by request id; while the link to proxyd is down none is started, and the ones under way are
 * forgotten. */
#include "ctld/static_peers.h"

#include "common/array.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/endpoint.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint8_t public_key[KEY_BYTES];
    struct endpoint endpoint;
    uint32_t request; /* of the look-up under way, 0 = none */
};

struct static_peers {
    struct peers *peers;
    const struct static_peers_ops *ops;
    void *arg;
    struct entry *entries;
    size_t count, capacity;
    size_t lookups;
    uint32_t last_request;
    bool resolver_up;
};

struct static_peers *static_peers_new(struct peers *peers, const struct static_peers_ops *ops, void *arg)
{
    struct static_peers *source = calloc(1, sizeof *source);
    if (source) {
        source->peers = peers;
        source->ops = ops;
        source->arg = arg;
    }
    return source;
}

void static_peers_free(struct static_peers *source)
{
    if (!source)
        return;
    free(source->entries);
    free(source);
}

static struct entry *entry_find(struct static_peers *source, const uint8_t public_key[KEY_BYTES])
{
    for (size_t i = 0; i < source->count; i++)
        if (memcmp(source->entries[i].public_key, public_key, KEY_BYTES) == 0)
            return &source->entries[i];
    return NULL;
}

static struct entry *entry_add(struct static_peers *source, const uint8_t public_key[KEY_BYTES])
{
    struct entry *grown = array_reserve(source->entries, &source->capacity, source->count + 1, sizeof *grown);
    if (!grown)
        return NULL;
    source->entries = grown;
    struct entry *entry = &source->entries[source->count++];
    *entry = (struct entry){0};
    memcpy(entry->public_key, public_key, KEY_BYTES);
    return entry;
}

int static_peers_add(struct static_peers *source, const struct ipc_static_peer *message, uint64_t now_ns)
{
    struct peer *peer = peers_get(source->peers, message->public_key);
    if (!peer || peers_allow(peer, message->allowed.item, message->allowed.count))
        return NX_ENOMEM;
    if (message->append)
        return NX_OK;
    peer->keepalive_s = message->keepalive_s;
    struct entry *entry = entry_find(source, message->public_key);
    if (!entry)
        entry = entry_add(source, message->public_key);
    if (!entry)
        return NX_ENOMEM;
    int err = endpoint_init(&entry->endpoint, message->endpoint_host, message->endpoint_port, now_ns);
    if (err)
        log_error("endpoint \"%s\" is neither an address nor a host name; its peer must come to us",
                  message->endpoint_host);
    return err;
}

void static_peers_status(struct static_peers *source, const struct peer *peer, uint64_t now_ns)
{
    struct entry *entry = entry_find(source, peer->public_key);
    if (entry)
        endpoint_status(&entry->endpoint, peer->status.handshake_ns, peer->status.tx_bytes, now_ns);
}

static void lookup_start(struct static_peers *source, struct entry *entry, uint64_t now_ns)
{
    uint32_t request = source->last_request + 1 ? source->last_request + 1 : 1;
    struct ipc_resolve resolve;
    memcpy(resolve.host, entry->endpoint.host, sizeof resolve.host);
    endpoint_resolving(&entry->endpoint);
    if (source->ops->send(source->arg, IPC_MSG_RESOLVE, request, &resolve)) {
        endpoint_resolve_failed(&entry->endpoint, now_ns);
        return;
    }
    source->last_request = entry->request = request;
    source->lookups++;
}

void static_peers_message(struct static_peers *source, const struct ipc_message *message, uint64_t now_ns)
{
    struct entry *entry = NULL;
    for (size_t i = 0; i < source->count && message->header.request; i++)
        if (source->entries[i].request == message->header.request)
            entry = &source->entries[i];
    if (!entry)
        return;
    entry->request = 0;
    source->lookups--;
    if (message->header.type == IPC_MSG_RESOLVED) {
        const struct ipc_resolved *resolved = &message->body.resolved;
        endpoint_resolved(&entry->endpoint, resolved->addresses.item, resolved->addresses.count,
                          resolved->ttl_s, now_ns);
        return;
    }
    log_warn("endpoint \"%s\": %s; the next look-up is in %u ms", entry->endpoint.host,
             message->body.result.text[0] ? message->body.result.text : "not found",
             entry->endpoint.backoff_ms);
    endpoint_resolve_failed(&entry->endpoint, now_ns);
}

void static_peers_resolver_up(struct static_peers *source, uint64_t now_ns)
{
    static_peers_resolver_down(source);
    source->resolver_up = true;
    for (size_t i = 0; i < source->count; i++)
        endpoint_retry(&source->entries[i].endpoint, now_ns);
}

void static_peers_resolver_down(struct static_peers *source)
{
    source->resolver_up = false;
    source->lookups = 0;
    for (size_t i = 0; i < source->count; i++)
        source->entries[i].request = 0;
}

static void endpoint_use(struct static_peers *source, const struct entry *entry)
{
    struct peer *peer = peers_find(source->peers, entry->public_key);
    const struct netsock address = endpoint_address(&entry->endpoint);
    char text[NETSOCK_TEXT_MAX];
    if (!entry->endpoint.literal)
        log_info("endpoint \"%s\": using %s", entry->endpoint.host, netsock_format(&address, text));
    if (peer)
        peers_set_endpoint(peer, &address);
}

static void entry_run(struct static_peers *source, struct entry *entry, uint64_t now_ns)
{
    enum endpoint_step step = endpoint_step(&entry->endpoint, now_ns);
    if (step == ENDPOINT_USE) {
        endpoint_use(source, entry);
        step = endpoint_step(&entry->endpoint, now_ns);
    }
    if (step == ENDPOINT_RESOLVE && source->resolver_up && source->lookups < STATIC_LOOKUPS_MAX)
        lookup_start(source, entry, now_ns);
    uint64_t due_ns = endpoint_status_due_ns(&entry->endpoint, now_ns);
    if (due_ns != UINT64_MAX)
        peers_poll_at(source->peers, due_ns);
}

void static_peers_run(struct static_peers *source, uint64_t now_ns)
{
    for (size_t i = 0; i < source->count; i++)
        entry_run(source, &source->entries[i], now_ns);
}

/* A look-up that has to wait, for proxyd or for its turn, is started by the event that it waits for. */
uint64_t static_peers_next_ns(const struct static_peers *source)
{
    if (!source->resolver_up || source->lookups >= STATIC_LOOKUPS_MAX)
        return UINT64_MAX;
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < source->count; i++) {
        uint64_t entry_ns = endpoint_next_ns(&source->entries[i].endpoint);
        next_ns = entry_ns < next_ns ? entry_ns : next_ns;
    }
    return next_ns;
}
