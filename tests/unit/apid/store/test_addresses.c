/* IPAM: the lowest free address, wishes, full ranges, and two processes that want the same. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int wish(const char *owner, const char *vpc, const char *address, struct store_device *out)
{
    *out = world_request(owner, vpc);
    strcpy(out->ipv4, address);
    return store_device_create(world, "", out, &world_error);
}

START_TEST(test_lowest_first_and_again_after_release)
{
    struct store_user user = world_user("alice");
    struct store_device one = world_device(user.id, user.id), two = world_device(user.id, user.id),
                        three = world_device(user.id, user.id);
    ck_assert_str_eq(one.ipv4, "100.64.0.1");
    ck_assert_str_eq(one.ipv6, "200::1");
    ck_assert_str_eq(one.ipv4_cidr, "100.64.0.0/10");
    ck_assert_str_eq(one.ipv6_cidr, "200::/64");
    ck_assert_str_eq(three.ipv4, "100.64.0.3");
    ck_assert_int_eq(store_device_delete(world, two.id, NULL), NX_OK);
    struct store_device again = world_device(user.id, user.id), fourth = world_device(user.id, user.id);
    ck_assert_str_eq(again.ipv4, two.ipv4);
    ck_assert_str_eq(again.ipv6, two.ipv6);
    ck_assert_str_eq(fourth.ipv4, "100.64.0.4");
    ck_assert_int_eq(store_device_delete(world, one.id, NULL), NX_OK);
    ck_assert_str_eq(world_device(user.id, user.id).ipv4, "100.64.0.1");
}
END_TEST

START_TEST(test_wishes)
{
    static const struct {
        const char *wish, *given;
    } cases[] = {
        {"100.64.0.9", "100.64.0.9"},      /* free */
        {"100.64.0.9", "100.64.0.1"},      /* taken */
        {"10.0.0.1", "100.64.0.2"},        /* outside */
        {"100.64.0.0", "100.64.0.3"},      /* the network */
        {"100.127.255.255", "100.64.0.4"}, /* broadcast */
        {"100.127.255.254", "100.127.255.254"},
        {"nonsense", "100.64.0.5"},
        {"200::9", "100.64.0.6"}, /* only of IPv4: the other family goes its own way */
        {"100.64.0.7/32", "100.64.0.7"},
    };
    struct store_user user = world_user("alice");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_device device;
        ck_assert_int_eq(wish(user.id, user.id, cases[i].wish, &device), NX_OK);
        ck_assert_msg(strcmp(device.ipv4, cases[i].given) == 0, "%s: %s", cases[i].wish, device.ipv4);
    }
    ck_assert_str_eq(world_device(user.id, user.id).ipv4, "100.64.0.8");
    ck_assert_str_eq(world_device(user.id, user.id).ipv4,
                     "100.64.0.10"); /* over the one that was wished for */
}
END_TEST

START_TEST(test_a_full_range)
{
    struct store_user user = world_user("alice");
    struct store_vpc vpc = world_vpc(user.id, "10.9.0.0/28", "fd00::/120");
    struct store_device devices[14];
    for (size_t i = 0; i < 14; i++) {
        char expected[STORE_ADDRESS_MAX];
        devices[i] = world_device(user.id, vpc.id);
        snprintf(expected, sizeof expected, "10.9.0.%zu", i + 1);
        ck_assert_str_eq(devices[i].ipv4, expected);
    }
    const uint64_t revision = store_revision(world);
    struct store_device more = world_request(user.id, vpc.id);
    ck_assert_int_eq(store_device_create(world, "", &more, &world_error), NX_ERANGE);
    ck_assert_str_eq(world_error.error, "no address is left in the range");
    ck_assert_uint_eq(store_revision(world), revision);
    ck_assert_int_eq(wish(user.id, vpc.id, "10.9.0.4", &more), NX_ERANGE);
    ck_assert_int_eq(store_device_delete(world, devices[6].id, NULL), NX_OK);
    ck_assert_str_eq(world_device(user.id, vpc.id).ipv4, "10.9.0.7");
    (void)world_device(user.id, user.id); /* other pools are not full */
}
END_TEST

/* IPv4 has room, IPv6 has not: the address of the other family is not lost. */
START_TEST(test_one_family_full)
{
    struct store_user user = world_user("alice");
    struct store_vpc vpc = world_vpc(user.id, "10.9.0.0/24", "fd00::/126");
    struct store_device first = world_device(user.id, vpc.id);
    (void)world_device(user.id, vpc.id);
    (void)world_device(user.id, vpc.id);
    struct store_device more = world_request(user.id, vpc.id);
    ck_assert_int_eq(store_device_create(world, "", &more, &world_error), NX_ERANGE);
    ck_assert_int_eq(store_device_delete(world, first.id, NULL), NX_OK);
    struct store_device again = world_device(user.id, vpc.id);
    ck_assert_str_eq(again.ipv4, "10.9.0.1");
    ck_assert_str_eq(again.ipv6, "fd00::1");
}
END_TEST

