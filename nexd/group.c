/* A number is taken as it is, whether or not a group has it: containers often have no names. The last number,
 * which chown(2) takes for "leave it", is none. */
#include "nexd/group.h"

#include "common/err.h"
#include "common/text.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>

int group_find(const char *path, const char *text, int64_t *gid)
{
    uint64_t number;
    if (text_to_u64(text, strlen(text), 0, UINT32_MAX - 1, &number) == NX_OK) {
        *gid = (int64_t)number;
        return NX_OK;
    }
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? NX_ENOENT : NX_ESYS;
    int err = NX_ENOENT;
    for (const struct group *group; err && (group = fgetgrent(file)) != NULL;) {
        if (strcmp(group->gr_name, text) != 0)
            continue;
        *gid = group->gr_gid;
        err = NX_OK;
    }
    fclose(file);
    return err;
}
