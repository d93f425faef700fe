/* What libcurl is told about a request, and what it tells while it runs.
 *
 * Names are never resolved here. Every target has the same made-up address, the proxy another one; the
 * callback that is asked for a socket sees from it which of the two libcurl has decided for (NO_PROXY is its
 * decision) and gives the connection that the opener made to there. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/http/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Of a network that is for documentation only (RFC 5737); nothing is ever sent to them. */
#define TARGET_ADDRESS "192.0.2.1"
#define PROXY_ADDRESS  "192.0.2.2"

enum { AUTHORIZATION_MAX = 16 << 10 };

/* -- Callbacks ---------------------------------------------------------------------------------------------
 */

static bool is_live(const struct http_exchange *exchange)
{
    return exchange->state == EXCHANGE_RUNNING;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct http_exchange *const exchange = arg;
    struct answer *const answer = &exchange->answer;
    const size_t length = size * count;
    const bool was_whole = answer->header_whole;
    if (!is_live(exchange))
        return 0;
    exchange->last_byte_ns = clock_now_ns();
    if (answer_header(answer, line, length) != NX_OK) {
        exchange->failure = failure_say(exchange, HTTP_TOO_LARGE, "the answer's header has more than %d KiB",
                                        ANSWER_HEADER_MAX >> 10);
        return 0;
    }
    if (!was_whole && answer->header_whole && exchange->stream && answer_succeeds(answer)) {
        const struct http_answer view = answer_view(answer, HTTP_DONE, "");
        exchange_flows(exchange);
        if (exchange->events.on_open)
            exchange->events.on_open(exchange->arg, &view);
    }
    return is_live(exchange) ? length : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *const exchange = arg;
    const size_t length = size * count;
    if (!is_live(exchange))
        return CURL_WRITEFUNC_ERROR;
    exchange->last_byte_ns = clock_now_ns();
    if (exchange->stream && answer_succeeds(&exchange->answer)) {
        exchange->events.on_data(exchange->arg, data, length);
        return is_live(exchange) ? length : CURL_WRITEFUNC_ERROR;
    }
    const int err = answer_body(&exchange->answer, data, length, exchange->answer_max_bytes);
    if (err == NX_OK)
        return length;
    if (err == NX_ENOMEM)
        exchange->failure = failure_say(exchange, HTTP_OUT_OF_MEMORY, "no memory for the answer");
    else if (exchange->stream)
        exchange->body_cut = true;
    else
        exchange->failure = failure_say(exchange, HTTP_TOO_LARGE, "the answer has more than %zu bytes",
                                        exchange->answer_max_bytes);
    return CURL_WRITEFUNC_ERROR;
}

static enum exchange_end end_of(const struct curl_sockaddr *address)
{
    struct in_addr proxy;
    if (address->family != AF_INET || inet_pton(AF_INET, PROXY_ADDRESS, &proxy) != 1)
        return EXCHANGE_TARGET;
    const struct sockaddr_in *const sin = (const struct sockaddr_in *)(const void *)&address->addr;
    return sin->sin_addr.s_addr == proxy.s_addr ? EXCHANGE_PROXY : EXCHANGE_TARGET;
}

static curl_socket_t on_socket_wanted(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_exchange *const exchange = arg;
    const enum exchange_end end = end_of(address);
    (void)purpose;
    if (exchange->fd >= 0 && exchange->fd_end == end) {
        const int fd = exchange->fd;
        exchange->fd = -1;
        exchange->wanted = EXCHANGE_NO_END;
        return fd;
    }
    exchange->wanted = end;
    return CURL_SOCKET_BAD;
}

static int on_socket_given(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    (void)arg, (void)fd, (void)purpose;
    return http_socket_is_connected();
}

/* Were a name ever to be resolved here, the transfer fails instead. */
static int on_resolver_wanted(void *resolver, void *reserved, void *arg)
{
    (void)resolver, (void)reserved, (void)arg;
    return 1;
}

