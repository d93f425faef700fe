/* The parent's part of the operator's policy (policy/): which rules there may be, whether they may change,
 * and who may ask for what. It believes ctld nothing of this: the client's own socket is handed up with a
 * request, and who is at its other end is asked of the kernel. Only the parent process. */
#ifndef NEXD_NEXD_GUARD_H
#define NEXD_NEXD_GUARD_H

#include "common/peercred.h"
#include "ipc/codec.h"
#include "policy/policy.h"

struct parent;
struct parent_child;
struct rulebook_entry;

struct guard {
    uint32_t request; /* that the caller is known of; 0 = none */
    int client;       /* the caller's connection; -1 = none */
    struct peercred caller;
    uint64_t refused; /* requests, since the start */
};

void guard_init(struct guard *guard);
/* CALLER from ctld: who makes the request with this id, which is what ctld sends next. Takes over *client
 * (which is -1 then) if it is one of the control socket's. */
void guard_caller(struct parent_child *ctld, uint32_t request, int *client);
/* Another message of ctld has been dealt with, or it has ended: nobody is known any more. */
void guard_forget(struct guard *guard);
/* May that request, which is for this method of the control socket, be carried out? False: it was refused. */
bool guard_permits(struct parent_child *ctld, uint32_t request, const char *method);
/* The same for one that changes the rules. */
bool guard_permits_change(struct parent_child *ctld, uint32_t request, const struct ipc_rule_request *change);
/* May this rule exist? NX_OK and what it is granted; NX_EPERM with the reason in `error`
 * (RULE_CHANGE_ERROR_MAX bytes). */
int guard_rule(struct parent *parent, const struct rule *rule, struct policy_rule_limits *limits,
               char *error);
/* What a new process has to know of the policy, before all rules. `err` as in provision.c. */
void guard_provision(struct parent_child *child, int *err);
size_t guard_messages_max(const struct parent *parent);

#endif
