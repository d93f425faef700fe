/* Rules of security groups: what may be in one, and as JSON text in their column. */
#include "apid/store/internal.h"

#include "apid/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool range_bound(const char *text, size_t length, struct netaddr *out)
{
    char address[NETADDR_TEXT_MAX];
    while (length && text[0] == ' ') {
        text++;
        length--;
    }
    while (length && text[length - 1] == ' ')
        length--;
    if (length == 0 || length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    return netaddr_parse(address, out) == NX_OK;
}

/* "", an address, a CIDR, or A-B of one family. */
static bool range_is_sound(const char *text)
{
    struct netprefix prefix;
    struct netaddr first, last;
    const char *dash = strchr(text, '-');
    if (!*text)
        return true;
    if (!dash)
        return netprefix_parse(text, true, &prefix) == NX_OK;
    return range_bound(text, (size_t)(dash - text), &first) &&
           range_bound(dash + 1, strlen(dash + 1), &last) && first.family == last.family &&
           memcmp(first.bytes, last.bytes, sizeof first.bytes) <= 0;
}

static int rule_check(struct store_error *error, const struct store_rule *rule)
{
    static const char *const protocols[] = {"", "ipv4", "ipv6", "tcp", "udp", "icmp", "icmpv4", "icmpv6"};
    bool known = false;
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        known |= strcmp(rule->ip_protocol, protocols[i]) == 0;
    if (!known)
        return problem_unprocessable(error, "protocol", "invalid protocol");
    bool all = rule->from_port == 0 && rule->to_port == 0;
    if (!all && (rule->from_port == 0 || rule->from_port > rule->to_port))
        return problem_unprocessable(error, "port_range",
                                     "invalid port range: both 0, or 1 <= from_port <= to_port <= 65535");
    for (unsigned i = 0; i < rule->range_count; i++)
        if (!range_is_sound(rule->ranges[i]))
            return problem_unprocessable(error, "ip_range",
                                         "invalid IP range: an address, a CIDR or FIRST-LAST is needed");
    return NX_OK;
}

int rules_check(struct store_error *error, const struct store_rule *rules, unsigned count)
{
    int err = count > STORE_RULES_MAX ? problem_unprocessable(error, "rule", "too many rules") : NX_OK;
    for (unsigned i = 0; i < count && !err; i++)
        err = rule_check(error, &rules[i]);
    return err;
}

char *rules_write(const struct store_rule *rules, unsigned count)
{
    struct json_out out = {0};
    json_array_begin(&out);
    for (unsigned i = 0; i < count; i++) {
        json_object_begin(&out);
        json_put_string(&out, "ip_protocol", rules[i].ip_protocol);
        json_put_u64(&out, "from_port", rules[i].from_port);
        json_put_u64(&out, "to_port", rules[i].to_port);
        json_key(&out, "ip_ranges");
        json_array_begin(&out);
        for (unsigned r = 0; r < rules[i].range_count; r++)
            json_string(&out, rules[i].ranges[r]);
        json_array_end(&out);
        json_object_end(&out);
    }
    json_array_end(&out);
    char *text = out.failed ? NULL : strndup(out.data, out.length);
    json_out_free(&out);
    return text;
}

static void rule_read(const struct json_value *value, struct store_rule *out)
{
    uint64_t from = 0, to = 0;
    const char *protocol = json_member_text(value, "ip_protocol");
    const struct json_value *ranges = json_member(value, "ip_ranges");
    snprintf(out->ip_protocol, sizeof out->ip_protocol, "%s", protocol ? protocol : "");
    (void)json_to_u64(json_member(value, "from_port"), UINT16_MAX, &from);
    (void)json_to_u64(json_member(value, "to_port"), UINT16_MAX, &to);
    out->from_port = (uint16_t)from;
    out->to_port = (uint16_t)to;
    for (const struct json_value *range = ranges ? ranges->child : NULL;
         range && out->range_count < STORE_RANGES_MAX; range = range->next)
        snprintf(out->ranges[out->range_count++], STORE_RANGE_MAX, "%s", range->text ? range->text : "");
}

int rules_read(const char *text, struct store_rule *rules, unsigned *count)
{
    struct json_document *document;
    char error[JSON_ERROR_MAX];
    int err = json_parse(text, strlen(text), &document, error);
    *count = 0;
    if (err)
        return err;
    for (const struct json_value *value = json_root(document)->child; value && *count < STORE_RULES_MAX;
         value = value->next) {
        rules[*count] = (struct store_rule){0};
        rule_read(value, &rules[(*count)++]);
    }
    json_free(document);
    return NX_OK;
}
