/* The issuer's secrets and its refresh tokens. A token that was taken stays known until it expires: whoever
 * shows it again is not who got its successor, so the session ends for both. */
#include "apid/store/internal.h"

#include <sodium.h>
#include <string.h>

int store_secret_get(struct store *store, const char *name, char *out, size_t size)
{
    struct query query;
    int found = NX_ENOENT;
    query_begin(store, &query, "SELECT value FROM secret WHERE name = ?", "t", name);
    if (query_row(&query)) {
        const char *value = column_raw(&query, 0);
        found = value && strlen(value) < size ? NX_OK : NX_ERANGE;
        if (!found)
            memcpy(out, value, strlen(value) + 1);
    }
    int err = query_end(&query);
    return err ? err : found;
}

int store_secret_put(struct store *store, const char *name, const char *value)
{
    return query_run(
        store, "INSERT INTO secret VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        "tt", name, value);
}

static int session_add(struct store *store, const char *session, const char *user, const char *scope,
                       uint64_t expires_s, char token[STORE_TOKEN_MAX])
{
    uint8_t hash[HASH_BYTES];
    token_random(token);
    token_hash(token, hash);
    return query_run(store,
                     "INSERT INTO session (hash, session, user_id, scope, expires_s) VALUES (?, ?, ?, ?, ?)",
                     "httti", hash, session, user, scope, (int64_t)expires_s);
}

int store_refresh_create(struct store *store, const char *user, const char *scope, uint64_t expires_s,
                         char token[STORE_TOKEN_MAX])
{
    char session[STORE_ID_MAX];
    id_make(session);
    return session_add(store, session, user, scope, expires_s, token);
}

static int session_take(struct store *store, const char *token, uint64_t now_s, char *session, char *user,
                        char *scope, size_t scope_size)
{
    struct query query;
    uint8_t hash[HASH_BYTES];
    int found = NX_ENOENT;
    token_hash(token, hash);
    query_begin(store, &query,
                "SELECT session, user_id, scope, taken FROM session WHERE hash = ? AND expires_s > ?", "hi",
                hash, (int64_t)now_s);
    if (query_row(&query)) {
        column_text(&query, 0, session, STORE_ID_MAX);
        column_text(&query, 1, user, STORE_ID_MAX);
        column_text(&query, 2, scope, scope_size);
        found = column_int(&query, 3) ? NX_EPERM : NX_OK;
    }
    int err = query_end(&query);
    if (!err && !found)
        err = query_run(store, "UPDATE session SET taken = 1 WHERE hash = ?", "h", hash);
    return err ? err : found;
}

int store_refresh_rotate(struct store *store, const char *token, uint64_t now_s, uint64_t expires_s,
                         char user[STORE_ID_MAX], char *scope, size_t scope_size, char next[STORE_TOKEN_MAX])
{
    char session[STORE_ID_MAX];
    int err = store_begin(store);
    if (err)
        return err;
    err = session_take(store, token, now_s, session, user, scope, scope_size);
    if (!err)
        err = session_add(store, session, user, scope, expires_s, next);
    bool stolen = err == NX_EPERM;
    if (stolen)
        err = query_run(store, "DELETE FROM session WHERE session = ?", "t", session);
    err = store_end(store, err);
    return err ? err : stolen ? NX_EPERM : NX_OK;
}
