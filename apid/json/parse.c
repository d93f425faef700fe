/* yajl calls back for each token; the callbacks hang values into the tree at the end of the innermost open
 * array or object. Values and texts come from blocks that the document owns, so that freeing it walks no tree
 * and no depth of nesting can exhaust the stack. */
#include "apid/json/json.h"

#include "common/err.h"
#include "common/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum { BLOCK_BYTES = 4096 };

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(max_align_t) char bytes[];
};

struct json_document {
    struct block *blocks;
    struct json_value *root;
    size_t values;
};

struct parser {
    struct json_document *document;
    struct {
        struct json_value *container, *last;
    } open[JSON_DEPTH_MAX];
    size_t depth;
    const char *key;   /* of the next value */
    const char *limit; /* which limit was passed, or NULL */
    int err;
};

enum { GO_ON = 1, STOP = 0 };

static int stop(struct parser *parser, int err, const char *limit)
{
    parser->err = err;
    parser->limit = limit;
    return STOP;
}

static void *document_alloc(struct json_document *document, size_t bytes)
{
    const size_t align = _Alignof(struct json_value);
    bytes = (bytes + align - 1) / align * align;
    struct block *block = document->blocks;
    if (block == NULL || block->size - block->used < bytes) {
        const size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        block = malloc(sizeof(*block) + size);
        if (block == NULL)
            return NULL;
        *block = (struct block){.next = document->blocks, .size = size};
        document->blocks = block;
    }
    void *at = block->bytes + block->used;
    block->used += bytes;
    return at;
}

