/* Descriptors of every sort, right and wrong, for tests of what a message may carry. */
#ifndef NEXD_TESTS_IPC_SOCKETS_H
#define NEXD_TESTS_IPC_SOCKETS_H

#include "ipc/table.h"

#include <check.h>

/* A descriptor of a sort, and the kinds (bits 1 << enum ipc_fd_kind) it is to be accepted as. */
struct specimen {
    const char *name;
    int (*make)(void); /* the caller closes it; -1: this host has none */
    unsigned kinds;
};

extern const struct specimen specimens[];
extern const size_t specimen_count;

/* A descriptor of that kind; IPC_FD_BY_PROTOCOL as `protocol` says. */
int socket_of(enum ipc_fd_kind kind, uint8_t protocol);
/* Open descriptors of this process. */
size_t open_fds(void);
/* Each test of this case is to leave as many open as it found. */
void open_fds_guard(TCase *tcase);
bool fd_is_open(int fd);
/* A number that tells whether two descriptors are one file. */
uint64_t fd_identity(int fd);

#endif
