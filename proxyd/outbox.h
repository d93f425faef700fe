/* Messages to one sibling or the parent that its link has no room for, or that wait for the sibling's
 * restart. Answers and connections are not lost to a full queue; they wait here, in order. */
#ifndef NEXD_PROXYD_OUTBOX_H
#define NEXD_PROXYD_OUTBOX_H

#include "ipc/link.h"

#include <sys/queue.h>

enum { OUTBOX_MAX = 16384 /* messages; more are dropped and their descriptors closed */ };

struct outbox_item;
struct outbox {
    struct ipc_link *link; /* NULL while it is down */
    struct event *retry;   /* for a link that does not tell when it has room */
    STAILQ_HEAD(, outbox_item) items;
    size_t count;
    void (*on_ready)(void *arg); /* it is empty again and the link is up; may be NULL */
    void *arg;
};

/* NX_OK or NX_ENOMEM. */
int outbox_init(struct outbox *outbox, struct event_base *base, void (*on_ready)(void *arg), void *arg);
/* Closes what still waits. Harmless on a zeroed one. */
void outbox_destroy(struct outbox *outbox);

/* The link came up (a fresh one), or went down (NULL): clients' connections (EGRESS_TCP) wait for the next
 * link, everything else is dropped. */
void outbox_set_link(struct outbox *outbox, struct ipc_link *link);
/* The link has room: sends what waits. */
void outbox_flush(struct outbox *outbox);

/* Sends now, or keeps a copy. `body` is the message's struct, of `size` bytes; `fd`, the descriptor in it or
 * -1, passes to the outbox and is closed once it is sent or dropped. */
void outbox_send(struct outbox *outbox, enum ipc_type type, uint32_t request, const void *body, size_t size,
                 int fd);
/* A message sent now would go out at once. */
bool outbox_ready(const struct outbox *outbox);

struct failure;
void outbox_send_result(struct outbox *outbox, uint32_t request, const struct failure *failure);
void outbox_send_ok(struct outbox *outbox, uint32_t request);

#endif
