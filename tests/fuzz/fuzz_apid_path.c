/* Paths of requests against the patterns of the API, ids and times in them. */
#include "apid/rest/field.h"
#include "apid/rest/path.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const patterns[] = {"/api/devices/{id}", "/api/devices/{id}/metadata/{key}",
                                           "/{a}/{b}/{c}", "/{a}/{b}/{c}/{d}"};
    char *const text = fuzz_string(bytes, length);
    struct path_params params;
    char id[37];
    uint64_t seconds;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        if (!path_match(patterns[i], text, &params))
            continue;
        fuzz_require(params.count <= PATH_PARAMS_MAX);
        for (unsigned j = 0; j < params.count; j++)
            fuzz_require(params.values[j][0] != '\0' && strlen(params.values[j]) < PATH_PARAM_MAX);
    }
    if (path_uuid(text, id))
        fuzz_require(strlen(id) == 36 && strlen(text) == 36);
    (void)field_time_parse(text, &seconds);
    free(text);
    return 0;
}
