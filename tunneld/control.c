/* See control.h. Each message is one call; requests are answered by RESULT. */
#include "tunneld/control.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/key.h"
#include "common/log.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/report.h"
#include "tunneld/stun.h"
#include "tunneld/tunnel.h"
#include "tunneld/udp/udp_io.h"
#include <stdio.h>
#include <string.h>

static bool sockets_set, peers_known, ready_told;

static void answer(struct ipc_link *link, uint32_t request, int err)
{
    if (request == 0)
        return;
    struct ipc_result body = {.result = err == NX_OK       ? IPC_OK
                                        : err == NX_ENOENT ? IPC_NOT_FOUND
                                        : err == NX_ENOMEM ? IPC_LIMIT
                                                           : IPC_FAILED};
    if (err != NX_OK)
        snprintf(body.text, sizeof body.text, "tunneld: %s", nx_strerror(err));
    (void)ipc_send(link, IPC_MSG_RESULT, request, &body);
}

void control_links_hold(struct child *child)
{
    struct ipc_link *ctld = child_link(child, IPC_CTLD), *proxyd = child_link(child, IPC_PROXYD);
    if (ctld != NULL)
        ipc_link_hold(ctld, !tunnel_configured() && !sockets_set);
    if (proxyd != NULL)
        ipc_link_hold(proxyd, !tunnel_configured() || !peers_known);
}

/* Something that readiness depends on has come. */
static void ready_check(struct child *child)
{
    control_links_hold(child);
    if (ready_told || !tunnel_configured() || !sockets_set || !peers_known)
        return;
    struct ipc_tunnel_ready body;
    memcpy(body.public_key, wg_public_key(tunnel_device()), sizeof body.public_key);
    ready_told = ipc_send(child_link(child, IPC_PARENT), IPC_MSG_TUNNEL_READY, 0, &body) == NX_OK;
}

static int rule_add(const struct ipc_rule_add *body)
{
    if (!tunnel_configured())
        return NX_EAGAIN;
    int err = ports_rule_add(body->rule_id, body->direction, body->protocol, body->listen_port);
    if (err != NX_OK)
        return err;
    err = limits_rule_add(body->rule_id, body->flows_max, body->flows_line, body->bytes_per_s_max);
    if (err != NX_OK)
        (void)ports_rule_remove(body->rule_id);
    return err;
}

static int rule_remove(const struct ipc_rule_remove *body)
{
    int err = ports_rule_remove(body->rule_id);
    limits_rule_remove(body->rule_id);
    if (err == NX_OK && body->kill_flows) {
        tcp_flow_kill_rule(body->rule_id);
        udp_flow_kill_rule(body->rule_id);
    }
    return err;
}

void control_parent_message(struct child *child, struct ipc_link *link, struct ipc_message *message)
{
    union ipc_body *body = &message->body;
    int err = NX_OK;
    switch (message->header.type) {
    case IPC_MSG_TUNNEL_CONFIG:
        err = tunnel_configure(&body->tunnel_config);
        if (err == NX_OK)
            ready_check(child);
        else
            log_error("the tunnel cannot be set up: %s", nx_strerror(err));
        break;
    case IPC_MSG_TUNNEL_SOCKETS:
        err = udp_io_set_sockets(body->tunnel_sockets.udp4, body->tunnel_sockets.udp6);
        body->tunnel_sockets.udp4 = body->tunnel_sockets.udp6 = -1;
        sockets_set = err == NX_OK;
        ready_check(child);
        break;
    case IPC_MSG_PEER_SECRET:
        err = !tunnel_configured() ? NX_EAGAIN
                                   : wg_peer_set_preshared(tunnel_device(), body->peer_secret.public_key,
                                                           body->peer_secret.preshared_key);
        break;
    case IPC_MSG_FLOW_LIMITS:
        limits_set(&(struct limits_all){.flows_max = body->flow_limits.flows_max,
                                        .flows_line = body->flow_limits.flows_line,
                                        .peer_flows_max = body->flow_limits.peer_flows_max,
                                        .peer_flows_line = body->flow_limits.peer_flows_line});
        break;
    case IPC_MSG_RULE_ADD:
        err = rule_add(&body->rule_add);
        break;
    case IPC_MSG_RULE_REMOVE:
        err = rule_remove(&body->rule_remove);
        break;
    default:
        log_warn("the parent sent %s, which has no meaning here", ipc_type_name(message->header.type));
        return;
    }
    answer(link, message->header.request, err);
}

static int peer_set(const struct ipc_peer_set *body)
{
    struct wg_peer_config config = {.endpoint = body->endpoint,
                                    .keepalive_s = body->keepalive_s,
                                    .allowed = body->allowed.item,
                                    .allowed_count = body->allowed.count,
                                    .replace_allowed = !body->append};
    memcpy(config.public_key, body->public_key, sizeof config.public_key);
    int err = wg_peer_set(tunnel_device(), &config, clock_now_ns());
    if (err != NX_OK) {
        char name[KEY_SHORT_MAX];
        log_warn("peer %s cannot be set: %s", key_short(body->public_key, name), nx_strerror(err));
    }
    return err;
}

void control_ctld_message(struct child *child, struct ipc_link *link, struct ipc_message *message)
{
    union ipc_body *body = &message->body;
    struct wg_device *device = tunnel_device();
    int err = NX_OK;
    if (message->header.type == IPC_MSG_STUN_SEND) {
        err = stun_send(message->header.request, &body->stun_send);
        if (err != NX_OK)
            answer(link, message->header.request, err);
        return;
    }
    if (device == NULL) {
        answer(link, message->header.request, NX_EAGAIN);
        return;
    }
    switch (message->header.type) {
    case IPC_MSG_PEERS_SYNC:
        if (body->peers_sync.begin) {
            wg_peers_mark(device);
            break;
        }
        wg_peers_sweep(device);
        peers_known = true;
        ready_check(child);
        break;
    case IPC_MSG_PEER_SET:
        err = peer_set(&body->peer_set);
        break;
    case IPC_MSG_PEER_REMOVE:
        err = wg_peer_remove(device, body->peer_remove.public_key);
        break;
    case IPC_MSG_PEERS_QUERY:
        report_peers(message->header.request);
        return;
    case IPC_MSG_FLOWS_QUERY:
        report_flows(message->header.request, &body->flows_query);
        return;
    case IPC_MSG_RULE_STATS_QUERY:
        report_rule_stats(message->header.request);
        return;
    case IPC_MSG_METRICS_QUERY:
        report_metrics(message->header.request);
        return;
    case IPC_MSG_PING:
        report_ping(message->header.request, &body->ping);
        return;
    default:
        log_warn("ctld sent %s, which has no meaning here", ipc_type_name(message->header.type));
        return;
    }
    answer(link, message->header.request, err);
}
