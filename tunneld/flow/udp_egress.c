/* Egress ports: UDP sockets that local clients send to, and the flows that they open. */
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/udp_flow_internal.h"
#include "tunneld/flow/udp_host.h"
#include "tunneld/netstack/netstack.h"
#include <event2/event.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_FIRST = 32768, PORT_COUNT = 65536 - PORT_FIRST, PORT_TRIES = 64 };

static LIST_HEAD(, egress_port) ports = LIST_HEAD_INITIALIZER(ports);

static void client_datagram(struct egress_port *port, const struct udp_host_datagram *d)
{
    struct udp_flow *flow = udp_flow_by_client(port, &d->from);
    if (flow == NULL) {
        uint32_t request = udp_flows.asks->destination(udp_flows.asks->arg, port->port, &d->from);
        if (request == 0) {
            udp_flows.counters.dropped++;
            return;
        }
        flow = udp_flow_new();
        if (flow == NULL) {
            udp_flows.asks->cancel(udp_flows.asks->arg, request);
            return;
        }
        flow->port = port;
        flow->client = d->from;
        hmap_insert(&udp_flows.by_client, &flow->by_client, udp_flow_client_hash(port->port, &d->from));
        udp_flow_await(flow, request);
    }
    flow->client_to = d->to;
    flow->last_ns = clock_now_ns();
    if (flow->request != 0)
        udp_flow_pend(flow, d->data, d->length);
    else
        udp_flow_to_mesh(flow, d->data, d->length);
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
        if (udp_flow_by_mesh(dest, own) == NULL && !ports_udp_open(own->port))
            return NX_OK;
    }
    return NX_EAGAIN;
}

bool udp_flow_destination(uint32_t request, uint32_t rule_id, const struct netsock *dest)
{
    struct udp_flow *flow = udp_flow_by_request(request);
    struct netsock own;
    if (flow == NULL || flow->port == NULL)
        return false;
    udp_flow_answered(flow);
    if (!udp_flow_of_rule(flow, rule_id, dest)) {
        udp_flow_free(flow);
        return true;
    }
    int err = own_choose(dest, &own);
    if (err != NX_OK) {
        udp_flows.counters.failed++;
        rule_stats_error(rule_id, err == NX_ENOENT ? RULE_ERROR_UNREACHABLE : RULE_ERROR_LIMITED, dest);
        udp_flow_free(flow);
        return true;
    }
    udp_flow_bind(flow, dest, &own);
    udp_flow_send_pending(flow);
    return true;
}

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
        udp_flow_flush(); /* the old socket may be in the queue */
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
    if (event_assign(&p->event, udp_flows.loop, fd, EV_READ | EV_PERSIST, egress_socket_ready, p) != 0 ||
        event_add(&p->event, NULL) != 0) {
        udp_egress_close(port);
        return NX_ENOMEM;
    }
    return NX_OK;
}

static bool of_port(const struct udp_flow *flow, const void *port)
{
    return flow->port == port;
}

void udp_egress_close(uint16_t port)
{
    struct egress_port *p = port_find(port);
    if (p == NULL)
        return;
    udp_flows_end(of_port, p);
    udp_flow_flush();
    event_del(&p->event);
    close(p->fd);
    LIST_REMOVE(p, all);
    free(p);
}

void udp_egress_close_all(void)
{
    while (!LIST_EMPTY(&ports))
        udp_egress_close(LIST_FIRST(&ports)->port);
}
