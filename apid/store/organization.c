/* Organizations: whose VPCs are whose. One comes with each user, under his id. */
#include "apid/store/internal.h"

#include <string.h>

static void organization_read(const struct query *query, struct store_organization *out)
{
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->owner_id, sizeof out->owner_id);
    column_text(query, 2, out->name, sizeof out->name);
    column_text(query, 3, out->description, sizeof out->description);
}

int store_organization_get(struct store *store, const char *id, struct store_organization *out)
{
    struct query query;
    int found = NX_ENOENT;
    query_begin(store, &query, "SELECT id, owner_id, name, description FROM organization WHERE id = ?", "t",
                id);
    if (query_row(&query)) {
        organization_read(&query, out);
        found = NX_OK;
    }
    int err = query_end(&query);
    return err ? err : found;
}

int organization_find(struct store *store, const char *name, char id[STORE_ID_MAX])
{
    struct query query;
    id[0] = '\0';
    query_begin(store, &query, "SELECT id FROM organization WHERE name = ?", "t", name);
    if (query_row(&query))
        column_text(&query, 0, id, STORE_ID_MAX);
    return query_end(&query);
}

int store_organization_create(struct store *store, const char *owner_id, const char *name,
                              const char *description, struct store_organization *out,
                              struct store_error *error)
{
    char present[STORE_ID_MAX];
    *error = (struct store_error){0};
    int err = *name ? problem_text(error, "name", name, sizeof out->name)
                    : problem_field(error, "required", "name", "");
    if (!err)
        err = problem_text(error, "description", description, sizeof out->description);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    *out = (struct store_organization){0};
    id_make(out->id);
    memcpy(out->name, name, strlen(name) + 1);
    memcpy(out->description, description, strlen(description) + 1);
    strncpy(out->owner_id, owner_id, sizeof out->owner_id - 1);
    err = organization_find(store, name, present);
    if (!err && present[0])
        err = problem_exists(error, present);
    if (!err)
        err = query_run(store, "INSERT INTO organization VALUES (?, ?, ?, ?)", "tttt", out->id, owner_id,
                        name, description);
    return problem_finish(error, store_end(store, err));
}

int store_organization_delete(struct store *store, const char *id, struct store_error *error)
{
    struct store_organization present;
    struct store_filter devices = {0};
    uint64_t count = 0;
    *error = (struct store_error){0};
    int err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    strncpy(devices.organization_id, id, sizeof devices.organization_id - 1);
    err = store_organization_get(store, id, &present);
    if (err == NX_ENOENT)
        err = problem_missing(error, "organization");
    else if (!err && strcmp(present.id, present.owner_id) == 0)
        err = problem_forbidden(error, "a user's own organization cannot be deleted");
    if (!err)
        err = store_devices_count(store, &devices, &count);
    if (!err && count)
        err = problem_forbidden(error,
                                "the organization cannot be deleted while devices are still using its VPCs");
    if (!err)
        err = query_run(store, "DELETE FROM organization WHERE id = ?", "t", id);
    if (!err && revision_next(store) == 0)
        err = NX_ESYS;
    return problem_finish(error, store_end(store, err));
}

int store_organizations_list(struct store *store, const char *owner_id,
                             int (*each)(void *arg, const struct store_organization *organization), void *arg)
{
    struct query query;
    struct store_organization organization;
    int err = NX_OK;
    query_begin(store, &query,
                "SELECT id, owner_id, name, description FROM organization WHERE ?1 IS NULL OR owner_id = ?1 "
                "ORDER BY name",
                "n", owner_id);
    while (!err && query_row(&query)) {
        organization_read(&query, &organization);
        err = each(arg, &organization);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}
