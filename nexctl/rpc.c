/* JSON-RPC 1.0. The answer is one line: a JSON text never has a newline inside a string, and nexd writes none
 * between tokens. */
#include "nexctl/rpc.h"

#include "common/array.h"
#include "common/err.h"
#include "common/fd.h"
#include "nexctl/json.h"
#include "nexctl/printable.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <yajl/yajl_gen.h>

enum { READ_BYTES = 16384 };

/* A path that a socket address cannot hold is shortened to one through a descriptor of its folder. */
static int address_fill(const char *path, struct sockaddr_un *out, int *folder_fd)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < sizeof out->sun_path) {
        memcpy(out->sun_path, path, length);
        return NX_OK;
    }
    char *folder = strdup(path), *name = strdup(path);
    int err = folder && name ? NX_OK : NX_ENOMEM;
    if (!err) {
        *folder_fd = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
        int written =
            snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", *folder_fd, basename(name));
        if (*folder_fd < 0)
            err = NX_ESYS;
        else if (written < 0 || (size_t)written >= sizeof out->sun_path) {
            errno = ENAMETOOLONG;
            err = NX_ESYS;
        }
    }
    int saved_errno = errno;
    free(folder);
    free(name);
    errno = saved_errno;
    return err;
}

static int rpc_connect(const char *path)
{
    struct sockaddr_un address;
    FD_AUTO int folder_fd = -1;
    if (address_fill(path, &address, &folder_fd))
        return -1;
    const struct timeval limit = {.tv_sec = RPC_TIMEOUT_S};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) ||
        connect(fd, (const struct sockaddr *)&address, sizeof address))
        fd_close(&fd);
    return fd;
}

static int request_write(yajl_gen gen, const char *method, const char *argument)
{
    char name[128];
    int length = snprintf(name, sizeof name, "NexdCtl.%s", method);
    bool ok = yajl_gen_map_open(gen) == yajl_gen_status_ok;
    ok = ok && yajl_gen_string(gen, (const unsigned char *)"method", 6) == yajl_gen_status_ok;
    ok = ok && yajl_gen_string(gen, (const unsigned char *)name, (size_t)length) == yajl_gen_status_ok;
    ok = ok && yajl_gen_string(gen, (const unsigned char *)"params", 6) == yajl_gen_status_ok;
    ok = ok && yajl_gen_array_open(gen) == yajl_gen_status_ok;
    ok = ok && yajl_gen_string(gen, (const unsigned char *)argument, strlen(argument)) == yajl_gen_status_ok;
    ok = ok && yajl_gen_array_close(gen) == yajl_gen_status_ok;
    ok = ok && yajl_gen_string(gen, (const unsigned char *)"id", 2) == yajl_gen_status_ok;
    ok = ok && yajl_gen_integer(gen, 0) == yajl_gen_status_ok;
    ok = ok && yajl_gen_map_close(gen) == yajl_gen_status_ok;
    return ok ? NX_OK : NX_EINVAL;
}

static int bytes_send(int fd, const unsigned char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return NX_ESYS;
        data += sent;
        length -= (size_t)sent;
    }
    return NX_OK;
}

static int request_send(int fd, const char *method, const char *argument)
{
    yajl_gen gen = yajl_gen_alloc(NULL);
    const unsigned char *text = NULL;
    size_t length = 0;
    if (!gen)
        return NX_ENOMEM;
    yajl_gen_config(gen, yajl_gen_validate_utf8, 1);
    int err = request_write(gen, method, argument);
    if (!err && yajl_gen_get_buf(gen, &text, &length) != yajl_gen_status_ok)
        err = NX_EINVAL;
    if (!err)
        err = bytes_send(fd, text, length);
    if (!err)
        err = bytes_send(fd, (const unsigned char *)"\n", 1);
    yajl_gen_free(gen);
    return err;
}

/* Reads one line into *text, terminated, the newline removed. */
static int line_read(int fd, char **text, char *error)
{
    size_t length = 0, capacity = 0;
    while (length < RPC_ANSWER_MAX) {
        char *grown = array_reserve(*text, &capacity, length + READ_BYTES + 1, 1);
        if (!grown) {
            snprintf(error, RPC_ERROR_MAX, "out of memory");
            return NX_ENOMEM;
        }
        *text = grown;
        ssize_t got = recv(fd, *text + length, READ_BYTES, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            snprintf(error, RPC_ERROR_MAX, "no answer: %s",
                     got == 0 ? "unexpected EOF" : strerror(errno == EAGAIN ? ETIMEDOUT : errno));
            return NX_EPROTO;
        }
        char *newline = memchr(*text + length, '\n', (size_t)got);
        length += (size_t)got;
        if (newline) {
            *newline = '\0';
            return NX_OK;
        }
    }
    snprintf(error, RPC_ERROR_MAX, "the answer is longer than %d bytes", RPC_ANSWER_MAX);
    return NX_EPROTO;
}

int rpc_answer_parse(const char *text, char **result, char *error)
{
    static const char *result_path[] = {"result", NULL}, *error_path[] = {"error", NULL};
    yajl_val tree = json_tree_parse(text);
    const char *refused = tree ? YAJL_GET_STRING(yajl_tree_get(tree, error_path, yajl_t_string)) : NULL;
    const char *answer = tree ? YAJL_GET_STRING(yajl_tree_get(tree, result_path, yajl_t_string)) : NULL;
    int err = NX_EPROTO;
    if (!tree) {
        snprintf(error, RPC_ERROR_MAX, "the answer is not JSON that can be read");
    } else if (refused) {
        snprintf(error, RPC_ERROR_MAX, "%s", refused);
        printable_make(error, true);
    } else if (!answer) {
        snprintf(error, RPC_ERROR_MAX, "the answer has neither result nor error");
    } else {
        *result = strdup(answer);
        err = *result ? NX_OK : NX_ENOMEM;
        if (err)
            snprintf(error, RPC_ERROR_MAX, "out of memory");
    }
    yajl_tree_free(tree);
    return err;
}

int rpc_server(const char *path, pid_t *pid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    FD_AUTO int fd = rpc_connect(path);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
        return NX_ENOENT;
    *pid = peer.pid;
    return NX_OK;
}

int rpc_call(const char *path, const char *method, const char *argument, char **result, char *error)
{
    FD_AUTO int fd = rpc_connect(path);
    if (fd < 0) {
        snprintf(error, RPC_ERROR_MAX, "%s", strerror(errno));
        return NX_ENOENT;
    }
    if (request_send(fd, method, argument)) {
        snprintf(error, RPC_ERROR_MAX, "the request cannot be sent: %s", strerror(errno));
        return NX_EPROTO;
    }
    char *line = NULL;
    int err = line_read(fd, &line, error);
    if (!err)
        err = rpc_answer_parse(line, result, error);
    free(line);
    return err;
}
