/* What the children say to the parent. Each message is judged by who sent it and whether it was asked for; a
 * child that says something it has no business to say is killed and restarted. */
#include "nexd/parent.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <sodium.h>
#include <string.h>

static void hello(struct parent_child *child, const struct ipc_hello *message)
{
    if (message->role != child->role || message->pid != (uint32_t)child->pid) {
        parent_misbehaved(child, "HELLO of another role or process");
        return;
    }
    log_debug("%s (pid %d) is up", child->name, (int)child->pid);
    sandboxes_put(child, message);
    supervisor_hello(&child->parent->supervisor, child->role, clock_now_ns());
}

static void ready_check(struct parent *parent)
{
    if (!readiness_check(&parent->readiness))
        return;
    if (parent->config->network) {
        log_info("ready: UDP port %u, %zu rules", parent->kept.tunnel_port, parent->rules.count);
        notify_send(parent->config->notify, "READY=1");
        join_status(parent);
    } else {
        log_info("ready: UDP port %u, %zu rules, %zu peers", parent->kept.tunnel_port, parent->rules.count,
                 parent->config->wgconf->peer_count);
        notify_send(parent->config->notify, "READY=1\nSTATUS=Running");
    }
    rule_change_open(&parent->rule_change, clock_now_ns());
}

/* A port that was merely remembered is given up for any other. */
static void tunnel_refused(struct parent_child *proxyd, const char *why)
{
    const struct ipc_tunnel_bind any = {.port = 0};
    if (join_port_refused(proxyd->parent, why)) {
        ipc_send(proxyd->link, IPC_MSG_TUNNEL_BIND, PARENT_REQUEST_BIND, &any);
        return;
    }
    log_error("%s", why);
    parent_fail(proxyd->parent);
}

static void result(struct parent_child *child, uint32_t request, const struct ipc_result *message)
{
    struct parent *parent = child->parent;
    bool ok = message->result == IPC_OK;
    if ((request >= 1 && request <= RULEBOOK_ID_MAX) || request & RULE_CHANGE_REMOVE) {
        rules_result(child, request, message);
    } else if (request == PARENT_REQUEST_BIND && child->role == IPC_PROXYD && !ok) {
        tunnel_refused(child, message->text[0] ? message->text : "tunnel (UDP): its port cannot be had");
    } else if (request == PARENT_REQUEST_TUNNEL && child->role == IPC_TUNNELD) {
        join_tunnel_result(child, message);
    } else if (request == PARENT_REQUEST_PEERS && child->role == IPC_CTLD) {
        if (ok)
            readiness_peers(&parent->readiness);
        else
            log_error("peers of the configuration: %s", message->text);
    } else if (request == PARENT_REQUEST_METRICS && child->role == IPC_PROXYD && !ok) {
        log_error("%s", message->text);
        parent_fail(parent);
    } else if (request == PARENT_REQUEST_DRAIN && child->role == IPC_PROXYD) {
        drain_result(parent);
    } else if (request != 0) {
        parent_misbehaved(child, "RESULT of a request that was not made");
    } else {
        log_warn("%s: %s", child->name, message->text);
    }
}

/* A socket is kept only for a port that an egress rule names. */
static void keep(struct parent_child *child, enum rule_protocol protocol, uint16_t port, int *fd)
{
    const struct rulebook *book = &child->parent->rules;
    if (!rulebook_has_listener(book, RULE_EGRESS, protocol, port, true)) {
        parent_misbehaved(child, "socket of a port that no rule names");
        return;
    }
    if (!rulebook_has_listener(book, RULE_EGRESS, protocol, port, false))
        return; /* its last rule is going already */
    if (child->parent->drain.wanted && protocol == RULE_TCP)
        return; /* it was under way when draining began */
    unsigned line;
    const struct netaddr address = policy_listen(child->parent->config->policy, protocol, port, &line);
    int err = kept_put(&child->parent->kept, protocol, port, &address, fd);
    if (err == NX_EPROTO)
        parent_misbehaved(child, "socket that is not bound to its port, or not at the policy's address");
    else if (err)
        log_warn("%s port %u will not survive a restart of %s: %s", rule_protocol_name(protocol), port,
                 child->name, nx_strerror(err));
}

static void tunnel_bound(struct parent_child *child, uint32_t request, struct ipc_tunnel_bound *message)
{
    struct parent *parent = child->parent;
    uint16_t wanted = join_port(parent);
    if (request != PARENT_REQUEST_BIND || (wanted && wanted != message->port) ||
        kept_put_tunnel(&parent->kept, message->port, &message->udp4, &message->udp6)) {
        parent_misbehaved(child, "tunnel sockets that were not asked for, or not bound to their port");
        return;
    }
    log_debug("the tunnel has UDP port %u, IPv4%s", message->port,
              parent->kept.tunnel6 >= 0 ? " and IPv6" : " only");
    join_port_bound(parent, message->port);
    uint64_t now_ns = clock_now_ns();
    supervisor_gate_open(&parent->supervisor, IPC_TUNNELD, now_ns);
    supervisor_gate_open(&parent->supervisor, IPC_CTLD, now_ns);
}

