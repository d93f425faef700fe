/* The UDP flow table. A flow is found by its mesh four-tuple (packets from the mesh), by (egress port,
 * client) (packets from a local client), and by the id of the request it waits for. Until proxyd has
 * answered, its first datagrams wait in a short list. */
#include "tunneld/flow/udp_flow.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tunneld/flow/hmap.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/udp_host.h"
#include "tunneld/netstack/netstack.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_FIRST = 32768, PORT_COUNT = 65536 - PORT_FIRST, PORT_TRIES = 64, PENDING_BYTES_MAX = 256 * 1024 };

struct pending {
    STAILQ_ENTRY(pending) next;
    size_t length;
    uint8_t data[];
};

/* A rule's port on the host. */
struct egress_port {
    LIST_ENTRY(egress_port) all;
    struct event event;
    int fd;
    uint16_t port;
    bool v6;
};

struct udp_flow {
    LIST_ENTRY(udp_flow) all;
    struct hnode by_mesh, by_client, by_request;
    struct timerq_timer idle;
    uint64_t last_ns;
    STAILQ_HEAD(, pending) pending;
    size_t pending_count, pending_bytes;
    struct netsock mesh,
        own;          /* the two ends inside the tunnel; an egress flow has them once it has a destination */
    uint32_t request; /* waits for this answer; 0 = waits for none */
    uint32_t rule_id;
    struct egress_port *port; /* egress only */
    struct netsock client;
    struct netaddr client_to; /* answers leave from here */
    struct event event;       /* ingress only: its host socket */
    int fd;
};

static LIST_HEAD(, udp_flow) flows = LIST_HEAD_INITIALIZER(flows);
static LIST_HEAD(, egress_port) ports = LIST_HEAD_INITIALIZER(ports);
static struct hmap mesh_map, client_map, request_map;
static struct event_base *loop;
static struct timerq *timers;
static const struct broker *asks;
static uint64_t idle_ns;
static size_t flow_count, socket_count, socket_max;
static struct udp_flow_counters counters;

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

static uint64_t client_hash(uint16_t port, const struct netsock *client)
{
    struct netsock at = {.port = port};
    return pair_hash(client, &at);
}

static struct udp_flow *flow_by_mesh(const struct netsock *mesh, const struct netsock *own)
{
    for (struct hnode *n = hmap_first(&mesh_map, pair_hash(mesh, own)); n != NULL; n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_mesh);
        if (netsock_equal(&flow->mesh, mesh) && netsock_equal(&flow->own, own))
            return flow;
    }
    return NULL;
}

static struct udp_flow *flow_by_client(const struct egress_port *port, const struct netsock *client)
{
    for (struct hnode *n = hmap_first(&client_map, client_hash(port->port, client)); n != NULL;
         n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_client);
        if (flow->port == port && netsock_equal(&flow->client, client))
            return flow;
    }
    return NULL;
}

static struct udp_flow *flow_by_request(uint32_t request)
{
    for (struct hnode *n = hmap_first(&request_map, request); n != NULL; n = hmap_next(n)) {
        struct udp_flow *flow = FLOW_OF(n, by_request);
        if (flow->request == request)
            return flow;
    }
    return NULL;
}

/* -- Life --------------------------------------------------------------------------------------------------
 */

static void request_done(struct udp_flow *flow)
{
    if (flow->request == 0)
        return;
    hmap_remove(&request_map, &flow->by_request);
    flow->request = 0;
}

static void flow_free(struct udp_flow *flow)
{
    request_done(flow);
    if (flow->own.port != 0)
        hmap_remove(&mesh_map, &flow->by_mesh);
    if (flow->port != NULL)
        hmap_remove(&client_map, &flow->by_client);
    if (flow->fd >= 0) {
        event_del(&flow->event);
        close(flow->fd);
        socket_count--;
    }
    while (!STAILQ_EMPTY(&flow->pending)) {
        struct pending *p = STAILQ_FIRST(&flow->pending);
        STAILQ_REMOVE_HEAD(&flow->pending, next);
        free(p);
    }
    timer_disarm(timers, &flow->idle);
    LIST_REMOVE(flow, all);
    flow_count--;
    counters.closed++;
    free(flow);
}

static void flow_end(struct udp_flow *flow)
{
    if (flow->request != 0)
        asks->cancel(asks->arg, flow->request);
    flow_free(flow);
}

static void on_idle(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    struct udp_flow *flow = arg;
    if (flow->last_ns + idle_ns <= now_ns)
        flow_end(flow);
    else
        (void)timer_arm(timers, timer, flow->last_ns + idle_ns);
}

static struct udp_flow *flow_new(void)
{
    struct udp_flow *flow = flow_count < UDP_FLOW_MAX ? calloc(1, sizeof *flow) : NULL;
    if (flow == NULL) {
        counters.refused_limit++;
        return NULL;
    }
    flow->fd = -1;
    STAILQ_INIT(&flow->pending);
    timer_setup(&flow->idle, on_idle, flow);
    flow->last_ns = clock_now_ns();
    if (timer_arm(timers, &flow->idle, flow->last_ns + idle_ns) != NX_OK) {
        free(flow);
        return NULL;
    }
    LIST_INSERT_HEAD(&flows, flow, all);
    flow_count++;
    counters.opened++;
    return flow;
}

