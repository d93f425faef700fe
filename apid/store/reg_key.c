/* Registration keys. A single-use key has the id of its one device from the beginning. */
#include "apid/store/internal.h"

#include "apid/json/json.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                              \
    "SELECT id, owner_id, vpc_id, security_group_id, device_id, description, settings, expires_s FROM "      \
    "reg_key "

static void reg_key_read(struct store *store, const struct query *query, struct store_reg_key *out)
{
    *out = (struct store_reg_key){0};
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->owner_id, sizeof out->owner_id);
    column_text(query, 2, out->vpc_id, sizeof out->vpc_id);
    column_text(query, 3, out->security_group_id, sizeof out->security_group_id);
    column_text(query, 4, out->device_id, sizeof out->device_id);
    column_text(query, 5, out->description, sizeof out->description);
    column_text(query, 6, out->settings, sizeof out->settings);
    out->expires_s = (uint64_t)column_int(query, 7);
    token_make(store, "RK:", out->id, out->token);
}

static int reg_key_one(struct store *store, struct query *query, struct store_reg_key *out)
{
    int found = NX_ENOENT;
    if (query_row(query)) {
        reg_key_read(store, query, out);
        found = NX_OK;
    }
    int err = query_end(query);
    return err ? err : found;
}

int store_reg_key_get(struct store *store, const char *id, struct store_reg_key *out)
{
    struct query query;
    query_begin(store, &query, COLUMNS "WHERE id = ?", "t", id);
    return reg_key_one(store, &query, out);
}

int store_reg_key_by_token(struct store *store, const char *token, uint64_t now_s, struct store_reg_key *out)
{
    struct query query;
    uint8_t hash[HASH_BYTES];
    token_hash(token, hash);
    query_begin(store, &query, COLUMNS "WHERE token_hash = ?", "h", hash);
    int err = reg_key_one(store, &query, out);
    return !err && out->expires_s && out->expires_s <= now_s ? NX_ETIMEDOUT : err;
}

static int fields_check(struct store_error *error, const struct store_reg_key *key)
{
    struct json_document *settings = NULL;
    char why[JSON_ERROR_MAX];
    int err = problem_text(error, "description", key->description, sizeof key->description);
    if (err || !key->settings[0])
        return err;
    bool is_object = json_parse(key->settings, strlen(key->settings), &settings, why) == NX_OK &&
                     json_root(settings)->type == JSON_OBJECT;
    if (settings)
        json_free(settings);
    return is_object ? NX_OK : problem_field(error, "invalid data in field", "settings", "not a JSON object");
}

static int places_check(struct store *store, struct store_reg_key *key, struct store_error *error)
{
    struct store_vpc vpc;
    if (!key->vpc_id[0])
        memcpy(key->vpc_id, key->owner_id, sizeof key->vpc_id);
    int err = store_vpc_get(store, key->vpc_id, &vpc);
    if (err)
        return err == NX_ENOENT ? problem_missing(error, "vpc_id") : err;
    return key->security_group_id[0]
               ? security_group_of_vpc(store, key->security_group_id, vpc.organization_id, error)
               : NX_OK;
}

int store_reg_key_create(struct store *store, bool single_use, struct store_reg_key *key,
                         struct store_error *error)
{
    uint8_t hash[HASH_BYTES];
    *error = (struct store_error){0};
    int err = fields_check(error, key);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    id_make(key->id);
    key->device_id[0] = '\0';
    if (single_use)
        id_make(key->device_id);
    token_make(store, "RK:", key->id, key->token);
    token_hash(key->token, hash);
    err = places_check(store, key, error);
    if (!err)
        err = query_run(store, "INSERT INTO reg_key VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "tttnntnih", key->id,
                        key->owner_id, key->vpc_id, key->security_group_id, key->device_id, key->description,
                        key->settings, (int64_t)key->expires_s, hash);
    return problem_finish(error, store_end(store, err));
}

int store_reg_key_update(struct store *store, struct store_reg_key *key, struct store_error *error)
{
    struct store_reg_key present;
    *error = (struct store_error){0};
    int err = fields_check(error, key);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    err = store_reg_key_get(store, key->id, &present);
    if (err == NX_ENOENT)
        err = problem_missing(error, "reg_key");
    if (!err) {
        memcpy(present.security_group_id, key->security_group_id, sizeof present.security_group_id);
        memcpy(present.description, key->description, sizeof present.description);
        memcpy(present.settings, key->settings, sizeof present.settings);
        present.expires_s = key->expires_s;
        *key = present;
        err = places_check(store, key, error);
    }
    if (!err)
        err = query_run(store,
                        "UPDATE reg_key SET security_group_id = ?, description = ?, settings = ?, expires_s "
                        "= ? WHERE id = ?",
                        "ntnit", key->security_group_id, key->description, key->settings,
                        (int64_t)key->expires_s, key->id);
    return problem_finish(error, store_end(store, err));
}

int store_reg_key_delete(struct store *store, const char *id)
{
    int err = query_run(store, "DELETE FROM reg_key WHERE id = ?", "t", id);
    return err ? err : query_changes(store) == 0 ? NX_ENOENT : NX_OK;
}

int store_reg_keys_list(struct store *store, const char *owner_id,
                        int (*each)(void *arg, const struct store_reg_key *key), void *arg)
{
    struct query query;
    struct store_reg_key key;
    int err = NX_OK;
    query_begin(store, &query, COLUMNS "WHERE ?1 IS NULL OR owner_id = ?1 ORDER BY rowid", "n", owner_id);
    while (!err && query_row(&query)) {
        reg_key_read(store, &query, &key);
        err = each(arg, &key);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}
