/* What flows ask of proxyd, as calls. Implemented over IPC by tunneld/broker.c, and by a fake in tests.
 * Answers come later through gate_… and udp_flow_… with the request's id. */
#ifndef NEXD_TUNNELD_BROKER_H
#define NEXD_TUNNELD_BROKER_H

#include "common/netaddr.h"
#include "common/rule.h"

struct broker {
    /* Connect a destination of the ingress rules for protocol and port. Returns the request's id, or 0: not
     * now. */
    uint32_t (*connect)(void *arg, enum rule_protocol protocol, const struct netsock *client,
                        const struct netsock *local);
    /* Where does a new egress UDP flow go? As above. */
    uint32_t (*destination)(void *arg, uint16_t port, const struct netsock *client);
    void (*cancel)(void *arg, uint32_t request);
    void *arg;
};

#endif
