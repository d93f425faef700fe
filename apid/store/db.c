/* Statements are prepared once and kept; one that is running already (a list's callback asks again) gets a
 * twin that lives as long as its rows. */
#include "apid/store/internal.h"

#include "common/clock.h"
#include "common/log.h"

#include <stdarg.h>
#include <string.h>

uint64_t wall_s(void)
{
    return clock_wall_ns() / NS_PER_S;
}

int db_error(struct store *store, int code, const char *what)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return NX_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return NX_EAGAIN;
    case SQLITE_NOMEM:
        return NX_ENOMEM;
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_FOREIGNKEY ? NX_ENOENT : NX_EEXIST;
    default:
        log_error("the database: %s: %s", what, store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(code));
        return NX_ESYS;
    }
}

static void statement_get(struct store *store, struct query *query, const char *sql)
{
    struct statement *found = NULL;
    for (size_t i = 0; i < store->statement_count && !found; i++)
        if (store->statements[i].sql == sql)
            found = &store->statements[i];
    if (found && !found->busy) {
        query->statement = found;
        query->handle = found->handle;
        found->busy = true;
        return;
    }
    query->err = db_error(
        store, sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &query->handle, NULL), sql);
    if (query->err || found || store->statement_count == STATEMENTS_MAX)
        return;
    query->statement = &store->statements[store->statement_count++];
    *query->statement = (struct statement){.sql = sql, .handle = query->handle, .busy = true};
}

static int bind_one(sqlite3_stmt *handle, int at, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(handle, at, va_arg(*args, int64_t));
    if (type == 'h')
        return sqlite3_bind_blob(handle, at, va_arg(*args, const uint8_t *), HASH_BYTES, SQLITE_TRANSIENT);
    const char *text = va_arg(*args, const char *);
    if (!text || (type == 'n' && !*text))
        return sqlite3_bind_null(handle, at);
    return sqlite3_bind_text(handle, at, text, -1, SQLITE_TRANSIENT);
}

static void query_bind(struct store *store, struct query *query, const char *sql, const char *types,
                       va_list *args)
{
    *query = (struct query){.store = store};
    statement_get(store, query, sql);
    for (int i = 0; !query->err && types[i]; i++)
        query->err = db_error(store, bind_one(query->handle, i + 1, types[i], args), sql);
}

void query_begin(struct store *store, struct query *query, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    query_bind(store, query, sql, types, &args);
    va_end(args);
}

bool query_row(struct query *query)
{
    if (query->err)
        return false;
    int code = sqlite3_step(query->handle);
    query->err = db_error(query->store, code, "a statement");
    return code == SQLITE_ROW;
}

int query_end(struct query *query)
{
    if (query->statement) {
        sqlite3_reset(query->handle);
        sqlite3_clear_bindings(query->handle);
        query->statement->busy = false;
    } else {
        sqlite3_finalize(query->handle);
    }
    query->handle = NULL;
    return query->err;
}

int query_run(struct store *store, const char *sql, const char *types, ...)
{
    struct query query;
    va_list args;
    va_start(args, types);
    query_bind(store, &query, sql, types, &args);
    va_end(args);
    while (query_row(&query))
        ;
    return query_end(&query);
}

int query_changes(struct store *store)
{
    return sqlite3_changes(store->db);
}

const char *column_raw(const struct query *query, int column)
{
    return (const char *)sqlite3_column_text(query->handle, column);
}

void column_text(const struct query *query, int column, char *out, size_t size)
{
    const char *text = column_raw(query, column);
    size_t length = text ? strnlen(text, size - 1) : 0;
    if (length)
        memcpy(out, text, length);
    out[length] = '\0';
}

int64_t column_int(const struct query *query, int column)
{
    return sqlite3_column_int64(query->handle, column);
}

int store_begin(struct store *store)
{
    int err = store->depth == 0 ? query_run(store, "BEGIN IMMEDIATE", "") : NX_OK;
    store->depth += !err;
    return err;
}

int store_end(struct store *store, int err)
{
    if (--store->depth > 0)
        return err;
    if (!err)
        err = query_run(store, "COMMIT", "");
    if (err && !sqlite3_get_autocommit(store->db))
        (void)query_run(store, "ROLLBACK", "");
    return err;
}
