/* yajl calls back for each token; the callbacks know where they are by depth and by the top-level member that
 * they are inside. The end of the top-level object stops yajl ("cancel"), which tells how far it has read: so
 * a chunk may hold several requests, or a part of one. Each request has a fresh yajl handle, made when its
 * first byte that is not blank comes.
 *
 * Limits: bytes of a request are counted here before yajl gets them, which also bounds what yajl buffers of a
 * token; depth is counted in the callbacks; too long members end the parsing. */
#include "ctld/jsonrpc.h"

#include "common/array.h"
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

enum member { MEMBER_OTHER = 0, MEMBER_METHOD, MEMBER_PARAMS, MEMBER_ID };

struct jsonrpc_parser {
    yajl_handle yajl; /* NULL between requests */
    size_t taken;     /* bytes of the present request */
    unsigned depth;
    enum member member;
    size_t params_seen;
    bool params_array, done;
    int err; /* NX_OK, or why a callback stopped */
    struct jsonrpc_request request;
};

enum { GO_ON = 1, STOP = 0 };

static int stop(struct jsonrpc_parser *parser, int err)
{
    parser->err = err;
    return STOP;
}

/* Copies a member's text; NUL bytes would hide what follows them. */
static int text_copy(struct jsonrpc_parser *parser, char *out, size_t out_size, const void *text,
                     size_t length)
{
    if (length >= out_size)
        return stop(parser, NX_ERANGE);
    if (memchr(text, '\0', length))
        return stop(parser, NX_EPROTO);
    memcpy(out, text, length);
    out[length] = '\0';
    return GO_ON;
}

/* A value that begins: `type` is its name. Depth 1 is a member of the request, depth 2 an element of params.
 */
static int value(struct jsonrpc_parser *parser, const char *type, const void *text, size_t length)
{
    struct jsonrpc_request *request = &parser->request;
    bool is_string = strcmp(type, "string") == 0, is_null = strcmp(type, "null") == 0;
    if (parser->depth == 0)
        return stop(parser, NX_EPROTO); /* not an object */
    if (parser->depth == 2 && parser->member == MEMBER_PARAMS && parser->params_array) {
        if (parser->params_seen++ > 0 || is_null)
            return GO_ON;
        request->param_kind = is_string ? JSONRPC_PARAM_STRING : JSONRPC_PARAM_OTHER;
        return is_string ? text_copy(parser, request->param, sizeof request->param, text, length)
                         : text_copy(parser, request->param, sizeof request->param, type, strlen(type));
    }
    if (parser->depth != 1)
        return GO_ON;
    switch (parser->member) {
    case MEMBER_METHOD:
        if (is_null)
            return GO_ON;
        return is_string ? text_copy(parser, request->method, sizeof request->method, text, length)
                         : stop(parser, NX_EPROTO);
    case MEMBER_PARAMS:
        parser->params_array = strcmp(type, "array") == 0;
        parser->params_seen = 0;
        request->param[0] = '\0';
        request->param_kind = is_null ? JSONRPC_PARAMS_MISSING : JSONRPC_PARAM_STRING;
        return parser->params_array || is_null ? GO_ON : stop(parser, NX_EPROTO);
    case MEMBER_ID:
        if (is_null)
            request->id_kind = JSONRPC_ID_NULL;
        else if (is_string)
            request->id_kind = JSONRPC_ID_STRING;
        else if (strcmp(type, "number") == 0)
            request->id_kind = JSONRPC_ID_NUMBER;
        else
            return stop(parser, NX_EPROTO);
        return is_null ? GO_ON : text_copy(parser, request->id, sizeof request->id, text, length);
    case MEMBER_OTHER:
        break;
    }
    return GO_ON;
}

static int on_null(void *arg)
{
    return value(arg, "null", NULL, 0);
}

static int on_boolean(void *arg, int is_true)
{
    (void)is_true;
    return value(arg, "bool", NULL, 0);
}

static int on_number(void *arg, const char *text, size_t length)
{
    return value(arg, "number", text, length);
}

static int on_string(void *arg, const unsigned char *text, size_t length)
{
    return value(arg, "string", text, length);
}

static int deeper(struct jsonrpc_parser *parser)
{
    return ++parser->depth > JSONRPC_DEPTH_MAX ? stop(parser, NX_ERANGE) : GO_ON;
}

static int on_start_map(void *arg)
{
    struct jsonrpc_parser *parser = arg;
    if (parser->depth > 0 && !value(parser, "object", NULL, 0))
        return STOP;
    return deeper(parser);
}

static int on_start_array(void *arg)
{
    struct jsonrpc_parser *parser = arg;
    return value(parser, "array", NULL, 0) ? deeper(parser) : STOP;
}

static int on_end_array(void *arg)
{
    struct jsonrpc_parser *parser = arg;
    parser->depth--;
    return GO_ON;
}

static int on_end_map(void *arg)
{
    struct jsonrpc_parser *parser = arg;
    if (--parser->depth > 0)
        return GO_ON;
    parser->done = true;
    return STOP;
}

static int on_map_key(void *arg, const unsigned char *key, size_t length)
{
    static const struct {
        const char *name;
        enum member member;
    } members[] = {{"method", MEMBER_METHOD}, {"params", MEMBER_PARAMS}, {"id", MEMBER_ID}};
    struct jsonrpc_parser *parser = arg;
    if (parser->depth != 1)
        return GO_ON;
    parser->member = MEMBER_OTHER;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (length == strlen(members[i].name) && memcmp(key, members[i].name, length) == 0)
            parser->member = members[i].member;
    return GO_ON;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end_map,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end_array,
};

