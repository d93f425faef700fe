/* The tables, by version. A migration is never changed once it was released: the next one is added. */
#include "apid/store/internal.h"

#include <stdio.h>

static const char version_1[] =
    "CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);"
    "INSERT INTO counter VALUES (1, 0);"
    "CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE user (id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, full_name TEXT "
    "NOT NULL,"
    "  password TEXT NOT NULL);"
    "CREATE TABLE organization (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES user ON DELETE "
    "CASCADE,"
    "  name TEXT NOT NULL UNIQUE, description TEXT NOT NULL);"
    "CREATE INDEX organization_owner ON organization (owner_id);"
    "CREATE TABLE vpc (id TEXT PRIMARY KEY, organization_id TEXT NOT NULL REFERENCES organization ON DELETE "
    "CASCADE,"
    "  description TEXT NOT NULL, private_cidr INTEGER NOT NULL, ipv4_cidr TEXT NOT NULL, ipv6_cidr TEXT NOT "
    "NULL,"
    "  revision INTEGER NOT NULL, deleted_s INTEGER);"
    "CREATE INDEX vpc_organization ON vpc (organization_id, revision);"
    "CREATE TABLE security_group (id TEXT PRIMARY KEY, vpc_id TEXT NOT NULL REFERENCES vpc ON DELETE CASCADE,"
    "  description TEXT NOT NULL, inbound TEXT NOT NULL, outbound TEXT NOT NULL, revision INTEGER NOT NULL,"
    "  deleted_s INTEGER);"
    "CREATE INDEX security_group_vpc ON security_group (vpc_id, revision);"
    "CREATE TABLE reg_key (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES user ON DELETE CASCADE,"
    "  vpc_id TEXT NOT NULL REFERENCES vpc ON DELETE CASCADE, security_group_id TEXT, device_id TEXT,"
    "  description TEXT NOT NULL, settings TEXT, expires_s INTEGER NOT NULL, token_hash BLOB NOT NULL "
    "UNIQUE);"
    "CREATE INDEX reg_key_owner ON reg_key (owner_id);"
    "CREATE TABLE device (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES user ON DELETE CASCADE,"
    "  vpc_id TEXT NOT NULL REFERENCES vpc ON DELETE CASCADE, security_group_id TEXT, reg_key_id TEXT,"
    "  public_key TEXT, hostname TEXT NOT NULL, os TEXT NOT NULL, ipv4 TEXT NOT NULL, ipv6 TEXT NOT NULL,"
    "  relay INTEGER NOT NULL, symmetric_nat INTEGER NOT NULL, online INTEGER NOT NULL, online_at_s INTEGER "
    "NOT NULL,"
    "  endpoints TEXT, advertise_cidrs TEXT, token_hash BLOB UNIQUE, revision INTEGER NOT NULL, deleted_s "
    "INTEGER);"
    "CREATE UNIQUE INDEX device_key ON device (public_key) WHERE deleted_s IS NULL;"
    "CREATE INDEX device_vpc ON device (vpc_id, revision);"
    "CREATE INDEX device_owner ON device (owner_id);"
    "CREATE INDEX device_group ON device (security_group_id);"
    "CREATE TABLE address (pool TEXT NOT NULL, family INTEGER NOT NULL, number INTEGER NOT NULL,"
    "  device_id TEXT NOT NULL REFERENCES device ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,"
    "  PRIMARY KEY (pool, family, number)) WITHOUT ROWID;"
    "CREATE INDEX address_device ON address (device_id);"
    "CREATE TABLE metadata (device_id TEXT NOT NULL REFERENCES device ON DELETE CASCADE, key TEXT NOT NULL,"
    "  value TEXT NOT NULL, revision INTEGER NOT NULL, deleted_s INTEGER, PRIMARY KEY (device_id, key)) "
    "WITHOUT ROWID;"
    "CREATE INDEX metadata_revision ON metadata (revision);"
    "CREATE TABLE session (hash BLOB PRIMARY KEY, session TEXT NOT NULL,"
    "  user_id TEXT NOT NULL REFERENCES user ON DELETE CASCADE, scope TEXT NOT NULL, expires_s INTEGER NOT "
    "NULL,"
    "  taken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE INDEX session_session ON session (session);"
    "CREATE INDEX session_user ON session (user_id);";

static const char *const migrations[] = {version_1};

static int version_get(struct store *store, int64_t *version)
{
    struct query query;
    query_begin(store, &query, "PRAGMA user_version", "");
    if (query_row(&query))
        *version = column_int(&query, 0);
    return query_end(&query);
}

/* One version further; all of it or nothing. */
static int migrate_one(struct store *store, const char *script, int64_t from)
{
    char set[64];
    snprintf(set, sizeof set, "PRAGMA user_version = %d", (int)from + 1);
    int err = db_error(store, sqlite3_exec(store->db, script, NULL, NULL, NULL), "a migration");
    if (!err)
        err = db_error(store, sqlite3_exec(store->db, set, NULL, NULL, NULL), "its version");
    return err;
}

int schema_migrate_with(struct store *store, const char *const *scripts, int count, char *error)
{
    int64_t version = 0;
    int err = store_begin(store);
    if (err)
        goto out;
    err = version_get(store, &version);
    if (!err && version > count) {
        snprintf(error, STORE_TEXT_MAX,
                 "the database has version %d, this apid knows %d: a newer one made it", (int)version, count);
        return store_end(store, NX_ENOTSUP);
    }
    for (; !err && version < count; version++)
        err = migrate_one(store, scripts[version], version);
    err = store_end(store, err);
out:
    if (err)
        snprintf(error, STORE_TEXT_MAX, "the database's tables cannot be made: %s",
                 sqlite3_errmsg(store->db));
    return err;
}

int schema_migrate(struct store *store, char *error)
{
    return schema_migrate_with(store, migrations, sizeof migrations / sizeof migrations[0], error);
}
