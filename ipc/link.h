/* One end of a SOCK_SEQPACKET socketpair between two processes, on a libevent loop.
 *
 * Sending never blocks: what the socket does not take waits in a bounded queue (with its descriptors,
 * duplicated); past the bound ipc_send() answers NX_EAGAIN and nothing is sent. A message that fails
 * validation, and end of file, end the link: `on_close` is called once, and no message follows. What the
 * other side sent before it ended is handed over first.
 *
 * A message whose descriptors this process has no room for (RLIMIT_NOFILE) is dropped with a warning; from
 * the parent, it ends the link instead. */
#ifndef NEXD_IPC_LINK_H
#define NEXD_IPC_LINK_H

#include "ipc/codec.h"

struct event_base;
struct ipc_link;

struct ipc_link_ops {
    /* A valid message. The callee takes over descriptors by setting the body's field to -1; what is left is
     * closed on return, and the message wiped. It may send, and may call ipc_link_free() on this link. */
    void (*on_message)(struct ipc_link *link, struct ipc_message *message, void *arg);
    /* The link is dead. err: NX_ECLOSED (end of file), NX_EPROTO (`why` names message and field) or NX_ESYS.
     * The callee should call ipc_link_free(), now or later. */
    void (*on_close)(struct ipc_link *link, int err, const char *why, void *arg);
    /* The queue has room again after an NX_EAGAIN; every NX_EAGAIN is followed by it or by on_close. May be
     * NULL. */
    void (*on_writable)(struct ipc_link *link, void *arg);
};

/* Takes over `fd` (set non-blocking and close-on-exec). `self` and `peer` decide what may be sent and
 * received. `queue_max`: messages that may wait. NULL when out of memory (fd is then closed). */
struct ipc_link *ipc_link_new(struct event_base *base, int fd, enum ipc_role self, enum ipc_role peer,
                              uint32_t generation, size_t queue_max, const struct ipc_link_ops *ops,
                              void *arg);
/* Closes the descriptor, drops what is queued. No callback follows. NULL is harmless. */
void ipc_link_free(struct ipc_link *link);
enum ipc_role ipc_link_peer(const struct ipc_link *link);
uint32_t ipc_link_generation(const struct ipc_link *link);

/* Sends one message; `body` is the struct of that type. Descriptors in it stay the caller's (they are
 * duplicated by the kernel on sending, or by the queue). NX_OK (sent or queued), NX_EAGAIN (queue full,
 * or no memory or descriptor number for what would wait in it), NX_ECLOSED (on_close follows, or has been),
 * or NX_EINVAL / NX_ERANGE (the body breaks its declaration, or has a descriptor that is not open: logged, a
 * bug). `link` may be NULL: NX_ECLOSED. */
int ipc_send(struct ipc_link *link, enum ipc_type type, uint32_t request, const void *body);
/* A fresh non-zero request id. */
uint32_t ipc_next_request(struct ipc_link *link);
/* While held, nothing is received: what the other side sends stays with it, as with a slow reader. A new link
 * is not held. */
void ipc_link_hold(struct ipc_link *link, bool hold);
/* For a sender who stops before the queue is full: on_writable is called when at most half of the queue is
 * taken, but not before this function has returned. */
void ipc_link_await_room(struct ipc_link *link);
/* Messages waiting in the queue. */
size_t ipc_link_queued(const struct ipc_link *link);
/* Tries, blocking up to `timeout_ms` in all, to send what is queued; only for the last words before exit.
 * NX_OK: all is sent. NX_ECLOSED; NX_ETIMEDOUT. */
int ipc_link_flush(struct ipc_link *link, int timeout_ms);

/* A connected pair of link sockets, close-on-exec. NX_ESYS on failure. */
int ipc_socketpair(int fds[2]);

#endif
