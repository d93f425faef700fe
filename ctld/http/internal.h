/* What the files of this room share; nobody else includes it. */
#ifndef NEXD_CTLD_HTTP_INTERNAL_H
#define NEXD_CTLD_HTTP_INTERNAL_H

#include "ctld/http/answer.h"
#include "ctld/http/client.h"
#include "ctld/http/proxy.h"

#include <curl/curl.h>
#include <sys/queue.h>

struct event;

struct http_client {
    struct http http; /* first */
    struct event_base *base;
    struct http_opener *opener;
    struct trust *trust;
    char *user_agent, *no_proxy;
    struct proxy proxy; /* host "" = none */
    bool skip_verify;
    CURLM *multi;
    struct event *timer;  /* libcurl's */
    struct event *settle; /* there is something to begin, to end or to clear away */
    unsigned in_curl;     /* libcurl is on the stack: handles must not be added or removed */
    size_t count;
    TAILQ_HEAD(exchange_list, http_exchange) exchanges;
};

enum exchange_state {
    EXCHANGE_QUEUED = 1, /* to be given to libcurl */
    EXCHANGE_RUNNING,    /* libcurl has it */
    EXCHANGE_OPENING,    /* libcurl needs a connection, which is on its way */
    EXCHANGE_ENDING,     /* has failed outside of libcurl; on_end is due */
    EXCHANGE_CANCELLED,  /* to be cleared away */
};

/* Which end a connection leads to. */
enum exchange_end { EXCHANGE_NO_END = 0, EXCHANGE_TARGET, EXCHANGE_PROXY };

struct http_exchange {
    TAILQ_ENTRY(http_exchange) entry;
    struct http_client *client;
    enum exchange_state state;
    struct http_events events;
    void *arg;

    CURL *easy;
    CURLU *url;
    struct curl_slist *headers, *resolve;
    char *body;
    size_t body_bytes, answer_max_bytes;
    bool stream, skip_verify;
    char host[IPC_NAME_MAX + 1]; /* the URL's, without brackets */
    uint16_t port;
    struct proxy proxy;

    /* A connection that was opened for this exchange and that libcurl has not taken yet. */
    int fd;
    enum exchange_end fd_end;
    enum exchange_end wanted; /* libcurl asked for a connection to there, and was refused */
    unsigned opened;          /* connections that were opened */
    struct http_opening *opening;

    struct event *timer;
    uint32_t silence_ms;
    uint64_t deadline_ns, last_byte_ns;

    struct answer answer;
    enum http_failure failure; /* found by us; HTTP_DONE = see libcurl's code */
    bool body_cut;             /* a stream's refusal was longer than wanted */
    char curl_text[CURL_ERROR_SIZE];
    char text[TRUST_TEXT_MAX + IPC_NAME_MAX];
};

/* -- exchange.c -- */

/* A copy of the request, ready for libcurl; no event comes from within. NULL: see struct http. */
struct http_exchange *exchange_new(struct http_client *client, const struct http_request *request,
                                   const struct http_events *events, void *arg);
/* libcurl must not have it any more. Wipes what is secret. */
void exchange_free(struct http_exchange *exchange);
/* Ends it: on_end, then freed. libcurl must not have it any more. */
void exchange_end(struct http_exchange *exchange, enum http_failure failure);

/* The header of a stream's 2xx answer is there: from now on silence alone ends it. */
void exchange_flows(struct http_exchange *exchange);

/* -- transfer.c: libcurl's side of an exchange -- */

/* All options of `exchange->easy`. NX_OK, NX_EINVAL or NX_ENOMEM. */
int transfer_set_up(struct http_exchange *exchange, const struct http_request *request);

/* -- failure.c -- */

/* What libcurl's code means; fills in exchange->text unless it is HTTP_DONE. */
enum http_failure failure_judge(struct http_exchange *exchange, CURLcode code);
/* Fills in exchange->text: "HOST port PORT: …". Returns `failure`. */
enum http_failure failure_say(struct http_exchange *exchange, enum http_failure failure, const char *format,
                              ...) __attribute__((format(printf, 3, 4)));

/* -- client.c -- */

/* The settle event comes in the next turn of the loop. */
void client_wake(struct http_client *client);
/* CURL_SOCKOPT_…: how this libcurl is told that a socket is connected. */
int http_socket_is_connected(void);

#endif