static void flow_await(struct udp_flow *flow, uint32_t request)
{
    flow->request = request;
    hmap_insert(&request_map, &flow->by_request, request);
}

static void flow_bind_mesh(struct udp_flow *flow, const struct netsock *mesh, const struct netsock *own)
{
    flow->mesh = *mesh;
    flow->own = *own;
    hmap_insert(&mesh_map, &flow->by_mesh, pair_hash(mesh, own));
}

static void pending_add(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    if (flow->pending_count >= UDP_FLOW_PENDING_MAX || flow->pending_bytes + length > PENDING_BYTES_MAX) {
        counters.dropped++;
        return;
    }
    struct pending *p = malloc(sizeof *p + length);
    if (p == NULL) {
        counters.dropped++;
        return;
    }
    p->length = length;
    memcpy(p->data, data, length);
    STAILQ_INSERT_TAIL(&flow->pending, p, next);
    flow->pending_count++;
    flow->pending_bytes += length;
}

/* -- Sending -----------------------------------------------------------------------------------------------
 */

static void send_to_mesh(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    if (netstack_udp_send(&flow->own, &flow->mesh, data, length) != NX_OK) {
        counters.dropped++;
        return;
    }
    counters.to_mesh++;
    counters.to_mesh_bytes += length;
}

static void send_to_host(struct udp_flow *flow, const uint8_t *data, size_t length)
{
    bool sent = flow->port != NULL ? udp_host_send(flow->port->fd, flow->port->v6, &flow->client_to,
                                                   &flow->client, data, length)
                                   : send(flow->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    if (!sent) {
        counters.dropped++;
        return;
    }
    counters.to_host++;
    counters.to_host_bytes += length;
}

static void pending_send(struct udp_flow *flow)
{
    while (!STAILQ_EMPTY(&flow->pending)) {
        struct pending *p = STAILQ_FIRST(&flow->pending);
        STAILQ_REMOVE_HEAD(&flow->pending, next);
        if (flow->port != NULL)
            send_to_mesh(flow, p->data, p->length);
        else
            send_to_host(flow, p->data, p->length);
        free(p);
    }
    flow->pending_count = flow->pending_bytes = 0;
}

/* -- From the mesh -----------------------------------------------------------------------------------------
 */

static void ingress_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct udp_flow *flow = arg;
    struct udp_host_datagram batch[UDP_HOST_BATCH];
    (void)what;
    int n = udp_host_receive(fd, true, batch);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        /* The destination refuses (ICMP): the flow is over; the next datagram tries anew. */
        counters.failed++;
        flow_end(flow);
        return;
    }
    if (n > 0)
        flow->last_ns = clock_now_ns();
    for (int i = 0; i < n; i++)
        send_to_mesh(flow, batch[i].data, batch[i].length);
}

bool udp_flow_from_mesh(void *arg, const struct netsock *from, const struct netsock *to, const uint8_t *data,
                        size_t length)
{
    (void)arg;
    struct udp_flow *flow = flow_by_mesh(from, to);
    if (flow == NULL) {
        if (!ports_udp_open(to->port))
            return false;
        if (socket_count >= socket_max) {
            counters.refused_limit++;
            return true;
        }
        uint32_t request = asks->connect(asks->arg, RULE_UDP, from, to);
        if (request == 0) {
            counters.dropped++;
            return true;
        }
        flow = flow_new();
        if (flow == NULL) {
            asks->cancel(asks->arg, request);
            return true;
        }
        flow_bind_mesh(flow, from, to);
        flow_await(flow, request);
    }
    flow->last_ns = clock_now_ns();
    if (flow->request != 0)
        pending_add(flow, data, length);
    else
        send_to_host(flow, data, length);
    return true;
}

bool udp_flow_connected(uint32_t request, uint32_t rule_id, int fd)
{
    struct udp_flow *flow = flow_by_request(request);
    if (flow == NULL || flow->port != NULL)
        return false;
    request_done(flow);
    flow->rule_id = rule_id;
    if (event_assign(&flow->event, loop, fd, EV_READ | EV_PERSIST, ingress_socket_ready, flow) != 0 ||
        event_add(&flow->event, NULL) != 0) {
        close(fd);
        flow_free(flow);
        return true;
    }
    flow->fd = fd;
    socket_count++;
    pending_send(flow);
    return true;
}

/* -- From local clients ------------------------------------------------------------------------------------
 */