START_TEST(test_pools)
{
    struct store_user alice = world_user("alice"), bob = world_user("bob");
    struct store_vpc shared = world_vpc(alice.id, "", ""), own = world_vpc(alice.id, "100.64.0.0/10", "");
    ck_assert_str_eq(world_device(alice.id, alice.id).ipv4, "100.64.0.1");
    ck_assert_str_eq(world_device(bob.id, bob.id).ipv4, "100.64.0.2"); /* one pool for all without a range */
    ck_assert_str_eq(world_device(alice.id, shared.id).ipv4, "100.64.0.3");
    ck_assert_str_eq(world_device(alice.id, own.id).ipv4, "100.64.0.1");
    /* A range of IPv6 that is wider than numbers are. */
    struct store_vpc wide = world_vpc(alice.id, "10.0.0.0/8", "fd00::/8");
    struct store_device device = world_device(alice.id, wide.id);
    ck_assert_str_eq(device.ipv6, "fd00::1");
}
END_TEST

START_TEST(test_moves)
{
    struct store_user user = world_user("alice");
    struct store_vpc shared = world_vpc(user.id, "", ""),
                     own = world_vpc(user.id, "10.9.0.0/24", "fd00::/64");
    struct store_device device = world_device(user.id, user.id), other = world_device(user.id, own.id);
    strcpy(device.vpc_id, shared.id);
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_VPC, &device, &world_error), NX_OK);
    ck_assert_str_eq(device.vpc_id, shared.id);
    ck_assert_str_eq(device.ipv4, "100.64.0.1");
    ck_assert_str_eq(device.security_group_id, shared.id);
    strcpy(device.vpc_id, own.id);
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_VPC, &device, &world_error), NX_OK);
    ck_assert_str_eq(other.ipv4, "10.9.0.1");
    ck_assert_str_eq(device.ipv4, "10.9.0.2");
    ck_assert_str_eq(device.ipv4_cidr, "10.9.0.0/24");
    ck_assert_str_eq(device.ipv6, "fd00::2");
    ck_assert_str_eq(world_device(user.id, user.id).ipv4, "100.64.0.1"); /* which it has left */
    strcpy(device.vpc_id, "00000000-0000-4000-8000-000000000000");
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_VPC, &device, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "vpc_id");
    ck_assert_int_eq(store_device_get(world, other.id, &other), NX_OK);
    struct store_device present;
    ck_assert_int_eq(store_device_get(world, device.id, &present), NX_OK);
    ck_assert_str_eq(present.vpc_id, own.id);
}
END_TEST

enum { PROCESSES = 4, DEVICES_EACH = 25 };

static int join_some(const char *user)
{
    char error[STORE_TEXT_MAX];
    if (store_open(world_folder, &world, error))
        return 1;
    for (int i = 0; i < DEVICES_EACH; i++) {
        struct store_device device = world_request(user, user);
        if (store_device_create(world, "", &device, &world_error))
            return 2;
    }
    store_close(world);
    return 0;
}

static int count_one(void *arg, const struct store_device *device)
{
    bool *seen = arg;
    unsigned v4, v6;
    ck_assert_int_eq(sscanf(device->ipv4, "100.64.0.%u", &v4), 1);
    ck_assert_int_eq(sscanf(device->ipv6, "200::%x", &v6), 1);
    ck_assert_uint_ge(v4, 1);
    ck_assert_uint_le(v4, PROCESSES * DEVICES_EACH);
    ck_assert_uint_eq(v4, v6);
    ck_assert(!seen[v4]);
    seen[v4] = true;
    return NX_OK;
}

START_TEST(test_processes_at_the_same_time)
{
    struct store_user user = world_user("alice");
    bool seen[PROCESSES * DEVICES_EACH + 1] = {false};
    struct store_filter everything = {0};
    uint64_t count = 0;
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0)
            _exit(join_some(user.id));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
    }
    ck_assert_int_eq(store_devices_count(world, &everything, &count), NX_OK);
    ck_assert_uint_eq(count, PROCESSES * DEVICES_EACH);
    ck_assert_int_eq(store_devices_list(world, &everything, count_one, seen), NX_OK);
    ck_assert(store_changed_elsewhere(world));
}
END_TEST

START_TEST(test_two_connections_in_turns)
{
    struct store_user user = world_user("alice");
    struct store *const first = world, *const second = world_open();
    for (unsigned i = 1; i <= 20; i++) {
        char expected[STORE_ADDRESS_MAX];
        world = i % 2 ? second : first;
        struct store_device device = world_device(user.id, user.id);
        snprintf(expected, sizeof expected, "100.64.0.%u", i);
        ck_assert_str_eq(device.ipv4, expected);
    }
    world = first;
    store_close(second);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_lowest_first_and_again_after_release);
    tcase_add_test(cases, test_wishes);
    tcase_add_test(cases, test_a_full_range);
    tcase_add_test(cases, test_one_family_full);
    tcase_add_test(cases, test_pools);
    tcase_add_test(cases, test_moves);
    tcase_add_test(cases, test_processes_at_the_same_time);
    tcase_add_test(cases, test_two_connections_in_turns);
}

int main(void)
{
    return world_run("apid_store_addresses", add, world_make);
}
