/* The operator's HTTP proxy as HTTPS_PROXY names it: "[http://|https://][USER[:PASSWORD]@]HOST[:PORT][/]".
 * Pure functions; the parent process. */
#ifndef NEXD_NEXD_PROXY_URL_H
#define NEXD_NEXD_PROXY_URL_H

#include "ipc/messages.h"
#include <stddef.h>

/* Writes the whole URL, with scheme and port, to `out` (a secret if it has a password), and where the proxy
 * is to `outlet`. NULL; or what is wrong with it, in words that do not quote it. Without a port it is 80 for
 * http, the default scheme, and 443 for https. */
const char *proxy_url_parse(const char *text, char *out, size_t size, struct ipc_outlet *outlet);

#endif
