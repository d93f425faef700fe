/* Groups by name, from /etc/group itself: the C library's own lookup would load modules and ask daemons. */
#ifndef NEXD_NEXD_GROUP_H
#define NEXD_NEXD_GROUP_H

#include <stdint.h>

/* `text`: a group's name in `path` (group(5)), or a number. NX_OK; NX_ENOENT: no such group; NX_ESYS: the
 * file cannot be read. */
int group_find(const char *path, const char *text, int64_t *gid);

#endif
