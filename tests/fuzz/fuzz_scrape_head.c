/* Heads of HTTP requests: however the bytes are cut into pieces, the answer is the same, and a refusal is
 * final. */
#include "common/err.h"
#include "ctld/metrics/head.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct head whole = {0}, part = {0};
    char *const text = malloc(length + 1); /* its exact size, for the sanitizer */
    fuzz_require(text != NULL);
    memcpy(text, bytes, length);
    const int err = head_parse(text, length, &whole);
    fuzz_require(err == NX_OK || err == NX_EAGAIN || err == NX_ERANGE || err == NX_EPROTO);
    if (err == NX_OK)
        fuzz_require(whole.path[0] == '/' && strlen(whole.path) < HEAD_PATH_MAX);
    for (size_t i = 0; i < length; i += 1 + length / 16) {
        const int early = head_parse(text, i, &part);
        if (early == NX_OK) /* what follows a head changes nothing */
            fuzz_require(err == NX_OK && strcmp(part.path, whole.path) == 0 && part.method == whole.method);
        else if (early != NX_EAGAIN)
            fuzz_require(err != NX_OK);
    }
    free(text);
    return 0;
}
