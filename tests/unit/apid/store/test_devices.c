/* Devices: what is refused, what counts as a change, revisions and tombstones. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static struct store_user user;
static struct store_device device;

static void setup(void)
{
    world_make();
    user = world_user("alice");
    device = world_device(user.id, user.id);
}

static struct store_device present(const char *id)
{
    struct store_device found;
    ck_assert_int_eq(store_device_get(world, id, &found), NX_OK);
    return found;
}

START_TEST(test_all_fields_are_kept)
{
    struct store_device made = world_request(user.id, user.id), found;
    strcpy(made.hostname, "b\xc3\xb6x");
    made.relay = made.symmetric_nat = made.has_advertise_cidrs = true;
    made.advertise_cidr_count = 2;
    strcpy(made.advertise_cidrs[0], "192.0.2.0/24");
    strcpy(made.advertise_cidrs[1], "2001:db8::/32");
    strcpy(made.endpoints[1].address, "invalid AddrPort"); /* what Go's nexd sends without STUN */
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_OK);
    found = present(made.id);
    ck_assert_str_eq(found.hostname, "b\xc3\xb6x");
    ck_assert_str_eq(found.os, "linux");
    ck_assert_str_eq(found.owner_id, user.id);
    ck_assert_str_eq(found.organization_id, user.id);
    ck_assert_str_eq(found.security_group_id, user.id);
    ck_assert(found.relay && found.symmetric_nat && !found.online && !found.deleted);
    ck_assert_uint_eq(found.online_at_s, 0);
    ck_assert_uint_eq(found.endpoint_count, 2);
    ck_assert_str_eq(found.endpoints[0].source, "local");
    ck_assert_str_eq(found.endpoints[1].address, "invalid AddrPort");
    ck_assert_uint_eq(found.advertise_cidr_count, 2);
    ck_assert_str_eq(found.advertise_cidrs[1], "2001:db8::/32");
    ck_assert_uint_eq(found.revision, store_revision(world));
    ck_assert_uint_eq(found.revision, made.revision);
    ck_assert_int_eq(store_device_find_key(world, made.public_key, &found), NX_OK);
    ck_assert_str_eq(found.id, made.id);
    /* Absent is not empty. */
    struct store_device bare = world_request(user.id, user.id);
    bare.has_endpoints = false;
    ck_assert_int_eq(store_device_create(world, "", &bare, &world_error), NX_OK);
    found = present(bare.id);
    ck_assert(!found.has_endpoints && !found.has_advertise_cidrs);
}
END_TEST

START_TEST(test_hostile_public_keys)
{
    static const char *const keys[] = {
        "xyz",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* zero */
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* one: of small order too */
        "43EthRoOXXm4McXjSrIrQaGYFx3iCbi4+sojoRxiSFl=", /* stray bits */
        "43EthRoOXXm4McXjSrIrQaGYFx3iCbi4+sojoRxiSFk",  /* no padding */
        "43EthRoOXXm4McXjSrIrQaGYFx3iCbi4-sojoRxiSFk=", /* of the URL's alphabet */
    };
    struct store_device made;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        made = world_request(user.id, user.id);
        strcpy(made.public_key, keys[i]);
        ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_EINVAL);
        ck_assert_str_eq(world_error.error, "invalid data in field");
        ck_assert_str_eq(world_error.field, "public_key");
    }
    made = world_request(user.id, user.id);
    made.public_key[0] = '\0';
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_EINVAL);
    ck_assert_str_eq(world_error.error, "required");
    made = world_request(user.id, user.id);
    strcpy(made.public_key, device.public_key);
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_EEXIST);
    ck_assert_str_eq(world_error.id, device.id);
    ck_assert_str_eq(world_error.error, "resource already exists");
}
END_TEST

