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
 * one no epoll_ctl. Bytes from the mesh are written straight from the decrypted packets; only what the socket
 * does not take is copied. The receive window opens as the socket takes bytes: a slow reader stops the
 * sender. */
#include "tunneld/flow/tcp_flow.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "lwip/priv/tcp_priv.h"
#include "tunneld/flow/bytequeue.h"
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TURN_BYTES = 32 * 1024, /* a flow reads at most so much in one turn */
    SCRATCH_BYTES = 64 * 1024,
    READ_ROOM_MIN = 16 * 1024, /* below that, wait for more room instead of making small segments */
    IOV_PIECES = 256,
    KEEPALIVE_PROBES = 3,
};

struct tcp_flow {
    LIST_ENTRY(tcp_flow) all;
    TAILQ_ENTRY(tcp_flow) work;
    struct event event;
    struct tcp_pcb *pcb;                 /* NULL once it is lwIP's alone, or gone */
    struct pbuf *arrived, *arrived_tail; /* from the mesh in this turn, not yet written */
    struct bytequeue queue;              /* from the mesh, the socket was full */
    struct netsock client, dest;
    uint64_t to_mesh_bytes, to_host_bytes, opened_ns;
    size_t in_stack_bytes; /* given to lwIP, not acknowledged */
    uint32_t rule_id;
    int fd;
    bool egress;
    bool established;
    bool on_work_list;
    bool readable, writable, hangup; /* of the socket, as far as known */
    bool host_ended;                 /* read end of file */
    bool fin_sent;                   /* told the mesh */
    bool mesh_ended;                 /* FIN came */
    bool shut;                       /* told the host */
    bool mesh_reset;                 /* lwIP has freed the connection */
    bool moved;                      /* bytes, since the drain began */
};

static LIST_HEAD(, tcp_flow) flows = LIST_HEAD_INITIALIZER(flows);
static TAILQ_HEAD(, tcp_flow) work = TAILQ_HEAD_INITIALIZER(work);
static struct event_base *loop;
static struct tcp_flow_limits limits;
static struct tcp_flow_counters counters;
static size_t flow_count, work_count, memory_used;
static bool draining;
static uint8_t scratch[SCRATCH_BYTES];

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

/* close(2) that sends a reset. */
static void reset_fd(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

static void arrived_free(struct tcp_flow *flow)
{
    while (flow->arrived != NULL) {
        struct pbuf *p = flow->arrived;
        flow->arrived = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    flow->arrived_tail = NULL;
}

/* Leaves the connection to lwIP: no callback comes any more. */
static struct tcp_pcb *flow_detach(struct tcp_flow *flow)
{
    struct tcp_pcb *pcb = flow->pcb;
    flow->pcb = NULL;
    memory_used -= flow->in_stack_bytes;
    flow->in_stack_bytes = 0;
    if (pcb != NULL) {
        tcp_arg(pcb, NULL);
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
    }
    return pcb;
}

static void flow_free(struct tcp_flow *flow)
{
    arrived_free(flow);
    memory_used -= flow->queue.length;
    bytequeue_clear(&flow->queue);
    flow_rest(flow);
    LIST_REMOVE(flow, all);
    flow_count--;
    counters.closed++;
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
    struct tcp_pcb *pcb = flow_detach(flow);
    if (pcb != NULL && tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
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
    if (flow->arrived == NULL)
        flow->arrived = p;
    else
        flow->arrived_tail->next = p;
    while (p->next != NULL)
        p = p->next;
    flow->arrived_tail = p;
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
    memory_used -= acked;
    if (flow->readable)
        flow_wake(flow);
    return ERR_OK;
}

static void on_error(void *arg, err_t err)
{
    struct tcp_flow *flow = arg;
    if (flow == NULL)
        return;
    if (!flow->established)
        counters.connect_failed++;
    else if (err == ERR_RST)
        counters.reset_by_mesh++;
    flow->pcb = NULL; /* lwIP has freed it, or is about to */
    memory_used -= flow->in_stack_bytes;
    flow->in_stack_bytes = 0;
    flow->mesh_reset = true;
    flow_wake(flow);
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
        counters.refused_limit++;
        return NULL;
    }
    struct tcp_flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL)
        return NULL;
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
        free(flow);
        return NULL;
    }
    LIST_INSERT_HEAD(&flows, flow, all);
    flow_count++;
    counters.opened++;
    return flow;
}

