/* The splice of a host socket and a mesh connection.
 *
 *      host socket ──read──▶ tcp_write ──▶ lwIP ──▶ mesh
 *      host socket ◀──sendmsg── arrived / queue ◀── lwIP ◀── mesh
 *
 * lwIP's callbacks and libevent's only note what happened and put the flow on the work list;
 * tcp_flow_service() then acts, so that no connection is touched while lwIP is in the middle of it. Each
 * direction ends on its own: host end of file → FIN into the mesh, FIN from the mesh → shutdown(2) once all
 * bytes are written. When both have ended, the connection is left to lwIP (which owns what is not yet
 * acknowledged) and the flow is done. An error on either side resets the other.
 *
 * The socket is watched edge-triggered and stays registered once, so an idle flow costs nothing and a busy
 * one no epoll_ctl. This file is a flow's life; its bytes are in tcp_splice.c. */
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/flow/tcp_flow_internal.h"
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { KEEPALIVE_PROBES = 3 };

static LIST_HEAD(, tcp_flow) flows = LIST_HEAD_INITIALIZER(flows);
static TAILQ_HEAD(, tcp_flow) work = TAILQ_HEAD_INITIALIZER(work);
static struct event_base *loop;
static size_t work_count;
struct tcp_flows tcp_flows;

static void flow_wake(struct tcp_flow *flow)
{
    if (flow->on_work_list)
        return;
    flow->on_work_list = true;
    TAILQ_INSERT_TAIL(&work, flow, work);
    work_count++;
}

static void flow_rest(struct tcp_flow *flow)
{
    if (!flow->on_work_list)
        return;
    flow->on_work_list = false;
    TAILQ_REMOVE(&work, flow, work);
    work_count--;
}

void tcp_flow_wake(void *flow)
{
    flow_wake(flow);
}

/* close(2) that sends a reset. */
static void reset_fd(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* No callback comes from the connection any more. NULL if there is none. */
static struct tcp_pcb *flow_detach(struct tcp_flow *flow)
{
    struct tcp_pcb *pcb = flow->pcb;
    flow->pcb = NULL;
    tcp_flows.memory_bytes -= flow->in_stack_bytes;
    flow->in_stack_bytes = 0;
    if (pcb != NULL) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
    }
    return pcb;
}

void tcp_flow_leave(struct tcp_flow *flow)
{
    size_t unacked_bytes = flow->in_stack_bytes;
    struct tcp_pcb *pcb = flow_detach(flow);
    if (pcb != NULL)
        netstack_close(pcb, unacked_bytes);
}

static void flow_free(struct tcp_flow *flow)
{
    tcp_splice_arrived_free(flow);
    tcp_flows.memory_bytes -= flow->queue.length;
    bytequeue_clear(&flow->queue);
    for (size_t way = 0; way < LIMITS_WAYS; way++)
        limits_leave(&flow->waiters[way]);
    limits_release(&flow->limits);
    flow_rest(flow);
    LIST_REMOVE(flow, all);
    tcp_flows.count--;
    tcp_flows.counters.closed++;
    rule_stats_closed(flow->rule_id, flow->to_mesh_bytes, flow->to_host_bytes);
    free(flow);
}

/* Both sides are reset and the flow is gone. */
static void flow_abort(struct tcp_flow *flow)
{
    struct tcp_pcb *pcb = flow_detach(flow);
    if (pcb != NULL)
        tcp_abort(pcb);
    event_del(&flow->event);
    reset_fd(flow->fd);
    flow_free(flow);
}

/* Both directions have ended in order. */
static void flow_finish(struct tcp_flow *flow)
{
    tcp_flow_leave(flow);
    event_del(&flow->event);
    close(flow->fd);
    flow_free(flow);
}

/* -- What happened: lwIP -----------------------------------------------------------------------------------
 */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct tcp_flow *flow = arg;
    (void)err;
    if (flow == NULL) {
        if (p != NULL) {
            tcp_recved(pcb, p->tot_len);
            pbuf_free(p);
        }
        return ERR_OK;
    }
    flow_wake(flow);
    if (p == NULL) {
        flow->mesh_ended = true;
        return ERR_OK;
    }
    tcp_splice_arrived_add(flow, p);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
    struct tcp_flow *flow = arg;
    (void)pcb;
    if (flow == NULL)
        return ERR_OK;
    size_t acked = LWIP_MIN(length, flow->in_stack_bytes);
    flow->in_stack_bytes -= acked;
    tcp_flows.memory_bytes -= acked;
    if (flow->readable)
        flow_wake(flow);
    return ERR_OK;
}

