/* Documents that the parent keeps for ctld (STORED), in both directions: put together from the pieces in
 * which they come, and cut into pieces again, as the link takes them. Of a document that is to be stored,
 * only the newest state matters: one that was not begun yet is replaced. No I/O. ctld only. */
#ifndef NEXD_CTLD_DOCUMENTS_H
#define NEXD_CTLD_DOCUMENTS_H

#include "ipc/messages.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    DOCUMENT_BYTES_MAX = 16 << 20,
    DOCUMENTS_QUEUE_MAX = 8, /* pieces that wait in the link's queue, at most */
};

struct document {
    char *text; /* heap; wiped when freed */
    size_t length, capacity;
};

struct documents_out {
    struct document wanted[IPC_SLOT_LAST + 1], sending[IPC_SLOT_LAST + 1];
    bool wants[IPC_SLOT_LAST + 1]; /* `wanted` is to be sent, even if it is empty */
    size_t sent[IPC_SLOT_LAST + 1];
    bool begun[IPC_SLOT_LAST + 1];
};

struct documents {
    struct document in[IPC_SLOT_LAST + 1];
    bool broken[IPC_SLOT_LAST + 1];
    struct documents_out out;
};

/* Zero is a fine start. */
void documents_free(struct documents *documents);

/* A piece. Pieces of a document that is too long, or for which there is no memory, are dropped, and the
 * document reads as empty. */
void documents_take(struct documents *documents, const struct ipc_stored *piece);
/* What has come; "" if nothing has. */
const char *documents_text(const struct documents *documents, enum ipc_slot slot, size_t *length);
/* It is not needed any more. */
void documents_forget(struct documents *documents, enum ipc_slot slot);

/* The slot is to hold this. NX_ENOMEM: it will not. */
int documents_store(struct documents *documents, enum ipc_slot slot, const char *text, size_t length);
/* The next piece to be sent; false: there is none. After it has been sent, documents_sent(). */
bool documents_next(struct documents *documents, struct ipc_stored *out);
void documents_sent(struct documents *documents, const struct ipc_stored *piece);

#endif
