/* The operator's policy (policy/) as proxyd enforces it: which rules it opens, where they listen, which
 * addresses of a name a flow may go to, and how many flows may begin in a second. The parent has judged every
 * rule before; this is judged again here, by the process that makes the sockets. */
#ifndef NEXD_PROXYD_ADMISSION_H
#define NEXD_PROXYD_ADMISSION_H

#include "policy/policy.h"
#include "proxyd/resolver.h"
#include "proxyd/rules.h"

struct admission {
    struct policy *policy; /* NULL = none */
    uint32_t lines_missing;
    bool broken; /* what came cannot be enforced: nothing is admitted */
    struct rate new_flows;
};

void admission_destroy(struct admission *admission);
/* POLICY and POLICY_LINE. */
void admission_begin(struct admission *admission, const struct ipc_policy *message);
void admission_line(struct admission *admission, const struct ipc_policy_line *message);

/* May this rule be opened? NX_OK, and what it is granted is in the entry; NX_EPERM with `failure`. */
int admission_rule(const struct admission *admission, struct rule_entry *entry, struct failure *failure);
/* Where its port listens; family NETADDR_NONE: at all addresses. */
struct netaddr admission_listen(const struct admission *admission, const struct rule *rule);
/* Those addresses of the rule's name that a flow may go to, in their order, into `out` (RESOLVER_ADDRS_MAX).
 * 0: none, and `failure` says why the last one is not. */
size_t admission_addresses(const struct admission *admission, const struct rule_entry *entry,
                           const struct resolver_answer *answer, struct netaddr *out,
                           struct failure *failure);
/* One more flow of this rule begins. NX_OK; NX_ERANGE: this rule has had its share of this second; NX_EPERM:
 * all of them together have. */
int admission_flow(struct admission *admission, struct rule_entry *entry, struct failure *failure);

#endif
