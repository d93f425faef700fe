/* A new file has a fixed name: the lock on the folder makes us its only writer, and what a crash has left
 * is removed by the next write. */
#include "nexd/state/file.h"

#include "common/err.h"
#include "common/fd.h"
#include "nexd/state/lock_owner.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char state_name[] = "state.json";
enum { NEW_NAME_MAX = 64 };

static int sys_openat(int folder, const char *name, int flags, mode_t mode)
{
    return openat(folder, name, flags, mode);
}

const struct state_sys state_sys_default = {.mkdir = mkdir,
                                            .openat = sys_openat,
                                            .flock = flock,
                                            .write = write,
                                            .fsync = fsync,
                                            .renameat = renameat,
                                            .unlinkat = unlinkat};

/* `what` was tried with `name` in the folder ("" for the folder itself); errno says why it failed. */
static int fail(const struct state_file *file, const char *name, const char *what, char *error)
{
    int cause = errno;
    snprintf(error, STATE_ERROR_MAX, "%.300s%s%s: %s: %s", file->folder, name[0] ? "/" : "", name, what,
             strerror(cause));
    errno = cause;
    return NX_ESYS;
}

/* -- The folder -- */

static int folder_lock(struct state_file *file, char *error)
{
    int fd = file->sys->openat(AT_FDCWD, file->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0 && errno == ENOENT)
        return NX_ENOENT;
    if (fd < 0)
        return fail(file, "", "cannot be opened", error);
    if (file->sys->flock(fd, LOCK_EX | LOCK_NB) == 0) {
        file->folder_fd = fd;
        return NX_OK;
    }
    int err = NX_ESYS;
    if (errno == EWOULDBLOCK) {
        char who[32] = "";
        pid_t owner = lock_owner_find(fd);
        if (owner > 0)
            snprintf(who, sizeof who, " (pid %d)", (int)owner);
        snprintf(error, STATE_ERROR_MAX,
                 "%.300s: another nexd%s uses this state folder (--state-dir DIR names another one)",
                 file->folder, who);
        err = NX_EEXIST;
    } else {
        fail(file, "", "cannot be locked", error);
    }
    fd_close(&fd);
    return err;
}

/* A folder that was made is an entry of the one above it, which has to be on the disk too. One that may be
 * written but not read cannot be flushed, and is left to the system. */
static int above_flush(const struct state_file *file, const char *path)
{
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    snprintf(above, sizeof above, "%.*s", (int)length, path);
    if (length == 0)
        snprintf(above, sizeof above, "%s", slash ? "/" : ".");
    FD_AUTO int fd = file->sys->openat(AT_FDCWD, above, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == EACCES ? NX_OK : NX_ESYS;
    return file->sys->fsync(fd) ? NX_ESYS : NX_OK;
}

static int one_make(const struct state_file *file, const char *path)
{
    if (file->sys->mkdir(path, 0700))
        return errno == EEXIST ? NX_OK : NX_ESYS;
    return above_flush(file, path);
}

/* The folder and those above it, as far as they are missing. */
static int folder_make(const struct state_file *file, char *error)
{
    char path[PATH_MAX];
    int err = NX_OK;
    snprintf(path, sizeof path, "%s", file->folder);
    for (char *slash = path + 1; !err && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        err = one_make(file, path);
        *slash = '/';
    }
    if (!err)
        err = one_make(file, path);
    return err ? fail(file, "", "cannot be made", error) : NX_OK;
}

int state_file_open(struct state_file *file, const char *folder, const struct state_sys *sys, char *error)
{
    *file = (struct state_file){.folder_fd = -1, .sys = sys};
    if (folder[0] == '\0' || strlen(folder) >= sizeof file->folder) {
        snprintf(error, STATE_ERROR_MAX, "no state folder is known (--state-dir DIR names one)");
        return NX_ESYS;
    }
    snprintf(file->folder, sizeof file->folder, "%s", folder);
    int err = folder_lock(file, error);
    return err == NX_ENOENT ? NX_OK : err;
}

void state_file_close(struct state_file *file)
{
    fd_close(&file->folder_fd);
}

/* -- Reading -- */

int state_file_open_read(const struct state_file *file, const char *name, size_t max, int *fd, size_t *size,
                         char *error)
{
    *fd = -1;
    if (file->folder_fd < 0)
        return NX_ENOENT;
    struct stat status;
    /* O_NONBLOCK: a FIFO of that name must not stop us. */
    FD_AUTO int opened =
        file->sys->openat(file->folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (opened < 0 && errno == ENOENT)
        return NX_ENOENT;
    if (opened < 0 || fstat(opened, &status))
        return fail(file, name, "cannot be opened", error);
    if (!S_ISREG(status.st_mode)) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: not a regular file", file->folder, name);
        return NX_EINVAL;
    }
    if ((uint64_t)status.st_size > max) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: longer than %zu bytes", file->folder, name, max);
        return NX_ERANGE;
    }
    *fd = fd_release(&opened);
    *size = (size_t)status.st_size;
    return NX_OK;
}