/* lwIP has freed the connection, or is about to. */
static void flow_lost(struct tcp_flow *flow)
{
    flow->pcb = NULL;
    tcp_flows.memory_bytes -= flow->in_stack_bytes;
    flow->in_stack_bytes = 0;
    flow_wake(flow);
}

static void on_error(void *arg, err_t err)
{
    struct tcp_flow *flow = arg;
    if (flow == NULL)
        return;
    flow_lost(flow);
    if (err == ERR_CLSD && flow->mesh_ended && flow->fin_sent)
        return; /* TIME-WAIT was cut short: both directions had ended, what has come is still to be written */
    enum rule_error kind = err == ERR_RST ? RULE_ERROR_RESET : RULE_ERROR_TIMED_OUT;
    if (!flow->established)
        tcp_flows.counters.connect_failed++;
    else if (err == ERR_RST)
        tcp_flows.counters.reset_by_mesh++;
    if (!flow->established && err == ERR_RST)
        kind = RULE_ERROR_REFUSED;
    rule_stats_error(flow->rule_id, kind, flow->egress ? &flow->dest : &flow->client);
    flow->mesh_reset = true;
}

static void flow_established(struct tcp_flow *flow)
{
    flow->established = true;
    flow->readable = true; /* find out by trying */
    flow_wake(flow);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)pcb;
    (void)err;
    if (arg != NULL)
        flow_established(arg);
    return ERR_OK;
}

void tcp_flow_accepted(void *flow)
{
    flow_established(flow);
}

/* -- What happened: the socket -----------------------------------------------------------------------------
 */

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
    struct tcp_flow *flow = arg;
    (void)fd;
    if (what & EV_READ)
        flow->readable = true;
    if (what & EV_WRITE)
        flow->writable = true;
    if (what & EV_CLOSED)
        flow->readable = flow->hangup = true;
    flow_wake(flow);
}

/* -- Making flows ------------------------------------------------------------------------------------------
 */

static struct tcp_flow *flow_new(uint32_t rule_id, const struct netsock *client, const struct netsock *dest,
                                 int fd, bool egress)
{
    if (!tcp_flow_room()) {
        tcp_flows.counters.refused_limit++;
        rule_stats_error(rule_id, RULE_ERROR_LIMITED, dest);
        return NULL;
    }
    struct limits_hold hold;
    unsigned line;
    const struct netsock *far = egress ? dest : client;
    if (!limits_take(rule_id, &far->addr, &hold, &line)) {
        rule_stats_policy(rule_id, line, far);
        return NULL;
    }
    struct tcp_flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL) {
        limits_release(&hold);
        return NULL;
    }
    flow->limits = hold;
    for (size_t way = 0; way < LIMITS_WAYS; way++)
        flow->waiters[way].flow = flow;
    flow->rule_id = rule_id;
    flow->client = *client;
    flow->dest = *dest;
    flow->fd = fd;
    flow->egress = egress;
    flow->writable = true;
    flow->opened_ns = clock_now_ns();
    if (event_assign(&flow->event, loop, fd, EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST, on_socket,
                     flow) != 0 ||
        event_add(&flow->event, NULL) != 0) {
        limits_release(&flow->limits);
        free(flow);
        return NULL;
    }
    LIST_INSERT_HEAD(&flows, flow, all);
    tcp_flows.count++;
    tcp_flows.counters.opened++;
    rule_stats_opened(rule_id);
    return flow;
}

static void pcb_prepare(struct tcp_pcb *pcb, void *arg)
{
    tcp_arg(pcb, arg);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_nagle_disable(pcb); /* the sending program has decided already */
    if (tcp_flows.limits.keepalive_s != 0) {
        ip_set_option(pcb, SOF_KEEPALIVE);
        pcb->keep_idle = tcp_flows.limits.keepalive_s * 1000u;
        pcb->keep_intvl = LWIP_MAX(tcp_flows.limits.keepalive_s * 1000u / 6, 1000u);
        pcb->keep_cnt = KEEPALIVE_PROBES;
    }
}

void tcp_flow_egress(uint32_t rule_id, const struct netsock *client, const struct netsock *dest, int fd)
{
    struct tcp_flow *flow = flow_new(rule_id, client, dest, fd, true);
    if (flow == NULL) {
        reset_fd(fd);
        return;
    }
    int err = netstack_connect(dest, pcb_prepare, on_connected, flow, &flow->pcb);
    if (err != NX_OK) {
        tcp_flows.counters.connect_failed++;
        rule_stats_error(rule_id, err == NX_ENOENT ? RULE_ERROR_UNREACHABLE : RULE_ERROR_LIMITED, dest);
        flow_abort(flow);
        return;
    }
    netstack_output_later(flow->pcb);
}

