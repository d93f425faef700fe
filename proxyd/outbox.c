/* A queue in front of the link's own queue. The link's is the bound that makes us stop taking in new work;
 * this one only holds what was under way when the bound was hit, so it stays short.
 *
 * A body with a descriptor is kept as it is: the descriptor's number in the copy stays valid, because the
 * outbox owns it. */
#include "proxyd/outbox.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "proxyd/failure.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 20 };

struct outbox_item {
    STAILQ_ENTRY(outbox_item) next;
    enum ipc_type type;
    uint32_t request;
    int fd;
    max_align_t body[];
};

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    outbox_flush(arg);
}

int outbox_init(struct outbox *outbox, struct event_base *base, void (*on_ready)(void *arg), void *arg)
{
    *outbox = (struct outbox){.on_ready = on_ready, .arg = arg};
    STAILQ_INIT(&outbox->items);
    outbox->retry = evtimer_new(base, on_retry, outbox);
    return outbox->retry ? NX_OK : NX_ENOMEM;
}

static void item_free(struct outbox_item *item)
{
    fd_close(&item->fd);
    free(item);
}

static void outbox_pop(struct outbox *outbox)
{
    struct outbox_item *const item = STAILQ_FIRST(&outbox->items);
    STAILQ_REMOVE_HEAD(&outbox->items, next);
    outbox->count--;
    item_free(item);
}

void outbox_destroy(struct outbox *outbox)
{
    while (outbox->count > 0)
        outbox_pop(outbox);
    if (outbox->retry)
        event_free(outbox->retry);
    outbox->retry = NULL;
    outbox->link = NULL;
}

/* A client's connection is good for the next tunneld too; anything else is said anew to it, or was an answer.
 */
static bool item_outlives_link(enum ipc_type type)
{
    return type == IPC_MSG_EGRESS_TCP;
}

static void outbox_drop_answers(struct outbox *outbox)
{
    struct outbox_item *item, *next;
    STAILQ_HEAD(, outbox_item) kept = STAILQ_HEAD_INITIALIZER(kept);
    for (item = STAILQ_FIRST(&outbox->items); item; item = next) {
        next = STAILQ_NEXT(item, next);
        if (item_outlives_link(item->type)) {
            STAILQ_INSERT_TAIL(&kept, item, next);
        } else {
            outbox->count--;
            item_free(item);
        }
    }
    STAILQ_INIT(&outbox->items);
    STAILQ_CONCAT(&outbox->items, &kept);
}

void outbox_set_link(struct outbox *outbox, struct ipc_link *link)
{
    if (outbox->link)
        outbox_drop_answers(outbox);
    outbox->link = link;
    if (link)
        outbox_flush(outbox);
}

bool outbox_ready(const struct outbox *outbox)
{
    return outbox->link && outbox->count == 0;
}

void outbox_flush(struct outbox *outbox)
{
    while (outbox->link && outbox->count > 0) {
        struct outbox_item *const item = STAILQ_FIRST(&outbox->items);
        const int err = ipc_send(outbox->link, item->type, item->request, item->body);
        if (err == NX_EAGAIN) {
            event_add(outbox->retry, &(struct timeval){0, RETRY_MS * 1000});
            return;
        }
        if (err == NX_ECLOSED)
            return;
        outbox_pop(outbox);
    }
    if (outbox_ready(outbox) && outbox->on_ready)
        outbox->on_ready(outbox->arg);
}

static void outbox_keep(struct outbox *outbox, enum ipc_type type, uint32_t request, const void *body,
                        size_t size, int fd)
{
    static struct log_ratelimit limit = {.per_second = 1, .burst = 1};
    struct outbox_item *const item = outbox->count < OUTBOX_MAX ? malloc(sizeof(*item) + size) : NULL;
    if (!item) {
        fd_close(&fd);
        if (log_ratelimit_ok(&limit))
            log_error("a %s message was dropped: too many wait", ipc_type_name(type));
        return;
    }
    item->type = type;
    item->request = request;
    item->fd = fd;
    memcpy(item->body, body, size);
    STAILQ_INSERT_TAIL(&outbox->items, item, next);
    outbox->count++;
    event_add(outbox->retry, &(struct timeval){0, RETRY_MS * 1000});
}

void outbox_send(struct outbox *outbox, enum ipc_type type, uint32_t request, const void *body, size_t size,
                 int fd)
{
    int err = outbox->link ? NX_EAGAIN : NX_ECLOSED;
    if (outbox_ready(outbox))
        err = ipc_send(outbox->link, type, request, body);
    if (err == NX_EAGAIN || (err == NX_ECLOSED && item_outlives_link(type)))
        outbox_keep(outbox, type, request, body, size, fd);
    else
        fd_close(&fd);
}

void outbox_send_result(struct outbox *outbox, uint32_t request, const struct failure *failure)
{
    struct ipc_result body = {.result = (uint8_t)failure->result};
    strcpy(body.text, failure->text);
    outbox_send(outbox, IPC_MSG_RESULT, request, &body, sizeof(body), -1);
}

void outbox_send_ok(struct outbox *outbox, uint32_t request)
{
    outbox_send_result(outbox, request, &(struct failure){.result = IPC_OK});
}
