/* The rule table. Rules of one direction, protocol and port form a set: they share a listener and are
 * balanced over. */
#ifndef NEXD_PROXYD_RULES_H
#define NEXD_PROXYD_RULES_H

#include "common/rule.h"
#include "policy/policy.h"
#include "proxyd/balance.h"
#include "proxyd/failure.h"
#include "proxyd/rate.h"

#include <sys/queue.h>

enum { RULES_MAX = 65536, RULES_PER_PORT_MAX = 256, RULE_BUCKETS = 1024 };

struct rule_failures {
    uint64_t count[IPC_RESULT_LAST + 1]; /* by kind */
    uint64_t last_unix_s;                /* 0 = none */
    char last[IPC_LAST_ERROR_MAX + 1];
};

struct rule_entry {
    LIST_ENTRY(rule_entry) by_id;
    struct rule_set *set;
    uint32_t id;
    struct rule rule;
    uint32_t scope_id;   /* of rule.addr */
    bool proxy_protocol; /* ingress TCP: the destination is told first who called */
    struct rule_failures failures;
    struct policy_rule_limits limits; /* what the policy grants it (admission.c) */
    struct rate new_flows;
};

struct rule_set {
    LIST_ENTRY(rule_set) by_listener;
    enum rule_direction direction;
    enum rule_protocol protocol;
    uint16_t port;
    uint32_t turn; /* flows so far */
    size_t count, capacity, health_capacity;
    struct rule_entry **rules;     /* in order of addition; owned */
    struct balance_health *health; /* of rules[] */
};

LIST_HEAD(rule_bucket, rule_entry);
LIST_HEAD(rule_set_bucket, rule_set);
struct rule_table {
    size_t count;
    struct rule_bucket by_id[RULE_BUCKETS];
    struct rule_set_bucket by_listener[RULE_BUCKETS];
};

void rule_table_init(struct rule_table *table);
void rule_table_destroy(struct rule_table *table);

/* Checks a rule and enters it. NX_OK; NX_EEXIST: the very same rule is there under this id already (nothing
 * changed); otherwise an error with `failure` filled in. `*out` is the entry in the first two cases. */
int rule_table_add(struct rule_table *table, const struct ipc_rule_add *message, struct rule_entry **out,
                   struct failure *failure);
/* Removes and frees; a set that becomes empty goes with it. */
void rule_table_remove(struct rule_table *table, struct rule_entry *entry);

/* NULL if there is none. Pointers are good until the rule (for a set: its last rule) is removed, so nothing
 * that waits for an event keeps one: it keeps the id. */
struct rule_entry *rule_table_find(const struct rule_table *table, uint32_t id);
struct rule_set *rule_table_set(const struct rule_table *table, enum rule_direction direction,
                                enum rule_protocol protocol, uint16_t port);

/* The destination of a rule whose host is an address. */
struct netsock rule_entry_literal(const struct rule_entry *entry);
/* The health that its set keeps of it. */
struct balance_health *rule_entry_health(const struct rule_entry *entry);
/* "egress rule tcp:8443:100.64.0.7:443"; `out` has RULE_NAME_MAX bytes. Returns `out`. */
enum { RULE_NAME_MAX = RULE_TEXT_MAX + 16 };
char *rule_entry_name(const struct rule_entry *entry, char *out);

/* The ids of a set's rules in the order in which a new flow is to try them. The caller frees it; NULL when
 * out of memory. */
struct rule_walk {
    size_t count, next;
    uint32_t ids[];
};
struct rule_walk *rule_walk_new(struct rule_set *set, uint64_t now_ns);
/* The next rule that is still there, or NULL at the end. */
struct rule_entry *rule_walk_next(struct rule_walk *walk, const struct rule_table *table);

#endif