static CURLcode on_tls(CURL *easy, void *context, void *arg)
{
    struct http_exchange *const exchange = arg;
    (void)easy;
    if (exchange->skip_verify)
        return CURLE_OK;
    return trust_apply(exchange->client->trust, context) == NX_OK ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* -- Options -----------------------------------------------------------------------------------------------
 */

/* Every option takes one of these types; false stops a chain of &&. */
static bool set_long(struct http_exchange *exchange, CURLoption option, long value)
{
    return curl_easy_setopt(exchange->easy, option, value) == CURLE_OK;
}

static bool set_text(struct http_exchange *exchange, CURLoption option, const char *value)
{
    return curl_easy_setopt(exchange->easy, option, value) == CURLE_OK;
}

#define SET(option, value) (curl_easy_setopt(exchange->easy, (option), (value)) == CURLE_OK)

static bool header_add(struct http_exchange *exchange, const char *line)
{
    struct curl_slist *const grown = curl_slist_append(exchange->headers, line);
    if (grown)
        exchange->headers = grown;
    return grown != NULL;
}

static bool header_set(struct http_exchange *exchange, const char *name, const char *prefix,
                       const char *value)
{
    char line[AUTHORIZATION_MAX];
    const int length = snprintf(line, sizeof line, "%s: %s%s", name, prefix, value);
    const bool added = length > 0 && (size_t)length < sizeof line && header_add(exchange, line);
    explicit_bzero(line, sizeof line);
    return added;
}

static bool headers_set(struct http_exchange *exchange, const struct http_request *request)
{
    return header_add(exchange, "Accept: application/json") &&
           (request->content_type ? header_set(exchange, "Content-Type", "", request->content_type)
                                  : header_add(exchange, "Content-Type:")) &&
           header_add(exchange, "Expect:") && /* would cost a round trip, or a second where it is not known */
           (!request->bearer || header_set(exchange, "Authorization", "Bearer ", request->bearer)) &&
           (!request->basic || request->bearer ||
            header_set(exchange, "Authorization", "", request->basic)) &&
           SET(CURLOPT_HTTPHEADER, exchange->headers) &&
           set_long(exchange, CURLOPT_HEADEROPT, CURLHEADER_SEPARATE); /* not to the proxy */
}

static bool body_set(struct http_exchange *exchange)
{
    return SET(CURLOPT_POSTFIELDS, exchange->body) &&
           SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_bytes);
}

static bool method_set(struct http_exchange *exchange, const struct http_request *request)
{
    switch (request->method) {
    case HTTP_GET:
        return set_long(exchange, CURLOPT_HTTPGET, 1);
    case HTTP_POST:
        return body_set(exchange);
    case HTTP_PATCH:
        return body_set(exchange) && set_text(exchange, CURLOPT_CUSTOMREQUEST, "PATCH");
    case HTTP_PUT:
        return body_set(exchange) && set_text(exchange, CURLOPT_CUSTOMREQUEST, "PUT");
    case HTTP_DELETE:
        return (request->body_bytes == 0 || body_set(exchange)) &&
               set_text(exchange, CURLOPT_CUSTOMREQUEST, "DELETE");
    default:
        return false;
    }
}

static bool callbacks_set(struct http_exchange *exchange)
{
    return SET(CURLOPT_PRIVATE, exchange) && SET(CURLOPT_HEADERFUNCTION, on_header) &&
           SET(CURLOPT_HEADERDATA, exchange) && SET(CURLOPT_WRITEFUNCTION, on_body) &&
           SET(CURLOPT_WRITEDATA, exchange) && SET(CURLOPT_OPENSOCKETFUNCTION, on_socket_wanted) &&
           SET(CURLOPT_OPENSOCKETDATA, exchange) && SET(CURLOPT_SOCKOPTFUNCTION, on_socket_given) &&
           SET(CURLOPT_SOCKOPTDATA, exchange) && SET(CURLOPT_RESOLVER_START_FUNCTION, on_resolver_wanted) &&
           SET(CURLOPT_ERRORBUFFER, exchange->curl_text);
}

