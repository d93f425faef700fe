/* Sockets on all addresses of this host, for both families where it has both; or on one address. */
#ifndef NEXD_PROXYD_WILDCARD_H
#define NEXD_PROXYD_WILDCARD_H

#include "common/netaddr.h"
#include "proxyd/failure.h"

#include <netinet/in.h>

enum wildcard_family { WILDCARD_DUAL, WILDCARD_V4, WILDCARD_V6_ONLY };

/* A non-blocking, close-on-exec socket (type SOCK_STREAM or SOCK_DGRAM) bound to `port`; 0 = any.
 * WILDCARD_DUAL gives an IPv6 socket that takes IPv4 too, or an IPv4 one where this host has no IPv6.
 * SO_REUSEADDR is set for SOCK_STREAM only: with datagrams it would let two programs share a port. NX_OK, or
 * NX_ESYS with errno of the step that failed. */
int wildcard_bind(int type, enum wildcard_family family, uint16_t port, int *fd);

/* The same at one address; family NETADDR_NONE: as WILDCARD_DUAL. */
int wildcard_bind_at(int type, const struct netaddr *address, uint16_t port, int *fd);

/* Does this errno of wildcard_bind() mean that the host lacks the family? */
bool wildcard_family_missing(int error);

/* The failure of binding a port: names `who` (the rule or the tunnel), the port, and what to do. `address` as
 * above; NULL: all. */
void wildcard_failure(struct failure *failure, const char *who, const struct netaddr *address, uint16_t port,
                      int error);

/* The port a socket is bound to, 0 if it is not bound to one. */
uint16_t wildcard_port(int fd);

#endif
