/* A document that fails half-way goes on being received, since its sender has sent it already, but nothing of
 * it is kept; the last piece tells. An empty document removes what there is. */
#include "nexd/state/slot.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot_place {
    const char *file; /* NULL: a member of state.json */
    const char *name; /* in errors */
    size_t bytes_max;
};

static const struct slot_place places[SLOT_COUNT + 1] = {
    [IPC_SLOT_AUTH_TOKEN] = {NULL, "auth-token", SLOT_AUTH_TOKEN_BYTES_MAX},
    [IPC_SLOT_DEVICE] = {"device.json", "device.json", SLOT_DEVICE_BYTES_MAX},
    [IPC_SLOT_NETWORK] = {"network.json", "network.json", SLOT_NETWORK_BYTES_MAX},
};

/* -- Reading -- */

static int token_read_begin(struct state *state, struct slot_reader *out, char *error)
{
    int err = state_auth_token(state, &out->text, error);
    if (err || !out->text)
        return err;
    out->left = strlen(out->text);
    if (out->left <= SLOT_AUTH_TOKEN_BYTES_MAX)
        return NX_OK;
    slot_read_end(out);
    snprintf(error, STATE_ERROR_MAX, "%.300s/state.json: \"%s\" is longer than %d bytes",
             state_folder(state)->folder, places[IPC_SLOT_AUTH_TOKEN].name, SLOT_AUTH_TOKEN_BYTES_MAX);
    return NX_ERANGE;
}

int slot_read_begin(struct state *state, enum ipc_slot slot, struct slot_reader *out, char *error)
{
    const struct slot_place *place = &places[slot];
    *out = (struct slot_reader){.fd = -1};
    if (!state)
        return NX_OK;
    if (!place->file)
        return token_read_begin(state, out, error);
    int err =
        state_file_open_read(state_folder(state), place->file, place->bytes_max, &out->fd, &out->left, error);
    return err == NX_ENOENT ? NX_OK : err;
}

size_t slot_read_piece(struct slot_reader *reader, uint8_t *out, size_t size)
{
    size_t length = reader->left < size ? reader->left : size;
    if (reader->fd < 0) {
        if (length)
            memcpy(out, reader->text + reader->at, length);
        reader->at += length;
        reader->left -= length;
        return length;
    }
    ssize_t got = state_file_read_piece(reader->fd, out, length);
    if (got < 0)
        got = 0;
    reader->left = (size_t)got == length ? reader->left - length : 0;
    return (size_t)got;
}

void slot_read_end(struct slot_reader *reader)
{
    fd_close(&reader->fd);
    state_text_free(reader->text);
    *reader = (struct slot_reader){.fd = -1};
}

/* -- Taking in -- */

static int fail(struct slot_writer *writer, int err)
{
    writer->failed = true;
    writer->err = err;
    return err;
}

static int fail_content(struct slot_writer *writer, int err, const char *why)
{
    snprintf(writer->error, sizeof writer->error, "%s for the state folder: %s", places[writer->slot].name,
             why);
    return fail(writer, err);
}

static void clear(struct state *state, struct slot_writer *writer)
{
    if (state)
        state_new_abandon(state_folder(state), &writer->file);
    if (writer->text)
        sodium_memzero(writer->text, SLOT_AUTH_TOKEN_BYTES_MAX + 1);
    free(writer->text);
    writer->text = NULL;
    json_check_drop(&writer->check);
    writer->open = writer->failed = false;
    writer->length = 0;
}

void slot_writer_init(struct slot_writer *writer, enum ipc_slot slot)
{
    *writer = (struct slot_writer){.slot = slot, .file.fd = -1};
}

void slot_write_drop(struct state *state, struct slot_writer *writer)
{
    clear(state, writer);
}

static void begin(struct state *state, struct slot_writer *writer)
{
    const struct slot_place *place = &places[writer->slot];
    clear(state, writer);
    writer->open = true;
    writer->err = NX_OK;
    if (!state)
        fail_content(writer, NX_EPERM, "there is none");
    else if (json_check_begin(&writer->check))
        fail_content(writer, NX_ENOMEM, "out of memory");
    else if (!place->file && !(writer->text = calloc(1, SLOT_AUTH_TOKEN_BYTES_MAX + 1)))
        fail_content(writer, NX_ENOMEM, "out of memory");
}

/* The file is begun with the first byte: an empty document needs none. */
static void append(struct state *state, struct slot_writer *writer, const uint8_t *data, size_t length)
{
    const struct slot_place *place = &places[writer->slot];
    if (writer->failed || length == 0)
        return;
    if (length > place->bytes_max - writer->length) {
        fail_content(writer, NX_ERANGE, "too long");
        return;
    }
    if (json_check_piece(&writer->check, (const char *)data, length)) {
        fail_content(writer, NX_EINVAL, "not one JSON object");
        return;
    }
    int err = NX_OK;
    if (!place->file)
        memcpy(writer->text + writer->length, data, length);
    else if (writer->length == 0)
        err = state_new_begin(state_folder(state), place->file, &writer->file, writer->error);
    if (place->file && !err)
        err = state_new_append(state_folder(state), &writer->file, data, length, writer->error);
    if (err)
        fail(writer, err);
    writer->length += length;
}

/* Nothing is written where there is none. */
static int token_remove(struct state *state, char *error)
{
    char *json;
    int err = state_auth_token(state, &json, error);
    bool there = json != NULL;
    state_text_free(json);
    return there ? state_store_auth_token(state, NULL, error) : err;
}

/* state.json holds a value without the blanks that came round it. */
static int token_store(struct state *state, struct slot_writer *writer)
{
    if (writer->length == 0)
        return token_remove(state, writer->error);
    const struct text_span trimmed = text_trim(writer->text, writer->length);
    writer->text[(size_t)(trimmed.start - writer->text) + trimmed.length] = '\0';
    return state_store_auth_token(state, trimmed.start, writer->error);
}

static int finish(struct state *state, struct slot_writer *writer)
{
    const char *file = places[writer->slot].file;
    bool replaced;
    if (writer->failed)
        return writer->err;
    if (writer->length > 0 && json_check_end(&writer->check))
        return fail_content(writer, NX_EINVAL, "not one JSON object");
    if (!file)
        return token_store(state, writer);
    if (writer->length == 0)
        return state_file_remove(state_folder(state), file, writer->error);
    return state_new_commit(state_folder(state), &writer->file, &replaced, writer->error);
}

int slot_write_piece(struct state *state, struct slot_writer *writer, bool first, bool last,
                     const uint8_t *data, size_t length)
{
    if (first)
        begin(state, writer);
    else if (!writer->open)
        return NX_EPROTO;
    append(state, writer, data, length);
    if (!last)
        return NX_OK;
    int err = finish(state, writer);
    clear(state, writer);
    return err;
}
