/* VPCs, each with its default security group, which has its id. */
#include "apid/store/internal.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "v.id, v.organization_id, o.owner_id, v.description, v.private_cidr, v.ipv4_cidr, v.ipv6_cidr, "         \
    "v.revision, v.deleted_s"
#define TABLES " FROM vpc v JOIN organization o ON o.id = v.organization_id "

static void vpc_read(const struct query *query, struct store_vpc *out)
{
    *out = (struct store_vpc){0};
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->organization_id, sizeof out->organization_id);
    column_text(query, 2, out->owner_id, sizeof out->owner_id);
    column_text(query, 3, out->description, sizeof out->description);
    out->private_cidr = column_int(query, 4) != 0;
    column_text(query, 5, out->ipv4_cidr, sizeof out->ipv4_cidr);
    column_text(query, 6, out->ipv6_cidr, sizeof out->ipv6_cidr);
    out->revision = (uint64_t)column_int(query, 7);
    out->deleted = column_raw(query, 8) != NULL;
}

int store_vpc_get(struct store *store, const char *id, struct store_vpc *out)
{
    struct query query;
    int found = NX_ENOENT;
    query_begin(store, &query, "SELECT " COLUMNS TABLES "WHERE v.id = ? AND v.deleted_s IS NULL", "t", id);
    if (query_row(&query)) {
        vpc_read(&query, out);
        found = NX_OK;
    }
    int err = query_end(&query);
    return err ? err : found;
}

/* Both, in a transaction. */
int vpc_insert(struct store *store, struct store_vpc *vpc)
{
    vpc->revision = revision_next(store);
    if (vpc->revision == 0)
        return NX_ESYS;
    int err = query_run(store, "INSERT INTO vpc VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", "tttitti", vpc->id,
                        vpc->organization_id, vpc->description, (int64_t)vpc->private_cidr, vpc->ipv4_cidr,
                        vpc->ipv6_cidr, (int64_t)vpc->revision);
    if (err)
        return err;
    uint64_t revision = revision_next(store);
    return revision == 0
               ? NX_ESYS
               : query_run(store, "INSERT INTO security_group VALUES (?1, ?1, ?2, '[]', '[]', ?3, NULL)",
                           "tti", vpc->id, "default vpc security group", (int64_t)revision);
}

static int ranges_check(struct store_vpc *vpc, struct store_error *error)
{
    char v4[STORE_CIDR_MAX], v6[STORE_CIDR_MAX];
    memcpy(v4, vpc->ipv4_cidr, sizeof v4);
    memcpy(v6, vpc->ipv6_cidr, sizeof v6);
    if (!vpc->private_cidr) {
        if ((v4[0] && strcmp(v4, DEFAULT_IPV4_CIDR) != 0) || (v6[0] && strcmp(v6, DEFAULT_IPV6_CIDR) != 0))
            return problem_field(error, "invalid data in field", v4[0] ? "ipv4_cidr" : "ipv6_cidr",
                                 "a range of its own needs private_cidr");
        v4[0] = v6[0] = '\0';
    }
    int err = cidr_check(error, "ipv4_cidr", NETADDR_V4, v4[0] ? v4 : DEFAULT_IPV4_CIDR, vpc->ipv4_cidr);
    return err ? err
               : cidr_check(error, "ipv6_cidr", NETADDR_V6, v6[0] ? v6 : DEFAULT_IPV6_CIDR, vpc->ipv6_cidr);
}

int store_vpc_create(struct store *store, struct store_vpc *vpc, struct store_error *error)
{
    struct store_organization organization;
    *error = (struct store_error){0};
    int err = problem_text(error, "description", vpc->description, sizeof vpc->description);
    if (!err)
        err = ranges_check(vpc, error);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    id_make(vpc->id);
    vpc->deleted = false;
    err = store_organization_get(store, vpc->organization_id, &organization);
    if (err == NX_ENOENT)
        err = problem_missing(error, "organization");
    if (!err) {
        memcpy(vpc->owner_id, organization.owner_id, sizeof vpc->owner_id);
        err = vpc_insert(store, vpc);
    }
    return problem_finish(error, store_end(store, err));
}

