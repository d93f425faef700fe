/* The state folder and the file in it: locked against a second instance, read whole, replaced as a whole.
 * Only the parent process.
 *
 * Replacing writes a new file beside the old one, flushes it to the disk, renames it over the old one and
 * flushes the folder. So after a loss of power at any moment there is the old content or the new, whole. */
#ifndef NEXD_NEXD_STATE_FILE_H
#define NEXD_NEXD_STATE_FILE_H

#include "nexd/state/document.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* The calls that can fail half-way, for tests that let them. As the calls of these names. */
struct state_sys {
    int (*mkdir)(const char *path, mode_t mode);
    int (*openat)(int folder, const char *name, int flags, mode_t mode);
    int (*flock)(int fd, int operation);
    ssize_t (*write)(int fd, const void *data, size_t length);
    int (*fsync)(int fd);
    int (*renameat)(int from_folder, const char *from, int to_folder, const char *to);
    int (*unlinkat)(int folder, const char *name, int flags);
};
extern const struct state_sys state_sys_default;

struct state_file {
    char folder[PATH_MAX];
    int folder_fd; /* -1 while the folder does not exist */
    const struct state_sys *sys;
};

/* Opens and locks the folder where it exists; one that does not is made when there is something to write.
 * NX_OK; NX_EEXIST: another instance has it; NX_ESYS: it cannot be used. Then `error` (STATE_ERROR_MAX bytes)
 * names folder and reason, and the file is closed. */
int state_file_open(struct state_file *file, const char *folder, const struct state_sys *sys, char *error);
/* The file's content, terminated; the caller frees it with state_text_free(). *text is NULL if there is no
 * file. NX_ERANGE (too large), NX_EINVAL (no regular file), NX_ESYS, NX_ENOMEM, with `error` filled in. */
int state_file_read(const struct state_file *file, char **text, size_t *length, char *error);
/* Replaces the file, mode 0600; makes and locks the folder (mode 0700) if it must. On failure `error` is
 * filled in, and *replaced tells whether the new content may nevertheless be there (it is, but the disk has
 * not confirmed it). NX_ESYS, NX_EEXIST as in state_file_open(), or NX_EEXIST for a file that somebody put
 * there before the folder was locked. */
int state_file_write(struct state_file *file, const char *text, size_t length, bool *replaced, char *error);
void state_file_close(struct state_file *file);

#endif
