/* The store's objects as the API's JSON, members and their order as in Nexodus. apid/rest only. */
#ifndef NEXD_APID_MODEL_H
#define NEXD_APID_MODEL_H

#include "apid/json/json.h"
#include "apid/store/store.h"

void model_user(struct json_out *out, const struct store_user *user);
void model_organization(struct json_out *out, const struct store_organization *organization);
void model_vpc(struct json_out *out, const struct store_vpc *vpc);
/* `sealed` is the sealed token, or NULL: then there is no "bearer_token". */
void model_device(struct json_out *out, const struct store_device *device, const char *sealed);
void model_reg_key(struct json_out *out, const struct store_reg_key *key);
void model_security_group(struct json_out *out, const struct store_security_group *group);
void model_metadata(struct json_out *out, const struct store_metadata *metadata);

enum { MODEL_TIME_MAX = 32 };
/* RFC 3339, UTC. */
const char *model_time(uint64_t seconds, char out[MODEL_TIME_MAX]);

#endif
