/* The state folder and the files in it: locked against a second instance, each file replaced as a whole.
 * Only the parent process.
 *
 * Replacing writes a new file beside the old one, flushes it to the disk, renames it over the old one and
 * flushes the folder, and the one above it where the folder was made. So after a loss of power at any moment
 * there is the old content or the new, whole. */
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
/* Opens the file `name` of the folder for reading, at most `max` bytes long. NX_OK with *fd, which is the
 * caller's, and *size; NX_ENOENT: there is none; NX_ERANGE (too large), NX_EINVAL (no regular file) or
 * NX_ESYS, with `error` filled in. What is read from *fd stays the same if the file is replaced meanwhile. */
int state_file_open_read(const struct state_file *file, const char *name, size_t max, int *fd, size_t *size,
                         char *error);
/* Reads `size` bytes, fewer only at the end of the file; -1: errno. */
ssize_t state_file_read_piece(int fd, void *out, size_t size);
/* The content of the file `name`, terminated; the caller frees it with state_text_free(). *text is NULL if
 * there is no file. Errors as above, or NX_ENOMEM. */
int state_file_read(const struct state_file *file, const char *name, char **text, size_t *length,
                    char *error);

/* A file on its way: written beside the one that it will replace. */
struct state_new {
    int fd; /* -1 = not under way */
    const char *name;
};
/* Begins a new file `name` (a constant), mode 0600; makes and locks the folder (mode 0700) if it must.
 * NX_ESYS, NX_EEXIST as in state_file_open(), or NX_EEXIST for a state.json that somebody put there before
 * the folder was locked. */
int state_new_begin(struct state_file *file, const char *name, struct state_new *out, char *error);
/* On failure (NX_ESYS) it is abandoned. */
int state_new_append(struct state_file *file, struct state_new *new, const void *data, size_t length,
                     char *error);
/* It is whole: it takes the old one's place. On failure (NX_ESYS) `error` is filled in, and *replaced tells
 * whether the new content may nevertheless be there (it is, but the disk has not confirmed it). */
int state_new_commit(struct state_file *file, struct state_new *new, bool *replaced, char *error);
/* Removes it; harmless when it is not under way. */
void state_new_abandon(struct state_file *file, struct state_new *new);

/* The three in one. */
int state_file_write(struct state_file *file, const char *name, const char *text, size_t length,
                     bool *replaced, char *error);
/* Removes the file, if there is one. NX_ESYS. */
int state_file_remove(struct state_file *file, const char *name, char *error);
void state_file_close(struct state_file *file);

#endif
