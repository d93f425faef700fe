/* Datagrams between the processes; ipc_input.h says what an input means. What the decoder accepts must encode
 * to the same bytes and descriptors, print as one line, and be released; what it refuses must leave nothing
 * behind. */
#include "common/err.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/ipc_input.h"

#include <fcntl.h>
#include <unistd.h>

enum { PRINT_MAX = 3 * IPC_DATAGRAM_MAX };

static void check_accepted(struct ipc_message *message, const struct ipc_input *input)
{
    static uint8_t again[IPC_DATAGRAM_MAX];
    static char line[PRINT_MAX];
    int again_fds[IPC_FDS_MAX];
    size_t again_count;
    char error[IPC_ERROR_MAX];
    int result = ipc_encode((enum ipc_type)message->header.type, message->header.request, &message->body,
                            again, again_fds, &again_count, error);
    fuzz_require(result == (int)input->length && memcmp(again, input->wire, input->length) == 0);
    fuzz_require(again_count == input->fd_count &&
                 memcmp(again_fds, input->fds, input->fd_count * sizeof *input->fds) == 0);
    fuzz_require_message(ipc_print(message, line, sizeof line), sizeof line);
    ipc_print(message, line, input->length % 97); /* cut anywhere */
    ipc_message_release(message);
    for (size_t i = 0; i < input->fd_count; i++)
        fuzz_require(fcntl(input->fds[i], F_GETFD) < 0);
}

static void check_refused(const struct ipc_message *message, const char *error, const struct ipc_input *input)
{
    static const struct ipc_message nothing;
    fuzz_require_message(error, IPC_ERROR_MAX);
    fuzz_require(memcmp(message, &nothing, sizeof nothing) == 0);
    for (size_t i = 0; i < input->fd_count; i++)
        fuzz_require(close(input->fds[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct ipc_message message;
    struct ipc_input input;
    char error[IPC_ERROR_MAX] = "";
    if (!ipc_input_read(bytes, length, &input))
        return 0;
    if (ipc_decode(input.wire, input.length, input.fds, input.fd_count, input.from, input.to, &message,
                   error) == NX_OK)
        check_accepted(&message, &input);
    else
        check_refused(&message, error, &input);
    free(input.wire);
    return 0;
}
