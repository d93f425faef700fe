/* evhttp parses and frames; here are the limits, the requests' view for handlers, and replies. When all
 * places are taken, or the process is out of descriptors, accepting pauses: newcomers wait in the kernel's
 * queue. */
#include "apid/http/server.h"

#include "apid/http/connection.h"
#include "apid/http/internal.h"
#include "common/err.h"
#include "common/log.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPT_RETRY_MS = 100 };

const struct http_limits http_limits_default = {
    .connections = 4096,
    .connections_per_client = 2048,
    .header_bytes = 16 << 10,
    .body_bytes = 256 << 10,
    .request_ms = 20000,
    .idle_ms = 60000,
    .write_ms = 30000,
};

/* Accepts again when there is room. */
static void accept_resume(void *arg)
{
    struct http_server *const server = arg;
    if (server->paused && server->table.count < server->table.limits.connections) {
        server->paused = false;
        evconnlistener_enable(server->listener);
    }
}

static void accept_pause(struct http_server *server)
{
    server->paused = true;
    evconnlistener_disable(server->listener);
}

static void on_accept_retry(evutil_socket_t unused, short what, void *arg)
{
    (void)unused;
    (void)what;
    accept_resume(arg);
}

/* Out of descriptors or memory: a pause, since the waiting connection would wake us at once again. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 3};
    static const struct timeval pause = {0, ACCEPT_RETRY_MS * 1000};
    struct http_server *const server = arg;
    (void)listener;
    if (log_ratelimit_ok(&limit))
        log_warn("accepting a connection: %s", strerror(EVUTIL_SOCKET_ERROR()));
    accept_pause(server);
    event_add(server->accept_retry, &pause);
}

/* evhttp takes a plain connection where this gives it none; on_request() then finds no TLS and hangs up. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
    struct http_server *const server = arg;
    SSL *const ssl = server->config.connection(server->config.connection_arg);
    struct bufferevent *bev = NULL;
    if (ssl)
        bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    if (connection_watch(&server->table, bev, ssl)) {
        bufferevent_free(bev);
        return NULL;
    }
    if (server->table.count >= server->table.limits.connections)
        accept_pause(server);
    return bev;
}

static void on_complete(struct evhttp_request *raw, void *arg)
{
    struct evhttp_connection *const evcon = evhttp_request_get_connection(raw);
    struct connection *const connection =
        evcon ? connection_of(evhttp_connection_get_bufferevent(evcon)) : NULL;
    (void)arg;
    if (connection)
        connection_idle(connection);
}

static bool method_read(struct evhttp_request *raw, enum http_method *out)
{
    switch (evhttp_request_get_command(raw)) {
    case EVHTTP_REQ_GET:
        *out = HTTP_GET;
        return true;
    case EVHTTP_REQ_POST:
        *out = HTTP_POST;
        return true;
    case EVHTTP_REQ_PUT:
        *out = HTTP_PUT;
        return true;
    case EVHTTP_REQ_PATCH:
        *out = HTTP_PATCH;
        return true;
    case EVHTTP_REQ_DELETE:
        *out = HTTP_DELETE;
        return true;
    default:
        return false;
    }
}

static void host_read(struct evhttp_request *raw, char out[HTTP_HOST_MAX])
{
    const char *const host = evhttp_request_get_host(raw);
    size_t length = host ? strlen(host) : 0;
    if (length >= HTTP_HOST_MAX)
        length = 0;
    for (size_t i = 0; i < length; i++)
        out[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i];
    out[length] = '\0';
}

static void on_request(struct evhttp_request *raw, void *arg)
{
    struct http_server *const server = arg;
    struct evhttp_connection *const evcon = evhttp_request_get_connection(raw);
    struct bufferevent *const bev = evhttp_connection_get_bufferevent(evcon);
    struct connection *const connection = connection_of(bev);
    const struct evhttp_uri *const uri = evhttp_request_get_evhttp_uri(raw);
    struct evbuffer *const input = evhttp_request_get_input_buffer(raw);
    struct http_request request = {.raw = raw};
    char host[HTTP_HOST_MAX];
    if (connection == NULL) {
        evhttp_connection_free(evcon);
        return;
    }
    connection_busy(connection);
    evhttp_request_set_on_complete_cb(raw, on_complete, server);
    host_read(raw, host);
    memcpy(request.client, connection->address, sizeof(request.client));
    request.host = host;
    request.path = uri ? evhttp_uri_get_path(uri) : NULL;
    request.query = uri && evhttp_uri_get_query(uri) ? evhttp_uri_get_query(uri) : "";
    request.body_length = evbuffer_get_length(input);
    request.body = request.body_length ? (const char *)evbuffer_pullup(input, -1) : "";
    if (!method_read(raw, &request.method) || request.path == NULL || request.path[0] != '/' ||
        strlen(request.path) >= HTTP_PATH_MAX) {
        http_reply(&request, 400, "text/plain", "bad request", 11);
        return;
    }
    if (request.body == NULL) {
        http_reply(&request, 503, NULL, NULL, 0);
        return;
    }
    server->config.handle(&request, server->config.handle_arg);
}

static struct evhttp *evhttp_make(struct http_server *server)
{
    const struct http_limits *const limits = &server->config.limits;
    struct evhttp *const http = evhttp_new(server->config.base);
    if (http == NULL)
        return NULL;
    evhttp_set_bevcb(http, on_connection, server);
    evhttp_set_gencb(http, on_request, server);
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH |
                                         EVHTTP_REQ_DELETE);
    evhttp_set_default_content_type(http, NULL);
    evhttp_set_max_headers_size(http, (ev_ssize_t)limits->header_bytes);
    evhttp_set_max_body_size(http, (ev_ssize_t)limits->body_bytes);
    /* Inactivity; the deadlines of connection.c bound what a drip of bytes can reach. */
    evhttp_set_timeout(http, (int)(limits->idle_ms / 1000 + 1));
    return http;
}

