/* Destinations of egress rules are inside the mesh: proxyd cannot try them, only name them. Addresses are
 * used as they are. A name is that of a mesh device if ctld has told of one, and otherwise the host's
 * resolver's; destination_lookup() is the one place that turns an egress host into addresses. Devices are
 * asked about for every flow, so that the flows that begin after a device's address has changed go to the new
 * one.
 *
 * The operator's policy is asked about each flow, and about each address of a name.
 *
 * One address of a name is used, IPv4 first: every device of a mesh has one, while IPv6 is optional. */
#include "proxyd/destination.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "proxyd/rule_stats.h"

#include <stdlib.h>

struct destination_wait {
    struct destination_chooser *chooser;
    struct rule_walk *walk;
    struct resolver_wait *resolving;
    uint32_t rule_id; /* whose name is being resolved */
    destination_fn fn;
    void *arg;
    struct destination out;
};

static int destination_lookup(struct destination_wait *wait, const struct rule_entry *entry,
                              struct resolver_answer *answer, resolver_fn fn)
{
    const struct mesh_names *const names = wait->chooser->names;
    _Static_assert((int)MESH_ADDRS_MAX <= (int)RESOLVER_ADDRS_MAX, "a device's addresses fit into an answer");
    if (names) {
        answer->count = mesh_names_find(names, entry->rule.host, answer->addrs);
        answer->err = NX_OK;
        answer->ttl_s = 0;
        answer->from_host = false;
        if (answer->count > 0)
            return NX_OK;
    }
    return resolver_lookup(wait->chooser->resolver, entry->rule.host, answer, fn, wait, &wait->resolving);
}

static void destination_set(struct destination *out, const struct rule_entry *entry,
                            const struct netaddr *addr)
{
    out->rule_id = entry->id;
    out->dest = (struct netsock){.addr = *addr, .port = entry->rule.dest_port};
}

static void failure_note(struct rule_entry *entry, const struct failure *failure)
{
    static struct log_ratelimit limit = {.per_second = 2, .burst = 10};
    char name[RULE_NAME_MAX];
    rule_stats_note(entry, failure);
    if (log_ratelimit_ok(&limit))
        log_warn("%s: %s", rule_entry_name(entry, name), failure->text);
}

/* May a flow of this rule begin? As admission_flow(); a refusal is noted. */
static int flow_admit(struct destination_chooser *chooser, struct rule_entry *entry, struct failure *failure)
{
    const int err = admission_flow(chooser->admission, entry, failure);
    if (err != NX_OK)
        failure_note(entry, failure);
    return err;
}

/* NX_OK, or NX_ENOENT: this rule's name does not resolve, or to nothing that it may. */
static int destination_use_answer(const struct destination_chooser *chooser, struct destination *out,
                                  struct rule_entry *entry, const struct resolver_answer *answer)
{
    struct balance_health *const health = rule_entry_health(entry);
    struct netaddr addrs[RESOLVER_ADDRS_MAX];
    size_t count = 0, use = 0;
    if (answer->err != NX_OK)
        failure_set(&out->failure, failure_from_resolver(answer->err), "%s: %s", entry->rule.host,
                    resolver_strerror(answer->err));
    else
        count = admission_addresses(chooser->admission, entry, answer, addrs, &out->failure);
    if (count == 0) {
        balance_failed(health, clock_now_ns());
        failure_note(entry, &out->failure);
        return NX_ENOENT;
    }
    while (use < count - 1 && addrs[use].family != NETADDR_V4)
        use++;
    if (addrs[use].family != NETADDR_V4)
        use = 0;
    balance_worked(health);
    destination_set(out, entry, &addrs[use]);
    return NX_OK;
}

static void wait_free(struct destination_wait *wait)
{
    wait->chooser->pending--;
    free(wait->walk);
    free(wait);
}

void destination_cancel(struct destination_wait *wait)
{
    if (!wait)
        return;
    resolver_cancel(wait->resolving);
    wait_free(wait);
}

/* Goes on to the next rules. NX_OK: wait->out is filled in. */
static int wait_continue(struct destination_wait *wait);

static void on_resolved(const struct resolver_answer *answer, void *arg)
{
    struct destination_wait *const wait = arg;
    struct rule_entry *const entry = rule_table_find(wait->chooser->rules, wait->rule_id);
    wait->resolving = NULL;
    int err = entry ? destination_use_answer(wait->chooser, &wait->out, entry, answer) : NX_ENOENT;
    if (err != NX_OK)
        err = wait_continue(wait);
    if (err != NX_OK)
        return;
    const struct destination out = wait->out;
    const destination_fn fn = wait->fn;
    void *const fn_arg = wait->arg;
    wait_free(wait);
    fn(&out, fn_arg);
}

static int wait_continue(struct destination_wait *wait)
{
    struct rule_entry *entry;
    while ((entry = rule_walk_next(wait->walk, wait->chooser->rules)) != NULL) {
        const int err = flow_admit(wait->chooser, entry, &wait->out.failure);
        if (err == NX_EPERM)
            return NX_OK; /* it would be the same with the others */
        if (err != NX_OK)
            continue;
        if (entry->rule.addr.family != NETADDR_NONE) {
            destination_set(&wait->out, entry, &entry->rule.addr);
            return NX_OK;
        }
        struct resolver_answer answer;
        wait->rule_id = entry->id;
        balance_trying(rule_entry_health(entry), clock_now_ns());
        if (destination_lookup(wait, entry, &answer, on_resolved) == NX_EAGAIN)
            return NX_EAGAIN;
        if (destination_use_answer(wait->chooser, &wait->out, entry, &answer) == NX_OK)
            return NX_OK;
    }
    return NX_OK; /* a failure */
}

static int destination_walk(struct destination_chooser *chooser, struct rule_set *set,
                            struct destination *out, struct destination_wait **result)
{
    struct destination_wait *const wait = calloc(1, sizeof(*wait));
    struct rule_walk *const walk =
        wait && chooser->pending < DESTINATION_PENDING_MAX ? rule_walk_new(set, clock_now_ns()) : NULL;
    if (!walk) {
        free(wait);
        failure_set(&out->failure, IPC_LIMIT, "too many flows wait for a name");
        return NX_OK;
    }
    *wait = (struct destination_wait){.chooser = chooser, .walk = walk};
    failure_set(&wait->out.failure, IPC_NOT_FOUND, "the rule was removed");
    chooser->pending++;
    if (wait_continue(wait) == NX_EAGAIN) {
        *result = wait;
        return NX_EAGAIN;
    }
    *out = wait->out;
    wait_free(wait);
    return NX_OK;
}

int destination_choose(struct destination_chooser *chooser, struct rule_set *set, struct destination *out,
                       struct destination_wait **wait)
{
    *wait = NULL;
    out->rule_id = 0;
    /* The common case, without allocation: the rule whose turn it is names an address. */
    struct rule_entry *const entry = set->rules[(set->turn + 1) % set->count];
    if (entry->rule.addr.family == NETADDR_NONE)
        return destination_walk(chooser, set, out, wait);
    set->turn++;
    const int err = admission_flow(chooser->admission, entry, &out->failure);
    if (err == NX_ERANGE && set->count > 1)
        return destination_walk(chooser, set, out, wait);
    if (err != NX_OK) {
        failure_note(entry, &out->failure);
        return NX_OK;
    }
    destination_set(out, entry, &entry->rule.addr);
    return NX_OK;
}

void destination_await(struct destination_wait *wait, destination_fn fn, void *arg)
{
    wait->fn = fn;
    wait->arg = arg;
}
