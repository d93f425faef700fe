/* WireGuard configurations from arbitrary bytes: no message may hold anything as long as half a key in
 * base64, and what is accepted keeps the promises of wgconf.h. */
#include "common/err.h"
#include "common/wgconf.h"
#include "tests/fuzz/fuzz_input.h"

#include <ctype.h>

static void require_no_key(const char *message)
{
    size_t run = 0;
    for (; *message != '\0'; message++) {
        run = isalnum((unsigned char)*message) || strchr("+/=", *message) != NULL ? run + 1 : 0;
        fuzz_require(run < 24);
    }
}

static void on_warning(void *arg, const char *message)
{
    (void)arg;
    fuzz_require_message(message, WGCONF_ERROR_MAX);
    require_no_key(message);
}

static void check_peer(const struct wgconf *conf, size_t index)
{
    const struct wgconf_peer *const peer = &conf->peers[index];
    fuzz_require((peer->endpoint_host[0] != '\0') == (peer->endpoint_port != 0));
    for (size_t i = 0; i < peer->allowed_count; i++)
        fuzz_require(netprefix_contains(&peer->allowed[i], &peer->allowed[i].addr));
    for (size_t i = 0; i < index && i < 16; i++)
        fuzz_require(memcmp(conf->peers[i].public_key, peer->public_key, KEY_BYTES) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct wgconf conf;
    char error[WGCONF_ERROR_MAX];
    const int err = wgconf_parse("f", (const char *)bytes, length, &conf, on_warning, NULL, error);
    if (err != NX_OK) {
        fuzz_require_message(error, sizeof(error));
        require_no_key(error);
        fuzz_require(conf.peers == NULL && conf.addresses == NULL);
        return 0;
    }
    fuzz_require(conf.address_count >= 1 && conf.address_count <= WGCONF_ADDRESSES_MAX);
    fuzz_require(conf.mtu >= WGCONF_MTU_MIN && conf.mtu <= WGCONF_MTU_MAX);
    for (size_t i = 0; i < conf.peer_count; i++)
        check_peer(&conf, i);
    wgconf_free(&conf);
    return 0;
}
