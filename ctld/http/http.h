/* HTTPS requests of ctld: one client, on ctld's event loop, for all of them. ctld process only.
 *
 * Connections come from an opener (proxyd), never from socket() and connect() here. TLS is verified; names
 * are checked; redirects are answers like others and never followed. Whatever a server sends costs a bounded
 * amount of memory and, but for streams, a bounded time.
 *
 * The interface is a table of functions (struct http), so that what talks to the control plane is tested
 * against a scripted one. */
#ifndef NEXD_CTLD_HTTP_HTTP_H
#define NEXD_CTLD_HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method { HTTP_GET = 1, HTTP_POST, HTTP_PATCH, HTTP_PUT, HTTP_DELETE };

/* Why there is no answer, or no whole one. */
enum http_failure {
    HTTP_DONE = 0,  /* there is one: see status */
    HTTP_CONNECT,   /* no connection: name, route, refusal, outlet */
    HTTP_TLS,       /* certificate or handshake: trying again rarely helps */
    HTTP_TIMED_OUT, /* no connection, answer, or (stream) sign of life in time */
    HTTP_CUT,       /* the connection ended within the answer */
    HTTP_TOO_LARGE, /* more header or body than asked for */
    HTTP_PROTOCOL,  /* that is not HTTP */
    HTTP_PROXY,     /* the operator's HTTP proxy refuses */
    HTTP_OUT_OF_MEMORY,
};

/* Copied by submit(); nothing of it needs to live on. */
struct http_request {
    enum http_method method;
    const char *url;    /* https://… */
    const char *bearer; /* Authorization: Bearer; NULL = none. Wiped when the request ends */
    const char *basic;  /* Authorization in its own words ("Basic …"), instead of `bearer`; likewise */
    const char *content_type; /* NULL = no body */
    const void *body;         /* wiped when the request ends */
    size_t body_bytes;
    size_t answer_max_bytes; /* of a whole body; of a stream there is no maximum, as it is handed on */
    uint32_t timeout_ms;     /* for the whole of it; of a stream until the header is there */
    uint32_t silence_ms;     /* a stream: it is given up after that long without a byte; 0 = never */
    bool stream;             /* the body is handed on as it comes */
};

struct http_answer {
    enum http_failure failure;
    const char *error;        /* one sentence for operators if failure; never NULL */
    unsigned status;          /* 0: none came */
    const char *content_type; /* "" if there is none; as are those below */
    const char *location;
    const char *retry_after; /* as sent: seconds or a date */
    int64_t date_unix_s;     /* the server's clock; 0 = not told */
    const char *body;        /* whole, zero-terminated beyond body_bytes; "" for a stream */
    size_t body_bytes;
};

struct http_events {
    /* stream only: a piece of the body of a 2xx answer; never after on_end. */
    void (*on_data)(void *arg, const char *data, size_t bytes);
    /* stream only, may be NULL: the header of a 2xx answer is there. */
    void (*on_open)(void *arg, const struct http_answer *answer);
    /* Once, last; the request is gone then. Never from within submit() or cancel(). `answer` is valid during
     * the call. A stream's 2xx answer ends with failure HTTP_DONE at its regular end. A stream's other
     * answers have their body here, cut at answer_max_bytes. */
    void (*on_end)(void *arg, const struct http_answer *answer);
};

struct http_exchange; /* one request on its way */

struct http {
    /* NULL when out of memory, or when the URL is not https with a host. */
    struct http_exchange *(*submit)(struct http *http, const struct http_request *request,
                                    const struct http_events *events, void *arg);
    /* No event comes any more; NULL is fine. */
    void (*cancel)(struct http *http, struct http_exchange *exchange);
};

#endif
