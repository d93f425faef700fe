/* One datagram and its descriptors through a link's socket. No call blocks. */
#ifndef NEXD_IPC_DATAGRAM_H
#define NEXD_IPC_DATAGRAM_H

#include "ipc/codec.h"

enum ipc_datagram_fault {
    IPC_DATAGRAM_WHOLE = 0,
    IPC_DATAGRAM_TOO_LONG,     /* more bytes than any message has */
    IPC_DATAGRAM_TOO_MANY_FDS, /* more descriptors than any message has */
    IPC_DATAGRAM_FDS_LOST,     /* this process is out of descriptors: the kernel closed what did not fit */
};

struct ipc_datagram {
    uint8_t *data; /* the caller's, IPC_DATAGRAM_MAX + 1 bytes */
    size_t length, fd_count;
    int fds[IPC_FDS_MAX]; /* the receiver's, close-on-exec */
    enum ipc_datagram_fault fault;
};

/* Descriptors stay the caller's. NX_OK; NX_EAGAIN (the socket is full: writability tells when it is not);
 * NX_ENOMEM (the host is short of memory, or too many descriptors are in flight: to be tried again, but no
 * event will tell when); NX_ECLOSED (the other side takes nothing more); NX_EINVAL (a descriptor that is not
 * open, or a datagram that can never fit: sending it again is of no use). */
int ipc_datagram_send(int socket, const uint8_t *data, size_t length, const int *fds, size_t fd_count);

/* On NX_OK `datagram` is filled in, and descriptors in it are the caller's whatever its fault. NX_EAGAIN:
 * nothing is there; NX_ECLOSED: end of file, after everything that was sent before it; NX_ESYS. On error no
 * descriptor is left over. */
int ipc_datagram_receive(int socket, struct ipc_datagram *datagram);

#endif
