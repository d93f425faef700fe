/* File descriptors that close themselves when they go out of scope. Any process. */
#ifndef NEXD_COMMON_FD_H
#define NEXD_COMMON_FD_H

#include <errno.h>
#include <unistd.h>

/* Closes *fd if it is not negative, sets it to -1 and keeps errno. */
static inline void fd_close(int *fd)
{
    if (*fd >= 0) {
        const int saved_errno = errno;
        close(*fd);
        errno = saved_errno;
    }
    *fd = -1;
}

/* `FD_AUTO int fd = open(…)`: closed at the end of the scope, on every way out. */
#define FD_AUTO __attribute__((cleanup(fd_close)))

/* The descriptor, whose ownership passes to the caller; *fd is -1 afterwards. */
static inline int fd_release(int *fd)
{
    const int released = *fd;
    *fd = -1;
    return released;
}

#endif
