/* The path is gone through part by part. What is opened is looked at by fstat(2) before its name is used any
 * further: a folder that is fit cannot be changed by anybody else, so what is found in it stays. */
#include "nexd/policy_file.h"

#include "common/err.h"
#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct loading {
    const char *path;
    uid_t user;
    bool users_own; /* the file, or a folder above it, is the user's, who is not root */
    char *error;
};

static int __attribute__((format(printf, 2, 3))) fail(const struct loading *loading, const char *format, ...)
{
    char why[POLICY_ERROR_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    snprintf(loading->error, POLICY_ERROR_MAX, "the policy %.200s: %s", loading->path, why);
    for (char *c = loading->error; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return NX_EINVAL;
}

/* `what`: the part of the path that this is. */
static int rights_check(struct loading *loading, const struct stat *status, const char *what)
{
    const bool is_folder = S_ISDIR(status->st_mode);
    const mode_t others = S_IWGRP | S_IWOTH;
    if (status->st_uid != 0 && status->st_uid != loading->user)
        return fail(loading, "%.100s belongs to user %u; it must be root's or user %u's", what,
                    (unsigned)status->st_uid, (unsigned)loading->user);
    if ((status->st_mode & others) != 0 && !(is_folder && (status->st_mode & S_ISVTX)))
        return fail(loading, "others may write %.100s (mode %04o); take that right away (chmod go-w)", what,
                    (unsigned)status->st_mode & 07777);
    loading->users_own = loading->users_own || status->st_uid != 0;
    return NX_OK;
}

/* Opens one part below `folder`, and checks it. Returns a descriptor, or -1 with the error written. */
static int part_open(struct loading *loading, int folder, const char *part, bool is_folder)
{
    const int flags = is_folder ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    struct stat status;
    FD_AUTO int fd = openat(folder, part, flags | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        const int cause = errno;
        if (fstatat(folder, part, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
            fail(loading, "%.100s is a symbolic link; name the place itself", part);
        else
            fail(loading, "cannot open %.100s: %s", part, strerror(cause));
        return -1;
    }
    if (fstat(fd, &status)) {
        fail(loading, "%.100s: %s", part, strerror(errno));
        return -1;
    }
    if (!is_folder && !S_ISREG(status.st_mode)) {
        fail(loading, "it is no regular file");
        return -1;
    }
    if (!is_folder && status.st_size > POLICY_FILE_BYTES_MAX) {
        fail(loading, "it is longer than %d bytes", POLICY_FILE_BYTES_MAX);
        return -1;
    }
    return rights_check(loading, &status, part) == NX_OK ? fd_release(&fd) : -1;
}

/* `path` begins with a slash, and is taken apart. Returns a descriptor of the file, or -1. */
static int path_open(struct loading *loading, char *path)
{
    struct stat status;
    char *rest = path;
    FD_AUTO int folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || fstat(folder, &status)) {
        fail(loading, "/: %s", strerror(errno));
        return -1;
    }
    if (rights_check(loading, &status, "/") != NX_OK)
        return -1;
    for (;;) {
        rest += strspn(rest, "/");
        char *const slash = strchr(rest, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        const int next = part_open(loading, folder, rest, true);
        if (next < 0)
            return -1;
        fd_close(&folder);
        folder = next;
        rest = slash + 1;
    }
    if (rest[0] == '\0') {
        fail(loading, "a folder is no policy");
        return -1;
    }
    return part_open(loading, folder, rest, false);
}

/* The file's bytes; `size` has room for one more than may be. -1: the error is written. */
static ssize_t bytes_read(const struct loading *loading, int fd, char *out, size_t size)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t n = read(fd, out + got, size - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(loading, "%s", strerror(errno));
            return -1;
        }
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

/* The working folder's path comes from /proc: that call is one that nexd's fences allow anyway. */
static int absolute(const struct loading *loading, char *out, size_t size)
{
    char here[PATH_MAX] = "";
    if (loading->path[0] != '/') {
        const ssize_t got = readlink("/proc/self/cwd", here, sizeof here - 1);
        if (got < 0)
            return fail(loading, "name its whole path (/proc does not tell the working folder: %s)",
                        strerror(errno));
        here[got] = '\0';
    }
    const int length = snprintf(out, size, "%s%s%s", here, here[0] ? "/" : "", loading->path);
    return length < 0 || (size_t)length >= size ? fail(loading, "the path is too long") : NX_OK;
}

int policy_file_load(const char *path, uid_t user, policy_warn_fn warn, void *arg, struct policy **out,
                     char *error)
{
    struct loading loading = {.path = path, .user = user, .error = error};
    char whole[PATH_MAX];
    int err = absolute(&loading, whole, sizeof whole);
    FD_AUTO int fd = err == NX_OK ? path_open(&loading, whole) : -1;
    if (fd < 0)
        return NX_EINVAL;
    char *const text = malloc(POLICY_FILE_BYTES_MAX + 1);
    struct policy *const policy = policy_new(path);
    err = text == NULL || policy == NULL ? NX_ENOMEM : NX_OK;
    if (err != NX_OK)
        fail(&loading, "out of memory");
    const ssize_t length = err == NX_OK ? bytes_read(&loading, fd, text, POLICY_FILE_BYTES_MAX + 1) : -1;
    if (err == NX_OK)
        err = length < 0 ? NX_EINVAL : policy_read(policy, text, (size_t)length, error);
    free(text);
    if (err != NX_OK) {
        policy_free(policy);
        return err;
    }
    if (loading.users_own) {
        char message[POLICY_ERROR_MAX];
        snprintf(
            message, sizeof message,
            "the policy %.200s, or a folder above it, belongs to the user that nexd runs as: what keeps a "
            "process from replacing it is its sandbox alone; root's would be safer",
            path);
        warn(arg, message);
    }
    *out = policy;
    return NX_OK;
}
