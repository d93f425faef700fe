/* Rules of security groups: as text on the command line, and in JSON files. */
#include "apid/admin/input.h"

#include "apid/json/json.h"
#include "common/err.h"
#include "common/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE_FORM "PROTOCOL[:PORT[-PORT]][,RANGE]... is needed, as in tcp:8000-8100,100.64.0.0/24"

__attribute__((format(printf, 2, 3))) static int fail(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, INPUT_ERROR_MAX, format, args);
    va_end(args);
    return NX_EINVAL;
}

static int rule_fail(const char *text, const char *why, char *error)
{
    char quoted[128];
    return fail(error, "rule %s: %s: " RULE_FORM, text_quote(text, quoted, sizeof quoted), why);
}

static bool port_read(const char *text, size_t length, uint16_t *out)
{
    uint64_t port;
    if (text_to_u64(text, length, 1, UINT16_MAX, &port))
        return false;
    *out = (uint16_t)port;
    return true;
}

/* "tcp", "tcp:22", "tcp:8000-8100". */
static const char *protocol_read(const char *text, size_t length, struct store_rule *out)
{
    const char *const colon = memchr(text, ':', length);
    const size_t name = colon ? (size_t)(colon - text) : length;
    if (name == 0 || name >= sizeof out->ip_protocol)
        return "no such protocol";
    memcpy(out->ip_protocol, text, name);
    if (!colon)
        return NULL;
    const char *const ports = colon + 1;
    const size_t all = length - name - 1;
    const char *const dash = memchr(ports, '-', all);
    const size_t first = dash ? (size_t)(dash - ports) : all;
    if (!port_read(ports, first, &out->from_port))
        return "ports are from 1 to 65535";
    out->to_port = out->from_port;
    if (dash && !port_read(dash + 1, all - first - 1, &out->to_port))
        return "ports are from 1 to 65535";
    return NULL;
}

int input_rule(const char *text, struct store_rule *out, char error[INPUT_ERROR_MAX])
{
    size_t length = strcspn(text, ",");
    *out = (struct store_rule){0};
    const char *wrong = protocol_read(text, length, out);
    if (wrong)
        return rule_fail(text, wrong, error);
    for (const char *range = text + length; *range; range += length) {
        range++;
        length = strcspn(range, ",");
        if (length == 0 || length >= STORE_RANGE_MAX)
            return rule_fail(text, length ? "a range is too long" : "a range is empty", error);
        if (out->range_count == STORE_RANGES_MAX)
            return rule_fail(text, "too many ranges", error);
        memcpy(out->ranges[out->range_count++], range, length);
    }
    return NX_OK;
}

/* Adds a text whole, or not at all. */
__attribute__((format(printf, 4, 5))) static size_t append(char *out, size_t size, size_t used,
                                                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(out + used, size - used, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < size - used)
        return used + (size_t)n;
    out[used] = '\0';
    return used;
}

const char *input_rule_text(const struct store_rule *rule, char *out, size_t size)
{
    size_t used = append(out, size, 0, "%s", rule->ip_protocol);
    if (rule->from_port)
        used = append(out, size, used, ":%u", rule->from_port);
    if (rule->to_port != rule->from_port)
        used = append(out, size, used, "-%u", rule->to_port);
    for (unsigned i = 0; i < rule->range_count; i++)
        used = append(out, size, used, ",%s", rule->ranges[i]);
    return out;
}

static int port_member(const struct json_value *rule, const char *name, uint16_t *out, char *error)
{
    const struct json_value *value = json_member(rule, name);
    uint64_t port = 0;
    if (value && value->type != JSON_NULL && json_to_u64(value, UINT16_MAX, &port))
        return fail(error, "%s: a port from 0 to 65535 is needed", name);
    *out = (uint16_t)port;
    return NX_OK;
}

