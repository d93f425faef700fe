/* From the Authorization header to who asks. apid only. */
#ifndef NEXD_APID_CALLER_H
#define NEXD_APID_CALLER_H

#include "apid/rest/api.h"

/* False: the request has been answered with 401 or 500. */
bool caller_identify(struct api *api, struct http_request *request, struct caller *out);
/* Whether a user's token has the scope. */
bool caller_has_scope(const struct caller *caller, const char *scope);

#endif
