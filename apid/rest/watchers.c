#include "apid/rest/watchers.h"

#include "apid/rest/answer.h"
#include "apid/rest/online.h"
#include "apid/store/store.h"
#include "common/err.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct watcher {
    LIST_ENTRY(watcher) entry;
    struct watchers *watchers;
    struct http_stream *http;
    struct hub_stream *hub;
    char device[STORE_ID_MAX];    /* online by this stream */
    char authority[STORE_ID_MAX]; /* whose token opened it */
};

struct watchers {
    struct api *api;
    struct event *check;
    LIST_HEAD(, watcher) all;
};

static int output_write(void *output, const char *data, size_t length)
{
    const struct http_part part = {data, length};
    return http_stream_write(((struct watcher *)output)->http, &part, 1);
}

static size_t output_pending(void *output)
{
    return http_stream_pending(((struct watcher *)output)->http);
}

static void output_end(void *output)
{
    http_stream_end(((struct watcher *)output)->http);
}

static void watcher_free(struct watcher *watcher)
{
    if (watcher->device[0])
        online_leave(watcher->watchers->api->online, watcher->device);
    LIST_REMOVE(watcher, entry);
    free(watcher);
}

/* The hub has ended the stream, and with it the connection. */
static void on_hub_closed(void *arg)
{
    watcher_free(arg);
}

static void on_drained(void *arg)
{
    hub_stream_serve(((struct watcher *)arg)->hub);
}

static void on_reader_gone(void *arg)
{
    struct watcher *const watcher = arg;
    hub_stream_close(watcher->hub);
    watcher_free(watcher);
}

/* True: gone for certain. A store that cannot answer ends nobody's stream. */
static bool device_gone(struct watchers *watchers, const char *id)
{
    struct store_device device;
    return store_device_get(watchers->api->store, id, &device) == NX_ENOENT;
}

static void on_check(evutil_socket_t unused, short what, void *arg)
{
    struct watchers *const watchers = arg;
    struct watcher *watcher, *next;
    (void)unused;
    (void)what;
    for (watcher = LIST_FIRST(&watchers->all); watcher; watcher = next) {
        next = LIST_NEXT(watcher, entry);
        if (watcher->authority[0] == '\0' || !device_gone(watchers, watcher->authority))
            continue;
        http_stream_end(watcher->http);
        hub_stream_close(watcher->hub);
        watcher_free(watcher);
    }
}

void watchers_check(struct watchers *watchers)
{
    static const struct timeval soon = {WATCHERS_CHECK_MS / 1000, 0};
    if (!evtimer_pending(watchers->check, NULL))
        evtimer_add(watchers->check, &soon);
}

struct watchers *watchers_new(struct api *api, struct event_base *base)
{
    struct watchers *const watchers = calloc(1, sizeof(*watchers));
    if (watchers == NULL)
        return NULL;
    watchers->api = api;
    watchers->check = evtimer_new(base, on_check, watchers);
    if (watchers->check == NULL) {
        free(watchers);
        return NULL;
    }
    return watchers;
}

void watchers_free(struct watchers *watchers)
{
    if (watchers == NULL)
        return;
    event_free(watchers->check);
    free(watchers);
}

void watchers_open(struct watchers *watchers, struct http_request *request, const struct hub_watch *watches,
                   size_t count, const char *device, const char *authority)
{
    static const struct http_stream_events events = {on_drained, on_reader_gone};
    static const struct hub_output output = {output_write, output_pending, output_end};
    struct watcher *const watcher = calloc(1, sizeof(*watcher));
    if (watcher == NULL) {
        answer_internal(request, "out of memory");
        return;
    }
    watcher->watchers = watchers;
    watcher->hub =
        hub_stream_open(watchers->api->hub, watches, count, &output, watcher, on_hub_closed, watcher);
    if (watcher->hub == NULL) {
        free(watcher);
        answer_internal(request, "out of memory");
        return;
    }
    http_reply_header(request, "Cache-Control", "no-cache, no-store, max-age=0, must-revalidate");
    watcher->http = http_stream_start(request, "application/json;stream=watch", &events, watcher);
    if (watcher->http == NULL) { /* answered */
        hub_stream_close(watcher->hub);
        free(watcher);
        return;
    }
    LIST_INSERT_HEAD(&watchers->all, watcher, entry);
    strncpy(watcher->authority, authority, sizeof(watcher->authority) - 1);
    if (device[0] && online_join(watchers->api->online, device) == NX_OK)
        strncpy(watcher->device, device, sizeof(watcher->device) - 1);
    hub_stream_serve(watcher->hub);
}
