/* Rows are read with their tombstones, which is also what makes the store list them by revision. */
#include "apid/rest/watch_source.h"

#include "apid/rest/model.h"
#include "apid/store/store.h"
#include "common/err.h"

#include <string.h>

struct reading {
    const struct feed_query *query;
    struct feed_page *page;
};

/* Emits one object's JSON, which is in `value` and freed. */
static int emit(struct reading *reading, uint64_t revision, bool deleted, struct json_out *value)
{
    int err = value->failed ? NX_ENOMEM : NX_OK;
    if (!err)
        err = feed_emit(reading->page, reading->query->kind, revision, deleted, value->data, value->length);
    json_out_free(value);
    reading->page->last = revision;
    return err;
}

static int device_row(void *arg, const struct store_device *device)
{
    struct json_out value = {0};
    model_device(&value, device, NULL);
    return emit(arg, device->revision, device->deleted, &value);
}

static int group_row(void *arg, const struct store_security_group *group)
{
    struct json_out value = {0};
    model_security_group(&value, group);
    return emit(arg, group->revision, group->deleted, &value);
}

static int vpc_row(void *arg, const struct store_vpc *vpc)
{
    struct json_out value = {0};
    model_vpc(&value, vpc);
    return emit(arg, vpc->revision, vpc->deleted, &value);
}

static bool prefix_wanted(const struct feed_query *query, const char *key)
{
    if (query->prefixes[0][0] == '\0')
        return true;
    for (size_t i = 0; i < FEED_PREFIXES_MAX && query->prefixes[i][0]; i++)
        if (strncmp(key, query->prefixes[i], strlen(query->prefixes[i])) == 0)
            return true;
    return false;
}

static int metadata_row(void *arg, const struct store_metadata *metadata)
{
    struct reading *const reading = arg;
    struct json_out value = {0};
    if (!prefix_wanted(reading->query, metadata->key)) {
        reading->page->last = metadata->revision;
        return NX_OK;
    }
    model_metadata(&value, metadata);
    return emit(reading, metadata->revision, metadata->deleted, &value);
}

int watch_source_fetch(void *arg, const struct feed_query *query, uint64_t after, struct feed_page *page)
{
    struct store *const store = arg;
    struct reading reading = {query, page};
    struct store_filter filter = {.with_deleted = true,
                                  .after_revision = after < INT64_MAX ? after : INT64_MAX,
                                  .limit = FEED_PAGE_ROWS};
    switch (query->kind) {
    case FEED_DEVICE:
        memcpy(filter.vpc_id, query->vpc, sizeof(filter.vpc_id));
        return store_devices_list(store, &filter, device_row, &reading);
    case FEED_SECURITY_GROUP:
        memcpy(filter.organization_id, query->organization, sizeof(filter.organization_id));
        return store_security_groups_list(store, &filter, group_row, &reading);
    case FEED_METADATA:
        memcpy(filter.vpc_id, query->vpc, sizeof(filter.vpc_id));
        memcpy(filter.device_id, query->device, sizeof(filter.device_id));
        filter.key = query->key[0] ? query->key : NULL;
        return store_metadata_list(store, &filter, metadata_row, &reading);
    case FEED_VPC:
        memcpy(filter.organization_id, query->organization, sizeof(filter.organization_id));
        return store_vpcs_list(store, &filter, vpc_row, &reading);
    }
    return NX_EINVAL;
}
