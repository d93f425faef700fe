/* https URLs, checked and taken apart (RFC 3986). Nothing is resolved, nothing allocated. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_URL_H
#define NEXD_CTLD_NEXODUS_URL_H

#include "common/host.h"

enum { URL_MAX = 2048, URL_ERROR_MAX = 256, URL_PORT_HTTPS = 443 };

struct url {
    char host[HOST_MAX + 1]; /* in lower case, without brackets */
    struct netaddr addr;     /* when the host is an address; else NETADDR_NONE */
    uint16_t port;           /* 443 unless said */
    char path[URL_MAX];      /* with query: what a request line holds; at least "/" */
};

/* `length` bytes. Admitted: https alone, printable ASCII, a host name or address, port 1..65535. Refused with
 * a line in `error` (URL_ERROR_MAX bytes): other schemes, user names, fragments, malformed percent-escapes,
 * anything longer than URL_MAX - 1. NX_EINVAL. */
int url_parse(const char *text, size_t length, struct url *out, char *error);

/* "host", or "host:port" when it is not 443, with brackets for IPv6. `out` has URL_AUTHORITY_MAX bytes;
 * returns it. */
enum { URL_AUTHORITY_MAX = HOST_MAX + 2 + 6 + 1 };
char *url_authority(const struct url *url, char *out);

/* Decodes %XX in place; returns the new length. NX_EINVAL: a malformed escape, or one for a NUL byte. */
int url_percent_decode(char *text, size_t *length);

#endif
