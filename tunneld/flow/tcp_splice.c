/* The bytes of a TCP flow, both ways, and their ends. See tcp_flow.c for the picture.
 *
 * Bytes from the mesh are written straight from the decrypted packets; only what the socket does not take is
 * copied. The receive window opens as the socket takes bytes: a slow reader stops the sender. Bytes from the
 * host are read only as far as lwIP has room for them, and in turns, so that no flow holds up another. */
#include "common/err.h"
#include "tunneld/flow/tcp_flow_internal.h"
#include "tunneld/netstack/netstack.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    TURN_BYTES = 32 * 1024, /* a flow reads at most so much in one turn */
    SCRATCH_BYTES = 64 * 1024,
    READ_ROOM_MIN = 16 * 1024, /* below that, wait for more room instead of making small segments */
    IOV_PIECES = 256,
    SEGMENTS_READ = 128,      /* a read makes no more of them */
    SEGMENTS_SMALL = 1024,    /* so many may be on the way however small they are, */
    SEGMENT_FAIR_BYTES = 512, /* and more if this is their size on average */
};

static uint8_t scratch[SCRATCH_BYTES];

/* One buffer of a chain. */
static void piece_free(struct pbuf *p)
{
    p->next = NULL;
    p->tot_len = p->len;
    pbuf_free(p);
}

/* Empty buffers, as the last fragment of a datagram may leave, are dropped: every one that is kept has bytes
 * to write. */
void tcp_splice_arrived_add(struct tcp_flow *flow, struct pbuf *p)
{
    while (p != NULL) {
        struct pbuf *next = p->next;
        if (p->len == 0) {
            piece_free(p);
        } else {
            p->next = NULL;
            if (flow->arrived == NULL)
                flow->arrived = p;
            else
                flow->arrived_tail->next = p;
            flow->arrived_tail = p;
        }
        p = next;
    }
}

void tcp_splice_arrived_free(struct tcp_flow *flow)
{
    while (flow->arrived != NULL) {
        struct pbuf *p = flow->arrived;
        flow->arrived = p->next;
        piece_free(p);
    }
    flow->arrived_tail = NULL;
}

/* At most `max` bytes of what has come. */
static size_t write_iov(const struct tcp_flow *flow, struct iovec *iov, size_t *pieces, size_t max)
{
    size_t n = bytequeue_peek(&flow->queue, iov, IOV_PIECES);
    for (struct pbuf *p = flow->arrived; p != NULL && n < IOV_PIECES; p = p->next)
        iov[n++] = (struct iovec){.iov_base = p->payload, .iov_len = p->len};
    size_t total = 0;
    size_t used = 0;
    for (; used < n && total < max; used++) {
        iov[used].iov_len = LWIP_MIN(iov[used].iov_len, max - total);
        total += iov[used].iov_len;
    }
    *pieces = used;
    return total;
}

static void write_consume(struct tcp_flow *flow, size_t length)
{
    size_t queued = LWIP_MIN(length, flow->queue.length);
    bytequeue_consume(&flow->queue, queued);
    tcp_flows.memory_bytes -= queued;
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
        piece_free(p);
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
        tcp_flows.memory_bytes += flow->queue.length - before;
        if (err != NX_OK)
            return err;
    }
    tcp_splice_arrived_free(flow);
    return NX_OK;
}

static void window_open(struct tcp_flow *flow, size_t length)
{
    while (length > 0 && flow->pcb != NULL) {
        u16_t step = (u16_t)LWIP_MIN(length, UINT16_MAX);
        tcp_recved(flow->pcb, step);
        length -= step;
    }
    if (flow->pcb != NULL)
        netstack_window_measure(flow->pcb, flow->queue.length);
}

