/* Answers of the OAuth endpoints. apid/oidc only. */
#ifndef NEXD_APID_OIDC_REPLY_H
#define NEXD_APID_OIDC_REPLY_H

#include "apid/http/server.h"
#include "apid/json/json.h"

/* Sends and frees `out`; not to be kept by anybody. */
void oidc_reply(struct http_request *request, int status, struct json_out *out);
/* {"error":…,"error_description":…} (RFC 6749, 5.2) */
void oidc_error(struct http_request *request, int status, const char *error, const char *description);

#endif
