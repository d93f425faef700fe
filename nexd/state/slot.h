/* Documents that ctld wants kept (enum ipc_slot), in pieces as they travel in STORED: read from where they
 * are stored, and taken in. A document is one JSON object of bounded size; nothing else is ever stored. Only
 * the parent process.
 *
 *   IPC_SLOT_AUTH_TOKEN  the member "auth-token" of state.json
 *   IPC_SLOT_DEVICE      device.json    IPC_SLOT_NETWORK  network.json    each mode 0600, beside it
 *
 * The two files are read and written piece by piece: the parent never holds such a document as a whole. */
#ifndef NEXD_NEXD_STATE_SLOT_H
#define NEXD_NEXD_STATE_SLOT_H

#include "ipc/messages.h"
#include "nexd/state/state.h"

enum {
    SLOT_COUNT = IPC_SLOT_LAST,
    SLOT_AUTH_TOKEN_BYTES_MAX = 64 << 10,
    SLOT_DEVICE_BYTES_MAX = 64 << 10,
    SLOT_NETWORK_BYTES_MAX = 16 << 20,
};

/* -- Reading -- */

struct slot_reader {
    int fd;      /* of a file, or -1 */
    char *text;  /* of a member, or NULL */
    size_t at;   /* in it */
    size_t left; /* bytes still to come */
};

/* NX_OK, `left` 0 where the slot is empty; or a line in `error` (STATE_ERROR_MAX bytes) that names the file,
 * and the slot reads as empty. `state` may be NULL: empty. */
int slot_read_begin(struct state *state, enum ipc_slot slot, struct slot_reader *out, char *error);
/* Up to `size` bytes; returns how many. At a read error, or a file that became shorter, `left` becomes 0. */
size_t slot_read_piece(struct slot_reader *reader, uint8_t *out, size_t size);
void slot_read_end(struct slot_reader *reader);

/* -- Taking in -- */

struct slot_writer {
    enum ipc_slot slot;
    bool open, failed;     /* a document is under way; it has failed, and its other pieces are passed over */
    struct state_new file; /* DEVICE, NETWORK */
    char *text;            /* AUTH_TOKEN; SLOT_AUTH_TOKEN_BYTES_MAX + 1 bytes while open */
    size_t length;
    struct json_check check;
    char error[STATE_ERROR_MAX]; /* why it failed */
    int err;
};

void slot_writer_init(struct slot_writer *writer, enum ipc_slot slot);
/* A piece, as in STORED. NX_OK: taken (with `last`: the disk has the whole document). NX_EPROTO: it continues
 * nothing. With `last`, any other code says that the slot is as it was, with `writer->error`: NX_EINVAL (not
 * one JSON object), NX_ERANGE (too long), NX_EPERM (there is no state folder: `state` is NULL), NX_ESYS,
 * NX_ENOMEM, NX_EEXIST. */
int slot_write_piece(struct state *state, struct slot_writer *writer, bool first, bool last,
                     const uint8_t *data, size_t length);
/* Its sender is gone: what was under way is dropped. */
void slot_write_drop(struct state *state, struct slot_writer *writer);

#endif
