/* After the header of the answer the stream takes the connection's callbacks over from evhttp, which would
 * not tell when the output has drained. Chunks are framed here, header, parts and end in one piece, so that
 * each becomes one TLS record and one write. The connection still belongs to evhttp, and freeing it is the
 * one way to end: evhttp then tells `on_freed`. */
#include "apid/http/internal.h"
#include "common/err.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdio.h>
#include <stdlib.h>

struct http_stream {
    struct evhttp_connection *evcon;
    struct bufferevent *bev;
    struct http_stream_events events;
    void *arg;
    bool ended; /* by http_stream_end(); closes when drained */
};

static void on_freed(struct evhttp_connection *evcon, void *arg)
{
    struct http_stream *const stream = arg;
    (void)evcon;
    if (!stream->ended)
        stream->events.closed(stream->arg);
    free(stream);
}

/* A client has nothing to say here. */
static void on_read(struct bufferevent *bev, void *arg)
{
    struct http_stream *const stream = arg;
    (void)bev;
    evhttp_connection_free(stream->evcon);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct http_stream *const stream = arg;
    (void)bev;
    if (stream->ended)
        evhttp_connection_free(stream->evcon);
    else
        stream->events.drained(stream->arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct http_stream *const stream = arg;
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        evhttp_connection_free(stream->evcon);
}

struct http_stream *http_stream_start(struct http_request *request, const char *type,
                                      const struct http_stream_events *events, void *arg)
{
    struct evhttp_request *const raw = request->raw;
    if (raw->major != 1 || raw->minor < 1) {
        http_reply(request, 400, "text/plain", "streams need HTTP/1.1", 21);
        return NULL;
    }
    struct http_stream *const stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        http_reply(request, 503, NULL, NULL, 0);
        return NULL;
    }
    stream->evcon = evhttp_request_get_connection(raw);
    stream->bev = evhttp_connection_get_bufferevent(stream->evcon);
    stream->events = *events;
    stream->arg = arg;
    const unsigned write_ms = connection_of(stream->bev)->table->limits.write_ms;
    const struct timeval patience = {write_ms / 1000, (suseconds_t)(write_ms % 1000) * 1000};
    http_reply_header(request, "Content-Type", type);
    evhttp_send_reply_start(raw, 200, "OK");
    evhttp_connection_set_closecb(stream->evcon, on_freed, stream);
    bufferevent_setcb(stream->bev, on_read, on_written, on_event, stream);
    bufferevent_set_timeouts(stream->bev, NULL, &patience);
    bufferevent_enable(stream->bev, EV_READ | EV_WRITE);
    return stream;
}

int http_stream_write(struct http_stream *stream, const struct http_part *parts, size_t count)
{
    struct evbuffer *const output = bufferevent_get_output(stream->bev);
    char head[24];
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].length;
    if (length == 0)
        return NX_OK;
    const int head_length = snprintf(head, sizeof(head), "%zx\r\n", length);
    if (evbuffer_expand(output, length + sizeof(head)))
        return NX_ENOMEM;
    int failed = evbuffer_add(output, head, (size_t)head_length);
    for (size_t i = 0; i < count; i++)
        failed |= evbuffer_add(output, parts[i].data, parts[i].length);
    failed |= evbuffer_add(output, "\r\n", 2);
    return failed ? NX_ENOMEM : NX_OK;
}

size_t http_stream_pending(const struct http_stream *stream)
{
    return evbuffer_get_length(bufferevent_get_output(stream->bev));
}

void http_stream_end(struct http_stream *stream)
{
    stream->ended = true;
    if (evbuffer_add(bufferevent_get_output(stream->bev), "0\r\n\r\n", 5))
        evhttp_connection_free(stream->evcon);
}
