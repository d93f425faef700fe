/* The parent's side of rules: the rulebook it starts with, what children report on them, and the operations
 * through which rule_change.c acts. */
#include "nexd/parent.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- Operations of rule_change.c -- */

static int send_to(void *arg, enum ipc_role child, enum ipc_type type, uint32_t request, const void *body)
{
    return ipc_send(parent_child_of(arg, child)->link, type, request, body);
}

static int store(void *arg, char *error)
{
    const struct parent *parent = arg;
    struct rule *rules;
    size_t count;
    if (!parent->config->state) {
        snprintf(error, RULE_CHANGE_ERROR_MAX, "%s",
                 parent->config->state_missing ? parent->config->state_missing : "there is no state folder");
        return NX_EPERM;
    }
    int err = rulebook_stored(&parent->rules, &rules, &count);
    if (err)
        snprintf(error, RULE_CHANGE_ERROR_MAX, "out of memory");
    else
        err = state_store_rules(parent->config->state, rules, count, error);
    free(rules);
    return err;
}

static int judge(void *arg, const struct rule *rule, struct policy_rule_limits *limits, char *error)
{
    struct parent *parent = arg;
    int err = guard_rule(parent, rule, limits, error);
    parent->guard.refused += err != NX_OK;
    return err;
}

static void answer(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text)
{
    struct parent_child *ctld = parent_child_of(arg, IPC_CTLD);
    struct ipc_result result = {.result = (uint8_t)outcome};
    snprintf(result.text, sizeof result.text, "%s", text);
    int err = ipc_send(ctld->link, IPC_MSG_RESULT, request, &result);
    if (err && err != NX_ECLOSED)
        parent_misbehaved(ctld, nx_strerror(err));
}

static void port_free(void *arg, enum rule_protocol protocol, uint16_t port)
{
    struct parent *parent = arg;
    kept_drop(&parent->kept, protocol, port);
}

static void stuck(void *arg, enum ipc_role child, const char *why)
{
    parent_misbehaved(parent_child_of(arg, child), why);
}

static const struct rule_change_ops ops = {.send = send_to,
                                           .store = store,
                                           .judge = judge,
                                           .answer = answer,
                                           .port_free = port_free,
                                           .stuck = stuck};

/* `why` without the rule itself in front of it, which operators see beside it. */
static const char *reason_of(const struct rulebook_entry *entry, const char *why)
{
    char rule[RULE_TEXT_MAX], start[RULE_TEXT_MAX + 32];
    int length = snprintf(start, sizeof start, "%s rule %s: ", rule_direction_name(entry->rule.direction),
                          rule_format(&entry->rule, rule));
    return strncmp(why, start, (size_t)length) == 0 ? why + length : why;
}

/* -- Start -- */

/* A rule of the command line that the policy refuses has ended the start before this. One that was stored
 * when the policy was another stays where it is, out of force, until the policy admits it again or somebody
 * removes it. */
static int rules_append(struct parent *parent, const struct rule *rules, size_t count, bool at_run_time)
{
    char error[RULE_CHANGE_ERROR_MAX];
    for (size_t i = 0; i < count; i++) {
        struct rulebook_entry *entry =
            rulebook_add(&parent->rules, &rules[i], at_run_time, RULEBOOK_STANDING);
        if (!entry)
            return NX_ENOMEM;
        if (guard_rule(parent, &rules[i], &entry->limits, error) == NX_OK)
            continue;
        entry->barred = true;
        rulebook_problem(entry, reason_of(entry, error));
        log_error("a stored rule is not in force: %s", error);
    }
    return NX_OK;
}

/* They may be for rules that are to come, or a slip of the pen. */
static void ports_without_rule_tell(const struct parent *parent)
{
    const struct port_set *ports = parent->config->proxy_protocol;
    for (unsigned port = 1; ports && port <= UINT16_MAX; port++)
        if (port_set_has(ports, (uint16_t)port) &&
            !rulebook_has_listener(&parent->rules, RULE_INGRESS, RULE_TCP, (uint16_t)port, true))
            log_warn("--proxy-protocol %u: there is no TCP ingress rule of that port yet", port);
}

int rules_open(struct parent *parent)
{
    const struct parent_config *config = parent->config;
    size_t stored_count = 0;
    const struct rule *stored = config->state ? state_rules(config->state, &stored_count) : NULL;
    parent->rules.proxy_protocol = config->proxy_protocol;
    int err = rules_append(parent, config->rules, config->rule_count, false);
    if (!err)
        err = rules_append(parent, stored, stored_count, true);
    if (!err)
        ports_without_rule_tell(parent);
    rule_change_init(&parent->rule_change, &parent->rules, &ops, parent);
    return err;
}

/* -- Reports -- */

/* For operators. What does not fit into the link's queue
 * now is said again with the next try, and to each new process of ctld. */
static void problem_tell(struct parent *parent, struct rulebook_entry *entry, const char *why)
{
    struct ipc_rule_problem problem = {.rule_id = entry->id};
    rulebook_problem(entry, reason_of(entry, why));
    snprintf(problem.text, sizeof problem.text, "%s", entry->problem ? entry->problem : "");
    struct parent_child *ctld = parent_child_of(parent, IPC_CTLD);
    int err = ipc_send(ctld->link, IPC_MSG_RULE_PROBLEM, 0, &problem);
    if (err && err != NX_ECLOSED && !entry->problem) /* there is no next try of what is in force */
        parent_misbehaved(ctld, nx_strerror(err));
}

/* A rule of the command line that cannot be had is the end at start-up, when its operator is there to see;
 * later, or where it was added at run time, it is reported and tried again while the rest goes on. */
static void rule_failed(struct parent_child *child, struct rulebook_entry *entry,
                        const struct ipc_result *result)
{
    struct parent *parent = child->parent;
    const struct rule *rule = &entry->rule;
    char text[RULE_TEXT_MAX];
    rule_format(rule, text);
    enum log_level level = entry->failed ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR; /* said already */
    if (strstr(result->text, text)) /* it says already which rule it is about */
        log_write(level, "%s", result->text);
    else
        log_write(level, "%s rule %s: %s port %u: %s", rule_direction_name(rule->direction), text,
                  rule_protocol_name(rule->protocol), rule->listen_port,
                  result->text[0] ? result->text : "refused without a reason");
    if (!parent->readiness.reached && !entry->at_run_time)
        parent_fail(parent);
    else if (child->role == IPC_PROXYD) {
        rule_change_failed(&parent->rule_change, entry, clock_now_ns());
        problem_tell(parent, entry, result->text[0] ? result->text : "refused without a reason");
    }
}

void rules_result(struct parent_child *child, uint32_t request, const struct ipc_result *result)
{
    struct parent *parent = child->parent;
    if (rule_change_result(&parent->rule_change, child->role, request, result, clock_now_ns()))
        return;
    struct rulebook_entry *entry = rulebook_find(&parent->rules, request);
    if (!entry) {
        parent_misbehaved(child, "RESULT of a request that was not made");
        return;
    }
    if (result->result != IPC_OK)
        rule_failed(child, entry, result);
    if (child->role != IPC_PROXYD)
        return;
    if (result->result == IPC_OK && entry->problem)
        problem_tell(parent, entry, "");
    if (result->result == IPC_OK && entry->failed) {
        char text[RULE_TEXT_MAX];
        entry->failed = false;
        log_info("%s rule %s is in force now", rule_direction_name(entry->rule.direction),
                 rule_format(&entry->rule, text));
    }
    if (result->result == IPC_OK || entry->at_run_time)
        readiness_rule_bound(&parent->readiness, request - 1);
}
