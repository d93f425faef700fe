/* The members "public-key" and "private-key" of a state document: standard base64, as WireGuard's tools write
 * keys. Pure functions; only the parent process. */
#ifndef NEXD_NEXD_STATE_KEYS_H
#define NEXD_NEXD_STATE_KEYS_H

#include "common/key.h"
#include "nexd/state/document.h"

/* The private key; the caller wipes `out`. NX_ENOENT: the member is absent, null or empty. NX_EINVAL: it is
 * no key; a line in `error` (STATE_ERROR_MAX bytes) says so without showing it. */
int state_keys_read(const struct state_document *document, uint8_t out[KEY_BYTES], char *error);
/* NX_ENOMEM. */
int state_keys_write(struct state_document *document, const uint8_t private_key[KEY_BYTES],
                     const uint8_t public_key[KEY_BYTES]);

#endif
