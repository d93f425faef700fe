/* The PROXY protocol's header, version 2, binary, that a destination is told before the first byte of a flow:
 * who called, and where. Specified in haproxy's doc/proxy-protocol.txt, section 2.2. proxyd only. */
#ifndef NEXD_PROXYD_PROXY_PROTOCOL_H
#define NEXD_PROXYD_PROXY_PROTOCOL_H

#include "common/netaddr.h"

#include <stddef.h>
#include <stdint.h>

enum { PROXY_PROTOCOL_MAX = 52 }; /* bytes: 16, and 36 for two IPv6 addresses and ports */

/* The header for a TCP connection from `source` to `dest` into `out` (PROXY_PROTOCOL_MAX bytes). Returns its
 * length; 0 if the two are not of one family, IPv4 or IPv6. Pure. */
size_t proxy_protocol_header(const struct netsock *source, const struct netsock *dest, uint8_t *out);

/* Writes the header to `fd`, connected and nothing written to it before. 0, or the errno of what kept it from
 * being written as a whole: then nothing but closing is to be done with `fd`. Never waits. */
int proxy_protocol_send(int fd, const struct netsock *source, const struct netsock *dest);

#endif
