/* The UDP flow table. A flow is found by its mesh four-tuple (packets from the mesh), by (egress port,
 * client) (packets from a local client), and by the id of the request it waits for. Until proxyd has
 * answered, its first datagrams wait in a short list. */
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/udp_flow_internal.h"
#include "tunneld/flow/udp_host.h"
#include "tunneld/netstack/netstack.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PENDING_BYTES_MAX = 256 * 1024, PENDING_TOTAL_MAX = 16 << 20 /* of all flows */ };

struct udp_flows udp_flows;

#define FLOW_OF(node, member) ((struct udp_flow *)(void *)((char *)(node)-offsetof(struct udp_flow, member)))

/* -- Keys --------------------------------------------------------------------------------------------------
 */

static uint64_t pair_hash(const struct netsock *a, const struct netsock *b)
{
    struct {
        uint8_t a[16], b[16];
        uint16_t a_port, b_port;
    } key;
    memcpy(key.a, a->addr.bytes, 16);
    memcpy(key.b, b->addr.bytes, 16);
    key.a_port = a->port;
    key.b_port = b->port;
    return hmap_hash(&key, sizeof key);
}

uint64_t udp_flow_client_hash(uint16_t port, const struct netsock *client)
{
    struct netsock at = {.port = port};
    return pair_hash(client, &at);
}

struct udp_flow *udp_flow_by_mesh(const struct netsock *mesh, const struct netsock *own)
{
    for (struct hnode *n = hmap_first(&udp_flows.by_mesh, pair_hash(mesh, own)); n != NULL;
         n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_mesh);
        if (netsock_equal(&flow->mesh, mesh) && netsock_equal(&flow->own, own))
            return flow;
    }
    return NULL;
}

struct udp_flow *udp_flow_by_client(const struct egress_port *port, const struct netsock *client)
{
    for (struct hnode *n = hmap_first(&udp_flows.by_client, udp_flow_client_hash(port->port, client));
         n != NULL; n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_client);
        if (flow->port == port && netsock_equal(&flow->client, client))
            return flow;
    }
    return NULL;
}

struct udp_flow *udp_flow_by_request(uint32_t request)
{
    for (struct hnode *n = hmap_first(&udp_flows.by_request, request); n != NULL; n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_request);
        if (flow->request == request)
            return flow;
    }
    return NULL;
}

/* -- Life --------------------------------------------------------------------------------------------------
 */

void udp_flow_answered(struct udp_flow *flow)
{
    if (flow->request == 0)
        return;
    hmap_remove(&udp_flows.by_request, &flow->by_request);
    flow->request = 0;
}

/* The first, which is the caller's to free() then; NULL if there is none. */
static struct pending *pending_pop(struct udp_flow *flow)
{
    struct pending *p = STAILQ_FIRST(&flow->pending);
    if (p == NULL)
        return NULL;
    STAILQ_REMOVE_HEAD(&flow->pending, next);
    flow->pending_count--;
    flow->pending_bytes -= p->length;
    udp_flows.pending_bytes -= p->length;
    return p;
}

void udp_flow_free(struct udp_flow *flow)
{
    udp_flow_flush(); /* its socket may be in the queue */
    udp_flow_answered(flow);
    if (flow->own.port != 0)
        hmap_remove(&udp_flows.by_mesh, &flow->by_mesh);
    if (flow->port != NULL)
        hmap_remove(&udp_flows.by_client, &flow->by_client);
    if (flow->fd >= 0) {
        event_del(&flow->event);
        close(flow->fd);
        udp_flows.sockets--;
    }
    for (struct pending *p; (p = pending_pop(flow)) != NULL; free(p))
        ;
    timer_disarm(udp_flows.timers, &flow->idle);
    limits_release(&flow->limits);
    LIST_REMOVE(flow, all);
    udp_flows.count--;
    udp_flows.counters.closed++;
    if (flow->rule_id != 0)
        rule_stats_closed(flow->rule_id, flow->to_mesh_bytes, flow->to_host_bytes);
    free(flow);
}

void udp_flow_end(struct udp_flow *flow)
{
    if (flow->request != 0)
        udp_flows.asks->cancel(udp_flows.asks->arg, flow->request);
    udp_flow_free(flow);
}

static void on_idle(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    struct udp_flow *flow = arg;
    if (flow->last_ns + udp_flows.idle_ns <= now_ns)
        udp_flow_end(flow);
    else
        (void)timer_arm(udp_flows.timers, timer, flow->last_ns + udp_flows.idle_ns);
}

struct udp_flow *udp_flow_new(void)
{
    struct udp_flow *flow = udp_flows.count < UDP_FLOW_MAX ? calloc(1, sizeof *flow) : NULL;
    if (flow == NULL) {
        udp_flows.counters.refused_limit++;
        return NULL;
    }
    flow->fd = -1;
    STAILQ_INIT(&flow->pending);
    timer_setup(&flow->idle, on_idle, flow);
    flow->opened_ns = flow->last_ns = clock_now_ns();
    if (timer_arm(udp_flows.timers, &flow->idle, flow->last_ns + udp_flows.idle_ns) != NX_OK) {
        free(flow);
        return NULL;
    }
    LIST_INSERT_HEAD(&udp_flows.all, flow, all);
    udp_flows.count++;
    udp_flows.counters.opened++;
    return flow;
}

bool udp_flow_of_rule(struct udp_flow *flow, uint32_t rule_id, const struct netsock *far)
{
    unsigned line;
    if (!limits_take(rule_id, &far->addr, &flow->limits, &line)) {
        rule_stats_policy(rule_id, line, far);
        return false;
    }
    flow->rule_id = rule_id;
    rule_stats_opened(rule_id);
    return true;
}

