/* Between a device's row and its struct; reading one, and lists. */
#include "apid/store/internal.h"

#include "apid/json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "d.id, d.owner_id, d.vpc_id, v.organization_id, d.security_group_id, d.reg_key_id, d.public_key, "       \
    "d.hostname, d.os,"                                                                                      \
    " d.ipv4, v.ipv4_cidr, d.ipv6, v.ipv6_cidr, d.relay, d.symmetric_nat, d.online, d.online_at_s, "         \
    "d.endpoints,"                                                                                           \
    " d.advertise_cidrs, d.revision, d.deleted_s"
#define TABLES " FROM device d JOIN vpc v ON v.id = d.vpc_id "

static int array_read(const char *text, struct json_document **out)
{
    char error[JSON_ERROR_MAX];
    *out = NULL;
    return text ? json_parse(text, strlen(text), out, error) : NX_OK;
}

static int endpoints_read(const char *text, struct store_device *out)
{
    struct json_document *document;
    int err = array_read(text, &document);
    out->has_endpoints = document != NULL;
    const struct json_value *value = document ? json_root(document)->child : NULL;
    for (; value && out->endpoint_count < STORE_ENDPOINTS_MAX; value = value->next) {
        struct store_endpoint *endpoint = &out->endpoints[out->endpoint_count++];
        const char *source = json_member_text(value, "source"), *address = json_member_text(value, "address");
        snprintf(endpoint->source, sizeof endpoint->source, "%s", source ? source : "");
        snprintf(endpoint->address, sizeof endpoint->address, "%s", address ? address : "");
    }
    if (document)
        json_free(document);
    return err;
}

static int cidrs_read(const char *text, struct store_device *out)
{
    struct json_document *document;
    int err = array_read(text, &document);
    out->has_advertise_cidrs = document != NULL;
    const struct json_value *value = document ? json_root(document)->child : NULL;
    for (; value && out->advertise_cidr_count < STORE_CIDRS_MAX; value = value->next)
        snprintf(out->advertise_cidrs[out->advertise_cidr_count++], STORE_CIDR_MAX, "%s",
                 value->text ? value->text : "");
    if (document)
        json_free(document);
    return err;
}

int device_read(const struct query *query, struct store_device *out)
{
    memset(out, 0, sizeof *out);
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->owner_id, sizeof out->owner_id);
    column_text(query, 2, out->vpc_id, sizeof out->vpc_id);
    column_text(query, 3, out->organization_id, sizeof out->organization_id);
    column_text(query, 4, out->security_group_id, sizeof out->security_group_id);
    column_text(query, 5, out->reg_key_id, sizeof out->reg_key_id);
    column_text(query, 6, out->public_key, sizeof out->public_key);
    column_text(query, 7, out->hostname, sizeof out->hostname);
    column_text(query, 8, out->os, sizeof out->os);
    column_text(query, 9, out->ipv4, sizeof out->ipv4);
    column_text(query, 10, out->ipv4_cidr, sizeof out->ipv4_cidr);
    column_text(query, 11, out->ipv6, sizeof out->ipv6);
    column_text(query, 12, out->ipv6_cidr, sizeof out->ipv6_cidr);
    out->relay = column_int(query, 13) != 0;
    out->symmetric_nat = column_int(query, 14) != 0;
    out->online = column_int(query, 15) != 0;
    out->online_at_s = (uint64_t)column_int(query, 16);
    int err = endpoints_read(column_raw(query, 17), out);
    if (!err)
        err = cidrs_read(column_raw(query, 18), out);
    out->revision = (uint64_t)column_int(query, 19);
    out->deleted = column_raw(query, 20) != NULL;
    return err;
}

static int text_of(struct json_out *out, char **text)
{
    *text = out->failed ? NULL : strndup(out->data, out->length);
    json_out_free(out);
    return *text ? NX_OK : NX_ENOMEM;
}

int endpoints_write(const struct store_device *device, char **text)
{
    struct json_out out = {0};
    *text = NULL;
    if (!device->has_endpoints)
        return NX_OK;
    json_array_begin(&out);
    for (unsigned i = 0; i < device->endpoint_count; i++) {
        json_object_begin(&out);
        json_put_string(&out, "source", device->endpoints[i].source);
        json_put_string(&out, "address", device->endpoints[i].address);
        json_object_end(&out);
    }
    json_array_end(&out);
    return text_of(&out, text);
}

