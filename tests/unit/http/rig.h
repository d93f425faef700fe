/* A client of ctld/http and a TLS server for it, in one event loop over loopback, and an opener that connects
 * the one to the other. A failed expectation ends the test.
 *
 * connect(2) as libcurl finds it answers EINPROGRESS, as it does in ctld's sandbox. */
#ifndef NEXD_TESTS_HTTP_RIG_H
#define NEXD_TESTS_HTTP_RIG_H

#include "ctld/http/client.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>

enum { RIG_WAIT_S = 20 };

/* -- Certificates -- */

struct rig_certificate {
    const char *names[3];     /* DNS; NULL = no more. IP 127.0.0.1 is always added to "localhost" */
    int64_t begins_s, ends_s; /* from now */
    bool self_signed;
};
extern const struct rig_certificate rig_certificate_good; /* api.test, auth.test, localhost; a day */

/* -- The server -- */

struct rig_connection {
    struct rig_connection *next;
    struct bufferevent *stream;
    struct event *timer;
    size_t requests; /* on this connection */
    bool tunnel;     /* proxy: bytes go on to `beyond` */
    struct bufferevent *beyond;
    char *request; /* the last one, whole, zero-terminated */
};
/* A whole request is there. */
typedef void (*rig_handler)(struct rig_connection *connection, void *arg);

struct rig_server {
    rig_handler handler;
    void *arg;
    bool plain;           /* no TLS: for a proxy */
    bool deaf;            /* accepts, and never answers the TLS handshake */
    const char *greeting; /* said to whoever connects, before any request */
    unsigned accepted;
    size_t open;
    uint16_t port;
    struct evconnlistener *listener;
    struct ssl_ctx_st *context;
    struct rig_connection *connections;
    char last[65536]; /* request */
};

void rig_server_start(struct rig_server *server, const struct rig_certificate *certificate);
void rig_server_stop(struct rig_server *server);
void rig_write(struct rig_connection *connection, const char *text);
void rig_printf(struct rig_connection *connection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Ends it once all is written: with TLS's goodbye, or without. */
void rig_close(struct rig_connection *connection);
void rig_cut(struct rig_connection *connection);
/* A whole answer. */
void rig_reply(struct rig_connection *connection, unsigned status, const char *type, const char *body);

/* -- The client's side -- */

enum rig_manner { RIG_OPENS = 0, RIG_REFUSES, RIG_HANGS };
struct rig {
    struct event_base *base;
    struct trust *trust;
    struct http_opener opener;
    struct http_client *client;
    struct http *http;
    struct rig_server server, proxy;
    enum rig_manner manner;
    unsigned opens, cancels, connects; /* connects: of libcurl, in vain */
    char last_host[256];
    uint16_t last_port;
    size_t openings;
    char ca_path[64];
};
extern struct rig rig;

void rig_set_up(void);
/* The server alone. */
void rig_server_set_up(void);
void rig_tear_down(void);
/* A new client, with another trust: NULL = the rig's CA. */
void rig_client_renew(const char *ca_file);

/* One request, and what came of it. */
struct rig_result {
    bool ended, opened;
    enum http_failure failure;
    unsigned status;
    char error[1024], content_type[128], location[2048], retry_after[128];
    int64_t date_unix_s;
    struct evbuffer *body, *data;
    unsigned pieces;
    bool cancel_on_data;
    struct http_exchange *exchange;
};
struct http_request rig_request(const char *url);
/* Submits; the result is filled in as events come. */
struct rig_result *rig_submit(const struct http_request *request);
/* Runs the loop until it has ended. */
struct rig_result *rig_await(struct rig_result *result);
void rig_result_free(struct rig_result *result);
/* Runs the loop until `*what` is at least `wanted`. */
void rig_until(const unsigned *what, unsigned wanted);
void rig_run_ms(unsigned ms);
/* Text of a buffer, valid until the next call. */
const char *rig_text(struct evbuffer *buffer);
/* Descriptors that this process has open. */
size_t rig_descriptors(void);

#endif
