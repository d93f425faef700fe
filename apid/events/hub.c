/* Deletes. While a stream gets its first list, objects that were deleted before it began are left out: it
 * never heard of them. Until something changes those are all tombstones that it meets; after a change during
 * the list they are all sent, since telling the two apart would need a memory of what was sent, and clients
 * ignore the deletion of what they do not have. */
#include "apid/events/hub.h"

#include "common/err.h"
#include "common/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct watch {
    struct feed *feed;
    uint64_t after;
    uint64_t began; /* the hub's round in which it began */
    bool at_tail;
    bool idle; /* nothing new since the present round */
};

struct hub_stream {
    LIST_ENTRY(hub_stream) entry;
    struct hub *hub;
    const struct hub_output *output;
    void *output_arg;
    void (*closed)(void *arg);
    void *arg;
    size_t next; /* watch that has its turn */
    size_t count;
    struct watch watches[];
};

struct hub {
    struct feeds feeds;
    struct event *round_timer;
    uint64_t round;
    LIST_HEAD(, hub_stream) streams;
    struct hub_stream *walk; /* next one of the present round; moved on when it goes away */
    size_t stream_count;
};

static void on_round(evutil_socket_t unused, short what, void *arg);

struct hub *hub_new(struct event_base *base, feed_fetch *fetch, void *fetch_arg)
{
    struct hub *const hub = calloc(1, sizeof(*hub));
    if (hub == NULL)
        return NULL;
    feeds_init(&hub->feeds, fetch, fetch_arg);
    LIST_INIT(&hub->streams);
    hub->round_timer = evtimer_new(base, on_round, hub);
    if (hub->round_timer == NULL) {
        free(hub);
        return NULL;
    }
    return hub;
}

void hub_free(struct hub *hub)
{
    if (hub == NULL)
        return;
    event_free(hub->round_timer);
    free(hub);
}

void hub_stream_close(struct hub_stream *stream)
{
    struct hub *const hub = stream->hub;
    if (hub->walk == stream)
        hub->walk = LIST_NEXT(stream, entry);
    LIST_REMOVE(stream, entry);
    hub->stream_count--;
    for (size_t i = 0; i < stream->count; i++)
        feed_close(&hub->feeds, stream->watches[i].feed);
    free(stream);
}

/* The hub's own decision, with a last event where there is something to say. */
static void stream_end(struct hub_stream *stream, const char *error)
{
    char event[160];
    void (*const closed)(void *) = stream->closed;
    void *const arg = stream->arg;
    if (error) {
        const int length =
            snprintf(event, sizeof(event), "{\"type\":\"error\",\"value\":{\"error\":\"%s\"}}\n\n", error);
        stream->output->write(stream->output_arg, event, (size_t)length);
    }
    stream->output->end(stream->output_arg);
    hub_stream_close(stream);
    closed(arg);
}

struct hub_stream *hub_stream_open(struct hub *hub, const struct hub_watch *watches, size_t count,
                                   const struct hub_output *output, void *output_arg,
                                   void (*closed)(void *arg), void *arg)
{
    struct hub_stream *const stream = calloc(1, sizeof(*stream) + count * sizeof(stream->watches[0]));
    if (stream == NULL)
        return NULL;
    *stream = (struct hub_stream){
        .hub = hub, .output = output, .output_arg = output_arg, .closed = closed, .arg = arg};
    for (; stream->count < count; stream->count++) {
        const struct hub_watch *const from = &watches[stream->count];
        struct watch *const watch = &stream->watches[stream->count];
        watch->feed = feed_open(&hub->feeds, &from->query);
        if (watch->feed == NULL)
            break;
        watch->after = from->after;
        watch->at_tail = from->at_tail;
        watch->began = hub->round;
    }
    LIST_INSERT_HEAD(&hub->streams, stream, entry);
    hub->stream_count++;
    if (stream->count == count)
        return stream;
    hub_stream_close(stream);
    return NULL;
}

/* One page of one watch. NX_EAGAIN: it has nothing for now. */
static int watch_serve(struct hub_stream *stream, struct watch *watch, struct json_out *batch)
{
    const struct feed_page *page;
    const int err = feed_read(&stream->hub->feeds, watch->feed, watch->after, &page);
    if (err)
        return err;
    const bool skip_deleted = !watch->at_tail && watch->began == stream->hub->round;
    for (size_t i = 0; i < page->count; i++)
        if (!skip_deleted || !page->rows[i].deleted)
            json_raw(batch, page->text.data + page->rows[i].offset, page->rows[i].length);
    if (page->last > watch->after) {
        watch->after = page->last;
        return NX_OK;
    }
    if (!watch->at_tail) {
        const char *const kind = feed_kind_name(watch->feed->query.kind);
        char event[64];
        const int length = snprintf(event, sizeof(event), "{\"kind\":\"%s\",\"type\":\"tail\"}\n\n", kind);
        json_raw(batch, event, (size_t)length);
        watch->at_tail = true;
    }
    watch->idle = true;
    return NX_EAGAIN;
}

/* The next watch that may have something; NULL if all are idle. */
static struct watch *watch_next(struct hub_stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        struct watch *const watch = &stream->watches[(stream->next + i) % stream->count];
        if (!watch->idle) {
            stream->next = (stream->next + i + 1) % stream->count;
            return watch;
        }
    }
    return NULL;
}

void hub_stream_serve(struct hub_stream *stream)
{
    struct json_out batch = {0};
    struct watch *watch;
    int err = NX_OK;
    size_t room = HUB_STREAM_BYTES;
    const size_t pending = stream->output->pending(stream->output_arg);
    room = pending < room ? room - pending : 0;
    while (room > batch.length && (watch = watch_next(stream)) != NULL) {
        err = watch_serve(stream, watch, &batch);
        if (err != NX_OK && err != NX_EAGAIN)
            break;
        err = NX_OK;
    }
    if (batch.failed)
        err = NX_ENOMEM;
    if (!err && batch.length > 0)
        err = stream->output->write(stream->output_arg, batch.data, batch.length);
    json_out_free(&batch);
    if (err) {
        log_warn("an event stream is ended: %s", nx_strerror(err));
        stream_end(stream, "internal server error");
    }
}

void hub_changed(struct hub *hub)
{
    static const struct timeval soon = {0, HUB_COALESCE_MS * 1000};
    if (!evtimer_pending(hub->round_timer, NULL))
        evtimer_add(hub->round_timer, &soon);
}

static void on_round(evutil_socket_t unused, short what, void *arg)
{
    struct hub *const hub = arg;
    (void)unused;
    (void)what;
    hub->round++;
    feeds_changed(&hub->feeds);
    for (struct hub_stream *stream = LIST_FIRST(&hub->streams); stream; stream = hub->walk) {
        hub->walk = LIST_NEXT(stream, entry);
        for (size_t i = 0; i < stream->count; i++)
            stream->watches[i].idle = false;
        hub_stream_serve(stream);
    }
    hub->walk = NULL;
}

size_t hub_streams(const struct hub *hub)
{
    return hub->stream_count;
}
