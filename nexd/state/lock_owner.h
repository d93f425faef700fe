/* Who holds the lock on a folder, for an error message. Only the parent process. */
#ifndef NEXD_NEXD_STATE_LOCK_OWNER_H
#define NEXD_NEXD_STATE_LOCK_OWNER_H

#include <sys/types.h>

/* The process that holds a flock(2) lock on the open file `fd`; 0 where /proc/locks does not tell (no /proc,
 * another process namespace, a file system with device numbers of its own). */
pid_t lock_owner_find(int fd);
/* The same, with the text of /proc/locks given: for tests. */
pid_t lock_owner_in(const char *locks, dev_t device, ino_t inode);

#endif
