/* yajl calls back for each token; the callbacks hang values into the tree below the innermost open array or
 * object. The end of the root stops yajl ("cancel"), which tells how far it has read, so that a piece may
 * hold the end of one document and the beginning of the next.
 *
 * Values, names and texts live in blocks that belong to the reader; the first block is kept for the next
 * document. Bytes are counted before yajl gets them, which bounds what yajl keeps of a token that has not
 * ended. yajl does not look whether it got memory: without any, the process ends. */
#include "ctld/nexodus/json_tree.h"

#include "common/err.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum { BLOCK_BYTES = 8192, ALIGNMENT = 16 };

const struct json_limits json_limits_answer = {
    .bytes_max = 256 << 10, .string_max = 32 << 10, .values_max = 8192, .depth_max = 16};

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct json_reader {
    struct json_limits limits;
    yajl_handle yajl;     /* NULL between documents */
    struct block *blocks; /* the present one first */
    struct json_value *root, *open;
    const char *name; /* of the member whose value comes next */
    size_t taken, values;
    unsigned depth;
    bool done;
    int err;          /* why nothing more can be read, or NX_OK */
    const char *what; /* … in words */
};

/* -- Memory -- */

/* Each allocation of yajl's remembers its size, so that it can be wiped. */
static void *yajl_memory_new(void *arg, size_t size)
{
    (void)arg;
    size_t *const memory = size > SIZE_MAX - ALIGNMENT ? NULL : malloc(ALIGNMENT + size);
    if (!memory)
        log_fatal("out of memory while reading JSON");
    *memory = size;
    return (unsigned char *)memory + ALIGNMENT;
}

static void yajl_memory_free(void *arg, void *pointer)
{
    (void)arg;
    if (!pointer)
        return;
    void *const memory = (unsigned char *)pointer - ALIGNMENT;
    explicit_bzero(memory, ALIGNMENT + *(size_t *)memory);
    free(memory);
}

static void *yajl_memory_resize(void *arg, void *pointer, size_t size)
{
    void *const grown = yajl_memory_new(arg, size);
    if (pointer) {
        const size_t old = *(size_t *)(void *)((unsigned char *)pointer - ALIGNMENT);
        memcpy(grown, pointer, old < size ? old : size);
        yajl_memory_free(arg, pointer);
    }
    return grown;
}

static yajl_alloc_funcs yajl_memory = {
    .malloc = yajl_memory_new, .realloc = yajl_memory_resize, .free = yajl_memory_free};

static void block_free(struct block *block)
{
    explicit_bzero(block, sizeof *block + block->used);
    free(block);
}

static void *take(struct json_reader *reader, size_t size)
{
    struct block *block = reader->blocks;
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (!block || block->size - block->used < size) {
        const size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        *block = (struct block){.next = reader->blocks, .size = room};
        reader->blocks = block;
    }
    void *const memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

/* -- The tree grows -- */

enum { GO_ON = 1, STOP = 0 };

static int stop(struct json_reader *reader, int err, const char *what)
{
    reader->err = err;
    reader->what = what;
    return STOP;
}

bool json_utf8_valid(const char *text, size_t length)
{
    const unsigned char *byte = (const unsigned char *)text, *const end = byte + length;
    while (byte < end) {
        const unsigned char lead = *byte++;
        if (lead < 0x80)
            continue;
        const size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || (size_t)(end - byte) < more)
            return false;
        /* The second byte tells overlong forms, surrogates and what is beyond U+10FFFF. */
        const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
        const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
        if (byte[0] < low || byte[0] > high)
            return false;
        for (size_t i = 1; i < more; i++)
            if ((byte[i] & 0xc0) != 0x80)
                return false;
        byte += more;
    }
    return true;
}

static const char *text_keep(struct json_reader *reader, const void *text, size_t length)
{
    if (length > reader->limits.string_max) {
        stop(reader, NX_ERANGE, "a string is too long");
        return NULL;
    }
    if (!json_utf8_valid(text, length)) {
        stop(reader, NX_EPROTO, "not UTF-8");
        return NULL;
    }
    char *const kept = take(reader, length + 1);
    if (!kept) {
        stop(reader, NX_ENOMEM, "out of memory");
        return NULL;
    }
    memcpy(kept, text, length);
    kept[length] = '\0';
    return kept;
}

static struct json_value *value_add(struct json_reader *reader, enum json_type type)
{
    if (reader->values++ >= reader->limits.values_max) {
        stop(reader, NX_ERANGE, "too many values");
        return NULL;
    }
    if (!reader->open && type != JSON_ARRAY && type != JSON_OBJECT) {
        stop(reader, NX_EPROTO, "neither an object nor an array");
        return NULL;
    }
    struct json_value *const value = take(reader, sizeof *value), *const parent = reader->open;
    if (!value) {
        stop(reader, NX_ENOMEM, "out of memory");
        return NULL;
    }
    *value = (struct json_value){.type = type, .name = reader->name, .parent = parent};
    reader->name = NULL;
    if (!parent) {
        reader->root = value;
        return value;
    }
    value->index = parent->count++;
    if (parent->last)
        parent->last->next = value;
    else
        parent->first = value;
    parent->last = value;
    return value;
}

static int text_add(struct json_reader *reader, enum json_type type, const void *text, size_t length)
{
    const char *const kept = text_keep(reader, text, length);
    struct json_value *const value = kept ? value_add(reader, type) : NULL;
    if (!value)
        return STOP;
    value->text = kept;
    value->length = length;
    return GO_ON;
}

static int on_null(void *arg)
{
    return value_add(arg, JSON_NULL) ? GO_ON : STOP;
}

