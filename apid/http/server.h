/* HTTPS for requests with small bodies and for long streams: libevent's evhttp over its OpenSSL bufferevents,
 * with limits that evhttp does not have.
 *
 *   accept ─> handshake + request within request_ms ─> handle() ─> reply ─> next request within idle_ms ─> …
 *                                                         └─> stream (no deadline; a slow reader is cut)
 *
 * A connection that misses a deadline, or is one too many for its client, is shut down. Single-threaded. apid
 * only. */
#ifndef NEXD_APID_HTTP_SERVER_H
#define NEXD_APID_HTTP_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct evkeyvalq;

enum {
    HTTP_HOST_MAX = 256,
    HTTP_PATH_MAX = 1024,
    HTTP_CLIENT_MAX = 64, /* text of an address */
};

enum http_method { HTTP_GET = 0, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

struct http_limits {
    size_t connections, connections_per_client; /* a client is an IPv4 address or an IPv6 /64 */
    size_t header_bytes, body_bytes;
    unsigned request_ms; /* from the connection to the end of its first request */
    unsigned idle_ms;    /* from a reply to the end of the next request */
    unsigned write_ms;   /* a reader that takes nothing for so long is cut */
};
extern const struct http_limits http_limits_default;

/* Valid until it has been replied to, or, for streams, until http_stream_start(). */
struct http_request {
    enum http_method method;
    const char *host;  /* lower case, without port; "" if none was given */
    const char *path;  /* as sent, without query; begins with '/' */
    const char *query; /* as sent; "" if none */
    const char *body;
    size_t body_length;
    char client[HTTP_CLIENT_MAX]; /* what limits count by */
    struct evhttp_request *raw;
};

struct http_server;

/* Called for each complete request; must reply exactly once, here and now, or start a stream. */
typedef void http_handler(struct http_request *request, void *arg);

struct http_server_config {
    struct event_base *base;
    int listen_fd; /* listening and non-blocking; owned by the server from success on */
    struct http_limits limits;
    SSL *(*connection)(void *arg); /* a new one in accepting state, or NULL */
    void *connection_arg;
    http_handler *handle;
    void *handle_arg;
};

/* NULL when out of memory. */
struct http_server *http_server_new(const struct http_server_config *config);
/* Closes all connections; ends streams through their `closed`. */
void http_server_free(struct http_server *server);
size_t http_server_connections(const struct http_server *server);

/* A header of the request; NULL if absent. */
const char *http_header(const struct http_request *request, const char *name);
/* Adds a header to the reply; a value with line breaks is refused (ignored). */
void http_reply_header(struct http_request *request, const char *name, const char *value);
/* `type` may be NULL when there is no body. */
void http_reply(struct http_request *request, int status, const char *type, const char *body, size_t length);

/* A 200 answer that goes on: chunked, so HTTP/1.1 only. */
struct http_stream;
struct http_stream_events {
    void (*drained)(void *arg); /* all that was written has gone to the kernel */
    /* Client gone, too slow, or the server ends; the stream is dead, nothing may be called with it. Not
     * called after http_stream_end(). */
    void (*closed)(void *arg);
};
/* NULL: out of memory, and the request has been answered otherwise. */
struct http_stream *http_stream_start(struct http_request *request, const char *type,
                                      const struct http_stream_events *events, void *arg);
/* One chunk of the bytes of all `parts`. Bytes are copied. NX_ENOMEM: the stream is useless and should be
 * ended. */
struct http_part {
    const char *data;
    size_t length;
};
int http_stream_write(struct http_stream *stream, const struct http_part *parts, size_t count);
/* Bytes not yet with the kernel. */
size_t http_stream_pending(const struct http_stream *stream);
/* Writes the last chunk and closes. */
void http_stream_end(struct http_stream *stream);

#endif
