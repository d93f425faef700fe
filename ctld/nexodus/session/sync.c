/* Revisions of a kind only rise, as long as the control plane's database lives: one that is lower than what
 * was taken says that the database is an older one, and that changes may be missing for ever. */
#include "ctld/nexodus/session/sync.h"

#include "common/err.h"
#include "common/log.h"

#include <string.h>

int sync_init(struct sync *sync)
{
    *sync = (struct sync){0};
    return catalog_init(&sync->live);
}

void sync_destroy(struct sync *sync)
{
    catalog_destroy(&sync->live);
    catalog_destroy(&sync->staging);
    *sync = (struct sync){0};
}

int sync_set_self(struct sync *sync, const char *device_id, const char *vpc_id)
{
    if (strcmp(sync->device_id, device_id) == 0 && strcmp(sync->vpc_id, vpc_id) == 0)
        return NX_OK;
    const bool first = sync->device_id[0] == '\0';
    memcpy(sync->device_id, device_id, UUID_TEXT_LENGTH + 1);
    memcpy(sync->vpc_id, vpc_id, UUID_TEXT_LENGTH + 1);
    sync->whole = false;
    if (first)
        return NX_OK;
    catalog_destroy(&sync->live);
    catalog_destroy(&sync->staging);
    sync->staged = false;
    return catalog_init(&sync->live);
}

int sync_begin(struct sync *sync, bool full, struct request_events *out)
{
    const struct catalog_shelf *shelves = sync->live.shelves;
    sync_cut(sync);
    *out = (struct request_events){.vpc_id = sync->vpc_id};
    if (!full && sync->whole) {
        out->device = (struct request_watch){true, shelves[CATALOG_DEVICES].revision};
        out->security_group = (struct request_watch){true, shelves[CATALOG_GROUPS].revision};
        out->device_metadata = (struct request_watch){true, shelves[CATALOG_RELAYS].revision};
        return NX_OK;
    }
    memset(sync->tails, 0, sizeof sync->tails);
    sync->staged = true;
    return catalog_init(&sync->staging);
}

void sync_cut(struct sync *sync)
{
    catalog_destroy(&sync->staging);
    sync->staged = false;
}

bool sync_contradicted(const struct sync *sync, uint64_t device_revision)
{
    return sync->whole && device_revision != 0 &&
           device_revision < sync->live.shelves[CATALOG_DEVICES].revision;
}

static struct catalog *target_of(struct sync *sync)
{
    return sync->staged ? &sync->staging : &sync->live;
}

/* What a list that is still incomplete changes is told with the whole of it. */
static enum sync_verdict told(const struct sync *sync, enum catalog_change change, enum sync_verdict verdict)
{
    return sync->staged || change != CATALOG_CHANGED ? SYNC_NOTHING : verdict;
}

static void invalid(const struct event *event, const char *error)
{
    log_warn("the control plane sent a %s that cannot be used, which changes nothing: %s",
             event_kind_name(event->kind), error);
}

/* -- Changes -- */

static enum sync_verdict device_changed(struct sync *sync, const struct event *event, char *id)
{
    struct api_device device;
    char error[JSON_ERROR_MAX];
    if (api_device_decode(event->value, API_DEVICE_ANY, &device, error) != NX_OK) {
        invalid(event, error);
        return SYNC_NOTHING;
    }
    memcpy(id, device.id, UUID_TEXT_LENGTH + 1);
    if (device.vpc_id[0] != '\0' && strcmp(device.vpc_id, sync->vpc_id) != 0)
        return told(sync, catalog_remove(target_of(sync), CATALOG_DEVICES, id), SYNC_REMOVED);
    return told(sync, catalog_put_device(target_of(sync), &device), SYNC_DEVICE);
}

static enum sync_verdict group_changed(struct sync *sync, const struct event *event, char *id)
{
    struct api_security_group group;
    char error[JSON_ERROR_MAX];
    if (api_security_group_decode(event->value, &group, error) != NX_OK) {
        invalid(event, error);
        return SYNC_NOTHING;
    }
    memcpy(id, group.id, UUID_TEXT_LENGTH + 1);
    api_security_group_free(&group);
    return told(sync, catalog_put_value(target_of(sync), CATALOG_GROUPS, id, event->value), SYNC_GROUP);
}

