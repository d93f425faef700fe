/* Rules and peers are found by hash tables; only those that have a limit, or a flow under one, are in them. A
 * bucket is filled by looking at the clock when somebody wants bytes of it. Its level may go below zero by
 * what one piece takes too much, which is paid back before the next. */
#include "tunneld/flow/limits.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/hmap.h"
#include <stdlib.h>
#include <string.h>

enum {
    BUCKETS = 256,
    BURST_BYTES_MIN = 16 * 1024,
    BURST_PARTS = 10,   /* a bucket holds a tenth of a second's bytes */
    QUANTUM_PARTS = 50, /* who waits is woken for a fiftieth */
    QUANTUM_BYTES_MIN = 1500,
    FULL_AFTER_S = 600,
};

struct limits_bucket {
    struct limits_rule *rule;
    int64_t level;
    uint64_t filled_ns;
    TAILQ_HEAD(, limits_waiter) waiters;
    struct timerq_timer timer;
};

struct limits_rule {
    LIST_ENTRY(limits_rule) next;
    uint32_t id, flows_max, flows_line;
    uint64_t bytes_per_s; /* 0 = no bound */
    size_t flows;
    bool removed; /* it goes with its last flow */
    struct limits_bucket buckets[LIMITS_WAYS];
};

struct limits_peer {
    LIST_ENTRY(limits_peer) next;
    uint8_t key[32];
    size_t flows;
};

static LIST_HEAD(, limits_rule) rules[BUCKETS];
static LIST_HEAD(, limits_peer) peers[BUCKETS];
static struct timerq *timers;
static void (*wake_flow)(void *flow);
static bool (*peer_key_of)(const struct netaddr *address, uint8_t key[32]);
static struct limits_all limits;
static size_t flow_count;
static struct limits_counters counters;

void limits_init(struct timerq *queue, void (*wake)(void *flow),
                 bool (*peer_of)(const struct netaddr *address, uint8_t key[32]))
{
    timers = queue;
    wake_flow = wake;
    peer_key_of = peer_of;
}

void limits_set(const struct limits_all *all)
{
    limits = *all;
}

const struct limits_counters *limits_counters_get(void)
{
    return &counters;
}

void limits_count_refused(void)
{
    counters.flows++;
}

/* -- Rules -- */

static struct limits_rule *rule_find(uint32_t rule_id)
{
    struct limits_rule *rule;
    LIST_FOREACH (rule, &rules[rule_id % BUCKETS], next)
        if (rule->id == rule_id && !rule->removed)
            return rule;
    return NULL;
}

static void on_refill(struct timerq_timer *timer, void *arg, uint64_t now_ns);

int limits_rule_add(uint32_t rule_id, uint32_t flows_max, uint32_t flows_line, uint64_t bytes_per_s)
{
    if (flows_max == 0 && bytes_per_s == 0)
        return NX_OK;
    struct limits_rule *rule = calloc(1, sizeof *rule);
    if (rule == NULL)
        return NX_ENOMEM;
    rule->id = rule_id;
    rule->flows_max = flows_max;
    rule->flows_line = flows_line;
    rule->bytes_per_s = bytes_per_s;
    for (size_t way = 0; way < LIMITS_WAYS; way++) {
        struct limits_bucket *bucket = &rule->buckets[way];
        bucket->rule = rule;
        TAILQ_INIT(&bucket->waiters);
        timer_setup(&bucket->timer, on_refill, bucket);
    }
    LIST_INSERT_HEAD(&rules[rule_id % BUCKETS], rule, next);
    return NX_OK;
}

static void rule_settle(struct limits_rule *rule)
{
    if (!rule->removed || rule->flows > 0)
        return;
    for (size_t way = 0; way < LIMITS_WAYS; way++)
        timer_disarm(timers, &rule->buckets[way].timer);
    LIST_REMOVE(rule, next);
    free(rule);
}

void limits_rule_remove(uint32_t rule_id)
{
    struct limits_rule *rule = rule_find(rule_id);
    if (rule == NULL)
        return;
    rule->removed = true;
    rule_settle(rule);
}

/* -- Numbers of flows -- */

static uint64_t key_bucket(const uint8_t key[32])
{
    return hmap_hash(key, 32) % BUCKETS;
}

