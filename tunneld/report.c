/* A series is taken down at once, so that it is of one moment, and sent some messages a turn. */
#include "tunneld/report.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/metrics.h"
#include "tunneld/netstack/ping.h"
#include "tunneld/outbox.h"
#include "tunneld/tunnel.h"
#include <stdio.h>
#include <string.h>

static struct child **self;

void report_setup(struct child **child)
{
    self = child;
}

/* The end of a series, behind all that belongs to it. */
static void series_end(uint32_t request, enum ipc_outcome outcome, const char *text)
{
    struct ipc_result body = {.result = (uint8_t)outcome};
    snprintf(body.text, sizeof body.text, "%s", text);
    if (outbox_put(IPC_MSG_RESULT, request, &body, sizeof body) != NX_OK)
        (void)ipc_send(child_link(*self, IPC_CTLD), IPC_MSG_RESULT, request, &body);
}

/* -- Peers -- */

struct series {
    uint32_t request;
    uint64_t now_ns;
    size_t left; /* how many more may be taken down */
    bool cut, full;
};

static void peer_take(void *arg, const struct wg_peer_status *status)
{
    struct series *series = arg;
    struct ipc_peer_status body = {.endpoint = status->endpoint,
                                   .handshake_unix_s = status->handshake_unix_ns / NS_PER_S,
                                   .rx_bytes = status->rx_bytes,
                                   .tx_bytes = status->tx_bytes};
    memcpy(body.public_key, status->public_key, sizeof body.public_key);
    for (size_t i = 0; i < status->allowed_count && i < IPC_PREFIXES_MAX; i++)
        body.allowed.item[body.allowed.count++] = status->allowed[i];
    series->full |= outbox_put(IPC_MSG_PEER_STATUS, series->request, &body, sizeof body) != NX_OK;
}

void report_peers(uint32_t request)
{
    struct series series = {.request = request};
    wg_peers_each(tunnel_device(), peer_take, &series);
    series_end(request, series.full ? IPC_LIMIT : IPC_OK, series.full ? "tunneld: too much to tell" : "");
}

/* -- Flows -- */

/* False: no more are wanted. */
static bool flow_put(struct series *series, struct ipc_flow_status *body, uint64_t opened_ns)
{
    const struct netsock *far = body->direction == RULE_EGRESS ? &body->dest : &body->client;
    const struct wg_peer *peer =
        far->addr.family != NETADDR_NONE ? wg_route(tunnel_device(), &far->addr) : NULL;
    if (series->left == 0) {
        series->cut = true;
        return false;
    }
    series->left--;
    body->peer_known = peer != NULL;
    if (peer != NULL)
        memcpy(body->peer, wg_peer_key(peer), sizeof body->peer);
    body->age_ms = series->now_ns > opened_ns ? (series->now_ns - opened_ns) / NS_PER_MS : 0;
    series->full = outbox_put(IPC_MSG_FLOW_STATUS, series->request, body, sizeof *body) != NX_OK;
    return !series->full;
}

static bool tcp_take(void *arg, const struct tcp_flow_info *info)
{
    static const uint8_t states[] = {[TCP_FLOW_CONNECTING] = IPC_FLOW_CONNECTING,
                                     [TCP_FLOW_OPEN] = IPC_FLOW_OPEN,
                                     [TCP_FLOW_HOST_ENDED] = IPC_FLOW_HOST_ENDED,
                                     [TCP_FLOW_MESH_ENDED] = IPC_FLOW_MESH_ENDED};
    struct ipc_flow_status body = {.rule_id = info->rule_id,
                                   .direction = info->egress ? RULE_EGRESS : RULE_INGRESS,
                                   .protocol = RULE_TCP,
                                   .state = states[info->state],
                                   .client = info->client,
                                   .dest = info->dest,
                                   .to_mesh_bytes = info->to_mesh_bytes,
                                   .to_host_bytes = info->to_host_bytes,
                                   .transport_known = info->transport_known};
    if (info->transport_known) {
        const struct netstack_transport *transport = &info->transport;
        body.congestion_control =
            strcmp(transport->algorithm, "cubic") == 0 ? IPC_CONGESTION_CUBIC : IPC_CONGESTION_BBR;
        body.rtt_us = transport->rtt_ns / NS_PER_US;
        body.min_rtt_us = transport->min_rtt_ns / NS_PER_US;
        body.cwnd_bytes = transport->cwnd_bytes;
        body.pacing_bytes_per_s = transport->pacing_rate;
        body.delivery_bytes_per_s = transport->delivery_rate;
        body.retransmitted_bytes = transport->retransmitted_bytes;
    }
    return flow_put(arg, &body, info->opened_ns);
}