static int ranges_member(const struct json_value *rule, struct store_rule *out, char *error)
{
    const struct json_value *ranges = json_member(rule, "ip_ranges");
    if (!ranges || ranges->type == JSON_NULL)
        return NX_OK;
    if (ranges->type != JSON_ARRAY)
        return fail(error, "ip_ranges: an array is needed");
    for (const struct json_value *range = ranges->child; range; range = range->next) {
        if (range->type != JSON_STRING || range->length >= STORE_RANGE_MAX)
            return fail(error, "ip_ranges: addresses, CIDRs or FIRST-LAST as texts are needed");
        if (out->range_count == STORE_RANGES_MAX)
            return fail(error, "ip_ranges: at most %d in one rule", STORE_RANGES_MAX);
        memcpy(out->ranges[out->range_count++], range->text, range->length + 1);
    }
    return NX_OK;
}

/* A member that is not known is more likely a mistake than meant to do nothing. */
static int members_check(const struct json_value *object, const char *const *known, char *error)
{
    char quoted[TEXT_QUOTE_MAX];
    for (const struct json_value *member = object->child; member; member = member->next) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], member->key) != 0)
            i++;
        if (!known[i])
            return fail(error, "there is no member %s", text_quote(member->key, quoted, sizeof quoted));
    }
    return NX_OK;
}

static int rule_member(const struct json_value *value, struct store_rule *out, char *error)
{
    static const char *const known[] = {"ip_protocol", "from_port", "to_port", "ip_ranges", NULL};
    *out = (struct store_rule){0};
    if (value->type != JSON_OBJECT)
        return fail(error, "rules are objects with ip_protocol, from_port, to_port and ip_ranges");
    int err = members_check(value, known, error);
    if (err)
        return err;
    const char *protocol = json_member_text(value, "ip_protocol");
    if (!protocol || strlen(protocol) >= sizeof out->ip_protocol)
        return fail(error, "ip_protocol: one of ipv4, ipv6, tcp, udp, icmp, icmpv4, icmpv6 is needed");
    memcpy(out->ip_protocol, protocol, strlen(protocol) + 1);
    err = port_member(value, "from_port", &out->from_port, error);
    if (!err)
        err = port_member(value, "to_port", &out->to_port, error);
    return err ? err : ranges_member(value, out, error);
}

static int list_member(const struct json_value *root, const char *name, struct store_rule *out,
                       unsigned *count, bool *given, char *error)
{
    const struct json_value *list = json_member(root, name);
    *given = list && list->type != JSON_NULL;
    if (!*given)
        return NX_OK;
    *count = 0;
    if (list->type != JSON_ARRAY)
        return fail(error, "%s: an array is needed", name);
    for (const struct json_value *value = list->child; value; value = value->next) {
        if (*count == STORE_RULES_MAX)
            return fail(error, "%s: at most %d rules", name, STORE_RULES_MAX);
        char wrong[INPUT_ERROR_MAX];
        if (rule_member(value, &out[(*count)++], wrong))
            return fail(error, "%s[%u]: %.400s", name, *count - 1, wrong);
    }
    return NX_OK;
}

int input_rules(const char *text, size_t length, struct store_security_group *group, unsigned *changes,
                char error[INPUT_ERROR_MAX])
{
    /* What a group has besides, so that the API's own answer can be edited and given back. */
    static const char *const known[] = {"inbound_rules", "outbound_rules", "id", "vpc_id",
                                        "description",   "revision",       NULL};
    struct json_document *document;
    char why[JSON_ERROR_MAX];
    bool inbound = false, outbound = false;
    if (json_parse(text, length, &document, why))
        return fail(error, "not JSON: %s", why);
    const struct json_value *root = json_root(document);
    int err = root->type == JSON_OBJECT
                  ? members_check(root, known, error)
                  : fail(error, "an object with inbound_rules and outbound_rules is needed");
    if (!err)
        err = list_member(root, "inbound_rules", group->inbound, &group->inbound_count, &inbound, error);
    if (!err)
        err = list_member(root, "outbound_rules", group->outbound, &group->outbound_count, &outbound, error);
    json_free(document);
    *changes = (inbound ? STORE_GROUP_INBOUND : 0u) | (outbound ? STORE_GROUP_OUTBOUND : 0u);
    if (!err && !*changes)
        err = fail(error, "neither inbound_rules nor outbound_rules is in it");
    return err;
}