int store_vpc_set_description(struct store *store, const char *id, const char *description,
                              struct store_vpc *out)
{
    struct store_error error;
    int err = problem_text(&error, "description", description, sizeof out->description);
    if (!err)
        err = store_begin(store);
    if (err)
        return err;
    err = store_vpc_get(store, id, out);
    if (!err && strcmp(out->description, description) != 0) {
        out->revision = revision_next(store);
        memcpy(out->description, description, strlen(description) + 1);
        err = out->revision == 0
                  ? NX_ESYS
                  : query_run(store, "UPDATE vpc SET description = ?, revision = ? WHERE id = ?", "tit",
                              description, (int64_t)out->revision, id);
    }
    return store_end(store, err);
}

/* One after the other, since no two may have one revision: a feed goes on after the last that it has read. */
static int groups_bury(struct store *store, const struct store_vpc *vpc)
{
    int err = NX_OK, more = 1;
    while (!err && more) {
        const uint64_t revision = revision_next(store);
        err = revision == 0
                  ? NX_ESYS
                  : query_run(store,
                              "UPDATE security_group SET deleted_s = ?, revision = ? WHERE id = (SELECT id "
                              "FROM security_group WHERE vpc_id = ? AND deleted_s IS NULL LIMIT 1)",
                              "iit", (int64_t)wall_s(), (int64_t)revision, vpc->id);
        more = err ? 0 : query_changes(store);
    }
    return err;
}

/* Its groups become tombstones with it. */
static int vpc_bury(struct store *store, struct store_vpc *vpc)
{
    int err = groups_bury(store, vpc);
    if (!err)
        err = query_run(store, "DELETE FROM reg_key WHERE vpc_id = ?", "t", vpc->id);
    vpc->revision = err ? 0 : revision_next(store);
    if (!err && vpc->revision == 0)
        err = NX_ESYS;
    vpc->deleted = true;
    return err ? err
               : query_run(store, "UPDATE vpc SET deleted_s = ?, revision = ? WHERE id = ?", "iit",
                           (int64_t)wall_s(), (int64_t)vpc->revision, vpc->id);
}

int store_vpc_delete(struct store *store, const char *id, struct store_vpc *out, struct store_error *error)
{
    struct store_filter devices = {0};
    uint64_t count = 0;
    *error = (struct store_error){0};
    int err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    strncpy(devices.vpc_id, id, sizeof devices.vpc_id - 1);
    err = store_vpc_get(store, id, out);
    if (err == NX_ENOENT)
        err = problem_missing(error, "vpc");
    else if (!err && strcmp(out->id, out->organization_id) == 0)
        err = problem_forbidden(error, "default vpc cannot be deleted");
    if (!err)
        err = store_devices_count(store, &devices, &count);
    if (!err && count)
        err = problem_forbidden(error, "vpc cannot be deleted while devices are still attached");
    if (!err)
        err = vpc_bury(store, out);
    return problem_finish(error, store_end(store, err));
}

static const char list_any[] =
    "SELECT " COLUMNS TABLES
    "WHERE (?1 IS NULL OR o.owner_id = ?1) AND (?2 IS NULL OR v.organization_id = ?2)"
    " AND (?3 IS NULL OR v.id = ?3) AND (?4 OR v.deleted_s IS NULL) AND v.revision > ?5"
    " ORDER BY CASE WHEN ?5 OR ?4 THEN v.revision ELSE v.rowid END LIMIT ?6";
/* What event streams ask: served by the index on organization and revision. */
static const char list_of_organization[] =
    "SELECT " COLUMNS TABLES
    "WHERE v.organization_id = ?2 AND v.revision > ?5 AND (?1 IS NULL OR o.owner_id = ?1)"
    " AND (?3 IS NULL OR v.id = ?3) AND (?4 OR v.deleted_s IS NULL) ORDER BY v.revision LIMIT ?6";

int store_vpcs_list(struct store *store, const struct store_filter *filter,
                    int (*each)(void *arg, const struct store_vpc *vpc), void *arg)
{
    struct query query;
    struct store_vpc vpc;
    int err = NX_OK;
    const bool for_stream = filter->organization_id[0] && (filter->after_revision || filter->with_deleted);
    query_begin(store, &query, for_stream ? list_of_organization : list_any, "nnniii", filter->owner_id,
                filter->organization_id, filter->vpc_id, (int64_t)filter->with_deleted,
                (int64_t)filter->after_revision, filter->limit ? (int64_t)filter->limit : (int64_t)-1);
    while (!err && query_row(&query)) {
        vpc_read(&query, &vpc);
        err = each(arg, &vpc);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}
