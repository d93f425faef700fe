/* The headers are those that the real API sends with every answer. */
#include "apid/rest/answer.h"

#include "common/log.h"

#include <sodium.h>
#include <string.h>

static const char json_type[] = "application/json; charset=utf-8";

static void headers_add(struct http_request *request)
{
    http_reply_header(request, "Cache-Control", "no-cache, no-store, max-age=0, must-revalidate");
    http_reply_header(request, "X-Content-Type-Options", "nosniff");
}

void answer_json(struct http_request *request, int status, struct json_out *out)
{
    if (out->failed) {
        json_out_free(out);
        answer_internal(request, "an answer that is too large");
        return;
    }
    headers_add(request);
    http_reply(request, status, json_type, out->data, out->length);
    json_out_free(out);
}

void answer_empty(struct http_request *request, int status)
{
    headers_add(request);
    http_reply(request, status, NULL, NULL, 0);
}

void answer_text(struct http_request *request, int status, const char *text)
{
    headers_add(request);
    http_reply(request, status, "text/plain", text, strlen(text));
}

void answer_error(struct http_request *request, int status, const char *error, const char *field,
                  const char *reason)
{
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "error", error);
    if (field)
        json_put_string(&out, "field", field);
    if (reason)
        json_put_string(&out, "reason", reason);
    json_object_end(&out);
    answer_json(request, status, &out);
}

void answer_not_found(struct http_request *request, const char *resource)
{
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "error", "not found");
    json_put_string(&out, "resource", resource);
    json_object_end(&out);
    answer_json(request, 404, &out);
}

void answer_conflict(struct http_request *request, const char *id)
{
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "id", id);
    json_put_string(&out, "error", "resource already exists");
    json_object_end(&out);
    answer_json(request, 409, &out);
}

void answer_internal(struct http_request *request, const char *what)
{
    static const char fallback[] = "{\"error\":\"internal server error\"}";
    unsigned char random[16];
    char trace[2 * sizeof(random) + 1];
    struct json_out out = {0};
    randombytes_buf(random, sizeof(random));
    sodium_bin2hex(trace, sizeof(trace), random, sizeof(random));
    log_error("trace %s: %s", trace, what);
    json_object_begin(&out);
    json_put_string(&out, "error", "internal server error");
    json_put_string(&out, "trace_id", trace);
    json_object_end(&out);
    headers_add(request);
    if (out.failed)
        http_reply(request, 500, json_type, fallback, strlen(fallback));
    else
        http_reply(request, 500, json_type, out.data, out.length);
    json_out_free(&out);
}
