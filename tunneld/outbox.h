/* What is on its way to ctld in long series (the status of every peer, every flow): kept here and sent some
 * at a time, as the link takes it, so that no question holds up the packets. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_OUTBOX_H
#define NEXD_TUNNELD_OUTBOX_H

#include "ipc/link.h"

enum {
    OUTBOX_BYTES_MAX = 32 << 20,
    OUTBOX_BATCH = 64, /* messages a turn */
};

/* Keeps a copy of `body` (the message's struct, `size` bytes; it holds no descriptor). NX_OK or NX_ENOMEM
 * (the bound is reached, or memory is short). */
int outbox_put(enum ipc_type type, uint32_t request, const void *body, size_t size);
/* Sends a batch. True if there is more that could go at once. */
bool outbox_pump(struct ipc_link *link);
/* ctld is gone. */
void outbox_forget(void);
bool outbox_empty(void);
/* Messages that are kept. */
size_t outbox_count(void);

#endif
