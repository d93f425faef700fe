/* The control socket's framing: JSON-RPC 1.0 as a stream of objects without length or separator. A streaming
 * parser with limits for the requests, and writers for the answers. No I/O. ctld only. */
#ifndef NEXD_CTLD_JSONRPC_H
#define NEXD_CTLD_JSONRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSONRPC_REQUEST_MAX = 16384, /* bytes of one request */
    JSONRPC_DEPTH_MAX = 16,      /* nested objects and arrays */
    JSONRPC_METHOD_MAX = 128,    /* bytes, with the terminator */
    JSONRPC_PARAM_MAX = 1024,
    JSONRPC_ID_MAX = 64, /* bytes of a number or of a string id's content */
};

enum jsonrpc_param {
    JSONRPC_PARAMS_MISSING = 0, /* no "params" at all, or null */
    JSONRPC_PARAM_STRING,       /* "param" holds it; "" for [] and [null] */
    JSONRPC_PARAM_OTHER,        /* `param` names the type it had: "number", "object", "array", "bool" */
};

enum jsonrpc_id { JSONRPC_ID_NULL = 0, JSONRPC_ID_NUMBER, JSONRPC_ID_STRING };

struct jsonrpc_request {
    char method[JSONRPC_METHOD_MAX]; /* "" if absent */
    enum jsonrpc_param param_kind;
    char param[JSONRPC_PARAM_MAX];
    enum jsonrpc_id id_kind;
    char id[JSONRPC_ID_MAX + 1]; /* number as written, or string */
};

struct jsonrpc_parser;
/* NULL when out of memory. */
struct jsonrpc_parser *jsonrpc_parser_new(void);
void jsonrpc_parser_free(struct jsonrpc_parser *parser);

/* Takes bytes up to the end of one request; *consumed says how many. NX_OK: `out` is a request (call again
 * with the rest). NX_EAGAIN: all bytes were taken and more are needed. NX_EPROTO: not JSON, not an object, or
 * a member of a type that cannot be answered; NX_ERANGE: past a limit; NX_ENOMEM; after these three the
 * stream cannot be followed any more. */
int jsonrpc_parse(struct jsonrpc_parser *parser, const char *data, size_t length, size_t *consumed,
                  struct jsonrpc_request *out);
/* A request has begun and is not complete. */
bool jsonrpc_parser_busy(const struct jsonrpc_parser *parser);

/* Text that grows; `failed` after running out of memory or past `max`, and from then on nothing is added. */
struct jsonrpc_text {
    char *data; /* not terminated */
    size_t length, capacity, max;
    bool failed;
};
void jsonrpc_text_init(struct jsonrpc_text *text, size_t max);
void jsonrpc_text_free(struct jsonrpc_text *text);
void jsonrpc_put(struct jsonrpc_text *text, const char *data, size_t length);
void jsonrpc_putf(struct jsonrpc_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with quotes, escaped. */
void jsonrpc_put_string(struct jsonrpc_text *text, const char *data, size_t length);

/* Whole answers, each ended by a newline: {"id":…,"result":"…","error":null} and
 * {"id":…,"result":null,"error":"…"}. */
void jsonrpc_put_result(struct jsonrpc_text *text, const struct jsonrpc_request *request, const char *result,
                        size_t length);
void jsonrpc_put_error(struct jsonrpc_text *text, const struct jsonrpc_request *request, const char *error);

#endif
