/* URLs of an operator's proxy: what is accepted is accepted again in the form that it was brought into, and
 * names the same place. */
#include "common/netaddr.h"
#include "nexd/proxy_url.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length);
    char first[512], second[512];
    struct ipc_outlet outlet, again;
    const char *why = proxy_url_parse(text, first, sizeof first, &outlet);
    if (why) {
        fuzz_require(why[0] != '\0' && !strchr(why, '\n'));
    } else {
        fuzz_require(outlet.port != 0 && outlet.host[0] != '\0');
        fuzz_require(proxy_url_parse(first, second, sizeof second, &again) == NULL);
        fuzz_require(strcmp(first, second) == 0);
        fuzz_require(strcmp(outlet.host, again.host) == 0 && outlet.port == again.port);
    }
    free(text);
    return 0;
}
