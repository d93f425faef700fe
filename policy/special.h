/* Addresses that a name must not lead to by itself: those of this host, of its link, and of the services that
 * clouds keep for their machines' credentials. What a name resolves to is said by others; so such an address
 * has to be named by whoever wrote the rule or the policy. Any process. */
#ifndef NEXD_POLICY_SPECIAL_H
#define NEXD_POLICY_SPECIAL_H

#include "common/netaddr.h"

/* The range of such addresses that has this one in it, NULL if there is none. An IPv4 address inside an IPv6
 * one (mapped, compatible, or of a NAT64 prefix: 64:ff9b::/96, and those of 64:ff9b:1::/48 that have it at
 * their end) counts as itself. `in_mesh`: the address is
 * used inside the mesh, where some of these ranges are ordinary. */
const struct netprefix *special_range(const struct netaddr *address, bool in_mesh);
/* It leads to this host itself. */
bool special_is_loopback(const struct netaddr *address);
/* The IPv4 address inside, or `address` itself. */
struct netaddr special_plain(const struct netaddr *address);

#endif