int cidrs_write(const struct store_device *device, char **text)
{
    struct json_out out = {0};
    *text = NULL;
    if (!device->has_advertise_cidrs)
        return NX_OK;
    json_array_begin(&out);
    for (unsigned i = 0; i < device->advertise_cidr_count; i++)
        json_string(&out, device->advertise_cidrs[i]);
    json_array_end(&out);
    return text_of(&out, text);
}

static int device_one(struct query *query, struct store_device *out)
{
    int found = NX_ENOENT;
    if (query_row(query))
        found = device_read(query, out);
    int err = query_end(query);
    return err ? err : found;
}

int store_device_get(struct store *store, const char *id, struct store_device *out)
{
    struct query query;
    query_begin(store, &query, "SELECT " COLUMNS TABLES "WHERE d.id = ? AND d.deleted_s IS NULL", "t", id);
    return device_one(&query, out);
}

int store_device_find_key(struct store *store, const char *public_key, struct store_device *out)
{
    struct query query;
    query_begin(store, &query, "SELECT " COLUMNS TABLES "WHERE d.public_key = ? AND d.deleted_s IS NULL", "t",
                public_key);
    return device_one(&query, out);
}

int store_device_by_token(struct store *store, const char *token, struct store_device *out)
{
    struct query query;
    uint8_t hash[HASH_BYTES];
    token_hash(token, hash);
    query_begin(store, &query, "SELECT " COLUMNS TABLES "WHERE d.token_hash = ? AND d.deleted_s IS NULL", "h",
                hash);
    return device_one(&query, out);
}

int store_device_token(struct store *store, const char *id, char token[STORE_TOKEN_MAX])
{
    struct store_device device;
    int err = store_device_get(store, id, &device);
    if (!err)
        token_make(store, "DT:", id, token);
    return err;
}

static const char list_by_creation[] =
    "SELECT " COLUMNS TABLES "WHERE d.deleted_s IS NULL AND (?1 IS NULL OR d.owner_id = ?1)"
    " AND (?2 IS NULL OR v.organization_id = ?2) AND (?3 IS NULL OR d.vpc_id = ?3) ORDER BY d.rowid LIMIT ?4";
static const char list_by_revision[] =
    "SELECT " COLUMNS TABLES
    "WHERE d.revision > ?5 AND (?6 OR d.deleted_s IS NULL) AND (?1 IS NULL OR d.owner_id = ?1)"
    " AND (?2 IS NULL OR v.organization_id = ?2) AND (?3 IS NULL OR d.vpc_id = ?3) ORDER BY d.revision LIMIT "
    "?4";
/* What event streams ask: served by the index on VPC and revision. */
static const char list_of_vpc[] =
    "SELECT " COLUMNS TABLES "WHERE d.vpc_id = ?3 AND d.revision > ?5 AND (?6 OR d.deleted_s IS NULL)"
    " AND (?1 IS NULL OR d.owner_id = ?1) AND (?2 IS NULL OR v.organization_id = ?2) ORDER BY d.revision "
    "LIMIT ?4";

int store_devices_list(struct store *store, const struct store_filter *filter,
                       int (*each)(void *arg, const struct store_device *device), void *arg)
{
    struct query query;
    struct store_device device;
    int err = NX_OK;
    int64_t limit = filter->limit ? (int64_t)filter->limit : -1;
    if (!filter->after_revision && !filter->with_deleted)
        query_begin(store, &query, list_by_creation, "nnni", filter->owner_id, filter->organization_id,
                    filter->vpc_id, limit);
    else
        query_begin(store, &query, filter->vpc_id[0] ? list_of_vpc : list_by_revision, "nnniii",
                    filter->owner_id, filter->organization_id, filter->vpc_id, limit,
                    (int64_t)filter->after_revision, (int64_t)filter->with_deleted);
    while (!err && query_row(&query)) {
        err = device_read(&query, &device);
        if (!err)
            err = each(arg, &device);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}

int store_devices_count(struct store *store, const struct store_filter *filter, uint64_t *out)
{
    struct query query;
    query_begin(store, &query,
                "SELECT count(*)" TABLES "WHERE d.deleted_s IS NULL AND (?1 IS NULL OR d.owner_id = ?1)"
                " AND (?2 IS NULL OR v.organization_id = ?2) AND (?3 IS NULL OR d.vpc_id = ?3)",
                "nnn", filter->owner_id, filter->organization_id, filter->vpc_id);
    if (query_row(&query))
        *out = (uint64_t)column_int(&query, 0);
    return query_end(&query);
}