static const char *text_keep(struct parser *parser, const char *text, size_t length)
{
    if (memchr(text, '\0', length)) {
        stop(parser, NX_EINVAL, "NUL in a string");
        return NULL;
    }
    char *const copy = document_alloc(parser->document, length + 1);
    if (copy == NULL) {
        stop(parser, NX_ENOMEM, NULL);
        return NULL;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

static struct json_value *value_add(struct parser *parser, enum json_type type)
{
    struct json_document *const document = parser->document;
    if (++document->values > JSON_VALUES_MAX) {
        stop(parser, NX_ERANGE, "too many values");
        return NULL;
    }
    struct json_value *const value = document_alloc(document, sizeof(*value));
    if (value == NULL) {
        stop(parser, NX_ENOMEM, NULL);
        return NULL;
    }
    *value = (struct json_value){.type = type, .key = parser->key};
    parser->key = NULL;
    if (parser->depth == 0) {
        document->root = value;
    } else if (parser->open[parser->depth - 1].last) {
        parser->open[parser->depth - 1].last->next = value;
    } else {
        parser->open[parser->depth - 1].container->child = value;
    }
    if (parser->depth > 0)
        parser->open[parser->depth - 1].last = value;
    return value;
}

static int text_add(struct parser *parser, enum json_type type, const char *text, size_t length)
{
    struct json_value *const value = value_add(parser, type);
    if (value == NULL)
        return STOP;
    value->text = text_keep(parser, text, length);
    value->length = length;
    return value->text != NULL;
}

static int container_add(struct parser *parser, enum json_type type)
{
    if (parser->depth == JSON_DEPTH_MAX)
        return stop(parser, NX_ERANGE, "nested too deeply");
    struct json_value *const value = value_add(parser, type);
    if (value == NULL)
        return STOP;
    parser->open[parser->depth].container = value;
    parser->open[parser->depth++].last = NULL;
    return GO_ON;
}

static int on_null(void *arg)
{
    return value_add(arg, JSON_NULL) != NULL;
}

static int on_boolean(void *arg, int is_true)
{
    struct json_value *const value = value_add(arg, JSON_BOOL);
    if (value)
        value->boolean = is_true;
    return value != NULL;
}

static int on_number(void *arg, const char *text, size_t length)
{
    return text_add(arg, JSON_NUMBER, text, length);
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
    return text_add(arg, JSON_STRING, (const char *)text, length);
}

static int on_key(void *arg, const unsigned char *text, size_t length)
{
    struct parser *const parser = arg;
    parser->key = text_keep(parser, (const char *)text, length);
    return parser->key != NULL;
}

static int on_object(void *arg)
{
    return container_add(arg, JSON_OBJECT);
}

static int on_array(void *arg)
{
    return container_add(arg, JSON_ARRAY);
}

static int on_end(void *arg)
{
    ((struct parser *)arg)->depth--;
    return GO_ON;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_array,
    .yajl_end_array = on_end,
};

/* What to tell the client: the limit, the character that yajl stopped at, or that the text ended too soon. */
static void error_describe(char error[JSON_ERROR_MAX], const struct parser *parser, const char *data,
                           size_t length, size_t consumed, bool ended)
{
    if (parser->limit)
        snprintf(error, JSON_ERROR_MAX, "%s", parser->limit);
    else if (parser->err == NX_ENOMEM)
        snprintf(error, JSON_ERROR_MAX, "out of memory");
    else if (length == 0)
        snprintf(error, JSON_ERROR_MAX, "EOF");
    else if (ended || consumed == 0 || consumed > length)
        snprintf(error, JSON_ERROR_MAX, "unexpected EOF");
    else if (data[consumed - 1] > ' ' && data[consumed - 1] < 0x7f)
        snprintf(error, JSON_ERROR_MAX, "invalid character '%c' at offset %zu", data[consumed - 1],
                 consumed - 1);
    else
        snprintf(error, JSON_ERROR_MAX, "invalid character at offset %zu", consumed - 1);
}

int json_parse(const char *data, size_t length, struct json_document **out, char error[JSON_ERROR_MAX])
{
    struct parser parser = {.err = NX_EINVAL};
    yajl_handle yajl = NULL;
    *out = NULL;
    error[0] = '\0';
    if (length > JSON_BODY_MAX) {
        snprintf(error, JSON_ERROR_MAX, "longer than %d bytes", JSON_BODY_MAX);
        return NX_ERANGE;
    }
    parser.document = calloc(1, sizeof(*parser.document));
    yajl = yajl_alloc(&callbacks, NULL, &parser);
    int err = NX_ENOMEM;
    if (parser.document == NULL || yajl == NULL) {
        snprintf(error, JSON_ERROR_MAX, "out of memory");
        goto out;
    }
    yajl_status status = yajl_parse(yajl, (const unsigned char *)data, length);
    const bool ended = status == yajl_status_ok;
    if (ended)
        status = yajl_complete_parse(yajl);
    err = status == yajl_status_ok && parser.document->root ? NX_OK : parser.err;
    if (err)
        error_describe(error, &parser, data, length, yajl_get_bytes_consumed(yajl), ended);
out:
    if (yajl)
        yajl_free(yajl);
    if (err)
        json_free(parser.document);
    else
        *out = parser.document;
    return err;
}

void json_free(struct json_document *document)
{
    if (document == NULL)
        return;
    for (struct block *block = document->blocks, *next; block; block = next) {
        next = block->next;
        explicit_bzero(block->bytes, block->used); /* passwords and tokens come in documents */
        free(block);
    }
    free(document);
}

const struct json_value *json_root(const struct json_document *document)
{
    return document->root;
}

const struct json_value *json_member(const struct json_value *object, const char *key)
{
    const struct json_value *found = NULL;
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json_value *member = object->child; member; member = member->next)
        if (strcmp(member->key, key) == 0)
            found = member;
    return found;
}

const char *json_member_text(const struct json_value *object, const char *key)
{
    const struct json_value *const member = json_member(object, key);
    return member && member->type == JSON_STRING ? member->text : NULL;
}

int json_to_u64(const struct json_value *value, uint64_t max, uint64_t *out)
{
    if (value == NULL || value->type != JSON_NUMBER)
        return NX_EINVAL;
    return text_to_u64(value->text, value->length, 0, max, out) ? NX_EINVAL : NX_OK;
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",     [JSON_BOOL] = "bool",   [JSON_NUMBER] = "number",
        [JSON_STRING] = "string", [JSON_ARRAY] = "array", [JSON_OBJECT] = "object",
    };
    return names[type];
}
