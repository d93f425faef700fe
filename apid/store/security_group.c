/* Security groups. A VPC's own has the VPC's id, and stays as long as it does. */
#include "apid/store/internal.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS                                                                                               \
    "SELECT g.id, g.vpc_id, v.organization_id, g.description, g.inbound, g.outbound, g.revision, "           \
    "g.deleted_s "
#define COLUMNS                                                                                              \
    FIELDS "FROM security_group g JOIN vpc v ON v.id = g.vpc_id JOIN organization o ON o.id = "              \
           "v.organization_id "

static int group_read(const struct query *query, struct store_security_group *out)
{
    memset(out, 0, sizeof *out);
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->vpc_id, sizeof out->vpc_id);
    column_text(query, 2, out->organization_id, sizeof out->organization_id);
    column_text(query, 3, out->description, sizeof out->description);
    int err = rules_read(column_raw(query, 4), out->inbound, &out->inbound_count);
    if (!err)
        err = rules_read(column_raw(query, 5), out->outbound, &out->outbound_count);
    out->revision = (uint64_t)column_int(query, 6);
    out->deleted = column_raw(query, 7) != NULL;
    return err;
}

int store_security_group_get(struct store *store, const char *id, struct store_security_group *out)
{
    struct query query;
    int found = NX_ENOENT;
    query_begin(store, &query, COLUMNS "WHERE g.id = ? AND g.deleted_s IS NULL", "t", id);
    if (query_row(&query))
        found = group_read(&query, out);
    int err = query_end(&query);
    return err ? err : found;
}

int security_group_of_vpc(struct store *store, const char *group_id, const char *organization_id,
                          struct store_error *error)
{
    struct query query;
    bool found;
    query_begin(store, &query,
                "SELECT 1 FROM security_group g JOIN vpc v ON v.id = g.vpc_id WHERE g.id = ? AND "
                "v.organization_id = ?"
                " AND g.deleted_s IS NULL",
                "tt", group_id, organization_id);
    found = query_row(&query);
    int err = query_end(&query);
    return err || found ? err : problem_missing(error, "security_group_id");
}

static int group_write(struct store *store, const char *sql, struct store_security_group *group)
{
    char *inbound = rules_write(group->inbound, group->inbound_count);
    char *outbound = rules_write(group->outbound, group->outbound_count);
    int err = inbound && outbound ? NX_OK : NX_ENOMEM;
    group->revision = err ? 0 : revision_next(store);
    if (!err && group->revision == 0)
        err = NX_ESYS;
    if (!err)
        err = query_run(store, sql, "tttitt", group->description, inbound, outbound, (int64_t)group->revision,
                        group->id, group->vpc_id);
    free(inbound);
    free(outbound);
    return err;
}

static int rules_both_check(struct store_error *error, const struct store_security_group *group)
{
    int err = rules_check(error, group->inbound, group->inbound_count);
    if (!err)
        err = rules_check(error, group->outbound, group->outbound_count);
    return err ? err : problem_text(error, "description", group->description, sizeof group->description);
}

int store_security_group_create(struct store *store, struct store_security_group *group,
                                struct store_error *error)
{
    struct store_vpc vpc;
    *error = (struct store_error){0};
    int err = rules_both_check(error, group);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    id_make(group->id);
    group->deleted = false;
    err = store_vpc_get(store, group->vpc_id, &vpc);
    if (err == NX_ENOENT)
        err = problem_missing(error, "vpc");
    memcpy(group->organization_id, err ? "" : vpc.organization_id, err ? 1 : sizeof group->organization_id);
    if (!err)
        err = group_write(store,
                          "INSERT INTO security_group (description, inbound, outbound, revision, id, vpc_id) "
                          "VALUES (?,?,?,?,?,?)",
                          group);
    return problem_finish(error, store_end(store, err));
}

static bool rules_equal(const struct store_rule *a, unsigned a_count, const struct store_rule *b,
                        unsigned b_count)
{
    bool equal = a_count == b_count;
    for (unsigned i = 0; equal && i < a_count; i++) {
        equal = strcmp(a[i].ip_protocol, b[i].ip_protocol) == 0 && a[i].from_port == b[i].from_port &&
                a[i].to_port == b[i].to_port && a[i].range_count == b[i].range_count;
        for (unsigned r = 0; equal && r < a[i].range_count; r++)
            equal = strcmp(a[i].ranges[r], b[i].ranges[r]) == 0;
    }
    return equal;
}

static bool group_differs(unsigned changes, const struct store_security_group *wanted,
                          const struct store_security_group *present)
{
    return (changes & STORE_GROUP_DESCRIPTION && strcmp(wanted->description, present->description) != 0) ||
           (changes & STORE_GROUP_INBOUND &&
            !rules_equal(wanted->inbound, wanted->inbound_count, present->inbound, present->inbound_count)) ||
           (changes & STORE_GROUP_OUTBOUND && !rules_equal(wanted->outbound, wanted->outbound_count,
                                                           present->outbound, present->outbound_count));
}

