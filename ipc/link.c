/* One end of a link. What the socket does not take at once waits, encoded, in a bounded queue with duplicates
 * of its descriptors. A callee may free the link inside a callback: the link is then only marked, and freed
 * on the way out.
 *
 * The end of a link is told by its reading side, after all that the other side said before: a send that finds
 * the other side gone makes the reading side look. Where no event would tell when another try is worth it (no
 * memory, no free descriptor number, too many descriptors in flight, a kernel that watches no more sockets),
 * a timer does. */
#include "ipc/link.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ipc/datagram.h"
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

enum { MESSAGES_PER_WAKE = 64, SOCKET_BUFFER_BYTES = 1 << 20, RETRY_MS = 20 };

struct queued {
    STAILQ_ENTRY(queued) next;
    size_t length, fd_count;
    int fds[IPC_FDS_MAX];
    uint8_t data[];
};

struct ipc_link {
    const struct ipc_link_ops *ops;
    void *arg;
    struct event *readable, *writable, *retry;
    STAILQ_HEAD(, queued) queue;
    size_t queue_count, queue_max;
    uint32_t generation, last_request;
    enum ipc_role self, peer;
    int fd;
    unsigned busy; /* callbacks that are running */
    bool closed;   /* on_close was called */
    bool freed;
    bool held;        /* receives nothing */
    bool was_full;    /* somebody got NX_EAGAIN */
    bool send_closed; /* the other side takes nothing more; what it has said already is still to be read */
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

static void queue_drop(struct ipc_link *link)
{
    while (!STAILQ_EMPTY(&link->queue)) {
        struct queued *q = STAILQ_FIRST(&link->queue);
        STAILQ_REMOVE_HEAD(&link->queue, next);
        queued_free(q);
    }
    link->queue_count = 0;
}

static void events_stop(struct ipc_link *link)
{
    (void)event_del(link->readable);
    (void)event_del(link->writable);
    (void)event_del(link->retry);
}

static void link_destroy(struct ipc_link *link)
{
    struct event *events[] = {link->readable, link->writable, link->retry};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    queue_drop(link);
    close(link->fd);
    free(link);
}

void ipc_link_free(struct ipc_link *link)
{
    if (link == NULL)
        return;
    link->freed = link->closed = true;
    events_stop(link);
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
    events_stop(link);
    link->ops->on_close(link, err, why, link->arg);
}

/* -- Receiving ---------------------------------------------------------------------------------------------
 */

/* NX_EAGAIN: nothing came of it. A process that is out of descriptors gives up what was to come with one, as
 * a full house turns new guests away; the sender's copy is closed, and whoever waits for an answer has a time
 * limit. Not so with its supervisor's messages, which it cannot do without. */
static int datagram_decode(struct ipc_link *link, const struct ipc_datagram *datagram,
                           struct ipc_message *message, char *why)
{
    static struct log_ratelimit lost = {.per_second = 1, .burst = 1};
    switch (datagram->fault) {
    case IPC_DATAGRAM_TOO_LONG:
        snprintf(why, IPC_ERROR_MAX, "header.length: datagram too long");
        return NX_EPROTO;
    case IPC_DATAGRAM_TOO_MANY_FDS:
        snprintf(why, IPC_ERROR_MAX, "header.descriptors: more than any message has");
        return NX_EPROTO;
    case IPC_DATAGRAM_FDS_LOST:
        if (link->peer == IPC_PARENT) {
            snprintf(why, IPC_ERROR_MAX, "out of descriptors");
            return NX_ESYS;
        }
        if (log_ratelimit_ok(&lost))
            log_warn("out of descriptors: dropped a message from %s", ipc_role_name(link->peer));
        return NX_EAGAIN;
    case IPC_DATAGRAM_WHOLE:
        break;
    }
    return ipc_decode(datagram->data, datagram->length, datagram->fds, datagram->fd_count, link->peer,
                      link->self, message, why);
}

/* One datagram: NX_OK when there may be more, NX_EAGAIN, or an error with *why filled in. */
static int receive_one(struct ipc_link *link, char *why)
{
    static uint8_t data[IPC_DATAGRAM_MAX + 1];
    struct ipc_datagram datagram = {.data = data};
    struct ipc_message message;
    int err = ipc_datagram_receive(link->fd, &datagram);
    if (err != NX_OK) {
        snprintf(why, IPC_ERROR_MAX, "%s", err == NX_ECLOSED ? "end of file" : strerror(errno));
        return err;
    }
    err = datagram_decode(link, &datagram, &message, why);
    explicit_bzero(data, datagram.length);
    if (err != NX_OK) {
        for (size_t i = 0; i < datagram.fd_count; i++)
            close(datagram.fds[i]);
        return err == NX_EAGAIN ? NX_OK : err;
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
    if (err == NX_EAGAIN && link->send_closed) {
        err = NX_ECLOSED;
        snprintf(why, sizeof why, "the other side takes nothing more");
    }
    if (err != NX_OK && err != NX_EAGAIN)
        link_close(link, err, why);
    else if (link->send_closed && !link->closed && !link->held)
        event_active(link->readable, EV_READ, 0); /* there may be more to read before the end */
    (void)link_leave(link);
}

/* -- Sending -----------------------------------------------------------------------------------------------
 */

static void retry_later(struct ipc_link *link)
{
    static const struct timeval wait = {.tv_usec = RETRY_MS * 1000};
    (void)event_del(link->writable);
    (void)event_add(link->retry, &wait);
}

static void readable_await(struct ipc_link *link)
{
    if (event_add(link->readable, NULL) != 0)
        retry_later(link);
}

static void writable_await(struct ipc_link *link)
{
    if (event_add(link->writable, NULL) != 0)
        retry_later(link);
}

static void send_close(struct ipc_link *link)
{
    link->send_closed = true;
    queue_drop(link);
    (void)event_del(link->writable);
    (void)event_del(link->retry);
    if (!link->held)
        event_active(link->readable, EV_READ, 0);
}

static struct queued *queued_new(const uint8_t *data, size_t length, const int *fds, size_t fd_count)
{
    struct queued *q = malloc(sizeof *q + length);
    if (q == NULL)
        return NULL;
    *q = (struct queued){.length = length};
    memcpy(q->data, data, length);
    for (; q->fd_count < fd_count; q->fd_count++) {
        q->fds[q->fd_count] = fcntl(fds[q->fd_count], F_DUPFD_CLOEXEC, 0);
        if (q->fds[q->fd_count] < 0) {
            queued_free(q);
            return NULL;
        }
    }
    return q;
}

/* `why`: what the socket said, NX_EAGAIN or NX_ENOMEM. */
static int enqueue(struct ipc_link *link, int why, const uint8_t *data, size_t length, const int *fds,
                   size_t fd_count)
{
    struct queued *q = link->queue_count < link->queue_max ? queued_new(data, length, fds, fd_count) : NULL;
    if (q != NULL) {
        STAILQ_INSERT_TAIL(&link->queue, q, next);
        link->queue_count++;
    } else {
        link->was_full = true;
    }
    /* With a queue that was not empty, the event that empties it is awaited already. */
    if (link->queue_count == 0 || (link->queue_count == 1 && q != NULL && why == NX_ENOMEM))
        retry_later(link);
    else if (link->queue_count == 1 && q != NULL)
        writable_await(link);
    return q != NULL ? NX_OK : NX_EAGAIN;
}

/* Sends from the queue while the socket takes it. NX_OK: empty. */
static int queue_send(struct ipc_link *link)
{
    while (!STAILQ_EMPTY(&link->queue)) {
        struct queued *q = STAILQ_FIRST(&link->queue);
        int err = ipc_datagram_send(link->fd, q->data, q->length, q->fds, q->fd_count);
        if (err == NX_EINVAL)
            log_error("dropped a message to %s that cannot be sent", ipc_role_name(link->peer));
        else if (err != NX_OK)
            return err;
        STAILQ_REMOVE_HEAD(&link->queue, next);
        link->queue_count--;
        queued_free(q);
    }
    (void)event_del(link->writable);
    return NX_OK;
}

/* The socket has room, or it is time for another try. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct ipc_link *link = arg;
    (void)fd;
    (void)what;
    link->busy++;
    if (!link->held && !event_pending(link->readable, EV_READ, NULL))
        readable_await(link);
    int err = queue_send(link);
    if (err == NX_ECLOSED)
        send_close(link);
    else if (err == NX_ENOMEM)
        retry_later(link);
    else if (err == NX_EAGAIN)
        writable_await(link);
    if (err != NX_ECLOSED && link->was_full && link->queue_count <= link->queue_max / 2) {
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
    if (link == NULL || link->closed || link->send_closed)
        return NX_ECLOSED;
    int length = ipc_encode(type, request, body, data, fds, &fd_count, error);
    if (length < 0) {
        log_error("message to %s not sent: %s", ipc_role_name(link->peer), error);
        return length;
    }
    int err = NX_EAGAIN;
    if (STAILQ_EMPTY(&link->queue))
        err = ipc_datagram_send(link->fd, data, (size_t)length, fds, fd_count);
    if (err == NX_EAGAIN || err == NX_ENOMEM)
        err = enqueue(link, err, data, (size_t)length, fds, fd_count);
    else if (err == NX_ECLOSED)
        send_close(link);
    else if (err != NX_OK)
        log_error("message to %s not sent: %s cannot be sent with its descriptors", ipc_role_name(link->peer),
                  ipc_type_name(type));
    explicit_bzero(data, (size_t)length);
    return err;
}

int ipc_link_flush(struct ipc_link *link, int timeout_ms)
{
    if (link == NULL || link->closed || link->send_closed)
        return NX_ECLOSED;
    uint64_t end_ns = clock_now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    for (;;) {
        int err = queue_send(link);
        uint64_t now_ns = clock_now_ns();
        if (err != NX_EAGAIN && err != NX_ENOMEM)
            return err;
        if (now_ns >= end_ns)
            return NX_ETIMEDOUT;
        int left_ms = (int)((end_ns - now_ns) / NS_PER_MS) + 1;
        struct pollfd p = {.fd = link->fd, .events = POLLOUT};
        if (err == NX_EAGAIN)
            (void)poll(&p, 1, left_ms);
        else
            (void)poll(NULL, 0, left_ms < RETRY_MS ? left_ms : RETRY_MS);
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
    link->retry = event_new(base, -1, 0, on_writable, link);
    if (link->readable == NULL || link->writable == NULL || link->retry == NULL ||
        event_add(link->readable, NULL) != 0)
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
    if (hold) {
        (void)event_del(link->readable);
        return;
    }
    readable_await(link);
    if (link->send_closed)
        event_active(link->readable, EV_READ, 0);
}

void ipc_link_await_room(struct ipc_link *link)
{
    if (link->closed || link->send_closed)
        return;
    link->was_full = true;
    if (STAILQ_EMPTY(&link->queue))
        event_active(link->writable, EV_WRITE, 0);
}

size_t ipc_link_queued(const struct ipc_link *link)
{
    return link->queue_count;
}