static void pcb_prepare(struct tcp_pcb *pcb, void *arg)
{
    tcp_arg(pcb, arg);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_nagle_disable(pcb); /* the sending program has decided already */
    if (limits.keepalive_s != 0) {
        ip_set_option(pcb, SOF_KEEPALIVE);
        pcb->keep_idle = limits.keepalive_s * 1000u;
        pcb->keep_intvl = LWIP_MAX(limits.keepalive_s * 1000u / 6, 1000u);
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
        counters.connect_failed++;
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
        counters.connect_failed++;
        flow_abort(flow);
        return;
    }
    pcb_prepare(flow->pcb, flow);
}

/* -- Moving bytes ------------------------------------------------------------------------------------------
 */

static size_t write_iov(const struct tcp_flow *flow, struct iovec *iov, size_t *pieces)
{
    size_t n = bytequeue_peek(&flow->queue, iov, IOV_PIECES);
    for (struct pbuf *p = flow->arrived; p != NULL && n < IOV_PIECES; p = p->next)
        iov[n++] = (struct iovec){.iov_base = p->payload, .iov_len = p->len};
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += iov[i].iov_len;
    *pieces = n;
    return total;
}

static void write_consume(struct tcp_flow *flow, size_t length)
{
    size_t queued = LWIP_MIN(length, flow->queue.length);
    bytequeue_consume(&flow->queue, queued);
    memory_used -= queued;
    length -= queued;
    while (length > 0) {
        struct pbuf *p = flow->arrived;
        if (length < p->len) {
            p->payload = (uint8_t *)p->payload + length;
            p->len = (u16_t)(p->len - length);
            return;
        }
        length -= p->len;
        flow->arrived = p->next;
        p->next = NULL;
        p->tot_len = p->len;
        pbuf_free(p);
    }
    if (flow->arrived == NULL)
        flow->arrived_tail = NULL;
}

/* The packets of this turn are given back; what the socket did not take is kept as bytes. */
static int write_keep_rest(struct tcp_flow *flow)
{
    for (struct pbuf *p = flow->arrived; p != NULL; p = p->next) {
        size_t before = flow->queue.length;
        int err = bytequeue_append(&flow->queue, p->payload, p->len);
        memory_used += flow->queue.length - before;
        if (err != NX_OK)
            return err;
    }
    arrived_free(flow);
    return NX_OK;
}

static void window_open(struct tcp_flow *flow, size_t length)
{
    while (length > 0 && flow->pcb != NULL) {
        u16_t step = (u16_t)LWIP_MIN(length, UINT16_MAX);
        tcp_recved(flow->pcb, step);
        length -= step;
    }
}

/* Mesh → host. NX_OK, or an error after which the flow is to be aborted. */
static int flow_write(struct tcp_flow *flow)
{
    size_t written = 0;
    while (flow->writable && (flow->queue.length > 0 || flow->arrived != NULL)) {
        struct iovec iov[IOV_PIECES];
        size_t pieces;
        size_t total = write_iov(flow, iov, &pieces);
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = pieces};
        ssize_t n = sendmsg(flow->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                return NX_ECLOSED;
            flow->writable = errno == EINTR;
            continue;
        }
        write_consume(flow, (size_t)n);
        written += (size_t)n;
        if ((size_t)n < total)
            flow->writable = false;
    }
    int err = write_keep_rest(flow);
    flow->to_host_bytes += written;
    flow->moved |= draining && written > 0;
    counters.to_host_bytes += written;
    window_open(flow, written);
    return err;
}

/* How much may be read from the socket now. */
static size_t read_room(const struct tcp_flow *flow)
{
    size_t room = tcp_sndbuf(flow->pcb);
    if (room < READ_ROOM_MIN && flow->in_stack_bytes > 0)
        return 0;
    if (flow->pcb->snd_queuelen + SCRATCH_BYTES / flow->pcb->mss + 2 > TCP_SND_QUEUELEN)
        return 0;
    if (memory_used >= limits.memory_bytes && flow->in_stack_bytes > 0)
        return 0; /* every flow may have one piece on the way */
    return LWIP_MIN(room, SCRATCH_BYTES);
}

