/* Opening, what other processes did, and clearing away. */
#include "apid/store/internal.h"

#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUSY_MS = 5000 };

__attribute__((format(printf, 3, 4))) static int fail(char *error, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, STORE_TEXT_MAX, format, args);
    va_end(args);
    return err;
}

static int folder_open(const char *dir, char *error)
{
    struct stat status;
    if (mkdir(dir, 0700) && errno != EEXIST)
        return fail(error, NX_ESYS, "%s: cannot be made: %s", dir, strerror(errno));
    if (stat(dir, &status))
        return fail(error, NX_ESYS, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(status.st_mode))
        return fail(error, NX_EINVAL, "%s: not a folder", dir);
    if (status.st_mode & (S_IWGRP | S_IWOTH))
        return fail(error, NX_EPERM, "%s: others may write there: chmod go-w %s", dir, dir);
    return NX_OK;
}

/* SQLite gives its other files the mode and the owner of this one. Where root makes the database, it belongs
 * to whom the folder does, so that a server without root's rights can use it. */
static int file_make(const char *dir, const char *path, char *error)
{
    struct stat status, folder;
    int err = NX_OK;
    FD_AUTO int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &status) || stat(dir, &folder))
        return fail(error, NX_ESYS, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        err = fail(error, NX_EINVAL, "%s: not a file", path);
    else if (status.st_mode & (S_IRWXG | S_IRWXO))
        err = fail(error, NX_EPERM, "%s: others may use it: chmod 600 %s", path, path);
    else if (status.st_size == 0 && geteuid() == 0 && status.st_uid != folder.st_uid &&
             fchown(fd, folder.st_uid, folder.st_gid))
        err = fail(error, NX_ESYS, "%s: %s", path, strerror(errno));
    return err;
}

/* One line of text that a pragma answers with is as it should be. */
static bool pragma_answers(struct store *store, const char *pragma, const char *wanted)
{
    sqlite3_stmt *statement = NULL;
    bool right = sqlite3_prepare_v2(store->db, pragma, -1, &statement, NULL) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW &&
                 strcmp((const char *)sqlite3_column_text(statement, 0), wanted) == 0;
    sqlite3_finalize(statement);
    return right;
}

static int database_open(struct store *store, const char *path, char *error)
{
    static const char settings[] =
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
        "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096;"
        "PRAGMA secure_delete = ON;";
    int code = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(store->db, BUSY_MS);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        code = sqlite3_exec(store->db, settings, NULL, NULL, NULL);
    }
    if (code != SQLITE_OK)
        return fail(error, NX_ESYS, "%s: %s", path,
                    store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
    if (!pragma_answers(store, "PRAGMA journal_mode = WAL", "wal"))
        return fail(error, NX_ESYS, "%s: it cannot be had with a write-ahead log: %s", path,
                    sqlite3_errmsg(store->db));
    if (!pragma_answers(store, "PRAGMA quick_check(1)", "ok"))
        return fail(error, NX_EPROTO, "%s: it is damaged: restore a backup", path);
    return schema_migrate(store, error);
}

/* Made once, and kept with the issuer's. */
static int token_secret_load(struct store *store)
{
    char text[2 * TOKEN_SECRET_BYTES + 1];
    int err = store_begin(store);
    if (err)
        return err;
    err = store_secret_get(store, "token-secret", text, sizeof text);
    if (err == NX_ENOENT) {
        randombytes_buf(store->token_secret, sizeof store->token_secret);
        sodium_bin2hex(text, sizeof text, store->token_secret, sizeof store->token_secret);
        err = store_secret_put(store, "token-secret", text);
    }
    size_t length = 0;
    if (!err && (sodium_hex2bin(store->token_secret, sizeof store->token_secret, text, strlen(text), NULL,
                                &length, NULL) ||
                 length != sizeof store->token_secret))
        err = NX_EPROTO;
    sodium_memzero(text, sizeof text);
    return store_end(store, err);
}

int store_open(const char *dir, struct store **out, char *error)
{
    char path[PATH_MAX];
    error[0] = '\0';
    *out = NULL;
    if (sodium_init() < 0 || (size_t)snprintf(path, sizeof path, "%s/apid.db", dir) >= sizeof path)
        return fail(error, NX_EINVAL, "%s: path too long", dir);
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return fail(error, NX_ENOMEM, "%s: out of memory", dir);
    int err = folder_open(dir, error);
    if (!err)
        err = file_make(dir, path, error);
    if (!err)
        err = database_open(store, path, error);
    if (!err && (err = token_secret_load(store)) != NX_OK)
        fail(error, err, "%s: the secret for tokens: %s", path, nx_strerror(err));
    if (err) {
        store_close(store);
        return err;
    }
    (void)store_changed_elsewhere(store);
    *out = store;
    return NX_OK;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->statement_count; i++)
        sqlite3_finalize(store->statements[i].handle);
    sqlite3_close(store->db);
    free(store->metadata_value);
    sodium_memzero(store, sizeof *store);
    free(store);
}

bool store_changed_elsewhere(struct store *store)
{
    struct query query;
    int64_t version = store->data_version;
    query_begin(store, &query, "PRAGMA data_version", "");
    if (query_row(&query))
        version = column_int(&query, 0);
    (void)query_end(&query);
    bool changed = version != store->data_version;
    store->data_version = version;
    return changed;
}

uint64_t store_revision(struct store *store)
{
    struct query query;
    int64_t revision = 0;
    query_begin(store, &query, "SELECT revision FROM counter", "");
    if (query_row(&query))
        revision = column_int(&query, 0);
    return query_end(&query) ? 0 : (uint64_t)revision;
}

int store_collect(struct store *store, uint64_t now_s)
{
    int64_t limit_s = (int64_t)now_s - STORE_TOMBSTONE_S;
    int err = store_begin(store);
    if (err)
        return err;
    err = query_run(store, "DELETE FROM metadata WHERE deleted_s < ?", "i", limit_s);
    if (!err)
        err = query_run(store, "DELETE FROM device WHERE deleted_s < ?", "i", limit_s);
    if (!err)
        err = query_run(store, "DELETE FROM security_group WHERE deleted_s < ?", "i", limit_s);
    if (!err)
        err = query_run(store, "DELETE FROM vpc WHERE deleted_s < ?", "i", limit_s);
    if (!err)
        err = query_run(store, "DELETE FROM session WHERE expires_s < ?", "i", (int64_t)now_s);
    return store_end(store, err);
}
