/* What a TCP connection has beside lwIP's pcb: the sending half's loss recovery and congestion control, the
 * memory for what came ahead of a gap, the windows' growth, and one timer in place of lwIP's list walks.
 *
 * It hangs on the pcb as an extension argument and goes with it. Made for each connection, active or passive;
 * a pcb without one (out of memory at its birth) is refused. Files: tcp_send.c, tcp_receive.c, tcp_timer.c,
 * tcp_orphan.c. Nobody outside netstack/ includes this. */
#ifndef NEXD_TUNNELD_TCP_CONN_H
#define NEXD_TUNNELD_TCP_CONN_H

#include "common/timerq.h"
#include "lwip/priv/tcp_priv.h"
#include "tunneld/netstack/tcp_ecn.h"
#include "tunneld/transport/reassembly.h"
#include "tunneld/transport/sender.h"

struct tcp_conn {
    struct tcp_pcb *pcb;
    struct timerq_timer timer;
    struct sender sender;
    struct reassembly reassembly;
    struct sender_ack incoming; /* SACK blocks of the segment that lwIP is working on */
    uint64_t pace_ns;           /* data waits for the pace until then; UINT64_MAX = it does not */
    uint64_t delayed_ack_ns;    /* an ACK waits until then; UINT64_MAX = none does */
    uint64_t persist_ns;        /* next probe of a closed window; UINT64_MAX = not probing */
    uint64_t window_since_ns;   /* the receive window's growth is judged since then */
    uint32_t window_mark;       /* and how far the sender had got by then, as a sequence number */
    uint32_t window_advanced;   /* how much further in the round trip before */
    uint32_t receive_window, send_buffer;
    uint16_t full_segment; /* the longest that came in order */
    uint16_t quick_acks;   /* so many more of that length are acknowledged at once */
    uint32_t orphan_bytes; /* left behind by flow/, not acknowledged */
    uint32_t ecn_marks;    /* packets that came with congestion experienced */
    bool started, established;
    bool ecn;     /* both ends take part in congestion notification */
    bool orphan;  /* nobody of flow/ belongs to it any more */
    bool held_up; /* the application leaves what has come */
};

static inline struct tcp_conn *tcp_conn_of(const struct tcp_pcb *pcb)
{
    return pcb->ext_args[0].data;
}

/* tcp_conn.c */
void tcp_conn_init(struct timerq *queue);
/* NX_OK or NX_ENOMEM; the pcb owns it from then on. */
int tcp_conn_attach(struct tcp_pcb *pcb);
/* The pcb goes on without it: it has nothing more to send or to receive. */
void tcp_conn_detach(struct tcp_pcb *pcb);
/* Has passively opened connections get theirs. */
void tcp_conn_listen(struct tcp_pcb *listener);

/* tcp_send.c: retransmissions, new data, the ACK that is due; then the timer. */
void tcp_conn_output(struct tcp_pcb *pcb);
/* The application's bytes wait in lwIP: more may come if the window outgrew them. */
void tcp_conn_send_buffer_grow(struct tcp_conn *conn);

/* tcp_orphan.c: it is not there any more. */
void tcp_conn_orphan_end(struct tcp_conn *conn);

/* tcp_receive.c */
/* Whether a segment with so many bytes is dropped before lwIP sees it. */
bool tcp_conn_no_room(struct tcp_pcb *pcb, size_t length);
void tcp_conn_receive_init(struct tcp_conn *conn);
void tcp_conn_receive_end(struct tcp_conn *conn);
void tcp_conn_take_options(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, uint16_t length,
                           uint16_t first_length, const uint8_t *second);

/* tcp_timer.c */
void tcp_conn_timer_init(struct timerq *queue);
void tcp_conn_timer_setup(struct tcp_conn *conn);
void tcp_conn_timer_stop(struct tcp_conn *conn);
/* The pcb has entered TIME-WAIT. */
void tcp_conn_time_wait(struct tcp_pcb *pcb);
/* Something that the timer depends on may have changed. */
void tcp_conn_timer_update(struct tcp_conn *conn, uint64_t now_ns);

#endif
