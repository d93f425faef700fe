/* Event streams: who listens, and when they are served.
 *
 *   changed() ─> (25 ms, so that a burst of changes is one round) ─> every stream at its tail is served
 *   a stream's output drained ─> that stream is served
 *
 * Serving writes what its watches have not had yet, up to a bound that the stream's reader has to take before
 * more is made: memory is bounded whatever the number of objects and streams. Single-threaded. apid only. */
#ifndef NEXD_APID_EVENTS_HUB_H
#define NEXD_APID_EVENTS_HUB_H

#include "apid/events/feed.h"

struct event_base;

enum {
    HUB_WATCHES_MAX = 16,       /* of one stream */
    HUB_COALESCE_MS = 25,       /* from a change to the round that delivers it */
    HUB_STREAM_BYTES = 32 << 10 /* unread bytes of a stream above which nothing is added */
};

/* How a stream is written; implemented by apid/http, and by tests. */
struct hub_output {
    int (*write)(void *output, const char *data, size_t length); /* not NX_OK: the stream is dead */
    size_t (*pending)(void *output);
    void (*end)(void *output); /* orderly; the output is not used after */
};

struct hub_watch {
    struct feed_query query;
    uint64_t after; /* gt_revision */
    bool at_tail;
};

struct hub;
struct hub_stream;

/* NULL when out of memory. */
struct hub *hub_new(struct event_base *base, feed_fetch *fetch, void *fetch_arg);
/* All streams must have been closed. */
void hub_free(struct hub *hub);

/* Adds a stream; it is served at once. `closed` tells that the hub has ended it on its own accord. NULL when
 * out of memory. */
struct hub_stream *hub_stream_open(struct hub *hub, const struct hub_watch *watches, size_t count,
                                   const struct hub_output *output, void *output_arg,
                                   void (*closed)(void *arg), void *arg);
/* Serves what there is; to be called once after opening, and whenever the output has drained. The stream may
 * be gone afterwards. */
void hub_stream_serve(struct hub_stream *stream);
/* The reader has gone. */
void hub_stream_close(struct hub_stream *stream);

/* Something in the store has changed. */
void hub_changed(struct hub *hub);
size_t hub_streams(const struct hub *hub);

#endif
