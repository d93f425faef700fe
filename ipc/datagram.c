/* sendmsg(2) and recvmsg(2) with SCM_RIGHTS, and what their errors mean for a link. */
#include "ipc/datagram.h"
#include "common/err.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

static int send_error(int error)
{
    switch (error) {
    case EAGAIN:
        return NX_EAGAIN;
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS:
        return NX_ENOMEM;
    case EBADF:
    case EINVAL:
    case EMSGSIZE:
        return NX_EINVAL;
    default:
        return NX_ECLOSED;
    }
}

int ipc_datagram_send(int socket, const uint8_t *data, size_t length, const int *fds, size_t fd_count)
{
    union control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = length};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    for (;;) {
        if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return NX_OK;
        if (errno != EINTR)
            return send_error(errno);
    }
}

static void fds_take(struct msghdr *header, struct ipc_datagram *datagram)
{
    datagram->fd_count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (datagram->fd_count < IPC_FDS_MAX)
                datagram->fds[datagram->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

/* Descriptors are cut off when the room for them is full, or when this process may open no more of them. */
static enum ipc_datagram_fault fault_of(int flags, size_t fd_count)
{
    if (flags & MSG_TRUNC)
        return IPC_DATAGRAM_TOO_LONG;
    if (flags & MSG_CTRUNC)
        return fd_count == IPC_FDS_MAX ? IPC_DATAGRAM_TOO_MANY_FDS : IPC_DATAGRAM_FDS_LOST;
    return IPC_DATAGRAM_WHOLE;
}

int ipc_datagram_receive(int socket, struct ipc_datagram *datagram)
{
    union control control;
    struct iovec iov = {.iov_base = datagram->data, .iov_len = IPC_DATAGRAM_MAX + 1};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    bool reset = false;
    for (;;) {
        header.msg_control = &control;
        header.msg_controllen = sizeof control;
        n = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n >= 0)
            break;
        /* The other side ended without reading all of ours. That is told first, and once; what it said before
         * its end can still be read. */
        if (errno != ECONNRESET || reset)
            return errno == EAGAIN || errno == EINTR ? NX_EAGAIN : errno == ECONNRESET ? NX_ECLOSED : NX_ESYS;
        reset = true;
    }
    fds_take(&header, datagram);
    datagram->length = (size_t)n;
    datagram->fault = fault_of(header.msg_flags, datagram->fd_count);
    return n == 0 && datagram->fd_count == 0 && datagram->fault == IPC_DATAGRAM_WHOLE ? NX_ECLOSED : NX_OK;
}
