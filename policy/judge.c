/* The first line that matches decides; where none does, the answer is no.
 *
 * A rule whose host is a name is judged twice. When it is made, its addresses are not known: lines about
 * addresses say nothing yet, one that allows its name admits it. For each flow, with an address in hand, all
 * lines are gone through again: now a line that denies the address counts too, "in" is checked, and an
 * address that has to be named (special.c) is passed over by every line that does not name it. A line names
 * it whose prefix lies within the special range: 169.254.169.254/32 does, 0.0.0.0/0 does not. */
#include "policy/internal.h"

#include "policy/special.h"

#include <stdio.h>
#include <string.h>

/* How far a line and a rule agree; in the order in which a line is read. */
enum agreement {
    DIFFER_DIRECTION,
    DIFFER_PROTOCOL,
    DIFFER_LISTEN_PORT,
    DIFFER_DESTINATION,
    DIFFER_DEST_PORT,
    DIFFER_NOTHING
};

struct question {
    const struct rule *rule;
    const struct netaddr *address; /* of the rule's name; NULL: not known yet */
};

static bool ports_have(const struct port_list *list, uint16_t port)
{
    for (size_t i = 0; i < list->count; i++)
        if (port >= list->items[i].first && port <= list->items[i].last)
            return true;
    return list->count == 0;
}

/* `also_inside`: an IPv4 address inside an IPv6 one counts as well. */
static bool prefixes_have(const struct prefix_list *list, const struct netaddr *address, bool also_inside)
{
    struct netaddr unmapped = *address;
    netaddr_unmap(&unmapped);
    const struct netaddr plain = special_plain(address);
    for (size_t i = 0; i < list->count; i++)
        if (netprefix_contains(&list->items[i], &unmapped) ||
            (also_inside && netprefix_contains(&list->items[i], &plain)))
            return true;
    return false;
}

/* `pattern` is in lower case and without a dot at its end. */
static bool name_matches(const char *pattern, const char *name)
{
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (strcmp(pattern, "*") == 0)
        return true;
    if (strncmp(pattern, "*.", 2) != 0)
        return text_equal_nocase(name, length, pattern);
    const size_t suffix = strlen(pattern) - 1; /* with its dot */
    return length > suffix && text_equal_nocase(name + length - suffix, suffix, pattern + 1);
}

static bool names_have(const struct name_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (name_matches(list->items[i], name))
            return true;
    return false;
}

static bool destination_matches(const struct statement *statement, const struct question *question)
{
    const struct rule *const rule = question->rule;
    const bool is_name = rule->addr.family == NETADDR_NONE;
    switch (statement->target) {
    case TARGET_ANY:
        return true;
    case TARGET_PREFIXES:
        if (!is_name)
            return prefixes_have(&statement->prefixes, &rule->addr, statement->deny);
        /* A name is admitted by lines about names only. */
        return statement->deny && question->address != NULL &&
               prefixes_have(&statement->prefixes, question->address, true);
    case TARGET_NAMES:
        if (!is_name || !names_have(&statement->names, rule->host))
            return false;
        if (statement->prefixes.count == 0)
            return true;
        if (question->address == NULL)
            return !statement->deny;
        return prefixes_have(&statement->prefixes, question->address, statement->deny);
    }
    return false;
}

static enum agreement agreement_of(const struct statement *statement, const struct question *question)
{
    const struct rule *const rule = question->rule;
    if (!(statement->directions & 1u << rule->direction))
        return DIFFER_DIRECTION;
    if (!(statement->protocols & 1u << rule->protocol))
        return DIFFER_PROTOCOL;
    if (!ports_have(&statement->listen_ports, rule->listen_port))
        return DIFFER_LISTEN_PORT;
    if (!destination_matches(statement, question))
        return DIFFER_DESTINATION;
    return ports_have(&statement->dest_ports, rule->dest_port) ? DIFFER_NOTHING : DIFFER_DEST_PORT;
}

/* The line names that address, and not only some range that happens to have it in it. */
static bool names_special(const struct statement *statement, const struct netaddr *address,
                          const struct netprefix *range)
{
    const struct netaddr plain = special_plain(address);
    for (size_t i = 0; i < statement->prefixes.count; i++) {
        const struct netprefix *const prefix = &statement->prefixes.items[i];
        if (netprefix_contains(prefix, &plain) && prefix->length >= range->length)
            return true;
    }
    return false;
}

/* The range whose naming the address needs; NULL: it needs none. The hosts file and the name localhost are of
 * whoever administers this host, and may say that a name is this host. */
static const struct netprefix *naming_needed(const struct question *question, bool from_host)
{
    if (question->address == NULL || (from_host && special_is_loopback(question->address)))
        return NULL;
    return special_range(question->address, question->rule->direction == RULE_EGRESS);
}

static void closest_keep(struct policy_verdict *verdict, const struct statement *statement,
                         enum agreement agreement, enum agreement *best)
{
    static const char *const aspects[] = {[DIFFER_LISTEN_PORT] = "listen port",
                                          [DIFFER_DESTINATION] = "destination",
                                          [DIFFER_DEST_PORT] = "destination port"};
    if (statement->deny || agreement < DIFFER_LISTEN_PORT || agreement <= *best)
        return;
    *best = agreement;
    verdict->line = statement->line;
    verdict->aspect = aspects[agreement];
}

