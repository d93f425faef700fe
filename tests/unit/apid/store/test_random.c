/* Thousands of random operations, by a process that is killed at any moment, again and again. Whatever was
 * done until then, the database keeps its promises: addresses are unique, in their range and only of living
 * devices; no two objects have one revision; nothing refers to what is not there. */
#include "world.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 25, PICKS_MAX = 512 };

static uint32_t state;

/* Below `end`; xorshift, so that a round can be had again by its seed. */
static uint32_t chance(uint32_t end)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % end;
}

struct picks {
    unsigned count;
    char ids[PICKS_MAX][STORE_ID_MAX];
};

static int pick(struct picks *picks, const char *id)
{
    strcpy(picks->ids[picks->count++ % PICKS_MAX], id);
    return NX_OK;
}

static int pick_device(void *arg, const struct store_device *device)
{
    return pick(arg, device->id);
}

static int pick_vpc(void *arg, const struct store_vpc *vpc)
{
    return pick(arg, vpc->id);
}

static int pick_group(void *arg, const struct store_security_group *group)
{
    return pick(arg, group->id);
}

static const char *any(const struct picks *picks)
{
    return picks->count ? picks->ids[chance(picks->count < PICKS_MAX ? picks->count : PICKS_MAX)] : "";
}

static struct picks devices, vpcs, groups;

static void look_around(void)
{
    const struct store_filter all = {0};
    devices.count = vpcs.count = groups.count = 0;
    (void)store_devices_list(world, &all, pick_device, &devices);
    (void)store_vpcs_list(world, &all, pick_vpc, &vpcs);
    (void)store_security_groups_list(world, &all, pick_group, &groups);
}

static void change_a_device(const char *owner)
{
    struct store_device device = world_request(owner, any(&vpcs));
    strcpy(device.id, any(&devices));
    snprintf(device.hostname, sizeof device.hostname, "host-%u", chance(9));
    strcpy(device.security_group_id, any(&groups));
    (void)store_device_update(world, chance(1 << 7), &device, &world_error);
}

static void make_a_network(const char *owner)
{
    static struct store_security_group group;
    struct store_vpc vpc = {.private_cidr = chance(2)};
    strcpy(vpc.organization_id, owner);
    if (vpc.private_cidr)
        strcpy(vpc.ipv4_cidr, "10.9.0.0/28"); /* full before long */
    if (store_vpc_create(world, &vpc, &world_error))
        return;
    strcpy(group.vpc_id, vpc.id);
    (void)store_security_group_create(world, &group, &world_error);
}

static void write_metadata(void)
{
    struct store_metadata metadata = {.value = "{}"};
    strcpy(metadata.device_id, any(&devices));
    snprintf(metadata.key, sizeof metadata.key, "key-%u", chance(5));
    if (chance(4))
        (void)store_metadata_put(world, &metadata, &world_error);
    else
        (void)store_metadata_delete(world, metadata.device_id, chance(2) ? metadata.key : NULL);
}

static void anything(const char *owner)
{
    static struct store_security_group group;
    struct store_device device;
    struct store_vpc vpc;
    switch (chance(10)) {
    case 0:
    case 1:
    case 2:
        device = world_request(owner, any(&vpcs));
        (void)store_device_create(world, "", &device, &world_error);
        break;
    case 3:
        (void)store_device_delete(world, any(&devices), NULL);
        break;
    case 4:
    case 5:
        change_a_device(owner);
        break;
    case 6:
        make_a_network(owner);
        break;
    case 7:
        write_metadata();
        break;
    case 8:
        (void)store_vpc_delete(world, any(&vpcs), &vpc, &world_error);
        (void)store_security_group_delete(world, any(&groups), &group, &world_error);
        break;
    default:
        (void)store_collect(world, wall_s() + (chance(2) ? 2 * STORE_TOMBSTONE_S : 0));
    }
}

/* Until it is killed; a byte to `told` after each operation. */
static void work(const char *owner, int told)
{
    char error[STORE_TEXT_MAX];
    if (store_open(world_folder, &world, error))
        _exit(1);
    for (;;) {
        look_around();
        anything(owner);
        if (write(told, "", 1) != 1)
            _exit(2);
    }
}

