/* A hash table by rule id. Bytes are added when a flow ends; those of live flows are with the flows, so that
 * counting costs nothing while they move. */
#include "tunneld/flow/rule_stats.h"
#include "common/clock.h"
#include "common/err.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { BUCKETS = 1024 };

struct entry {
    LIST_ENTRY(entry) next;
    struct rule_stats stats;
    bool removed; /* the rule is gone; its numbers go with its last flow */
};

static LIST_HEAD(bucket, entry) buckets[BUCKETS];

static struct entry *entry_find(uint32_t rule_id)
{
    struct entry *entry;
    LIST_FOREACH (entry, &buckets[rule_id % BUCKETS], next)
        if (entry->stats.rule_id == rule_id)
            return entry;
    return NULL;
}

static void entry_settle(struct entry *entry)
{
    if (!entry->removed || entry->stats.live != 0)
        return;
    LIST_REMOVE(entry, next);
    free(entry);
}

int rule_stats_add(uint32_t rule_id)
{
    struct entry *entry = entry_find(rule_id);
    if (entry != NULL && entry->removed) {
        entry->removed = false;
        return NX_OK;
    }
    entry = entry == NULL ? calloc(1, sizeof *entry) : NULL;
    if (entry == NULL)
        return NX_ENOMEM;
    entry->stats.rule_id = rule_id;
    LIST_INSERT_HEAD(&buckets[rule_id % BUCKETS], entry, next);
    return NX_OK;
}

void rule_stats_remove(uint32_t rule_id)
{
    struct entry *entry = entry_find(rule_id);
    if (entry == NULL)
        return;
    entry->removed = true;
    entry_settle(entry);
}

void rule_stats_opened(uint32_t rule_id)
{
    struct entry *entry = entry_find(rule_id);
    if (entry == NULL)
        return;
    entry->stats.flows++;
    entry->stats.live++;
}

void rule_stats_closed(uint32_t rule_id, uint64_t to_mesh_bytes, uint64_t to_host_bytes)
{
    struct entry *entry = entry_find(rule_id);
    if (entry == NULL || entry->stats.live == 0)
        return;
    entry->stats.live--;
    entry->stats.to_mesh_bytes += to_mesh_bytes;
    entry->stats.to_host_bytes += to_host_bytes;
    entry_settle(entry);
}

/* NULL: there is no such rule. */
static struct entry *error_count(uint32_t rule_id, enum rule_error kind)
{
    struct entry *entry = entry_find(rule_id);
    if (entry == NULL)
        return NULL;
    entry->stats.errors[kind]++;
    entry->stats.last_error_unix_s = clock_wall_ns() / NS_PER_S;
    return entry;
}

void rule_stats_error(uint32_t rule_id, enum rule_error kind, const struct netsock *dest)
{
    static const char *const texts[RULE_ERRORS] = {
        [RULE_ERROR_REFUSED] = "refused",
        [RULE_ERROR_TIMED_OUT] = "timed out",
        [RULE_ERROR_UNREACHABLE] = "unreachable",
        [RULE_ERROR_LIMITED] = "a limit of this process is reached",
        [RULE_ERROR_POLICY] = "refused by the operator's policy",
        [RULE_ERROR_RESET] = "reset",
        [RULE_ERROR_FAILED] = "failed",
    };
    char text[NETSOCK_TEXT_MAX];
    struct entry *entry = error_count(rule_id, kind);
    if (entry != NULL)
        snprintf(entry->stats.last_error, sizeof entry->stats.last_error, "%s: %s",
                 netsock_format(dest, text), texts[kind]);
}

void rule_stats_policy(uint32_t rule_id, unsigned line, const struct netsock *dest)
{
    char text[NETSOCK_TEXT_MAX];
    struct entry *entry = error_count(rule_id, RULE_ERROR_POLICY);
    if (entry != NULL)
        snprintf(entry->stats.last_error, sizeof entry->stats.last_error,
                 "%s: as many flows as line %u of the operator's policy grants", netsock_format(dest, text),
                 line);
}

void rule_stats_live_begin(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct entry *entry;
        LIST_FOREACH (entry, &buckets[i], next)
            entry->stats.live_to_mesh_bytes = entry->stats.live_to_host_bytes = 0;
    }
}

void rule_stats_live(uint32_t rule_id, uint64_t to_mesh_bytes, uint64_t to_host_bytes)
{
    struct entry *entry = entry_find(rule_id);
    if (entry == NULL)
        return;
    entry->stats.live_to_mesh_bytes += to_mesh_bytes;
    entry->stats.live_to_host_bytes += to_host_bytes;
}

void rule_stats_each(void (*each)(void *arg, const struct rule_stats *stats), void *arg)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct entry *entry;
        LIST_FOREACH (entry, &buckets[i], next)
            each(arg, &entry->stats);
    }
}
