/* The sending half: lwIP keeps the bytes as segments, unsent and unacknowledged; transport/ decides which of
 * them leave when. Segments stay on lwIP's unacked list until they are acknowledged: a retransmission sends
 * them from there. */
#include "common/clock.h"
#include "common/err.h"
#include "lwip_hooks.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_conn.h"

enum { SEND_BUFFER_MAX = 32 << 20 };

static const struct cc_ops *algorithm = &cc_bbr;
static uint64_t output_ns; /* the time, while tcp_conn_output() runs; 0 outside */

static uint64_t now(void)
{
    return output_ns != 0 ? output_ns : clock_now_ns();
}

int netstack_congestion_control(const char *name)
{
    const struct cc_ops *found = cc_find(name);
    if (found == NULL)
        return NX_ENOENT;
    algorithm = found;
    return NX_OK;
}

static uint32_t sequence_of(const struct tcp_seg *seg)
{
    return lwip_ntohl(seg->tcphdr->seqno);
}

/* -- Hooks of tcp_output() ------------------------------------------------------------------- */

int netstack_tcp_may_send(struct tcp_pcb *pcb, struct tcp_seg *seg)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL)
        return 1;
    struct sender *sender = &conn->sender;
    uint64_t now_ns = now();
    if (!conn->started) {
        sender_init(sender, algorithm, pcb->mss, sequence_of(seg), netstack_random(), now_ns);
        conn->started = true;
    }
    bool repairing = sender->board.lost > 0 && !sender->probe_due;
    bool allowed = conn->established ? !repairing && sender_may_send(sender, TCP_TCPLEN(seg), now_ns)
                                     : sender_must_send(sender);
    if (allowed)
        return 1;
    conn->pace_ns = sender_pace_ns(sender, now_ns);
    if (sender->board.count == 0) /* no memory for a record, and no acknowledgement to come */
        conn->pace_ns = now_ns + NS_PER_MS;
    return 0;
}

void netstack_tcp_sent(struct tcp_pcb *pcb, struct tcp_seg *seg)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    uint32_t start = sequence_of(seg);
    if (conn == NULL || TCP_TCPLEN(seg) == 0)
        return;
    sender_sent(&conn->sender, start, start + TCP_TCPLEN(seg), seg, now());
    tcp_ecn_segment_sent(conn);
    if (!timer_armed(&conn->timer))
        netstack_tcp_output_later(pcb); /* lwIP has sent it on its own: look after the timer */
}

/* -- Hooks of tcp_input() -------------------------------------------------------------------- */

void netstack_tcp_acked(struct tcp_pcb *pcb, uint32_t ack, int duplicate)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL || !conn->started)
        return;
    conn->incoming.ack = ack;
    conn->incoming.duplicate = duplicate != 0;
    if (sender_ack(&conn->sender, &conn->incoming, clock_now_ns()))
        tcp_ecn_reduced(conn);
    conn->incoming.sack_count = 0;
    conn->incoming.congestion_echo = false;
    if (!conn->established) {
        conn->established = true;
        tcp_ecn_established(conn);
        sender_established(&conn->sender, (pcb->flags & TF_SACK) != 0, pcb->mss);
    }
    tcp_conn_send_buffer_grow(conn);
}

static void resend(struct tcp_conn *conn, struct tx_record *record, uint64_t now_ns)
{
    u8_t tos = conn->pcb->tos;
    conn->pcb->tos = 0; /* see tcp_ecn.c; the echo goes with the next ACK */
    /* What the interface does not take now is lost like on any link. */
    (void)tcp_resend_segment(conn->pcb, record->segment);
    conn->pcb->tos = conn->established ? tos : 0;
    sender_resent(&conn->sender, record, now_ns);
}

/* The far end asks for the handshake's segment again. */
void netstack_tcp_resend_first(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL || conn->sender.board.count == 0)
        return;
    resend(conn, scoreboard_at(&conn->sender.board, conn->sender.board.first), clock_now_ns());
}

bool netstack_transport(const struct tcp_pcb *pcb, struct netstack_transport *out)
{
    const struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL || !conn->established)
        return false;
    const struct sender *sender = &conn->sender;
    *out = (struct netstack_transport){.algorithm = sender->cc.ops->name,
                                       .rtt_ns = sender->rtt.smoothed_ns,
                                       .min_rtt_ns = rtt_min_ns(&sender->rtt),
                                       .cwnd_bytes = sender->cc.cwnd,
                                       .retransmitted_bytes = sender->stats.retransmitted_bytes,
                                       .pacing_rate = sender->cc.pacing_rate,
                                       .delivery_rate = sender->delivery_rate};
    return true;
}

/* -- Output ---------------------------------------------------------------------------------- */

/* Up to three windows' worth, so that what a loss holds up leaves room for what comes after it; but no more
 * than a quarter of what all connections together may still have. */
void tcp_conn_send_buffer_grow(struct tcp_conn *conn)
{
    uint64_t wanted = 3 * conn->sender.cc.cwnd;
    if (wanted <= conn->send_buffer)
        return;
    if (wanted > SEND_BUFFER_MAX)
        wanted = SEND_BUFFER_MAX;
    uint64_t most = conn->send_buffer + netstack_memory_left() / 4;
    if (wanted > most)
        wanted = most;
    if (wanted <= conn->send_buffer)
        return;
    conn->pcb->snd_buf += (tcpwnd_size_t)wanted - conn->send_buffer;
    conn->send_buffer = (uint32_t)wanted;
    /* Nothing need have been acknowledged for it, only reported: the application learns of the room here. */
    if (conn->pcb->sent != NULL)
        (void)conn->pcb->sent(conn->pcb->callback_arg, conn->pcb, 0);
}

/* Not the path is what holds the connection back, but who gives or takes the bytes. */
static bool supply_limited(const struct tcp_pcb *pcb)
{
    const struct tcp_seg *seg = pcb->unsent;
    return seg == NULL || sequence_of(seg) - pcb->lastack + seg->len > pcb->snd_wnd;
}

void tcp_conn_output(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn == NULL) {
        (void)tcp_output(pcb);
        return;
    }
    struct sender *sender = &conn->sender;
    struct tx_record *record;
    uint64_t now_ns = clock_now_ns();
    conn->pace_ns = UINT64_MAX;
    /* Data carries no SACK blocks, so what is to be reported goes first. */
    if ((pcb->flags & TF_ACK_NOW) && conn->reassembly.unreported > 0)
        (void)tcp_send_empty_ack(pcb);
    if (conn->started) {
        while ((record = sender_next_retransmission(sender, now_ns)) != NULL)
            resend(conn, record, now_ns);
        if (sender->board.lost > 0)
            conn->pace_ns = sender_pace_ns(sender, now_ns);
    }
    output_ns = now_ns;
    (void)tcp_output(pcb);
    output_ns = 0;
    if (conn->started && (record = sender_probe(sender)) != NULL)
        resend(conn, record, now_ns);
    if (conn->established && supply_limited(pcb))
        sender_app_limited(sender);
    tcp_conn_timer_update(conn, now_ns);
}
