/* The descriptors are made once: one of each kind, two of the kind that a message has two of, and one that is
 * of none. An input gets duplicates of them. */
#include "tests/fuzz/ipc_input.h"

#include "tests/fuzz/fuzz_input.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PREPARED = 9 };

static int prepared[PREPARED];

static int loopback_socket(int type, int peer, bool listening)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    fuzz_require(fd >= 0 && bind(fd, (const struct sockaddr *)&address, length) == 0);
    fuzz_require(!listening || listen(fd, 1) == 0);
    if (peer >= 0) {
        fuzz_require(getsockname(peer, (struct sockaddr *)&address, &length) == 0);
        fuzz_require(connect(fd, (const struct sockaddr *)&address, length) == 0);
    }
    return fd;
}

static void descriptors_prepare(void)
{
    const struct sockaddr any = {.sa_family = AF_UNIX};
    int pair[2], pipes[2];
    fuzz_require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 && pipe(pipes) == 0);
    prepared[1] = loopback_socket(SOCK_STREAM, -1, true);
    prepared[0] = loopback_socket(SOCK_STREAM, prepared[1], false);
    prepared[2] = loopback_socket(SOCK_DGRAM, -1, false);
    prepared[3] = loopback_socket(SOCK_DGRAM, -1, false);
    prepared[4] = loopback_socket(SOCK_DGRAM, prepared[2], false);
    prepared[5] = pair[0];
    prepared[6] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fuzz_require(prepared[6] >= 0 && bind(prepared[6], &any, sizeof any.sa_family) == 0 &&
                 listen(prepared[6], 1) == 0);
    prepared[7] = pipes[0];
    prepared[8] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fuzz_require(prepared[8] >= 0);
}

uint8_t ipc_input_way(enum ipc_role from, enum ipc_role to)
{
    return (uint8_t)((from - 1) + (to - 1) * 4);
}

bool ipc_input_read(const uint8_t *bytes, size_t length, struct ipc_input *out)
{
    if (length < IPC_INPUT_HEAD)
        return false;
    if (prepared[0] == 0)
        descriptors_prepare();
    *out = (struct ipc_input){
        .from = (enum ipc_role)(bytes[0] % 4 + 1),
        .to = (enum ipc_role)(bytes[0] / 4 % 4 + 1),
        .length = length - IPC_INPUT_HEAD,
        .fd_count = bytes[1] % 8 % (IPC_FDS_MAX + 1),
    };
    for (size_t i = 0; i < out->fd_count; i++) {
        out->fds[i] = fcntl(prepared[(bytes[1] / 8 + i) % PREPARED], F_DUPFD_CLOEXEC, 0);
        fuzz_require(out->fds[i] >= 0);
    }
    out->wire = malloc(out->length + (out->length == 0));
    fuzz_require(out->wire != NULL);
    memcpy(out->wire, bytes + IPC_INPUT_HEAD, out->length);
    return true;
}
