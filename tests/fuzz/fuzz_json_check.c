/* A document in pieces: the judgement does not depend on where it was cut, and what is one JSON object here
 * is a document to the reader of state.json too, unless that one minds a member that stands there twice. The
 * first byte tells the size of the pieces. */
#include "common/err.h"
#include "nexd/state/document.h"
#include "tests/fuzz/fuzz_input.h"

static int judge(const char *text, size_t length, size_t piece)
{
    struct json_check check;
    fuzz_require(json_check_begin(&check) == NX_OK);
    int err = NX_OK;
    for (size_t at = 0; at < length && !err; at += piece)
        err = json_check_piece(&check, text + at, length - at < piece ? length - at : piece);
    int end = json_check_end(&check);
    fuzz_require(!err || end);
    fuzz_require((end == NX_OK) == (check.fault == JSON_CHECK_FINE));
    fuzz_require(check.taken <= length);
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct state_document document;
    char error[STATE_ERROR_MAX];
    if (length < 1)
        return 0;
    const char *text = (const char *)bytes + 1;
    length--;
    int whole = judge(text, length, length ? length : 1);
    fuzz_require((judge(text, length, 1 + bytes[0] % 16) == NX_OK) == (whole == NX_OK));
    int err = state_document_parse(text, length, &document, error);
    if (!err)
        state_document_free(&document);
    fuzz_require(whole == NX_OK ? !err || strstr(error, "twice") || strstr(error, "well-formed") : err);
    return 0;
}