static int group_change(struct store *store, unsigned changes, const struct store_security_group *wanted,
                        struct store_security_group *group, struct store_error *error)
{
    int err = store_security_group_get(store, wanted->id, group);
    if (err)
        return err == NX_ENOENT ? problem_missing(error, "security_group") : err;
    if (!group_differs(changes, wanted, group))
        return NX_OK;
    if (changes & STORE_GROUP_DESCRIPTION)
        memcpy(group->description, wanted->description, sizeof group->description);
    if (changes & STORE_GROUP_INBOUND) {
        memcpy(group->inbound, wanted->inbound, sizeof group->inbound);
        group->inbound_count = wanted->inbound_count;
    }
    if (changes & STORE_GROUP_OUTBOUND) {
        memcpy(group->outbound, wanted->outbound, sizeof group->outbound);
        group->outbound_count = wanted->outbound_count;
    }
    err = rules_both_check(error, group);
    return err ? err
               : group_write(store,
                             "UPDATE security_group SET description = ?, inbound = ?, outbound = ?, revision "
                             "= ? WHERE id = ?"
                             " AND vpc_id = ?",
                             group);
}

int store_security_group_update(struct store *store, unsigned changes, struct store_security_group *group,
                                struct store_error *error)
{
    *error = (struct store_error){0};
    struct store_security_group *wanted = malloc(sizeof *wanted); /* too large for the stack */
    int err = wanted ? store_begin(store) : NX_ENOMEM;
    if (!err) {
        *wanted = *group;
        err = store_end(store, group_change(store, changes, wanted, group, error));
    }
    free(wanted);
    return problem_finish(error, err);
}

static int group_is_used(struct store *store, const char *id, bool *used)
{
    struct query query;
    query_begin(store, &query,
                "SELECT 1 FROM device WHERE security_group_id = ? AND deleted_s IS NULL LIMIT 1", "t", id);
    *used = query_row(&query);
    return query_end(&query);
}

int store_security_group_delete(struct store *store, const char *id, struct store_security_group *out,
                                struct store_error *error)
{
    bool used = false;
    *error = (struct store_error){0};
    int err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    err = store_security_group_get(store, id, out);
    if (err == NX_ENOENT)
        err = problem_missing(error, "security_group");
    else if (!err && strcmp(out->id, out->vpc_id) == 0)
        err = problem_forbidden(error, "default security group cannot be deleted");
    if (!err)
        err = group_is_used(store, id, &used);
    if (!err && used)
        err = problem_forbidden(error, "security group cannot be deleted while devices are still using it");
    if (!err && (out->revision = revision_next(store)) == 0)
        err = NX_ESYS;
    if (!err)
        err = query_run(store, "UPDATE security_group SET deleted_s = ?, revision = ? WHERE id = ?", "iit",
                        (int64_t)wall_s(), (int64_t)out->revision, id);
    out->deleted = !err;
    return problem_finish(error, store_end(store, err));
}

static const char list_any[] =
    COLUMNS "WHERE (?1 IS NULL OR o.owner_id = ?1) AND (?2 IS NULL OR v.organization_id = ?2)"
            " AND (?3 IS NULL OR g.vpc_id = ?3) AND (?4 OR g.deleted_s IS NULL) AND g.revision > ?5"
            " ORDER BY CASE WHEN ?5 OR ?4 THEN g.revision ELSE g.rowid END LIMIT ?6";
/* What event streams ask: from the organization's VPCs to what is new in each, all by index. */
static const char list_of_organization[] =
    FIELDS "FROM vpc v CROSS JOIN security_group g ON g.vpc_id = v.id JOIN organization o ON o.id = "
           "v.organization_id"
           " WHERE v.organization_id = ?2 AND g.revision > ?5 AND (?1 IS NULL OR o.owner_id = ?1)"
           " AND (?3 IS NULL OR g.vpc_id = ?3) AND (?4 OR g.deleted_s IS NULL) ORDER BY g.revision LIMIT ?6";

int store_security_groups_list(struct store *store, const struct store_filter *filter,
                               int (*each)(void *arg, const struct store_security_group *group), void *arg)
{
    struct query query;
    int err = NX_OK;
    struct store_security_group *group = malloc(sizeof *group);
    if (!group)
        return NX_ENOMEM;
    const bool for_stream = filter->organization_id[0] && (filter->after_revision || filter->with_deleted);
    query_begin(store, &query, for_stream ? list_of_organization : list_any, "nnniii", filter->owner_id,
                filter->organization_id, filter->vpc_id, (int64_t)filter->with_deleted,
                (int64_t)filter->after_revision, filter->limit ? (int64_t)filter->limit : (int64_t)-1);
    while (!err && query_row(&query)) {
        err = group_read(&query, group);
        if (!err)
            err = each(arg, group);
    }
    int failed = query_end(&query);
    free(group);
    return failed ? failed : err;
}
