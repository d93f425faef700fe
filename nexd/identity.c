/* A user of its own keeps a child from the files, signals and /proc entries of the others, on top of what the
 * sandbox refuses by itself. */
#include "nexd/identity.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { IDENTITY_COUNT = 3 };

/* Does this namespace have the ids first … first + 2? */
static bool ids_mapped(const char *path, uint64_t first)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    uint64_t begin, outside, count, mapped = 0;
    while (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &begin, &outside, &count) == 3)
        for (uint64_t id = first; id < first + IDENTITY_COUNT; id++)
            mapped += id >= begin && id - begin < count;
    fclose(file);
    return mapped == IDENTITY_COUNT;
}

static bool has_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, data))
        return false;
    uint64_t effective = data[0].effective | (uint64_t)data[1].effective << 32;
    return (effective & wanted) == wanted;
}

static uint64_t capabilities_needed(void)
{
    return UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL;
}

const char *identities_find(uid_t first, struct identities *out)
{
    *out = (struct identities){.first = first};
    if (geteuid() != 0)
        return "";
    if (!has_capabilities(capabilities_needed()))
        return "CAP_SETUID, CAP_SETGID or CAP_KILL is missing";
    if (!ids_mapped("/proc/self/uid_map", first) || !ids_mapped("/proc/self/gid_map", first))
        return "their numbers do not exist in this user namespace";
    out->own_users = true;
    return NULL;
}

uint64_t identities_capabilities(const struct identities *identities)
{
    return identities->own_users ? capabilities_needed() : 0;
}

struct identity identity_of(const struct identities *identities, enum ipc_role role)
{
    return (struct identity){.own_user = identities->own_users,
                             .id = identities->first + (uid_t)(role - IPC_TUNNELD)};
}

int identity_assume(const struct identity *identity)
{
    uid_t id = identity->id;
    if (identity->own_user && (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id)))
        return errno;
    return 0;
}
