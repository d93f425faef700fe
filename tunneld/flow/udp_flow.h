/* UDP flows. Egress: a local client's (address, port) at a rule's port, mapped to a tunnel port of its own.
 * Ingress: a mesh peer's (address, port) at a rule's tunnel port, mapped to a connected host socket from
 * proxyd. A flow ends 60 s after the last datagram either way (RFC 4787 asks for more only where no rule says
 * otherwise; upstream's value). Datagrams of 0 to 65,507 bytes pass. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_UDP_FLOW_H
#define NEXD_TUNNELD_UDP_FLOW_H

#include "common/timerq.h"
#include "tunneld/flow/broker.h"
#include <stdbool.h>
#include <stddef.h>

struct event_base;

enum {
    UDP_FLOW_MAX = 65536,
    UDP_FLOW_IDLE_S = 60,
    UDP_FLOW_PENDING_MAX = 16 /* datagrams that wait for an answer */
};

struct udp_flow_counters {
    uint64_t opened, closed, refused_limit, failed, dropped, to_mesh, to_host, to_mesh_bytes, to_host_bytes;
};

/* `idle_s`: expiry. NX_OK or NX_ENOMEM. */
int udp_flow_init(struct event_base *base, struct timerq *timers, const struct broker *broker,
                  unsigned idle_s, size_t max_sockets);

/* An egress port's socket; takes over `fd`. Replaces an older one (its flows go on with the new). NX_OK,
 * NX_ENOMEM, NX_ESYS. */
int udp_egress_open(uint16_t port, int fd);
/* Closes the port and ends its flows. */
void udp_egress_close(uint16_t port);
void udp_egress_close_all(void);

/* netstack_ops.on_udp. */
bool udp_flow_from_mesh(void *arg, const struct netsock *from, const struct netsock *to, const uint8_t *data,
                        size_t length);

/* Datagrams to services and clients are sent in batches: at the end of each batch from the mesh, and of each
 * turn. */
void udp_flow_flush(void);

/* proxyd's answers, as in gate.h: false when no flow waits for this request. `fd` is taken over. */
bool udp_flow_connected(uint32_t request, uint32_t rule_id, int fd);
bool udp_flow_destination(uint32_t request, uint32_t rule_id, const struct netsock *dest);
bool udp_flow_failed(uint32_t request);
/* proxyd is gone: flows that wait for it end. */
void udp_flow_forget(void);
void udp_flow_kill_rule(uint32_t rule_id);
void udp_flow_close_all(void);
size_t udp_flow_count(void);
struct udp_flow_info {
    uint32_t rule_id; /* 0 while it waits for its destination */
    bool egress, waiting;
    struct netsock client, dest; /* dest: family NETADDR_NONE while that is not known */
    uint64_t to_mesh_bytes, to_host_bytes, opened_ns;
};
/* Calls `each` for every flow until it returns false. */
void udp_flow_each(bool (*each)(void *arg, const struct udp_flow_info *), void *arg);
const struct udp_flow_counters *udp_flow_counters_get(void);

#endif
