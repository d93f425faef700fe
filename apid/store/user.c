/* Users. Passwords are kept as Argon2id with the parameters that OWASP names as its first choice for servers
 * (19 MiB, 2 passes): a check takes some 20 ms and that much memory, once at a time. */
#include "apid/store/internal.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSWORD_OPS = 2, PASSWORD_MEMORY_BYTES = 19 << 20, PASSWORD_MIN = 8, PASSWORD_MAX = 1024 };

static int password_hash(struct store_error *error, const char *password, char out[crypto_pwhash_STRBYTES])
{
    size_t length = strlen(password);
    if (length < PASSWORD_MIN || length > PASSWORD_MAX)
        return problem_field(error, "invalid data in field", "password", "8 to 1024 bytes are needed");
    if (crypto_pwhash_str_alg(out, password, length, PASSWORD_OPS, PASSWORD_MEMORY_BYTES,
                              crypto_pwhash_ALG_ARGON2ID13))
        return problem_finish(error, NX_ENOMEM);
    return NX_OK;
}

static int name_check(struct store_error *error, const char *name)
{
    if (!*name)
        return problem_field(error, "required", "username", "");
    if (id_valid(name)) /* a name and an id can stand in the same places */
        return problem_field(error, "invalid data in field", "username", "it looks like an id");
    return problem_text(error, "username", name, STORE_NAME_MAX);
}

/* Organizations' names are unique, and anybody may make one. */
static int organization_check(struct store *store, struct store_error *error, const char *name)
{
    char present[STORE_ID_MAX];
    int err = organization_find(store, name, present);
    if (err || !present[0])
        return err;
    problem_exists(error, present);
    snprintf(error->reason, sizeof error->reason, "an organization has that name");
    return NX_EEXIST;
}

static void user_read(const struct query *query, struct store_user *out)
{
    column_text(query, 0, out->id, sizeof out->id);
    column_text(query, 1, out->username, sizeof out->username);
    column_text(query, 2, out->full_name, sizeof out->full_name);
}

static int user_one(struct query *query, struct store_user *out)
{
    int found = NX_ENOENT;
    if (query_row(query)) {
        user_read(query, out);
        found = NX_OK;
    }
    int err = query_end(query);
    return err ? err : found;
}

int store_user_get(struct store *store, const char *id, struct store_user *out)
{
    struct query query;
    query_begin(store, &query, "SELECT id, username, full_name FROM user WHERE id = ?", "t", id);
    return user_one(&query, out);
}

int store_user_find(struct store *store, const char *name, struct store_user *out)
{
    struct query query;
    query_begin(store, &query, "SELECT id, username, full_name FROM user WHERE username = ?", "t", name);
    return user_one(&query, out);
}

/* What a user has from the first moment on, all under his id. */
static int first_network(struct store *store, const struct store_user *user)
{
    struct store_vpc vpc = {.description = "default vpc"};
    memcpy(vpc.id, user->id, sizeof vpc.id);
    memcpy(vpc.organization_id, user->id, sizeof vpc.organization_id);
    memcpy(vpc.ipv4_cidr, DEFAULT_IPV4_CIDR, sizeof DEFAULT_IPV4_CIDR);
    memcpy(vpc.ipv6_cidr, DEFAULT_IPV6_CIDR, sizeof DEFAULT_IPV6_CIDR);
    int err = query_run(store, "INSERT INTO organization VALUES (?1, ?1, ?2, ?3)", "ttt", user->id,
                        user->username, "default organization");
    return err ? err : vpc_insert(store, &vpc);
}

int store_user_create(struct store *store, const char *name, const char *password, struct store_user *out,
                      struct store_error *error)
{
    char hash[crypto_pwhash_STRBYTES];
    *error = (struct store_error){0};
    int err = name_check(error, name);
    if (!err)
        err = password_hash(error, password, hash);
    if (err)
        return err;
    *out = (struct store_user){0};
    id_make(out->id);
    memcpy(out->username, name, strlen(name) + 1);
    memcpy(out->full_name, name, strlen(name) + 1);
    err = store_begin(store);
    if (!err) {
        struct store_user present;
        err = store_user_find(store, name, &present);
        if (err == NX_OK)
            err = problem_exists(error, present.id);
        else if (err == NX_ENOENT)
            err = organization_check(store, error, name);
        if (!err)
            err = query_run(store, "INSERT INTO user VALUES (?, ?, ?, ?)", "tttt", out->id, name, name, hash);
        if (!err)
            err = first_network(store, out);
        err = store_end(store, err);
    }
    sodium_memzero(hash, sizeof hash);
    return problem_finish(error, err);
}

int store_user_set_password(struct store *store, const char *name, const char *password,
                            struct store_error *error)
{
    char hash[crypto_pwhash_STRBYTES];
    *error = (struct store_error){0};
    int err = password_hash(error, password, hash);
    if (!err)
        err = store_begin(store);
    if (err)
        return problem_finish(error, err);
    err = query_run(store, "UPDATE user SET password = ?1 WHERE username = ?2 OR id = ?2", "tt", hash, name);
    if (!err && query_changes(store) == 0)
        err = problem_missing(error, "user");
    /* Whoever knew the old one is out. */
    if (!err)
        err = query_run(
            store,
            "DELETE FROM session WHERE user_id IN (SELECT id FROM user WHERE username = ?1 OR id = ?1)", "t",
            name);
    err = store_end(store, err);
    sodium_memzero(hash, sizeof hash);
    return problem_finish(error, err);
}

int store_user_verify(struct store *store, const char *name, const char *password, char id[STORE_ID_MAX])
{
    /* Of a password that nobody has: an unknown name takes as long as a wrong password. */
    static char nobody[crypto_pwhash_STRBYTES];
    char hash[crypto_pwhash_STRBYTES];
    struct query query;
    bool known = false;
    if (!nobody[0]) {
        char unknown[STORE_TOKEN_MAX];
        struct store_error ignored;
        token_random(unknown);
        if (password_hash(&ignored, unknown, nobody))
            return NX_ENOMEM;
    }
    query_begin(store, &query, "SELECT id, password FROM user WHERE username = ?", "t", name);
    if (query_row(&query)) {
        column_text(&query, 0, id, STORE_ID_MAX);
        column_text(&query, 1, hash, sizeof hash);
        known = true;
    }
    int err = query_end(&query);
    if (err)
        return err;
    size_t length = strlen(password);
    bool right = crypto_pwhash_str_verify(known ? hash : nobody, password,
                                          length < PASSWORD_MAX ? length : PASSWORD_MAX + 1) == 0;
    sodium_memzero(hash, sizeof hash);
    return !known ? NX_ENOENT : right ? NX_OK : NX_EPERM;
}

int store_user_delete(struct store *store, const char *id)
{
    int err = store_begin(store);
    if (err)
        return err;
    /* His devices' addresses, tokens and keys go with him; streams that show them are his own. */
    err = query_run(store, "DELETE FROM user WHERE id = ?", "t", id);
    if (!err && query_changes(store) == 0)
        err = NX_ENOENT;
    if (!err && revision_next(store) == 0)
        err = NX_ESYS;
    return store_end(store, err);
}

int store_users_list(struct store *store, int (*each)(void *arg, const struct store_user *user), void *arg)
{
    struct query query;
    struct store_user user;
    int err = NX_OK;
    query_begin(store, &query, "SELECT id, username, full_name FROM user ORDER BY username", "");
    while (!err && query_row(&query)) {
        user_read(&query, &user);
        err = each(arg, &user);
    }
    int failed = query_end(&query);
    return failed ? failed : err;
}
