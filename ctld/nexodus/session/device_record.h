/* What must be known to go on as the same device after a restart without any credential: the slot
 * IPC_SLOT_DEVICE. The token in it is a secret, guarded by the file's rights. Pure functions. ctld only. */
#ifndef NEXD_CTLD_NEXODUS_SESSION_DEVICE_RECORD_H
#define NEXD_CTLD_NEXODUS_SESSION_DEVICE_RECORD_H

#include "ctld/nexodus/models.h"
#include "ctld/nexodus/sealed_token.h"

enum { DEVICE_RECORD_BYTES_MAX = 4096, CREDENTIAL_MARK_TEXT = 33, RECORD_SERVICE_MAX = 320 };

struct device_record {
    char service[RECORD_SERVICE_MAX];      /* "https://api.HOST[:PORT]" */
    char public_key[KEY_TEXT_MAX];         /* base64 */
    char credential[CREDENTIAL_MARK_TEXT]; /* device_record_mark() of what it was registered with */
    char device_id[UUID_TEXT_LENGTH + 1], vpc_id[UUID_TEXT_LENGTH + 1];
    char token[SEALED_TOKEN_MAX];
};

/* A short mark of a credential, by which another one is told; it does not give the credential away. `out` has
 * CREDENTIAL_MARK_TEXT bytes. */
void device_record_mark(const char *kind, const char *credential, char *out);
/* The text is the writer's. */
int device_record_encode(const struct device_record *record, struct json_writer *writer, const char **text,
                         size_t *length);
/* NX_EINVAL with `error` (JSON_ERROR_MAX bytes), NX_ENOMEM; then `out` is wiped. */
int device_record_decode(const char *text, size_t length, struct device_record *out, char *error);
void device_record_clear(struct device_record *record);

#endif
