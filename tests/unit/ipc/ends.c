#include "tests/unit/ipc/ends.h"

#include "common/err.h"
#include "common/log.h"
#include "tests/unit/ipc/sockets.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t fds_before;

static void free_if(struct end *end, enum end_free_when when)
{
    if (end->free_when != when)
        return;
    ipc_link_free(end->link);
    end->link = NULL;
}

static void on_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    struct end *end = arg;
    ck_assert_ptr_eq(link, end->link);
    ck_assert_uint_eq(end->closes, 0);
    ck_assert_uint_eq(message->header.request, end->last_request + 1);
    end->last_request++;
    end->messages++;
    if (message->header.type == IPC_MSG_EGRESS_UDP &&
        end->fd_count < sizeof end->fds_taken / sizeof end->fds_taken[0]) {
        end->fds_taken[end->fd_count++] = message->body.egress_udp.fd;
        message->body.egress_udp.fd = -1;
    }
    free_if(end, FREE_IN_MESSAGE);
    if (end->link != NULL && end->then != NULL)
        end->then(end);
}

static void on_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    struct end *end = arg;
    ck_assert_ptr_eq(link, end->link);
    end->closes++;
    end->err = err;
    snprintf(end->why, sizeof end->why, "%s", why);
    free_if(end, FREE_IN_CLOSE);
}

static void on_writable(struct ipc_link *link, void *arg)
{
    struct end *end = arg;
    ck_assert_ptr_eq(link, end->link);
    ck_assert_uint_eq(end->closes, 0);
    end->writables++;
    free_if(end, FREE_IN_WRITABLE);
    if (end->link != NULL && end->then != NULL)
        end->then(end);
}

const struct ipc_link_ops end_ops = {on_message, on_close, on_writable};

static void ends_make(struct ends *ends)
{
    log_init("test", LOG_LEVEL_FATAL);
    fds_before = open_fds();
    memset(ends, 0, sizeof *ends);
    ends->base = event_base_new();
    ck_assert_ptr_nonnull(ends->base);
    ck_assert_int_eq(ipc_socketpair(ends->fds), NX_OK);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ne(fcntl(ends->fds[i], F_GETFD) & FD_CLOEXEC, 0);
        ck_assert_int_ne(fcntl(ends->fds[i], F_GETFL) & O_NONBLOCK, 0);
    }
}

void ends_open_one(struct ends *ends, enum ipc_role self, enum ipc_role peer, size_t queue_max)
{
    ends_make(ends);
    ends->a.link = ipc_link_new(ends->base, ends->fds[0], self, peer, 5, queue_max, &end_ops, &ends->a);
    ck_assert_ptr_nonnull(ends->a.link);
    ck_assert_int_eq(ipc_link_peer(ends->a.link), peer);
    ck_assert_uint_eq(ipc_link_generation(ends->a.link), 5);
}

void ends_open(struct ends *ends, size_t queue_max)
{
    ends_open_one(ends, IPC_PROXYD, IPC_TUNNELD, queue_max);
    ends->b.link =
        ipc_link_new(ends->base, ends->fds[1], IPC_TUNNELD, IPC_PROXYD, 5, queue_max, &end_ops, &ends->b);
    ck_assert_ptr_nonnull(ends->b.link);
    ends->fds[1] = -1;
}

static void fds_close(struct end *end)
{
    while (end->fd_count > 0)
        close(end->fds_taken[--end->fd_count]);
}

void ends_close(struct ends *ends)
{
    ipc_link_free(ends->a.link);
    ipc_link_free(ends->b.link);
    fds_close(&ends->a);
    fds_close(&ends->b);
    if (ends->fds[1] >= 0)
        close(ends->fds[1]);
    event_base_free(ends->base);
    ck_assert_uint_eq(open_fds(), fds_before);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

void ends_wait(struct ends *ends, const unsigned *counter, unsigned least)
{
    const struct timeval limit = {.tv_sec = 10};
    bool late = false;
    struct event *timer = event_new(ends->base, -1, 0, on_late, &late);
    event_add(timer, &limit);
    while (*counter < least && !late)
        event_base_loop(ends->base, EVLOOP_ONCE);
    event_free(timer);
    ck_assert_uint_ge(*counter, least);
}

void ends_poll(struct ends *ends)
{
    event_base_loop(ends->base, EVLOOP_NONBLOCK);
}

int result_send(struct ipc_link *link, uint32_t request)
{
    const struct ipc_result result = {.result = IPC_OK, .text = "words"};
    return ipc_send(link, IPC_MSG_RESULT, request, &result);
}

int egress_udp_send(struct ipc_link *link, uint32_t request, int fd)
{
    const struct ipc_egress_udp body = {.port = 53, .fd = fd};
    return ipc_send(link, IPC_MSG_EGRESS_UDP, request, &body);
}

int raw_write(int fd, const void *data, size_t length, const int *fds, size_t fd_count)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * 64)] = {0};
    struct iovec iov = {(void *)(uintptr_t)data, length};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    ck_assert_uint_le(fd_count, 64);
    if (fd_count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length ? 0 : errno;
}

static int result_try(int fd, uint32_t request)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    const struct ipc_result result = {.result = IPC_OK, .text = "words"};
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    char error[IPC_ERROR_MAX];
    int length = ipc_encode(IPC_MSG_RESULT, request, &result, wire, fds, &fd_count, error);
    ck_assert_int_gt(length, 0);
    return raw_write(fd, wire, (size_t)length, NULL, 0);
}

void result_write(int fd, uint32_t request)
{
    ck_assert_int_eq(result_try(fd, request), 0);
}

uint32_t socket_fill(struct ends *ends)
{
    uint32_t count = 0;
    while (result_try(ends->fds[0], count + 1) == 0)
        count++;
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_gt(count, 0);
    return count;
}

uint32_t raw_read(int fd)
{
    static uint8_t wire[IPC_DATAGRAM_MAX];
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
    struct iovec iov = {wire, sizeof wire};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct ipc_header header;
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < (ssize_t)sizeof header)
        return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    for (size_t i = 0; c != NULL && i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
        int received;
        memcpy(&received, CMSG_DATA(c) + i * sizeof received, sizeof received);
        close(received);
    }
    memcpy(&header, wire, sizeof header);
    return header.request;
}
