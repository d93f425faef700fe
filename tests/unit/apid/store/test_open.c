/* Folder and file, migrations, other processes, and processes that end in the middle of something. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char text[STORE_TEXT_MAX];

static void reopen(void)
{
    store_close(world);
    world = world_open();
}

static void refused(const char *folder, int err, const char *part)
{
    struct store *store = NULL;
    ck_assert_int_eq(store_open(folder, &store, text), err);
    ck_assert_ptr_null(store);
    ck_assert_msg(strstr(text, part) != NULL, "%s: %s", part, text);
    ck_assert_ptr_null(strchr(text, '\n'));
}

START_TEST(test_modes)
{
    struct stat status;
    (void)world_user("alice"); /* so that the log is there too */
    ck_assert_int_eq(stat(world_folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    static const char *const files[] = {"apid.db", "apid.db-wal", "apid.db-shm"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        ck_assert_int_eq(stat(world_path(files[i]), &status), 0);
        ck_assert_uint_eq(status.st_mode & 07777, 0600);
    }
}
END_TEST

START_TEST(test_a_folder_is_made)
{
    char folder[128];
    struct stat status;
    struct store *store;
    snprintf(folder, sizeof folder, "%s/new", world_folder);
    ck_assert_int_eq(store_open(folder, &store, text), NX_OK);
    store_close(store);
    ck_assert_int_eq(stat(folder, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    ck_assert_int_eq(unlink(world_path("new/apid.db")), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* What root makes in the folder of a server that is not root, that server can use. */
START_TEST(test_a_database_belongs_to_its_folders_owner)
{
    static const char *const files[] = {"apid.db", "apid.db-wal", "apid.db-shm"};
    struct stat status;
    if (geteuid() != 0)
        return;
    store_close(world);
    ck_assert_int_eq(unlink(world_path("apid.db")), 0);
    ck_assert_int_eq(chown(world_folder, 65534, 65534), 0);
    world = world_open();
    (void)world_user("alice");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        ck_assert_int_eq(stat(world_path(files[i]), &status), 0);
        ck_assert_uint_eq(status.st_uid, 65534);
    }
}
END_TEST

START_TEST(test_folders_and_files_that_are_refused)
{
    char folder[128], target[128];
    store_close(world);
    ck_assert_int_eq(chmod(world_folder, 0770), 0);
    refused(world_folder, NX_EPERM, "chmod go-w");
    ck_assert_int_eq(chmod(world_folder, 0707), 0);
    refused(world_folder, NX_EPERM, "chmod go-w");
    ck_assert_int_eq(chmod(world_folder, 0700), 0);
    ck_assert_int_eq(chmod(world_path("apid.db"), 0644), 0);
    refused(world_folder, NX_EPERM, "chmod 600");
    ck_assert_int_eq(chmod(world_path("apid.db"), 0600), 0);
    snprintf(folder, sizeof folder, "%s", world_path("apid.db"));
    refused(folder, NX_EINVAL, "not a folder");
    snprintf(folder, sizeof folder, "%s", world_path("a/b"));
    refused(folder, NX_ESYS, "cannot be made");
    snprintf(target, sizeof target, "%s", world_path("elsewhere.db"));
    ck_assert_int_eq(rename(world_path("apid.db"), target), 0);
    ck_assert_int_eq(symlink(target, world_path("apid.db")), 0);
    refused(world_folder, NX_ESYS, "apid.db");
    ck_assert_int_eq(unlink(world_path("apid.db")), 0);
    ck_assert_int_eq(rename(target, world_path("apid.db")), 0);
    char *longer = malloc(5000);
    memset(longer, 'a', 4999);
    longer[4999] = '\0';
    struct store *store;
    ck_assert_int_eq(store_open(longer, &store, text), NX_EINVAL);
    free(longer);
    world = world_open();
}
END_TEST

static void overwrite(const char *name, off_t at, const char *data, size_t length)
{
    int fd = open(world_path(name), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, data, length, at), (ssize_t)length);
    close(fd);
}

START_TEST(test_damaged_databases)
{
    char garbage[4096 * 4];
    memset(garbage, 0xa5, sizeof garbage);
    (void)world_user("alice");
    store_close(world);
    overwrite("apid.db", 4096, garbage, sizeof garbage); /* the tables; the header stays */
    refused(world_folder, NX_EPROTO, "damaged");
    overwrite("apid.db", 0, garbage, sizeof garbage);
    refused(world_folder, NX_ESYS, "not a database");
    ck_assert_int_eq(truncate(world_path("apid.db"), 0), 0);
    world = world_open(); /* an empty file is a new database */
}
END_TEST

static int64_t version(void)
{
    struct query query;
    int64_t found = -1;
    query_begin(world, &query, "PRAGMA user_version", "");
    if (query_row(&query))
        found = column_int(&query, 0);
    ck_assert_int_eq(query_end(&query), NX_OK);
    return found;
}

START_TEST(test_a_later_version_is_refused)
{
    ck_assert_int_eq(version(), 1);
    ck_assert_int_eq(query_run(world, "PRAGMA user_version = 99", ""), NX_OK);
    store_close(world);
    refused(world_folder, NX_ENOTSUP, "version 99");
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(world_path("apid.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    world = world_open();
}
END_TEST

START_TEST(test_migrations_are_all_or_nothing)
{
    static const char second[] = "CREATE TABLE second (a); INSERT INTO second VALUES (1)";
    static const char *const good[] = {"", second, "ALTER TABLE second ADD COLUMN b DEFAULT 7"};
    static const char *const bad[] = {"", second, "ALTER TABLE nowhere ADD COLUMN b"};
    struct store_user user = world_user("alice"), found;
    ck_assert_int_eq(schema_migrate_with(world, bad, 3, text), NX_ESYS);
    ck_assert_ptr_nonnull(strstr(text, "tables cannot be made"));
    ck_assert_int_eq(version(), 1);
    ck_assert_int_eq(query_run(world, "SELECT * FROM second", ""), NX_ESYS);
    ck_assert_int_eq(schema_migrate_with(world, good, 3, text), NX_OK);
    ck_assert_int_eq(version(), 3);
    struct query query;
    query_begin(world, &query, "SELECT a, b FROM second", "");
    ck_assert(query_row(&query));
    ck_assert_int_eq(column_int(&query, 0), 1);
    ck_assert_int_eq(column_int(&query, 1), 7);
    ck_assert_int_eq(query_end(&query), NX_OK);
    ck_assert_int_eq(store_user_get(world, user.id, &found), NX_OK);
    ck_assert_int_eq(schema_migrate_with(world, good, 3, text), NX_OK); /* again: nothing to do */
}
END_TEST

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    char *all = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(all);
    ck_assert_uint_gt(fread(all, 1, (1 << 20) - 1, file), 0);
    fclose(file);
    return all;
}

/* What the first version left behind is still understood, whatever migrations came since. */
START_TEST(test_a_database_of_version_1)
{
    sqlite3 *db;
    struct store_device device;
    struct store_reg_key key;
    struct store_metadata metadata;
    static struct store_security_group group;
    char id[STORE_ID_MAX];
    store_close(world);
    ck_assert_int_eq(truncate(world_path("apid.db"), 0), 0);
    ck_assert_int_eq(sqlite3_open(world_path("apid.db"), &db), SQLITE_OK);
    char *script = file_text(FIXTURES "/version_1.sql"), *why = NULL;
    ck_assert_msg(sqlite3_exec(db, script, NULL, NULL, &why) == SQLITE_OK, "%s", why ? why : "");
    free(script);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    world = world_open();
    ck_assert_int_eq(store_user_verify(world, "alice", PASSWORD, id), NX_OK);
    ck_assert_int_eq(store_device_by_token(world, "DT:kQmKq3MqseAeNKoSLgNJQLUP0ISVpmppA3P6nAXVAkM=", &device),
                     NX_OK);
    ck_assert_str_eq(device.hostname, "box");
    ck_assert_str_eq(device.ipv4, "100.64.0.1");
    ck_assert_uint_eq(device.endpoint_count, 2);
    ck_assert_int_eq(
        store_reg_key_by_token(world, "RK:ipKQETpUFtKy6hWfGCIrsU19wDcImtb1QmduBodgxG0=", 1, &key), NX_OK);
    ck_assert_str_eq(key.description, "kept");
    ck_assert_int_eq(store_security_group_get(world, id, &group), NX_OK);
    ck_assert_uint_eq(group.inbound_count, 1);
    ck_assert_int_eq(store_metadata_get(world, device.id, "relay", &metadata), NX_OK);
    ck_assert_str_eq(metadata.value, "{\"type\":\"derp\"}");
    ck_assert_uint_eq(store_revision(world), 6);
}
END_TEST

START_TEST(test_other_connections_commits_are_noticed)
{
    struct store *other = world_open();
    struct store_user user = world_user("alice"), seen;
    ck_assert(!store_changed_elsewhere(world)); /* its own does not count */
    ck_assert(store_changed_elsewhere(other));
    ck_assert(!store_changed_elsewhere(other));
    ck_assert_int_eq(store_user_get(other, user.id, &seen), NX_OK);
    ck_assert_int_eq(store_user_delete(other, user.id), NX_OK);
    ck_assert(store_changed_elsewhere(world));
    ck_assert_int_eq(store_user_get(world, user.id, &seen), NX_ENOENT);
    ck_assert_uint_eq(store_revision(world), store_revision(other));
    store_close(other);
}
END_TEST

/* Runs `act` in a process that is killed when it has returned. */
static void in_killed_process(void (*act)(struct store *store))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct store *store;
        if (store_open(world_folder, &store, text) == NX_OK)
            act(store);
        raise(SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void half_a_device(struct store *store)
{
    struct store_user user;
    if (store_begin(store) || store_user_find(store, "alice", &user))
        return;
    struct store_device device = world_request(user.id, user.id);
    (void)store_device_create(store, "", &device, &world_error); /* inside, so not yet committed */
}

static void a_whole_device(struct store *store)
{
    struct store_user user;
    if (store_user_find(store, "alice", &user))
        return;
    struct store_device device = world_request(user.id, user.id);
    (void)store_device_create(store, "", &device, &world_error);
}

static uint64_t devices(void)
{
    struct store_filter everything = {0};
    uint64_t count = 0;
    ck_assert_int_eq(store_devices_count(world, &everything, &count), NX_OK);
    return count;
}

START_TEST(test_a_process_dies_in_a_transaction)
{
    struct store_user user = world_user("alice");
    const uint64_t before = store_revision(world);
    in_killed_process(half_a_device);
    ck_assert_uint_eq(devices(), 0);
    ck_assert_uint_eq(store_revision(world), before);
    struct store_device device = world_device(user.id, user.id); /* the lock is free, the address too */
    ck_assert_str_eq(device.ipv4, "100.64.0.1");
    in_killed_process(a_whole_device);
    ck_assert_uint_eq(devices(), 2); /* what was answered is kept */
    reopen();
    ck_assert_uint_eq(devices(), 2);
    ck_assert_uint_eq(store_revision(world), before + 2);
}
END_TEST

START_TEST(test_a_transaction_that_fails_leaves_nothing)
{
    struct store_user user = world_user("alice");
    ck_assert_int_eq(store_begin(world), NX_OK);
    (void)world_device(user.id, user.id);
    ck_assert_uint_eq(devices(), 1);
    ck_assert_int_eq(store_end(world, NX_EPROTO), NX_EPROTO);
    ck_assert_uint_eq(devices(), 0);
    (void)world_device(user.id, user.id);
    ck_assert_uint_eq(devices(), 1);
}
END_TEST

START_TEST(test_a_held_database_is_told_as_busy)
{
    struct store *other = world_open();
    struct store_user user;
    sqlite3_busy_timeout(world->db, 10);
    ck_assert_int_eq(store_begin(other), NX_OK);
    ck_assert_int_eq(store_user_create(world, "alice", PASSWORD, &user, &world_error), NX_EAGAIN);
    ck_assert_str_eq(world_error.error, "internal server error");
    ck_assert_int_eq(store_user_find(world, "alice", &user), NX_ENOENT); /* reading goes on */
    ck_assert_int_eq(store_end(other, NX_OK), NX_OK);
    (void)world_user("alice");
    store_close(other);
}
END_TEST

START_TEST(test_statements_more_than_there_are_places)
{
    static char sql[STATEMENTS_MAX + 20][32];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < STATEMENTS_MAX + 20; i++) {
            struct query query;
            snprintf(sql[i], sizeof sql[i], "SELECT %d", i);
            query_begin(world, &query, sql[i], "");
            ck_assert(query_row(&query));
            ck_assert_int_eq(column_int(&query, 0), i);
            ck_assert_int_eq(query_end(&query), NX_OK);
        }
    }
    ck_assert_uint_eq(world->statement_count, STATEMENTS_MAX);
    ck_assert_int_eq(query_run(world, "SELECT nonsense FROM nowhere", ""), NX_ESYS);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_modes);
    tcase_add_test(cases, test_a_folder_is_made);
    tcase_add_test(cases, test_a_database_belongs_to_its_folders_owner);
    tcase_add_test(cases, test_folders_and_files_that_are_refused);
    tcase_add_test(cases, test_damaged_databases);
    tcase_add_test(cases, test_a_later_version_is_refused);
    tcase_add_test(cases, test_migrations_are_all_or_nothing);
    tcase_add_test(cases, test_a_database_of_version_1);
    tcase_add_test(cases, test_other_connections_commits_are_noticed);
    tcase_add_test(cases, test_a_process_dies_in_a_transaction);
    tcase_add_test(cases, test_a_transaction_that_fails_leaves_nothing);
    tcase_add_test(cases, test_a_held_database_is_told_as_busy);
    tcase_add_test(cases, test_statements_more_than_there_are_places);
}

int main(void)
{
    return world_run("apid_store_open", add, world_make);
}
