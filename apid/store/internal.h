/* The store's own parts: statements and transactions, ids and tokens, rows. apid/store only. */
#ifndef NEXD_APID_STORE_INTERNAL_H
#define NEXD_APID_STORE_INTERNAL_H

#include "apid/store/store.h"
#include "common/err.h"
#include "common/netaddr.h"

#include <sqlite3.h>

enum { STATEMENTS_MAX = 128, TOKEN_SECRET_BYTES = 32, HASH_BYTES = 32 };

struct statement {
    const char *sql; /* a literal: compared by address */
    sqlite3_stmt *handle;
    bool busy;
};

struct store {
    sqlite3 *db;
    int64_t data_version;
    unsigned depth; /* of transactions */
    size_t statement_count;
    struct statement statements[STATEMENTS_MAX];
    char *metadata_value;                     /* what the last store_metadata_get() points to */
    uint8_t token_secret[TOKEN_SECRET_BYTES]; /* tokens of devices and keys are made with it */
};

/* -- db.c: statements -- */

/* A statement that runs: from query_begin() to query_end(). */
struct query {
    struct store *store;
    struct statement *statement; /* NULL: one of its own, finalized at the end */
    sqlite3_stmt *handle;
    int err;
};

/* `sql` is a literal. `types` names what follows, for each parameter: t a text, n a text of which "" becomes
 * NULL, i an int64_t, h HASH_BYTES bytes. Whatever fails is kept in query->err and logged. */
void query_begin(struct store *store, struct query *query, const char *sql, const char *types, ...);
/* True while there is a row. */
bool query_row(struct query *query);
/* NX_OK unless something failed since query_begin(). */
int query_end(struct query *query);
/* All in one, for what has no rows. */
int query_run(struct store *store, const char *sql, const char *types, ...);
/* How many rows the last change touched. */
int query_changes(struct store *store);

void column_text(const struct query *query, int column, char *out, size_t size);
int64_t column_int(const struct query *query, int column);
/* NULL for SQL's NULL; valid until the next row. */
const char *column_raw(const struct query *query, int column);

/* Transactions nest: the outermost decides. */
int store_begin(struct store *store);
/* Commits if `err` is NX_OK, rolls back otherwise; returns what came of it. */
int store_end(struct store *store, int err);

/* From SQLite's codes; anything unexpected is logged. */
int db_error(struct store *store, int code, const char *what);

/* -- schema.c -- */
int schema_migrate(struct store *store, char *error);
/* The same with `count` scripts, of which number N makes version N out of N - 1. All of them or none. */
int schema_migrate_with(struct store *store, const char *const *scripts, int count, char *error);

/* -- ident.c -- */
void id_make(char id[STORE_ID_MAX]);
/* A UUID, in whichever case. */
bool id_valid(const char *text);
/* "PREFIX" and base64 of 32 bytes that only who has the store's secret can make from the id. */
void token_make(const struct store *store, const char *prefix, const char *id, char token[STORE_TOKEN_MAX]);
void token_random(char token[STORE_TOKEN_MAX]);
void token_hash(const char *token, uint8_t hash[HASH_BYTES]);
/* The next revision, inside a transaction. 0: it failed. */
uint64_t revision_next(struct store *store);

/* -- problem.c: errors in the API's words; each returns the code -- */
int problem_field(struct store_error *error, const char *what, const char *field, const char *reason);
int problem_unprocessable(struct store_error *error, const char *field, const char *reason);
int problem_missing(struct store_error *error, const char *resource);
int problem_exists(struct store_error *error, const char *id);
int problem_forbidden(struct store_error *error, const char *reason);
/* UTF-8 without control characters, shorter than `size`. */
int problem_text(struct store_error *error, const char *field, const char *text, size_t size);
/* What a code that has no words yet is told as. */
int problem_finish(struct store_error *error, int err);

/* -- address.c: IPAM -- */
/* The addresses of a device in a VPC; `wish` may be NULL. Inside a transaction. NX_ERANGE: none left. */
int addresses_take(struct store *store, const struct store_vpc *vpc, const char *device_id,
                   const struct netaddr *wish, struct netaddr *v4, struct netaddr *v6);
int addresses_release(struct store *store, const char *device_id);
/* "" or a prefix with room for devices: canonical text into `out`. */
int cidr_check(struct store_error *error, const char *field, uint8_t family, const char *text,
               char out[STORE_CIDR_MAX]);
#define DEFAULT_IPV4_CIDR "100.64.0.0/10"
#define DEFAULT_IPV6_CIDR "200::/64"

/* -- rules.c: rules of security groups as JSON text -- */
int rules_check(struct store_error *error, const struct store_rule *rules, unsigned count);
/* Allocated; NULL when out of memory. */
char *rules_write(const struct store_rule *rules, unsigned count);
int rules_read(const char *text, struct store_rule *rules, unsigned *count);

/* -- device_row.c -- */
extern const char device_columns[];
int device_read(const struct query *query, struct store_device *out);
/* Allocated JSON texts; *out NULL where the member is null. */
int endpoints_write(const struct store_device *device, char **out);
int cidrs_write(const struct store_device *device, char **out);

/* -- others that several need -- */
int security_group_of_vpc(struct store *store, const char *group_id, const char *organization_id,
                          struct store_error *error);
/* "" where there is none. */
int organization_find(struct store *store, const char *name, char id[STORE_ID_MAX]);
int vpc_insert(struct store *store, struct store_vpc *vpc);
int metadata_drop(struct store *store, const char *device_id, uint64_t now_s);
uint64_t wall_s(void);

#endif
