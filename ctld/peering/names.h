/* Host names of the VPC's devices, and how proxyd comes to know them: a destination of an egress rule may
 * name a device, and follows it when its address changes. No I/O: messages leave through `send`. ctld only.
 */
#ifndef NEXD_CTLD_PEERING_NAMES_H
#define NEXD_CTLD_PEERING_NAMES_H

#include "ctld/peering/peering.h"
#include "ipc/messages.h"

struct names_ops {
    /* As ipc_send() on the present link to proxyd. */
    int (*send)(void *arg, enum ipc_type type, uint32_t request, const void *body);
};

struct names;
/* NULL when out of memory. */
struct names *names_new(const struct names_ops *ops, void *arg);
void names_free(struct names *names);

/* The whole list of devices: begin, one put a device, end. A name that several devices have stays with the
 * one that has it already, or goes to the lowest id. What is no host name, or is "localhost", is nobody's.
 * NX_ENOMEM from names_end(): what was known before stands. */
void names_begin(struct names *names);
void names_put(struct names *names, const char *id, const char *hostname, const struct netaddr *v4,
               const struct netaddr *v6);
int names_end(struct names *names);
/* The same from peering, if its devices have changed since the last call. */
void names_follow(struct names *names, const struct peering *peering, uint64_t now_ns);

/* The addresses that a name has, at most two; 0 = no device has it. */
size_t names_find(const struct names *names, const char *name, struct netaddr out[2]);

/* proxyd's side. Nothing is sent before the first list has ended: what proxyd knows from before stands till
 * then. */
void names_link_up(struct names *names);
void names_link_down(struct names *names);
/* Sends as much of what is outstanding as the link takes: after changes, and when it has room again. */
void names_pump(struct names *names);

#endif
