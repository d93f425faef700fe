/* Addresses, prefixes, endpoints and host names from arbitrary text: canonical text reads back as the same
 * value, and agrees with the C library's reading of it. */
#include "common/err.h"
#include "common/netaddr.h"
#include "tests/fuzz/fuzz_input.h"

#include <arpa/inet.h>

static void check_address(const char *text)
{
    struct netaddr addr, again;
    char canonical[NETADDR_TEXT_MAX];
    uint8_t bytes[16] = {0};
    if (netaddr_parse(text, &addr) != NX_OK)
        return;
    netaddr_format(&addr, canonical);
    fuzz_require(inet_pton(addr.family == NETADDR_V4 ? AF_INET : AF_INET6, canonical, bytes) == 1);
    fuzz_require(memcmp(bytes, addr.bytes, sizeof(bytes)) == 0);
    fuzz_require(netaddr_parse(canonical, &again) == NX_OK && netaddr_equal(&addr, &again));
    fuzz_require(!hostname_valid(text));
    netaddr_unmap(&again);
    fuzz_require(again.family == NETADDR_V4 || netaddr_equal(&addr, &again));
}

static void check_prefix(const char *text)
{
    struct netprefix masked, strict, own;
    char canonical[NETPREFIX_TEXT_MAX];
    const bool valid = netprefix_parse(text, true, &masked) == NX_OK;
    fuzz_require(valid == (netprefix_parse_own(text, &own) == NX_OK));
    if (!valid) {
        fuzz_require(netprefix_parse(text, false, &strict) != NX_OK);
        return;
    }
    fuzz_require(netprefix_contains(&masked, &own.addr) && masked.length == own.length);
    netprefix_format(&masked, canonical);
    fuzz_require(netprefix_parse(canonical, false, &strict) == NX_OK);
    fuzz_require(netaddr_equal(&strict.addr, &masked.addr) && strict.length == masked.length);
}

static void check_endpoint(const char *text)
{
    struct netsock sock, again;
    struct sockaddr_storage storage;
    char canonical[NETSOCK_TEXT_MAX];
    if (netsock_parse(text, &sock) != NX_OK)
        return;
    fuzz_require(sock.port != 0);
    fuzz_require(netsock_parse(netsock_format(&sock, canonical), &again) == NX_OK);
    fuzz_require(netsock_equal(&sock, &again));
    const socklen_t size = netsock_to_sockaddr(&sock, &storage);
    fuzz_require(netsock_from_sockaddr((struct sockaddr *)&storage, size, &again) == NX_OK);
    netaddr_unmap(&sock.addr);
    fuzz_require(netaddr_equal(&sock.addr, &again.addr) && sock.port == again.port);
}

static void check_hostname(const char *text)
{
    if (!hostname_valid(text))
        return;
    const size_t length = strlen(text);
    fuzz_require(length >= 1 && length <= 253 && strpbrk(text, " :/[]%,\t\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char *const text = fuzz_string(bytes, length);
    check_address(text);
    check_prefix(text);
    check_endpoint(text);
    check_hostname(text);
    free(text);
    return 0;
}
