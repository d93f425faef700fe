/* "host:port" as rules and endpoints write it: the host is an IPv4 address, an IPv6 address in brackets (a
 * link-local one may carry a zone) or a host name. Nothing is resolved or allocated. Any process. */
#ifndef NEXD_COMMON_HOST_H
#define NEXD_COMMON_HOST_H

#include "common/netaddr.h"
#include "common/text.h"

enum { HOST_MAX = 253 };

/* What is wrong, in words that end where the quoted `part` follows. A part without length is not worth
 * quoting. */
struct host_problem {
    const char *text;
    struct text_span part;
};

/* Splits at the last colon outside brackets; brackets are dropped, whatever they hold. NX_EINVAL: no port, a
 * bracket never closed, or colons that need brackets; `problem` tells which. Neither part is checked further.
 */
int host_split_port(struct text_span text, struct text_span *host, struct text_span *port,
                    struct host_problem *problem);

/* Checks a host without brackets. Copies it to `name` (HOST_MAX + 1 bytes); `addr` becomes its address
 * (v4-mapped ones become IPv4), or NETADDR_NONE for a name. NX_EINVAL for a malformed host, and for an
 * address that can be nobody's destination: unspecified, multicast, broadcast or reserved. */
int host_parse(struct text_span text, char *name, struct netaddr *addr, struct host_problem *problem);

#endif
