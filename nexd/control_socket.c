/* bind(2) makes the file with the rights that the umask leaves, so the umask is 0177 around it: there is no
 * moment at which another user could connect. Whether an existing socket is stale is found out by connecting
 * to it: ECONNREFUSED means that its listener is gone. */
#include "nexd/control_socket.h"

#include "common/err.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 /* a client that does not wait is refused when it is full: Go programs do not */ };

static int fail(char *error, const char *path, const char *what, int code)
{
    snprintf(error, CONTROL_SOCKET_ERROR_MAX, "control socket %s: %s", path, what);
    return code;
}

/* Removes a stale socket file; NX_OK when the path is free afterwards. */
static int path_clear(const struct sockaddr_un *address, char *error)
{
    const char *path = address->sun_path;
    struct stat status;
    if (lstat(path, &status))
        return errno == ENOENT ? NX_OK : fail(error, path, strerror(errno), NX_ESYS);
    if (!S_ISSOCK(status.st_mode))
        return fail(error, path, "there is a file that is no socket; it is left alone", NX_EEXIST);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return fail(error, path, strerror(errno), NX_ESYS);
    int cause = connect(probe, (const struct sockaddr *)address, sizeof *address) ? errno : 0;
    close(probe);
    if (cause == ENOENT)
        return NX_OK;
    if (cause == 0 || cause == EAGAIN)
        return fail(error, path, "another nexd answers there (choose a path with --unix-socket, or none)",
                    NX_EEXIST);
    if (cause != ECONNREFUSED)
        return fail(error, path, strerror(cause), NX_ESYS);
    return unlink(path) && errno != ENOENT ? fail(error, path, strerror(errno), NX_ESYS) : NX_OK;
}

static int folder_make(const char *path, char *error)
{
    char copy[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(copy, sizeof copy, "%s", path);
    if (mkdir(dirname(copy), 0700) == 0 || errno == EEXIST)
        return NX_OK;
    char why[CONTROL_SOCKET_ERROR_MAX / 2];
    snprintf(why, sizeof why, "its folder cannot be made: %s", strerror(errno));
    return fail(error, path, why, NX_ESYS);
}

/* Binds with mode 0600, listens, and remembers which file it is. */
static int socket_bind(const struct sockaddr_un *address, struct control_socket *out, char *error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail(error, address->sun_path, strerror(errno), NX_ESYS);
    mode_t mask = umask(0177);
    int failed = bind(fd, (const struct sockaddr *)address, sizeof *address);
    int cause = errno;
    umask(mask);
    struct stat status;
    if (!failed && (lstat(address->sun_path, &status) || listen(fd, BACKLOG))) {
        cause = errno;
        unlink(address->sun_path);
        failed = -1;
    }
    if (failed) {
        close(fd);
        return fail(error, address->sun_path, strerror(cause), NX_ESYS);
    }
    *out = (struct control_socket){.fd = fd, .device = status.st_dev, .inode = status.st_ino};
    memcpy(out->path, address->sun_path, sizeof out->path);
    return NX_OK;
}

int control_socket_open(const char *path, bool make_folder, struct control_socket *out, char *error)
{
    *out = (struct control_socket){.fd = -1};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return fail(error, path, "longer than the 107 bytes that a socket's path may have", NX_ERANGE);
    if (path[0] == '\0')
        return fail(error, "\"\"", "the path is empty", NX_ERANGE);
    strcpy(address.sun_path, path);
    int err = make_folder ? folder_make(path, error) : NX_OK;
    if (!err)
        err = path_clear(&address, error);
    return err ? err : socket_bind(&address, out, error);
}

int control_socket_share(const struct control_socket *socket, gid_t group, char *error)
{
    char why[CONTROL_SOCKET_ERROR_MAX / 2], through[32];
    struct stat status;
    /* By a descriptor, so that the file whose rights are changed is the one that was looked at. */
    int fd = open(socket->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool ours = fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
                status.st_dev == socket->device && status.st_ino == socket->inode;
    snprintf(through, sizeof through, "/proc/self/fd/%d", fd);
    int err = NX_OK;
    if (!ours || fchownat(fd, "", (uid_t)-1, group, AT_EMPTY_PATH) || fchmodat(AT_FDCWD, through, 0660, 0)) {
        snprintf(why, sizeof why, "it cannot be given to group %u: %s", (unsigned)group,
                 fd >= 0 && !ours ? "somebody else replaced it" : strerror(errno));
        err = fail(error, socket->path, why, NX_ESYS);
    }
    if (fd >= 0)
        close(fd);
    return err;
}

void control_socket_close(struct control_socket *socket)
{
    if (socket->fd < 0)
        return;
    struct stat status;
    if (lstat(socket->path, &status) == 0 && status.st_dev == socket->device &&
        status.st_ino == socket->inode)
        unlink(socket->path);
    close(socket->fd);
    socket->fd = -1;
}