static const struct statement *judge(const struct policy *policy, const struct question *question,
                                     bool from_host, struct policy_verdict *verdict)
{
    const struct netprefix *const special = naming_needed(question, from_host);
    enum agreement best = DIFFER_DIRECTION;
    *verdict = (struct policy_verdict){.reason = POLICY_NOT_NAMED};
    for (size_t i = 0; i < policy->count; i++) {
        const struct statement *const statement = &policy->statements[i];
        if (statement->kind != STATEMENT_RULE)
            continue;
        const enum agreement agreement = agreement_of(statement, question);
        if (agreement != DIFFER_NOTHING) {
            if (verdict->reason == POLICY_NOT_NAMED)
                closest_keep(verdict, statement, agreement, &best);
            continue;
        }
        if (statement->deny) {
            *verdict = (struct policy_verdict){.reason = POLICY_DENIED, .line = statement->line};
            return NULL;
        }
        if (special == NULL || names_special(statement, question->address, special)) {
            *verdict = (struct policy_verdict){.reason = POLICY_ADMITTED, .line = statement->line};
            return statement;
        }
        *verdict = (struct policy_verdict){.reason = POLICY_INSIDE_ADDRESS, .line = statement->line};
    }
    return NULL;
}

const struct statement *policy_admits(const struct policy *policy, const struct rule *rule,
                                      struct policy_verdict *verdict)
{
    const struct question question = {.rule = rule};
    return judge(policy, &question, false, verdict);
}

struct policy_verdict policy_rule(const struct policy *policy, const struct rule *rule)
{
    struct policy_verdict verdict = {.reason = POLICY_ADMITTED};
    if (policy != NULL)
        (void)policy_admits(policy, rule, &verdict);
    return verdict;
}

struct policy_verdict policy_address(const struct policy *policy, const struct rule *rule,
                                     const struct netaddr *address, bool from_host)
{
    const struct question question = {.rule = rule, .address = address};
    struct policy_verdict verdict = {.reason = POLICY_ADMITTED};
    if (policy != NULL)
        (void)judge(policy, &question, from_host, &verdict);
    else if (naming_needed(&question, from_host) != NULL)
        verdict.reason = POLICY_INSIDE_ADDRESS;
    return verdict;
}

char *policy_why(const struct policy *policy, struct policy_verdict verdict, char *out)
{
    static const char inside[] =
        "it is an address of this host, of its link or of a cloud's metadata, which a "
        "name leads to only if";
    const char *const file = policy == NULL ? "" : policy->file;
    switch (verdict.reason) {
    case POLICY_ADMITTED:
        if (verdict.line == 0)
            snprintf(out, POLICY_WHY_MAX, "there is no policy");
        else
            snprintf(out, POLICY_WHY_MAX, "%s:%u admits it", file, verdict.line);
        break;
    case POLICY_DENIED:
        snprintf(out, POLICY_WHY_MAX, "%s:%u denies it", file, verdict.line);
        break;
    case POLICY_NOT_NAMED:
        if (verdict.line == 0)
            snprintf(out, POLICY_WHY_MAX, "no line of %s admits it", file);
        else
            snprintf(out, POLICY_WHY_MAX, "no line of %s admits it; line %u would, but for the %s", file,
                     verdict.line, verdict.aspect);
        break;
    case POLICY_INSIDE_ADDRESS:
        if (policy == NULL)
            snprintf(out, POLICY_WHY_MAX, "%s the rule itself names the address", inside);
        else
            snprintf(out, POLICY_WHY_MAX, "%s a line names the address behind \"in\"; %s:%u does not", inside,
                     file, verdict.line);
        break;
    }
    return out;
}

struct netaddr policy_listen(const struct policy *policy, enum rule_protocol protocol, uint16_t port,
                             unsigned *line)
{
    static const struct netaddr everywhere = {.family = NETADDR_NONE};
    *line = 0;
    for (size_t i = 0; policy != NULL && i < policy->count; i++) {
        const struct statement *const statement = &policy->statements[i];
        if (statement->kind != STATEMENT_LISTEN || !(statement->protocols & 1u << protocol) ||
            !ports_have(&statement->listen_ports, port))
            continue;
        *line = statement->line;
        return statement->listen_address;
    }
    return everywhere;
}

static struct policy_bound bound_of(uint64_t own, unsigned line, struct policy_bound all)
{
    return own != 0 ? (struct policy_bound){.value = own, .line = line} : all;
}

struct policy_rule_limits policy_rule_limits(const struct policy *policy, const struct rule *rule)
{
    struct policy_rule_limits limits = {0};
    struct policy_verdict verdict;
    const struct statement *const statement = policy == NULL ? NULL : policy_admits(policy, rule, &verdict);
    if (statement == NULL)
        return limits;
    limits.flows = bound_of(statement->flows, statement->line, policy->rule_limits.flows);
    limits.new_flows = bound_of(statement->new_flows, statement->line, policy->rule_limits.new_flows);
    limits.bandwidth = bound_of(statement->bandwidth, statement->line, policy->rule_limits.bandwidth);
    return limits;
}
