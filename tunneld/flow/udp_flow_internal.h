/* What the files of UDP flows share: udp_flow.c (the table and a flow's life), udp_egress.c (local clients),
 * udp_ingress.c (peers). Nobody else includes it. */
#ifndef NEXD_TUNNELD_UDP_FLOW_INTERNAL_H
#define NEXD_TUNNELD_UDP_FLOW_INTERNAL_H

#include "tunneld/flow/hmap.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/udp_flow.h"
#include <event2/event_struct.h>
#include <sys/queue.h>

struct pending {
    STAILQ_ENTRY(pending) next;
    size_t length;
    uint8_t data[];
};

/* A rule's port on the host. */
struct egress_port {
    LIST_ENTRY(egress_port) all;
    struct event event;
    int fd;
    uint16_t port;
    bool v6;
};

struct udp_flow {
    LIST_ENTRY(udp_flow) all;
    struct hnode by_mesh, by_client, by_request;
    struct timerq_timer idle;
    uint64_t opened_ns, last_ns, to_mesh_bytes, to_host_bytes;
    STAILQ_HEAD(, pending) pending;
    size_t pending_count, pending_bytes;
    struct netsock mesh,
        own;          /* the two ends inside the tunnel; an egress flow has them once it has a destination */
    uint32_t request; /* waits for this answer; 0 = waits for none */
    uint32_t rule_id;
    struct limits_hold limits;
    struct egress_port *port; /* egress only */
    struct netsock client;
    struct netaddr client_to; /* answers leave from here */
    struct event event;       /* ingress only: its host socket */
    int fd;
};

/* Of all flows. */
struct udp_flows {
    LIST_HEAD(, udp_flow) all;
    struct hmap by_mesh, by_client, by_request;
    struct event_base *loop;
    struct timerq *timers;
    const struct broker *asks;
    uint64_t idle_ns;
    size_t count, sockets, sockets_max, pending_bytes;
    struct udp_flow_counters counters;
};
extern struct udp_flows udp_flows;

struct udp_flow *udp_flow_by_mesh(const struct netsock *mesh, const struct netsock *own);
struct udp_flow *udp_flow_by_client(const struct egress_port *port, const struct netsock *client);
struct udp_flow *udp_flow_by_request(uint32_t request);
uint64_t udp_flow_client_hash(uint16_t port, const struct netsock *client);

/* A flow with its idle timer running, or NULL past the bounds. */
struct udp_flow *udp_flow_new(void);
/* Its answer will come with this id. */
void udp_flow_await(struct udp_flow *flow, uint32_t request);
void udp_flow_answered(struct udp_flow *flow);
/* The answer says which rule it is of. `far`: its end inside the mesh. False: the operator's policy has no
 * room for it; the caller ends it. */
bool udp_flow_of_rule(struct udp_flow *flow, uint32_t rule_id, const struct netsock *far);
/* Both ends inside the tunnel are known. */
void udp_flow_bind(struct udp_flow *flow, const struct netsock *mesh, const struct netsock *own);
void udp_flow_free(struct udp_flow *flow);
/* As free, and proxyd is told that its answer is of no use. */
void udp_flow_end(struct udp_flow *flow);
/* Ends the flows that `matches` picks. */
void udp_flows_end(bool (*matches)(const struct udp_flow *, const void *), const void *arg);

/* Keeps a datagram until the answer comes, within bounds. */
void udp_flow_pend(struct udp_flow *flow, const uint8_t *data, size_t length);
void udp_flow_send_pending(struct udp_flow *flow);
void udp_flow_to_mesh(struct udp_flow *flow, const uint8_t *data, size_t length);
void udp_flow_to_host(struct udp_flow *flow, const uint8_t *data, size_t length);

#endif
