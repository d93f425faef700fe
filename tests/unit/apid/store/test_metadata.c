/* Metadata of devices: JSON values, their revisions and tombstones. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store_user user;
static struct store_device device;

static void setup(void)
{
    world_make();
    user = world_user("alice");
    device = world_device(user.id, user.id);
}

struct seen {
    unsigned count, deleted;
    uint64_t revision;
    bool ascending;
};

static int metadata_look(void *arg, const struct store_metadata *metadata)
{
    struct seen *seen = arg;
    seen->ascending &= metadata->revision > seen->revision;
    seen->revision = metadata->revision;
    seen->count++;
    seen->deleted += metadata->deleted;
    return NX_OK;
}

static struct seen metadata_list(const struct store_filter *filter)
{
    struct seen seen = {.ascending = true};
    ck_assert_int_eq(store_metadata_list(world, filter, metadata_look, &seen), NX_OK);
    return seen;
}

static int put(const char *id, const char *key, const char *value)
{
    struct store_metadata metadata = {.value = value};
    strcpy(metadata.device_id, id);
    strcpy(metadata.key, key);
    return store_metadata_put(world, &metadata, &world_error);
}

START_TEST(test_metadata)
{
    struct store_metadata found;
    struct store_filter filter = {0};
    ck_assert_int_eq(put(device.id, "relay", "{\"type\":\"derp\"}"), NX_OK);
    ck_assert_int_eq(put(device.id, "relay", "[1,2]"), NX_OK); /* replaced */
    ck_assert_int_eq(put(device.id, "note", "\"x\""), NX_OK);
    ck_assert_int_eq(store_metadata_get(world, device.id, "relay", &found), NX_OK);
    ck_assert_str_eq(found.value, "[1,2]");
    ck_assert_str_eq(found.vpc_id, user.id);
    ck_assert_int_eq(store_metadata_get(world, device.id, "other", &found), NX_ENOENT);
    strcpy(filter.vpc_id, user.id);
    ck_assert_uint_eq(metadata_list(&filter).count, 2);
    filter.key = "note";
    ck_assert_uint_eq(metadata_list(&filter).count, 1);
    strcpy(filter.device_id, device.id);
    strcpy(filter.owner_id, user.id);
    ck_assert_uint_eq(metadata_list(&filter).count, 1);
    ck_assert_int_eq(store_metadata_delete(world, device.id, "note"), NX_OK);
    ck_assert_int_eq(store_metadata_delete(world, device.id, "note"), NX_ENOENT);
    ck_assert_uint_eq(metadata_list(&filter).count, 0);
    filter.with_deleted = true;
    ck_assert_uint_eq(metadata_list(&filter).deleted, 1);
    ck_assert_int_eq(put(device.id, "note", "null"), NX_OK); /* back from the dead */
    ck_assert_uint_eq(metadata_list(&filter).deleted, 0);
    ck_assert_int_eq(store_metadata_delete(world, device.id, NULL), NX_OK);
    ck_assert_int_eq(store_metadata_get(world, device.id, "relay", &found), NX_ENOENT);
}
END_TEST

START_TEST(test_hostile_metadata)
{
    char *large = malloc(STORE_JSON_MAX + 4);
    memset(large, 'a', STORE_JSON_MAX + 3);
    large[0] = large[STORE_JSON_MAX + 2] = '"';
    large[STORE_JSON_MAX + 3] = '\0';
    ck_assert_int_eq(put(device.id, "", "1"), NX_EINVAL);
    ck_assert_int_eq(put(device.id, "a\nb", "1"), NX_EINVAL);
    ck_assert_int_eq(put(device.id, "a", ""), NX_EINVAL);
    ck_assert_int_eq(put(device.id, "a", "{"), NX_EINVAL);
    ck_assert_int_eq(put(device.id, "a", "1 2"), NX_EINVAL);
    ck_assert_int_eq(put(device.id, "a", large), NX_EINVAL);
    ck_assert_str_eq(world_error.reason, "too long");
    ck_assert_int_eq(put("nobody", "a", "1"), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "device");
    free(large);
}
END_TEST

/* Tombstones that come at once are told one by one, so that a feed can stop between any two. */
START_TEST(test_many_tombstones_at_once)
{
    char key[16];
    for (int i = 0; i < 150; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        ck_assert_int_eq(put(device.id, key, "1"), NX_OK);
    }
    struct store_filter filter = {
        .with_deleted = true, .after_revision = store_revision(world), .limit = 100};
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    struct seen first = metadata_list(&filter);
    filter.after_revision = first.revision;
    struct seen rest = metadata_list(&filter);
    ck_assert(first.ascending && rest.ascending);
    ck_assert_uint_eq(first.deleted + rest.deleted, 150);
    ck_assert_int_eq(store_collect(world, wall_s() + STORE_TOMBSTONE_S + 60), NX_OK);
    filter = (struct store_filter){.with_deleted = true};
    ck_assert_uint_eq(metadata_list(&filter).count, 0);
}
END_TEST

START_TEST(test_no_more_keys_than_there_may_be)
{
    char key[16];
    ck_assert_int_eq(store_begin(world), NX_OK);
    for (int i = 0; i < STORE_METADATA_MAX; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        ck_assert_int_eq(put(device.id, key, "1"), NX_OK);
    }
    ck_assert_int_eq(store_end(world, NX_OK), NX_OK);
    ck_assert_int_eq(put(device.id, "one more", "1"), NX_EPERM);
    ck_assert_str_eq(world_error.error, "operation not allowed");
    ck_assert_int_eq(put(device.id, key, "2"), NX_OK);
    ck_assert_int_eq(store_metadata_delete(world, device.id, key), NX_OK);
    ck_assert_int_eq(put(device.id, "one more", "1"), NX_EPERM); /* the tombstone is still there */
    ck_assert_int_eq(store_collect(world, wall_s() + STORE_TOMBSTONE_S + 60), NX_OK);
    ck_assert_int_eq(put(device.id, "one more", "1"), NX_OK);
    struct store_device other = world_device(user.id, user.id);
    ck_assert_int_eq(put(other.id, "one more", "1"), NX_OK);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_no_more_keys_than_there_may_be);
    tcase_add_test(cases, test_metadata);
    tcase_add_test(cases, test_hostile_metadata);
    tcase_add_test(cases, test_many_tombstones_at_once);
}

int main(void)
{
    return world_run("apid_store_metadata", add, setup);
}
