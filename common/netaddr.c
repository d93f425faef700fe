/* Text and socket-API forms of addresses. Parsing goes through inet_pton(3), which neither allocates nor
 * resolves and refuses leading zeros; formatting is our own, because inet_ntop(3) is not RFC 5952 for every
 * address. */
#include "common/netaddr.h"

#include "common/err.h"
#include "common/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int netaddr_parse(const char *text, struct netaddr *out)
{
    struct netaddr addr = {.family = NETADDR_NONE};
    if (inet_pton(AF_INET, text, addr.bytes) == 1)
        addr.family = NETADDR_V4;
    else if (inet_pton(AF_INET6, text, addr.bytes) == 1)
        addr.family = NETADDR_V6;
    else
        return NX_EINVAL;
    *out = addr;
    return NX_OK;
}

static unsigned address_bits(const struct netaddr *addr)
{
    return addr->family == NETADDR_V4 ? 32 : 128;
}

/* Clears the bits beyond `length`; true if there were any. */
static bool clear_host_bits(struct netaddr *addr, unsigned length)
{
    bool any = false;
    for (unsigned i = 0; i < sizeof(addr->bytes); i++) {
        const unsigned first = i * 8;
        const unsigned bits = first + 8 <= length ? 8 : first >= length ? 0 : length - first;
        const uint8_t keep = (uint8_t)(0xff00U >> bits);
        any = any || (addr->bytes[i] & ~keep) != 0;
        addr->bytes[i] = (uint8_t)(addr->bytes[i] & keep);
    }
    return any;
}

/* A prefix length as it is always written: "0", or digits that do not begin with one. */
static int length_parse(const char *text, uint64_t max, uint64_t *out)
{
    if (text[0] == '0' && text[1] != '\0')
        return NX_EINVAL;
    return text_to_u64(text, strlen(text), 0, max, out);
}

int netprefix_parse_own(const char *text, struct netprefix *out)
{
    char address[NETADDR_TEXT_MAX];
    const char *const slash = strchr(text, '/');
    const size_t size = slash == NULL ? strnlen(text, sizeof(address)) : (size_t)(slash - text);
    if (size >= sizeof(address))
        return NX_EINVAL;
    memcpy(address, text, size);
    address[size] = '\0';

    struct netprefix prefix = {0};
    if (netaddr_parse(address, &prefix.addr) != NX_OK)
        return NX_EINVAL;
    uint64_t length = address_bits(&prefix.addr);
    if (slash != NULL && length_parse(slash + 1, length, &length) != NX_OK)
        return NX_EINVAL;
    prefix.length = (uint8_t)length;
    *out = prefix;
    return NX_OK;
}

int netprefix_parse(const char *text, bool mask_host_bits, struct netprefix *out)
{
    struct netprefix prefix;
    if (netprefix_parse_own(text, &prefix) != NX_OK)
        return NX_EINVAL;
    if (clear_host_bits(&prefix.addr, prefix.length) && !mask_host_bits)
        return NX_EINVAL;
    *out = prefix;
    return NX_OK;
}

/* "ADDR%ZONE" with a decimal zone, or "ADDR". */
static int parse_zoned(char *text, struct netsock *out)
{
    char *const percent = strchr(text, '%');
    if (percent != NULL) {
        uint64_t zone;
        if (text_to_u64(percent + 1, strlen(percent + 1), 1, UINT32_MAX, &zone) != NX_OK)
            return NX_EINVAL;
        out->scope_id = (uint32_t)zone;
        *percent = '\0';
    }
    if (netaddr_parse(text, &out->addr) != NX_OK || out->addr.family != NETADDR_V6)
        return NX_EINVAL;
    return NX_OK;
}

int netsock_parse(const char *text, struct netsock *out)
{
    struct netsock sock = {0};
    char host[NETSOCK_TEXT_MAX];
    const char *const colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return NX_EINVAL;
    size_t size = (size_t)(colon - text);
    const bool bracketed = size >= 2 && text[0] == '[' && text[size - 1] == ']';
    if (bracketed) {
        text++;
        size -= 2;
    }
    memcpy(host, text, size);
    host[size] = '\0';

    uint64_t port;
    if (text_to_u64(colon + 1, strlen(colon + 1), 1, UINT16_MAX, &port) != NX_OK)
        return NX_EINVAL;
    sock.port = (uint16_t)port;
    if (bracketed ? parse_zoned(host, &sock) != NX_OK
                  : netaddr_parse(host, &sock.addr) != NX_OK || sock.addr.family != NETADDR_V4)
        return NX_EINVAL;
    *out = sock;
    return NX_OK;
}

