/* See ports.h. Counts by port, so that a packet needs no search. */
#include "tunneld/flow/ports.h"
#include "common/err.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/netstack/netstack.h"
#include <stdlib.h>

struct ports_rule {
    uint32_t id;
    enum rule_direction direction;
    enum rule_protocol protocol;
    uint16_t port;
};

static struct ports_rule *rules;
static size_t rule_count, rule_capacity;
static uint32_t udp_rules[UINT16_MAX + 1], tcp_rules[UINT16_MAX + 1];
static uint32_t udp_first[UINT16_MAX + 1], tcp_first[UINT16_MAX + 1]; /* the id of one of them; 0 = none */

static struct ports_rule *rule_find(uint32_t rule_id)
{
    for (size_t i = 0; i < rule_count; i++)
        if (rules[i].id == rule_id)
            return &rules[i];
    return NULL;
}

static uint32_t *first_of(enum rule_protocol protocol, uint16_t port)
{
    return protocol == RULE_TCP ? &tcp_first[port] : &udp_first[port];
}

/* The rule that stood for its port is gone: another one does. */
static void first_replace(const struct ports_rule *gone)
{
    uint32_t *const first = first_of(gone->protocol, gone->port);
    if (gone->direction != RULE_INGRESS || *first != gone->id)
        return;
    *first = 0;
    for (size_t i = 0; i < rule_count && *first == 0; i++)
        if (rules[i].direction == RULE_INGRESS && rules[i].protocol == gone->protocol &&
            rules[i].port == gone->port)
            *first = rules[i].id;
}

int ports_rule_add(uint32_t rule_id, enum rule_direction direction, enum rule_protocol protocol,
                   uint16_t listen_port)
{
    if (rule_find(rule_id) != NULL)
        return NX_EEXIST;
    if (rule_count == rule_capacity) {
        size_t capacity = rule_capacity == 0 ? 16 : rule_capacity * 2;
        struct ports_rule *bigger = reallocarray(rules, capacity, sizeof *rules);
        if (bigger == NULL)
            return NX_ENOMEM;
        rules = bigger;
        rule_capacity = capacity;
    }
    int err = rule_stats_add(rule_id);
    if (err != NX_OK)
        return err;
    if (direction == RULE_INGRESS && protocol == RULE_TCP) {
        err = tcp_rules[listen_port] == 0 ? netstack_listen(listen_port) : NX_OK;
        if (err != NX_OK) {
            rule_stats_remove(rule_id);
            return err;
        }
        tcp_rules[listen_port]++;
    } else if (direction == RULE_INGRESS) {
        udp_rules[listen_port]++;
    }
    rules[rule_count++] =
        (struct ports_rule){.id = rule_id, .direction = direction, .protocol = protocol, .port = listen_port};
    if (direction == RULE_INGRESS && *first_of(protocol, listen_port) == 0)
        *first_of(protocol, listen_port) = rule_id;
    return NX_OK;
}

int ports_rule_remove(uint32_t rule_id)
{
    struct ports_rule *rule = rule_find(rule_id);
    if (rule == NULL)
        return NX_ENOENT;
    if (rule->direction == RULE_INGRESS && rule->protocol == RULE_TCP) {
        if (--tcp_rules[rule->port] == 0)
            netstack_unlisten(rule->port);
    } else if (rule->direction == RULE_INGRESS) {
        udp_rules[rule->port]--;
    }
    const struct ports_rule gone = *rule;
    *rule = rules[--rule_count];
    first_replace(&gone);
    rule_stats_remove(rule_id);
    return NX_OK;
}

uint32_t ports_rule_of(enum rule_protocol protocol, uint16_t port, bool *only)
{
    *only = (protocol == RULE_TCP ? tcp_rules : udp_rules)[port] == 1;
    return (protocol == RULE_TCP ? tcp_first : udp_first)[port];
}

bool ports_udp_open(uint16_t port)
{
    return udp_rules[port] != 0;
}
