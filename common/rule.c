/* A rule is read from left to right: two parts end at a colon, the rest is "host:port" or "[host]:port".
 * Every check that fails names its part, quotes it with control characters escaped and shows a rule that
 * would be right.
 *
 * The host is checked here, at the door, though it is used much later: an address must be one that can be a
 * destination, anything else must be a possible host name. */
#include "common/rule.h"

#include "common/err.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RULE_QUOTE_MAX = 44, ZONE_MAX = 15 /* IFNAMSIZ - 1 */ };

/* What is known about the rule while it is read. */
struct rule_parser {
    struct rule *rule;
    struct text_span text;
    char *error;
};

static const char *rule_example(const struct rule *rule)
{
    if (rule->direction == RULE_EGRESS)
        return rule->protocol == RULE_UDP ? "udp:5353:100.64.0.7:53" : "tcp:8443:100.64.0.7:443";
    return rule->protocol == RULE_UDP ? "udp:5353:127.0.0.1:53" : "tcp:8080:127.0.0.1:80";
}

static int __attribute__((format(printf, 3, 4)))
rule_fail(const struct rule_parser *parser, const struct text_span *part, const char *format, ...)
{
    char whole[RULE_QUOTE_MAX], quoted[RULE_QUOTE_MAX] = "", problem[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, sizeof(problem), format, arguments);
    va_end(arguments);
    if (part != NULL)
        text_quote_bytes(part->start, part->length, quoted, sizeof(quoted));
    text_quote_bytes(parser->text.start, parser->text.length, whole, sizeof(whole));
    snprintf(parser->error, RULE_ERROR_MAX, "%s rule %s: %s%s%s; example: %s",
             rule_direction_name(parser->rule->direction), whole, problem, part != NULL ? " " : "", quoted,
             rule_example(parser->rule));
    return NX_EINVAL;
}

static int rule_parse_protocol(struct rule_parser *parser, struct text_span part)
{
    if (text_equal_nocase(part.start, part.length, "tcp"))
        parser->rule->protocol = RULE_TCP;
    else if (text_equal_nocase(part.start, part.length, "udp"))
        parser->rule->protocol = RULE_UDP;
    else
        return rule_fail(parser, &part, "the protocol must be tcp or udp, not");
    return NX_OK;
}

static int rule_parse_port(struct rule_parser *parser, const char *which, struct text_span part,
                           uint16_t *out)
{
    uint64_t port;
    struct text_span digits = part;
    if (digits.length > 0 && digits.start[0] == '+') {
        digits.start++;
        digits.length--;
    }
    if (part.length == 0)
        return rule_fail(parser, NULL, "the %s port is missing", which);
    if (text_to_u64(digits.start, digits.length, 1, UINT16_MAX, &port) != NX_OK)
        return rule_fail(parser, &part, "the %s port must be a number from 1 to 65535, not", which);
    *out = (uint16_t)port;
    return NX_OK;
}

static bool zone_valid(const char *zone)
{
    const size_t length = strlen(zone);
    if (length == 0 || length > ZONE_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!text_is_alpha(zone[i]) && !text_is_digit(zone[i]) && strchr("-_.@", zone[i]) == NULL)
            return false;
    }
    return true;
}

/* Link-local unicast and loopback, the scopes in which a zone tells addresses apart (RFC 4007). */
static bool address_has_zone(const struct netaddr *addr)
{
    static const struct netaddr loopback = {.family = NETADDR_V6, .bytes = {[15] = 1}};
    return addr->family == NETADDR_V6 &&
           ((addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80) || netaddr_equal(addr, &loopback));
}

static const char *address_problem(const struct netaddr *addr)
{
    static const struct netaddr any4 = {.family = NETADDR_V4}, any6 = {.family = NETADDR_V6};
    if (netaddr_equal(addr, &any4) || netaddr_equal(addr, &any6))
        return "the unspecified address cannot be a destination:";
    if (addr->family == NETADDR_V4 ? addr->bytes[0] >= 224 && addr->bytes[0] < 240 : addr->bytes[0] == 0xff)
        return "a multicast address cannot be a destination:";
    if (addr->family == NETADDR_V4 && (addr->bytes[0] >= 240 || addr->bytes[0] == 0))
        return "a reserved address cannot be a destination:";
    return NULL;
}

/* `host` is terminated, without brackets. */
static int rule_parse_address(struct rule_parser *parser, struct text_span part, const char *host)
{
    struct netaddr *const addr = &parser->rule->addr;
    char text[RULE_HOST_MAX + 1];
    strcpy(text, host);
    char *const percent = strchr(text, '%');
    if (percent != NULL)
        *percent = '\0';
    if (netaddr_parse(text, addr) != NX_OK)
        return rule_fail(parser, &part, "not a valid %s address:", strchr(text, ':') ? "IPv6" : "IPv4");
    if (percent != NULL && !address_has_zone(addr))
        return rule_fail(parser, &part, "only a link-local IPv6 address may have a zone, not");
    if (percent != NULL && !zone_valid(percent + 1))
        return rule_fail(parser, &part, "the zone after %% must be an interface's name or number:");
    netaddr_unmap(addr);
    const char *const problem = address_problem(addr);
    return problem == NULL ? NX_OK : rule_fail(parser, &part, "%s", problem);
}

