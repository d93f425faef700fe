/* Encoder, validating decoder and printer for every message of ipc/messages.h; none of them trusts its input.
 * Pure functions, any process. */
#ifndef NEXD_IPC_CODEC_H
#define NEXD_IPC_CODEC_H

#include "ipc/messages.h"
#include <stddef.h>

enum { IPC_DATAGRAM_MAX = sizeof(struct ipc_header) + IPC_BODY_MAX, IPC_ERROR_MAX = 160 };

struct ipc_message {
    struct ipc_header header;
    union ipc_body body;
};

/* Encodes header and body into `out` (IPC_DATAGRAM_MAX bytes) and collects the body's descriptors, which stay
 * the caller's, into `fds` (IPC_FDS_MAX). Returns the datagram's length, or NX_ERANGE / NX_EINVAL when a
 * field breaks its own declaration (a bug of the caller; `error`, IPC_ERROR_MAX bytes, names message and
 * field). */
int ipc_encode(enum ipc_type type, uint32_t request, const void *body, uint8_t *out, int *fds,
               size_t *fd_count, char *error);

/* Decodes and checks everything: known type, version, `from`→`to` may send it, exact length, each field's
 * range, UTF-8, number of descriptors and, by fstat(2) and getsockopt(2), the kind of each. On NX_OK the
 * descriptors belong to `out`'s body. On error (NX_EPROTO) they still belong to the caller, `out` is zeroed,
 * and `error` (IPC_ERROR_MAX) names message and field. */
int ipc_decode(const uint8_t *data, size_t length, const int *fds, size_t fd_count, enum ipc_role from,
               enum ipc_role to, struct ipc_message *out, char *error);

/* One line of text, secrets hidden, cut at `size`. Returns `out`. */
char *ipc_print(const struct ipc_message *message, char *out, size_t size);

/* Closes every descriptor a decoded message holds (sets them to -1) and wipes its secrets. Idempotent. */
void ipc_message_release(struct ipc_message *message);

const char *ipc_type_name(enum ipc_type type); /* "HELLO", …; "?" if unknown */
const char *ipc_role_name(enum ipc_role role); /* "nexd", "tunneld", … */

#endif