/* It may be a foreign device's, which then nobody looks up. */
static enum sync_verdict relay_changed(struct sync *sync, const struct event *event, char *id)
{
    struct api_device_metadata metadata;
    char error[JSON_ERROR_MAX];
    if (api_device_metadata_decode(event->value, &metadata, error) != NX_OK) {
        invalid(event, error);
        return SYNC_NOTHING;
    }
    memcpy(id, metadata.device_id, UUID_TEXT_LENGTH + 1);
    if (strcmp(metadata.key, "relay") != 0)
        return SYNC_NOTHING;
    if (event->type == EVENT_DELETE)
        return told(sync, catalog_remove(target_of(sync), CATALOG_RELAYS, id), SYNC_DEVICE);
    return told(sync, catalog_put_value(target_of(sync), CATALOG_RELAYS, id, event->value), SYNC_DEVICE);
}

static enum sync_verdict removed(struct sync *sync, const struct event *event, enum catalog_kind kind,
                                 char *id)
{
    char error[JSON_ERROR_MAX];
    const char *text;
    if (json_get_string(event->value, "id", UUID_TEXT_LENGTH, &text, error) != NX_OK || !uuid_valid(text)) {
        invalid(event, "no id");
        return SYNC_NOTHING;
    }
    memcpy(id, text, UUID_TEXT_LENGTH + 1);
    if (kind == CATALOG_DEVICES && strcmp(id, sync->device_id) == 0)
        return SYNC_OWN_GONE;
    return told(sync, catalog_remove(target_of(sync), kind, id),
                kind == CATALOG_DEVICES ? SYNC_REMOVED : SYNC_GROUP);
}

/* -- The list -- */

static enum sync_verdict tail(struct sync *sync, enum catalog_kind kind)
{
    if (!sync->staged)
        return SYNC_NOTHING;
    sync->tails[kind] = true;
    for (size_t i = 0; i < CATALOG_KINDS; i++)
        if (!sync->tails[i])
            return SYNC_NOTHING;
    if (!catalog_find(&sync->staging, CATALOG_DEVICES, sync->device_id)) {
        sync_cut(sync);
        return SYNC_REFUSED;
    }
    catalog_destroy(&sync->live);
    sync->live = sync->staging;
    sync->staging = (struct catalog){0};
    sync->staged = false;
    sync->whole = true;
    return SYNC_LIST;
}

static bool kind_of(const struct event *event, enum catalog_kind *out)
{
    switch (event->kind) {
    case EVENT_DEVICE:
        *out = CATALOG_DEVICES;
        return true;
    case EVENT_SECURITY_GROUP:
        *out = CATALOG_GROUPS;
        return true;
    case EVENT_DEVICE_METADATA:
        *out = CATALOG_RELAYS;
        return true;
    case EVENT_VPC:
    case EVENT_KIND_OTHER:
        break;
    }
    return false;
}

enum sync_verdict sync_event(struct sync *sync, const struct event *event, char *id)
{
    enum catalog_kind kind;
    id[0] = '\0';
    if (!kind_of(event, &kind))
        return SYNC_NOTHING;
    if (event->type == EVENT_TAIL)
        return tail(sync, kind);
    if (event->type != EVENT_CHANGE && event->type != EVENT_DELETE && event->type != EVENT_BOOKMARK)
        return SYNC_NOTHING;
    struct catalog_shelf *shelf = &target_of(sync)->shelves[kind];
    if (!sync->staged && event->revision != 0 && event->revision < shelf->revision)
        return SYNC_BACK;
    if (event->revision > shelf->revision)
        shelf->revision = event->revision;
    if (event->type == EVENT_BOOKMARK)
        return SYNC_NOTHING;
    if (kind == CATALOG_RELAYS)
        return relay_changed(sync, event, id);
    if (event->type == EVENT_DELETE)
        return removed(sync, event, kind, id);
    return kind == CATALOG_DEVICES ? device_changed(sync, event, id) : group_changed(sync, event, id);
}
