/* struct http over libcurl and an event loop. ctld only.
 *
 * Life: http_library_init() and http_client_new() before the sandbox closes; http_client_set_route() once the
 * operator's settings are known; then requests. From http_client_new() on, no file is opened and no socket
 * made. */
#ifndef NEXD_CTLD_HTTP_CLIENT_H
#define NEXD_CTLD_HTTP_CLIENT_H

#include "ctld/http/http.h"
#include "ctld/http/opener.h"
#include "ctld/http/trust.h"

struct event_base;
struct http_client;

enum {
    HTTP_EXCHANGES_MAX = 64,            /* requests at once */
    HTTP_ANSWER_MAX_BYTES = 64 << 20,   /* what answer_max_bytes is cut to */
    HTTP_TIMEOUT_DEFAULT_MS = 60 * 1000 /* where a request says 0 */
};

/* Once a process, before anything else of this room. NX_OK, or NX_ENOMEM. */
int http_library_init(void);

struct http_client_config {
    struct event_base *base;
    struct http_opener *opener;
    struct trust *trust;
    const char *user_agent; /* copied; NULL = none is sent */
};

/* What config names outlives the client. NULL when out of memory. */
struct http_client *http_client_new(const struct http_client_config *config);
/* Ends all requests without an event. Not from within an event. NULL is harmless. */
void http_client_free(struct http_client *client);

struct http_route {
    bool skip_verify;      /* whoever answers is believed: logged as a warning */
    const char *proxy_url; /* "http[s]://[user:password@]host:port"; NULL or "" = none */
    const char *no_proxy;  /* hosts that are reached without it, as NO_PROXY lists them; NULL or "" = none */
};
/* For requests that are submitted from now on. NX_EINVAL: the proxy's URL is not valid (nothing changes);
 * NX_ENOMEM. */
int http_client_set_route(struct http_client *client, const struct http_route *route);

/* The interface for those who ask. */
struct http *http_client_http(struct http_client *client);
/* Requests that have not ended. */
size_t http_client_pending(const struct http_client *client);

#endif
