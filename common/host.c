/* The host is checked at the door, though it is used much later: what could be meant as an address must be an
 * address that can be a destination, anything else must be a possible host name. */
#include "common/host.h"

#include "common/err.h"

#include <string.h>

enum { ZONE_MAX = 15 /* IFNAMSIZ - 1 */ };

static int host_fail(struct host_problem *problem, const char *text, struct text_span part)
{
    *problem = (struct host_problem){.text = text, .part = part};
    return NX_EINVAL;
}

static struct text_span span_between(const char *start, const char *end)
{
    return (struct text_span){start, (size_t)(end - start)};
}

int host_split_port(struct text_span text, struct text_span *host, struct text_span *port,
                    struct host_problem *problem)
{
    static const struct text_span nothing = {0};
    const char *const end = text.start + text.length;
    if (text.length > 0 && text.start[0] == '[') {
        const char *const close = memchr(text.start, ']', text.length);
        if (close == NULL)
            return host_fail(problem, "the bracket is never closed in", text);
        if (close + 1 == end || close[1] != ':')
            return host_fail(problem, "a colon and a port must follow the bracket in", text);
        *host = span_between(text.start + 1, close);
        *port = span_between(close + 2, end);
        return NX_OK;
    }
    const char *const colon = text.length == 0 ? NULL : memrchr(text.start, ':', text.length);
    if (colon == NULL)
        return host_fail(problem, "the port is missing", nothing);
    *host = span_between(text.start, colon);
    *port = span_between(colon + 1, end);
    if (memchr(host->start, ':', host->length) != NULL)
        return host_fail(problem, "too many colons (IPv6 needs brackets, as in [::1]:80) in", text);
    return NX_OK;
}

/* An interface's name, or its number. */
static bool zone_valid(const char *zone)
{
    const size_t length = strnlen(zone, ZONE_MAX + 1);
    if (length == 0 || length > ZONE_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!text_is_alpha(zone[i]) && !text_is_digit(zone[i]) && strchr("-_.@", zone[i]) == NULL)
            return false;
    }
    return true;
}

/* Link-local unicast and loopback: the scopes in which a zone tells addresses apart (RFC 4007). */
static bool address_has_zone(const struct netaddr *addr)
{
    static const struct netaddr loopback = {.family = NETADDR_V6, .bytes = {[15] = 1}};
    return addr->family == NETADDR_V6 &&
           ((addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80) || netaddr_equal(addr, &loopback));
}

/* Why the address cannot be a destination, NULL if it can (RFC 1122 section 3.2.1.3, RFC 6890). */
static const char *address_problem(const struct netaddr *addr)
{
    static const struct netaddr any4 = {.family = NETADDR_V4}, any6 = {.family = NETADDR_V6};
    const uint8_t first = addr->bytes[0];
    if (netaddr_equal(addr, &any4) || netaddr_equal(addr, &any6))
        return "the unspecified address cannot be a destination:";
    if (addr->family == NETADDR_V4 ? first >= 224 && first < 240 : first == 0xff)
        return "a multicast address cannot be a destination:";
    if (addr->family == NETADDR_V4 && (first == 0 || first >= 240))
        return "a reserved address cannot be a destination:";
    return NULL;
}

/* True if the host can only be meant as an address. */
static bool host_is_address(const char *host)
{
    return strpbrk(host, ":%") != NULL || strspn(host, "0123456789.") == strlen(host);
}

static int host_parse_address(struct text_span text, const char *name, struct netaddr *addr,
                              struct host_problem *problem)
{
    char address[HOST_MAX + 1];
    memcpy(address, name, text.length + 1);
    char *const percent = strchr(address, '%');
    if (percent != NULL)
        *percent = '\0';
    if (netaddr_parse(address, addr) != NX_OK) {
        const bool v6 = strchr(address, ':') != NULL;
        return host_fail(problem, v6 ? "not an IPv6 address:" : "not an IPv4 address:", text);
    }
    if (percent != NULL && !address_has_zone(addr))
        return host_fail(problem, "only a link-local IPv6 address has a zone, not", text);
    if (percent != NULL && !zone_valid(percent + 1))
        return host_fail(problem, "an interface's name or number must follow the % in", text);
    netaddr_unmap(addr);
    const char *const reason = address_problem(addr);
    return reason == NULL ? NX_OK : host_fail(problem, reason, text);
}

int host_parse(struct text_span text, char *name, struct netaddr *addr, struct host_problem *problem)
{
    *addr = (struct netaddr){.family = NETADDR_NONE};
    if (text.length == 0)
        return host_fail(problem, "the host is missing", text);
    if (text.length > HOST_MAX)
        return host_fail(problem, "the host is longer than 253 characters:", text);
    if (memchr(text.start, '\0', text.length) != NULL)
        return host_fail(problem, "the host must be an address or a host name, not", text);
    memcpy(name, text.start, text.length);
    name[text.length] = '\0';
    if (host_is_address(name))
        return host_parse_address(text, name, addr, problem);
    if (!hostname_valid(name))
        return host_fail(problem, "the host must be an address or a host name, not", text);
    return NX_OK;
}
