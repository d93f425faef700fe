/* The new file has a fixed name: the lock on the folder makes us its only writer, and what a crash has left
 * is removed by the next write. */
#include "nexd/state/file.h"

#include "common/err.h"
#include "common/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char state_name[] = "state.json", new_name[] = "state.json.new";

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
        snprintf(error, STATE_ERROR_MAX,
                 "%.300s: another nexd uses this state folder (--state-dir DIR names another one)",
                 file->folder);
        err = NX_EEXIST;
    } else {
        fail(file, "", "cannot be locked", error);
    }
    fd_close(&fd);
    return err;
}

/* The folder and those above it, as far as they are missing. */
static int folder_make(const struct state_file *file, char *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", file->folder);
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (file->sys->mkdir(path, 0700) && errno != EEXIST)
            return fail(file, "", "cannot be made", error);
        *slash = '/';
    }
    if (file->sys->mkdir(path, 0700) && errno != EEXIST)
        return fail(file, "", "cannot be made", error);
    return NX_OK;
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

static int file_read_all(const struct state_file *file, int fd, size_t size, char **text, size_t *length,
                         char *error)
{
    char *out = calloc(1, size + 1);
    if (!out) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: out of memory", file->folder, state_name);
        return NX_ENOMEM;
    }
    size_t used = 0;
    ssize_t got = 1;
    while (used < size && got > 0) {
        got = read(fd, out + used, size - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    if (got < 0) {
        state_text_free(out);
        return fail(file, state_name, "cannot be read", error);
    }
    *text = out;
    *length = used;
    return NX_OK;
}

int state_file_read(const struct state_file *file, char **text, size_t *length, char *error)
{
    *text = NULL;
    *length = 0;
    if (file->folder_fd < 0)
        return NX_OK;
    struct stat status;
    /* O_NONBLOCK: a FIFO of that name must not stop us. */
    FD_AUTO int fd =
        file->sys->openat(file->folder_fd, state_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0 && errno == ENOENT)
        return NX_OK;
    if (fd < 0 || fstat(fd, &status))
        return fail(file, state_name, "cannot be opened", error);
    if (!S_ISREG(status.st_mode)) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: not a regular file", file->folder, state_name);
        return NX_EINVAL;
    }
    if (status.st_size > STATE_BYTES_MAX) {
        snprintf(error, STATE_ERROR_MAX, "%.300s/%s: longer than %d bytes", file->folder, state_name,
                 STATE_BYTES_MAX);
        return NX_ERANGE;
    }
    return file_read_all(file, fd, (size_t)status.st_size, text, length, error);
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

static int new_file_write(const struct state_file *file, const char *text, size_t length, char *error)
{
    const struct state_sys *sys = file->sys;
    if (sys->unlinkat(file->folder_fd, new_name, 0) && errno != ENOENT)
        return fail(file, new_name, "cannot be removed", error);
    int fd = sys->openat(file->folder_fd, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(file, new_name, "cannot be made", error);
    int err = NX_OK;
    if (write_all(sys, fd, text, length))
        err = fail(file, new_name, "cannot be written", error);
    else if (sys->fsync(fd))
        err = fail(file, new_name, "cannot be written to the disk", error);
    fd_close(&fd);
    return err;
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

int state_file_write(struct state_file *file, const char *text, size_t length, bool *replaced, char *error)
{
    *replaced = false;
    int err = file->folder_fd < 0 ? folder_get(file, error) : NX_OK;
    if (!err)
        err = new_file_write(file, text, length, error);
    if (!err && file->sys->renameat(file->folder_fd, new_name, file->folder_fd, state_name))
        err = fail(file, state_name, "cannot be replaced", error);
    if (err) {
        if (file->folder_fd >= 0)
            file->sys->unlinkat(file->folder_fd, new_name, 0);
        return err;
    }
    if (file->sys->fsync(file->folder_fd) == 0)
        return NX_OK;
    *replaced = true;
    return fail(file, state_name, "cannot be written to the disk", error);
}
