/* Header lines and pieces of bodies as a hostile server may send them: bounds hold, texts are terminated, and
 * what a final header said stays. The first byte sets the size of the body that is wanted; lines end at '\n'.
 */
#include "common/err.h"
#include "ctld/http/answer.h"
#include "tests/fuzz/fuzz_input.h"

static void check(const struct answer *answer, size_t max_bytes)
{
    fuzz_require(answer->header_bytes <= ANSWER_HEADER_MAX && answer->status <= 999);
    fuzz_require(strlen(answer->content_type) < ANSWER_FIELD_MAX);
    fuzz_require(strlen(answer->retry_after) < ANSWER_FIELD_MAX);
    fuzz_require(strlen(answer->location) < ANSWER_LOCATION_MAX);
    fuzz_require(answer->body_bytes <= max_bytes && answer->date_unix_s >= 0);
    fuzz_require(!answer->body || answer->body[answer->body_bytes] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct answer answer = {0};
    if (length == 0)
        return 0;
    const size_t max_bytes = bytes[0];
    const char *at = (const char *)bytes + 1;
    size_t left = length - 1;
    while (left > 0) {
        const char *const end = memchr(at, '\n', left);
        const size_t taken = end ? (size_t)(end - at) + 1 : left;
        char *const line = malloc(taken); /* its exact size, for the sanitizer */
        fuzz_require(line != NULL);
        memcpy(line, at, taken);
        const bool was_whole = answer.header_whole;
        const unsigned status = answer.status;
        int err = answer_header(&answer, line, taken);
        fuzz_require(err == NX_OK || err == NX_ERANGE);
        fuzz_require(!was_whole || (answer.header_whole && answer.status == status));
        if (answer.header_whole) {
            err = answer_body(&answer, line, taken, max_bytes);
            fuzz_require(err == NX_OK || (err == NX_ERANGE && answer.body_bytes == max_bytes));
        }
        check(&answer, max_bytes);
        const struct http_answer view = answer_view(&answer, HTTP_DONE, "");
        fuzz_require(view.body[view.body_bytes] == '\0');
        free(line);
        at += taken;
        left -= taken;
    }
    answer_clear(&answer);
    return 0;
}
