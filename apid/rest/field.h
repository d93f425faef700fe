/* Members of request bodies: absent and null are the same; a wrong type or a text that is too long is
 * answered with 400, and then the reader returns false. apid/rest only. */
#ifndef NEXD_APID_FIELD_H
#define NEXD_APID_FIELD_H

#include "apid/rest/api.h"

/* *out becomes NULL where there is none. `size` is of the place where the text goes, with the terminator. */
bool field_text(struct call *call, const struct json_value *object, const char *name, size_t size,
                const char **out);
/* The same, copied; `out` becomes "" where there is none. */
bool field_copy(struct call *call, const struct json_value *object, const char *name, char *out, size_t size);
bool field_bool(struct call *call, const struct json_value *object, const char *name, bool *given, bool *out);
/* A UUID, in lower case; "" where there is none, or it is the nil UUID. */
bool field_id(struct call *call, const struct json_value *object, const char *name, char out[37]);
/* RFC 3339 to Unix seconds; 0 where there is none. */
bool field_time(struct call *call, const struct json_value *object, const char *name, uint64_t *out);
/* *out becomes NULL where there is none. */
bool field_array(struct call *call, const struct json_value *object, const char *name,
                 const struct json_value **out);

/* Answers 400 for a value of the wrong type. Returns false. */
bool field_refuse(struct call *call, const char *name, const char *problem);

/* "2026-11-23T10:00:00.5+01:00"; false if it is none. For tests. */
bool field_time_parse(const char *text, uint64_t *out);

#endif
