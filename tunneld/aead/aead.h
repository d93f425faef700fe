/* ChaCha20-Poly1305 (RFC 8439) over batches of WireGuard data messages, in place.
 *
 * An engine is one implementation behind two functions. libsodium is always there and the reference for
 * tests; on x86-64 intel-ipsec-mb seals and opens a batch in its vector lanes. tunneld only, one thread. */
#ifndef NEXD_TUNNELD_AEAD_H
#define NEXD_TUNNELD_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AEAD_KEY_BYTES = 32, AEAD_TAG_BYTES = 16, AEAD_BATCH_MAX = 128 };

struct aead_job {
    const uint8_t *key; /* AEAD_KEY_BYTES */
    uint64_t counter;   /* the nonce: 4 zero bytes, then this, little endian; no additional data */
    uint8_t *data;      /* `length` bytes of text, then room for the tag */
    uint32_t length;    /* without the tag; may be 0 */
    bool ok;            /* set by open(): authentic. Where false, the text has been wiped */
};

struct aead_engine {
    const char *name;
    /* Called once, before the sandbox is entered. NX_OK, or NX_ENOTSUP on this machine. */
    int (*init)(void);
    void (*seal)(struct aead_job *jobs, size_t count);
    void (*open)(struct aead_job *jobs, size_t count);
};

/* Every engine of this build, best first; ends with NULL. */
extern const struct aead_engine *const aead_engines[];
/* Initialises and returns the engine called `name`, or for NULL the first one that works; NULL if there is
 * none. */
const struct aead_engine *aead_engine_select(const char *name);

#endif
