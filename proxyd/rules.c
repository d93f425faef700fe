/* Two hash tables over the same entries: by id, for the parent's requests and for flows that come back to a
 * rule after waiting; and by direction, protocol and port, for new flows. */
#include "proxyd/rules.h"

#include "common/array.h"
#include "common/err.h"
#include "proxyd/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t bucket_of_listener(enum rule_direction direction, enum rule_protocol protocol, uint16_t port)
{
    return (port ^ ((size_t)direction << 8) ^ ((size_t)protocol << 9)) % RULE_BUCKETS;
}

void rule_table_init(struct rule_table *table)
{
    table->count = 0;
    for (size_t i = 0; i < RULE_BUCKETS; i++) {
        LIST_INIT(&table->by_id[i]);
        LIST_INIT(&table->by_listener[i]);
    }
}

void rule_table_destroy(struct rule_table *table)
{
    for (size_t i = 0; i < RULE_BUCKETS; i++)
        while (!LIST_EMPTY(&table->by_id[i]))
            rule_table_remove(table, LIST_FIRST(&table->by_id[i]));
}

struct rule_entry *rule_table_find(const struct rule_table *table, uint32_t id)
{
    struct rule_entry *entry;
    LIST_FOREACH (entry, &table->by_id[id % RULE_BUCKETS], by_id)
        if (entry->id == id)
            return entry;
    return NULL;
}

struct rule_set *rule_table_set(const struct rule_table *table, enum rule_direction direction,
                                enum rule_protocol protocol, uint16_t port)
{
    struct rule_set *set;
    LIST_FOREACH (set, &table->by_listener[bucket_of_listener(direction, protocol, port)], by_listener)
        if (set->direction == direction && set->protocol == protocol && set->port == port)
            return set;
    return NULL;
}

struct netsock rule_entry_literal(const struct rule_entry *entry)
{
    return (struct netsock){
        .addr = entry->rule.addr, .port = entry->rule.dest_port, .scope_id = entry->scope_id};
}

static size_t rule_position(const struct rule_entry *entry)
{
    size_t i = 0;
    while (entry->set->rules[i] != entry)
        i++;
    return i;
}

struct balance_health *rule_entry_health(const struct rule_entry *entry)
{
    return &entry->set->health[rule_position(entry)];
}

char *rule_entry_name(const struct rule_entry *entry, char *out)
{
    char text[RULE_TEXT_MAX];
    snprintf(out, RULE_NAME_MAX, "%s rule %s", rule_direction_name(entry->rule.direction),
             rule_format(&entry->rule, text));
    return out;
}

/* What the message says, checked as if it came from anybody. */
static int rule_read(const struct ipc_rule_add *message, struct rule *rule, uint32_t *scope_id,
                     struct failure *failure)
{
    const size_t host_length = strlen(message->host);
    *rule = (struct rule){.direction = message->direction,
                          .protocol = message->protocol,
                          .listen_port = message->listen_port,
                          .dest_port = message->dest_port};
    memcpy(rule->host, message->host, host_length + 1);
    struct netsock dest = {0};
    const int err = zone_address_parse(message->host, &dest);
    char text[RULE_TEXT_MAX];
    rule_format(rule, text);
    if (err == NX_ENOENT || err == NX_ESYS) {
        failure_set(
            failure, IPC_NOT_FOUND,
            "%s rule %s: there is no network interface %s on this host: name an existing one after %%",
            rule_direction_name(rule->direction), text, strchr(message->host, '%') + 1);
        return NX_ENOENT;
    }
    if (err != NX_OK && !hostname_valid(message->host)) {
        failure_set(failure, IPC_FAILED, "%s rule %s: the host is neither an address nor a possible name",
                    rule_direction_name(rule->direction), text);
        return NX_EINVAL;
    }
    if (message->proxy_protocol && (rule->direction != RULE_INGRESS || rule->protocol != RULE_TCP)) {
        failure_set(failure, IPC_FAILED, "%s rule %s: the PROXY protocol is for TCP ingress rules",
                    rule_direction_name(rule->direction), text);
        return NX_EINVAL;
    }
    if (rule->direction == RULE_EGRESS && dest.scope_id != 0) {
        failure_set(failure, IPC_FAILED,
                    "egress rule %s: an address inside the mesh has no zone: leave out what follows %%",
                    text);
        return NX_EINVAL;
    }
    rule->addr = dest.addr; /* family NETADDR_NONE for a name */
    *scope_id = dest.scope_id;
    return NX_OK;
}

