/* Pieces of one document are never mixed with those of a newer one: `sending` is finished first. */
#include "ctld/documents.h"

#include "common/array.h"
#include "common/err.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void document_free(struct document *document)
{
    if (document->text)
        sodium_memzero(document->text, document->capacity);
    free(document->text);
    *document = (struct document){0};
}

void documents_free(struct documents *documents)
{
    for (size_t slot = 0; slot <= IPC_SLOT_LAST; slot++) {
        document_free(&documents->in[slot]);
        document_free(&documents->out.wanted[slot]);
        document_free(&documents->out.sending[slot]);
    }
    *documents = (struct documents){0};
}

static int append(struct document *document, const void *data, size_t length)
{
    if (length > DOCUMENT_BYTES_MAX - document->length)
        return NX_ERANGE;
    char *grown = array_reserve_secret(document->text, &document->capacity, document->length + length + 1, 1);
    if (!grown)
        return NX_ENOMEM;
    document->text = grown;
    memcpy(grown + document->length, data, length);
    document->length += length;
    grown[document->length] = '\0';
    return NX_OK;
}

/* -- In -- */

void documents_take(struct documents *documents, const struct ipc_stored *piece)
{
    struct document *document = &documents->in[piece->slot];
    if (piece->first) {
        document_free(document);
        documents->broken[piece->slot] = false;
    }
    if (documents->broken[piece->slot] || append(document, piece->data.data, piece->data.length) == NX_OK)
        return;
    document_free(document);
    documents->broken[piece->slot] = true;
}

const char *documents_text(const struct documents *documents, enum ipc_slot slot, size_t *length)
{
    *length = documents->in[slot].length;
    return documents->in[slot].text ? documents->in[slot].text : "";
}

void documents_forget(struct documents *documents, enum ipc_slot slot)
{
    document_free(&documents->in[slot]);
}

/* -- Out -- */

int documents_store(struct documents *documents, enum ipc_slot slot, const char *text, size_t length)
{
    struct document fresh = {0};
    const int err = append(&fresh, text ? text : "", length);
    if (err)
        return err;
    document_free(&documents->out.wanted[slot]);
    documents->out.wanted[slot] = fresh;
    documents->out.wants[slot] = true;
    return NX_OK;
}

bool documents_next(struct documents *documents, struct ipc_stored *out)
{
    struct documents_out *all = &documents->out;
    size_t slot = 1;
    while (slot <= IPC_SLOT_LAST && !all->begun[slot] && !all->wants[slot])
        slot++;
    if (slot > IPC_SLOT_LAST)
        return false;
    if (!all->begun[slot]) {
        document_free(&all->sending[slot]);
        all->sending[slot] = all->wanted[slot];
        all->wanted[slot] = (struct document){0};
        all->wants[slot] = false;
        all->begun[slot] = true;
        all->sent[slot] = 0;
    }
    const struct document *document = &all->sending[slot];
    const size_t left = document->length - all->sent[slot];
    *out = (struct ipc_stored){.slot = (uint8_t)slot, .first = all->sent[slot] == 0};
    out->data.length = (uint16_t)(left < IPC_STORED_MAX ? left : IPC_STORED_MAX);
    out->last = out->data.length == left;
    if (out->data.length > 0)
        memcpy(out->data.data, document->text + all->sent[slot], out->data.length);
    return true;
}

void documents_sent(struct documents *documents, const struct ipc_stored *piece)
{
    struct documents_out *all = &documents->out;
    all->sent[piece->slot] += piece->data.length;
    if (!piece->last)
        return;
    document_free(&all->sending[piece->slot]);
    all->begun[piece->slot] = false;
}
