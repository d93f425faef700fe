/* A policy as its files see it; nobody else includes this. */
#ifndef NEXD_POLICY_INTERNAL_H
#define NEXD_POLICY_INTERNAL_H

#include "common/text.h"
#include "policy/policy.h"

enum statement_kind {
    STATEMENT_RULE,
    STATEMENT_LISTEN,
    STATEMENT_CONTROL,
    STATEMENT_LIMIT,
    STATEMENT_RUN_TIME
};
enum statement_target { TARGET_ANY, TARGET_PREFIXES, TARGET_NAMES };
enum control_who { CONTROL_ANY, CONTROL_UID, CONTROL_GID };

struct port_range {
    uint16_t first, last;
};

/* Lists. Each item of `names` and `methods` is owned. */
struct port_list {
    struct port_range *items; /* none = every port */
    size_t count, capacity;
};
struct prefix_list {
    struct netprefix *items;
    size_t count, capacity;
};
struct name_list {
    char **items;
    size_t count, capacity;
};

/* A line that says something. Which members count depends on its kind. */
struct statement {
    enum statement_kind kind;
    unsigned line;
    char *text; /* as it is handed on */

    /* allow, deny */
    bool deny;
    unsigned directions, protocols; /* bits of enum rule_direction, enum rule_protocol; `listen`: protocols */
    struct port_list listen_ports;  /* `listen`: its ports */
    enum statement_target target;
    struct prefix_list prefixes; /* TARGET_PREFIXES: the destinations; TARGET_NAMES: after "in", or none */
    struct name_list names;      /* patterns, in lower case, without a dot at the end */
    struct port_list dest_ports;
    uint64_t flows, new_flows, bandwidth; /* 0 = not said */

    /* listen */
    struct netaddr listen_address;

    /* control */
    enum control_who who;
    uint32_t who_id;
    struct name_list methods;
};

struct policy {
    char file[POLICY_NAME_MAX + 1];
    struct statement *statements;
    size_t count, capacity;
    struct policy_limits limits;
    struct policy_rule_limits rule_limits; /* of every rule whose line does not say otherwise */
    bool run_time_rules;
    unsigned run_time_line; /* 0 = not said */
    bool has_control;
};

void statement_destroy(struct statement *statement);

/* A line's words, from left to right, and where to complain. */
struct words {
    const struct policy *policy;
    unsigned line;
    struct text_span rest;
    char *error;
};

/* The next word, or one of length 0 at the end. */
struct text_span word_next(struct words *words);
bool word_is(struct text_span word, const char *text);
/* Writes "FILE:LINE: PROBLEM "WORD"; example: EXAMPLE"; NX_EINVAL. A word of length 0 is not quoted. */
int word_fail(const struct words *words, struct text_span word, const char *problem, const char *example);
int words_no_memory(const struct words *words);

/* Readers of one word; NX_OK, NX_EINVAL or NX_ENOMEM with the error written. */
int word_ports(const struct words *words, struct text_span word, struct port_list *out);
int word_prefixes(const struct words *words, struct text_span word, struct prefix_list *out);
int word_names(const struct words *words, struct text_span word, struct name_list *out);
int word_methods(const struct words *words, struct text_span word, struct name_list *out);
int word_number(const struct words *words, struct text_span word, uint64_t max, uint64_t *out);
/* "10Mbit" to bytes a second. */
int word_bandwidth(const struct words *words, struct text_span word, uint64_t *out);
int word_address(const struct words *words, struct text_span word, struct netaddr *out);

/* `text` is `pattern`, or begins with what stands before the pattern's "*" at its end. */
bool method_matches(const char *pattern, const char *text);
/* The allow line that admits the rule, NULL if none does; `verdict` says more. */
const struct statement *policy_admits(const struct policy *policy, const struct rule *rule,
                                      struct policy_verdict *verdict);

#endif
