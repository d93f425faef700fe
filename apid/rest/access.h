/* Whose objects a caller may see, and answers for what the store refuses. A caller sees what its user owns:
 * devices and keys, organizations, and by these VPCs and security groups. What is somebody else's is answered
 * as unknown. apid/rest only. */
#ifndef NEXD_APID_ACCESS_H
#define NEXD_APID_ACCESS_H

#include "apid/rest/api.h"
#include "apid/store/store.h"

/* Each reads an object of the caller's. False: answered with 404 naming `resource` (NULL: without a body), or
 * 500. */
bool access_vpc(struct call *call, const char *id, const char *resource, struct store_vpc *out);
bool access_device(struct call *call, const char *id, const char *resource, struct store_device *out);
bool access_organization(struct call *call, const char *id, const char *resource,
                         struct store_organization *out);
bool access_reg_key(struct call *call, const char *id, struct store_reg_key *out);
/* `out` is large: callers keep it off the stack. */
bool access_security_group(struct call *call, const char *id, const char *resource,
                           struct store_security_group *out);

/* Answers for a result of the store that is not NX_OK. `resource` where the error does not name one. */
void access_answer(struct call *call, int err, const struct store_error *error, const char *resource);

/* `range=[first,last]` of the query, and the total in the header, for lists. Starts with list_begin(); each
 * row asks list_wants() before it is written. */
struct list {
    struct json_out out;
    uint64_t first, last, count;
};
/* False: answered. */
bool list_begin(struct call *call, struct list *list);
bool list_wants(struct list *list);
/* `total`: with X-Total-Count. */
void list_answer(struct call *call, struct list *list, bool total, int err);

#endif
