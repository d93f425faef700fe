/* Documents of clients: what is taken comes out of the writer as JSON that parses to the same text again. */
#include "apid/json/json.h"
#include "common/err.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char error[JSON_ERROR_MAX];
    struct json_document *document, *again;
    if (json_parse((const char *)bytes, length, &document, error) != NX_OK) {
        fuzz_require(document == NULL);
        fuzz_require_message(error, sizeof(error));
        return 0;
    }
    struct json_out first = {0}, second = {0};
    json_value_write(&first, json_root(document));
    fuzz_require(!first.failed && first.length > 0);
    fuzz_require(json_parse(first.data, first.length, &again, error) == NX_OK);
    json_value_write(&second, json_root(again));
    fuzz_require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    json_out_free(&first);
    json_out_free(&second);
    json_free(document);
    json_free(again);
    return 0;
}
