/* The client drives libcurl's multi handle from the event loop.
 *
 *   submit → QUEUED → RUNNING → done → on_end
 *              ↑         ↓ libcurl finds no connection that it can use again, and asks for a new one
 *              └───── OPENING (the opener connects)
 *
 * libcurl asks for a socket in a callback that has to answer at once, while a connection takes a while and is
 * made by another process. So it is refused there, the transfer fails before it has sent a byte, and starts
 * again when the connection is there. Which requests share a connection, by keep-alive or by HTTP/2, stays
 * libcurl's decision.
 *
 * libcurl is not re-entrant: handles are added and removed by client_settle() alone, which only the event
 * loop calls. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/http/internal.h"
#include "ctld/http/wiping_memory.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDLE_CONNECTIONS_MAX = 8, OPENED_MAX = 4 /* connections for one request */ };

static int socket_is_connected;

int http_library_init(void)
{
    /* Else libcurl would write the keys of its connections into the file that this names. */
    unsetenv("SSLKEYLOGFILE");
    if (curl_global_init_mem(CURL_GLOBAL_ALL, wiping_malloc, wiping_free, wiping_realloc, wiping_strdup,
                             wiping_calloc) != CURLE_OK)
        return NX_ENOMEM;
    /* Before 8.0, libcurl calls connect(2) in spite of "already connected", and then does not watch the
     * socket for as long as its race of address families takes, 200 ms. There it is better told nothing: the
     * sandbox answers connect(2) with EINPROGRESS, and the socket, writable as it is, counts as connected in
     * the next turn. */
    socket_is_connected = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000
                              ? CURL_SOCKOPT_ALREADY_CONNECTED
                              : CURL_SOCKOPT_OK;
    return NX_OK;
}

int http_socket_is_connected(void)
{
    return socket_is_connected;
}

void client_wake(struct http_client *client)
{
    event_active(client->settle, EV_TIMEOUT, 0);
}

/* -- libcurl's events --------------------------------------------------------------------------------------
 */

static void client_settle(struct http_client *client);

static void client_act(struct http_client *client, curl_socket_t fd, int what)
{
    int running;
    client->in_curl++;
    const CURLMcode code = curl_multi_socket_action(client->multi, fd, what, &running);
    client->in_curl--;
    if (code != CURLM_OK)
        log_error("HTTP: %s", curl_multi_strerror(code));
    client_settle(client);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    client_act(arg, fd, (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    client_act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch)
{
    struct http_client *const client = arg;
    struct event *event = watch;
    (void)easy;
    if (event)
        event_free(event);
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    const short events =
        (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));
    event = event_new(client->base, fd, events, on_ready, client);
    if (event && event_add(event, NULL)) {
        event_free(event);
        event = NULL;
    }
    curl_multi_assign(client->multi, fd, event);
    return event ? 0 : -1;
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *const client = arg;
    (void)multi;
    if (timeout_ms < 0) {
        event_del(client->timer);
        return 0;
    }
    const struct timeval wait = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    return event_add(client->timer, &wait) ? -1 : 0;
}

/* -- Exchanges ---------------------------------------------------------------------------------------------
 */

static void exchange_begin(struct http_exchange *exchange)
{
    exchange->wanted = EXCHANGE_NO_END;
    exchange->curl_text[0] = '\0';
    exchange->client->in_curl++;
    const CURLMcode code = curl_multi_add_handle(exchange->client->multi, exchange->easy);
    exchange->client->in_curl--;
    exchange->state = EXCHANGE_RUNNING;
    if (code == CURLM_OK)
        return;
    exchange->state = EXCHANGE_QUEUED;
    exchange_end(exchange, failure_say(exchange, HTTP_OUT_OF_MEMORY, "%s", curl_multi_strerror(code)));
}

static void exchange_withdraw(struct http_exchange *exchange)
{
    if (exchange->easy && exchange->state != EXCHANGE_OPENING) {
        exchange->client->in_curl++;
        curl_multi_remove_handle(exchange->client->multi, exchange->easy); /* harmless if it is not there */
        exchange->client->in_curl--;
    }
}

static void on_opened(void *arg, enum http_open_outcome outcome, int fd, const char *text)
{
    struct http_exchange *const exchange = arg;
    exchange->opening = NULL;
    if (outcome == HTTP_OPEN_OK) {
        exchange->fd = fd;
        exchange->fd_end = exchange->wanted;
        exchange->state = EXCHANGE_QUEUED;
    } else {
        exchange->state = EXCHANGE_ENDING;
        exchange->failure = outcome == HTTP_OPEN_TIMED_OUT ? HTTP_TIMED_OUT : HTTP_CONNECT;
        snprintf(exchange->text, sizeof exchange->text, "%s%s",
                 exchange->wanted == EXCHANGE_PROXY ? "the HTTP proxy: " : "", text);
    }
    client_wake(exchange->client);
}

/* libcurl has found no connection that it can use. */
static void exchange_open(struct http_exchange *exchange)
{
    struct http_opener *const opener = exchange->client->opener;
    const bool proxy = exchange->wanted == EXCHANGE_PROXY;
    exchange->state = EXCHANGE_OPENING;
    if (exchange->opened++ >= OPENED_MAX)
        exchange_end(exchange, failure_say(exchange, HTTP_CONNECT, "connections break before they are used"));
    else if (!(exchange->opening =
                   opener->open(opener, proxy ? exchange->proxy.host : exchange->host,
                                proxy ? exchange->proxy.port : exchange->port, on_opened, exchange)))
        exchange_end(exchange, failure_say(exchange, HTTP_CONNECT, "too many connections are being made"));
}

static void exchange_done(struct http_exchange *exchange, CURLcode code)
{
    exchange_withdraw(exchange);
    if (exchange->wanted != EXCHANGE_NO_END && code != CURLE_OK && exchange->failure == HTTP_DONE)
        exchange_open(exchange);
    else
        exchange_end(exchange, failure_judge(exchange, code));
}

static void client_harvest(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct http_exchange *exchange = NULL;
        const CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange) != CURLE_OK || !exchange)
            continue;
        if (exchange->state == EXCHANGE_RUNNING)
            exchange_done(exchange, code);
        else
            exchange_withdraw(exchange); /* cancelled */
    }
}

