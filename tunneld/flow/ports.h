/* The rules as the tunnel sees them: which of its ports ingress rules open, and what each rule id stands for.
 * One thread. */
#ifndef NEXD_TUNNELD_PORTS_H
#define NEXD_TUNNELD_PORTS_H

#include "common/rule.h"

/* Opens the rule's port where it is the first one. NX_OK, NX_EEXIST (id known), NX_ENOMEM. */
int ports_rule_add(uint32_t rule_id, enum rule_direction direction, enum rule_protocol protocol,
                   uint16_t listen_port);
/* Closes the port with its last rule. NX_OK or NX_ENOENT. */
int ports_rule_remove(uint32_t rule_id);
/* An ingress rule of this port, and whether it is the only one; 0: there is none. */
uint32_t ports_rule_of(enum rule_protocol protocol, uint16_t port, bool *only);
/* An ingress UDP rule names this tunnel port. */
bool ports_udp_open(uint16_t port);

#endif
