/* Putting policies together, call by call.
 *
 * A call that only one side names keeps its rules as they are. Where both sides name it, the result allows
 * what either allows: allowing rules go in front of errno answers, and a rule that an unconditional one
 * already decides is left out. */
#include "seccomp/policy.h"

#include "common/err.h"

#include <string.h>

static bool stage_names(const struct policy_stage *stage, const char *syscall)
{
    for (size_t i = 0; i < stage->count; i++) {
        if (!strcmp(stage->rules[i].syscall, syscall))
            return true;
    }
    return false;
}

static int rule_insert(struct policy_stage *stage, size_t at, const struct policy_rule *rule)
{
    if (stage->count == POLICY_RULES_MAX)
        return NX_ENOMEM;
    memmove(&stage->rules[at + 1], &stage->rules[at], (stage->count - at) * sizeof stage->rules[0]);
    stage->rules[at] = *rule;
    stage->count++;
    return NX_OK;
}

static int rule_merge(struct policy_stage *stage, const struct policy_rule *rule)
{
    size_t at = stage->count;
    for (size_t i = 0; i < stage->count; i++) {
        const struct policy_rule *present = &stage->rules[i];
        if (strcmp(present->syscall, rule->syscall) != 0)
            continue;
        if (!present->condition_count && (!present->error || rule->error))
            return NX_OK;
        if (present->error && !rule->error && i < at)
            at = i;
    }
    return rule_insert(stage, at, rule);
}

static int stage_add(struct policy_stage *stage, const struct policy_stage *other)
{
    bool shared[POLICY_RULES_MAX];
    for (size_t i = 0; i < other->count; i++)
        shared[i] = stage_names(stage, other->rules[i].syscall);
    int err = NX_OK;
    for (size_t i = 0; i < other->count && !err; i++) {
        if (shared[i])
            err = rule_merge(stage, &other->rules[i]);
        else
            err = rule_insert(stage, stage->count, &other->rules[i]);
    }
    return err;
}

void policy_resolve(const struct policy_stage *stage, enum policy_arch arch, struct policy_stage *out)
{
    out->count = 0;
    for (size_t i = 0; i < stage->count; i++) {
        struct policy_rule *rule = &out->rules[out->count];
        *rule = stage->rules[i];
        if (policy_syscall_number(rule->syscall, arch) < 0)
            memcpy(rule->syscall, rule->otherwise, sizeof rule->syscall);
        rule->otherwise[0] = 0;
        out->count += rule->syscall[0] && policy_syscall_number(rule->syscall, arch) >= 0;
    }
}

int policy_append(struct policy *policy, const struct policy *other)
{
    int err = NX_OK;
    for (int stage = 0; stage < POLICY_STAGES && !err; stage++)
        err = stage_add(&policy->stages[stage], &other->stages[stage]);
    return err;
}

int policy_contain(struct policy *policy, const struct policy *child)
{
    int err = NX_OK;
    for (int stage = 0; stage < POLICY_STAGES && !err; stage++)
        err = stage_add(&policy->stages[POLICY_RUN], &child->stages[stage]);
    return err;
}

int policy_close(struct policy *policy)
{
    return stage_add(&policy->stages[POLICY_START], &policy->stages[POLICY_RUN]);
}
