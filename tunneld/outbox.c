/* See outbox.h. A message that the link refuses for another reason than being full is dropped: it has logged
 * why, and the series goes on to its end. */
#include "tunneld/outbox.h"
#include "common/err.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct item {
    STAILQ_ENTRY(item) next;
    enum ipc_type type;
    uint32_t request;
    size_t size;
    _Alignas(8) uint8_t body[];
};

static STAILQ_HEAD(, item) items = STAILQ_HEAD_INITIALIZER(items);
static size_t bytes, count;

int outbox_put(enum ipc_type type, uint32_t request, const void *body, size_t size)
{
    struct item *item = bytes + size <= OUTBOX_BYTES_MAX ? malloc(sizeof *item + size) : NULL;
    if (item == NULL)
        return NX_ENOMEM;
    item->type = type;
    item->request = request;
    item->size = size;
    memcpy(item->body, body, size);
    bytes += size;
    count++;
    STAILQ_INSERT_TAIL(&items, item, next);
    return NX_OK;
}

static void first_drop(void)
{
    struct item *item = STAILQ_FIRST(&items);
    STAILQ_REMOVE_HEAD(&items, next);
    bytes -= item->size;
    count--;
    free(item);
}

bool outbox_pump(struct ipc_link *link)
{
    for (unsigned i = 0; i < OUTBOX_BATCH && !STAILQ_EMPTY(&items); i++) {
        const struct item *item = STAILQ_FIRST(&items);
        if (ipc_send(link, item->type, item->request, item->body) == NX_EAGAIN)
            return false;
        first_drop();
    }
    return !STAILQ_EMPTY(&items);
}

void outbox_forget(void)
{
    while (!STAILQ_EMPTY(&items))
        first_drop();
}

bool outbox_empty(void)
{
    return STAILQ_EMPTY(&items);
}

size_t outbox_count(void)
{
    return count;
}
