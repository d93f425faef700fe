/* The folder is flushed too: without that the new name may be lost while the data is safe. */
#include "apid/tls/pem_file.h"

#include "common/err.h"
#include "common/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pem_path(char out[PEM_PATH_MAX], const char *folder, const char *name)
{
    const int length = snprintf(out, PEM_PATH_MAX, "%s/%s", folder, name);
    return length < 0 || length >= PEM_PATH_MAX ? NX_ERANGE : NX_OK;
}

void pem_file_free(char *text, size_t length)
{
    if (text)
        explicit_bzero(text, length);
    free(text);
}

int pem_file_read(const char *path, char **text, size_t *length)
{
    *text = NULL;
    *length = 0;
    FD_AUTO int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? NX_ENOENT : NX_ESYS;
    char *const data = malloc(PEM_FILE_MAX + 1);
    if (data == NULL)
        return NX_ENOMEM;
    size_t got = 0;
    ssize_t n;
    int err = NX_OK;
    while ((n = read(fd, data + got, PEM_FILE_MAX + 1 - got)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        err = n < 0 ? NX_ESYS : NX_OK;
        got += n > 0 ? (size_t)n : 0;
        if (err == NX_OK && got > PEM_FILE_MAX)
            err = NX_ERANGE;
        if (err)
            break;
    }
    if (err) {
        pem_file_free(data, got);
        return err;
    }
    data[got] = '\0';
    *text = data;
    *length = got;
    return NX_OK;
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t n = write(fd, text, length);
        if (n < 0 && errno != EINTR)
            return NX_ESYS;
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
    return NX_OK;
}

static int folder_flush(const char *path)
{
    char folder[PEM_PATH_MAX];
    const char *const slash = strrchr(path, '/');
    snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    FD_AUTO int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? NX_ESYS : NX_OK;
}

int pem_file_write(const char *path, const char *text, size_t length, mode_t mode)
{
    char beside[PEM_PATH_MAX];
    const int path_length = snprintf(beside, sizeof(beside), "%s.new", path);
    if (path_length < 0 || (size_t)path_length >= sizeof(beside))
        return NX_ERANGE;
    if (unlink(beside) && errno != ENOENT) /* what a lost power supply left behind */
        return NX_ESYS;
    FD_AUTO int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return NX_ESYS;
    int err = write_all(fd, text, length);
    if (!err && (fsync(fd) || rename(beside, path)))
        err = NX_ESYS;
    if (err) {
        const int saved_errno = errno;
        unlink(beside);
        errno = saved_errno;
        return err;
    }
    return folder_flush(path);
}
