/* Who is at the other end of a Unix stream socket, as the kernel noted it when the connection was made. Any
 * process that may call getsockopt(2). */
#ifndef NEXD_COMMON_PEERCRED_H
#define NEXD_COMMON_PEERCRED_H

#include <stddef.h>
#include <sys/types.h>

enum { PEERCRED_GROUPS_MAX = 256 };

struct peercred {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    size_t group_count;
    gid_t groups[PEERCRED_GROUPS_MAX]; /* `gid` first, then the supplementary ones; none of them where a user
                                          is in more than fit, or the kernel does not tell */
};

/* NX_OK, or NX_ESYS: nobody can be named. */
int peercred_read(int fd, struct peercred *out);

#endif
