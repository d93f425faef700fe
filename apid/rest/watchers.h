/* Open event streams, and what they mean for their callers: a device with one is online, and a device that is
 * deleted loses its own. apid/rest only. */
#ifndef NEXD_APID_WATCHERS_H
#define NEXD_APID_WATCHERS_H

#include "apid/events/hub.h"
#include "apid/rest/api.h"

enum { WATCHERS_CHECK_MS = 1000 };

struct watchers;

/* NULL when out of memory. */
struct watchers *watchers_new(struct api *api, struct event_base *base);
/* All streams have ended: the server is gone. */
void watchers_free(struct watchers *watchers);

/* Answers the request with a stream of the watches. `device` is who is online by it, or "". `authority` is
 * the device whose token asked, or "". */
void watchers_open(struct watchers *watchers, struct http_request *request, const struct hub_watch *watches,
                   size_t count, const char *device, const char *authority);

/* Devices may have been deleted: soon after, when they have been told, their own streams are ended. */
void watchers_check(struct watchers *watchers);

#endif
