/* Whom each child becomes between fork and exec: a user of its own, where nexd was started as root. Only the
 * parent process. */
#ifndef NEXD_NEXD_IDENTITY_H
#define NEXD_NEXD_IDENTITY_H

#include "ipc/messages.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct identity {
    bool own_user; /* become `id`, as user and only group */
    uid_t id;
};

struct identities {
    bool own_users;
    uid_t first; /* tunneld's; proxyd and ctld have the two after it */
};

/* The first of three numbers that neither distributions nor systemd give to anybody. */
#define IDENTITY_FIRST_DEFAULT 65521

/* Are there users to become? Only as root, with CAP_SETUID and CAP_SETGID, in a user namespace that has these
 * three users. NULL, or why there are none; not being root is no reason to tell ("").
 * Before the sandbox is entered: reads /proc/self/uid_map and gid_map. */
const char *identities_find(uid_t first, struct identities *out);

/* Capabilities that the supervisor has to keep for it; bits of 1 << CAP_…. */
uint64_t identities_capabilities(const struct identities *identities);

struct identity identity_of(const struct identities *identities, enum ipc_role role);

/* In the forked child, before PR_SET_PDEATHSIG, which it would undo. Async-signal-safe. 0, or an errno. */
int identity_assume(const struct identity *identity);

#endif
