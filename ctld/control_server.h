/* The control socket's clients: connections in, requests to a handler, answers out. ctld only.
 *
 * A client cannot hurt the others: their number, the size of a request, the time for one, and the answers
 * that wait for slow readers, one by one and all together, are bounded; one request of a client is worked on
 * at a time, and no more is read of it meanwhile. When all places are taken, the client that has been quiet
 * the longest makes room; when all of them are being worked for, those who come wait in the kernel's queue.
 */
#ifndef NEXD_CTLD_CONTROL_SERVER_H
#define NEXD_CTLD_CONTROL_SERVER_H

#include "common/peercred.h"
#include "ctld/jsonrpc.h"

enum {
    CONTROL_CLIENTS_MAX = 32,
    CONTROL_ANSWER_MAX = 24 << 20, /* bytes of one answer; IPC_FLOWS_MAX flows fit */
};

struct control_limits {
    unsigned idle_ms;    /* without any request */
    unsigned request_ms; /* from a request's first byte to its last */
    unsigned call_ms;    /* for what a request asks, until it is refused instead */
    unsigned write_ms;   /* without the client taking any of its answer */
    size_t unread_bytes; /* of all answers that wait for their readers; past it the slowest ones go */
};
/* What asks other processes takes seconds; a ping of 8192 peers that are all away takes 20. That a process
 * never answers must not cost a place for ever, and nexctl, which waits for 30 s, is to hear of it. */
static const struct control_limits control_limits_default = {60000, 10000, 25000, 10000,
                                                             2 * CONTROL_ANSWER_MAX};

struct event_base;
struct control_server;
struct control_call;

struct control_handler {
    /* A request; answered by control_answer() or control_refuse(), at once or later. */
    void (*call)(void *arg, struct control_call *call, const struct jsonrpc_request *request);
    /* The client is gone, or has waited too long; `call`, not answered yet, must not be used any more. */
    void (*cancel)(void *arg, struct control_call *call);
};

/* NULL when out of memory. `limits` and `handler` must outlive it. */
struct control_server *control_server_new(struct event_base *base, const struct control_limits *limits,
                                          const struct control_handler *handler, void *arg);
/* Closes all clients and the listener. */
void control_server_free(struct control_server *server);
/* Takes over a listening socket (made non-blocking), in place of an older one. NX_ENOMEM: it is closed. */
int control_server_listen(struct control_server *server, int fd);
size_t control_server_clients(const struct control_server *server);

/* Who called, as the kernel noted when the connection was made. */
const struct peercred *control_call_peer(const struct control_call *call);
/* Its connection; stays the server's. */
int control_call_fd(const struct control_call *call);

/* Each call is answered once. */
void control_answer(struct control_call *call, const char *result, size_t length);
void control_refuse(struct control_call *call, const char *error);

#endif