static void format_v4(const uint8_t bytes[4], char *out)
{
    snprintf(out, NETADDR_TEXT_MAX, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
}

/* The longest run of at least two zero groups, the first of equals: [*from, *to). Empty when there is none.
 */
static void longest_zero_run(const uint16_t groups[8], unsigned *from, unsigned *to)
{
    *from = *to = 8;
    for (unsigned i = 0; i < 8; i++) {
        unsigned end = i;
        while (end < 8 && groups[end] == 0)
            end++;
        if (end - i >= 2 && end - i > *to - *from) {
            *from = i;
            *to = end;
        }
        if (end > i)
            i = end - 1;
    }
}

static void format_v6(const uint8_t bytes[16], char *out)
{
    if (memcmp(bytes, v4_mapped, sizeof(v4_mapped)) == 0) {
        memcpy(out, "::ffff:", 7);
        format_v4(bytes + 12, out + 7);
        return;
    }
    uint16_t groups[8];
    for (unsigned i = 0; i < 8; i++)
        groups[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    unsigned from, to;
    longest_zero_run(groups, &from, &to);
    char *at = out;
    for (unsigned i = 0; i < 8; i++) {
        if (i == from) {
            *at++ = ':';
            i = to - 1;
            if (to == 8)
                *at++ = ':';
            continue;
        }
        if (i > 0)
            *at++ = ':';
        at += snprintf(at, 5, "%x", groups[i]);
    }
    *at = '\0';
}

char *netaddr_format(const struct netaddr *addr, char *out)
{
    if (addr->family == NETADDR_V4)
        format_v4(addr->bytes, out);
    else if (addr->family == NETADDR_V6)
        format_v6(addr->bytes, out);
    else
        memcpy(out, "none", 5);
    return out;
}

char *netsock_format(const struct netsock *sock, char *out)
{
    char address[NETADDR_TEXT_MAX];
    netaddr_format(&sock->addr, address);
    if (sock->addr.family != NETADDR_V6)
        snprintf(out, NETSOCK_TEXT_MAX, "%s:%u", address, sock->port);
    else if (sock->scope_id != 0)
        snprintf(out, NETSOCK_TEXT_MAX, "[%s%%%u]:%u", address, sock->scope_id, sock->port);
    else
        snprintf(out, NETSOCK_TEXT_MAX, "[%s]:%u", address, sock->port);
    return out;
}

char *netprefix_format(const struct netprefix *prefix, char *out)
{
    char address[NETADDR_TEXT_MAX];
    snprintf(out, NETPREFIX_TEXT_MAX, "%s/%u", netaddr_format(&prefix->addr, address), prefix->length);
    return out;
}

bool netaddr_equal(const struct netaddr *a, const struct netaddr *b)
{
    const size_t bytes = a->family == NETADDR_V4 ? 4 : a->family == NETADDR_V6 ? 16 : 0;
    return a->family == b->family && memcmp(a->bytes, b->bytes, bytes) == 0;
}

bool netsock_equal(const struct netsock *a, const struct netsock *b)
{
    return netaddr_equal(&a->addr, &b->addr) && a->port == b->port && a->scope_id == b->scope_id;
}

bool netprefix_contains(const struct netprefix *prefix, const struct netaddr *addr)
{
    if (prefix->addr.family != addr->family || addr->family == NETADDR_NONE)
        return false;
    const unsigned whole = prefix->length / 8U, rest = prefix->length % 8U;
    if (memcmp(prefix->addr.bytes, addr->bytes, whole) != 0)
        return false;
    return rest == 0 || ((prefix->addr.bytes[whole] ^ addr->bytes[whole]) & (0xff00U >> rest) & 0xffU) == 0;
}

void netaddr_unmap(struct netaddr *addr)
{
    if (addr->family != NETADDR_V6 || memcmp(addr->bytes, v4_mapped, sizeof(v4_mapped)) != 0)
        return;
    struct netaddr v4 = {.family = NETADDR_V4};
    memcpy(v4.bytes, addr->bytes + sizeof(v4_mapped), 4);
    *addr = v4;
}

socklen_t netsock_to_sockaddr(const struct netsock *sock, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (sock->addr.family == NETADDR_V4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(sock->port)};
        memcpy(&v4.sin_addr, sock->addr.bytes, 4);
        memcpy(out, &v4, sizeof(v4));
        return sizeof(v4);
    }
    if (sock->addr.family == NETADDR_V6) {
        struct sockaddr_in6 v6 = {
            .sin6_family = AF_INET6, .sin6_port = htons(sock->port), .sin6_scope_id = sock->scope_id};
        memcpy(&v6.sin6_addr, sock->addr.bytes, 16);
        memcpy(out, &v6, sizeof(v6));
        return sizeof(v6);
    }
    return 0;
}

int netsock_from_sockaddr(const struct sockaddr *sa, socklen_t length, struct netsock *out)
{
    struct netsock sock = {0};
    if (length < sizeof(sa_family_t))
        return NX_EINVAL;
    if (sa->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof(v4));
        sock.addr.family = NETADDR_V4;
        memcpy(sock.addr.bytes, &v4.sin_addr, 4);
        sock.port = ntohs(v4.sin_port);
    } else if (sa->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof(v6));
        sock.addr.family = NETADDR_V6;
        memcpy(sock.addr.bytes, &v6.sin6_addr, 16);
        sock.port = ntohs(v6.sin6_port);
        sock.scope_id = v6.sin6_scope_id;
        netaddr_unmap(&sock.addr);
        if (sock.addr.family == NETADDR_V4)
            sock.scope_id = 0;
    } else {
        return NX_EINVAL;
    }
    *out = sock;
    return NX_OK;
}
