/* Paths of the API against patterns such as "/api/devices/{id}/metadata/{key}". No I/O. apid only. */
#ifndef NEXD_APID_PATH_H
#define NEXD_APID_PATH_H

#include <stdbool.h>

enum { PATH_PARAMS_MAX = 3, PATH_PARAM_MAX = 256 };

struct path_params {
    unsigned count;
    char values[PATH_PARAMS_MAX][PATH_PARAM_MAX]; /* percent-decoded, not empty */
};

/* True if `path` has the pattern's form. Escapes are decoded in parameters only, after the path has been cut
 * at its slashes, so that an escaped slash never makes another path. */
bool path_match(const char *pattern, const char *path, struct path_params *out);

/* Lower or upper case hyphenated UUID; `out` (37 bytes) gets it in lower case. */
bool path_uuid(const char *text, char *out);

#endif
