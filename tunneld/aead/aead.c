/* The list of engines and the choice among them.
 *
 * The list is ordered by measured speed (docs/decisions/0002-aead-engines.md); the choice is made once,
 * before the sandbox, because an engine's init may allocate and look at the processor. */
#include "tunneld/aead/engines.h"

#include "common/err.h"
#include <endian.h>
#include <string.h>

const struct aead_engine *const aead_engines[] = {
#ifdef HAVE_IPSEC_MB
    &aead_ipsec_mb,
#endif
    &aead_sodium,
    NULL,
};

const struct aead_engine *aead_engine_select(const char *name)
{
    for (size_t i = 0; aead_engines[i]; i++) {
        const struct aead_engine *engine = aead_engines[i];

        if (name && strcmp(engine->name, name) != 0)
            continue;
        if (engine->init() == NX_OK)
            return engine;
    }
    return NULL;
}

void aead_nonce_from_counter(uint8_t nonce[AEAD_NONCE_BYTES], uint64_t counter)
{
    uint64_t le = htole64(counter);

    memset(nonce, 0, 4);
    memcpy(nonce + 4, &le, sizeof(le));
}
