/* Fails closed: without the whole policy, or with one that this process cannot read, no rule is opened. */
#include "proxyd/admission.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <string.h>

void admission_destroy(struct admission *admission)
{
    policy_free(admission->policy);
    *admission = (struct admission){0};
}

static void broken(struct admission *admission, const char *why)
{
    log_error("the operator's policy cannot be enforced, so no rule is opened: %s", why);
    admission->broken = true;
}

void admission_begin(struct admission *admission, const struct ipc_policy *message)
{
    if (admission->policy) {
        broken(admission, "there is one already");
        return;
    }
    admission->policy = policy_new(message->file);
    admission->lines_missing = message->lines;
    if (!admission->policy)
        broken(admission, "out of memory");
}

void admission_line(struct admission *admission, const struct ipc_policy_line *message)
{
    char error[POLICY_ERROR_MAX] = "a line too many";
    if (admission->broken)
        return;
    if (!admission->policy || admission->lines_missing == 0 ||
        policy_read_line(admission->policy, message->number, message->text, strlen(message->text), error) !=
            NX_OK) {
        broken(admission, error);
        return;
    }
    admission->lines_missing--;
    admission->new_flows.per_second = policy_limits(admission->policy).new_flows.value;
}

int admission_rule(const struct admission *admission, struct rule_entry *entry, struct failure *failure)
{
    char name[RULE_NAME_MAX], why[POLICY_WHY_MAX];
    if (admission->broken || admission->lines_missing > 0) {
        failure_set(failure, IPC_POLICY, "%s: the operator's policy is not known as a whole",
                    rule_entry_name(entry, name));
        return NX_EPERM;
    }
    const struct policy_verdict verdict = policy_rule(admission->policy, &entry->rule);
    entry->limits = policy_rule_limits(admission->policy, &entry->rule);
    entry->new_flows.per_second = entry->limits.new_flows.value;
    if (verdict.reason == POLICY_ADMITTED)
        return NX_OK;
    failure_set(failure, IPC_POLICY, "%s: %s", rule_entry_name(entry, name),
                policy_why(admission->policy, verdict, why));
    return NX_EPERM;
}

struct netaddr admission_listen(const struct admission *admission, const struct rule *rule)
{
    unsigned line;
    return policy_listen(admission->policy, rule->protocol, rule->listen_port, &line);
}

size_t admission_addresses(const struct admission *admission, const struct rule_entry *entry,
                           const struct resolver_answer *answer, struct netaddr *out, struct failure *failure)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->count; i++) {
        char address[NETADDR_TEXT_MAX], why[POLICY_WHY_MAX];
        const struct policy_verdict verdict =
            policy_address(admission->policy, &entry->rule, &answer->addrs[i], answer->from_host);
        if (verdict.reason == POLICY_ADMITTED)
            out[count++] = answer->addrs[i];
        else
            failure_set(failure, IPC_POLICY, "%s at %s: %s", entry->rule.host,
                        netaddr_format(&answer->addrs[i], address),
                        policy_why(admission->policy, verdict, why));
    }
    return count;
}

static int too_many(const struct admission *admission, const struct policy_bound *bound, int err,
                    struct failure *failure)
{
    failure_set(failure, IPC_POLICY, "more than %llu new flows in a second: %s:%u",
                (unsigned long long)bound->value, policy_file(admission->policy), bound->line);
    return err;
}

int admission_flow(struct admission *admission, struct rule_entry *entry, struct failure *failure)
{
    if (!admission->policy || (entry->new_flows.per_second == 0 && admission->new_flows.per_second == 0))
        return NX_OK;
    const uint64_t now_ns = clock_now_ns();
    const struct policy_bound all = policy_limits(admission->policy).new_flows;
    if (!rate_take(&entry->new_flows, now_ns, false))
        return too_many(admission, &entry->limits.new_flows, NX_ERANGE, failure);
    if (!rate_take(&admission->new_flows, now_ns, true))
        return too_many(admission, &all, NX_EPERM, failure);
    (void)rate_take(&entry->new_flows, now_ns, true);
    return NX_OK;
}
