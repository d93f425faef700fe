/* The lines of the operator's policy (policy/) that are about the control socket, as ctld applies them. They
 * are applied here first, to every method; the parent applies them again to those that it carries out, since
 * ctld is not what it trusts. ctld only. */
#ifndef NEXD_CTLD_CONTROL_POLICY_H
#define NEXD_CTLD_CONTROL_POLICY_H

#include "common/peercred.h"
#include "ipc/messages.h"
#include "policy/policy.h"

enum { CONTROL_POLICY_WHY_MAX = 400 };

struct control_policy {
    struct policy *policy; /* NULL = none */
    uint32_t lines_missing;
    bool broken; /* what came cannot be applied: nobody may call anything */
};

void control_policy_destroy(struct control_policy *control);
/* POLICY and POLICY_LINE. */
void control_policy_begin(struct control_policy *control, const struct ipc_policy *message);
void control_policy_line(struct control_policy *control, const struct ipc_policy_line *message);
/* The parent wants to know who asks. */
bool control_policy_wants_caller(const struct control_policy *control);
/* False: `why` (CONTROL_POLICY_WHY_MAX bytes) is the answer. */
bool control_policy_permits(const struct control_policy *control, const struct peercred *caller,
                            const char *method, char *why);

#endif
