/* Registration keys: for one device or many, for a time, with settings. */
#include "world.h"

#include <string.h>

static struct store_user user;

static void setup(void)
{
    world_make();
    user = world_user("alice");
}

static struct store_reg_key key_for(const char *owner)
{
    struct store_reg_key key = {.description = "for tests"};
    strcpy(key.owner_id, owner);
    return key;
}

static struct store_reg_key key_made(bool single_use)
{
    struct store_reg_key key = key_for(user.id);
    ck_assert_int_eq(store_reg_key_create(world, single_use, &key, &world_error), NX_OK);
    return key;
}

START_TEST(test_keys)
{
    struct store_reg_key key = key_made(false), other = key_made(false), found;
    ck_assert_uint_eq(strlen(key.token), 47);
    ck_assert_int_eq(strncmp(key.token, "RK:", 3), 0);
    ck_assert_str_ne(key.token, other.token);
    ck_assert_str_eq(key.vpc_id, user.id);
    ck_assert_str_eq(key.device_id, "");
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 1000, &found), NX_OK);
    ck_assert_str_eq(found.id, key.id);
    ck_assert_str_eq(found.token, key.token);
    ck_assert_str_eq(found.description, "for tests");
    ck_assert_int_eq(store_reg_key_by_token(world, "RK:", 1000, &found), NX_ENOENT);
    ck_assert_int_eq(store_reg_key_delete(world, key.id), NX_OK);
    ck_assert_int_eq(store_reg_key_delete(world, key.id), NX_ENOENT);
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 1000, &found), NX_ENOENT);
    ck_assert_int_eq(store_reg_key_get(world, key.id, &found), NX_ENOENT);
}
END_TEST

START_TEST(test_expiry)
{
    struct store_reg_key key = key_for(user.id), found;
    key.expires_s = 5000;
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_OK);
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 4999, &found), NX_OK);
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 5000, &found), NX_ETIMEDOUT);
    ck_assert_str_eq(found.id, key.id);
    key.expires_s = 0;
    ck_assert_int_eq(store_reg_key_update(world, &key, &world_error), NX_OK);
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 5000, &found), NX_OK);
}
END_TEST

START_TEST(test_a_key_for_one_device)
{
    struct store_reg_key key = key_made(true);
    ck_assert(id_valid(key.device_id));
    struct store_device first = world_request(user.id, user.id), second = world_request(user.id, user.id),
                        again;
    ck_assert_int_eq(store_device_create(world, key.id, &first, &world_error), NX_OK);
    ck_assert_str_eq(first.id, key.device_id);
    ck_assert_str_eq(first.reg_key_id, key.id);
    ck_assert_int_eq(store_device_create(world, key.id, &second, &world_error), NX_EINVAL);
    ck_assert_str_eq(world_error.error, "single use reg key exhausted");
    again = world_request(user.id, user.id);
    strcpy(again.public_key, first.public_key); /* the same device, which is told its id */
    ck_assert_int_eq(store_device_create(world, key.id, &again, &world_error), NX_EEXIST);
    ck_assert_str_eq(world_error.id, first.id);
    /* After its deletion there is room again, at once. */
    ck_assert_int_eq(store_device_delete(world, first.id, NULL), NX_OK);
    second = world_request(user.id, user.id);
    ck_assert_int_eq(store_device_create(world, key.id, &second, &world_error), NX_OK);
    ck_assert_str_eq(second.id, key.device_id);
    ck_assert_str_eq(second.ipv4, first.ipv4);
    ck_assert_uint_gt(second.revision, first.revision);
}
END_TEST

START_TEST(test_a_key_for_many_devices)
{
    struct store_reg_key key = key_made(false);
    for (int i = 0; i < 5; i++) {
        struct store_device device = world_request(user.id, user.id);
        ck_assert_int_eq(store_device_create(world, key.id, &device, &world_error), NX_OK);
        ck_assert_str_eq(device.reg_key_id, key.id);
    }
    ck_assert_int_eq(store_reg_key_delete(world, key.id), NX_OK); /* its devices stay */
    uint64_t count;
    ck_assert_int_eq(store_devices_count(world, &(const struct store_filter){0}, &count), NX_OK);
    ck_assert_uint_eq(count, 5);
}
END_TEST

START_TEST(test_hostile_keys)
{
    static const char *const settings[] = {"[]", "1", "{", "{} {}", "null"};
    struct store_user bob = world_user("bob");
    struct store_reg_key key;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        key = key_for(user.id);
        strcpy(key.settings, settings[i]);
        ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_EINVAL);
        ck_assert_str_eq(world_error.field, "settings");
    }
    key = key_for(user.id);
    strcpy(key.description, "a\nb");
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_EINVAL);
    ck_assert_str_eq(world_error.field, "description");
    key = key_for(user.id);
    strcpy(key.vpc_id, "nobody");
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "vpc_id");
    key = key_for(user.id);
    strcpy(key.security_group_id, bob.id); /* another organization's */
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "security_group_id");
    key = key_for("nobody");
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_ENOENT);
    key = key_for("nobody");
    strcpy(key.vpc_id, user.id);
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_ENOENT);
}
END_TEST

START_TEST(test_updates)
{
    struct store_reg_key key = key_made(true), found;
    strcpy(key.description, "changed");
    strcpy(key.settings, "{\"a\":1}");
    strcpy(key.security_group_id, user.id);
    strcpy(key.owner_id, "somebody else"); /* is not taken */
    ck_assert_int_eq(store_reg_key_update(world, &key, &world_error), NX_OK);
    ck_assert_int_eq(store_reg_key_get(world, key.id, &found), NX_OK);
    ck_assert_str_eq(found.description, "changed");
    ck_assert_str_eq(found.settings, "{\"a\":1}");
    ck_assert_str_eq(found.security_group_id, user.id);
    ck_assert_str_eq(found.owner_id, user.id);
    ck_assert_str_eq(found.token, key.token);
    ck_assert(found.device_id[0]);
    strcpy(key.security_group_id, "nobody");
    ck_assert_int_eq(store_reg_key_update(world, &key, &world_error), NX_ENOENT);
    key.security_group_id[0] = '\0';
    strcpy(key.settings, "[]");
    ck_assert_int_eq(store_reg_key_update(world, &key, &world_error), NX_EINVAL);
    key.settings[0] = '\0';
    strcpy(key.id, "nobody");
    ck_assert_int_eq(store_reg_key_update(world, &key, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "reg_key");
}
END_TEST

static int count_key(void *arg, const struct store_reg_key *key)
{
    ck_assert_int_eq(strncmp(key->token, "RK:", 3), 0);
    ++*(unsigned *)arg;
    return NX_OK;
}

START_TEST(test_lists)
{
    struct store_user bob = world_user("bob");
    struct store_reg_key his = key_for(bob.id);
    unsigned count = 0;
    (void)key_made(false);
    (void)key_made(true);
    ck_assert_int_eq(store_reg_key_create(world, false, &his, &world_error), NX_OK);
    ck_assert_int_eq(store_reg_keys_list(world, user.id, count_key, &count), NX_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(store_reg_keys_list(world, "", count_key, &count), NX_OK);
    ck_assert_uint_eq(count, 5);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_keys);
    tcase_add_test(cases, test_expiry);
    tcase_add_test(cases, test_a_key_for_one_device);
    tcase_add_test(cases, test_a_key_for_many_devices);
    tcase_add_test(cases, test_hostile_keys);
    tcase_add_test(cases, test_updates);
    tcase_add_test(cases, test_lists);
}

int main(void)
{
    return world_run("apid_store_reg_keys", add, setup);
}
