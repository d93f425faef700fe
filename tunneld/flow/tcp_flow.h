/* TCP flows: a host socket spliced with a connection inside the mesh. tunneld only, one thread.
 *
 * Half-close, reset and back-pressure are carried both ways, so that the two ends see each other as over one
 * connection. All functions return at once; work is done in tcp_flow_service(). */
#ifndef NEXD_TUNNELD_TCP_FLOW_H
#define NEXD_TUNNELD_TCP_FLOW_H

#include "common/netaddr.h"
#include "tunneld/netstack/netstack.h"

struct event_base;
struct tcp_flow;

struct tcp_flow_limits {
    size_t flows;         /* at most so many */
    size_t memory_bytes;  /* held for all flows; past it new flows are refused and old ones wait */
    uint16_t keepalive_s; /* idle time before a dead far end in the mesh is probed; three probes, keepalive_s
                             / 6 apart */
};

struct tcp_flow_counters {
    uint64_t opened, closed, reset_by_mesh, reset_by_host, connect_failed, refused_limit, to_mesh_bytes,
        to_host_bytes;
};

void tcp_flow_init(struct event_base *base, const struct tcp_flow_limits *limits);
/* A local client's connection towards `dest` in the mesh. Takes over `fd`; on failure the client is reset. */
void tcp_flow_egress(uint32_t rule_id, const struct netsock *client, const struct netsock *dest, int fd);
/* A mesh peer's SYN whose destination is connected: answers it. Takes over `fd`. */
void tcp_flow_ingress(uint32_t rule_id, const struct netstack_syn *syn, int fd);
/* netstack_ops.on_accepted. */
void tcp_flow_accepted(void *flow);
/* Moves bytes for every flow that has something to do; each has its turn. True if some have more to do at
 * once. */
bool tcp_flow_service(void);
/* True if another flow may be opened. */
bool tcp_flow_room(void);
size_t tcp_flow_count(void);
/* The flow, which waited for its rule's bandwidth (limits.h), may go on. */
void tcp_flow_wake(void *flow);
/* Resets the flows of a rule. */
void tcp_flow_kill_rule(uint32_t rule_id);
/* The end, in two steps. From tcp_flow_drain() on, no flow is opened, and the others go on while it is seen
 * which of them move bytes. tcp_flow_close_all() then closes those that were idle in order, and resets the
 * rest, so that nobody takes a part for the whole. */
void tcp_flow_drain(void);
void tcp_flow_close_all(void);

enum tcp_flow_state {
    TCP_FLOW_CONNECTING, /* the far side has not answered yet */
    TCP_FLOW_OPEN,
    TCP_FLOW_HOST_ENDED, /* half-closed */
    TCP_FLOW_MESH_ENDED,
};
struct tcp_flow_info {
    uint32_t rule_id;
    bool egress;
    enum tcp_flow_state state;
    struct netsock client, dest;
    uint64_t to_mesh_bytes, to_host_bytes, opened_ns;
    bool transport_known;
    struct netstack_transport transport;
};
/* Calls `each` for every flow until it returns false. */
void tcp_flow_each(bool (*each)(void *arg, const struct tcp_flow_info *), void *arg);
const struct tcp_flow_counters *tcp_flow_counters_get(void);

#endif