static bool udp_take(void *arg, const struct udp_flow_info *info)
{
    struct ipc_flow_status body = {.rule_id = info->rule_id,
                                   .direction = info->egress ? RULE_EGRESS : RULE_INGRESS,
                                   .protocol = RULE_UDP,
                                   .state = info->waiting ? IPC_FLOW_CONNECTING : IPC_FLOW_OPEN,
                                   .client = info->client,
                                   .dest = info->dest,
                                   .to_mesh_bytes = info->to_mesh_bytes,
                                   .to_host_bytes = info->to_host_bytes};
    return flow_put(arg, &body, info->opened_ns);
}

void report_flows(uint32_t request, const struct ipc_flows_query *query)
{
    struct series series = {.request = request, .now_ns = clock_now_ns(), .left = query->limit};
    tcp_flow_each(tcp_take, &series);
    if (!series.cut && !series.full)
        udp_flow_each(udp_take, &series);
    bool all = !series.cut && !series.full;
    series_end(request, all ? IPC_OK : IPC_LIMIT, all ? "" : "there are more");
}

/* -- Statistics of rules -- */

static void stats_take(void *arg, const struct rule_stats *stats)
{
    struct series *series = arg;
    struct ipc_rule_stats body = {.rule_id = stats->rule_id,
                                  .flows = stats->flows,
                                  .live = stats->live,
                                  .to_mesh_bytes = stats->to_mesh_bytes + stats->live_to_mesh_bytes,
                                  .to_host_bytes = stats->to_host_bytes + stats->live_to_host_bytes,
                                  .refused = stats->errors[RULE_ERROR_REFUSED],
                                  .timed_out = stats->errors[RULE_ERROR_TIMED_OUT],
                                  .unreachable = stats->errors[RULE_ERROR_UNREACHABLE],
                                  .limited = stats->errors[RULE_ERROR_LIMITED],
                                  .policy = stats->errors[RULE_ERROR_POLICY],
                                  .reset = stats->errors[RULE_ERROR_RESET],
                                  .failed = stats->errors[RULE_ERROR_FAILED],
                                  .last_error_unix_s = stats->last_error_unix_s};
    memcpy(body.last_error, stats->last_error, sizeof stats->last_error);
    if (stats->flows != 0 || stats->last_error_unix_s != 0)
        series->full |= outbox_put(IPC_MSG_RULE_STATS, series->request, &body, sizeof body) != NX_OK;
}

static bool tcp_live(void *arg, const struct tcp_flow_info *info)
{
    (void)arg;
    rule_stats_live(info->rule_id, info->to_mesh_bytes, info->to_host_bytes);
    return true;
}

static bool udp_live(void *arg, const struct udp_flow_info *info)
{
    (void)arg;
    rule_stats_live(info->rule_id, info->to_mesh_bytes, info->to_host_bytes);
    return true;
}

void report_rule_stats(uint32_t request)
{
    struct series series = {.request = request};
    rule_stats_live_begin();
    tcp_flow_each(tcp_live, NULL);
    udp_flow_each(udp_live, NULL);
    rule_stats_each(stats_take, &series);
    series_end(request, series.full ? IPC_LIMIT : IPC_OK, "");
}

/* -- Metrics -- */

static void metric_take(void *arg, uint16_t metric, uint64_t value)
{
    struct series *series = arg;
    const struct ipc_metric body = {.metric = metric, .value = value};
    series->full |= outbox_put(IPC_MSG_METRIC, series->request, &body, sizeof body) != NX_OK;
}

void report_metrics(uint32_t request)
{
    struct series series = {.request = request};
    metrics_each(metric_take, &series);
    series_end(request, series.full ? IPC_LIMIT : IPC_OK, "");
}

/* -- Pings -- */

static void pinged(void *arg, uint32_t request, int err, uint64_t round_trip_ns)
{
    (void)arg;
    const struct ipc_pong pong = {.round_trip_ns = round_trip_ns};
    if (err != NX_OK)
        series_end(request, IPC_TIMED_OUT, "no answer");
    else if (outbox_put(IPC_MSG_PONG, request, &pong, sizeof pong) != NX_OK)
        series_end(request, IPC_LIMIT, "tunneld: too much to tell");
}

void report_ping(uint32_t request, const struct ipc_ping *ping)
{
    int err = netstack_ping(&ping->dest, ping->timeout_ms * NS_PER_MS, pinged, NULL, request);
    if (err == NX_ENOENT)
        series_end(request, IPC_UNREACHABLE, "no peer has this address");
    else if (err != NX_OK)
        series_end(request, IPC_LIMIT, "too many pings at once");
}

/* -- Sending -- */

bool report_turn(void)
{
    return !outbox_empty() && outbox_pump(child_link(*self, IPC_CTLD));
}

void report_forget(void)
{
    outbox_forget();
    netstack_ping_forget();
}
