/* Members that several of the API's objects have; for the decoders alone. All write "" where nothing was
 * said. */
#ifndef NEXD_CTLD_NEXODUS_MODELS_INTERNAL_H
#define NEXD_CTLD_NEXODUS_MODELS_INTERNAL_H

#include "ctld/nexodus/models.h"

/* A UUID that must be there; one that may be missing, null or "". */
int model_get_uuid(const struct json_value *object, const char *name, const char **out, char *error);
int model_get_uuid_optional(const struct json_value *object, const char *name, const char **out, char *error);
/* security_group_id, for which the nil UUID means none. */
int model_get_group_id(const struct json_value *object, const char **out, char *error);
/* Text of at most API_TEXT_MAX bytes. */
int model_get_text(const struct json_value *object, const char *name, const char **out, char *error);
int model_get_revision(const struct json_value *object, uint64_t *out, char *error);

#endif
