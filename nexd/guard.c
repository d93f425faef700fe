/* A ctld that was taken over could hand up the socket of any client that it serves, and so ask in that
 * client's name; but only while that client is connected, and only of those who connect. Therefore a socket
 * counts that was accepted from the control socket, for the very next message of ctld, and if its far end is
 * still there when that message has come: what a client proved is not kept for later. */
#include "nexd/guard.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "nexd/parent.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool is_accepted(int fd, const struct control_socket *control)
{
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    return control->fd >= 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           strncmp(address.sun_path, control->path, sizeof address.sun_path) == 0;
}

static bool is_connected(int fd)
{
    struct pollfd state = {.fd = fd};
    return poll(&state, 1, 0) >= 0 && (state.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

void guard_init(struct guard *guard)
{
    *guard = (struct guard){.client = -1};
}

void guard_forget(struct guard *guard)
{
    guard->request = 0;
    fd_close(&guard->client);
}

void guard_caller(struct parent_child *ctld, uint32_t request, int *client)
{
    struct parent *parent = ctld->parent;
    struct guard *guard = &parent->guard;
    guard_forget(guard);
    if (!is_accepted(*client, parent->config->control) || peercred_read(*client, &guard->caller) != NX_OK)
        return;
    guard->request = request;
    guard->client = fd_release(client);
}

static bool refuse(struct parent_child *ctld, uint32_t request, const char *why)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 10};
    struct ipc_result refused = {.result = IPC_POLICY};
    ctld->parent->guard.refused++;
    if (log_ratelimit_ok(&limit))
        log_warn("a request over the control socket is refused: %s", why);
    snprintf(refused.text, sizeof refused.text, "%s", why);
    int err = request ? ipc_send(ctld->link, IPC_MSG_RESULT, request, &refused) : NX_OK;
    if (err && err != NX_ECLOSED)
        parent_misbehaved(ctld, nx_strerror(err));
    return false;
}

bool guard_permits(struct parent_child *ctld, uint32_t request, const char *method)
{
    struct guard *guard = &ctld->parent->guard;
    const struct policy *policy = ctld->parent->config->policy;
    char why[IPC_TEXT_MAX];
    const bool known = request != 0 && guard->request == request && is_connected(guard->client);
    const struct policy_caller caller = {
        .uid = guard->caller.uid, .groups = guard->caller.groups, .group_count = guard->caller.group_count};
    guard_forget(guard); /* it counts once */
    if (!policy_has_control(policy) || (known && policy_control(policy, &caller, method)))
        return true;
    if (known)
        snprintf(why, sizeof why, "no control line of %s lets uid %u call %s", policy_file(policy),
                 (unsigned)caller.uid, method);
    else
        snprintf(why, sizeof why, "%s says who may call %s, and who calls has gone or cannot be named",
                 policy_file(policy), method);
    return refuse(ctld, request, why);
}

bool guard_permits_change(struct parent_child *ctld, uint32_t request, const struct ipc_rule_request *change)
{
    const struct policy *policy = ctld->parent->config->policy;
    const bool ingress = change->direction == RULE_INGRESS;
    const char *const word = !change->remove ? "Add" : change->kill_flows ? "Kill" : "Remove";
    char method[32], why[IPC_TEXT_MAX];
    unsigned line;
    snprintf(method, sizeof method, "Proxy%s%s", word, ingress ? "Ingress" : "Egress");
    if (!guard_permits(ctld, request, method))
        return false;
    if (policy_run_time_rules(policy, &line))
        return true;
    snprintf(why, sizeof why, "rules do not change at run time: %s:%u says so", policy_file(policy), line);
    return refuse(ctld, request, why);
}

int guard_rule(struct parent *parent, const struct rule *rule, struct policy_rule_limits *limits, char *error)
{
    const struct policy *policy = parent->config->policy;
    const struct policy_verdict verdict = policy_rule(policy, rule);
    char text[RULE_TEXT_MAX], why[POLICY_WHY_MAX];
    *limits = policy_rule_limits(policy, rule);
    if (verdict.reason == POLICY_ADMITTED)
        return NX_OK;
    snprintf(error, RULE_CHANGE_ERROR_MAX, "%s rule %.64s: %s", rule_direction_name(rule->direction),
             rule_format(rule, text), policy_why(policy, verdict, why));
    return NX_EPERM;
}

/* -- Telling the children -- */

size_t guard_messages_max(const struct parent *parent)
{
    const struct policy *policy = parent->config->policy;
    return policy == NULL ? 0 : 2 + policy_line_count(policy);
}

static void send_limits(struct parent_child *child, int *err, const struct policy *policy)
{
    const struct policy_limits limits = policy_limits(policy);
    const struct ipc_flow_limits message = {.flows_max = (uint32_t)limits.flows.value,
                                            .flows_line = limits.flows.line,
                                            .peer_flows_max = (uint32_t)limits.flows_per_peer.value,
                                            .peer_flows_line = limits.flows_per_peer.line};
    *err = ipc_send(child->link, IPC_MSG_FLOW_LIMITS, 0, &message);
}

static bool is_for(const struct parent_child *child, const struct policy *policy, size_t index)
{
    return child->role == IPC_PROXYD || policy_line_is_control(policy, index);
}

static void send_lines(struct parent_child *child, int *err, const struct policy *policy)
{
    struct ipc_policy head = {0};
    snprintf(head.file, sizeof head.file, "%s", policy_file(policy));
    for (size_t i = 0; i < policy_line_count(policy); i++)
        head.lines += is_for(child, policy, i);
    *err = ipc_send(child->link, IPC_MSG_POLICY, 0, &head);
    for (size_t i = 0; *err == NX_OK && i < policy_line_count(policy); i++) {
        struct ipc_policy_line line;
        unsigned number;
        snprintf(line.text, sizeof line.text, "%s", policy_line(policy, i, &number));
        line.number = number;
        if (is_for(child, policy, i))
            *err = ipc_send(child->link, IPC_MSG_POLICY_LINE, 0, &line);
    }
}

void guard_provision(struct parent_child *child, int *err)
{
    const struct policy *policy = child->parent->config->policy;
    if (*err || policy == NULL)
        return;
    if (child->role == IPC_TUNNELD)
        send_limits(child, err, policy);
    else
        send_lines(child, err, policy);
}