ssize_t state_file_read_piece(int fd, void *out, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;
    while (used < size && got > 0) {
        got = read(fd, (char *)out + used, size - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    return got < 0 ? -1 : (ssize_t)used;
}

static int read_all(const struct state_file *file, const char *name, int fd, size_t size, char **text,
                    size_t *length, char *error)
{
    char *out = calloc(1, size + 1);
    if (!out) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: out of memory", file->folder, name);
        return NX_ENOMEM;
    }
    ssize_t got = state_file_read_piece(fd, out, size);
    if (got < 0) {
        explicit_bzero(out, size); /* it may hold zeros before secrets */
        free(out);
        return fail(file, name, "cannot be read", error);
    }
    *text = out;
    *length = (size_t)got;
    return NX_OK;
}

int state_file_read(const struct state_file *file, const char *name, char **text, size_t *length, char *error)
{
    FD_AUTO int fd = -1;
    size_t size;
    *text = NULL;
    *length = 0;
    int err = state_file_open_read(file, name, STATE_BYTES_MAX, &fd, &size, error);
    if (err)
        return err == NX_ENOENT ? NX_OK : err;
    return read_all(file, name, fd, size, text, length, error);
}

/* -- Writing -- */

static int write_all(const struct state_sys *sys, int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t put = sys->write(fd, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return NX_ESYS;
        text += put;
        length -= (size_t)put;
    }
    return NX_OK;
}

/* A folder that was not there at the start: it is ours from now on, unless somebody else was quicker. */
static int folder_get(struct state_file *file, char *error)
{
    int err = folder_make(file, error);
    if (!err)
        err = folder_lock(file, error);
    if (err == NX_ENOENT)
        err = fail(file, "", "cannot be opened", error);
    if (err)
        return err;
    int fd = file->sys->openat(file->folder_fd, state_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return NX_OK;
    fd_close(&fd);
    fd_close(&file->folder_fd);
    snprintf(error, STATE_ERROR_MAX,
             "%.300s/%s: another nexd has written it since this one started; a restart reads it",
             file->folder, state_name);
    return NX_EEXIST;
}

static const char *new_name_of(const char *name, char out[NEW_NAME_MAX])
{
    snprintf(out, NEW_NAME_MAX, "%s.new", name);
    return out;
}

void state_new_abandon(struct state_file *file, struct state_new *new)
{
    char new_name[NEW_NAME_MAX];
    if (new->fd < 0)
        return;
    fd_close(&new->fd);
    file->sys->unlinkat(file->folder_fd, new_name_of(new->name, new_name), 0);
}

int state_new_begin(struct state_file *file, const char *name, struct state_new *out, char *error)
{
    const struct state_sys *sys = file->sys;
    char new_name[NEW_NAME_MAX];
    *out = (struct state_new){.fd = -1, .name = name};
    int err = file->folder_fd < 0 ? folder_get(file, error) : NX_OK;
    if (err)
        return err;
    new_name_of(name, new_name);
    if (sys->unlinkat(file->folder_fd, new_name, 0) && errno != ENOENT)
        return fail(file, new_name, "cannot be removed", error);
    out->fd = sys->openat(file->folder_fd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return out->fd < 0 ? fail(file, new_name, "cannot be made", error) : NX_OK;
}

int state_new_append(struct state_file *file, struct state_new *new, const void *data, size_t length,
                     char *error)
{
    char new_name[NEW_NAME_MAX];
    if (write_all(file->sys, new->fd, data, length) == NX_OK)
        return NX_OK;
    fail(file, new_name_of(new->name, new_name), "cannot be written", error);
    state_new_abandon(file, new);
    return NX_ESYS;
}

int state_new_commit(struct state_file *file, struct state_new *new, bool *replaced, char *error)
{
    const struct state_sys *sys = file->sys;
    char new_name[NEW_NAME_MAX];
    int err = NX_OK;
    *replaced = false;
    new_name_of(new->name, new_name);
    if (sys->fsync(new->fd))
        err = fail(file, new_name, "cannot be written to the disk", error);
    else if (sys->renameat(file->folder_fd, new_name, file->folder_fd, new->name))
        err = fail(file, new->name, "cannot be replaced", error);
    if (err) {
        state_new_abandon(file, new);
        return err;
    }
    fd_close(&new->fd);
    if (sys->fsync(file->folder_fd) == 0)
        return NX_OK;
    *replaced = true;
    return fail(file, new->name, "cannot be written to the disk", error);
}

int state_file_write(struct state_file *file, const char *name, const char *text, size_t length,
                     bool *replaced, char *error)
{
    struct state_new new;
    *replaced = false;
    int err = state_new_begin(file, name, &new, error);
    if (!err)
        err = state_new_append(file, &new, text, length, error);
    return err ? err : state_new_commit(file, &new, replaced, error);
}

int state_file_remove(struct state_file *file, const char *name, char *error)
{
    if (file->folder_fd < 0)
        return NX_OK;
    if (file->sys->unlinkat(file->folder_fd, name, 0) && errno != ENOENT)
        return fail(file, name, "cannot be removed", error);
    return file->sys->fsync(file->folder_fd) ? fail(file, name, "cannot be removed from the disk", error)
                                             : NX_OK;
}
