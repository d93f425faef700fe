/* Who may call what. Lines add up: one that matches is enough. */
#include "policy/internal.h"

#include <string.h>

const char *const policy_methods[] = {"Status",
                                      "SandboxReport",
                                      "Version",
                                      "GetTunnelIPv4",
                                      "GetTunnelIPv6",
                                      "ProxyList",
                                      "ProxyAddIngress",
                                      "ProxyAddEgress",
                                      "ProxyRemoveIngress",
                                      "ProxyRemoveEgress",
                                      "ProxyKillIngress",
                                      "ProxyKillEgress",
                                      "Drain",
                                      "ListPeers",
                                      "ConnectivityV4",
                                      "ConnectivityV6",
                                      "ListFlows",
                                      "ListRuleStats",
                                      "ListExitNodes",
                                      "EnableExitNodeClient",
                                      "DisableExitNodeClient",
                                      "SetDebugOn",
                                      "SetDebugOff",
                                      "GetDebug",
                                      NULL};

bool method_matches(const char *pattern, const char *text)
{
    const size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*')
        return strncmp(pattern, text, length - 1) == 0;
    return strcmp(pattern, text) == 0;
}

bool policy_has_control(const struct policy *policy)
{
    return policy != NULL && policy->has_control;
}

static bool caller_is(const struct statement *statement, const struct policy_caller *caller)
{
    if (statement->who == CONTROL_ANY)
        return true;
    if (statement->who == CONTROL_UID)
        return statement->who_id == caller->uid;
    for (size_t i = 0; i < caller->group_count; i++)
        if (statement->who_id == caller->groups[i])
            return true;
    return false;
}

bool policy_control(const struct policy *policy, const struct policy_caller *caller, const char *method)
{
    if (!policy_has_control(policy))
        return true;
    for (size_t i = 0; i < policy->count; i++) {
        const struct statement *const statement = &policy->statements[i];
        if (statement->kind != STATEMENT_CONTROL || !caller_is(statement, caller))
            continue;
        for (size_t m = 0; m < statement->methods.count; m++)
            if (method_matches(statement->methods.items[m], method))
                return true;
    }
    return false;
}
