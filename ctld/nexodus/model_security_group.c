/* Rules and ranges of a group lie in one block: the rules of both directions, then all ranges. They are
 * counted first. */
#include "common/err.h"
#include "ctld/nexodus/models_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const protocols[] = {
    [API_PROTOCOL_NONE] = "",         [API_PROTOCOL_IPV4] = "ipv4",    [API_PROTOCOL_IPV6] = "ipv6",
    [API_PROTOCOL_TCP] = "tcp",       [API_PROTOCOL_UDP] = "udp",      [API_PROTOCOL_ICMP] = "icmp",
    [API_PROTOCOL_ICMPV4] = "icmpv4", [API_PROTOCOL_ICMPV6] = "icmpv6"};

const char *api_protocol_name(enum api_protocol protocol)
{
    return protocols[protocol];
}

static int protocol_get(const struct json_value *rule, enum api_protocol *out, char *error)
{
    const char *name;
    const int err = model_get_text(rule, "ip_protocol", &name, error);
    if (err)
        return err;
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i], name) == 0) {
            *out = (enum api_protocol)i;
            return NX_OK;
        }
    return json_fail(rule, "ip_protocol", "not a protocol that is known", error);
}

static int ports_get(const struct json_value *rule, struct api_security_rule *out, char *error)
{
    uint64_t from = 0, to = 0;
    int err = json_get_u64_optional(rule, "from_port", 0, UINT16_MAX, &from, error);
    if (!err)
        err = json_get_u64_optional(rule, "to_port", 0, UINT16_MAX, &to, error);
    if (err)
        return err;
    if (from > to || (from == 0 && to != 0))
        return json_fail(rule, "to_port", "no range of ports with from_port", error);
    out->from_port = (uint16_t)from;
    out->to_port = (uint16_t)to;
    return NX_OK;
}

/* The last address of a prefix. */
static struct netaddr prefix_last(const struct netprefix *prefix)
{
    struct netaddr last = prefix->addr;
    const unsigned bits = prefix->addr.family == NETADDR_V4 ? 32 : 128;
    for (unsigned i = prefix->length; i < bits; i++)
        last.bytes[i / 8] |= (uint8_t)(0x80U >> i % 8);
    return last;
}

/* "A-B", inclusive. */
static bool from_to_parse(const char *text, const char *hyphen, struct api_range *out)
{
    char first[NETADDR_TEXT_MAX];
    const size_t length = (size_t)(hyphen - text);
    if (length >= sizeof first)
        return false;
    memcpy(first, text, length);
    first[length] = '\0';
    return netaddr_parse(first, &out->first) == NX_OK && netaddr_parse(hyphen + 1, &out->last) == NX_OK &&
           out->first.family == out->last.family &&
           memcmp(out->first.bytes, out->last.bytes, sizeof out->first.bytes) <= 0;
}

static bool range_parse(const char *text, struct api_range *out)
{
    const char *const hyphen = strchr(text, '-');
    struct netprefix prefix;
    *out = (struct api_range){.first.family = NETADDR_NONE};
    if (text[0] == '\0')
        return true;
    if (hyphen)
        return from_to_parse(text, hyphen, out);
    if (netprefix_parse(text, true, &prefix) != NX_OK)
        return false;
    out->first = prefix.addr;
    out->last = prefix_last(&prefix);
    return true;
}

/* `next` is where the rule's ranges go; it moves on. */
static int rule_read(const struct json_value *value, struct api_range **next, struct api_security_rule *out,
                     char *error)
{
    const struct json_value *ranges;
    *out = (struct api_security_rule){.ranges = *next};
    int err = protocol_get(value, &out->protocol, error);
    if (!err)
        err = ports_get(value, out, error);
    if (!err)
        err = json_get_array_optional(value, "ip_ranges", &ranges, error);
    if (err)
        return err;
    for (const struct json_value *each = json_first(ranges); each; each = json_next(each)) {
        const char *text;
        err = json_as_string(each, API_TEXT_MAX, &text, error);
        if (err)
            return err;
        if (!range_parse(text, *next))
            return json_fail(each, NULL, "neither an address, nor a prefix, nor a range", error);
        ++*next;
        out->range_count++;
    }
    return NX_OK;
}

/* How many rules and ranges there are, and whether that is sensible. */
static int rules_count(const struct json_value *group, const char *name, const struct json_value **list,
                       size_t *range_count, char *error)
{
    int err = json_get_array_optional(group, name, list, error);
    if (!err && json_count(*list) > API_RULES_MAX)
        err = json_fail(*list, NULL, "too many rules", error);
    for (const struct json_value *each = json_first(*list); !err && each; each = json_next(each)) {
        const struct json_value *ranges = NULL;
        err = json_require_object(each, error);
        if (!err)
            err = json_get_array_optional(each, "ip_ranges", &ranges, error);
        if (!err && json_count(ranges) > API_RANGES_MAX)
            err = json_fail(ranges, NULL, "too many ranges", error);
        *range_count += json_count(ranges);
    }
    return err;
}

static int rules_read(const struct json_value *list, struct api_security_rule *rules, struct api_range **next,
                      char *error)
{
    int err = NX_OK;
    for (const struct json_value *each = json_first(list); !err && each; each = json_next(each))
        err = rule_read(each, next, rules++, error);
    return err;
}

static int all_rules_read(const struct json_value *value, struct api_security_group *out, char *error)
{
    const struct json_value *inbound = NULL, *outbound = NULL;
    size_t range_count = 0;
    int err = rules_count(value, "inbound_rules", &inbound, &range_count, error);
    if (!err)
        err = rules_count(value, "outbound_rules", &outbound, &range_count, error);
    const size_t rule_count = json_count(inbound) + json_count(outbound);
    if (err || rule_count == 0)
        return err;
    struct api_security_rule *const rules =
        calloc(1, rule_count * sizeof *rules + range_count * sizeof(struct api_range));
    if (!rules)
        return json_fail(value, NULL, "out of memory", error), NX_ENOMEM;
    struct api_range *next = (struct api_range *)(void *)(rules + rule_count);
    out->memory = rules;
    out->inbound = rules;
    out->inbound_count = json_count(inbound);
    out->outbound = rules + out->inbound_count;
    out->outbound_count = json_count(outbound);
    err = rules_read(inbound, rules, &next, error);
    return err ? err : rules_read(outbound, rules + out->inbound_count, &next, error);
}

int api_security_group_decode(const struct json_value *value, struct api_security_group *out, char *error)
{
    memset(out, 0, sizeof *out);
    int err = json_require_object(value, error);
    if (!err)
        err = model_get_uuid(value, "id", &out->id, error);
    if (!err)
        err = model_get_uuid_optional(value, "vpc_id", &out->vpc_id, error);
    if (!err)
        err = model_get_text(value, "description", &out->description, error);
    if (!err)
        err = model_get_revision(value, &out->revision, error);
    if (!err)
        err = all_rules_read(value, out, error);
    if (err)
        api_security_group_free(out);
    return err;
}

void api_security_group_free(struct api_security_group *group)
{
    free(group->memory);
    memset(group, 0, sizeof *group);
}
