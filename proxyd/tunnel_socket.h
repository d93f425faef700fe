/* The UDP sockets of the WireGuard tunnel. */
#ifndef NEXD_PROXYD_TUNNEL_SOCKET_H
#define NEXD_PROXYD_TUNNEL_SOCKET_H

#include "proxyd/failure.h"

struct tunnel_sockets {
    uint16_t port;
    int udp4;
    int udp6; /* -1: this host has no IPv6 */
};

/* Binds a socket of each family to the same port; 0: one that is free in both. NX_OK, and both descriptors
 * are the caller's; or NX_ESYS with `failure` filled in. */
int tunnel_sockets_bind(uint16_t port, struct tunnel_sockets *out, struct failure *failure);

#endif