struct http_server *http_server_new(const struct http_server_config *config)
{
    struct http_server *const server = calloc(1, sizeof(*server));
    if (server == NULL)
        return NULL;
    server->config = *config;
    connection_table_init(&server->table, config->base, &config->limits);
    server->table.freed = accept_resume;
    server->table.freed_arg = server;
    server->accept_retry = evtimer_new(config->base, on_accept_retry, server);
    server->http = evhttp_make(server);
    if (server->accept_retry == NULL || server->http == NULL)
        goto fail;
    server->listener =
        evconnlistener_new(config->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, config->listen_fd);
    if (server->listener == NULL)
        goto fail;
    evconnlistener_set_error_cb(server->listener, on_accept_error);
    if (evhttp_bind_listener(server->http, server->listener) == NULL) {
        evconnlistener_free(server->listener);
        goto fail;
    }
    return server;
fail:
    if (server->http)
        evhttp_free(server->http);
    if (server->accept_retry)
        event_free(server->accept_retry);
    free(server);
    return NULL;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    server->table.freed = NULL;
    const int listen_fd = evconnlistener_get_fd(server->listener);
    evhttp_free(server->http); /* connections, streams among them, and the listener */
    connection_table_close(&server->table);
    event_free(server->accept_retry);
    close(listen_fd);
    free(server);
}

size_t http_server_connections(const struct http_server *server)
{
    return server->table.count;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(request->raw), name);
}

void http_reply_header(struct http_request *request, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(request->raw), name, value);
}

static const char *reason_of(int status)
{
    switch (status) {
    case 422:
        return "Unprocessable Entity";
    case 429:
        return "Too Many Requests";
    default:
        return NULL; /* evhttp knows the rest */
    }
}

void http_reply(struct http_request *request, int status, const char *type, const char *body, size_t length)
{
    struct evbuffer *const buffer = evbuffer_new();
    if (buffer == NULL || (length > 0 && evbuffer_add(buffer, body, length))) {
        if (buffer)
            evbuffer_free(buffer);
        evhttp_connection_free(evhttp_request_get_connection(request->raw));
        return;
    }
    if (type)
        http_reply_header(request, "Content-Type", type);
    evhttp_send_reply(request->raw, status, reason_of(status), buffer);
    evbuffer_free(buffer);
}
