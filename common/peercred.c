/* The supplementary groups are asked for on their own (SO_PEERGROUPS, Linux 4.13). */
#include "common/peercred.h"

#include "common/err.h"

#include <sys/socket.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

int peercred_read(int fd, struct peercred *out)
{
    struct ucred cred;
    socklen_t length = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &length) || length != sizeof cred)
        return NX_ESYS;
    *out = (struct peercred){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid, .group_count = 1};
    out->groups[0] = cred.gid;
    length = sizeof out->groups - sizeof out->groups[0];
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups + 1, &length) == 0)
        out->group_count += length / sizeof out->groups[0];
    return NX_OK;
}
