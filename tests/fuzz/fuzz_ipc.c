/* Datagrams between the processes. Input: a byte that chooses the way, a byte that says what descriptors come
 * along (how many, and which of the prepared ones is the first), then the datagram. What the
 * decoder accepts must encode to the same bytes and descriptors, print as one line, and be released; what it
 * refuses must leave nothing behind. */
#include "common/err.h"
#include "ipc/table.h"
#include "tests/fuzz/fuzz_input.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PREPARED = 8, PRINT_MAX = 3 * IPC_DATAGRAM_MAX };

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

/* One of each kind, two of the kind that a message has two of, and one that is of none. */
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
}

static void check_accepted(struct ipc_message *message, const uint8_t *wire, size_t length, const int *fds,
                           size_t fd_count)
{
    static uint8_t again[IPC_DATAGRAM_MAX];
    static char line[PRINT_MAX];
    int again_fds[IPC_FDS_MAX];
    size_t again_count;
    char error[IPC_ERROR_MAX];
    int result = ipc_encode((enum ipc_type)message->header.type, message->header.request, &message->body,
                            again, again_fds, &again_count, error);
    fuzz_require(result == (int)length && memcmp(again, wire, length) == 0);
    fuzz_require(again_count == fd_count && memcmp(again_fds, fds, fd_count * sizeof *fds) == 0);
    fuzz_require_message(ipc_print(message, line, sizeof line), sizeof line);
    ipc_print(message, line, length % 97); /* cut anywhere */
    ipc_message_release(message);
    for (size_t i = 0; i < fd_count; i++)
        fuzz_require(fcntl(fds[i], F_GETFD) < 0);
}

static void check_refused(const struct ipc_message *message, const char *error, const int *fds,
                          size_t fd_count)
{
    static const struct ipc_message nothing;
    fuzz_require_message(error, IPC_ERROR_MAX);
    fuzz_require(memcmp(message, &nothing, sizeof nothing) == 0);
    for (size_t i = 0; i < fd_count; i++)
        fuzz_require(close(fds[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct ipc_message message;
    char error[IPC_ERROR_MAX] = "";
    int fds[IPC_FDS_MAX];
    if (length < 2)
        return 0;
    if (prepared[0] == 0)
        descriptors_prepare();
    const enum ipc_role from = (enum ipc_role)(bytes[0] % 4 + 1), to = (enum ipc_role)(bytes[0] / 4 % 4 + 1);
    const size_t fd_count = bytes[1] % 8 % (IPC_FDS_MAX + 1);
    for (size_t i = 0; i < fd_count; i++) {
        fds[i] = fcntl(prepared[(bytes[1] / 8 + i) % PREPARED], F_DUPFD_CLOEXEC, 0);
        fuzz_require(fds[i] >= 0);
    }
    /* Of exactly its size, so that a read past the end is noticed. */
    length -= 2;
    uint8_t *wire = malloc(length + (length == 0));
    fuzz_require(wire != NULL);
    memcpy(wire, bytes + 2, length);
    if (ipc_decode(wire, length, fds, fd_count, from, to, &message, error) == NX_OK)
        check_accepted(&message, wire, length, fds, fd_count);
    else
        check_refused(&message, error, fds, fd_count);
    free(wire);
    return 0;
}
