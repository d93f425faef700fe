/* A rule is read from left to right: two parts end at a colon, the rest is "host:port" or "[host]:port".
 * Every check that fails names its part, quotes it with control characters escaped and shows a rule that
 * would be right.
 * The destination is common/host.h's matter. */
#include "common/rule.h"

#include "common/err.h"
#include "common/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { RULE_QUOTE_MAX = 44 };
_Static_assert((int)RULE_HOST_MAX == (int)HOST_MAX, "a rule holds any host that host_parse() accepts");

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

static int rule_parse_destination(struct rule_parser *parser, struct text_span text)
{
    struct text_span host, port;
    struct host_problem problem;
    if (host_split_port(text, &host, &port, &problem) != NX_OK ||
        host_parse(host, parser->rule->host, &parser->rule->addr, &problem) != NX_OK)
        return rule_fail(parser, problem.part.length > 0 ? &problem.part : NULL, "in the destination, %s",
                         problem.text);
    if (parser->rule->direction == RULE_EGRESS && strchr(parser->rule->host, '%') != NULL)
        return rule_fail(parser, &host, "in the destination, an address inside the mesh has no zone:");
    return rule_parse_port(parser, "destination", port, &parser->rule->dest_port);
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

static int compare_numbers(int a, int b)
{
    return (a > b) - (a < b);
}

static const char *zone_of(const struct rule *rule)
{
    const char *const percent = strchr(rule->host, '%');
    return percent == NULL ? "" : percent;
}

static int compare_hosts(const struct rule *a, const struct rule *b)
{
    if (a->addr.family != b->addr.family)
        return compare_numbers(a->addr.family, b->addr.family);
    if (a->addr.family == NETADDR_NONE)
        return text_compare_nocase(a->host, b->host);
    const int order = memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
    return order != 0 ? order : strcmp(zone_of(a), zone_of(b));
}

static int compare_listeners(const struct rule *a, const struct rule *b)
{
    int order = compare_numbers((int)a->direction, (int)b->direction);
    if (order == 0)
        order = compare_numbers((int)a->protocol, (int)b->protocol);
    return order != 0 ? order : compare_numbers(a->listen_port, b->listen_port);
}

int rule_compare(const struct rule *a, const struct rule *b)
{
    int order = compare_listeners(a, b);
    if (order == 0)
        order = compare_hosts(a, b);
    return order != 0 ? order : compare_numbers(a->dest_port, b->dest_port);
}

bool rule_equal(const struct rule *a, const struct rule *b)
{
    return rule_compare(a, b) == 0;
}

bool rule_same_listener(const struct rule *a, const struct rule *b)
{
    return compare_listeners(a, b) == 0;
}

const char *rule_direction_name(enum rule_direction direction)
{
    return direction == RULE_INGRESS ? "ingress" : "egress";
}

const char *rule_protocol_name(enum rule_protocol protocol)
{
    return protocol == RULE_UDP ? "udp" : "tcp";
}