struct jsonrpc_parser *jsonrpc_parser_new(void)
{
    return calloc(1, sizeof(struct jsonrpc_parser));
}

static void parser_reset(struct jsonrpc_parser *parser)
{
    if (parser->yajl)
        yajl_free(parser->yajl);
    *parser = (struct jsonrpc_parser){0};
}

void jsonrpc_parser_free(struct jsonrpc_parser *parser)
{
    if (!parser)
        return;
    parser_reset(parser);
    free(parser);
}

bool jsonrpc_parser_busy(const struct jsonrpc_parser *parser)
{
    return parser->yajl != NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* One call of yajl on what the limit still admits. */
static int parse_chunk(struct jsonrpc_parser *parser, const char *data, size_t length, size_t *taken,
                       struct jsonrpc_request *out)
{
    size_t room = JSONRPC_REQUEST_MAX - parser->taken;
    size_t chunk = length < room ? length : room;
    yajl_status status = yajl_parse(parser->yajl, (const unsigned char *)data, chunk);
    if (status == yajl_status_ok) {
        *taken = chunk;
        parser->taken += chunk;
        return chunk < length || parser->taken == JSONRPC_REQUEST_MAX ? NX_ERANGE : NX_EAGAIN;
    }
    if (!parser->done)
        return parser->err ? parser->err : NX_EPROTO;
    *taken = yajl_get_bytes_consumed(parser->yajl);
    *out = parser->request;
    parser_reset(parser);
    return NX_OK;
}

int jsonrpc_parse(struct jsonrpc_parser *parser, const char *data, size_t length, size_t *consumed,
                  struct jsonrpc_request *out)
{
    size_t at = 0;
    *consumed = 0;
    while (!parser->yajl && at < length && is_blank(data[at]))
        at++;
    *consumed = at;
    if (at == length)
        return NX_EAGAIN;
    if (!parser->yajl) {
        if (data[at] != '{')
            return NX_EPROTO;
        parser->yajl = yajl_alloc(&callbacks, NULL, parser);
        if (!parser->yajl)
            return NX_ENOMEM;
    }
    size_t taken = 0;
    int err = parse_chunk(parser, data + at, length - at, &taken, out);
    *consumed += taken;
    return err;
}

/* -- Writing -- */

void jsonrpc_text_init(struct jsonrpc_text *text, size_t max)
{
    *text = (struct jsonrpc_text){.max = max};
}

void jsonrpc_text_free(struct jsonrpc_text *text)
{
    free(text->data);
    *text = (struct jsonrpc_text){.max = text->max};
}

void jsonrpc_put(struct jsonrpc_text *text, const char *data, size_t length)
{
    if (length == 0)
        return;
    char *grown = text->failed || length > text->max - text->length
                      ? NULL
                      : array_reserve(text->data, &text->capacity, text->length + length, 1);
    if (!grown) {
        text->failed = true;
        return;
    }
    text->data = grown;
    memcpy(text->data + text->length, data, length);
    text->length += length;
}

void jsonrpc_putf(struct jsonrpc_text *text, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof line)
        text->failed = true;
    else
        jsonrpc_put(text, line, (size_t)length);
}

static void put_escaped(struct jsonrpc_text *text, char c)
{
    switch (c) {
    case '"':
    case '\\':
        jsonrpc_putf(text, "\\%c", c);
        break;
    case '\n':
        jsonrpc_put(text, "\\n", 2);
        break;
    case '\r':
        jsonrpc_put(text, "\\r", 2);
        break;
    case '\t':
        jsonrpc_put(text, "\\t", 2);
        break;
    default:
        jsonrpc_putf(text, "\\u%04x", (unsigned char)c);
        break;
    }
}

void jsonrpc_put_string(struct jsonrpc_text *text, const char *data, size_t length)
{
    jsonrpc_put(text, "\"", 1);
    size_t plain = 0; /* start of the run that needs no escape */
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)data[i] >= 0x20 && data[i] != '"' && data[i] != '\\')
            continue;
        jsonrpc_put(text, data + plain, i - plain);
        put_escaped(text, data[i]);
        plain = i + 1;
    }
    jsonrpc_put(text, data + plain, length - plain);
    jsonrpc_put(text, "\"", 1);
}

static void put_id(struct jsonrpc_text *text, const struct jsonrpc_request *request)
{
    jsonrpc_put(text, "{\"id\":", 6);
    if (request->id_kind == JSONRPC_ID_STRING)
        jsonrpc_put_string(text, request->id, strlen(request->id));
    else
        jsonrpc_putf(text, "%s", request->id_kind == JSONRPC_ID_NUMBER ? request->id : "null");
}

void jsonrpc_put_result(struct jsonrpc_text *text, const struct jsonrpc_request *request, const char *result,
                        size_t length)
{
    put_id(text, request);
    jsonrpc_put(text, ",\"result\":", 10);
    jsonrpc_put_string(text, result, length);
    jsonrpc_put(text, ",\"error\":null}\n", 15);
}

void jsonrpc_put_error(struct jsonrpc_text *text, const struct jsonrpc_request *request, const char *error)
{
    put_id(text, request);
    jsonrpc_put(text, ",\"result\":null,\"error\":", 23);
    jsonrpc_put_string(text, error, strlen(error));
    jsonrpc_put(text, "}\n", 2);
}
