/* UDP flows that a mesh peer opens to an ingress rule: each has a connected socket of its own, which proxyd
 * makes. */
#include "common/clock.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/udp_flow_internal.h"
#include "tunneld/flow/udp_host.h"
#include <errno.h>
#include <event2/event.h>
#include <unistd.h>

static void ingress_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct udp_flow *flow = arg;
    struct udp_host_datagram batch[UDP_HOST_BATCH];
    (void)what;
    int n = udp_host_receive(fd, true, batch);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* The destination refuses (ICMP): the flow is over; the next datagram tries anew. */
        udp_flows.counters.failed++;
        rule_stats_error(flow->rule_id, errno == ECONNREFUSED ? RULE_ERROR_REFUSED : RULE_ERROR_FAILED,
                         &flow->own);
        udp_flow_end(flow);
        return;
    }
    if (n > 0)
        flow->last_ns = clock_now_ns();
    for (int i = 0; i < n; i++)
        udp_flow_to_mesh(flow, batch[i].data, batch[i].length);
}

/* As in gate.c; a datagram is dropped. */
static bool refused_by_policy(const struct netsock *from, uint16_t port)
{
    bool only;
    unsigned line;
    uint32_t rule_id = ports_rule_of(RULE_UDP, port, &only);
    if (limits_room(only ? rule_id : 0, &from->addr, &line))
        return false;
    limits_count_refused();
    rule_stats_policy(rule_id, line, from);
    return true;
}

bool udp_flow_from_mesh(void *arg, const struct netsock *from, const struct netsock *to, const uint8_t *data,
                        size_t length)
{
    (void)arg;
    struct udp_flow *flow = udp_flow_by_mesh(from, to);
    if (flow == NULL) {
        if (!ports_udp_open(to->port))
            return false;
        if (refused_by_policy(from, to->port))
            return true;
        if (udp_flows.sockets >= udp_flows.sockets_max) {
            udp_flows.counters.refused_limit++;
            return true;
        }
        uint32_t request = udp_flows.asks->connect(udp_flows.asks->arg, RULE_UDP, from, to);
        if (request == 0) {
            udp_flows.counters.dropped++;
            return true;
        }
        flow = udp_flow_new();
        if (flow == NULL) {
            udp_flows.asks->cancel(udp_flows.asks->arg, request);
            return true;
        }
        udp_flow_bind(flow, from, to);
        udp_flow_await(flow, request);
    }
    flow->last_ns = clock_now_ns();
    if (flow->request != 0)
        udp_flow_pend(flow, data, length);
    else
        udp_flow_to_host(flow, data, length);
    return true;
}

bool udp_flow_connected(uint32_t request, uint32_t rule_id, int fd)
{
    struct udp_flow *flow = udp_flow_by_request(request);
    if (flow == NULL || flow->port != NULL)
        return false;
    udp_flow_answered(flow);
    if (!udp_flow_of_rule(flow, rule_id, &flow->mesh)) {
        close(fd);
        udp_flow_free(flow);
        return true;
    }
    if (event_assign(&flow->event, udp_flows.loop, fd, EV_READ | EV_PERSIST, ingress_socket_ready, flow) !=
            0 ||
        event_add(&flow->event, NULL) != 0) {
        close(fd);
        udp_flow_free(flow);
        return true;
    }
    flow->fd = fd;
    udp_flows.sockets++;
    udp_flow_send_pending(flow);
    return true;
}
