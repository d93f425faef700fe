/* Each shelf is an array ordered by id. Texts are canonical: what means the same is the same text, as all of
 * them come from one writer. */
#include "ctld/nexodus/session/catalog.h"

#include "common/array.h"
#include "common/err.h"
#include "common/log.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t count_max, bytes_max;
} bounds[CATALOG_KINDS] = {
    [CATALOG_DEVICES] = {"devices", CATALOG_DEVICES_MAX, CATALOG_DEVICES_BYTES_MAX},
    [CATALOG_GROUPS] = {"security groups", CATALOG_GROUPS_MAX, CATALOG_GROUPS_BYTES_MAX},
    [CATALOG_RELAYS] = {"relays", CATALOG_RELAYS_MAX, CATALOG_RELAYS_BYTES_MAX},
};

int catalog_init(struct catalog *catalog)
{
    *catalog = (struct catalog){.writer = json_writer_new(CATALOG_TEXT_MAX)};
    return catalog->writer ? NX_OK : NX_ENOMEM;
}

void catalog_destroy(struct catalog *catalog)
{
    for (size_t kind = 0; kind < CATALOG_KINDS; kind++) {
        struct catalog_shelf *shelf = &catalog->shelves[kind];
        for (size_t i = 0; i < shelf->count; i++)
            free(shelf->items[i].text);
        free(shelf->items);
    }
    json_writer_free(catalog->writer);
    *catalog = (struct catalog){0};
}

