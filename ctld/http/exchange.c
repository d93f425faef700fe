/* An exchange owns all that one request needs, until on_end or cancel. Two clocks bound it: the deadline of
 * the whole (of a stream: until its header is there), and for streams the longest silence, whose timer is set
 * anew only when it fires. */
#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "ctld/http/internal.h"
#include "ctld/http/wiping_memory.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

static void timer_set(struct http_exchange *exchange, uint64_t when_ns, uint64_t now_ns)
{
    const uint64_t wait_us = when_ns > now_ns ? (when_ns - now_ns + NS_PER_US - 1) / NS_PER_US : 0;
    const struct timeval wait = {(time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000)};
    event_add(exchange->timer, &wait);
}

/* A stream whose header has come: only silence ends it. */
static bool is_flowing(const struct http_exchange *exchange)
{
    return exchange->stream && exchange->answer.header_whole && answer_succeeds(&exchange->answer);
}

void exchange_flows(struct http_exchange *exchange)
{
    exchange->last_byte_ns = clock_now_ns();
    event_del(exchange->timer);
    if (exchange->silence_ms > 0)
        timer_set(exchange, exchange->last_byte_ns + exchange->silence_ms * NS_PER_MS,
                  exchange->last_byte_ns);
}

static enum http_failure timeout_say(struct http_exchange *exchange)
{
    if (is_flowing(exchange))
        return failure_say(exchange, HTTP_TIMED_OUT, "not a byte for %u s", exchange->silence_ms / 1000);
    if (exchange->opening)
        return failure_say(exchange, HTTP_TIMED_OUT, "no connection in time");
    if (exchange->answer.header_bytes > 0)
        return failure_say(exchange, HTTP_TIMED_OUT, "the answer is not whole in time");
    return failure_say(exchange, HTTP_TIMED_OUT, "no answer in time");
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    struct http_exchange *const exchange = arg;
    const uint64_t now_ns = clock_now_ns();
    (void)fd, (void)what;
    if (exchange->state == EXCHANGE_CANCELLED || exchange->state == EXCHANGE_ENDING)
        return;
    if (is_flowing(exchange)) {
        const uint64_t until_ns = exchange->last_byte_ns + exchange->silence_ms * NS_PER_MS;
        if (until_ns > now_ns) {
            timer_set(exchange, until_ns, now_ns);
            return;
        }
    }
    exchange->failure = timeout_say(exchange);
    exchange->client->opener->cancel(exchange->client->opener, exchange->opening);
    exchange->opening = NULL;
    exchange->state = EXCHANGE_ENDING;
    client_wake(exchange->client);
}

void exchange_free(struct http_exchange *exchange)
{
    if (!exchange)
        return;
    TAILQ_REMOVE(&exchange->client->exchanges, exchange, entry);
    exchange->client->count--;
    if (exchange->easy)
        curl_easy_cleanup(exchange->easy);
    curl_url_cleanup(exchange->url);
    curl_slist_free_all(exchange->headers); /* with its secrets: see wiping_memory.h */
    curl_slist_free_all(exchange->resolve);
    wiping_free(exchange->body);
    fd_close(&exchange->fd);
    if (exchange->timer)
        event_free(exchange->timer);
    answer_clear(&exchange->answer);
    wiping_free(exchange);
}

void exchange_end(struct http_exchange *exchange, enum http_failure failure)
{
    const struct http_answer answer =
        answer_view(&exchange->answer, failure, failure == HTTP_DONE ? "" : exchange->text);
    exchange->state = EXCHANGE_CANCELLED; /* for a user that cancels in spite of all */
    exchange->events.on_end(exchange->arg, &answer);
    exchange_free(exchange);
}

/* Nothing that could end a header line or hide in it. */
static bool is_header_text(const char *text)
{
    for (; text && *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

static int url_take(struct http_exchange *exchange, const char *url)
{
    char *host = NULL, *port = NULL, *zone = NULL;
    int err = NX_EINVAL;
    exchange->url = curl_url();
    if (!exchange->url)
        return NX_ENOMEM;
    if (strncmp(url, "https://", 8) != 0 || url[8] == '/' || !is_header_text(url) ||
        curl_url_set(exchange->url, CURLUPART_URL, url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        curl_url_get(exchange->url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(exchange->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
        curl_url_get(exchange->url, CURLUPART_ZONEID, &zone, 0) != CURLUE_NO_ZONEID)
        goto out;
    const size_t length = strlen(host);
    const bool brackets = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (length == 0 || length > IPC_NAME_MAX)
        goto out;
    memcpy(exchange->host, host + brackets, length - 2 * brackets);
    exchange->port = (uint16_t)strtoul(port, NULL, 10);
    err = exchange->port ? NX_OK : NX_EINVAL;
out:
    curl_free(host);
    curl_free(port);
    curl_free(zone);
    return err;
}

static int body_take(struct http_exchange *exchange, const struct http_request *request)
{
    exchange->body = wiping_malloc(request->body_bytes + 1);
    if (!exchange->body)
        return NX_ENOMEM;
    if (request->body_bytes > 0)
        memcpy(exchange->body, request->body, request->body_bytes);
    exchange->body_bytes = request->body_bytes;
    return NX_OK;
}

struct http_exchange *exchange_new(struct http_client *client, const struct http_request *request,
                                   const struct http_events *events, void *arg)
{
    struct http_exchange *const exchange = wiping_calloc(1, sizeof(*exchange));
    if (!exchange)
        return NULL;
    const uint64_t now_ns = clock_now_ns();
    const uint32_t timeout_ms = request->timeout_ms ? request->timeout_ms : HTTP_TIMEOUT_DEFAULT_MS;
    exchange->client = client;
    exchange->state = EXCHANGE_QUEUED;
    exchange->events = *events;
    exchange->arg = arg;
    exchange->fd = -1;
    exchange->stream = request->stream;
    exchange->silence_ms = request->silence_ms;
    exchange->proxy = client->proxy;
    exchange->skip_verify = client->skip_verify;
    exchange->answer_max_bytes =
        request->answer_max_bytes < HTTP_ANSWER_MAX_BYTES ? request->answer_max_bytes : HTTP_ANSWER_MAX_BYTES;
    TAILQ_INSERT_TAIL(&client->exchanges, exchange, entry);
    client->count++;
    exchange->timer = evtimer_new(client->base, on_time, exchange);
    exchange->easy = curl_easy_init();
    if (!exchange->timer || !exchange->easy || !is_header_text(request->bearer) ||
        !is_header_text(request->basic) || !is_header_text(request->content_type) ||
        url_take(exchange, request->url) != NX_OK || body_take(exchange, request) != NX_OK ||
        transfer_set_up(exchange, request) != NX_OK) {
        exchange_free(exchange);
        return NULL;
    }
    exchange->deadline_ns = now_ns + timeout_ms * NS_PER_MS;
    timer_set(exchange, exchange->deadline_ns, now_ns);
    return exchange;
}
