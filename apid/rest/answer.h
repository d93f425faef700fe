/* Answers of the API in the forms of Nexodus: objects, lists, and its error bodies. Each ends the request.
 * apid only. */
#ifndef NEXD_APID_ANSWER_H
#define NEXD_APID_ANSWER_H

#include "apid/http/server.h"
#include "apid/json/json.h"

/* `out` is sent as JSON and freed. A text that failed becomes a 500. */
void answer_json(struct http_request *request, int status, struct json_out *out);
/* No body. */
void answer_empty(struct http_request *request, int status);
/* text/plain. */
void answer_text(struct http_request *request, int status, const char *text);

/* {"error":…[,"field":…][,"reason":…]}; `field` and `reason` may be NULL. */
void answer_error(struct http_request *request, int status, const char *error, const char *field,
                  const char *reason);
/* 404 {"error":"not found","resource":…} */
void answer_not_found(struct http_request *request, const char *resource);
/* 409 {"id":…,"error":"resource already exists"} */
void answer_conflict(struct http_request *request, const char *id);
/* 500 {"error":"internal server error","trace_id":…}; `what` goes to the log together with the trace id. */
void answer_internal(struct http_request *request, const char *what);

#endif