static struct limits_peer *peer_find(const uint8_t key[32])
{
    struct limits_peer *peer;
    LIST_FOREACH (peer, &peers[key_bucket(key)], next)
        if (memcmp(peer->key, key, sizeof peer->key) == 0)
            return peer;
    return NULL;
}

/* Which bound is reached? NULL: none, and *rule and `key` (if *has_peer) are whom the flow would count for.
 */
static const uint32_t *bound_reached(uint32_t rule_id, const struct netaddr *address,
                                     struct limits_rule **rule, uint8_t key[32], bool *has_peer)
{
    *has_peer = false;
    *rule = rule_id != 0 ? rule_find(rule_id) : NULL;
    if (limits.flows_max != 0 && flow_count >= limits.flows_max)
        return &limits.flows_line;
    if (*rule != NULL && (*rule)->flows_max != 0 && (*rule)->flows >= (*rule)->flows_max)
        return &(*rule)->flows_line;
    if (limits.peer_flows_max == 0 || !peer_key_of(address, key))
        return NULL;
    const struct limits_peer *peer = peer_find(key);
    *has_peer = true;
    return peer != NULL && peer->flows >= limits.peer_flows_max ? &limits.peer_flows_line : NULL;
}

bool limits_room(uint32_t rule_id, const struct netaddr *peer, unsigned *line)
{
    struct limits_rule *rule;
    uint8_t key[32];
    bool has_peer;
    const uint32_t *reached = bound_reached(rule_id, peer, &rule, key, &has_peer);
    *line = reached != NULL ? *reached : 0;
    return reached == NULL;
}

/* NULL: out of memory; then the flow counts for no peer. */
static struct limits_peer *peer_get(const uint8_t key[32])
{
    struct limits_peer *peer = peer_find(key);
    if (peer != NULL)
        return peer;
    peer = calloc(1, sizeof *peer);
    if (peer == NULL)
        return NULL;
    memcpy(peer->key, key, sizeof peer->key);
    LIST_INSERT_HEAD(&peers[key_bucket(key)], peer, next);
    return peer;
}

bool limits_take(uint32_t rule_id, const struct netaddr *address, struct limits_hold *hold, unsigned *line)
{
    uint8_t key[32];
    bool has_peer;
    *hold = (struct limits_hold){0};
    const uint32_t *reached = bound_reached(rule_id, address, &hold->rule, key, &has_peer);
    if (reached == NULL && has_peer && (hold->peer = peer_get(key)) == NULL)
        reached = &limits.peer_flows_line;
    if (reached != NULL) {
        *hold = (struct limits_hold){0};
        *line = *reached;
        counters.flows++;
        return false;
    }
    if (hold->peer != NULL)
        hold->peer->flows++;
    if (hold->rule != NULL)
        hold->rule->flows++;
    hold->counted = true;
    flow_count++;
    return true;
}

void limits_release(struct limits_hold *hold)
{
    if (hold->peer != NULL && --hold->peer->flows == 0) {
        LIST_REMOVE(hold->peer, next);
        free(hold->peer);
    }
    if (hold->rule != NULL) {
        hold->rule->flows--;
        rule_settle(hold->rule);
    }
    flow_count -= hold->counted;
    *hold = (struct limits_hold){0};
}

/* -- Bandwidth -- */

static int64_t at_least(uint64_t bytes, uint64_t least)
{
    return (int64_t)(bytes > least ? bytes : least);
}

static int64_t burst_of(const struct limits_rule *rule)
{
    return at_least(rule->bytes_per_s / BURST_PARTS, BURST_BYTES_MIN);
}

static int64_t quantum_of(const struct limits_rule *rule)
{
    return at_least(rule->bytes_per_s / QUANTUM_PARTS, QUANTUM_BYTES_MIN);
}

