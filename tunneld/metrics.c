/* Gathered from the rooms' own counters: counting costs nothing here. */
#include "tunneld/metrics.h"
#include "ipc/metrics.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/netstack/netstack.h"
#include "tunneld/outbox.h"
#include "tunneld/tunnel.h"
#include "tunneld/udp/udp_io.h"
#include <stddef.h>

struct number {
    uint16_t metric;
    uint64_t value;
};

static void numbers_put(const struct number *numbers, size_t count,
                        void (*put)(void *arg, uint16_t metric, uint64_t value), void *arg)
{
    for (size_t i = 0; i < count; i++)
        put(arg, numbers[i].metric, numbers[i].value);
}

static void tunnel_each(void (*put)(void *arg, uint16_t metric, uint64_t value), void *arg)
{
    const struct wg_counters *wg = wg_counters_get(tunnel_device());
    const struct udp_io_counters *udp = udp_io_counters_get();
    const struct netstack_counters *stack = netstack_counters_get();
    const struct number numbers[] = {
        {METRIC_DROP_MALFORMED, wg->drop_malformed},
        {METRIC_DROP_MAC1, wg->drop_mac1},
        {METRIC_DROP_UNKNOWN_PEER, wg->drop_unknown_peer},
        {METRIC_DROP_UNKNOWN_INDEX, wg->drop_unknown_index},
        {METRIC_DROP_REPLAY, wg->drop_replay},
        {METRIC_DROP_AUTH, wg->drop_auth},
        {METRIC_DROP_EXPIRED, wg->drop_expired},
        {METRIC_DROP_SOURCE, wg->drop_source},
        {METRIC_DROP_INNER, wg->drop_inner},
        {METRIC_DROP_STAGED, wg->drop_staged},
        {METRIC_DROP_NO_ROUTE, wg->drop_no_route},
        {METRIC_DROP_RATE, wg->drop_rate},
        {METRIC_DROP_SEND, udp->tx_dropped},
        {METRIC_DROP_FOREIGN, stack->rx_foreign},
        {METRIC_DROP_STACK, stack->rx_malformed},
        {METRIC_DROP_MEMORY, stack->rx_no_memory},
        {METRIC_DROP_OUTPUT, stack->tx_dropped + stack->loop_dropped},
        {METRIC_HANDSHAKES_INITIATED, wg->handshakes_initiated},
        {METRIC_HANDSHAKES_ANSWERED, wg->handshakes_answered},
        {METRIC_HANDSHAKES_COMPLETED, wg->handshakes_completed},
        {METRIC_COOKIES_SENT, wg->cookies_sent},
        {METRIC_COOKIES_RECEIVED, wg->cookies_received},
        {METRIC_DATAGRAMS_RECEIVED, udp->rx_datagrams},
        {METRIC_DATAGRAMS_SENT, udp->tx_datagrams},
        {METRIC_BYTES_RECEIVED, udp->rx_bytes},
        {METRIC_BYTES_SENT, udp->tx_bytes},
    };
    numbers_put(numbers, sizeof numbers / sizeof *numbers, put, arg);
}

static void flows_each(void (*put)(void *arg, uint16_t metric, uint64_t value), void *arg)
{
    const struct tcp_flow_counters *tcp = tcp_flow_counters_get();
    const struct udp_flow_counters *udp = udp_flow_counters_get();
    const struct gate_counters *gate = gate_counters_get();
    const struct number numbers[] = {
        {METRIC_FLOWS_TCP, tcp->opened},
        {METRIC_FLOWS_UDP, udp->opened},
        {METRIC_FLOWS_LIVE_TCP, tcp->opened - tcp->closed},
        {METRIC_FLOWS_LIVE_UDP, udp->opened - udp->closed},
        {METRIC_PAYLOAD_TCP_TO_MESH, tcp->to_mesh_bytes},
        {METRIC_PAYLOAD_TCP_TO_HOST, tcp->to_host_bytes},
        {METRIC_PAYLOAD_UDP_TO_MESH, udp->to_mesh_bytes},
        {METRIC_PAYLOAD_UDP_TO_HOST, udp->to_host_bytes},
        {METRIC_FLOW_RESET_MESH, tcp->reset_by_mesh},
        {METRIC_FLOW_RESET_HOST, tcp->reset_by_host},
        {METRIC_FLOW_CONNECT_FAILED, tcp->connect_failed + udp->failed},
        {METRIC_FLOW_REFUSED, gate->refused},
        {METRIC_FLOW_TIMED_OUT, gate->timed_out},
        {METRIC_FLOW_LIMIT, tcp->refused_limit + udp->refused_limit + gate->dropped_full},
        {METRIC_FLOW_POLICY, limits_counters_get()->flows},
        {METRIC_UDP_DROPPED, udp->dropped},
        {METRIC_UDP_POLICED, limits_counters_get()->datagrams},
        {METRIC_GATE_WAITING, gate_waiting()},
        {METRIC_REPORT_QUEUE, outbox_count()},
    };
    numbers_put(numbers, sizeof numbers / sizeof *numbers, put, arg);
}

void metrics_each(void (*put)(void *arg, uint16_t metric, uint64_t value), void *arg)
{
    tunnel_each(put, arg);
    flows_each(put, arg);
}
