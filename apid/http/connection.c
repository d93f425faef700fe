/* A connection is cut by shutting its socket down: evhttp then sees the end of the stream and frees
 * everything in its own order. The peer is looked at in the loop's next turn, since evhttp asks for the
 * bufferevent before it gives it the socket. */
#include "apid/http/connection.h"

#include "common/err.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct client {
    LIST_ENTRY(client) entry;
    struct in6_addr prefix; /* IPv4 mapped; of IPv6 the first 64 bits */
    size_t connections;
};

static int ex_index = -1;

static void client_leave(struct client *client)
{
    if (client == NULL || --client->connections > 0)
        return;
    LIST_REMOVE(client, entry);
    free(client);
}

/* The table forgets it. */
static void connection_leave(struct connection *connection)
{
    client_leave(connection->client);
    if (connection->timer)
        event_free(connection->timer);
    LIST_REMOVE(connection, entry);
    connection->table->count--;
    connection->table = NULL;
}

static void connection_free(struct connection *connection)
{
    struct connection_table *const table = connection->table;
    if (table)
        connection_leave(connection);
    free(connection);
    if (table && table->freed)
        table->freed(table->freed_arg);
}

void connection_table_close(struct connection_table *table)
{
    for (struct connection *connection = LIST_FIRST(&table->all), *next; connection; connection = next) {
        next = LIST_NEXT(connection, entry);
        connection_leave(connection);
    }
}

static void on_ssl_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    (void)parent, (void)ad, (void)index, (void)argl, (void)argp;
    if (ptr)
        connection_free(ptr);
}

void connection_table_init(struct connection_table *table, struct event_base *base,
                           const struct http_limits *limits)
{
    *table = (struct connection_table){.base = base, .limits = *limits};
    if (ex_index < 0)
        ex_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
}

static size_t prefix_hash(const struct in6_addr *prefix)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < sizeof(*prefix); i++)
        hash = (hash ^ prefix->s6_addr[i]) * 16777619u;
    return hash % CLIENT_BUCKETS;
}

static struct client *client_join(struct connection_table *table, const struct in6_addr *prefix)
{
    struct client_list *const bucket = &table->clients[prefix_hash(prefix)];
    struct client *client;
    LIST_FOREACH (client, bucket, entry)
        if (memcmp(&client->prefix, prefix, sizeof(*prefix)) == 0)
            break;
    if (client == NULL) {
        client = calloc(1, sizeof(*client));
        if (client == NULL)
            return NULL;
        client->prefix = *prefix;
        LIST_INSERT_HEAD(bucket, client, entry);
    }
    client->connections++;
    return client;
}

/* What a client is counted by, and its text. */
static bool peer_prefix(int fd, struct in6_addr *prefix, char text[HTTP_CLIENT_MAX])
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof(storage);
    if (getpeername(fd, (struct sockaddr *)&storage, &length))
        return false;
    memset(prefix, 0, sizeof(*prefix));
    if (storage.ss_family == AF_INET) {
        prefix->s6_addr[10] = prefix->s6_addr[11] = 0xff;
        memcpy(&prefix->s6_addr[12], &((struct sockaddr_in *)&storage)->sin_addr, 4);
    } else if (storage.ss_family == AF_INET6) {
        *prefix = ((struct sockaddr_in6 *)&storage)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(prefix))
            memset(&prefix->s6_addr[8], 0, 8);
    } else {
        return false;
    }
    return inet_ntop(AF_INET6, prefix, text, HTTP_CLIENT_MAX) != NULL;
}

static void connection_cut(struct connection *connection)
{
    const int fd = bufferevent_getfd(connection->bev);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}

static void timer_set(struct connection *connection, unsigned ms)
{
    const struct timeval after = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};
    event_add(connection->timer, &after);
}

/* First the loop's turn after accepting, then the deadline. */
static void on_timer(evutil_socket_t unused, short what, void *arg)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 10};
    struct connection *const connection = arg;
    const struct http_limits *const limits = &connection->table->limits;
    struct in6_addr prefix;
    (void)unused;
    (void)what;
    if (connection->client) {
        connection_cut(connection);
        return;
    }
    if (!peer_prefix(bufferevent_getfd(connection->bev), &prefix, connection->address)) {
        connection_cut(connection);
        return;
    }
    connection->client = client_join(connection->table, &prefix);
    if (connection->client == NULL) {
        connection_cut(connection);
    } else if (connection->client->connections > limits->connections_per_client) {
        if (log_ratelimit_ok(&limit))
            log_warn("%s has %zu connections already: one more refused", connection->address,
                     limits->connections_per_client);
        connection_cut(connection);
    } else {
        timer_set(connection, limits->request_ms);
    }
}

int connection_watch(struct connection_table *table, struct bufferevent *bev, SSL *ssl)
{
    struct connection *const connection = calloc(1, sizeof(*connection));
    if (connection == NULL)
        return NX_ENOMEM;
    *connection = (struct connection){.table = table, .bev = bev};
    connection->timer = evtimer_new(table->base, on_timer, connection);
    if (connection->timer == NULL || ex_index < 0 || !SSL_set_ex_data(ssl, ex_index, connection)) {
        if (connection->timer)
            event_free(connection->timer);
        free(connection);
        return NX_ENOMEM;
    }
    LIST_INSERT_HEAD(&table->all, connection, entry);
    table->count++;
    timer_set(connection, 0);
    return NX_OK;
}

struct connection *connection_of(struct bufferevent *bev)
{
    SSL *const ssl = bufferevent_openssl_get_ssl(bev);
    return ssl && ex_index >= 0 ? SSL_get_ex_data(ssl, ex_index) : NULL;
}

void connection_busy(struct connection *connection)
{
    if (connection->client)
        event_del(connection->timer);
}

void connection_idle(struct connection *connection)
{
    if (connection->client)
        timer_set(connection, connection->table->limits.idle_ms);
}

size_t connection_clients(const struct connection_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
        const struct client *client;
        LIST_FOREACH (client, &table->clients[i], entry)
            count++;
    }
    return count;
}