void udp_flow_each(bool (*each)(void *arg, const struct udp_flow_info *), void *arg)
{
    const struct udp_flow *flow;
    LIST_FOREACH (flow, &udp_flows.all, all) {
        bool egress = flow->port != NULL;
        const struct udp_flow_info info = {.rule_id = flow->rule_id,
                                           .egress = egress,
                                           .waiting = flow->request != 0,
                                           .client = egress ? flow->client : flow->mesh,
                                           .dest = egress ? flow->mesh : flow->own,
                                           .to_mesh_bytes = flow->to_mesh_bytes,
                                           .to_host_bytes = flow->to_host_bytes,
                                           .opened_ns = flow->opened_ns};
        if (!each(arg, &info))
            return;
    }
}

void udp_flow_await(struct udp_flow *flow, uint32_t request)
{
    flow->request = request;
    hmap_insert(&udp_flows.by_request, &flow->by_request, request);
}

void udp_flow_bind(struct udp_flow *flow, const struct netsock *mesh, const struct netsock *own)
{
    flow->mesh = *mesh;
    flow->own = *own;
    hmap_insert(&udp_flows.by_mesh, &flow->by_mesh, pair_hash(mesh, own));
}

void udp_flow_pend(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    if (flow->pending_count >= UDP_FLOW_PENDING_MAX || flow->pending_bytes + length > PENDING_BYTES_MAX ||
        udp_flows.pending_bytes + length > PENDING_TOTAL_MAX) {
        udp_flows.counters.dropped++;
        return;
    }
    struct pending *p = malloc(sizeof *p + length);
    if (p == NULL) {
        udp_flows.counters.dropped++;
        return;
    }
    p->length = length;
    memcpy(p->data, data, length);
    STAILQ_INSERT_TAIL(&flow->pending, p, next);
    flow->pending_count++;
    flow->pending_bytes += length;
    udp_flows.pending_bytes += length;
}

/* -- Sending -----------------------------------------------------------------------------------------------
 */

void udp_flow_to_mesh(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    if (!limits_datagram(&flow->limits, LIMITS_TO_MESH, length))
        return;
    if (netstack_udp_send(&flow->own, &flow->mesh, data, length) != NX_OK) {
        udp_flows.counters.dropped++;
        return;
    }
    flow->to_mesh_bytes += length;
    udp_flows.counters.to_mesh++;
    udp_flows.counters.to_mesh_bytes += length;
}

void udp_flow_to_host(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    if (!limits_datagram(&flow->limits, LIMITS_TO_HOST, length))
        return;
    struct udp_host_way way = {.fd = flow->fd}; /* of an ingress flow: connected to its destination */
    if (flow->port != NULL)
        way = (struct udp_host_way){
            .fd = flow->port->fd, .v6 = flow->port->v6, .to = flow->client, .from = flow->client_to};
    udp_host_send(&way, data, length);
    flow->to_host_bytes += length;
    udp_flows.counters.to_host++;
    udp_flows.counters.to_host_bytes += length;
}

void udp_flow_flush(void)
{
    udp_flows.counters.dropped += udp_host_flush();
}

void udp_flow_send_pending(struct udp_flow *flow)
{
    for (struct pending *p; (p = pending_pop(flow)) != NULL; free(p)) {
        if (flow->port != NULL)
            udp_flow_to_mesh(flow, p->data, p->length);
        else
            udp_flow_to_host(flow, p->data, p->length);
    }
}

/* -- Ends */

bool udp_flow_failed(uint32_t request)
{
    struct udp_flow *flow = udp_flow_by_request(request);
    if (flow == NULL)
        return false;
    udp_flows.counters.failed++;
    udp_flow_answered(flow);
    udp_flow_free(flow);
    return true;
}

void udp_flows_end(bool (*matches)(const struct udp_flow *, const void *), const void *arg)
{
    struct udp_flow *flow = LIST_FIRST(&udp_flows.all);
    while (flow != NULL) {
        struct udp_flow *next = LIST_NEXT(flow, all);
        if (matches(flow, arg))
            udp_flow_end(flow);
        flow = next;
    }
}

static bool of_rule(const struct udp_flow *flow, const void *rule_id)
{
    return flow->request == 0 && flow->rule_id == *(const uint32_t *)rule_id;
}

static bool waits(const struct udp_flow *flow, const void *arg)
{
    (void)arg;
    return flow->request != 0;
}

static bool any(const struct udp_flow *flow, const void *arg)
{
    (void)flow;
    (void)arg;
    return true;
}

void udp_flow_kill_rule(uint32_t rule_id)
{
    udp_flows_end(of_rule, &rule_id);
}

void udp_flow_forget(void)
{
    udp_flows_end(waits, NULL);
}

void udp_flow_close_all(void)
{
    udp_flows_end(any, NULL);
    udp_egress_close_all();
}

int udp_flow_init(struct event_base *base, struct timerq *queue, const struct broker *broker, unsigned idle_s,
                  size_t max_sockets)
{
    udp_flows.loop = base;
    udp_flows.timers = queue;
    udp_flows.asks = broker;
    udp_flows.idle_ns = idle_s * NS_PER_S;
    udp_flows.sockets_max = max_sockets;
    int err = hmap_init(&udp_flows.by_mesh);
    if (err == NX_OK)
        err = hmap_init(&udp_flows.by_client);
    return err != NX_OK ? err : hmap_init(&udp_flows.by_request);
}

size_t udp_flow_count(void)
{
    return udp_flows.count;
}

const struct udp_flow_counters *udp_flow_counters_get(void)
{
    return &udp_flows.counters;
}
