/* The ways to reach a device, in order of preference. The choice is each side's own, but both see the same
 * facts, so the table must agree with the other programs of such a network. ctld only, no I/O. */
#ifndef NEXD_CTLD_PEERING_METHOD_H
#define NEXD_CTLD_PEERING_METHOD_H

#include "ctld/peering/member.h"

enum method {
    METHOD_NONE = -1,      /* before the first choice, or nothing is left to try */
    METHOD_RELAY_LOCAL,    /* a relay behind the same NAT: its local endpoint */
    METHOD_RELAY,          /* a relay: its reflexive endpoint */
    METHOD_RELAY_UNPROVEN, /* ours: a relay's local endpoint where STUN told one side nothing */
    METHOD_DIRECT_LOCAL,   /* behind the same NAT: its local endpoint */
    METHOD_REFLEXIVE,      /* its reflexive endpoint; without one, it has to come to us */
    METHOD_LOCAL_UNPROVEN, /* ours: its local endpoint where STUN told one side nothing */
    METHOD_VIA_RELAY,      /* no entry of its own: the relay has the VPC's ranges */
    METHOD_VIA_DERP,       /* through a DERP server */
    METHOD_COUNT,
};

enum method_via { VIA_NOTHING, VIA_TUNNEL, VIA_RELAY, VIA_DERP };

/* What the choice rests on. */
struct method_self {
    bool relay_only, symmetric_nat;
    struct netsock local, reflexive; /* our own; family NETADDR_NONE = not known */
    bool derp_available;             /* there is something that carries packets to DERP servers */
};
struct method_facts {
    const struct method_self *self;
    const struct member *peer;
    bool relay_exists;  /* a WireGuard relay is in the VPC … */
    bool relay_healthy; /* … and it answers */
};

/* The name that operators' programs show. "none" for METHOD_NONE. */
const char *method_name(enum method method);
enum method_via method_via(enum method method);
bool method_usable(enum method method, const struct method_facts *facts);
/* The address to send to; family NETADDR_NONE where the method gives none. */
struct netsock method_endpoint(enum method method, const struct method_facts *facts);
/* The first method from `from` on that is usable and can be served; METHOD_NONE if there is none. */
enum method method_from(int from, const struct method_facts *facts);
/* May packets be sent there at all? Not to groups, to everybody, to ourselves, or, unless that is where we
 * are ourselves, to this host. */
bool method_endpoint_sane(const struct netsock *endpoint, const struct method_self *self);

#endif