START_TEST(test_hostile_fields)
{
    static const struct {
        const char *hostname, *os, *source, *address, *cidr, *field;
    } cases[] = {
        {"a\nb", "linux", "local", "", "", "hostname"},
        {"\xff\xfe", "linux", "local", "", "", "hostname"},
        {"\xe2\x80\xae", "linux", "local", "", "", "hostname"},
        {"a", "\x1b[2J", "local", "", "", "os"},
        {"a", "linux", "lo\tcal", "", "", "endpoints"},
        {"a", "linux", "local", "\x01", "", "endpoints"},
        {"a", "linux", "local", "", "10.0.0.0/33", "advertise_cidrs"},
        {"a", "linux", "local", "", "'; DROP TABLE device; --", "advertise_cidrs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_device made = world_request(user.id, user.id);
        strcpy(made.hostname, cases[i].hostname);
        strcpy(made.os, cases[i].os);
        strcpy(made.endpoints[0].source, cases[i].source);
        strcpy(made.endpoints[0].address, cases[i].address);
        made.has_advertise_cidrs = cases[i].cidr[0];
        made.advertise_cidr_count = made.has_advertise_cidrs;
        strcpy(made.advertise_cidrs[0], cases[i].cidr);
        ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_EINVAL);
        ck_assert_msg(strcmp(world_error.field, cases[i].field) == 0, "%zu: %s", i, world_error.field);
    }
    struct store_device made = world_request(user.id, user.id);
    strcpy(made.hostname, "'; DROP TABLE device; --"); /* a text like any other */
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_OK);
    ck_assert_str_eq(present(made.id).hostname, made.hostname);
    strcpy(made.hostname, "a\rb");
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_HOSTNAME, &made, &world_error), NX_EINVAL);
}
END_TEST

START_TEST(test_places_that_are_not_there)
{
    static const char unknown[] = "00000000-0000-4000-8000-000000000000";
    struct store_device made = world_request(user.id, unknown);
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "vpc");
    made = world_request(user.id, user.id);
    strcpy(made.security_group_id, unknown);
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "security_group_id");
    made = world_request(user.id, user.id);
    ck_assert_int_eq(store_device_create(world, unknown, &made, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "reg_key");
    made = world_request(unknown, user.id);
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_ENOENT);
    strcpy(made.id, unknown);
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_RELAY, &made, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "device");
    ck_assert_int_eq(store_device_set_online(world, unknown, true, 1), NX_ENOENT);
    ck_assert_int_eq(store_device_delete(world, unknown, NULL), NX_ENOENT);
    struct store_user bob = world_user("bob");
    made = world_request(user.id, user.id);
    strcpy(made.security_group_id, bob.id); /* of another organization */
    ck_assert_int_eq(store_device_create(world, "", &made, &world_error), NX_ENOENT);
}
END_TEST

START_TEST(test_updates)
{
    const uint64_t before = store_revision(world);
    const unsigned all = STORE_DEVICE_HOSTNAME | STORE_DEVICE_ENDPOINTS | STORE_DEVICE_ADVERTISE_CIDRS |
                         STORE_DEVICE_SYMMETRIC_NAT | STORE_DEVICE_RELAY | STORE_DEVICE_SECURITY_GROUP |
                         STORE_DEVICE_VPC;
    struct store_device same = device;
    ck_assert_int_eq(store_device_update(world, all, &same, &world_error), NX_OK);
    ck_assert_uint_eq(store_revision(world), before); /* nothing new */
    static const unsigned singles[] = {STORE_DEVICE_HOSTNAME,        STORE_DEVICE_ENDPOINTS,
                                       STORE_DEVICE_ADVERTISE_CIDRS, STORE_DEVICE_SYMMETRIC_NAT,
                                       STORE_DEVICE_RELAY,           STORE_DEVICE_SECURITY_GROUP};
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        struct store_device wanted = {.relay = true,
                                      .symmetric_nat = true,
                                      .has_endpoints = true,
                                      .endpoint_count = 1,
                                      .has_advertise_cidrs = true};
        strcpy(wanted.id, device.id);
        strcpy(wanted.hostname, "renamed");
        strcpy(wanted.endpoints[0].address, "203.0.113.1:1");
        ck_assert_int_eq(store_device_update(world, singles[i], &wanted, &world_error), NX_OK);
        ck_assert_uint_eq(store_revision(world), before + i + 1);
        ck_assert_uint_eq(wanted.revision, before + i + 1);
        ck_assert_str_eq(wanted.public_key, device.public_key);
    }
    struct store_device found = present(device.id);
    ck_assert_str_eq(found.hostname, "renamed");
    ck_assert_uint_eq(found.endpoint_count, 1);
    ck_assert(found.relay && found.symmetric_nat && found.has_advertise_cidrs &&
              found.advertise_cidr_count == 0);
    ck_assert_str_eq(found.security_group_id, ""); /* none */
    ck_assert_str_eq(found.ipv4, device.ipv4);
}
END_TEST

