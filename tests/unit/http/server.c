/* The rig's server: reads whole requests (by Content-Length) and leaves the answers to the test. */
#include "certificates.h"

#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void connection_free(struct rig_server *server, struct rig_connection *connection)
{
    struct rig_connection **place = &server->connections;
    while (*place != connection)
        place = &(*place)->next;
    *place = connection->next;
    if (connection->beyond)
        bufferevent_free(connection->beyond);
    bufferevent_free(connection->stream);
    if (connection->timer)
        event_free(connection->timer);
    free(connection->request);
    free(connection);
    server->open--;
}

static struct rig_server *server_of(const struct rig_connection *connection)
{
    for (const struct rig_connection *c = rig.proxy.connections; c; c = c->next)
        if (c == connection)
            return &rig.proxy;
    return &rig.server;
}

static size_t body_length(const char *head)
{
    const char *const field = strcasestr(head, "\r\ncontent-length:");
    return field ? strtoul(field + 17, NULL, 10) : 0;
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct rig_connection *const connection = arg;
    struct rig_server *const server = server_of(connection);
    struct evbuffer *const input = bufferevent_get_input(stream);
    for (;;) {
        const struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
        if (end.pos < 0)
            return;
        char *const head = calloc(1, (size_t)end.pos + 5);
        evbuffer_copyout(input, head, (size_t)end.pos + 4);
        const size_t whole = (size_t)end.pos + 4 + body_length(head);
        free(head);
        if (evbuffer_get_length(input) < whole)
            return;
        free(connection->request);
        connection->request = calloc(1, whole + 1);
        evbuffer_remove(input, connection->request, whole);
        snprintf(server->last, sizeof server->last, "%s", connection->request);
        connection->requests++;
        server->handler(connection, server->arg);
        if (connection->tunnel)
            return;
    }
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    (void)stream;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        connection_free(server_of(arg), arg);
    ERR_clear_error();
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    struct rig_server *const server = arg;
    (void)listener, (void)address, (void)length;
    struct rig_connection *const connection = calloc(1, sizeof(*connection));
    ck_assert_ptr_nonnull(connection);
    server->accepted++;
    server->open++;
    connection->next = server->connections;
    server->connections = connection;
    connection->stream =
        server->plain || server->deaf
            ? bufferevent_socket_new(rig.base, fd, BEV_OPT_CLOSE_ON_FREE)
            : bufferevent_openssl_socket_new(rig.base, fd, SSL_new(server->context),
                                             BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (!server->plain && !server->deaf)
        bufferevent_openssl_set_allow_dirty_shutdown(connection->stream, 1);
    bufferevent_setcb(connection->stream, server->deaf ? NULL : on_read, NULL, on_event, connection);
    bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
    if (server->greeting)
        rig_write(connection, server->greeting);
}

void rig_server_start(struct rig_server *server, const struct rig_certificate *certificate)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->context = certificates_context(certificate);
    server->listener =
        evconnlistener_new_bind(rig.base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                                64, (struct sockaddr *)&address, sizeof address);
    ck_assert_ptr_nonnull(server->listener);
    ck_assert_int_eq(
        getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
}

void rig_server_stop(struct rig_server *server)
{
    if (!server->listener)
        return;
    while (server->connections)
        connection_free(server, server->connections);
    evconnlistener_free(server->listener);
    SSL_CTX_free(server->context);
    server->listener = NULL;
}

void rig_write(struct rig_connection *connection, const char *text)
{
    bufferevent_write(connection->stream, text, strlen(text));
}

void rig_printf(struct rig_connection *connection, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    evbuffer_add_vprintf(bufferevent_get_output(connection->stream), format, arguments);
    va_end(arguments);
}

void rig_reply(struct rig_connection *connection, unsigned status, const char *type, const char *body)
{
    rig_printf(connection, "HTTP/1.1 %u Whatever\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
               status, type, strlen(body), body);
}

static void on_flushed(struct bufferevent *stream, void *arg)
{
    SSL *const ssl = bufferevent_openssl_get_ssl(stream);
    if (ssl)
        SSL_shutdown(ssl);
    connection_free(server_of(arg), arg);
}

static void on_flushed_cut(struct bufferevent *stream, void *arg)
{
    SSL *const ssl = bufferevent_openssl_get_ssl(stream);
    if (ssl)
        SSL_set_quiet_shutdown(ssl, 1);
    connection_free(server_of(arg), arg);
}

void rig_close(struct rig_connection *connection)
{
    bufferevent_setcb(connection->stream, NULL, on_flushed, on_event, connection);
    bufferevent_trigger(connection->stream, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

void rig_cut(struct rig_connection *connection)
{
    bufferevent_setcb(connection->stream, NULL, on_flushed_cut, on_event, connection);
    bufferevent_trigger(connection->stream, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}