static int on_boolean(void *arg, int truth)
{
    struct json_value *const value = value_add(arg, JSON_BOOL);
    if (value)
        value->truth = truth != 0;
    return value ? GO_ON : STOP;
}

static int on_number(void *arg, const char *text, size_t length)
{
    return text_add(arg, JSON_NUMBER, text, length);
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
    return text_add(arg, JSON_STRING, text, length);
}

static int on_name(void *arg, const unsigned char *text, size_t length)
{
    struct json_reader *const reader = arg;
    if (memchr(text, '\0', length))
        return stop(reader, NX_EPROTO, "a name with a NUL byte inside");
    reader->name = text_keep(reader, text, length);
    return reader->name ? GO_ON : STOP;
}

static int begin(struct json_reader *reader, enum json_type type)
{
    if (reader->depth++ >= reader->limits.depth_max)
        return stop(reader, NX_ERANGE, "nested too deeply");
    struct json_value *const value = value_add(reader, type);
    if (value)
        reader->open = value;
    return value ? GO_ON : STOP;
}

static int on_array(void *arg)
{
    return begin(arg, JSON_ARRAY);
}

static int on_object(void *arg)
{
    return begin(arg, JSON_OBJECT);
}

static int on_end(void *arg)
{
    struct json_reader *const reader = arg;
    reader->open = reader->open->parent;
    reader->depth--;
    reader->done = reader->depth == 0;
    return reader->done ? STOP : GO_ON;
}

static const yajl_callbacks callbacks = {.yajl_null = on_null,
                                         .yajl_boolean = on_boolean,
                                         .yajl_number = on_number,
                                         .yajl_string = on_string,
                                         .yajl_start_map = on_object,
                                         .yajl_map_key = on_name,
                                         .yajl_end_map = on_end,
                                         .yajl_start_array = on_array,
                                         .yajl_end_array = on_end};

/* -- The reader -- */

struct json_reader *json_reader_new(const struct json_limits *limits)
{
    struct json_reader *const reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->limits = *limits;
    if (reader->limits.depth_max > JSON_DEPTH_MAX)
        reader->limits.depth_max = JSON_DEPTH_MAX;
    return reader;
}

void json_reader_reset(struct json_reader *reader)
{
    const struct json_limits limits = reader->limits;
    struct block *block = reader->blocks;
    if (reader->yajl)
        yajl_free(reader->yajl);
    while (block && block->next) {
        struct block *const next = block->next;
        block_free(block);
        block = next;
    }
    if (block) {
        explicit_bzero(block->bytes, block->used);
        block->used = 0;
    }
    *reader = (struct json_reader){.limits = limits, .blocks = block};
}

void json_reader_free(struct json_reader *reader)
{
    if (!reader)
        return;
    json_reader_reset(reader);
    if (reader->blocks)
        block_free(reader->blocks);
    free(reader);
}

size_t json_reader_pending(const struct json_reader *reader)
{
    return reader->done ? 0 : reader->taken;
}

const struct json_value *json_reader_root(const struct json_reader *reader)
{
    return reader->done ? reader->root : NULL;
}

static int reader_failed(struct json_reader *reader, int err, const char *what, char *error)
{
    stop(reader, err, what);
    snprintf(error, JSON_ERROR_MAX, "near byte %zu: %s", reader->taken, what);
    return err;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What the limit on bytes still admits, to yajl. */
static int piece_feed(struct json_reader *reader, const char *data, size_t length, size_t *consumed,
                      char *error)
{
    const size_t room = reader->limits.bytes_max - reader->taken, size = length < room ? length : room;
    const yajl_status status = yajl_parse(reader->yajl, (const unsigned char *)data, size);
    const size_t used = status == yajl_status_ok ? size : yajl_get_bytes_consumed(reader->yajl);
    reader->taken += used;
    *consumed += used;
    if (reader->done)
        return NX_OK;
    if (status == yajl_status_ok && size == length)
        return NX_EAGAIN;
    if (status == yajl_status_ok)
        return reader_failed(reader, NX_ERANGE, "larger than an answer may be", error);
    return reader->err ? reader_failed(reader, reader->err, reader->what, error)
                       : reader_failed(reader, NX_EPROTO, "not JSON", error);
}

int json_reader_feed(struct json_reader *reader, const char *data, size_t length, size_t *consumed,
                     char *error)
{
    *consumed = 0;
    if (reader->err)
        return reader_failed(reader, reader->err, reader->what, error);
    if (reader->done)
        json_reader_reset(reader);
    while (!reader->yajl && *consumed < length && is_blank(data[*consumed]))
        ++*consumed;
    if (*consumed == length)
        return NX_EAGAIN;
    if (!reader->yajl) {
        if (data[*consumed] != '{' && data[*consumed] != '[')
            return reader_failed(reader, NX_EPROTO, "neither an object nor an array", error);
        reader->yajl = yajl_alloc(&callbacks, &yajl_memory, reader);
        if (!reader->yajl)
            return reader_failed(reader, NX_ENOMEM, "out of memory", error);
    }
    return piece_feed(reader, data + *consumed, length - *consumed, consumed, error);
}

int json_read(struct json_reader *reader, const char *data, size_t length, const struct json_value **out,
              char *error)
{
    size_t consumed;
    *out = NULL;
    json_reader_reset(reader);
    int err = json_reader_feed(reader, data, length, &consumed, error);
    if (err == NX_EAGAIN)
        err = reader_failed(reader, NX_EPROTO, length == 0 ? "empty" : "cut short", error);
    if (err)
        return err;
    while (consumed < length)
        if (!is_blank(data[consumed++])) {
            reader->done = false;
            return reader_failed(reader, NX_EPROTO, "more than one value", error);
        }
    *out = reader->root;
    return NX_OK;
}
