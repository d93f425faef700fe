/* yajl_gen places commas and escapes; it writes into a buffer of ours, which is limited and wiped. Its own
 * check of UTF-8 lets overlong forms pass, so texts are checked here. */
#include "ctld/nexodus/json_write.h"

#include "common/array.h"
#include "common/err.h"
#include "ctld/nexodus/json_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

enum { WRITER_DEPTH_MAX = JSON_DEPTH_MAX + 8 };

struct json_writer {
    yajl_gen yajl;
    char *text;
    size_t length, capacity, bytes_max;
    unsigned depth;
    bool array[WRITER_DEPTH_MAX]; /* what is open at each depth is an array, not an object */
    int err;
};

static void fail(struct json_writer *writer, int err)
{
    if (!writer->err)
        writer->err = err;
}

static void on_text(void *arg, const char *text, size_t length)
{
    struct json_writer *const writer = arg;
    if (writer->err)
        return;
    char *const grown =
        length > writer->bytes_max - writer->length
            ? NULL
            : array_reserve_secret(writer->text, &writer->capacity, writer->length + length + 2, 1);
    if (!grown) {
        fail(writer, NX_ENOMEM);
        return;
    }
    writer->text = grown;
    memcpy(grown + writer->length, text, length);
    writer->length += length;
}

struct json_writer *json_writer_new(size_t bytes_max)
{
    struct json_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return NULL;
    writer->bytes_max = bytes_max;
    writer->yajl = yajl_gen_alloc(NULL);
    if (!writer->yajl || !yajl_gen_config(writer->yajl, yajl_gen_print_callback, on_text, writer)) {
        json_writer_free(writer);
        writer = NULL;
    }
    return writer;
}

void json_writer_free(struct json_writer *writer)
{
    if (!writer)
        return;
    if (writer->yajl)
        yajl_gen_free(writer->yajl);
    if (writer->text)
        explicit_bzero(writer->text, writer->capacity);
    free(writer->text);
    free(writer);
}

void json_writer_reset(struct json_writer *writer)
{
    if (writer->text)
        explicit_bzero(writer->text, writer->capacity);
    writer->length = 0;
    writer->depth = 0;
    writer->err = NX_OK;
    yajl_gen_reset(writer->yajl, NULL);
}

static void check(struct json_writer *writer, yajl_gen_status status)
{
    if (status != yajl_gen_status_ok)
        fail(writer, NX_EINVAL);
}

static void put_text(struct json_writer *writer, const char *text, size_t length)
{
    if (!json_utf8_valid(text, length))
        fail(writer, NX_EINVAL);
    else
        check(writer, yajl_gen_string(writer->yajl, (const unsigned char *)text, length));
}

static void put_name(struct json_writer *writer, const char *name)
{
    const bool member = writer->depth > 0 && !writer->array[writer->depth - 1];
    if (member != (name != NULL))
        fail(writer, NX_EINVAL);
    else if (name)
        put_text(writer, name, strlen(name));
}

static void put_begin(struct json_writer *writer, const char *name, bool array)
{
    put_name(writer, name);
    if (writer->depth == WRITER_DEPTH_MAX) {
        fail(writer, NX_EINVAL);
        return;
    }
    writer->array[writer->depth++] = array;
    check(writer, array ? yajl_gen_array_open(writer->yajl) : yajl_gen_map_open(writer->yajl));
}

void json_put_object(struct json_writer *writer, const char *name)
{
    put_begin(writer, name, false);
}

void json_put_array(struct json_writer *writer, const char *name)
{
    put_begin(writer, name, true);
}

void json_put_end(struct json_writer *writer)
{
    if (writer->depth == 0)
        fail(writer, NX_EINVAL);
    else if (writer->array[--writer->depth])
        check(writer, yajl_gen_array_close(writer->yajl));
    else
        check(writer, yajl_gen_map_close(writer->yajl));
}

void json_put_string(struct json_writer *writer, const char *name, const char *text)
{
    put_name(writer, name);
    put_text(writer, text, strlen(text));
}

void json_put_bool(struct json_writer *writer, const char *name, bool value)
{
    put_name(writer, name);
    check(writer, yajl_gen_bool(writer->yajl, value));
}

void json_put_u64(struct json_writer *writer, const char *name, uint64_t value)
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    put_name(writer, name);
    check(writer, yajl_gen_number(writer->yajl, digits, (size_t)length));
}

void json_put_null(struct json_writer *writer, const char *name)
{
    put_name(writer, name);
    check(writer, yajl_gen_null(writer->yajl));
}

static void put_leaf(struct json_writer *writer, const char *name, const struct json_value *value)
{
    put_name(writer, name);
    switch (value->type) {
    case JSON_BOOL:
        check(writer, yajl_gen_bool(writer->yajl, value->truth));
        break;
    case JSON_NUMBER:
        check(writer, yajl_gen_number(writer->yajl, value->text, value->length));
        break;
    case JSON_STRING:
        put_text(writer, value->text, value->length);
        break;
    default:
        check(writer, yajl_gen_null(writer->yajl));
        break;
    }
}

/* Down to the first child, else along to the next sibling, else up: no recursion. */
void json_put_value(struct json_writer *writer, const char *name, const struct json_value *value)
{
    const struct json_value *at = value;
    if (!value) {
        json_put_null(writer, name);
        return;
    }
    for (;;) {
        const char *const here = at == value ? name : at->name;
        const bool nest = at->type == JSON_ARRAY || at->type == JSON_OBJECT;
        if (nest)
            put_begin(writer, here, at->type == JSON_ARRAY);
        else
            put_leaf(writer, here, at);
        if (nest && at->first && !writer->err) {
            at = at->first;
            continue;
        }
        if (nest)
            json_put_end(writer);
        while (at != value && !at->next) {
            at = at->parent;
            json_put_end(writer);
        }
        if (at == value || writer->err)
            return;
        at = at->next;
    }
}

int json_writer_end(struct json_writer *writer, const char **text, size_t *length)
{
    if (!writer->err && (writer->depth > 0 || writer->length == 0))
        fail(writer, NX_EINVAL);
    if (writer->err)
        return writer->err;
    if (writer->text[writer->length - 1] != '\n')
        on_text(writer, "\n", 1);
    if (writer->err)
        return writer->err;
    writer->text[writer->length] = '\0';
    *text = writer->text;
    *length = writer->length;
    return NX_OK;
}
