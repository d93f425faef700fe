#include "apid/oidc/reply.h"

void oidc_reply(struct http_request *request, int status, struct json_out *out)
{
    http_reply_header(request, "Cache-Control", "no-store");
    http_reply_header(request, "Pragma", "no-cache");
    http_reply_header(request, "Referrer-Policy", "no-referrer");
    http_reply_header(request, "X-Content-Type-Options", "nosniff");
    http_reply_header(request, "X-Frame-Options", "SAMEORIGIN");
    if (out->failed)
        http_reply(request, 503, NULL, NULL, 0);
    else
        http_reply(request, status, "application/json", out->data, out->length);
    json_out_free(out);
}

void oidc_error(struct http_request *request, int status, const char *error, const char *description)
{
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "error", error);
    json_put_string(&out, "error_description", description);
    json_object_end(&out);
    oidc_reply(request, status, &out);
}
