/* Requests for event streams: a list of watches, each of a kind with options. All are checked before the
 * stream begins. */
#include "apid/oidc/form.h"
#include "apid/rest/access.h"
#include "apid/rest/answer.h"
#include "apid/rest/field.h"
#include "apid/rest/handlers.h"
#include "apid/rest/watchers.h"
#include "common/err.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_MAX = 64 };

static bool refuse_field(struct call *call, const char *error, const char *member, unsigned index)
{
    char field[FIELD_MAX];
    snprintf(field, sizeof(field), "request[%u]%s", index, member);
    answer_error(call->request, 400, error, field, NULL);
    return false;
}

/* The VPC of a watch: its option, or that of the path. */
static bool vpc_read(struct call *call, const struct json_value *options, unsigned index,
                     const char *path_vpc, struct feed_query *query)
{
    const struct json_value *const option = json_member(options, "vpc-id");
    char id[STORE_ID_MAX];
    struct store_vpc vpc;
    if (path_vpc) {
        memcpy(id, path_vpc, sizeof(id));
    } else if (option == NULL || option->type == JSON_NULL) {
        return refuse_field(call, "required", ".options.vpc-id", index);
    } else if (option->type != JSON_STRING || !path_uuid(option->text, id)) {
        char error[64];
        if (option->type == JSON_STRING && option->length != 36)
            snprintf(error, sizeof(error), "invalid UUID length: %zu", option->length);
        else
            snprintf(error, sizeof(error), "invalid UUID format");
        return refuse_field(call, error, ".options.vpc-id", index);
    }
    if (!access_vpc(call, id, "vpc", &vpc))
        return false;
    memcpy(query->vpc, vpc.id, sizeof(query->vpc));
    memcpy(query->organization, vpc.organization_id, sizeof(query->organization));
    return true;
}

static bool prefixes_read(struct call *call, const struct json_value *options, unsigned index,
                          struct feed_query *query)
{
    const struct json_value *const option = json_member(options, "prefix");
    size_t count = 0;
    if (option == NULL || option->type == JSON_NULL)
        return true;
    for (const struct json_value *one = option->child; one; one = one->next, count++) {
        if (one->type != JSON_STRING || one->length == 0 || one->length >= FEED_TEXT_MAX ||
            count == FEED_PREFIXES_MAX)
            return refuse_field(call, "invalid data in field", ".options.prefix", index);
        memcpy(query->prefixes[count], one->text, one->length + 1);
    }
    return true;
}

static bool metadata_read(struct call *call, const struct json_value *options, unsigned index,
                          const char *path_vpc, struct feed_query *query)
{
    const char *const key = json_member_text(options, "key"), *const device_id =
                                                                  json_member_text(options, "device-id");
    struct store_device device;
    if (key && strlen(key) >= sizeof(query->key))
        return refuse_field(call, "invalid data in field", ".options.key", index);
    if (key)
        memcpy(query->key, key, strlen(key) + 1);
    if (!prefixes_read(call, options, index, query))
        return false;
    if (device_id && *device_id) {
        char id[STORE_ID_MAX];
        if (!path_uuid(device_id, id))
            return refuse_field(call, "invalid UUID", ".options.device-id", index);
        if (!access_device(call, id, "device", &device))
            return false;
        memcpy(query->device, device.id, sizeof(query->device));
        return true;
    }
    if (path_vpc == NULL && json_member_text(options, "vpc-id") == NULL) {
        answer_error(call->request, 400, "device-id or vpc-id required", NULL, NULL);
        return false;
    }
    return vpc_read(call, options, index, path_vpc, query);
}

static bool kind_read(struct call *call, const struct json_value *watch, unsigned index, const char *path_vpc,
                      struct hub_watch *out)
{
    const struct json_value *const options = json_member(watch, "options");
    const char *const kind = json_member_text(watch, "kind");
    if (kind && (strcmp(kind, "site") == 0 || strcmp(kind, "service-network") == 0)) {
        answer_error(call->request, 405, "operation not allowed", NULL, "sites support is disabled");
        return false;
    }
    if (kind == NULL || !feed_kind_parse(kind, &out->query.kind))
        return refuse_field(call, "invalid data in field", ".kind", index);
    return out->query.kind == FEED_METADATA ? metadata_read(call, options, index, path_vpc, &out->query)
                                            : vpc_read(call, options, index, path_vpc, &out->query);
}

static bool watch_read(struct call *call, const struct json_value *watch, unsigned index,
                       const char *path_vpc, struct hub_watch *out)
{
    const struct json_value *const revision = json_member(watch, "gt_revision");
    const struct json_value *const at_tail = json_member(watch, "at_tail");
    *out = (struct hub_watch){0};
    if (watch->type != JSON_OBJECT)
        return refuse_field(call, "invalid data in field", "", index);
    if (revision && revision->type != JSON_NULL && json_to_u64(revision, UINT64_MAX, &out->after))
        return refuse_field(call, "invalid data in field", ".gt_revision", index);
    if (at_tail && at_tail->type != JSON_NULL && at_tail->type != JSON_BOOL)
        return refuse_field(call, "invalid data in field", ".at_tail", index);
    out->at_tail = at_tail && at_tail->boolean;
    return kind_read(call, watch, index, path_vpc, out);
}

static void watch(struct call *call, const char *path_vpc, const char *device)
{
    static struct hub_watch watches[HUB_WATCHES_MAX];
    unsigned count = 0;
    for (const struct json_value *one = call->body->child; one; one = one->next, count++) {
        if (count == HUB_WATCHES_MAX) {
            answer_error(call->request, 400, "too many watches", NULL, NULL);
            return;
        }
        if (!watch_read(call, one, count, path_vpc, &watches[count]))
            return;
    }
    watchers_open(call->api->watchers, call->request, watches, count, device, call->caller.device);
}

void events_watch(struct call *call)
{
    watch(call, NULL, call->caller.device);
}

/* `public_key=`: a user's stream makes that device online. */
void vpc_events_watch(struct call *call)
{
    struct form query;
    struct store_device device = {0};
    struct store_vpc vpc;
    if (!access_vpc(call, call->params.values[0], "vpc", &vpc))
        return;
    if (form_parse(call->request->query, strlen(call->request->query), &query)) {
        answer_error(call->request, 400, "query parameter invalid", NULL, NULL);
        return;
    }
    const char *const key = form_get(&query, "public_key");
    bool known = true;
    if (key && *key)
        known = store_device_find_key(call->api->store, key, &device) == NX_OK &&
                strcmp(device.owner_id, call->caller.user) == 0;
    form_free(&query);
    if (!known)
        answer_not_found(call->request, "device");
    else
        watch(call, vpc.id, call->caller.device[0] ? call->caller.device : device.id);
}