static int stack_write(struct tcp_flow *flow, const uint8_t *data, size_t length)
{
    /* Whole segments in each call, but for the last. */
    size_t step = (size_t)UINT16_MAX / flow->pcb->mss * flow->pcb->mss;
    while (length > 0) {
        u16_t n = (u16_t)LWIP_MIN(length, step);
        if (tcp_write(flow->pcb, data, n, TCP_WRITE_FLAG_COPY) != ERR_OK)
            return NX_ENOMEM;
        flow->in_stack_bytes += n;
        memory_used += n;
        data += n;
        length -= n;
    }
    return NX_OK;
}

/* Host → mesh. NX_OK, NX_EAGAIN (had its turn, has more), or an error after which the flow is to be aborted.
 */
static int flow_read(struct tcp_flow *flow)
{
    size_t turn = 0;
    if (flow->host_ended && flow->readable) {
        /* After its end of file only a reset can come from the host, and read(2) does not tell. */
        int error = 0;
        socklen_t size = sizeof error;
        flow->readable = false;
        if (getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
            return NX_ECLOSED;
    }
    while (flow->readable && flow->established && !flow->host_ended && flow->pcb != NULL) {
        if (turn >= TURN_BYTES)
            return NX_EAGAIN;
        size_t room = read_room(flow);
        if (room == 0)
            return NX_OK; /* on_sent() comes back to it */
        ssize_t n = recv(flow->fd, scratch, room, MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                return NX_ECLOSED;
            flow->readable = errno == EINTR;
            continue;
        }
        if (n == 0) {
            flow->host_ended = true;
            break;
        }
        int err = stack_write(flow, scratch, (size_t)n);
        if (err != NX_OK)
            return err;
        netstack_output_later(flow->pcb);
        turn += (size_t)n;
        flow->to_mesh_bytes += (size_t)n;
        flow->moved |= draining;
        counters.to_mesh_bytes += (size_t)n;
        /* A short read has emptied the socket, unless the end of file waits behind it. */
        if ((size_t)n < room && !flow->hangup)
            flow->readable = false;
    }
    return NX_OK;
}

/* Passes the ends on. True when the flow is over. */
static bool flow_pass_ends(struct tcp_flow *flow)
{
    bool drained = flow->queue.length == 0 && flow->arrived == NULL;
    if (flow->host_ended && !flow->fin_sent && flow->pcb != NULL && tcp_shutdown(flow->pcb, 0, 1) == ERR_OK) {
        flow->fin_sent = true;
        netstack_output_later(flow->pcb);
    }
    if (flow->mesh_ended && drained && !flow->shut) {
        (void)shutdown(flow->fd, SHUT_WR);
        flow->shut = true;
    }
    if (flow->mesh_ended && flow->fin_sent && flow->pcb != NULL) {
        /* Nothing more to learn from the mesh. All bytes of the peer are here: take the window out of lwIP's
         * hands, or it would answer the close with a reset. */
        window_open(flow, flow->queue.length);
        struct tcp_pcb *pcb = flow_detach(flow);
        if (tcp_close(pcb) != ERR_OK)
            tcp_abort(pcb);
    }
    return flow->fin_sent && flow->shut;
}

/* One turn of one flow. True if it wants another at once. */
static bool flow_service(struct tcp_flow *flow)
{
    if (flow->mesh_reset) {
        flow_abort(flow);
        return false;
    }
    int err = flow_write(flow);
    if (err == NX_OK)
        err = flow_read(flow);
    if (err != NX_OK && err != NX_EAGAIN) {
        counters.reset_by_host++;
        flow_abort(flow);
        return false;
    }
    if (flow_pass_ends(flow)) {
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
    limits = *with;
}

bool tcp_flow_room(void)
{
    return !draining && flow_count < limits.flows && memory_used < limits.memory_bytes;
}

size_t tcp_flow_count(void)
{
    return flow_count;
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
    draining = true;
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

void tcp_flow_each(void (*each)(void *arg, const struct tcp_flow_info *), void *arg)
{
    struct tcp_flow *flow;
    LIST_FOREACH (flow, &flows, all) {
        struct tcp_flow_info info = {.rule_id = flow->rule_id,
                                     .egress = flow->egress,
                                     .client = flow->client,
                                     .dest = flow->dest,
                                     .to_mesh_bytes = flow->to_mesh_bytes,
                                     .to_host_bytes = flow->to_host_bytes,
                                     .opened_ns = flow->opened_ns};
        each(arg, &info);
    }
}

const struct tcp_flow_counters *tcp_flow_counters_get(void)
{
    return &counters;
}
