/* A client is in one of three states, each with its own time limit:
 *
 *   REQUEST ── the head is whole ──► CALL ── answer ──► ANSWER ── written ──► closed
 *
 * The time for the head counts from the connection, so that dribbling does not extend it; that of ANSWER from
 * the last progress. Nothing is read after the head. */
#include "ctld/metrics/server.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "ctld/acceptor.h"
#include "ctld/metrics/head.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWER_MAX = 16 << 20 };
enum client_state { REQUEST, CALL, ANSWER };

struct scrape_call { /* a client */
    struct scrape_server *server;
    int fd;
    struct event *readable, *writable, *timeout;
    enum client_state state;
    uint64_t active_ns; /* last time that it did something */
    char in[HEAD_BYTES_MAX];
    size_t in_length;
    struct head head;
    struct jsonrpc_text out;
    size_t written; /* of `out` */
};

struct scrape_server {
    struct event_base *base;
    const struct scrape_limits *limits;
    const struct scrape_handler *handler;
    void *arg;
    struct acceptor *acceptor;
    struct scrape_call *clients[SCRAPE_CLIENTS_MAX];
    size_t count;
};

static void timer_add(struct event *event, unsigned ms)
{
    const struct timeval wait = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_add(event, &wait);
}

static void client_free(struct scrape_call *client)
{
    if (client->readable)
        event_free(client->readable);
    if (client->writable)
        event_free(client->writable);
    if (client->timeout)
        event_free(client->timeout);
    jsonrpc_text_free(&client->out);
    fd_close(&client->fd);
    free(client);
}

static void client_close(struct scrape_call *client, const char *why)
{
    struct scrape_server *server = client->server;
    log_debug("metrics: client closed: %s", why);
    if (client->state == CALL)
        server->handler->cancel(server->arg, client);
    for (size_t i = 0; i < server->count; i++)
        if (server->clients[i] == client)
            server->clients[i] = server->clients[--server->count];
    client_free(client);
}

/* -- Answers -- */

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct scrape_call *client = arg;
    ssize_t sent = send(fd, client->out.data + client->written, client->out.length - client->written,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (sent < 0) {
        client_close(client, strerror(errno));
        return;
    }
    client->written += (size_t)sent;
    client->active_ns = clock_now_ns();
    if (client->written == client->out.length)
        client_close(client, "it has its answer");
    else
        timer_add(client->timeout, client->server->limits->write_ms);
}

static const char *status_text(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Service Unavailable";
    }
}

void scrape_answer(struct scrape_call *client, unsigned status, const char *type, const char *body,
                   size_t length)
{
    jsonrpc_putf(&client->out,
                 "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                 status, status_text(status), type, length, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (client->head.method != HEAD_HEAD)
        jsonrpc_put(&client->out, body, length);
    client->state = ANSWER;
    client->active_ns = clock_now_ns();
    if (client->out.failed) {
        jsonrpc_text_free(&client->out);
        jsonrpc_putf(&client->out,
                     "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    /* Written by the loop, so that nothing is freed under the caller. */
    event_add(client->writable, NULL);
    timer_add(client->timeout, client->server->limits->write_ms);
}

static void refuse(struct scrape_call *client, unsigned status, const char *why)
{
    scrape_answer(client, status, "text/plain; charset=utf-8", why, strlen(why));
}

/* -- Requests -- */

static void client_request(struct scrape_call *client)
{
    int err = head_parse(client->in, client->in_length, &client->head);
    if (err == NX_EAGAIN)
        return;
    event_del(client->readable);
    event_del(client->timeout);
    client->state = CALL;
    if (err == NX_ERANGE)
        refuse(client, 431, "the request is too long\n");
    else if (err)
        refuse(client, 400, "this is no HTTP/1 request\n");
    else if (client->head.method == HEAD_OTHER)
        refuse(client, 405, "only GET and HEAD\n");
    else
        client->server->handler->get(client->server->arg, client, client->head.path);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct scrape_call *client = arg;
    ssize_t got =
        recv(fd, client->in + client->in_length, sizeof client->in - client->in_length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_close(client, got == 0 ? "end of file" : strerror(errno));
        return;
    }
    client->in_length += (size_t)got;
    client->active_ns = clock_now_ns();
    client_request(client);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    client_close(arg, "it took too long");
}

/* -- New clients -- */

/* Who leaves when a place is needed: the one that has been quiet the longest. NULL: all are being worked for.
 */
static struct scrape_call *quiet_find(const struct scrape_server *server)
{
    struct scrape_call *quiet = NULL;
    for (size_t i = 0; i < server->count; i++) {
        struct scrape_call *client = server->clients[i];
        if (client->state != CALL && (!quiet || client->active_ns < quiet->active_ns))
            quiet = client;
    }
    return quiet;
}

static bool on_room(void *arg)
{
    const struct scrape_server *server = arg;
    return server->count < SCRAPE_CLIENTS_MAX || quiet_find(server);
}

static void room_make(struct scrape_server *server)
{
    if (server->count == SCRAPE_CLIENTS_MAX)
        client_close(quiet_find(server), "its place was needed");
}

/* Takes over `fd`; there is room for it. */
static void on_client(void *arg, int fd)
{
    struct scrape_server *server = arg;
    struct scrape_call *client = calloc(1, sizeof *client);
    if (!client) {
        close(fd);
        return;
    }
    client->server = server;
    client->fd = fd;
    client->active_ns = clock_now_ns();
    jsonrpc_text_init(&client->out, ANSWER_MAX);
    client->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(server->base, fd, EV_WRITE | EV_PERSIST, on_writable, client);
    client->timeout = evtimer_new(server->base, on_timeout, client);
    if (!client->readable || !client->writable || !client->timeout || event_add(client->readable, NULL)) {
        client_free(client);
        return;
    }
    timer_add(client->timeout, server->limits->request_ms);
    room_make(server);
    server->clients[server->count++] = client;
}

static const struct acceptor_ops acceptor_ops = {.name = "metrics", .room = on_room, .open = on_client};

struct scrape_server *scrape_server_new(struct event_base *base, const struct scrape_limits *limits,
                                        const struct scrape_handler *handler, void *arg)
{
    struct scrape_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    *server = (struct scrape_server){.base = base, .limits = limits, .handler = handler, .arg = arg};
    server->acceptor = acceptor_new(base, &acceptor_ops, server);
    if (!server->acceptor) {
        free(server);
        return NULL;
    }
    return server;
}

void scrape_server_free(struct scrape_server *server)
{
    if (!server)
        return;
    while (server->count > 0)
        client_close(server->clients[0], "shutting down");
    acceptor_free(server->acceptor);
    free(server);
}

int scrape_server_listen(struct scrape_server *server, int fd)
{
    return acceptor_listen(server->acceptor, fd);
}

size_t scrape_server_clients(const struct scrape_server *server)
{
    return server->count;
}
