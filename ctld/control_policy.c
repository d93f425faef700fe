/* Fails closed: while lines are missing, or when one cannot be read, nobody may call anything. */
#include "ctld/control_policy.h"

#include "common/err.h"
#include "common/log.h"

#include <stdio.h>
#include <string.h>

void control_policy_destroy(struct control_policy *control)
{
    policy_free(control->policy);
    *control = (struct control_policy){0};
}

static void broken(struct control_policy *control, const char *why)
{
    log_error("the operator's policy cannot be applied, so the control socket serves nobody: %s", why);
    control->broken = true;
}

void control_policy_begin(struct control_policy *control, const struct ipc_policy *message)
{
    if (control->policy) {
        broken(control, "there is one already");
        return;
    }
    control->policy = policy_new(message->file);
    control->lines_missing = message->lines;
    if (!control->policy)
        broken(control, "out of memory");
}

void control_policy_line(struct control_policy *control, const struct ipc_policy_line *message)
{
    char error[POLICY_ERROR_MAX] = "a line too many";
    if (control->broken)
        return;
    if (!control->policy || control->lines_missing == 0 ||
        policy_read_line(control->policy, message->number, message->text, strlen(message->text), error) !=
            NX_OK)
        broken(control, error);
    else
        control->lines_missing--;
}

bool control_policy_wants_caller(const struct control_policy *control)
{
    return policy_has_control(control->policy);
}

bool control_policy_permits(const struct control_policy *control, const struct peercred *caller,
                            const char *method, char *why)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 10};
    const struct policy_caller who = {
        .uid = caller->uid, .groups = caller->groups, .group_count = caller->group_count};
    if (control->broken || control->lines_missing > 0)
        snprintf(why, CONTROL_POLICY_WHY_MAX, "the operator's policy is not known as a whole");
    else if (policy_control(control->policy, &who, method))
        return true;
    else
        snprintf(why, CONTROL_POLICY_WHY_MAX, "no control line of %s lets uid %u call %s",
                 policy_file(control->policy), (unsigned)caller->uid, method);
    if (log_ratelimit_ok(&limit))
        log_warn("control socket: uid %u, gid %u, pid %d is refused: %s", (unsigned)caller->uid,
                 (unsigned)caller->gid, (int)caller->pid, why);
    return false;
}
