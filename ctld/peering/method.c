/* "Same NAT" means that both reflexive addresses are known and equal. Relays are reached directly even with
 * --relay-only, which is what that option is for.
 *
 * Local endpoints are normally tried behind the same NAT only. Where STUN gave one side nothing, that test
 * cannot be made, and two hosts on one LAN would never meet; so the local endpoint is tried after everything
 * that the table has for direct paths. It costs a handshake message now and then to an address that may be
 * somebody else's, who cannot read it, and it cannot hurt: the peer moves to our address only once it has our
 * packet. */
#include "ctld/peering/method.h"

#include "common/err.h"

#include <string.h>

static bool is_set(const struct netsock *sock)
{
    return sock->addr.family != NETADDR_NONE;
}

static bool is_loopback(const struct netaddr *addr)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return addr->family == NETADDR_V4 ? addr->bytes[0] == 127 : memcmp(addr->bytes, loopback6, 16) == 0;
}

static bool is_host(const struct netaddr *addr)
{
    static const uint8_t zero[16];
    if (addr->family == NETADDR_V4)
        return addr->bytes[0] != 0 && addr->bytes[0] < 224;
    /* A link-local address needs a zone, which no other host can name. */
    const bool link_local = addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
    return addr->bytes[0] != 0xff && !link_local && memcmp(addr->bytes, zero, 16) != 0;
}

bool method_endpoint_sane(const struct netsock *endpoint, const struct method_self *self)
{
    if (!is_set(endpoint) || endpoint->port == 0 || endpoint->scope_id != 0 || !is_host(&endpoint->addr))
        return false;
    if (is_loopback(&endpoint->addr) && !(is_set(&self->local) && is_loopback(&self->local.addr)))
        return false;
    return !netsock_equal(endpoint, &self->local) && !netsock_equal(endpoint, &self->reflexive);
}

static bool same_nat(const struct method_facts *facts)
{
    return is_set(&facts->self->reflexive) && is_set(&facts->peer->reflexive) &&
           netaddr_equal(&facts->self->reflexive.addr, &facts->peer->reflexive.addr);
}

static bool local_sane(const struct method_facts *facts)
{
    return method_endpoint_sane(&facts->peer->local, facts->self);
}

static bool reflexive_sane(const struct method_facts *facts)
{
    return method_endpoint_sane(&facts->peer->reflexive, facts->self);
}

static bool stun_failed(const struct method_facts *facts)
{
    return local_sane(facts) && (!is_set(&facts->self->reflexive) || !reflexive_sane(facts)) &&
           !netsock_equal(&facts->peer->local, &facts->peer->reflexive);
}

static bool direct_allowed(const struct method_facts *facts)
{
    return !facts->peer->relay && !facts->self->relay_only;
}

static bool any_symmetric(const struct method_facts *facts)
{
    return facts->self->symmetric_nat || facts->self->relay_only || facts->peer->symmetric_nat;
}

static bool relay_local_usable(const struct method_facts *facts)
{
    return facts->peer->relay && same_nat(facts) && local_sane(facts);
}

static bool relay_usable(const struct method_facts *facts)
{
    return facts->peer->relay && (reflexive_sane(facts) || !local_sane(facts));
}

static bool relay_unproven_usable(const struct method_facts *facts)
{
    return facts->peer->relay && stun_failed(facts);
}

static bool direct_local_usable(const struct method_facts *facts)
{
    return direct_allowed(facts) && same_nat(facts) && local_sane(facts);
}

/* Also where neither endpoint can be used: then the peer has to come to us. */
static bool reflexive_usable(const struct method_facts *facts)
{
    return direct_allowed(facts) && !any_symmetric(facts) && (reflexive_sane(facts) || !local_sane(facts));
}

static bool local_unproven_usable(const struct method_facts *facts)
{
    return direct_allowed(facts) && stun_failed(facts);
}

static bool via_relay_usable(const struct method_facts *facts)
{
    return !facts->peer->relay && facts->relay_healthy;
}

static bool via_derp_usable(const struct method_facts *facts)
{
    return !facts->peer->relay && !facts->relay_exists && any_symmetric(facts);
}

enum side { SIDE_NONE, SIDE_LOCAL, SIDE_REFLEXIVE };

static const struct row {
    const char *name;
    bool (*usable)(const struct method_facts *facts);
    enum side side;
    enum method_via via;
} rows[METHOD_COUNT] = {
    [METHOD_RELAY_LOCAL] = {"relay-node-peer-direct-local", relay_local_usable, SIDE_LOCAL, VIA_TUNNEL},
    [METHOD_RELAY] = {"relay-node-peer", relay_usable, SIDE_REFLEXIVE, VIA_TUNNEL},
    [METHOD_RELAY_UNPROVEN] = {"relay-node-peer-local-unproven", relay_unproven_usable, SIDE_LOCAL,
                               VIA_TUNNEL},
    [METHOD_DIRECT_LOCAL] = {"direct-local", direct_local_usable, SIDE_LOCAL, VIA_TUNNEL},
    [METHOD_REFLEXIVE] = {"reflexive", reflexive_usable, SIDE_REFLEXIVE, VIA_TUNNEL},
    [METHOD_LOCAL_UNPROVEN] = {"local-unproven", local_unproven_usable, SIDE_LOCAL, VIA_TUNNEL},
    [METHOD_VIA_RELAY] = {"via-relay", via_relay_usable, SIDE_NONE, VIA_RELAY},
    [METHOD_VIA_DERP] = {"via-derp-relay", via_derp_usable, SIDE_NONE, VIA_DERP},
};

const char *method_name(enum method method)
{
    return method >= 0 && method < METHOD_COUNT ? rows[method].name : "none";
}

enum method_via method_via(enum method method)
{
    return method >= 0 && method < METHOD_COUNT ? rows[method].via : VIA_NOTHING;
}

bool method_usable(enum method method, const struct method_facts *facts)
{
    return method >= 0 && method < METHOD_COUNT && rows[method].usable(facts);
}

struct netsock method_endpoint(enum method method, const struct method_facts *facts)
{
    const enum side side = method >= 0 && method < METHOD_COUNT ? rows[method].side : SIDE_NONE;
    if (side == SIDE_LOCAL && local_sane(facts))
        return facts->peer->local;
    if (side == SIDE_REFLEXIVE && reflexive_sane(facts))
        return facts->peer->reflexive;
    return (struct netsock){0};
}

enum method method_from(int from, const struct method_facts *facts)
{
    for (int i = from < 0 ? 0 : from; i < METHOD_COUNT; i++)
        if (rows[i].usable(facts) && (rows[i].via != VIA_DERP || facts->self->derp_available))
            return (enum method)i;
    return METHOD_NONE;
}
