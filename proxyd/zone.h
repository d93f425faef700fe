/* Hosts written as addresses, and the zone of a link-local one. */
#ifndef NEXD_PROXYD_ZONE_H
#define NEXD_PROXYD_ZONE_H

#include "common/netaddr.h"

/* Reads an address, perhaps with "%zone". NX_OK with `out`'s address and scope_id set (its port is not
 * touched); NX_EINVAL: `host` is no address; NX_ENOENT: this host has no interface of the zone's name. */
int zone_address_parse(const char *host, struct netsock *out);

/* The index of an interface, given by name or number. NX_OK, NX_ENOENT, or NX_ESYS. */
int zone_index(const char *zone, uint32_t *index);

#endif