static void client_datagram(struct egress_port *port, const struct udp_host_datagram *d)
{
    struct udp_flow *flow = flow_by_client(port, &d->from);
    if (flow == NULL) {
        uint32_t request = asks->destination(asks->arg, port->port, &d->from);
        if (request == 0) {
            counters.dropped++;
            return;
        }
        flow = flow_new();
        if (flow == NULL) {
            asks->cancel(asks->arg, request);
            return;
        }
        flow->port = port;
        flow->client = d->from;
        hmap_insert(&client_map, &flow->by_client, client_hash(port->port, &d->from));
        flow_await(flow, request);
    }
    flow->client_to = d->to;
    flow->last_ns = clock_now_ns();
    if (flow->request != 0)
        pending_add(flow, d->data, d->length);
    else
        send_to_mesh(flow, d->data, d->length);
}

static void egress_socket_ready(evutil_socket_t fd, short what, void *arg)
{
    struct udp_host_datagram batch[UDP_HOST_BATCH];
    (void)what;
    int n = udp_host_receive(fd, false, batch);
    for (int i = 0; i < n; i++)
        client_datagram(arg, &batch[i]);
}

/* A tunnel port that no flow to that destination uses. */
static int own_choose(const struct netsock *dest, struct netsock *own)
{
    const struct netaddr *addr =
        netstack_is_own(&dest->addr) ? &dest->addr : netstack_own_address(dest->addr.family);
    if (addr == NULL)
        return NX_ENOENT;
    *own = (struct netsock){.addr = *addr};
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        own->port = (uint16_t)(PORT_FIRST + randombytes_uniform(PORT_COUNT));
        if (flow_by_mesh(dest, own) == NULL && !ports_udp_open(own->port))
            return NX_OK;
    }
    return NX_EAGAIN;
}

bool udp_flow_destination(uint32_t request, uint32_t rule_id, const struct netsock *dest)
{
    struct udp_flow *flow = flow_by_request(request);
    struct netsock own;
    if (flow == NULL || flow->port == NULL)
        return false;
    request_done(flow);
    flow->rule_id = rule_id;
    if (own_choose(dest, &own) != NX_OK) {
        counters.failed++;
        flow_free(flow);
        return true;
    }
    flow_bind_mesh(flow, dest, &own);
    pending_send(flow);
    return true;
}

bool udp_flow_failed(uint32_t request)
{
    struct udp_flow *flow = flow_by_request(request);
    if (flow == NULL)
        return false;
    counters.failed++;
    request_done(flow);
    flow_free(flow);
    return true;
}

/* -- Ports and ends ----------------------------------------------------------------------------------------
 */

static struct egress_port *port_find(uint16_t port)
{
    struct egress_port *p;
    LIST_FOREACH (p, &ports, all) {
        if (p->port == port)
            return p;
    }
    return NULL;
}

int udp_egress_open(uint16_t port, int fd)
{
    int family = 0;
    socklen_t size = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) {
        close(fd);
        return NX_ESYS;
    }
    struct egress_port *p = port_find(port);
    if (p != NULL) {
        event_del(&p->event);
        close(p->fd);
    } else {
        p = calloc(1, sizeof *p);
        if (p == NULL) {
            close(fd);
            return NX_ENOMEM;
        }
        p->port = port;
        LIST_INSERT_HEAD(&ports, p, all);
    }
    p->fd = fd;
    p->v6 = family == AF_INET6;
    if (event_assign(&p->event, loop, fd, EV_READ | EV_PERSIST, egress_socket_ready, p) != 0 ||
        event_add(&p->event, NULL) != 0) {
        udp_egress_close(port);
        return NX_ENOMEM;
    }
    return NX_OK;
}

/* Ends the flows that `matches` picks. */
static void flows_end(bool (*matches)(const struct udp_flow *, const void *), const void *arg)
{
    struct udp_flow *flow = LIST_FIRST(&flows);
    while (flow != NULL) {
        struct udp_flow *next = LIST_NEXT(flow, all);
        if (matches(flow, arg))
            flow_end(flow);
        flow = next;
    }
}

static bool of_port(const struct udp_flow *flow, const void *port)
{
    return flow->port == port;
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

void udp_egress_close(uint16_t port)
{
    struct egress_port *p = port_find(port);
    if (p == NULL)
        return;
    flows_end(of_port, p);
    event_del(&p->event);
    close(p->fd);
    LIST_REMOVE(p, all);
    free(p);
}

void udp_flow_kill_rule(uint32_t rule_id)
{
    flows_end(of_rule, &rule_id);
}

void udp_flow_forget(void)
{
    flows_end(waits, NULL);
}

void udp_flow_close_all(void)
{
    flows_end(any, NULL);
    while (!LIST_EMPTY(&ports))
        udp_egress_close(LIST_FIRST(&ports)->port);
}

int udp_flow_init(struct event_base *base, struct timerq *queue, const struct broker *broker, unsigned idle_s,
                  size_t max_sockets)
{
    loop = base;
    timers = queue;
    asks = broker;
    idle_ns = idle_s * NS_PER_S;
    socket_max = max_sockets;
    int err = hmap_init(&mesh_map);
    if (err == NX_OK)
        err = hmap_init(&client_map);
    return err != NX_OK ? err : hmap_init(&request_map);
}

size_t udp_flow_count(void)
{
    return flow_count;
}

const struct udp_flow_counters *udp_flow_counters_get(void)
{
    return &counters;
}