static void tunnel_ready(struct parent_child *child, const struct ipc_tunnel_ready *message)
{
    if (sodium_memcmp(message->public_key, vault_public_key(child->parent->config->vault), KEY_BYTES) != 0) {
        parent_misbehaved(child, "TUNNEL_READY with another public key");
        return;
    }
    readiness_tunnel(&child->parent->readiness);
}

/* An operator's wish through ctld: for every process, and for those started later. Operators switch debugging
 * on and off, no more: a ctld that could silence the rest would hide what else it does. */
static void log_level(struct parent_child *child, uint32_t request, const struct ipc_log_level *message)
{
    if (message->level > LOG_LEVEL_INFO) {
        parent_misbehaved(child, "it wants to silence the log, and nobody can have asked it to");
        return;
    }
    if (!guard_permits(child, request, message->level == LOG_LEVEL_DEBUG ? "SetDebugOn" : "SetDebugOff"))
        return;
    log_set_level((enum log_level)message->level);
    for (size_t i = 0; i < SUPERVISOR_CHILDREN; i++)
        ipc_send(child->parent->children[i].link, IPC_MSG_LOG_LEVEL, 0, message);
    const struct ipc_result done = {.result = IPC_OK};
    if (request)
        ipc_send(child->link, IPC_MSG_RESULT, request, &done);
}

/* A child cannot mend its link; the accused sibling is restarted. A child that accuses falsely gains no more
 * than it could have by sending nonsense itself, and the accused's back-off bounds how often. */
static void link_broken(struct parent_child *child, const struct ipc_link_broken *message)
{
    enum ipc_role accused = (enum ipc_role)message->peer;
    if (accused == child->role)
        parent_misbehaved(child, "LINK_BROKEN of a link to itself");
    else if (supervisor_pair_alive(&child->parent->supervisor, child->role, accused, message->generation))
        parent_misbehaved(parent_child_of(child->parent, accused), "it broke the protocol towards a sibling");
}

/* A rule that is added while nexd drains would never have a flow. */
static void rule_request(struct parent_child *child, uint32_t request, const struct ipc_rule_request *message)
{
    static const struct ipc_result refused = {.result = IPC_NOT_PERMITTED,
                                              .text = "nexd is draining: start it anew to add rules"};
    if (child->parent->config->unattended)
        parent_misbehaved(child, "it wants to change rules, and nobody can have asked it to");
    else if (!guard_permits_change(child, request, message))
        return;
    else if (child->parent->drain.wanted && !message->remove)
        ipc_send(child->link, IPC_MSG_RESULT, request, &refused);
    else
        rule_change_request(&child->parent->rule_change, request, message, clock_now_ns());
}

void report_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    (void)link;
    struct parent_child *child = arg;
    struct parent *parent = child->parent;
    union ipc_body *body = &message->body;
    switch (message->header.type) {
    case IPC_MSG_HELLO:
        hello(child, &body->hello);
        break;
    case IPC_MSG_RESULT:
        result(child, message->header.request, &body->result);
        break;
    case IPC_MSG_LISTENER_KEEP:
        keep(child, RULE_TCP, body->listener_keep.port, &body->listener_keep.fd);
        break;
    case IPC_MSG_UDP_KEEP:
        keep(child, RULE_UDP, body->udp_keep.port, &body->udp_keep.fd);
        break;
    case IPC_MSG_TUNNEL_BOUND:
        tunnel_bound(child, message->header.request, &body->tunnel_bound);
        break;
    case IPC_MSG_TUNNEL_READY:
        tunnel_ready(child, &body->tunnel_ready);
        break;
    case IPC_MSG_ALIVE:
        if (!vigil_answered(&parent->vigil, child->role - IPC_TUNNELD, body->alive.number))
            parent_misbehaved(child, "an answer to what it was not asked");
        break;
    case IPC_MSG_LINK_BROKEN:
        link_broken(child, &body->link_broken);
        break;
    case IPC_MSG_CALLER:
        guard_caller(child, message->header.request, &body->caller.client);
        break;
    case IPC_MSG_RULE_REQUEST:
        rule_request(child, message->header.request, &body->rule_request);
        break;
    case IPC_MSG_METRICS_BOUND:
        metrics_bound(child, message->header.request, &body->metrics_bound.fd);
        break;
    case IPC_MSG_METRICS_QUERY:
        metrics_query(child, message->header.request);
        break;
    case IPC_MSG_SANDBOX_QUERY:
        sandboxes_query(child, message->header.request);
        break;
    case IPC_MSG_DRAIN:
        if (guard_permits(child, message->header.request, "Drain"))
            drain_request(parent, message->header.request);
        break;
    case IPC_MSG_LOG_LEVEL:
        log_level(child, message->header.request, &body->log_level);
        break;
    default: /* the decoder lets nothing else through */
        if (child->role != IPC_CTLD || !join_message(child, message))
            parent_misbehaved(child, "a message that the parent takes no part in");
        break;
    }
    if (child->role == IPC_CTLD && message->header.type != IPC_MSG_CALLER)
        guard_forget(&parent->guard);
    ready_check(parent);
    parent_settle(parent);
}
