/* Security groups. One is hundreds of kilobytes large in the store's form, so they are read into one place.
 */
#include "apid/events/hub.h"
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/model.h"
#include "common/err.h"

#include <string.h>

static struct store_security_group place;

static void group_answer(struct call *call, int status, const struct store_security_group *group)
{
    struct json_out out = {0};
    model_security_group(&out, group);
    answer_json(call->request, status, &out);
}

static int row(void *arg, const struct store_security_group *group)
{
    struct list *const list = arg;
    if (list_wants(list))
        model_security_group(&list->out, group);
    return NX_OK;
}

void security_groups_list(struct call *call)
{
    struct store_filter filter = {0};
    struct list list;
    memcpy(filter.owner_id, call->caller.user, sizeof(filter.owner_id));
    if (list_begin(call, &list))
        list_answer(call, &list, true, store_security_groups_list(call->api->store, &filter, row, &list));
}

void vpc_security_groups_list(struct call *call)
{
    struct store_filter filter = {0};
    struct store_vpc vpc;
    struct list list;
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc) || !list_begin(call, &list))
        return;
    memcpy(filter.vpc_id, vpc.id, sizeof(filter.vpc_id));
    list_answer(call, &list, true, store_security_groups_list(call->api->store, &filter, row, &list));
}

void security_groups_get(struct call *call)
{
    if (access_security_group(call, call->params.values[0], NULL, &place))
        group_answer(call, 200, &place);
}

static bool unfit(struct call *call, const char *error, const char *field)
{
    answer_error(call->request, 422, error, field, NULL);
    return false;
}

/* *fits is false for a number that is no port: told by the store, after what it says of the protocol. */
static bool port_read(struct call *call, const struct json_value *rule, const char *name, uint16_t *out,
                      bool *fits)
{
    const struct json_value *const value = json_member(rule, name);
    uint64_t port = 0;
    if (value && value->type != JSON_NULL && json_to_u64(value, UINT16_MAX, &port)) {
        if (value->type != JSON_NUMBER)
            return field_refuse(call, name, "a number is needed");
        *fits = false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool rule_read(struct call *call, const struct json_value *from, struct store_rule *out)
{
    const struct json_value *ranges;
    const char *protocol;
    bool ports_fit = true;
    memset(out, 0, sizeof(*out));
    if (from->type != JSON_OBJECT)
        return field_refuse(call, "rules", "objects are needed");
    if (!field_text(call, from, "ip_protocol", 256, &protocol) ||
        !port_read(call, from, "from_port", &out->from_port, &ports_fit) ||
        !port_read(call, from, "to_port", &out->to_port, &ports_fit) ||
        !field_array(call, from, "ip_ranges", &ranges))
        return false;
    if (!ports_fit) { /* a range that is none either */
        out->from_port = 2;
        out->to_port = 1;
    }
    if (protocol && strlen(protocol) >= sizeof(out->ip_protocol))
        return unfit(call, "invalid protocol", "protocol");
    if (protocol)
        memcpy(out->ip_protocol, protocol, strlen(protocol) + 1);
    for (const struct json_value *range = ranges ? ranges->child : NULL; range; range = range->next) {
        if (range->type != JSON_STRING)
            return field_refuse(call, "ip_ranges", "texts are needed");
        if (range->length >= STORE_RANGE_MAX || out->range_count == STORE_RANGES_MAX)
            return unfit(call, "invalid IP range", "ip_range");
        memcpy(out->ranges[out->range_count++], range->text, range->length + 1);
    }
    return true;
}

static bool rules_read(struct call *call, const char *name, struct store_rule *out, unsigned *count,
                       bool *given)
{
    const struct json_value *array;
    *count = 0;
    if (!field_array(call, call->body, name, &array))
        return false;
    *given = array != NULL;
    for (const struct json_value *one = array ? array->child : NULL; one; one = one->next) {
        if (*count == STORE_RULES_MAX)
            return unfit(call, "too many rules", "rule");
        if (!rule_read(call, one, &out[(*count)++]))
            return false;
    }
    return true;
}

/* Reads the body into `place`. */
static bool values_read(struct call *call, unsigned *changes)
{
    bool inbound, outbound;
    const char *description;
    if (!field_text(call, call->body, "description", sizeof(place.description), &description) ||
        !rules_read(call, "inbound_rules", place.inbound, &place.inbound_count, &inbound) ||
        !rules_read(call, "outbound_rules", place.outbound, &place.outbound_count, &outbound))
        return false;
    place.description[0] = '\0';
    if (description)
        memcpy(place.description, description, strlen(description) + 1);
    *changes = (description ? STORE_GROUP_DESCRIPTION : 0u) | (inbound ? STORE_GROUP_INBOUND : 0u) |
               (outbound ? STORE_GROUP_OUTBOUND : 0u);
    return true;
}

void security_groups_create(struct call *call)
{
    struct store_error error = {0};
    struct store_vpc vpc;
    char vpc_id[STORE_ID_MAX];
    unsigned changes;
    if (!field_id(call, call->body, "vpc_id", vpc_id))
        return;
    if (vpc_id[0] == '\0') {
        answer_error(call->request, 400, "field not present", "vpc_id", NULL);
        return;
    }
    if (!access_vpc(call, vpc_id, "vpc", &vpc) || !values_read(call, &changes))
        return;
    memcpy(place.vpc_id, vpc.id, sizeof(place.vpc_id));
    const int err = store_security_group_create(call->api->store, &place, &error);
    if (err) {
        access_answer(call, err, &error, "vpc");
        return;
    }
    hub_changed(call->api->hub);
    group_answer(call, 201, &place);
}

void security_groups_update(struct call *call)
{
    struct store_error error = {0};
    unsigned changes;
    if (!access_security_group(call, call->params.values[0], "security_group", &place) ||
        !values_read(call, &changes))
        return;
    memcpy(place.id, call->params.values[0], sizeof(place.id));
    const int err = store_security_group_update(call->api->store, changes, &place, &error);
    if (err) {
        access_answer(call, err, &error, "security_group");
        return;
    }
    hub_changed(call->api->hub);
    group_answer(call, 200, &place);
}

void security_groups_delete(struct call *call)
{
    struct store_error error = {0};
    if (!access_security_group(call, call->params.values[0], "security_group", &place))
        return;
    const int err = store_security_group_delete(call->api->store, call->params.values[0], &place, &error);
    if (err) {
        access_answer(call, err, &error, "security_group");
        return;
    }
    hub_changed(call->api->hub);
    group_answer(call, 200, &place);
}
