/* A sweep is an array of targets, in the order of devices or peers. `next` runs through it once for each try;
 * a target's request id is its index, so an answer needs no search. A sweep ends when every target is
 * answered, so no answer of one sweep is left over for the next; those of a dead link never come. */
#include "ctld/connectivity.h"

#include "common/array.h"
#include "common/clock.h"
#include "common/err.h"

#include <stdlib.h>
#include <string.h>

enum { FAMILIES = 2, TEXT_MAX = 8 << 20, FAMILY_BIT = 1 << 29 };

struct target {
    struct netaddr address;
    char *hostname;
    const char *method; /* a constant */
    uint64_t round_trip_ns;
    uint8_t tries; /* sent so far */
    bool waiting, reachable;
};

struct sweep {
    struct connectivity *owner;
    uint32_t family_bit;
    struct target *targets;
    size_t capacity, count, open, waiting, next; /* `open`: neither reached nor given up */
    struct control_call *calls[CONTROL_CLIENTS_MAX];
    bool running;
};

struct connectivity {
    const struct connectivity_ops *ops;
    void *arg;
    struct sweep sweeps[FAMILIES];
};

struct connectivity *connectivity_new(const struct connectivity_ops *ops, void *arg)
{
    struct connectivity *connectivity = calloc(1, sizeof *connectivity);
    if (!connectivity)
        return NULL;
    connectivity->ops = ops;
    connectivity->arg = arg;
    for (size_t i = 0; i < FAMILIES; i++) {
        connectivity->sweeps[i].owner = connectivity;
        connectivity->sweeps[i].family_bit = i ? FAMILY_BIT : 0;
    }
    return connectivity;
}

static void targets_free(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        free(sweep->targets[i].hostname);
    free(sweep->targets);
    sweep->targets = NULL;
    sweep->capacity = sweep->count = 0;
    sweep->running = false;
}

void connectivity_free(struct connectivity *connectivity)
{
    if (!connectivity)
        return;
    for (size_t i = 0; i < FAMILIES; i++)
        targets_free(&connectivity->sweeps[i]);
    free(connectivity);
}

/* -- The answer -- */

static void put_target(struct jsonrpc_text *text, const struct target *target, bool first)
{
    char address[NETADDR_TEXT_MAX];
    netaddr_format(&target->address, address);
    jsonrpc_putf(text, "%s\"%s\":{\"wg_ip\":\"%s\",\"is_reachable\":%s,\"hostname\":", first ? "" : ",",
                 address, address, target->reachable ? "true" : "false");
    jsonrpc_put_string(text, target->hostname, strlen(target->hostname));
    if (target->reachable)
        jsonrpc_putf(text, ",\"Latency\":\"%.2fms\"", (double)target->round_trip_ns / (double)NS_PER_MS);
    else
        jsonrpc_putf(text, ",\"Latency\":\"-\"");
    jsonrpc_putf(text, ",\"method\":\"%s\"}", target->method);
}

static void sweep_finish(struct sweep *sweep)
{
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, TEXT_MAX);
    jsonrpc_putf(&text, "{\"relay-present\":false,\"relay-required\":false,\"peers\":{");
    for (size_t i = 0; i < sweep->count; i++)
        put_target(&text, &sweep->targets[i], i == 0);
    jsonrpc_put(&text, "}}", 2);
    targets_free(sweep); /* a client that is answered may ask again at once */
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        struct control_call *call = sweep->calls[i];
        sweep->calls[i] = NULL;
        if (call && text.failed)
            control_refuse(call, "the answer does not fit into memory");
        else if (call)
            control_answer(call, text.data, text.length);
    }
    jsonrpc_text_free(&text);
}

/* -- Targets -- */

/* The peer's address of that family: the first prefix that is one address. */
static const struct netaddr *peer_address(const struct peer *peer, enum netaddr_family family)
{
    unsigned whole = family == NETADDR_V4 ? 32 : 128;
    for (size_t i = 0; i < peer->allowed_count; i++)
        if (peer->allowed[i].addr.family == family && peer->allowed[i].length == whole)
            return &peer->allowed[i].addr;
    return NULL;
}

static int target_add(struct sweep *sweep, const char *hostname, const char *method,
                      const struct netaddr *address)
{
    struct target *const targets =
        array_reserve(sweep->targets, &sweep->capacity, sweep->count + 1, sizeof *targets);
    if (!targets)
        return NX_ENOMEM;
    sweep->targets = targets;
    struct target *const target = &targets[sweep->count];
    *target = (struct target){.address = *address, .hostname = strdup(hostname), .method = method};
    if (!target->hostname)
        return NX_ENOMEM;
    sweep->count++;
    return NX_OK;
}

struct device_walk {
    struct sweep *sweep;
    enum netaddr_family family;
    int err;
};

static void device_add(void *arg, const struct connectivity_device *device)
{
    struct device_walk *const walk = arg;
    const struct netaddr *const address = walk->family == NETADDR_V4 ? &device->v4 : &device->v6;
    char text[NETADDR_TEXT_MAX];
    if (address->family == NETADDR_NONE || walk->err)
        return;
    const char *const hostname = device->hostname[0] ? device->hostname : netaddr_format(address, text);
    walk->err = target_add(walk->sweep, hostname, device->method, address);
}

