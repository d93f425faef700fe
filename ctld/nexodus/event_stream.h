/* The stream of events that answers POST /api/events: JSON objects one after the other, which come in any
 * pieces.
 *
 * One event is held at a time, in a reader with limits: whatever is sent, memory stays below a bound. What
 * the events mean together (revisions, tails, duplicates) is the session's business. No I/O, no clock. ctld
 * only. */
#ifndef NEXD_CTLD_NEXODUS_EVENT_STREAM_H
#define NEXD_CTLD_NEXODUS_EVENT_STREAM_H

#include "ctld/nexodus/json.h"

/* Of one event: 128 KiB, strings of 8 KiB, 4096 values, 16 deep. */
extern const struct json_limits event_stream_limits;

enum event_kind {
    EVENT_KIND_OTHER = 0, /* one that is not known here, or none */
    EVENT_DEVICE,
    EVENT_SECURITY_GROUP,
    EVENT_DEVICE_METADATA,
    EVENT_VPC,
};
enum event_type {
    EVENT_OTHER = 0, /* not known here: to be ignored */
    EVENT_CHANGE,
    EVENT_DELETE,
    EVENT_TAIL,     /* the initial list of this kind is complete */
    EVENT_BOOKMARK, /* nothing but a revision to resume from */
    EVENT_ERROR,    /* the server ends the stream after it */
    EVENT_CLOSE,
};
struct event {
    enum event_kind kind;
    enum event_type type;
    const struct json_value *value; /* an object for change and delete; may be NULL for the others */
    uint64_t revision;              /* value.revision; 0 = none */
    char error[128];                /* EVENT_ERROR: what was said, printable */
};

struct event_stream;
/* NULL when out of memory. */
struct event_stream *event_stream_new(void);
/* Wipes and frees. NULL is harmless. */
void event_stream_free(struct event_stream *stream);
/* For a new connection: what was begun is forgotten. */
void event_stream_reset(struct event_stream *stream);

/* Takes bytes until one event is whole; call again with the rest. *consumed says how many of `length` were
 * used. NX_OK: `out` is the next event; its value lives until the next call. NX_EAGAIN: all bytes were taken.
 * NX_EINVAL: an object that is no event (`error`, JSON_ERROR_MAX bytes, names the member); the stream can go
 * on behind it. Anything else ends the stream: NX_EPROTO not JSON, NX_ERANGE a limit, NX_ENOMEM. */
int event_stream_feed(struct event_stream *stream, const char *data, size_t length, size_t *consumed,
                      struct event *out, char *error);
/* Bytes of an event whose end has not come; 0 when the connection ended between two. */
size_t event_stream_pending(const struct event_stream *stream);

/* "device", "security-group", … as the API writes them; "other" for EVENT_KIND_OTHER. */
const char *event_kind_name(enum event_kind kind);

#endif
