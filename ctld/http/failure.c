/* libcurl's codes, in the terms of http.h, and as sentences that name host and port. */
#include "common/clock.h"
#include "common/text.h"
#include "ctld/http/internal.h"

#include <stdarg.h>
#include <stdio.h>

enum http_failure failure_say(struct http_exchange *exchange, enum http_failure failure, const char *format,
                              ...)
{
    const int length =
        snprintf(exchange->text, sizeof exchange->text, "%s port %u: ", exchange->host, exchange->port);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(exchange->text + length, sizeof exchange->text - (size_t)length, format, arguments);
    va_end(arguments);
    return failure;
}

/* libcurl's own words, which may hold the server's. */
static enum http_failure quote(struct http_exchange *exchange, enum http_failure failure, const char *what,
                               CURLcode code)
{
    char text[CURL_ERROR_SIZE + 32];
    text_quote(exchange->curl_text[0] ? exchange->curl_text : curl_easy_strerror(code), text, sizeof text);
    return failure_say(exchange, failure, "%s: %s", what, text);
}

/* CONNECT was answered by a refusal, or not by HTTP: 0 if there was no such trouble. */
static enum http_failure proxy_judge(struct http_exchange *exchange, CURLcode code)
{
    const struct proxy *const proxy = &exchange->proxy;
    long status = 0;
    if (!proxy->host[0] || exchange->fd_end != EXCHANGE_PROXY || exchange->answer.header_bytes > 0)
        return HTTP_DONE;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status >= 200 && status < 300)
        return HTTP_DONE;
    if (status == 407)
        return failure_say(exchange, HTTP_PROXY,
                           "the HTTP proxy %s port %u wants a user and a password, %s: see HTTPS_PROXY",
                           proxy->host, proxy->port, proxy->user[0] ? "and not these" : "and none is set");
    if (status > 0)
        return failure_say(exchange, HTTP_PROXY,
                           "the HTTP proxy %s port %u refuses the connection with status %ld", proxy->host,
                           proxy->port, status);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return HTTP_DONE;
    failure_say(exchange, HTTP_PROXY, "the HTTP proxy %s port %u gives no connection", proxy->host,
                proxy->port);
    return HTTP_PROXY;
}

static enum http_failure certificate_judge(struct http_exchange *exchange)
{
    long status = 0;
    const struct proxy *const proxy = &exchange->proxy;
    (void)curl_easy_getinfo(exchange->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    const bool of_proxy = exchange->fd_end == EXCHANGE_PROXY && proxy->tls && status == 0;
    trust_explain(exchange->client->trust, of_proxy ? proxy->host : exchange->host,
                  (int64_t)(clock_wall_ns() / NS_PER_S), exchange->text);
    return HTTP_TLS;
}

enum http_failure failure_judge(struct http_exchange *exchange, CURLcode code)
{
    if (exchange->failure != HTTP_DONE)
        return exchange->failure;
    if (code == CURLE_OK && exchange->answer.header_whole)
        return HTTP_DONE;
    if (exchange->body_cut)
        return HTTP_DONE;
    const enum http_failure proxy = code == CURLE_OUT_OF_MEMORY ? HTTP_DONE : proxy_judge(exchange, code);
    if (proxy != HTTP_DONE)
        return proxy;
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return failure_say(exchange, HTTP_OUT_OF_MEMORY, "out of memory");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return certificate_judge(exchange);
    case CURLE_SSL_CONNECT_ERROR: /* in TLS within a proxy's TLS, libcurl loses the cause */
        if (trust_refused(exchange->client->trust))
            return certificate_judge(exchange);
        return quote(exchange, HTTP_TLS, "the TLS handshake failed", code);
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ENGINE_INITFAILED:
        return quote(exchange, HTTP_TLS, "the TLS handshake failed", code);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return quote(exchange, HTTP_CONNECT, "no connection", code);
    case CURLE_OPERATION_TIMEDOUT:
        return failure_say(exchange, HTTP_TIMED_OUT, "no answer in time");
    case CURLE_OK: /* but the header is not whole */
        return failure_say(exchange, HTTP_CUT, "the connection ended within the answer's header");
    case CURLE_GOT_NOTHING:
        return failure_say(exchange, HTTP_CUT, "the connection ended without an answer");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return quote(exchange, HTTP_CUT, "the connection was cut", code);
    default:
        return quote(exchange, HTTP_PROTOCOL, "that is no HTTP answer", code);
    }
}
