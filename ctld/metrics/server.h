/* A small HTTP server for a few documents: one request a connection, GET and HEAD alone. ctld only.
 *
 * A client cannot hurt the others, nor ctld's other work: their number, the size of a request, the time for
 * one and for taking its answer are bounded. When all places are taken, the client that has been quiet the
 * longest makes room; when all of them are being worked for, those who come wait in the kernel's queue. */
#ifndef NEXD_CTLD_METRICS_SERVER_H
#define NEXD_CTLD_METRICS_SERVER_H

#include "ctld/jsonrpc.h"

enum { SCRAPE_CLIENTS_MAX = 16 };

struct scrape_limits {
    unsigned request_ms; /* from the connection to the end of its request's head */
    unsigned write_ms;   /* without the client taking any of its answer */
};
static const struct scrape_limits scrape_limits_default = {5000, 5000};

struct event_base;
struct scrape_server;
struct scrape_call;

struct scrape_handler {
    /* Somebody wants `path`; answered by scrape_answer(), at once or later. */
    void (*get)(void *arg, struct scrape_call *call, const char *path);
    /* The client is gone; `call`, not answered yet, must not be used any more. */
    void (*cancel)(void *arg, struct scrape_call *call);
};

/* NULL when out of memory. `limits` and `handler` must outlive it. */
struct scrape_server *scrape_server_new(struct event_base *base, const struct scrape_limits *limits,
                                        const struct scrape_handler *handler, void *arg);
/* Closes all clients and the listener. */
void scrape_server_free(struct scrape_server *server);
/* Takes over a listening socket (made non-blocking), in place of an older one. NX_ENOMEM: it is closed. */
int scrape_server_listen(struct scrape_server *server, int fd);
size_t scrape_server_clients(const struct scrape_server *server);

/* `status`: 200, 404 or 503; `type`: a media type. Each call is answered once. */
void scrape_answer(struct scrape_call *call, unsigned status, const char *type, const char *body,
                   size_t length);

#endif