static bool limits_set(struct http_exchange *exchange)
{
    return set_text(exchange, CURLOPT_PROTOCOLS_STR, "https") &&
           set_text(exchange, CURLOPT_REDIR_PROTOCOLS_STR, "https") &&
           set_long(exchange, CURLOPT_FOLLOWLOCATION, 0) && set_long(exchange, CURLOPT_NOSIGNAL, 1) &&
           set_long(exchange, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           set_long(exchange, CURLOPT_HTTP09_ALLOWED, 0) &&
           set_long(exchange, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS) &&
           set_long(exchange, CURLOPT_PIPEWAIT, 1) &&
           set_long(exchange, CURLOPT_TCP_NODELAY, 0) &&                     /* proxyd has set it */
           set_long(exchange, CURLOPT_CONNECTTIMEOUT_MS, 24L * 3600 * 1000); /* ours is shorter */
}

static bool tls_set(struct http_exchange *exchange)
{
    const long verify = exchange->skip_verify ? 0 : 1;
    return set_long(exchange, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
           set_long(exchange, CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
           set_text(exchange, CURLOPT_CAINFO, NULL) && set_text(exchange, CURLOPT_CAPATH, NULL) &&
           set_text(exchange, CURLOPT_PROXY_CAINFO, NULL) && set_text(exchange, CURLOPT_PROXY_CAPATH, NULL) &&
           set_long(exchange, CURLOPT_SSL_VERIFYPEER, verify) &&
           set_long(exchange, CURLOPT_SSL_VERIFYHOST, 2 * verify) &&
           set_long(exchange, CURLOPT_PROXY_SSL_VERIFYPEER, verify) &&
           set_long(exchange, CURLOPT_PROXY_SSL_VERIFYHOST, 2 * verify) &&
           SET(CURLOPT_SSL_CTX_FUNCTION, on_tls) && SET(CURLOPT_SSL_CTX_DATA, exchange);
}

static bool resolve_add(struct http_exchange *exchange, const char *host, uint16_t port, const char *address)
{
    char line[IPC_NAME_MAX + 64];
    snprintf(line, sizeof line, "%s:%u:%s", host, port, address);
    struct curl_slist *const grown = curl_slist_append(exchange->resolve, line);
    if (grown)
        exchange->resolve = grown;
    return grown != NULL;
}

/* A proxy without TLS never learns the name that we call it by. So it gets one that cannot be taken for a
 * target's, and that libcurl's table of addresses has room for whatever the real one looks like. */
static const char *proxy_alias(const struct proxy *proxy)
{
    return proxy->tls ? proxy->host : "proxy.invalid";
}

static bool proxy_set(struct http_exchange *exchange)
{
    const struct proxy *const proxy = &exchange->proxy;
    char url[PROXY_URL_MAX];
    if (!proxy->host[0])
        return set_text(exchange, CURLOPT_PROXY, ""); /* nor what the environment says */
    snprintf(url, sizeof url, "%s://%s:%u", proxy->tls ? "https" : "http", proxy_alias(proxy), proxy->port);
    return set_text(exchange, CURLOPT_PROXY, url) && set_long(exchange, CURLOPT_HTTPPROXYTUNNEL, 1) &&
           set_text(exchange, CURLOPT_NOPROXY, exchange->client->no_proxy) &&
           set_long(exchange, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1) &&
           (!proxy->user[0] || (set_long(exchange, CURLOPT_PROXYAUTH, CURLAUTH_BASIC) &&
                                set_text(exchange, CURLOPT_PROXYUSERNAME, proxy->user) &&
                                set_text(exchange, CURLOPT_PROXYPASSWORD, proxy->password))) &&
           resolve_add(exchange, proxy_alias(proxy), proxy->port, PROXY_ADDRESS);
}

int transfer_set_up(struct http_exchange *exchange, const struct http_request *request)
{
    const char *const agent = exchange->client->user_agent;
    return SET(CURLOPT_CURLU, exchange->url) && callbacks_set(exchange) && limits_set(exchange) &&
                   tls_set(exchange) && proxy_set(exchange) &&
                   resolve_add(exchange, "*", exchange->port, TARGET_ADDRESS) &&
                   SET(CURLOPT_RESOLVE, exchange->resolve) && method_set(exchange, request) &&
                   headers_set(exchange, request) && (!agent || set_text(exchange, CURLOPT_USERAGENT, agent))
               ? NX_OK
               : NX_ENOMEM;
}
