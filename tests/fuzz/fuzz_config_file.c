/* Configuration files from arbitrary text, for nexd's own flags: accepted or refused with a harmless message
 * of one line that names the place. */
#include "common/err.h"
#include "nexd/config_file.h"
#include "nexd/options_table.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct options_draft draft = {0};
    char error[OPTIONS_ERROR_MAX] = "";
    struct flag_scan scan = {
        .flags = options_flags, .count = options_flag_count, .result = &draft, .error = error};
    char *const text = malloc(length + 1); /* its exact size, for the sanitizer */
    fuzz_require(text != NULL);
    memcpy(text, bytes, length);
    if (config_file_read(&scan, "f", text, length) != NX_OK) {
        fuzz_require_message(error, sizeof(error));
        fuzz_require(strncmp(error, "f:", 2) == 0);
    }
    options_free(&draft.options);
    free(text);
    return 0;
}