static int peers_add(struct sweep *sweep, const struct peers *peers, enum netaddr_family family)
{
    int err = NX_OK;
    for (size_t i = 0; i < peers_count(peers) && !err; i++) {
        const struct peer *const peer = peers_at(peers, i);
        const struct netaddr *const address = peer->removed ? NULL : peer_address(peer, family);
        char key[KEY_TEXT_MAX];
        if (address)
            err = target_add(sweep, key_format(peer->public_key, key), "static", address);
    }
    return err;
}

static int sweep_begin(struct sweep *sweep, const struct peers *peers, enum netaddr_family family)
{
    const struct connectivity *const connectivity = sweep->owner;
    struct device_walk walk = {.sweep = sweep, .family = family};
    if (!connectivity->ops->devices || !connectivity->ops->devices(connectivity->arg, device_add, &walk))
        walk.err = peers_add(sweep, peers, family);
    if (walk.err) {
        targets_free(sweep);
        return walk.err;
    }
    sweep->running = true;
    sweep->open = sweep->count;
    sweep->waiting = sweep->next = 0;
    return NX_OK;
}

/* The next target to be sent to; NULL if there is none for now. */
static struct target *target_next(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++) {
        struct target *target = &sweep->targets[(sweep->next + i) % sweep->count];
        if (target->reachable || target->waiting || target->tries >= CONNECTIVITY_TRIES)
            continue;
        sweep->next = (size_t)(target - sweep->targets) + 1;
        return target;
    }
    return NULL;
}

static void target_done(struct sweep *sweep, struct target *target, bool reachable, bool give_up)
{
    sweep->waiting--;
    target->waiting = false;
    target->reachable = reachable;
    if (give_up)
        target->tries = CONNECTIVITY_TRIES;
    if (reachable || target->tries >= CONNECTIVITY_TRIES)
        sweep->open--;
}

static void sweep_pump(struct sweep *sweep)
{
    const struct connectivity *connectivity = sweep->owner;
    struct target *target;
    while (sweep->running && sweep->waiting < CONNECTIVITY_AT_ONCE && (target = target_next(sweep))) {
        const struct ipc_ping ping = {.dest = target->address, .timeout_ms = CONNECTIVITY_TIMEOUT_MS};
        uint32_t request = CONNECTIVITY_REQUEST | sweep->family_bit | (uint32_t)(target - sweep->targets);
        int err = connectivity->ops->send(connectivity->arg, IPC_MSG_PING, request, &ping);
        if (err == NX_EAGAIN) {
            sweep->next = (size_t)(target - sweep->targets);
            return;
        }
        target->waiting = true;
        target->tries++;
        sweep->waiting++;
        if (err)
            target_done(sweep, target, false, true);
    }
    if (sweep->running && sweep->open == 0)
        sweep_finish(sweep);
}

/* -- Events -- */

void connectivity_request(struct connectivity *connectivity, const struct peers *peers,
                          enum netaddr_family family, struct control_call *call)
{
    struct sweep *sweep = &connectivity->sweeps[family == NETADDR_V6];
    size_t place = 0;
    while (place < CONTROL_CLIENTS_MAX && sweep->calls[place])
        place++;
    if (place == CONTROL_CLIENTS_MAX || (!sweep->running && sweep_begin(sweep, peers, family))) {
        control_refuse(call, "out of memory");
        return;
    }
    sweep->calls[place] = call;
    sweep_pump(sweep);
}

void connectivity_cancel(struct connectivity *connectivity, const struct control_call *call)
{
    for (size_t family = 0; family < FAMILIES; family++)
        for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
            if (connectivity->sweeps[family].calls[i] == call)
                connectivity->sweeps[family].calls[i] = NULL;
}

bool connectivity_message(struct connectivity *connectivity, const struct ipc_message *message)
{
    uint32_t request = message->header.request;
    if ((request & CONNECTIVITY_REQUEST) != CONNECTIVITY_REQUEST)
        return false;
    struct sweep *sweep = &connectivity->sweeps[(request & FAMILY_BIT) != 0];
    size_t index = request & ~(CONNECTIVITY_REQUEST | FAMILY_BIT);
    if (!sweep->running || index >= sweep->count || !sweep->targets[index].waiting)
        return true;
    struct target *target = &sweep->targets[index];
    bool reachable = message->header.type == IPC_MSG_PONG;
    if (reachable)
        target->round_trip_ns = message->body.pong.round_trip_ns;
    /* No route is no route at the second try, too. */
    target_done(sweep, target, reachable, !reachable && message->body.result.result == IPC_UNREACHABLE);
    sweep_pump(sweep);
    return true;
}

void connectivity_pump(struct connectivity *connectivity)
{
    for (size_t i = 0; i < FAMILIES; i++)
        sweep_pump(&connectivity->sweeps[i]);
}

void connectivity_link_down(struct connectivity *connectivity)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        struct sweep *sweep = &connectivity->sweeps[i];
        if (sweep->running)
            sweep_finish(sweep);
    }
}