void tcp_flow_ingress(uint32_t rule_id, const struct netstack_syn *syn, int fd)
{
    struct tcp_flow *flow = flow_new(rule_id, &syn->remote, &syn->local, fd, false);
    if (flow == NULL) {
        reset_fd(fd);
        netstack_syn_reset(syn);
        return;
    }
    flow->pcb = netstack_syn_accept(syn);
    if (flow->pcb == NULL) { /* out of memory, or the port has been closed meanwhile */
        tcp_flows.counters.connect_failed++;
        rule_stats_error(rule_id, RULE_ERROR_LIMITED, &syn->local);
        flow_abort(flow);
        return;
    }
    pcb_prepare(flow->pcb, flow);
}

/* -- Turns ----------------------------------------------------------------------------------- */

/* One turn of one flow. True if it wants another at once. */
static bool flow_service(struct tcp_flow *flow)
{
    if (flow->mesh_reset) {
        flow_abort(flow);
        return false;
    }
    int err = tcp_splice_write(flow);
    if (err == NX_OK)
        err = tcp_splice_read(flow);
    if (err != NX_OK && err != NX_EAGAIN) {
        tcp_flows.counters.reset_by_host++;
        rule_stats_error(flow->rule_id, RULE_ERROR_RESET, flow->egress ? &flow->client : &flow->dest);
        flow_abort(flow);
        return false;
    }
    if (tcp_splice_pass_ends(flow)) {
        flow_finish(flow);
        return false;
    }
    return err == NX_EAGAIN;
}

bool tcp_flow_service(void)
{
    struct tcp_flow *flow;
    for (size_t n = work_count; n > 0 && (flow = TAILQ_FIRST(&work)) != NULL; n--) {
        flow_rest(flow);
        if (flow_service(flow))
            flow_wake(flow);
    }
    return !TAILQ_EMPTY(&work);
}

/* -- The rest ----------------------------------------------------------------------------------------------
 */

void tcp_flow_init(struct event_base *base, const struct tcp_flow_limits *with)
{
    loop = base;
    tcp_flows.limits = *with;
    netstack_memory_set(with->memory_bytes, &tcp_flows.memory_bytes);
}

bool tcp_flow_room(void)
{
    return !tcp_flows.draining && tcp_flows.count < tcp_flows.limits.flows && netstack_memory_left() > 0;
}

size_t tcp_flow_count(void)
{
    return tcp_flows.count;
}

void tcp_flow_kill_rule(uint32_t rule_id)
{
    struct tcp_flow *flow = LIST_FIRST(&flows);
    while (flow != NULL) {
        struct tcp_flow *next = LIST_NEXT(flow, all);
        if (flow->rule_id == rule_id)
            flow_abort(flow);
        flow = next;
    }
}

void tcp_flow_drain(void)
{
    tcp_flows.draining = true;
}

void tcp_flow_close_all(void)
{
    while (!LIST_EMPTY(&flows)) {
        struct tcp_flow *flow = LIST_FIRST(&flows);
        bool idle = flow->established && !flow->moved && flow->in_stack_bytes == 0 &&
                    flow->queue.length == 0 && flow->arrived == NULL && !flow->mesh_reset;
        if (idle)
            flow_finish(flow);
        else
            flow_abort(flow);
    }
}

static enum tcp_flow_state flow_state(const struct tcp_flow *flow)
{
    if (!flow->established)
        return TCP_FLOW_CONNECTING;
    if (flow->host_ended)
        return TCP_FLOW_HOST_ENDED;
    return flow->mesh_ended ? TCP_FLOW_MESH_ENDED : TCP_FLOW_OPEN;
}

void tcp_flow_each(bool (*each)(void *arg, const struct tcp_flow_info *), void *arg)
{
    struct tcp_flow *flow;
    LIST_FOREACH (flow, &flows, all) {
        struct tcp_flow_info info = {.rule_id = flow->rule_id,
                                     .egress = flow->egress,
                                     .state = flow_state(flow),
                                     .client = flow->client,
                                     .dest = flow->dest,
                                     .to_mesh_bytes = flow->to_mesh_bytes,
                                     .to_host_bytes = flow->to_host_bytes,
                                     .opened_ns = flow->opened_ns};
        info.transport_known = flow->pcb != NULL && netstack_transport(flow->pcb, &info.transport);
        if (!each(arg, &info))
            return;
    }
}

const struct tcp_flow_counters *tcp_flow_counters_get(void)
{
    return &tcp_flows.counters;
}