/* True if it can only have been meant as an address: a colon, a zone, or a last label of digits. */
static bool host_is_address(const char *host)
{
    if (strpbrk(host, ":%") != NULL)
        return true;
    const size_t dots_and_digits = strspn(host, "0123456789.");
    return dots_and_digits == strlen(host);
}

static int rule_parse_host(struct rule_parser *parser, struct text_span part)
{
    char *const host = parser->rule->host;
    if (part.length == 0)
        return rule_fail(parser, NULL, "the destination host is missing");
    if (part.length > RULE_HOST_MAX)
        return rule_fail(parser, &part, "the destination host is longer than %d characters:", RULE_HOST_MAX);
    memcpy(host, part.start, part.length);
    host[part.length] = '\0';
    if (host_is_address(host))
        return rule_parse_address(parser, part, host);
    if (!hostname_valid(host))
        return rule_fail(parser, &part, "the destination host must be an address or a host name, not");
    return NX_OK;
}

/* "host:port" or "[host]:port", whatever follows the second colon. */
static int rule_parse_destination(struct rule_parser *parser, struct text_span rest)
{
    struct text_span host, port;
    const char *const end = rest.start + rest.length;
    if (rest.length > 0 && rest.start[0] == '[') {
        const char *const close = memchr(rest.start, ']', rest.length);
        if (close == NULL)
            return rule_fail(parser, &rest, "the bracket is never closed in");
        if (close + 1 == end || close[1] != ':')
            return rule_fail(parser, &rest, "a colon and a port must follow the closing bracket in");
        host = (struct text_span){rest.start + 1, (size_t)(close - rest.start) - 1};
        port = (struct text_span){close + 2, (size_t)(end - close) - 2};
    } else {
        const char *const colon = memrchr(rest.start, ':', rest.length);
        if (colon == NULL)
            return rule_fail(parser, NULL, "the destination port is missing");
        host = (struct text_span){rest.start, (size_t)(colon - rest.start)};
        port = (struct text_span){colon + 1, (size_t)(end - colon) - 1};
        if (memchr(host.start, ':', host.length) != NULL)
            return rule_fail(parser, &rest,
                             "too many colons (an IPv6 address needs brackets, as [::1]:80) in");
    }
    const int err = rule_parse_host(parser, host);
    return err != NX_OK ? err : rule_parse_port(parser, "destination", port, &parser->rule->dest_port);
}

int rule_parse(enum rule_direction direction, const char *text, struct rule *out, char *error)
{
    struct rule rule = {.direction = direction};
    struct rule_parser parser = {.rule = &rule, .text = {text, strlen(text)}, .error = error};
    const char *const end = text + parser.text.length;
    if (parser.text.length == 0)
        return rule_fail(&parser, NULL, "it is empty");
    const char *const first = strchr(text, ':');
    const char *const second = first == NULL ? NULL : strchr(first + 1, ':');
    if (second == NULL || memchr(second + 1, ':', (size_t)(end - second) - 1) == NULL)
        return rule_fail(&parser, NULL, "it must have the four parts protocol:port:host:port");
    int err = rule_parse_protocol(&parser, (struct text_span){text, (size_t)(first - text)});
    if (err == NX_OK)
        err = rule_parse_port(&parser, "listen", (struct text_span){first + 1, (size_t)(second - first) - 1},
                              &rule.listen_port);
    if (err == NX_OK)
        err = rule_parse_destination(&parser, (struct text_span){second + 1, (size_t)(end - second) - 1});
    if (err == NX_OK)
        *out = rule;
    return err;
}

char *rule_format(const struct rule *rule, char *out)
{
    const bool brackets = strchr(rule->host, ':') != NULL;
    snprintf(out, RULE_TEXT_MAX, "%s:%u:%s%s%s:%u", rule_protocol_name(rule->protocol), rule->listen_port,
             brackets ? "[" : "", rule->host, brackets ? "]" : "", rule->dest_port);
    return out;
}

/* Names are compared without regard to case; addresses by value, with their zones. */
static bool host_equal(const struct rule *a, const struct rule *b)
{
    if (a->addr.family == NETADDR_NONE || b->addr.family == NETADDR_NONE)
        return a->addr.family == b->addr.family && text_equal_nocase(a->host, strlen(a->host), b->host);
    const char *const a_zone = strchr(a->host, '%'), *const b_zone = strchr(b->host, '%');
    return netaddr_equal(&a->addr, &b->addr) &&
           strcmp(a_zone == NULL ? "" : a_zone, b_zone == NULL ? "" : b_zone) == 0;
}

bool rule_same_listener(const struct rule *a, const struct rule *b)
{
    return a->direction == b->direction && a->protocol == b->protocol && a->listen_port == b->listen_port;
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
    return rule_same_listener(a, b) && a->dest_port == b->dest_port && host_equal(a, b);
}

const char *rule_direction_name(enum rule_direction direction)
{
    return direction == RULE_INGRESS ? "ingress" : "egress";
}

const char *rule_protocol_name(enum rule_protocol protocol)
{
    return protocol == RULE_UDP ? "udp" : "tcp";
}