static void bucket_fill(struct limits_bucket *bucket, uint64_t now_ns)
{
    const struct limits_rule *rule = bucket->rule;
    const int64_t burst = burst_of(rule);
    /* A turn's timers have the time at which it began, which may be the earlier one. */
    const uint64_t passed_ns = now_ns > bucket->filled_ns ? now_ns - bucket->filled_ns : 0;
    if (bucket->filled_ns == 0 || passed_ns > FULL_AFTER_S * NS_PER_S) {
        bucket->level = burst;
        bucket->filled_ns = now_ns;
        return;
    }
    const uint64_t bytes = (uint64_t)((unsigned __int128)rule->bytes_per_s * passed_ns / NS_PER_S);
    if (bytes == 0)
        return;
    bucket->level += (int64_t)bytes;
    /* What is less than a byte is kept. */
    bucket->filled_ns += (uint64_t)((unsigned __int128)bytes * NS_PER_S / rule->bytes_per_s);
    if (bucket->level > burst)
        bucket->level = burst;
}

/* When the bucket has enough to wake somebody for. */
static void timer_set(struct limits_bucket *bucket, uint64_t now_ns)
{
    const int64_t missing = quantum_of(bucket->rule) - bucket->level;
    uint64_t wait_ns = NS_PER_MS;
    if (missing > 0)
        wait_ns += (uint64_t)missing * NS_PER_S / bucket->rule->bytes_per_s;
    (void)timer_arm(timers, &bucket->timer, now_ns + wait_ns);
}

static void on_refill(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    struct limits_bucket *bucket = arg;
    struct limits_waiter *waiter;
    (void)timer;
    bucket_fill(bucket, now_ns);
    /* As many as there is a quantum for; who does not use it all leaves it to the next. */
    for (int64_t left = bucket->level; left >= quantum_of(bucket->rule); left -= quantum_of(bucket->rule)) {
        waiter = TAILQ_FIRST(&bucket->waiters);
        if (waiter == NULL)
            return;
        limits_leave(waiter);
        waiter->woken = true;
        wake_flow(waiter->flow);
    }
    if (!TAILQ_EMPTY(&bucket->waiters))
        timer_set(bucket, now_ns);
}

/* False: out of memory, nobody would wake it. */
static bool bucket_wait(struct limits_bucket *bucket, struct limits_waiter *waiter, uint64_t now_ns)
{
    if (!timer_armed(&bucket->timer))
        timer_set(bucket, now_ns);
    if (!timer_armed(&bucket->timer))
        return false;
    waiter->woken = false;
    if (waiter->bucket == NULL) {
        waiter->bucket = bucket;
        TAILQ_INSERT_TAIL(&bucket->waiters, waiter, next);
    }
    return true;
}

size_t limits_budget(const struct limits_hold *hold, enum limits_way way, struct limits_waiter *waiter,
                     size_t wanted)
{
    if (hold->rule == NULL || hold->rule->bytes_per_s == 0)
        return wanted;
    struct limits_bucket *bucket = &hold->rule->buckets[way];
    const uint64_t now_ns = clock_now_ns();
    bucket_fill(bucket, now_ns);
    /* Not less than a quantum, or small pieces would make small segments. */
    const int64_t quantum = quantum_of(bucket->rule);
    const int64_t least = (uint64_t)quantum < wanted ? quantum : (int64_t)wanted;
    const bool waits = bucket->level < least || (!waiter->woken && !TAILQ_EMPTY(&bucket->waiters));
    if (waits && bucket_wait(bucket, waiter, now_ns))
        return 0;
    if (waits)
        return (size_t)least;
    return (uint64_t)bucket->level < wanted ? (size_t)bucket->level : wanted;
}

void limits_spend(const struct limits_hold *hold, enum limits_way way, size_t bytes)
{
    if (hold->rule != NULL && hold->rule->bytes_per_s != 0)
        hold->rule->buckets[way].level -= (int64_t)bytes;
}

bool limits_datagram(const struct limits_hold *hold, enum limits_way way, size_t bytes)
{
    if (hold->rule == NULL || hold->rule->bytes_per_s == 0)
        return true;
    struct limits_bucket *bucket = &hold->rule->buckets[way];
    bucket_fill(bucket, clock_now_ns());
    if (bucket->level <= 0) {
        counters.datagrams++;
        return false;
    }
    bucket->level -= (int64_t)bytes;
    return true;
}

void limits_leave(struct limits_waiter *waiter)
{
    if (waiter->bucket == NULL)
        return;
    TAILQ_REMOVE(&waiter->bucket->waiters, waiter, next);
    waiter->bucket = NULL;
}