/* Events may submit and cancel, so that after each the list is another one. */
static struct http_exchange *exchange_due(struct http_client *client)
{
    struct http_exchange *exchange;
    TAILQ_FOREACH (exchange, &client->exchanges, entry)
        if (exchange->state == EXCHANGE_QUEUED || exchange->state == EXCHANGE_ENDING ||
            exchange->state == EXCHANGE_CANCELLED)
            return exchange;
    return NULL;
}

static void client_settle(struct http_client *client)
{
    struct http_exchange *exchange;
    client_harvest(client);
    while ((exchange = exchange_due(client)) != NULL) {
        if (exchange->state == EXCHANGE_QUEUED) {
            exchange_begin(exchange);
        } else if (exchange->state == EXCHANGE_ENDING) {
            exchange_withdraw(exchange);
            exchange_end(exchange, exchange->failure);
        } else {
            exchange_withdraw(exchange);
            exchange_free(exchange);
        }
    }
}

static void on_settle(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    client_settle(arg);
}

/* -- struct http -------------------------------------------------------------------------------------------
 */

static struct http_exchange *client_submit(struct http *http, const struct http_request *request,
                                           const struct http_events *events, void *arg)
{
    struct http_client *const client = (struct http_client *)http;
    struct http_exchange *const exchange =
        client->count < HTTP_EXCHANGES_MAX ? exchange_new(client, request, events, arg) : NULL;
    if (exchange)
        client_wake(client);
    return exchange;
}

static void client_cancel(struct http *http, struct http_exchange *exchange)
{
    struct http_client *const client = (struct http_client *)http;
    if (!exchange)
        return;
    if (exchange->opening) {
        client->opener->cancel(client->opener, exchange->opening);
        exchange->opening = NULL;
    }
    exchange->state = EXCHANGE_CANCELLED;
    client_wake(client);
}

struct http *http_client_http(struct http_client *client)
{
    return &client->http;
}

size_t http_client_pending(const struct http_client *client)
{
    const struct http_exchange *exchange;
    size_t pending = 0;
    TAILQ_FOREACH (exchange, &client->exchanges, entry)
        pending += exchange->state != EXCHANGE_CANCELLED;
    return pending;
}

static int multi_set_up(struct http_client *client)
{
    CURLM *const multi = client->multi = curl_multi_init();
    return multi && curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_watch) == CURLM_OK &&
                   curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
                   curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted) == CURLM_OK &&
                   curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
                   curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) == CURLM_OK &&
                   curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX) == CURLM_OK
               ? NX_OK
               : NX_ENOMEM;
}

struct http_client *http_client_new(const struct http_client_config *config)
{
    struct http_client *const client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->http = (struct http){.submit = client_submit, .cancel = client_cancel};
    client->base = config->base;
    client->opener = config->opener;
    client->trust = config->trust;
    TAILQ_INIT(&client->exchanges);
    client->timer = evtimer_new(config->base, on_timer, client);
    client->settle = evtimer_new(config->base, on_settle, client);
    client->user_agent = config->user_agent ? strdup(config->user_agent) : NULL;
    if (client->timer && client->settle && (client->user_agent || !config->user_agent) &&
        multi_set_up(client) == NX_OK)
        return client;
    http_client_free(client);
    return NULL;
}

void http_client_free(struct http_client *client)
{
    struct http_exchange *exchange;
    if (!client)
        return;
    while ((exchange = TAILQ_FIRST(&client->exchanges)) != NULL) {
        if (exchange->opening)
            client->opener->cancel(client->opener, exchange->opening);
        exchange->opening = NULL;
        exchange_withdraw(exchange);
        exchange_free(exchange);
    }
    if (client->multi)
        curl_multi_cleanup(client->multi);
    if (client->timer)
        event_free(client->timer);
    if (client->settle)
        event_free(client->settle);
    proxy_clear(&client->proxy);
    free(client->user_agent);
    free(client->no_proxy);
    free(client);
}

int http_client_set_route(struct http_client *client, const struct http_route *route)
{
    struct proxy proxy = {0};
    const bool proxied = route->proxy_url && route->proxy_url[0];
    const int err = proxied ? proxy_parse(route->proxy_url, &proxy) : NX_OK;
    if (err != NX_OK)
        return err;
    char *const no_proxy = strdup(route->no_proxy ? route->no_proxy : "");
    if (!no_proxy) {
        proxy_clear(&proxy);
        return NX_ENOMEM;
    }
    free(client->no_proxy);
    client->no_proxy = no_proxy;
    client->proxy = proxy;
    client->skip_verify = route->skip_verify;
    proxy_clear(&proxy);
    if (route->skip_verify)
        log_warn("TLS certificates are not verified: whoever is in between can pose as the control plane");
    return NX_OK;
}
