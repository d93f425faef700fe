/* One end of a link. What the socket does not take at once waits, encoded, in a bounded queue with duplicates
 * of its descriptors. A callee may free the link inside a callback: the link is then only marked, and freed
 * on the way out. */
#include "ipc/link.h"
#include "common/err.h"
#include "common/log.h"
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGES_PER_WAKE = 64, SOCKET_BUFFER_BYTES = 1 << 20 };

struct queued {
    STAILQ_ENTRY(queued) next;
    size_t length, fd_count;
    int fds[IPC_FDS_MAX];
    uint8_t data[];
};

struct ipc_link {
    const struct ipc_link_ops *ops;
    void *arg;
    struct event *readable, *writable;
    STAILQ_HEAD(, queued) queue;
    size_t queue_count, queue_max;
    uint32_t generation, last_request;
    enum ipc_role self, peer;
    int fd;
    unsigned busy; /* callbacks that are running */
    bool closed;   /* on_close was called */
    bool freed;
    bool held;     /* receives nothing */
    bool was_full; /* somebody got NX_EAGAIN */
};

int ipc_socketpair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0 ? NX_OK : NX_ESYS;
}

static void queued_free(struct queued *q)
{
    for (size_t i = 0; i < q->fd_count; i++)
        close(q->fds[i]);
    explicit_bzero(q->data, q->length);
    free(q);
}

static void link_destroy(struct ipc_link *link)
{
    if (link->readable != NULL)
        event_free(link->readable);
    if (link->writable != NULL)
        event_free(link->writable);
    while (!STAILQ_EMPTY(&link->queue)) {
        struct queued *q = STAILQ_FIRST(&link->queue);
        STAILQ_REMOVE_HEAD(&link->queue, next);
        queued_free(q);
    }
    close(link->fd);
    free(link);
}

void ipc_link_free(struct ipc_link *link)
{
    if (link == NULL)
        return;
    link->freed = link->closed = true;
    (void)event_del(link->readable);
    (void)event_del(link->writable);
    if (link->busy == 0)
        link_destroy(link);
}

/* False when the link was freed meanwhile. */
static bool link_leave(struct ipc_link *link)
{
    link->busy--;
    if (!link->freed)
        return true;
    if (link->busy == 0)
        link_destroy(link);
    return false;
}

static void link_close(struct ipc_link *link, int err, const char *why)
{
    if (link->closed)
        return;
    link->closed = true;
    (void)event_del(link->readable);
    (void)event_del(link->writable);
    link->ops->on_close(link, err, why, link->arg);
}

/* -- Receiving ---------------------------------------------------------------------------------------------
 */

union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

static size_t fds_take(struct msghdr *message, int *fds)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (count < IPC_FDS_MAX)
                fds[count++] = fd;
            else
                close(fd);
        }
    }
    return count;
}

/* One datagram: NX_OK and a message was handed over, NX_EAGAIN, or an error with *why filled in. */
static int receive_one(struct ipc_link *link, char *why)
{
    static uint8_t data[IPC_DATAGRAM_MAX + 1];
    union control control;
    struct iovec iov = {.iov_base = data, .iov_len = sizeof data};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(link->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return NX_EAGAIN;
        snprintf(why, IPC_ERROR_MAX, "recvmsg: %s", strerror(errno));
        return errno == ECONNRESET ? NX_ECLOSED : NX_ESYS;
    }
    int fds[IPC_FDS_MAX];
    size_t fd_count = fds_take(&header, fds);
    struct ipc_message message;
    int err = NX_EPROTO;
    if (n == 0 && fd_count == 0) {
        snprintf(why, IPC_ERROR_MAX, "end of file");
        return NX_ECLOSED;
    }
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        snprintf(why, IPC_ERROR_MAX, "header.length: %s",
                 header.msg_flags & MSG_TRUNC ? "datagram too long" : "descriptors lost");
    else
        err = ipc_decode(data, (size_t)n, fds, fd_count, link->peer, link->self, &message, why);
    explicit_bzero(data, (size_t)n);
    if (err != NX_OK) {
        for (size_t i = 0; i < fd_count; i++)
            close(fds[i]);
        return err;
    }
    link->ops->on_message(link, &message, link->arg);
    ipc_message_release(&message);
    return NX_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct ipc_link *link = arg;
    char why[IPC_ERROR_MAX] = "";
    int err = NX_OK;
    (void)fd;
    (void)what;
    link->busy++;
    for (unsigned i = 0; i < MESSAGES_PER_WAKE && err == NX_OK && !link->closed && !link->held; i++)
        err = receive_one(link, why);
    if (err != NX_OK && err != NX_EAGAIN)
        link_close(link, err, why);
    (void)link_leave(link);
}

/* -- Sending -----------------------------------------------------------------------------------------------
 */

/* NX_OK, NX_EAGAIN, or NX_ECLOSED. */
static int send_now(struct ipc_link *link, const uint8_t *data, size_t length, const int *fds,
                    size_t fd_count)
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
        if (sendmsg(link->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return NX_OK;
        if (errno == EINTR)
            continue;
        /* Too many descriptors in flight is a full queue by another name. */
        return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? NX_EAGAIN : NX_ECLOSED;
    }
}