/* Where the id is, or belongs. */
static size_t place_of(const struct catalog_shelf *shelf, const char *id, bool *found)
{
    size_t low = 0, high = shelf->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(shelf->items[middle].id, id);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static enum catalog_change no_room(struct catalog_shelf *shelf, enum catalog_kind kind, const char *id)
{
    if (!shelf->full)
        log_warn("the network has more %s than there is room for: %s and others are left out",
                 bounds[kind].name, id);
    shelf->full = true;
    return CATALOG_NO_ROOM;
}

static bool insert(struct catalog_shelf *shelf, size_t at, const char *id)
{
    struct catalog_entry *grown =
        array_reserve(shelf->items, &shelf->capacity, shelf->count + 1, sizeof *shelf->items);
    if (!grown)
        return false;
    shelf->items = grown;
    memmove(&grown[at + 1], &grown[at], (shelf->count - at) * sizeof *grown);
    grown[at] = (struct catalog_entry){0};
    memcpy(grown[at].id, id, UUID_TEXT_LENGTH);
    shelf->count++;
    return true;
}

static enum catalog_change put(struct catalog *catalog, enum catalog_kind kind, const char *id,
                               const char *text, size_t length)
{
    struct catalog_shelf *shelf = &catalog->shelves[kind];
    bool found;
    const size_t at = place_of(shelf, id, &found);
    const size_t before = found ? shelf->items[at].length : 0;
    if (found && before == length && memcmp(shelf->items[at].text, text, length) == 0)
        return CATALOG_SAME;
    if ((!found && shelf->count >= bounds[kind].count_max) ||
        shelf->bytes - before + length > bounds[kind].bytes_max)
        return no_room(shelf, kind, id);
    char *const copy = strndup(text, length);
    if (!copy || (!found && !insert(shelf, at, id))) {
        free(copy);
        return no_room(shelf, kind, id);
    }
    free(shelf->items[at].text);
    shelf->items[at].text = copy;
    shelf->items[at].length = length;
    shelf->bytes = shelf->bytes - before + length;
    return CATALOG_CHANGED;
}

/* What the writer has, without the newline at its end. */
static enum catalog_change put_written(struct catalog *catalog, enum catalog_kind kind, const char *id)
{
    const char *text;
    size_t length;
    if (json_writer_end(catalog->writer, &text, &length) != NX_OK)
        return no_room(&catalog->shelves[kind], kind, id);
    return put(catalog, kind, id, text, length - 1);
}

enum catalog_change catalog_put_device(struct catalog *catalog, const struct api_device *device)
{
    struct api_device lasting = *device;
    lasting.revision = 0;
    lasting.online = false;
    json_writer_reset(catalog->writer);
    api_device_write(catalog->writer, NULL, &lasting);
    return put_written(catalog, CATALOG_DEVICES, device->id);
}

enum catalog_change catalog_put_value(struct catalog *catalog, enum catalog_kind kind, const char *id,
                                      const struct json_value *value)
{
    json_writer_reset(catalog->writer);
    json_put_value(catalog->writer, NULL, value);
    return put_written(catalog, kind, id);
}

enum catalog_change catalog_remove(struct catalog *catalog, enum catalog_kind kind, const char *id)
{
    struct catalog_shelf *shelf = &catalog->shelves[kind];
    bool found;
    const size_t at = place_of(shelf, id, &found);
    if (!found)
        return CATALOG_SAME;
    shelf->bytes -= shelf->items[at].length;
    free(shelf->items[at].text);
    shelf->count--;
    memmove(&shelf->items[at], &shelf->items[at + 1], (shelf->count - at) * sizeof *shelf->items);
    return CATALOG_CHANGED;
}

const struct catalog_entry *catalog_find(const struct catalog *catalog, enum catalog_kind kind,
                                         const char *id)
{
    bool found;
    const size_t at = place_of(&catalog->shelves[kind], id, &found);
    return found ? &catalog->shelves[kind].items[at] : NULL;
}

/* -- Reading -- */

static enum relay_type relay_type_of(const struct catalog *catalog, const char *id,
                                     struct json_reader *reader)
{
    const struct catalog_entry *entry = catalog_find(catalog, CATALOG_RELAYS, id);
    const struct json_value *root;
    struct api_device_metadata metadata;
    char error[JSON_ERROR_MAX];
    if (!entry || json_read(reader, entry->text, entry->length, &root, error) != NX_OK ||
        api_device_metadata_decode(root, &metadata, error) != NX_OK)
        return RELAY_WIREGUARD;
    return api_relay_type(&metadata, NULL);
}

static void device_hand_over(const struct catalog *catalog, const struct catalog_entry *entry,
                             struct json_reader *reader, catalog_device_fn fn, void *arg)
{
    const enum relay_type relay = relay_type_of(catalog, entry->id, reader);
    const struct json_value *root;
    struct api_device device;
    struct api_peering_scratch scratch;
    struct peering_device out;
    char error[JSON_ERROR_MAX];
    if (json_read(reader, entry->text, entry->length, &root, error) != NX_OK ||
        api_device_decode(root, API_DEVICE_ANY, &device, error) != NX_OK)
        return;
    api_device_to_peering(&device, &scratch, &out);
    out.relay_type = relay;
    fn(arg, &out);
}

bool catalog_device(const struct catalog *catalog, const char *id, struct json_reader *reader,
                    catalog_device_fn fn, void *arg)
{
    const struct catalog_entry *entry = catalog_find(catalog, CATALOG_DEVICES, id);
    if (entry)
        device_hand_over(catalog, entry, reader, fn, arg);
    return entry != NULL;
}

void catalog_devices(const struct catalog *catalog, struct json_reader *reader, catalog_device_fn fn,
                     void *arg)
{
    const struct catalog_shelf *shelf = &catalog->shelves[CATALOG_DEVICES];
    for (size_t i = 0; i < shelf->count; i++)
        device_hand_over(catalog, &shelf->items[i], reader, fn, arg);
}

void catalog_group_of(const struct catalog *catalog, const char *device_id, struct json_reader *reader,
                      char *out)
{
    const struct catalog_entry *entry = catalog_find(catalog, CATALOG_DEVICES, device_id);
    const struct json_value *root;
    struct api_device device;
    char error[JSON_ERROR_MAX];
    out[0] = '\0';
    if (entry && json_read(reader, entry->text, entry->length, &root, error) == NX_OK &&
        api_device_decode(root, API_DEVICE_ANY, &device, error) == NX_OK &&
        device.security_group_id[0] != '\0')
        memcpy(out, device.security_group_id, UUID_TEXT_LENGTH + 1);
}
