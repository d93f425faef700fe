/* Metadata of devices: JSON values by key. */
#include "apid/store/internal.h"

#include "apid/json/json.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "SELECT m.device_id, d.vpc_id, m.key, m.value, m.revision, m.deleted_s FROM metadata m JOIN device d "   \
    "ON d.id = m.device_id "

static void metadata_read(const struct query *query, struct store_metadata *out)
{
    *out = (struct store_metadata){0};
    column_text(query, 0, out->device_id, sizeof out->device_id);
    column_text(query, 1, out->vpc_id, sizeof out->vpc_id);
    column_text(query, 2, out->key, sizeof out->key);
    out->value = column_raw(query, 3);
    out->revision = (uint64_t)column_int(query, 4);
    out->deleted = column_raw(query, 5) != NULL;
}

int store_metadata_get(struct store *store, const char *device_id, const char *key,
                       struct store_metadata *out)
{
    struct query query;
    int found = NX_ENOENT;
    query_begin(store, &query, COLUMNS "WHERE m.device_id = ? AND m.key = ? AND m.deleted_s IS NULL", "tt",
                device_id, key);
    if (query_row(&query)) {
        metadata_read(&query, out);
        free(store->metadata_value);
        store->metadata_value = strdup(out->value);
        out->value = store->metadata_value;
        found = out->value ? NX_OK : NX_ENOMEM;
    }
    int err = query_end(&query);
    return err ? err : found;
}

static int fields_check(struct store_error *error, const struct store_metadata *metadata)
{
    struct json_document *document = NULL;
    char why[JSON_ERROR_MAX];
    if (!metadata->key[0])
        return problem_field(error, "required", "key", "");
    int err = problem_text(error, "key", metadata->key, sizeof metadata->key);
    if (!err && strlen(metadata->value) > STORE_JSON_MAX)
        err = problem_field(error, "invalid data in field", "value", "too long");
    if (!err && json_parse(metadata->value, strlen(metadata->value), &document, why))
        err = problem_field(error, "invalid data in field", "value", why);
    if (document)
        json_free(document);
    return err;
}

/* Whoever may write may not fill the disk. */
static int room_check(struct store *store, const struct store_metadata *metadata, struct store_error *error)
{
    struct query query;
    int64_t others = 0;
    query_begin(store, &query, "SELECT count(*) FROM metadata WHERE device_id = ? AND key <> ?", "tt",
                metadata->device_id, metadata->key);
    if (query_row(&query))
        others = column_int(&query, 0);
    int err = query_end(&query);
    return err || others < STORE_METADATA_MAX
               ? err
               : problem_forbidden(error, "the device has too many metadata keys");
}

int store_metadata_put(struct store *store, struct store_metadata *metadata, struct store_error *error)
{
    struct store_device device;
    *error = (struct store_error){0};
    int err = fields_check(error, metadata);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    err = store_device_get(store, metadata->device_id, &device);
    if (err == NX_ENOENT)
        err = problem_missing(error, "device");
    if (!err)
        err = room_check(store, metadata, error);
    if (!err && (metadata->revision = revision_next(store)) == 0)
        err = NX_ESYS;
    if (!err)
        err = query_run(
            store,
            "INSERT INTO metadata VALUES (?, ?, ?, ?, NULL) ON CONFLICT (device_id, key) DO UPDATE"
            " SET value = excluded.value, revision = excluded.revision, deleted_s = NULL",
            "ttti", metadata->device_id, metadata->key, metadata->value, (int64_t)metadata->revision);
    if (!err)
        memcpy(metadata->vpc_id, device.vpc_id, sizeof metadata->vpc_id);
    metadata->deleted = false;
    return problem_finish(error, store_end(store, err));
}

/* One after the other, since no two may have one revision: a feed goes on after the last that it has read. */
static int drop(struct store *store, const char *device_id, const char *key, uint64_t now_s, int *dropped)
{
    int err = NX_OK, more = 1;
    for (*dropped = 0; !err && more; *dropped += more) {
        const uint64_t revision = revision_next(store);
        err = revision == 0
                  ? NX_ESYS
                  : query_run(store,
                              "UPDATE metadata SET deleted_s = ?1, revision = ?2 WHERE device_id = ?3"
                              " AND key = (SELECT key FROM metadata WHERE device_id = ?3 AND (?4 IS NULL"
                              " OR key = ?4) AND deleted_s IS NULL ORDER BY key LIMIT 1)",
                              "iitt", (int64_t)now_s, (int64_t)revision, device_id, key);
        more = err ? 0 : query_changes(store);
    }
    return err;
}

int metadata_drop(struct store *store, const char *device_id, uint64_t now_s)
{
    int dropped;
    return drop(store, device_id, NULL, now_s, &dropped);
}

int store_metadata_delete(struct store *store, const char *device_id, const char *key)
{
    int dropped = 0;
    int err = store_begin(store);
    if (err)
        return err;
    err = drop(store, device_id, key, wall_s(), &dropped);
    if (!err && key && dropped == 0)
        err = NX_ENOENT;
    return store_end(store, err);
}

int store_metadata_list(struct store *store, const struct store_filter *filter,
                        int (*each)(void *arg, const struct store_metadata *metadata), void *arg)
{
    struct query query;
    struct store_metadata metadata;
    int err = NX_OK;
    query_begin(store, &query,
                COLUMNS
                "WHERE (?1 IS NULL OR d.vpc_id = ?1) AND (?2 IS NULL OR m.device_id = ?2) AND (?3 IS NULL OR "
                "m.key = ?3)"
                " AND (?4 OR m.deleted_s IS NULL) AND m.revision > ?5 AND (?7 IS NULL OR d.owner_id = ?7)"
                " ORDER BY m.revision LIMIT ?6",
                "nntiiin", filter->vpc_id, filter->device_id, filter->key, (int64_t)filter->with_deleted,
                (int64_t)filter->after_revision, filter->limit ? (int64_t)filter->limit : (int64_t)-1,
                filter->owner_id);
    while (!err && query_row(&query)) {
        metadata_read(&query, &metadata);
        err = each(arg, &metadata);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}
