/* Under which address does the network that this host is in know it? Peers of the same network are told it.
 * Reads /proc/net/route and asks the kernel for the interfaces' addresses; before the sandbox. Only the
 * parent process. */
#ifndef NEXD_NEXD_LOCAL_ADDRESS_H
#define NEXD_NEXD_LOCAL_ADDRESS_H

#include "common/netaddr.h"

#include <stddef.h>

enum { LOCAL_ADDRESS_INTERFACE_MAX = 16 }; /* IFNAMSIZ */

/* The interface of the first IPv4 default route with a gateway, else of the first without one, in the text of
 * /proc/net/route. `name` has LOCAL_ADDRESS_INTERFACE_MAX bytes. NX_ENOENT: there is none. */
int local_address_interface(const char *table, char *name);
/* That interface's first IPv4 address which is not link-local. NX_ENOENT; NX_ESYS. Then `out` is none. */
int local_address_find(struct netaddr *out);

#endif
