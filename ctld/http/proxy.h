/* The operator's HTTP proxy, as HTTPS_PROXY names it. ctld only. */
#ifndef NEXD_CTLD_HTTP_PROXY_H
#define NEXD_CTLD_HTTP_PROXY_H

#include "ipc/messages.h"

#include <stdbool.h>

enum { PROXY_URL_MAX = IPC_NAME_MAX + 32, PROXY_SECRET_MAX = 256 };

struct proxy {
    char host[IPC_NAME_MAX + 1]; /* without brackets */
    uint16_t port;
    bool tls; /* https://: the way to the proxy itself is encrypted */
    char user[PROXY_SECRET_MAX], password[PROXY_SECRET_MAX]; /* decoded; "" = none */
};

/* "http[s]://[user[:password]@]host[:port][/]": host a name or an address (IPv6 in brackets). NX_EINVAL:
 * anything else; `out` is zeroed then. */
int proxy_parse(const char *url, struct proxy *out);
/* Wipes it. */
void proxy_clear(struct proxy *proxy);

#endif
