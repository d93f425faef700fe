/* What the server knows of a connection beside evhttp: its client and its deadline. apid/http only.
 *
 * evhttp tells nothing of a connection before its first request is complete. The record therefore hangs on
 * the SSL object, which lives exactly as long as the connection, as its "ex data". */
#ifndef NEXD_APID_HTTP_CONNECTION_H
#define NEXD_APID_HTTP_CONNECTION_H

#include "apid/http/server.h"

#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <sys/queue.h>

struct client;

struct connection {
    LIST_ENTRY(connection) entry;
    struct connection_table *table;
    struct bufferevent *bev; /* not owned */
    struct client *client;   /* NULL until the first turn of the loop */
    struct event *timer;     /* first: to look at the peer; then the deadline */
    char address[HTTP_CLIENT_MAX];
};

LIST_HEAD(client_list, client);
enum { CLIENT_BUCKETS = 256 };

struct connection_table {
    struct event_base *base;
    struct http_limits limits;
    LIST_HEAD(, connection) all;
    struct client_list clients[CLIENT_BUCKETS];
    size_t count;
    void (*freed)(void *arg); /* a connection has ended; may be NULL */
    void *freed_arg;
};

void connection_table_init(struct connection_table *table, struct event_base *base,
                           const struct http_limits *limits);

/* Before the table goes: records whose SSL object lives on, since libevent frees connections in a later turn
 * of the loop, are on their own from now on. */
void connection_table_close(struct connection_table *table);

/* Watches a new connection. Takes no ownership; the record goes with `ssl`. NX_ENOMEM. */
int connection_watch(struct connection_table *table, struct bufferevent *bev, SSL *ssl);
/* The record of a connection; NULL if it has none. */
struct connection *connection_of(struct bufferevent *bev);

/* A request is complete: no deadline until connection_idle(). */
void connection_busy(struct connection *connection);
void connection_idle(struct connection *connection);

/* Clients present, for tests. */
size_t connection_clients(const struct connection_table *table);

#endif