/* Mesh → host. NX_OK, or an error after which the flow is to be aborted. */
int tcp_splice_write(struct tcp_flow *flow)
{
    size_t written = 0;
    while (flow->writable && (flow->queue.length > 0 || flow->arrived != NULL)) {
        struct iovec iov[IOV_PIECES];
        size_t pieces;
        size_t total = write_iov(flow, iov, &pieces, SIZE_MAX);
        size_t budget = limits_budget(&flow->limits, LIMITS_TO_HOST, &flow->waiters[LIMITS_TO_HOST], total);
        if (budget == 0)
            break; /* what has come is kept, and the window stays closed by as much */
        if (budget < total)
            total = write_iov(flow, iov, &pieces, budget);
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = pieces};
        ssize_t n = sendmsg(flow->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                return NX_ECLOSED;
            flow->writable = errno == EINTR;
            continue;
        }
        limits_spend(&flow->limits, LIMITS_TO_HOST, (size_t)n);
        write_consume(flow, (size_t)n);
        written += (size_t)n;
        if ((size_t)n < total)
            flow->writable = false;
    }
    int err = write_keep_rest(flow);
    flow->to_host_bytes += written;
    flow->moved |= tcp_flows.draining && written > 0;
    tcp_flows.counters.to_host_bytes += written;
    window_open(flow, written);
    return err;
}

/* What tcp_write() will cut the bytes into: the peer decides on that, by its MSS and by its largest window.
 */
static size_t segment_bytes(const struct tcp_pcb *pcb)
{
    size_t half_window = pcb->snd_wnd_max / 2;
    return half_window == 0 || half_window > pcb->mss ? pcb->mss : half_window;
}

/* How much may be read from the socket now. A segment costs memory and work by itself, however small it is.
 */
static size_t read_room(const struct tcp_flow *flow)
{
    const struct tcp_pcb *pcb = flow->pcb;
    size_t room = tcp_sndbuf(pcb), segments = pcb->snd_queuelen;
    if (room < READ_ROOM_MIN && flow->in_stack_bytes > 0)
        return 0;
    if (segments > SEGMENTS_SMALL + flow->in_stack_bytes / SEGMENT_FAIR_BYTES ||
        segments + SEGMENTS_READ + 2 > TCP_SND_QUEUELEN)
        return 0;
    if (netstack_memory_left() == 0 && flow->in_stack_bytes > 0)
        return 0; /* every flow may have one piece on the way */
    return LWIP_MIN(LWIP_MIN(room, SCRATCH_BYTES), SEGMENTS_READ * segment_bytes(pcb));
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
        tcp_flows.memory_bytes += n;
        data += n;
        length -= n;
    }
    return NX_OK;
}

/* Host → mesh. NX_OK, NX_EAGAIN (had its turn, has more), or an error after which the flow is to be aborted.
 */
int tcp_splice_read(struct tcp_flow *flow)
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
        room = limits_budget(&flow->limits, LIMITS_TO_MESH, &flow->waiters[LIMITS_TO_MESH], room);
        if (room == 0)
            return NX_OK; /* woken when its rule has bytes again */
        struct iovec into = {.iov_base = scratch, .iov_len = room};
        ssize_t n = recvmsg(flow->fd, &(struct msghdr){.msg_iov = &into, .msg_iovlen = 1}, MSG_DONTWAIT);
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
        limits_spend(&flow->limits, LIMITS_TO_MESH, (size_t)n);
        turn += (size_t)n;
        flow->to_mesh_bytes += (size_t)n;
        flow->moved |= tcp_flows.draining;
        tcp_flows.counters.to_mesh_bytes += (size_t)n;
        /* A short read has emptied the socket, unless the end of file waits behind it. */
        if ((size_t)n < room && !flow->hangup)
            flow->readable = false;
    }
    return NX_OK;
}

/* Passes the ends on. True when the flow is over. */
bool tcp_splice_pass_ends(struct tcp_flow *flow)
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
        tcp_flow_leave(flow);
    }
    return flow->fin_sent && flow->shut;
}
