/* A line of /proc/locks, proc_locks(5): "1: FLOCK  ADVISORY  WRITE 4242 08:01:1234 0 EOF"; one that waits has
 * "->" before its kind. The device is in hexadecimal, the inode in decimal. */
#include "nexd/state/lock_owner.h"

#include "common/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { LOCKS_BYTES_MAX = 1 << 16 };

pid_t lock_owner_in(const char *locks, dev_t device, ino_t inode)
{
    for (const char *line = locks; line && *line;) {
        int pid;
        unsigned major_number, minor_number;
        uint64_t number;
        const bool matches = sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &major_number,
                                    &minor_number, &number) == 4 &&
                             makedev(major_number, minor_number) == device && number == inode && pid > 0;
        if (matches)
            return pid;
        const char *const end = strchr(line, '\n');
        line = end ? end + 1 : NULL;
    }
    return 0;
}

pid_t lock_owner_find(int fd)
{
    static char locks[LOCKS_BYTES_MAX];
    struct stat status;
    FD_AUTO int file = open("/proc/locks", O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = 0;
    if (file < 0 || fstat(fd, &status))
        return 0;
    do {
        got = read(file, locks + used, sizeof locks - 1 - used);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0 && used < sizeof locks - 1);
    locks[used] = '\0';
    return lock_owner_in(locks, status.st_dev, status.st_ino);
}
