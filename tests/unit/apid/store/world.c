#include "world.h"

#include "common/key.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char world_folder[64];
struct store *world;
struct store_error world_error;

const char *world_path(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", world_folder, name);
    return path;
}

struct store *world_open(void)
{
    struct store *store = NULL;
    char error[STORE_TEXT_MAX];
    int err = store_open(world_folder, &store, error);
    ck_assert_msg(err == NX_OK, "%s", error);
    return store;
}

void world_make(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    snprintf(world_folder, sizeof world_folder, "/tmp/apid-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(world_folder));
    world = world_open();
}

void world_remove(void)
{
    struct dirent *entry;
    store_close(world);
    DIR *dir = opendir(world_folder);
    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlink(world_path(entry->d_name));
    closedir(dir);
    ck_assert_int_eq(rmdir(world_folder), 0);
}

struct store_user world_user(const char *name)
{
    struct store_user user;
    ck_assert_int_eq(store_user_create(world, name, PASSWORD, &user, &world_error), NX_OK);
    return user;
}

void world_key(char out[STORE_KEY_MAX])
{
    uint8_t secret[KEY_BYTES], public_key[KEY_BYTES];
    randombytes_buf(secret, sizeof secret);
    crypto_scalarmult_base(public_key, secret);
    key_format(public_key, out);
}

struct store_device world_request(const char *owner_id, const char *vpc_id)
{
    struct store_device device = {
        .hostname = "box", .os = "linux", .has_endpoints = true, .endpoint_count = 2};
    strcpy(device.owner_id, owner_id);
    strcpy(device.vpc_id, vpc_id);
    world_key(device.public_key);
    strcpy(device.endpoints[0].source, "local");
    strcpy(device.endpoints[0].address, "192.0.2.7:45939");
    strcpy(device.endpoints[1].source, "stun:");
    strcpy(device.endpoints[1].address, "198.51.100.9:45939");
    return device;
}

struct store_device world_device(const char *owner_id, const char *vpc_id)
{
    struct store_device device = world_request(owner_id, vpc_id);
    ck_assert_int_eq(store_device_create(world, "", &device, &world_error), NX_OK);
    return device;
}

struct store_vpc world_vpc(const char *organization_id, const char *ipv4_cidr, const char *ipv6_cidr)
{
    struct store_vpc vpc = {.description = "another", .private_cidr = ipv4_cidr[0] || ipv6_cidr[0]};
    strcpy(vpc.organization_id, organization_id);
    strcpy(vpc.ipv4_cidr, ipv4_cidr);
    strcpy(vpc.ipv6_cidr, ipv6_cidr);
    ck_assert_int_eq(store_vpc_create(world, &vpc, &world_error), NX_OK);
    return vpc;
}

int world_run(const char *name, void (*add)(TCase *cases), void (*setup)(void))
{
    Suite *const suite = suite_create(name);
    TCase *const cases = tcase_create(name);
    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, world_remove);
    add(cases);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