static int enqueue(struct ipc_link *link, const uint8_t *data, size_t length, const int *fds, size_t fd_count)
{
    if (link->queue_count >= link->queue_max) {
        link->was_full = true;
        return NX_EAGAIN;
    }
    struct queued *q = malloc(sizeof *q + length);
    if (q == NULL)
        return NX_EAGAIN;
    *q = (struct queued){.length = length};
    memcpy(q->data, data, length);
    for (; q->fd_count < fd_count; q->fd_count++) {
        q->fds[q->fd_count] = fcntl(fds[q->fd_count], F_DUPFD_CLOEXEC, 0);
        if (q->fds[q->fd_count] < 0) {
            queued_free(q);
            return NX_EAGAIN;
        }
    }
    STAILQ_INSERT_TAIL(&link->queue, q, next);
    if (link->queue_count++ == 0)
        (void)event_add(link->writable, NULL);
    return NX_OK;
}

/* Sends from the queue while the socket takes it. NX_OK: empty. */
static int queue_send(struct ipc_link *link)
{
    while (!STAILQ_EMPTY(&link->queue)) {
        struct queued *q = STAILQ_FIRST(&link->queue);
        int err = send_now(link, q->data, q->length, q->fds, q->fd_count);
        if (err != NX_OK)
            return err;
        STAILQ_REMOVE_HEAD(&link->queue, next);
        link->queue_count--;
        queued_free(q);
    }
    (void)event_del(link->writable);
    return NX_OK;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct ipc_link *link = arg;
    (void)fd;
    (void)what;
    link->busy++;
    int err = queue_send(link);
    if (err == NX_ECLOSED) {
        link_close(link, NX_ECLOSED, "the other side has closed");
    } else if (link->was_full && link->queue_count <= link->queue_max / 2) {
        link->was_full = false;
        if (link->ops->on_writable != NULL)
            link->ops->on_writable(link, link->arg);
    }
    (void)link_leave(link);
}

int ipc_send(struct ipc_link *link, enum ipc_type type, uint32_t request, const void *body)
{
    static uint8_t data[IPC_DATAGRAM_MAX];
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    char error[IPC_ERROR_MAX];
    if (link == NULL || link->closed)
        return NX_ECLOSED;
    int length = ipc_encode(type, request, body, data, fds, &fd_count, error);
    if (length < 0) {
        log_error("message to %s not sent: %s", ipc_role_name(link->peer), error);
        return length;
    }
    int err = STAILQ_EMPTY(&link->queue) ? send_now(link, data, (size_t)length, fds, fd_count) : NX_EAGAIN;
    if (err == NX_EAGAIN)
        err = enqueue(link, data, (size_t)length, fds, fd_count);
    explicit_bzero(data, (size_t)length);
    return err; /* after NX_ECLOSED the reading side tells of the end */
}

int ipc_link_flush(struct ipc_link *link, int timeout_ms)
{
    if (link == NULL || link->closed)
        return NX_ECLOSED;
    for (;;) {
        int err = queue_send(link);
        if (err != NX_EAGAIN)
            return err;
        struct pollfd p = {.fd = link->fd, .events = POLLOUT};
        if (poll(&p, 1, timeout_ms) <= 0)
            return NX_ETIMEDOUT;
    }
}

/* -- The rest ----------------------------------------------------------------------------------------------
 */

struct ipc_link *ipc_link_new(struct event_base *base, int fd, enum ipc_role self, enum ipc_role peer,
                              uint32_t generation, size_t queue_max, const struct ipc_link_ops *ops,
                              void *arg)
{
    struct ipc_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        close(fd);
        return NULL;
    }
    int size = SOCKET_BUFFER_BYTES;
    *link = (struct ipc_link){.ops = ops,
                              .arg = arg,
                              .queue_max = queue_max,
                              .generation = generation,
                              .self = self,
                              .peer = peer,
                              .fd = fd};
    STAILQ_INIT(&link->queue);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        goto fail;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size); /* as far as the host allows */
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    if (link->readable == NULL || link->writable == NULL || event_add(link->readable, NULL) != 0)
        goto fail;
    return link;
fail:
    link_destroy(link);
    return NULL;
}

enum ipc_role ipc_link_peer(const struct ipc_link *link)
{
    return link->peer;
}

uint32_t ipc_link_generation(const struct ipc_link *link)
{
    return link->generation;
}

uint32_t ipc_next_request(struct ipc_link *link)
{
    if (++link->last_request == 0)
        link->last_request = 1;
    return link->last_request;
}

void ipc_link_hold(struct ipc_link *link, bool hold)
{
    if (link->closed)
        return;
    link->held = hold;
    (void)(hold ? event_del(link->readable) : event_add(link->readable, NULL));
}

size_t ipc_link_queued(const struct ipc_link *link)
{
    return link->queue_count;
}
