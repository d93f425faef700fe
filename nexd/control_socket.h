/* The listening control socket: made by the parent, served by ctld. Only the parent process.
 *
 * The file is of mode 0600 from its first moment. A stale socket file, one that nobody listens on, is
 * replaced; one that is answered, and anything that is not a socket, is an error. */
#ifndef NEXD_NEXD_CONTROL_SOCKET_H
#define NEXD_NEXD_CONTROL_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { CONTROL_SOCKET_ERROR_MAX = 320 };

struct control_socket {
    int fd; /* listener, non-blocking, close-on-exec; -1 = none */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    dev_t device; /* of the file that we made */
    ino_t inode;
};

/* Binds and listens at `path`. With `make_folder` the socket's own folder is made, mode 0700, when it is
 * missing. On error returns NX_ERANGE (path too long), NX_EEXIST (in use, or no socket) or NX_ESYS, and
 * `error` (CONTROL_SOCKET_ERROR_MAX bytes) holds one line that names the path. */
int control_socket_open(const char *path, bool make_folder, struct control_socket *out, char *error);
/* Lets the members of a group connect too: its file gets that group and mode 0660. NX_ESYS, with the line for
 * the operator in `error`: nobody but the owner may. Takes CAP_CHOWN where the process is not in that group.
 */
int control_socket_share(const struct control_socket *socket, gid_t group, char *error);
/* Closes, and removes the file if it is still the one that we made. */
void control_socket_close(struct control_socket *socket);

#endif
