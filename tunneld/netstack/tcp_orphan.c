/* Orphans: connections that flow/ has left. Both ends of the flow have said all they had to say, and what the
 * peer has not acknowledged yet is the stack's alone.
 *
 * A peer could leave them so: never acknowledge, or answer each probe of its closed window for ever. So they
 * are counted, bytes and connections, their time is limited (tcp_timer.c), and past the bound the next one is
 * reset instead of closed. */
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_conn.h"

static void acknowledged(struct tcp_conn *conn, uint32_t length)
{
    length = LWIP_MIN(length, conn->orphan_bytes);
    conn->orphan_bytes -= length;
    netstack.orphan_bytes -= length;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t length)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    (void)arg;
    if (conn != NULL)
        acknowledged(conn, length);
    return ERR_OK;
}

void netstack_close(struct tcp_pcb *pcb, size_t unacked_bytes)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    if (conn != NULL && netstack.orphan_count >= netstack.orphans_max) {
        tcp_abort(pcb);
        return;
    }
    if (conn != NULL) {
        conn->orphan = true;
        conn->orphan_bytes = (uint32_t)unacked_bytes;
        netstack.orphan_bytes += unacked_bytes;
        netstack.orphan_count++;
        tcp_sent(pcb, on_sent);
    }
    if (tcp_close(pcb) != ERR_OK) /* ends here, or later in tcp_conn_orphan_end() */
        tcp_abort(pcb);
}

void tcp_conn_orphan_end(struct tcp_conn *conn)
{
    if (!conn->orphan)
        return;
    acknowledged(conn, conn->orphan_bytes);
    netstack.orphan_count--;
    conn->orphan = false;
}
