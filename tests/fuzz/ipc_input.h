/* What an input of fuzz_ipc means: a byte that chooses the way, a byte that says what descriptors come along
 * (how many, and which of the prepared ones is the first), then the datagram. The target and the test of its
 * seeds read it alike. */
#ifndef NEXD_TESTS_IPC_INPUT_H
#define NEXD_TESTS_IPC_INPUT_H

#include "ipc/codec.h"

enum { IPC_INPUT_HEAD = 2 };

struct ipc_input {
    enum ipc_role from, to;
    uint8_t *wire; /* of exactly `length` bytes, so that a read past the end is noticed */
    size_t length, fd_count;
    int fds[IPC_FDS_MAX];
};

/* False: too short to be an input. The wire is the caller's to free, the descriptors the caller's to close.
 * Aborts when the host refuses memory or a socket. */
bool ipc_input_read(const uint8_t *bytes, size_t length, struct ipc_input *out);
/* The first byte for a way. */
uint8_t ipc_input_way(enum ipc_role from, enum ipc_role to);

#endif
