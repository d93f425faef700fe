/* Service URLs and registration keys, the one before and the other behind the first newline; and times, as
 * short texts of the same kind. What is accepted must be fit for a request. */
#include "common/err.h"
#include "ctld/nexodus/reg_key.h"
#include "ctld/nexodus/retry.h"
#include "ctld/nexodus/timestamp.h"
#include "tests/fuzz/fuzz_input.h"

static void times(const char *text)
{
    uint64_t ms = 0;
    char back[TIMESTAMP_TEXT_MAX];
    const size_t length = strlen(text);
    if (timestamp_parse_rfc3339(text, length, &ms) == NX_OK) {
        uint64_t again;
        timestamp_format(ms, back);
        fuzz_require(timestamp_parse_rfc3339(back, strlen(back), &again) == NX_OK && again == ms);
    }
    timestamp_parse_http(text, length, UINT64_C(1795427457000), &ms);
    fuzz_require(retry_after_parse(text, length, NULL, 0, UINT64_C(1795427457000)) <= RETRY_AFTER_MAX_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length);
    char *const newline = strchr(text, '\n');
    if (newline)
        *newline = '\0';
    const struct reg_key_options options = {.service_url = text, .reg_key = newline ? newline + 1 : NULL};
    struct reg_key_service service;
    char error[REG_KEY_ERROR_MAX];
    if (reg_key_resolve(&options, &service, error) == NX_OK) {
        for (const char *c = service.key; *c; c++)
            fuzz_require(*c > 0x20 && *c < 0x7f);
        fuzz_require(hostname_valid(service.api_host) && service.service.port > 0);
        struct url url;
        char why[URL_ERROR_MAX], authority[URL_AUTHORITY_MAX];
        fuzz_require(url_parse(service.api_base, strlen(service.api_base), &url, why) == NX_OK);
        fuzz_require(strcmp(url.host, service.api_host) == 0 && url.port == service.service.port);
        fuzz_require(strcmp(url_authority(&url, authority), service.api_base + strlen("https://")) == 0);
    } else {
        fuzz_require_message(error, sizeof error);
        fuzz_require(service.key[0] == '\0');
    }
    times(text);
    free(text);
    return 0;
}