START_TEST(test_presence)
{
    const uint64_t before = store_revision(world);
    ck_assert_int_eq(store_device_set_online(world, device.id, true, 5000), NX_OK);
    ck_assert_int_eq(store_device_set_online(world, device.id, true, 6000), NX_OK);
    ck_assert_uint_eq(store_revision(world), before + 1);
    ck_assert(present(device.id).online);
    ck_assert_uint_eq(present(device.id).online_at_s, 5000);
    ck_assert_int_eq(store_device_set_online(world, device.id, false, 7000), NX_OK);
    ck_assert(!present(device.id).online);
    ck_assert_uint_eq(present(device.id).online_at_s, 5000);
    ck_assert_uint_eq(store_revision(world), before + 2);
}
END_TEST

START_TEST(test_tokens)
{
    char token[STORE_TOKEN_MAX], again[STORE_TOKEN_MAX];
    struct store_device found;
    ck_assert_int_eq(store_device_token(world, device.id, token), NX_OK);
    ck_assert_uint_eq(strlen(token), 47);
    ck_assert_int_eq(strncmp(token, "DT:", 3), 0);
    ck_assert_int_eq(store_device_by_token(world, token, &found), NX_OK);
    ck_assert_str_eq(found.id, device.id);
    struct store *other = world_open(); /* the same after a restart */
    ck_assert_int_eq(store_device_token(other, device.id, again), NX_OK);
    ck_assert_str_eq(token, again);
    store_close(other);
    struct store_device second = world_device(user.id, user.id);
    ck_assert_int_eq(store_device_token(world, second.id, again), NX_OK);
    ck_assert_str_ne(token, again);
    again[10] ^= 1;
    ck_assert_int_eq(store_device_by_token(world, again, &found), NX_ENOENT);
    ck_assert_int_eq(store_device_by_token(world, "", &found), NX_ENOENT);
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    ck_assert_int_eq(store_device_by_token(world, token, &found), NX_ENOENT);
    ck_assert_int_eq(store_device_token(world, device.id, again), NX_ENOENT);
}
END_TEST

/* No token is in the database's files. */
START_TEST(test_tokens_are_not_kept)
{
    char token[STORE_TOKEN_MAX];
    struct store_reg_key key = {.description = ""};
    strcpy(key.owner_id, user.id);
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_OK);
    ck_assert_int_eq(store_device_token(world, device.id, token), NX_OK);
    static const char *const files[] = {"apid.db", "apid.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        static char data[4 << 20];
        FILE *file = fopen(world_path(files[i]), "re");
        ck_assert_ptr_nonnull(file);
        size_t length = fread(data, 1, sizeof data, file);
        fclose(file);
        ck_assert_ptr_null(memmem(data, length, token + 3, strlen(token + 3)));
        ck_assert_ptr_null(memmem(data, length, key.token + 3, strlen(key.token + 3)));
        ck_assert_ptr_null(memmem(data, length, PASSWORD, strlen(PASSWORD)));
    }
}
END_TEST

struct seen {
    struct store_device last;
    unsigned count, deleted;
    uint64_t revision;
    bool ascending;
};

static int look(void *arg, const struct store_device *found)
{
    struct seen *seen = arg;
    seen->ascending &= found->revision > seen->revision;
    seen->revision = found->revision;
    seen->count++;
    seen->deleted += found->deleted;
    seen->last = *found;
    return NX_OK;
}

static struct seen list(const struct store_filter *filter)
{
    struct seen seen = {.ascending = true};
    ck_assert_int_eq(store_devices_list(world, filter, look, &seen), NX_OK);
    return seen;
}

START_TEST(test_deletion_and_tombstones)
{
    struct store_device gone, again;
    struct store_metadata metadata = {.value = "1"};
    const struct store_filter living = {0}, all = {.with_deleted = true};
    strcpy(metadata.device_id, device.id);
    strcpy(metadata.key, "note");
    ck_assert_int_eq(store_metadata_put(world, &metadata, &world_error), NX_OK);
    ck_assert_int_eq(store_device_delete(world, device.id, &gone), NX_OK);
    ck_assert_str_eq(gone.id, device.id);
    ck_assert_str_eq(gone.public_key, "");
    ck_assert(gone.deleted && !gone.online);
    ck_assert_uint_eq(gone.revision, store_revision(world));
    ck_assert_int_eq(store_device_get(world, device.id, &again), NX_ENOENT);
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_ENOENT);
    ck_assert_int_eq(store_device_find_key(world, "", &again), NX_ENOENT);
    ck_assert_uint_eq(list(&living).count, 0);
    struct seen seen = list(&all);
    ck_assert_uint_eq(seen.deleted, 1);
    ck_assert_str_eq(seen.last.ipv4, device.ipv4);
    again = world_request(user.id, user.id); /* its key may come back, under another id */
    strcpy(again.public_key, device.public_key);
    ck_assert_int_eq(store_device_create(world, "", &again, &world_error), NX_OK);
    ck_assert_str_ne(again.id, device.id);
    ck_assert_str_eq(again.ipv4, device.ipv4);
    ck_assert_int_eq(store_collect(world, wall_s() + STORE_TOMBSTONE_S - 60), NX_OK);
    ck_assert_uint_eq(list(&all).count, 2);
    ck_assert_int_eq(store_collect(world, wall_s() + STORE_TOMBSTONE_S + 60), NX_OK);
    seen = list(&all);
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_str_eq(seen.last.id, again.id);
    ck_assert(present(again.id).revision == again.revision);
}
END_TEST

