/* A client is in one of four states, each with its own time limit:
 *
 *   IDLE ── first byte ──► REQUEST ── last byte ──► CALL ── answer ──► ANSWER ── written ──► IDLE (or the
 * next request)
 *
 * It is read only in IDLE and REQUEST. The time limit of REQUEST counts from its first byte, so that
 * dribbling does not extend it; that of ANSWER from the last progress. */
#include "ctld/control_server.h"
#include "ctld/acceptor.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { IN_BYTES = 4096 };
enum client_state { IDLE = 0, REQUEST, CALL, ANSWER };

struct control_call { /* a client; the handler sees it as the call that it is working on */
    struct control_server *server;
    int fd;
    struct peercred peer;
    struct event *readable, *writable, *timeout;
    enum client_state state;
    uint64_t active_ns; /* last time that it did something */
    struct jsonrpc_parser *parser;
    struct jsonrpc_request request;
    struct jsonrpc_text out;
    size_t written; /* of `out` */
    char in[IN_BYTES];
    size_t in_length;
    bool in_handler; /* the handler is on the stack: what it does is continued by the caller */
    bool end_of_file;
};

struct control_server {
    struct event_base *base;
    const struct control_limits *limits;
    const struct control_handler *handler;
    void *arg;
    struct acceptor *acceptor;
    struct control_call *clients[CONTROL_CLIENTS_MAX];
    size_t count;
};

static void timer_add(struct event *event, unsigned ms)
{
    const struct timeval wait = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_add(event, &wait);
}

static void client_state(struct control_call *client, enum client_state state)
{
    const struct control_limits *limits = client->server->limits;
    const unsigned limit_ms[] = {[IDLE] = limits->idle_ms,
                                 [REQUEST] = limits->request_ms,
                                 [CALL] = limits->call_ms,
                                 [ANSWER] = limits->write_ms};
    client->state = state;
    client->active_ns = clock_now_ns();
    timer_add(client->timeout, limit_ms[state]);
    if (state == IDLE || state == REQUEST)
        event_add(client->readable, NULL);
    else
        event_del(client->readable);
    if (state == ANSWER)
        event_add(client->writable, NULL);
    else
        event_del(client->writable);
}

static void client_free(struct control_call *client)
{
    if (client->readable)
        event_free(client->readable);
    if (client->writable)
        event_free(client->writable);
    if (client->timeout)
        event_free(client->timeout);
    jsonrpc_parser_free(client->parser);
    jsonrpc_text_free(&client->out);
    fd_close(&client->fd);
    free(client);
}

static void client_close(struct control_call *client, const char *why)
{
    struct control_server *server = client->server;
    log_debug("control client closed: %s", why);
    if (client->state == CALL)
        server->handler->cancel(server->arg, client);
    for (size_t i = 0; i < server->count; i++)
        if (server->clients[i] == client)
            server->clients[i] = server->clients[--server->count];
    client_free(client);
}

/* Of those whose answer waits, the one that has taken nothing for the longest time; but not `spared`. */
static struct control_call *slowest_find(const struct control_server *server,
                                         const struct control_call *spared)
{
    struct control_call *slowest = NULL;
    for (size_t i = 0; i < server->count; i++) {
        struct control_call *client = server->clients[i];
        if (client->state == ANSWER && !client->in_handler && client != spared &&
            (!slowest || client->active_ns < slowest->active_ns))
            slowest = client;
    }
    return slowest;
}

static size_t unread_bytes(const struct control_server *server)
{
    size_t bytes = 0;
    for (size_t i = 0; i < server->count; i++)
        bytes += server->clients[i]->out.capacity;
    return bytes;
}

/* This client's answer has to wait: others make room for it. One answer alone is within its own bound. */
static void unread_bound(struct control_call *client)
{
    struct control_server *server = client->server;
    struct control_call *slowest;
    while (unread_bytes(server) > server->limits->unread_bytes && (slowest = slowest_find(server, client)))
        client_close(slowest, "too many answers wait for their readers");
}

/* Writes what the client takes. False: the client is closed. */
static bool client_write(struct control_call *client)
{
    while (client->written < client->out.length) {
        ssize_t sent = send(client->fd, client->out.data + client->written,
                            client->out.length - client->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            client_state(client, ANSWER);
            unread_bound(client);
            return true;
        }
        if (sent < 0) {
            client_close(client, strerror(errno));
            return false;
        }
        client->written += (size_t)sent;
    }
    jsonrpc_text_free(&client->out);
    client->written = 0;
    client_state(client, jsonrpc_parser_busy(client->parser) ? REQUEST : IDLE);
    return true;
}

static void client_call(struct control_call *client)
{
    client_state(client, CALL);
    client->in_handler = true;
    client->server->handler->call(client->server->arg, client, &client->request);
    client->in_handler = false;
}

