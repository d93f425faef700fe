/* Pieces of any size become documents. Where a document ends only yajl knows; so it is given bytes up to a
 * bracket that may close the root, and says how far it has read.
 *
 * yajl begins a token anew with each piece that does not end it: a long string in pieces of a byte would cost
 * the square of its length. So small pieces are gathered, until a bracket outside strings comes or the buffer
 * is full; to know brackets from text, the bytes are followed through strings and escapes. Bytes are counted
 * before yajl gets them, which bounds what it keeps of a token that has not ended. */
#include "common/err.h"
#include "ctld/nexodus/json_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GATHER_BYTES = 4096 };

const struct json_limits json_limits_answer = {
    .bytes_max = 256 << 10, .string_max = 32 << 10, .values_max = 8192, .depth_max = 16};

enum scan { SCAN_OUTSIDE = 0, SCAN_STRING, SCAN_ESCAPE };

struct json_reader {
    struct json_tree tree;
    yajl_handle yajl; /* NULL between documents */
    size_t taken;     /* bytes of the present document */
    size_t parsed;    /* … of these, known to yajl */
    size_t gathered;  /* … in the buffer still */
    enum scan scan;   /* where the last byte taken was */
    int err;          /* why nothing more can be read, or NX_OK */
    const char *what; /* … in words */
    char gather[GATHER_BYTES];
};

struct json_reader *json_reader_new(const struct json_limits *limits)
{
    struct json_reader *const reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->tree.limits = *limits;
    if (reader->tree.limits.depth_max > JSON_DEPTH_MAX)
        reader->tree.limits.depth_max = JSON_DEPTH_MAX;
    return reader;
}

void json_reader_reset(struct json_reader *reader)
{
    if (reader->yajl)
        yajl_free(reader->yajl);
    reader->yajl = NULL;
    json_tree_reset(&reader->tree);
    explicit_bzero(reader->gather, sizeof reader->gather);
    reader->taken = reader->parsed = reader->gathered = 0;
    reader->scan = SCAN_OUTSIDE;
    reader->err = NX_OK;
    reader->what = NULL;
}

void json_reader_free(struct json_reader *reader)
{
    if (!reader)
        return;
    json_reader_reset(reader);
    json_tree_destroy(&reader->tree);
    free(reader);
}

size_t json_reader_pending(const struct json_reader *reader)
{
    return reader->tree.done ? 0 : reader->taken;
}

const struct json_value *json_reader_root(const struct json_reader *reader)
{
    return reader->tree.done ? reader->tree.root : NULL;
}

static int reader_failed(struct json_reader *reader, int err, const char *what, char *error)
{
    reader->err = err;
    reader->what = what;
    snprintf(error, JSON_ERROR_MAX, "near byte %zu: %s", reader->taken, what);
    return err;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Follows one byte. True: a bracket that closes something. */
static bool scan_closes(enum scan *scan, char c)
{
    switch (*scan) {
    case SCAN_ESCAPE:
        *scan = SCAN_STRING;
        return false;
    case SCAN_STRING:
        *scan = c == '\\' ? SCAN_ESCAPE : c == '"' ? SCAN_OUTSIDE : SCAN_STRING;
        return false;
    case SCAN_OUTSIDE:
        break;
    }
    if (c == '"')
        *scan = SCAN_STRING;
    return c == '}' || c == ']';
}

/* To yajl, all of it. NX_EAGAIN: the document goes on. */
static int parse(struct json_reader *reader, const char *data, size_t length, char *error)
{
    const struct json_tree *const tree = &reader->tree;
    const yajl_status status = yajl_parse(reader->yajl, (const unsigned char *)data, length);
    if (tree->done)
        return NX_OK;
    if (status == yajl_status_ok) {
        reader->parsed += length;
        return NX_EAGAIN;
    }
    reader->taken = reader->parsed + yajl_get_bytes_consumed(reader->yajl);
    return tree->err ? reader_failed(reader, tree->err, tree->what, error)
                     : reader_failed(reader, NX_EPROTO, "not JSON", error);
}

/* What was gathered, and the next `length` bytes, which end at a bracket or where the piece ends. */
static int flush(struct json_reader *reader, const char *data, size_t length, bool closes, char *error)
{
    int err = NX_EAGAIN;
    reader->taken += length;
    if (length <= GATHER_BYTES - reader->gathered) {
        memcpy(reader->gather + reader->gathered, data, length);
        reader->gathered += length;
        if (!closes && reader->gathered < GATHER_BYTES)
            return NX_EAGAIN;
        length = 0;
    }
    if (reader->gathered > 0)
        err = parse(reader, reader->gather, reader->gathered, error);
    reader->gathered = 0;
    return err == NX_EAGAIN && length > 0 ? parse(reader, data, length, error) : err;
}

static int document_feed(struct json_reader *reader, const char *data, size_t length, size_t *consumed,
                         char *error)
{
    const size_t room = reader->tree.limits.bytes_max - reader->taken, size = length < room ? length : room;
    size_t from = 0;
    int err = NX_EAGAIN;
    for (size_t at = 0; at < size && err == NX_EAGAIN; at++) {
        const bool closes = scan_closes(&reader->scan, data[at]);
        if (!closes && at + 1 < size)
            continue;
        err = flush(reader, data + from, at + 1 - from, closes, error);
        from = at + 1;
    }
    *consumed += from;
    if (err == NX_EAGAIN && size < length)
        return reader_failed(reader, NX_ERANGE, "larger than an answer may be", error);
    return err;
}

int json_reader_feed(struct json_reader *reader, const char *data, size_t length, size_t *consumed,
                     char *error)
{
    *consumed = 0;
    if (reader->err)
        return reader_failed(reader, reader->err, reader->what, error);
    if (reader->tree.done)
        json_reader_reset(reader);
    while (!reader->yajl && *consumed < length && is_blank(data[*consumed]))
        ++*consumed;
    if (*consumed == length)
        return NX_EAGAIN;
    if (!reader->yajl) {
        if (data[*consumed] != '{' && data[*consumed] != '[')
            return reader_failed(reader, NX_EPROTO, "neither an object nor an array", error);
        reader->yajl = yajl_alloc(&json_tree_callbacks, &json_tree_yajl_memory, &reader->tree);
        if (!reader->yajl)
            return reader_failed(reader, NX_ENOMEM, "out of memory", error);
    }
    return document_feed(reader, data + *consumed, length - *consumed, consumed, error);
}

int json_read(struct json_reader *reader, const char *data, size_t length, const struct json_value **out,
              char *error)
{
    size_t consumed;
    *out = NULL;
    json_reader_reset(reader);
    int err = json_reader_feed(reader, data, length, &consumed, error);
    if (err == NX_EAGAIN && reader->gathered > 0) /* what is wrong may be in there */
        err = parse(reader, reader->gather, reader->gathered, error);
    if (err == NX_EAGAIN)
        err = reader_failed(reader, NX_EPROTO, length == 0 ? "empty" : "cut short", error);
    if (err)
        return err;
    while (consumed < length)
        if (!is_blank(data[consumed++])) {
            reader->tree.done = false;
            return reader_failed(reader, NX_EPROTO, "more than one value", error);
        }
    *out = reader->tree.root;
    return NX_OK;
}
