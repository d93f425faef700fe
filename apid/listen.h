/* The listening socket. apid only. */
#ifndef NEXD_APID_LISTEN_H
#define NEXD_APID_LISTEN_H

#include "common/netaddr.h"

/* A non-blocking listening socket; an unspecified IPv6 address takes IPv4 clients too. *port becomes the
 * port, where it was chosen by the system. NX_ESYS. */
int listen_open(const struct netsock *where, int *fd, uint16_t *port);

#endif
