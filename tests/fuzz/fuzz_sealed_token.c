/* Sealed device tokens from a hostile control plane. Anybody can seal, so what opens must still be fit for a
 * header. */
#include "common/err.h"
#include "ctld/nexodus/sealed_token.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const uint8_t public_key[KEY_BYTES] = {
        0xe3, 0x71, 0x2d, 0x85, 0x1a, 0x0e, 0x5d, 0x79, 0xb8, 0x31, 0xc5, 0xe3, 0x4a, 0xb2, 0x2b, 0x41,
        0xa1, 0x98, 0x17, 0x1d, 0xe2, 0x09, 0xb8, 0xb8, 0xfa, 0xca, 0x23, 0xa1, 0x1c, 0x62, 0x48, 0x59};
    char token[SEALED_TOKEN_MAX];
    char *const text = fuzz_string(bytes, length);
    const int err = sealed_token_open(text, length, public_key, token);
    fuzz_require((err == NX_OK) == (token[0] != '\0'));
    if (err == NX_OK)
        for (const char *c = token; *c; c++)
            fuzz_require(*c > 0x20 && *c < 0x7f);
    fuzz_require(sealed_token_strerror(err)[0] != '\0');
    free(text);
    return 0;
}
