/* See gate.h. Entries are found by four-tuple (a repeated SYN) and by request id (an answer). */
#include "tunneld/flow/gate.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/hmap.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/tcp_flow.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

struct gate_entry {
    struct hnode by_tuple, by_request;
    TAILQ_ENTRY(gate_entry) age; /* oldest first */
    struct netstack_syn syn;
    uint64_t deadline_ns;
    uint32_t request;
};

struct tuple {
    struct netsock remote, local;
};

static const struct broker *asks;
static struct timerq *timers;
static struct timerq_timer expiry;
static struct hmap tuples, requests;
static TAILQ_HEAD(, gate_entry) entries = TAILQ_HEAD_INITIALIZER(entries);
static struct gate_counters counters;

static uint64_t tuple_hash(const struct netstack_syn *syn)
{
    struct tuple key;
    memset(&key, 0, sizeof key);
    memcpy(key.remote.addr.bytes, syn->remote.addr.bytes, 16);
    key.remote.port = syn->remote.port;
    memcpy(key.local.addr.bytes, syn->local.addr.bytes, 16);
    key.local.port = syn->local.port;
    return hmap_hash(&key, sizeof key);
}

static uint64_t request_hash(uint32_t request)
{
    return request * UINT64_C(0x9e3779b97f4a7c15) >> 20; /* our own ids: no secret needed */
}

static struct gate_entry *entry_by_tuple(const struct netstack_syn *syn)
{
    for (struct hnode *n = hmap_first(&tuples, tuple_hash(syn)); n != NULL; n = hmap_next(n)) {
        struct gate_entry *entry =
            (struct gate_entry *)(void *)((char *)n - offsetof(struct gate_entry, by_tuple));
        if (netsock_equal(&entry->syn.remote, &syn->remote) && netsock_equal(&entry->syn.local, &syn->local))
            return entry;
    }
    return NULL;
}

static struct gate_entry *entry_by_request(uint32_t request)
{
    for (struct hnode *n = hmap_first(&requests, request_hash(request)); n != NULL; n = hmap_next(n)) {
        struct gate_entry *entry =
            (struct gate_entry *)(void *)((char *)n - offsetof(struct gate_entry, by_request));
        if (entry->request == request)
            return entry;
    }
    return NULL;
}

static void entry_free(struct gate_entry *entry)
{
    hmap_remove(&tuples, &entry->by_tuple);
    hmap_remove(&requests, &entry->by_request);
    TAILQ_REMOVE(&entries, entry, age);
    free(entry);
}

static void expire(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)arg;
    struct gate_entry *entry;
    while ((entry = TAILQ_FIRST(&entries)) != NULL && entry->deadline_ns <= now_ns) {
        asks->cancel(asks->arg, entry->request);
        counters.timed_out++;
        entry_free(entry);
    }
    if (entry != NULL)
        (void)timer_arm(timers, timer, entry->deadline_ns);
}

int gate_init(const struct broker *broker, struct timerq *queue)
{
    asks = broker;
    timers = queue;
    timer_setup(&expiry, expire, NULL);
    int err = hmap_init(&tuples);
    return err != NX_OK ? err : hmap_init(&requests);
}

static size_t entries_of(const struct netaddr *peer)
{
    size_t n = 0;
    struct gate_entry *entry;
    TAILQ_FOREACH (entry, &entries, age)
        n += netaddr_equal(&entry->syn.remote.addr, peer);
    return n;
}

/* The operator's policy has no room for another flow: said before a destination is connected in vain. Which
 * rule it is to be of is known only where the port has one. */
static bool refused_by_policy(const struct netstack_syn *syn)
{
    bool only;
    unsigned line;
    uint32_t rule_id = ports_rule_of(RULE_TCP, syn->local.port, &only);
    if (limits_room(only ? rule_id : 0, &syn->remote.addr, &line))
        return false;
    limits_count_refused();
    rule_stats_policy(rule_id, line, &syn->remote);
    return true;
}

void gate_syn(const struct netstack_syn *syn)
{
    struct gate_entry *entry = entry_by_tuple(syn);
    if (entry != NULL) {
        entry->syn = *syn; /* the newest one is what the peer expects to be answered */
        return;
    }
    if (refused_by_policy(syn)) {
        netstack_syn_reset(syn);
        counters.refused++;
        return;
    }
    /* One peer gets at most half of the places. Counted only when that can be. */
    bool full = tuples.count >= GATE_MAX || !tcp_flow_room() ||
                (tuples.count >= GATE_MAX_PER_PEER && entries_of(&syn->remote.addr) >= GATE_MAX_PER_PEER);
    uint32_t request = full ? 0 : asks->connect(asks->arg, RULE_TCP, &syn->remote, &syn->local);
    if (request == 0 || (entry = calloc(1, sizeof *entry)) == NULL) {
        if (request != 0)
            asks->cancel(asks->arg, request);
        counters.dropped_full++;
        return;
    }
    entry->syn = *syn;
    entry->request = request;
    entry->deadline_ns = clock_now_ns() + GATE_TIMEOUT_S * NS_PER_S;
    hmap_insert(&tuples, &entry->by_tuple, tuple_hash(syn));
    hmap_insert(&requests, &entry->by_request, request_hash(request));
    TAILQ_INSERT_TAIL(&entries, entry, age);
    if (!timer_armed(&expiry))
        (void)timer_arm(timers, &expiry, entry->deadline_ns);
    counters.waited++;
}

bool gate_connected(uint32_t request, uint32_t rule_id, int fd)
{
    struct gate_entry *entry = entry_by_request(request);
    if (entry == NULL)
        return false;
    struct netstack_syn syn = entry->syn;
    entry_free(entry);
    tcp_flow_ingress(rule_id, &syn, fd);
    return true;
}

bool gate_failed(uint32_t request)
{
    struct gate_entry *entry = entry_by_request(request);
    if (entry == NULL)
        return false;
    netstack_syn_reset(&entry->syn);
    counters.refused++;
    entry_free(entry);
    return true;
}

void gate_forget(void)
{
    while (!TAILQ_EMPTY(&entries))
        entry_free(TAILQ_FIRST(&entries));
}

size_t gate_waiting(void)
{
    return tuples.count;
}

const struct gate_counters *gate_counters_get(void)
{
    return &counters;
}
