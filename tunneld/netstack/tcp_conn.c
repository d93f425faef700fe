/* A connection's birth and death beside lwIP's. */
#include "tunneld/netstack/tcp_conn.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/netstack/internal.h"
#include <stdlib.h>

static void destroy(u8_t id, void *data)
{
    struct tcp_conn *conn = data;
    (void)id;
    if (conn == NULL)
        return;
    tcp_conn_timer_stop(conn);
    tcp_conn_receive_end(conn);
    tcp_conn_orphan_end(conn);
    sender_free(&conn->sender);
    free(conn);
}

static err_t passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    (void)id, (void)listener;
    if (tcp_conn_attach(pcb) != NX_OK)
        return ERR_MEM;
    tcp_ecn_accepting(pcb);
    return ERR_OK;
}

static const struct tcp_ext_arg_callbacks callbacks = {.destroy = destroy, .passive_open = passive_open};

void tcp_conn_init(struct timerq *queue)
{
    (void)tcp_ext_arg_alloc_id(); /* number 0, as tcp_conn_of() has it */
    tcp_conn_timer_init(queue);
}

int tcp_conn_attach(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NX_ENOMEM;
    conn->pcb = pcb;
    conn->pace_ns = conn->delayed_ack_ns = conn->persist_ns = UINT64_MAX;
    conn->send_buffer = TCP_SND_BUF;
    tcp_conn_receive_init(conn);
    tcp_conn_timer_setup(conn);
    tcp_ext_arg_set(pcb, 0, conn);
    tcp_ext_arg_set_callbacks(pcb, 0, &callbacks);
    return NX_OK;
}

void tcp_conn_detach(struct tcp_pcb *pcb)
{
    destroy(0, tcp_conn_of(pcb));
    tcp_ext_arg_set(pcb, 0, NULL);
}

void tcp_conn_listen(struct tcp_pcb *listener)
{
    tcp_ext_arg_set(listener, 0, NULL);
    tcp_ext_arg_set_callbacks(listener, 0, &callbacks);
}