START_TEST(test_lists)
{
    struct store_user bob = world_user("bob");
    struct store_vpc vpc = world_vpc(user.id, "", "");
    struct store_device second = world_device(user.id, user.id), third = world_device(user.id, vpc.id),
                        foreign = world_device(bob.id, bob.id);
    struct store_filter filter = {0};
    uint64_t count;
    ck_assert_uint_eq(list(&filter).count, 4);
    filter.limit = 3;
    ck_assert_uint_eq(list(&filter).count, 3);
    filter = (struct store_filter){0};
    strcpy(filter.owner_id, bob.id);
    ck_assert_str_eq(list(&filter).last.id, foreign.id);
    ck_assert_int_eq(store_devices_count(world, &filter, &count), NX_OK);
    ck_assert_uint_eq(count, 1);
    filter = (struct store_filter){0};
    strcpy(filter.organization_id, user.id);
    ck_assert_uint_eq(list(&filter).count, 3);
    strcpy(filter.vpc_id, vpc.id);
    ck_assert_uint_eq(list(&filter).count, 1);
    ck_assert_str_eq(list(&filter).last.id, third.id);
    /* After a revision: what changed, in order; a page at a time. */
    filter = (struct store_filter){.after_revision = store_revision(world)};
    ck_assert_uint_eq(list(&filter).count, 0);
    strcpy(second.hostname, "renamed");
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_HOSTNAME, &second, &world_error), NX_OK);
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    ck_assert_uint_eq(list(&filter).count, 1); /* without tombstones */
    filter.with_deleted = true;
    strcpy(filter.vpc_id, user.id);
    filter.limit = 1;
    struct seen seen = list(&filter);
    ck_assert_str_eq(seen.last.id, second.id);
    filter.after_revision = seen.revision;
    seen = list(&filter);
    ck_assert_str_eq(seen.last.id, device.id);
    ck_assert_uint_eq(seen.deleted, 1);
    filter.after_revision = INT64_MAX;
    ck_assert_uint_eq(list(&filter).count, 0);
}
END_TEST

static int refuse(void *arg, const struct store_device *found)
{
    (void)found;
    ++*(unsigned *)arg;
    return NX_ERANGE;
}

static int ask_again(void *arg, const struct store_device *found)
{
    struct store_device same;
    ck_assert_int_eq(store_device_get(arg, found->id, &same), NX_OK);
    struct seen inside = list(&(const struct store_filter){0});
    ck_assert_uint_eq(inside.count, 2);
    return NX_OK;
}

START_TEST(test_lists_that_are_ended_or_ask_again)
{
    unsigned calls = 0;
    const struct store_filter all = {0};
    (void)world_device(user.id, user.id);
    ck_assert_int_eq(store_devices_list(world, &all, refuse, &calls), NX_ERANGE);
    ck_assert_uint_eq(calls, 1);
    ck_assert_int_eq(store_devices_list(world, &all, ask_again, world), NX_OK);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_all_fields_are_kept);
    tcase_add_test(cases, test_hostile_public_keys);
    tcase_add_test(cases, test_hostile_fields);
    tcase_add_test(cases, test_places_that_are_not_there);
    tcase_add_test(cases, test_updates);
    tcase_add_test(cases, test_presence);
    tcase_add_test(cases, test_tokens);
    tcase_add_test(cases, test_tokens_are_not_kept);
    tcase_add_test(cases, test_deletion_and_tombstones);
    tcase_add_test(cases, test_lists);
    tcase_add_test(cases, test_lists_that_are_ended_or_ask_again);
}

int main(void)
{
    return world_run("apid_store_devices", add, setup);
}