/* Takes requests out of what was read, one after the other, as far as answers get away. False: closed. */
static bool client_process(struct control_call *client)
{
    while (client->in_length > 0 && (client->state == IDLE || client->state == REQUEST)) {
        size_t taken;
        int err = jsonrpc_parse(client->parser, client->in, client->in_length, &taken, &client->request);
        if (err != NX_OK && err != NX_EAGAIN) {
            client_close(client, err == NX_EPROTO ? "not a JSON-RPC request" : nx_strerror(err));
            return false;
        }
        client->in_length -= taken;
        memmove(client->in, client->in + taken, client->in_length);
        if (err == NX_EAGAIN) {
            if (jsonrpc_parser_busy(client->parser) && client->state == IDLE)
                client_state(client, REQUEST);
            continue;
        }
        client_call(client);
        if (client->state == ANSWER && !client_write(client))
            return false;
    }
    if (client->end_of_file && client->state != CALL && client->state != ANSWER) {
        client_close(client, "end of file");
        return false;
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct control_call *client = arg;
    ssize_t got =
        recv(fd, client->in + client->in_length, sizeof client->in - client->in_length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got < 0) {
        client_close(client, strerror(errno));
        return;
    }
    client->end_of_file = got == 0;
    client->in_length += (size_t)got;
    client_process(client);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct control_call *client = arg;
    if (client_write(client))
        client_process(client);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct control_call *client = arg;
    if (client->state != CALL) {
        client_close(client, "it took too long");
        return;
    }
    client->server->handler->cancel(client->server->arg, client);
    control_refuse(client, "nexd did not come to an answer in time; try again");
}

static void client_answered(struct control_call *client)
{
    if (client->out.failed) {
        /* Too large, or no memory: say so instead, in the little that is left. */
        jsonrpc_text_free(&client->out);
        jsonrpc_put_error(&client->out, &client->request, "the answer does not fit into memory");
    }
    client->state = ANSWER;
    if (!client->in_handler && client_write(client))
        client_process(client);
}

const struct peercred *control_call_peer(const struct control_call *client)
{
    return &client->peer;
}

int control_call_fd(const struct control_call *client)
{
    return client->fd;
}

void control_answer(struct control_call *client, const char *result, size_t length)
{
    jsonrpc_put_result(&client->out, &client->request, result, length);
    client_answered(client);
}

void control_refuse(struct control_call *client, const char *error)
{
    jsonrpc_put_error(&client->out, &client->request, error);
    client_answered(client);
}

/* -- New clients -- */

/* Who leaves when a place is needed: the one that has been quiet the longest. NULL: all are being worked for.
 */
static struct control_call *quiet_find(const struct control_server *server)
{
    struct control_call *quiet = NULL;
    for (size_t i = 0; i < server->count; i++) {
        struct control_call *client = server->clients[i];
        if (client->state != CALL && (!quiet || client->active_ns < quiet->active_ns))
            quiet = client;
    }
    return quiet;
}

static bool on_room(void *arg)
{
    const struct control_server *server = arg;
    return server->count < CONTROL_CLIENTS_MAX || quiet_find(server);
}

static void room_make(struct control_server *server)
{
    if (server->count == CONTROL_CLIENTS_MAX)
        client_close(quiet_find(server), "its place was needed");
}

/* Takes over `fd`; there is room for it. */
static void on_client(void *arg, int fd)
{
    struct control_server *server = arg;
    struct peercred peer;
    struct control_call *client = NULL;
    /* Who cannot be named is not served: every change is logged with its author. */
    if (peercred_read(fd, &peer) == NX_OK)
        client = calloc(1, sizeof *client);
    if (!client) {
        close(fd);
        return;
    }
    client->server = server;
    client->fd = fd;
    client->peer = peer;
    jsonrpc_text_init(&client->out, CONTROL_ANSWER_MAX);
    client->parser = jsonrpc_parser_new();
    client->readable = event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    client->writable = event_new(server->base, fd, EV_WRITE | EV_PERSIST, on_writable, client);
    client->timeout = evtimer_new(server->base, on_timeout, client);
    if (!client->parser || !client->readable || !client->writable || !client->timeout) {
        client_free(client);
        return;
    }
    room_make(server);
    server->clients[server->count++] = client;
    client_state(client, IDLE);
}

static const struct acceptor_ops acceptor_ops = {
    .name = "control socket", .room = on_room, .open = on_client};

struct control_server *control_server_new(struct event_base *base, const struct control_limits *limits,
                                          const struct control_handler *handler, void *arg)
{
    struct control_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    *server = (struct control_server){.base = base, .limits = limits, .handler = handler, .arg = arg};
    server->acceptor = acceptor_new(base, &acceptor_ops, server);
    if (!server->acceptor) {
        free(server);
        return NULL;
    }
    return server;
}

void control_server_free(struct control_server *server)
{
    if (!server)
        return;
    while (server->count > 0)
        client_close(server->clients[0], "shutting down");
    acceptor_free(server->acceptor);
    free(server);
}

int control_server_listen(struct control_server *server, int fd)
{
    return acceptor_listen(server->acceptor, fd);
}

size_t control_server_clients(const struct control_server *server)
{
    return server->count;
}
