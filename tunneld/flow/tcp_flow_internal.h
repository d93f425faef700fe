/* What tcp_flow.c (a flow's life) and tcp_splice.c (its bytes) share; nobody else includes it. */
#ifndef NEXD_TUNNELD_TCP_FLOW_INTERNAL_H
#define NEXD_TUNNELD_TCP_FLOW_INTERNAL_H

#include "lwip/priv/tcp_priv.h"
#include "tunneld/flow/bytequeue.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/tcp_flow.h"
#include <event2/event_struct.h>
#include <sys/queue.h>

struct tcp_flow {
    LIST_ENTRY(tcp_flow) all;
    TAILQ_ENTRY(tcp_flow) work;
    struct event event;
    struct tcp_pcb *pcb;                 /* NULL once it is lwIP's alone, or gone */
    struct pbuf *arrived, *arrived_tail; /* from the mesh in this turn, not yet written */
    struct bytequeue queue;              /* from the mesh, the socket was full */
    struct netsock client, dest;
    uint64_t to_mesh_bytes, to_host_bytes, opened_ns;
    struct limits_hold limits;
    struct limits_waiter waiters[LIMITS_WAYS];
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

/* Of all flows. */
struct tcp_flows {
    struct tcp_flow_limits limits;
    struct tcp_flow_counters counters;
    size_t count, memory_bytes;
    bool draining;
};
extern struct tcp_flows tcp_flows;

/* Mesh to host. NX_OK, or an error after which the flow is to be aborted. */
int tcp_splice_write(struct tcp_flow *flow);
/* Host to mesh. NX_OK, NX_EAGAIN (had its turn, has more), or an error after which the flow is to be aborted.
 */
int tcp_splice_read(struct tcp_flow *flow);
/* Takes over packets that arrived, for tcp_splice_write(). */
void tcp_splice_arrived_add(struct tcp_flow *flow, struct pbuf *p);
/* Gives the packets of this turn back. */
void tcp_splice_arrived_free(struct tcp_flow *flow);
/* Passes the ends on. True when the flow is over. */
bool tcp_splice_pass_ends(struct tcp_flow *flow);

/* tcp_flow.c: leaves the connection, if there is one, to the stack, which closes it. */
void tcp_flow_leave(struct tcp_flow *flow);

#endif