static struct rule_set *rule_set_get(struct rule_table *table, const struct rule *rule)
{
    struct rule_set *set = rule_table_set(table, rule->direction, rule->protocol, rule->listen_port);
    if (set)
        return set;
    set = calloc(1, sizeof(*set));
    if (!set)
        return NULL;
    set->direction = rule->direction;
    set->protocol = rule->protocol;
    set->port = rule->listen_port;
    const size_t bucket = bucket_of_listener(set->direction, set->protocol, set->port);
    LIST_INSERT_HEAD(&table->by_listener[bucket], set, by_listener);
    return set;
}

static void rule_set_put(struct rule_set *set)
{
    if (set->count > 0)
        return;
    LIST_REMOVE(set, by_listener);
    free(set->rules);
    free(set->health);
    free(set);
}

static int rule_set_append(struct rule_set *set, struct rule_entry *entry)
{
    void *rules = array_reserve(set->rules, &set->capacity, set->count + 1, sizeof(*set->rules));
    if (!rules)
        return NX_ENOMEM;
    set->rules = rules;
    void *health = array_reserve(set->health, &set->health_capacity, set->count + 1, sizeof(*set->health));
    if (!health)
        return NX_ENOMEM;
    set->health = health;
    set->rules[set->count] = entry;
    set->health[set->count] = (struct balance_health){0};
    set->count++;
    entry->set = set;
    return NX_OK;
}

int rule_table_add(struct rule_table *table, const struct ipc_rule_add *message, struct rule_entry **out,
                   struct failure *failure)
{
    struct rule rule;
    uint32_t scope_id;
    int err = rule_read(message, &rule, &scope_id, failure);
    if (err != NX_OK)
        return err;
    struct rule_entry *const same = rule_table_find(table, message->rule_id);
    if (same && rule_equal(&same->rule, &rule) && same->proxy_protocol == message->proxy_protocol) {
        *out = same;
        return NX_EEXIST;
    }
    if (same) {
        failure_set(failure, IPC_FAILED, "rule id %u is another rule's already", (unsigned)message->rule_id);
        return NX_EINVAL;
    }
    struct rule_set *const set = rule_set_get(table, &rule);
    struct rule_entry *const entry = calloc(1, sizeof(*entry));
    err = NX_ENOMEM;
    if (!set || !entry || table->count >= RULES_MAX || set->count >= RULES_PER_PORT_MAX)
        goto out;
    entry->id = message->rule_id;
    entry->rule = rule;
    entry->scope_id = scope_id;
    entry->proxy_protocol = message->proxy_protocol;
    err = rule_set_append(set, entry);
    if (err != NX_OK)
        goto out;
    LIST_INSERT_HEAD(&table->by_id[entry->id % RULE_BUCKETS], entry, by_id);
    table->count++;
    *out = entry;
    return NX_OK;
out:
    failure_set(failure, IPC_LIMIT, "%s %s port %u: no room for another rule (at most %d a port, %d in all)",
                rule_direction_name(rule.direction), rule_protocol_name(rule.protocol), rule.listen_port,
                RULES_PER_PORT_MAX, RULES_MAX);
    if (set)
        rule_set_put(set);
    free(entry);
    return err;
}

void rule_table_remove(struct rule_table *table, struct rule_entry *entry)
{
    struct rule_set *const set = entry->set;
    const size_t at = rule_position(entry), behind = set->count - at - 1;
    memmove(&set->rules[at], &set->rules[at + 1], behind * sizeof(*set->rules));
    memmove(&set->health[at], &set->health[at + 1], behind * sizeof(*set->health));
    set->count--;
    LIST_REMOVE(entry, by_id);
    table->count--;
    free(entry);
    rule_set_put(set);
}

struct rule_walk *rule_walk_new(struct rule_set *set, uint64_t now_ns)
{
    struct rule_walk *const walk = malloc(sizeof(*walk) + set->count * sizeof(walk->ids[0]));
    if (!walk)
        return NULL;
    walk->count = set->count;
    walk->next = 0;
    balance_order(set->health, set->count, &set->turn, now_ns, walk->ids);
    for (size_t i = 0; i < walk->count; i++)
        walk->ids[i] = set->rules[walk->ids[i]]->id;
    return walk;
}

struct rule_entry *rule_walk_next(struct rule_walk *walk, const struct rule_table *table)
{
    while (walk->next < walk->count) {
        struct rule_entry *const entry = rule_table_find(table, walk->ids[walk->next++]);
        if (entry)
            return entry;
    }
    return NULL;
}
