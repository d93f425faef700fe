/* A document at a time: the JSON reader stops behind each, and what is left of the piece is the beginning of
 * the next. The reader's memory is all that there is, and it is used again for each event. */
#include "ctld/nexodus/event_stream.h"

#include "common/err.h"

#include <stdlib.h>
#include <string.h>

const struct json_limits event_stream_limits = {
    .bytes_max = 128 << 10, .string_max = 8 << 10, .values_max = 4096, .depth_max = 16};

enum { EVENT_NAME_MAX = 64 };

struct event_stream {
    struct json_reader *reader;
};

static const char *const kinds[] = {[EVENT_KIND_OTHER] = "other",
                                    [EVENT_DEVICE] = "device",
                                    [EVENT_SECURITY_GROUP] = "security-group",
                                    [EVENT_DEVICE_METADATA] = "device-metadata",
                                    [EVENT_VPC] = "vpc"};
static const char *const types[] = {
    [EVENT_OTHER] = "",     [EVENT_CHANGE] = "change",     [EVENT_DELETE] = "delete",
    [EVENT_TAIL] = "tail",  [EVENT_BOOKMARK] = "bookmark", [EVENT_ERROR] = "error",
    [EVENT_CLOSE] = "close"};

struct event_stream *event_stream_new(void)
{
    struct event_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->reader = json_reader_new(&event_stream_limits);
    if (!stream->reader) {
        free(stream);
        stream = NULL;
    }
    return stream;
}

void event_stream_free(struct event_stream *stream)
{
    if (!stream)
        return;
    json_reader_free(stream->reader);
    free(stream);
}

void event_stream_reset(struct event_stream *stream)
{
    json_reader_reset(stream->reader);
}

size_t event_stream_pending(const struct event_stream *stream)
{
    return json_reader_pending(stream->reader);
}

const char *event_kind_name(enum event_kind kind)
{
    return kinds[kind];
}

/* The place of `name` in a table, 0 if it is not in it. */
static size_t lookup(const char *const *table, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(table[i], name) == 0)
            return i;
    return 0;
}

/* {"type":"error","value":{"error":…}}, or an error object as other answers have it. */
static void error_read(const struct json_value *holder, struct event *out)
{
    const struct json_value *const text = json_member(holder, "error");
    out->type = EVENT_ERROR;
    if (text)
        json_copy_printable(text, out->error, sizeof out->error);
    else
        json_copy_printable(holder, out->error, sizeof out->error);
}

static int event_read(const struct json_value *root, struct event *out, char *error)
{
    const char *kind = "", *type = NULL;
    int err = json_require_object(root, error);
    if (!err && !json_member(root, "type") && json_member(root, "error")) {
        error_read(root, out);
        return NX_OK;
    }
    if (!err)
        err = json_get_string_optional(root, "kind", EVENT_NAME_MAX, &kind, error);
    if (!err)
        err = json_get_string(root, "type", EVENT_NAME_MAX, &type, error);
    if (err)
        return err;
    out->kind = (enum event_kind)lookup(kinds, sizeof kinds / sizeof *kinds, kind);
    out->type = (enum event_type)lookup(types, sizeof types / sizeof *types, type);
    out->value = json_member(root, "value");
    if (out->type == EVENT_ERROR) {
        error_read(out->value, out);
        return NX_OK;
    }
    if ((out->type == EVENT_CHANGE || out->type == EVENT_DELETE) && json_type(out->value) != JSON_OBJECT)
        return json_fail(root, "value", out->value ? "not an object" : "missing", error);
    return json_get_u64_optional(out->value, "revision", 0, INT64_MAX, &out->revision, error);
}

int event_stream_feed(struct event_stream *stream, const char *data, size_t length, size_t *consumed,
                      struct event *out, char *error)
{
    *out = (struct event){.kind = EVENT_KIND_OTHER};
    int err = json_reader_feed(stream->reader, data, length, consumed, error);
    if (!err)
        err = event_read(json_reader_root(stream->reader), out, error);
    if (err)
        *out = (struct event){.kind = EVENT_KIND_OTHER};
    return err;
}