/* How many operations the process had done; killed in the middle of another. */
static unsigned work_and_die(const char *owner, unsigned operations)
{
    int pipe_fds[2], status;
    char bytes[256];
    unsigned done = 0;
    ck_assert_int_eq(pipe(pipe_fds), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        work(owner, pipe_fds[1]);
    close(pipe_fds[1]);
    while (done < operations) {
        ssize_t got = read(pipe_fds[0], bytes, sizeof bytes);
        ck_assert_msg(got > 0, "it has ended by itself");
        done += (unsigned)got;
    }
    (void)poll(NULL, 0, (int)chance(4)); /* anywhere in what it does next */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    close(pipe_fds[0]);
    return done;
}

static int64_t number(const char *sql)
{
    sqlite3_stmt *statement;
    ck_assert_msg(sqlite3_prepare_v2(world->db, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(world->db));
    const int64_t found = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    return found;
}

#define REVISIONS                                                                                            \
    "(SELECT revision FROM device UNION ALL SELECT revision FROM vpc UNION ALL SELECT revision FROM "        \
    "security_group UNION ALL SELECT revision FROM metadata)"

static int check_device(void *arg, const struct store_device *device)
{
    struct netprefix range;
    struct netaddr address;
    ck_assert_int_eq(netprefix_parse(device->ipv4_cidr, false, &range), NX_OK);
    ck_assert_int_eq(netaddr_parse(device->ipv4, &address), NX_OK);
    ck_assert(netprefix_contains(&range, &address));
    ck_assert_int_eq(netprefix_parse(device->ipv6_cidr, false, &range), NX_OK);
    ck_assert_int_eq(netaddr_parse(device->ipv6, &address), NX_OK);
    ck_assert(netprefix_contains(&range, &address));
    ck_assert(device->public_key[0] && device->endpoint_count == 2);
    ++*(int64_t *)arg;
    return NX_OK;
}

static void promises_hold(void)
{
    const struct store_filter all = {0};
    int64_t living = 0;
    ck_assert_int_eq(number("PRAGMA foreign_key_check"), -1);
    ck_assert_int_eq(number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    ck_assert_int_eq(number("SELECT count(*) - count(DISTINCT revision) FROM " REVISIONS), 0);
    ck_assert_int_eq(number("SELECT max(revision) <= (SELECT revision FROM counter) FROM " REVISIONS), 1);
    ck_assert_int_eq(store_devices_list(world, &all, check_device, &living), NX_OK);
    ck_assert_int_eq(number("SELECT count(*) FROM address"), 2 * living);
    ck_assert_int_eq(number("SELECT count(DISTINCT device_id || family) FROM address"), 2 * living);
    ck_assert_int_eq(
        number("SELECT count(*) FROM address JOIN device ON device.id = device_id WHERE deleted_s"), 0);
    /* Texts are unique in each pool, as the numbers are that they were made of. */
    ck_assert_int_eq(
        number("SELECT count(*) - count(DISTINCT CASE WHEN v.private_cidr THEN v.id ELSE '' END || ipv4) "
               "FROM device d JOIN vpc v ON v.id = d.vpc_id WHERE d.deleted_s IS NULL"),
        0);
    ck_assert_int_eq(
        number("SELECT count(*) FROM device d JOIN vpc v ON v.id = d.vpc_id WHERE d.deleted_s IS NULL AND "
               "v.deleted_s IS NOT NULL"),
        0);
    ck_assert_int_eq(
        number(
            "SELECT count(*) FROM metadata m JOIN device d ON d.id = m.device_id WHERE m.deleted_s IS NULL "
            "AND d.deleted_s IS NOT NULL"),
        0);
}

START_TEST(test_killed_at_any_moment)
{
    struct store_user user = world_user("alice");
    uint64_t revision = 0;
    unsigned done = 0;
    state = 20261123;
    for (int round = 0; round < ROUNDS; round++) {
        store_close(world);
        done += work_and_die(user.id, 20 + chance(60));
        state = state * 2654435761u + (uint32_t)round + 1;
        world = world_open();
        promises_hold();
        ck_assert_uint_ge(store_revision(world), revision); /* what was answered has not gone back */
        revision = store_revision(world);
    }
    ck_assert_uint_ge(done, ROUNDS * 20);
    ck_assert_uint_gt(revision, ROUNDS);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_killed_at_any_moment);
}

int main(void)
{
    return world_run("apid_store_random", add, world_make);
}
