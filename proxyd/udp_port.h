/* Egress UDP: one socket a port, made here and read by tunneld. */
#ifndef NEXD_PROXYD_UDP_PORT_H
#define NEXD_PROXYD_UDP_PORT_H

#include "proxyd/admission.h"
#include "proxyd/outbox.h"
#include "proxyd/rules.h"

struct udp_ports;

/* `tunneld` takes the sockets, `parent` their duplicates. All arguments outlive it. NULL when out of memory.
 */
struct udp_ports *udp_ports_new(struct event_base *base, const struct admission *admission,
                                struct outbox *tunneld, struct outbox *parent);
/* NULL is harmless. */
void udp_ports_free(struct udp_ports *ports);

/* UDP_KEEP from the parent: the socket of an earlier life; takes over `fd`. NX_OK, or an error with `failure`
 * filled in. */
int udp_port_adopt(struct udp_ports *ports, uint16_t port, int fd, struct failure *failure);
/* Opens the port for a rule, if it is not open. NX_OK, or an error with `failure` filled in. */
int udp_port_open(struct udp_ports *ports, const struct rule_entry *entry, struct failure *failure);
/* The port's last rule is gone. */
void udp_port_close(struct udp_ports *ports, uint16_t port);
/* tunneld has (re)started: gives it all sockets of ports with rules. */
void udp_ports_announce(struct udp_ports *ports);

#endif
