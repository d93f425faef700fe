/* VPCs and security groups: ranges, rules, what may not be deleted, tombstones. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static struct store_user user;
static struct store_security_group group; /* too large for the stack */

static void setup(void)
{
    world_make();
    user = world_user("alice");
    memset(&group, 0, sizeof group);
    strcpy(group.vpc_id, user.id);
    strcpy(group.description, "web");
}

START_TEST(test_vpcs)
{
    struct store_vpc vpc = world_vpc(user.id, "10.9.8.7/16", "fd00::1/64"), found;
    ck_assert_str_eq(vpc.ipv4_cidr, "10.9.0.0/16"); /* as it is meant */
    ck_assert_str_eq(vpc.ipv6_cidr, "fd00::/64");
    ck_assert_str_eq(vpc.owner_id, user.id);
    ck_assert_int_eq(store_security_group_get(world, vpc.id, &group), NX_OK); /* with its own */
    const uint64_t before = store_revision(world);
    ck_assert_int_eq(store_vpc_set_description(world, vpc.id, "another", &found), NX_OK);
    ck_assert_uint_eq(store_revision(world), before); /* nothing new */
    ck_assert_int_eq(store_vpc_set_description(world, vpc.id, "new", &found), NX_OK);
    ck_assert_uint_eq(found.revision, before + 1);
    ck_assert_int_eq(store_vpc_get(world, vpc.id, &found), NX_OK);
    ck_assert_str_eq(found.description, "new");
    ck_assert_int_eq(store_vpc_set_description(world, vpc.id, "a\nb", &found), NX_EINVAL);
    ck_assert_int_eq(store_vpc_set_description(world, "nobody", "a", &found), NX_ENOENT);
}
END_TEST

START_TEST(test_hostile_vpcs)
{
    static const struct {
        bool own;
        const char *v4, *v6, *field;
    } cases[] = {
        {true, "nonsense", "", "ipv4_cidr"},    {true, "10.0.0.0/7", "", "ipv4_cidr"},
        {true, "10.0.0.0/31", "", "ipv4_cidr"}, {true, "10.0.0.0", "", "ipv4_cidr"},
        {true, "fd00::/64", "", "ipv4_cidr"},   {true, "", "10.0.0.0/8", "ipv6_cidr"},
        {true, "", "fd00::/127", "ipv6_cidr"},  {true, "", "::/0", "ipv6_cidr"},
        {false, "10.0.0.0/8", "", "ipv4_cidr"}, {false, "", "fd00::/64", "ipv6_cidr"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct store_vpc vpc = {.private_cidr = cases[i].own};
        strcpy(vpc.organization_id, user.id);
        strcpy(vpc.ipv4_cidr, cases[i].v4);
        strcpy(vpc.ipv6_cidr, cases[i].v6);
        ck_assert_msg(store_vpc_create(world, &vpc, &world_error) == NX_EINVAL, "%zu", i);
        ck_assert_str_eq(world_error.field, cases[i].field);
    }
    struct store_vpc vpc = {.description = "\x1b"};
    strcpy(vpc.organization_id, user.id);
    ck_assert_int_eq(store_vpc_create(world, &vpc, &world_error), NX_EINVAL);
    vpc = (struct store_vpc){.organization_id = "nobody"};
    ck_assert_int_eq(store_vpc_create(world, &vpc, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "organization");
    vpc = (struct store_vpc){.private_cidr = false}; /* the shared ranges may be named */
    strcpy(vpc.organization_id, user.id);
    strcpy(vpc.ipv4_cidr, "100.64.0.0/10");
    ck_assert_int_eq(store_vpc_create(world, &vpc, &world_error), NX_OK);
}
END_TEST

struct seen {
    unsigned count, deleted;
    uint64_t revision;
    bool ascending;
    char last[STORE_ID_MAX];
};

static int look(struct seen *seen, const char *id, uint64_t revision, bool deleted)
{
    seen->ascending &= revision > seen->revision;
    seen->revision = revision;
    seen->count++;
    seen->deleted += deleted;
    snprintf(seen->last, sizeof seen->last, "%s", id);
    return NX_OK;
}

static int look_vpc(void *arg, const struct store_vpc *vpc)
{
    return look(arg, vpc->id, vpc->revision, vpc->deleted);
}

static int look_group(void *arg, const struct store_security_group *found)
{
    return look(arg, found->id, found->revision, found->deleted);
}

static struct seen vpcs(const struct store_filter *filter)
{
    struct seen seen = {.ascending = true};
    ck_assert_int_eq(store_vpcs_list(world, filter, look_vpc, &seen), NX_OK);
    return seen;
}

static struct seen groups(const struct store_filter *filter)
{
    struct seen seen = {.ascending = true};
    ck_assert_int_eq(store_security_groups_list(world, filter, look_group, &seen), NX_OK);
    return seen;
}

START_TEST(test_vpcs_that_may_not_be_deleted)
{
    struct store_vpc vpc = world_vpc(user.id, "", ""), gone;
    struct store_device device = world_device(user.id, vpc.id);
    ck_assert_int_eq(store_vpc_delete(world, user.id, &gone, &world_error), NX_EPERM);
    ck_assert_str_eq(world_error.error, "operation not allowed");
    ck_assert_int_eq(store_vpc_delete(world, vpc.id, &gone, &world_error), NX_EPERM);
    ck_assert_int_eq(store_vpc_delete(world, "nobody", &gone, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "vpc");
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    ck_assert_int_eq(store_vpc_delete(world, vpc.id, &gone, &world_error), NX_OK);
    ck_assert(gone.deleted);
}
END_TEST

START_TEST(test_a_vpcs_tombstones)
{
    struct store_vpc vpc = world_vpc(user.id, "", ""), gone;
    struct store_reg_key key = {.description = ""};
    strcpy(key.owner_id, user.id);
    strcpy(key.vpc_id, vpc.id);
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_OK);
    strcpy(group.vpc_id, vpc.id);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_OK);
    struct store_filter filter = {.after_revision = store_revision(world), .with_deleted = true, .limit = 15};
    ck_assert_int_eq(store_vpc_delete(world, vpc.id, &gone, &world_error), NX_OK);
    ck_assert_int_eq(store_vpc_get(world, vpc.id, &vpc), NX_ENOENT);
    ck_assert_int_eq(store_reg_key_get(world, key.id, &key), NX_ENOENT);
    ck_assert_uint_eq(vpcs(&filter).deleted, 1);
    struct seen first = groups(&filter);
    filter.after_revision = first.revision;
    struct seen rest = groups(&filter);
    ck_assert(first.ascending && rest.ascending);
    ck_assert_uint_eq(first.deleted + rest.deleted, 21);
    ck_assert_int_eq(store_collect(world, wall_s() + STORE_TOMBSTONE_S + 60), NX_OK);
    filter = (struct store_filter){.with_deleted = true};
    ck_assert_uint_eq(vpcs(&filter).count, 1);
    ck_assert_uint_eq(groups(&filter).count, 1);
}
END_TEST

START_TEST(test_feeds_of_an_organization)
{
    struct store_user bob = world_user("bob");
    struct store_filter filter = {.with_deleted = true};
    strcpy(filter.organization_id, user.id);
    struct store_vpc second = world_vpc(user.id, "", ""), third = world_vpc(user.id, "", ""), gone;
    struct seen of_vpcs = vpcs(&filter), of_groups = groups(&filter);
    ck_assert(of_vpcs.ascending && of_groups.ascending);
    ck_assert_uint_eq(of_vpcs.count, 3);
    ck_assert_uint_eq(of_groups.count, 3);
    filter.after_revision = store_revision(world);
    ck_assert_uint_eq(vpcs(&filter).count + groups(&filter).count, 0);
    ck_assert_int_eq(store_vpc_set_description(world, bob.id, "of another", &gone), NX_OK);
    ck_assert_int_eq(store_vpc_delete(world, second.id, &gone, &world_error), NX_OK);
    ck_assert_int_eq(store_vpc_set_description(world, third.id, "new", &third), NX_OK);
    of_vpcs = vpcs(&filter);
    ck_assert(of_vpcs.ascending && of_vpcs.count == 2 && of_vpcs.deleted == 1);
    ck_assert_str_eq(of_vpcs.last, third.id);
    of_groups = groups(&filter);
    ck_assert(of_groups.count == 1 && of_groups.deleted == 1);
    filter.with_deleted = false;
    ck_assert_uint_eq(vpcs(&filter).count, 1);
    ck_assert_uint_eq(groups(&filter).count, 0);
    filter.after_revision = 1;
    filter.limit = 2;
    of_groups = groups(&filter); /* over several VPCs, in one order */
    ck_assert(of_groups.ascending && of_groups.count == 2);
    strcpy(filter.vpc_id, third.id);
    ck_assert_str_eq(groups(&filter).last, third.id);
    ck_assert_str_eq(vpcs(&filter).last, third.id);
    strcpy(filter.owner_id, bob.id);
    ck_assert_uint_eq(groups(&filter).count + vpcs(&filter).count, 0);
}
END_TEST

START_TEST(test_lists)
{
    struct store_user bob = world_user("bob");
    struct store_vpc vpc = world_vpc(user.id, "", "");
    struct store_filter filter = {0};
    ck_assert_uint_eq(vpcs(&filter).count, 3);
    ck_assert_uint_eq(groups(&filter).count, 3);
    strcpy(filter.owner_id, bob.id);
    ck_assert_str_eq(vpcs(&filter).last, bob.id);
    ck_assert_str_eq(groups(&filter).last, bob.id);
    filter = (struct store_filter){0};
    strcpy(filter.organization_id, user.id);
    ck_assert_uint_eq(vpcs(&filter).count, 2);
    ck_assert_uint_eq(groups(&filter).count, 2);
    strcpy(filter.vpc_id, vpc.id);
    ck_assert_uint_eq(vpcs(&filter).count, 1);
    ck_assert_uint_eq(groups(&filter).count, 1);
    filter = (struct store_filter){.limit = 2};
    ck_assert_uint_eq(vpcs(&filter).count, 2);
    ck_assert_uint_eq(groups(&filter).count, 2);
}
END_TEST

static struct store_rule rule(const char *protocol, uint16_t from, uint16_t to, const char *range)
{
    struct store_rule made = {.from_port = from, .to_port = to, .range_count = range != NULL};
    strcpy(made.ip_protocol, protocol);
    strcpy(made.ranges[0], range ? range : "");
    return made;
}

START_TEST(test_rules)
{
    static const struct {
        const char *protocol;
        uint16_t from, to;
        const char *range, *field; /* NULL: sound */
    } cases[] = {
        {"tcp", 22, 22, NULL, NULL},
        {"udp", 1, 65535, "", NULL},
        {"ipv4", 0, 0, "10.0.0.0/8", NULL},
        {"ipv6", 0, 0, "200::5", NULL},
        {"icmp", 0, 0, "10.0.0.1-10.0.0.9", NULL},
        {"icmpv4", 0, 0, "10.0.0.1 - 10.0.0.1", NULL},
        {"icmpv6", 0, 0, "200::1-200::ffff", NULL},
        {"", 0, 0, NULL, NULL},
        {"sctp", 0, 0, NULL, "protocol"},
        {"TCP", 0, 0, NULL, "protocol"},
        {"tcp", 0, 22, NULL, "port_range"},
        {"tcp", 22, 0, NULL, "port_range"},
        {"tcp", 23, 22, NULL, "port_range"},
        {"tcp", 0, 0, "nonsense", "ip_range"},
        {"tcp", 0, 0, "10.0.0.0/33", "ip_range"},
        {"tcp", 0, 0, "10.0.0.9-10.0.0.1", "ip_range"},
        {"tcp", 0, 0, "10.0.0.1-200::1", "ip_range"},
        {"tcp", 0, 0, "-", "ip_range"},
        {"tcp", 0, 0, "10.0.0.1-", "ip_range"},
        {"tcp", 0, 0, "10.0.0.1-10.0.0.2-10.0.0.3", "ip_range"},
        {"tcp", 0, 0, " ", "ip_range"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        group.inbound_count = 1;
        group.outbound_count = 0;
        group.inbound[0] = rule(cases[i].protocol, cases[i].from, cases[i].to, cases[i].range);
        const int err = store_security_group_create(world, &group, &world_error);
        ck_assert_msg(err == (cases[i].field ? NX_EINVAL : NX_OK), "%zu: %s", i, world_error.error);
        if (err) {
            ck_assert(world_error.unprocessable);
            ck_assert_msg(strcmp(world_error.field, cases[i].field) == 0, "%zu: %s", i, world_error.field);
            continue;
        }
        const struct store_rule wanted = group.inbound[0];
        ck_assert_int_eq(store_security_group_get(world, group.id, &group), NX_OK);
        ck_assert_uint_eq(group.inbound_count, 1);
        ck_assert_str_eq(group.inbound[0].ip_protocol, wanted.ip_protocol);
        ck_assert_uint_eq(group.inbound[0].to_port, wanted.to_port);
        ck_assert_uint_eq(group.inbound[0].range_count, wanted.range_count);
        ck_assert_str_eq(group.inbound[0].ranges[0], wanted.ranges[0]);
    }
    group.inbound_count = 0;
    group.outbound_count = STORE_RULES_MAX + 1;
    ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_EINVAL);
    ck_assert_str_eq(world_error.field, "rule");
}
END_TEST

START_TEST(test_groups_at_their_largest)
{
    group.inbound_count = group.outbound_count = STORE_RULES_MAX;
    for (unsigned i = 0; i < STORE_RULES_MAX; i++) {
        group.inbound[i] = rule("tcp", (uint16_t)(i + 1), 65535, NULL);
        group.inbound[i].range_count = STORE_RANGES_MAX;
        for (unsigned r = 0; r < STORE_RANGES_MAX; r++)
            snprintf(group.inbound[i].ranges[r], STORE_RANGE_MAX,
                     "2001:db8:%x:%x::-2001:db8:%x:%x:ffff:ffff:ffff:ffff", i, r, i, r);
        group.outbound[i] = rule("udp", 1, (uint16_t)(i + 1), "10.0.0.0/8");
    }
    ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_OK);
    ck_assert_int_eq(store_security_group_get(world, group.id, &group), NX_OK);
    ck_assert_uint_eq(group.inbound_count, STORE_RULES_MAX);
    ck_assert_uint_eq(group.inbound[STORE_RULES_MAX - 1].range_count, STORE_RANGES_MAX);
    ck_assert_str_eq(group.inbound[63].ranges[31], "2001:db8:3f:1f::-2001:db8:3f:1f:ffff:ffff:ffff:ffff");
    ck_assert_uint_eq(group.outbound[63].to_port, 64);
}
END_TEST

START_TEST(test_group_updates)
{
    group.inbound_count = 1;
    group.inbound[0] = rule("tcp", 22, 22, "10.0.0.0/8");
    ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_OK);
    const uint64_t before = store_revision(world);
    const unsigned all = STORE_GROUP_DESCRIPTION | STORE_GROUP_INBOUND | STORE_GROUP_OUTBOUND;
    ck_assert_int_eq(store_security_group_update(world, all, &group, &world_error), NX_OK);
    ck_assert_uint_eq(store_revision(world), before); /* nothing new */
    strcpy(group.inbound[0].ranges[0], "10.0.0.0/9");
    ck_assert_int_eq(store_security_group_update(world, STORE_GROUP_DESCRIPTION, &group, &world_error),
                     NX_OK);
    ck_assert_uint_eq(store_revision(world), before); /* that was not meant */
    ck_assert_str_eq(group.inbound[0].ranges[0], "10.0.0.0/8");
    strcpy(group.inbound[0].ranges[0], "10.0.0.0/9");
    ck_assert_int_eq(store_security_group_update(world, STORE_GROUP_INBOUND, &group, &world_error), NX_OK);
    ck_assert_uint_eq(group.revision, before + 1);
    group.inbound_count = 0; /* empties the list */
    ck_assert_int_eq(store_security_group_update(world, STORE_GROUP_INBOUND, &group, &world_error), NX_OK);
    ck_assert_int_eq(store_security_group_get(world, group.id, &group), NX_OK);
    ck_assert_uint_eq(group.inbound_count, 0);
    group.outbound_count = 1;
    group.outbound[0] = rule("sctp", 0, 0, NULL);
    ck_assert_int_eq(store_security_group_update(world, STORE_GROUP_OUTBOUND, &group, &world_error),
                     NX_EINVAL);
    ck_assert_str_eq(world_error.field, "protocol");
    strcpy(group.description, "a\nb");
    ck_assert_int_eq(store_security_group_update(world, STORE_GROUP_DESCRIPTION, &group, &world_error),
                     NX_EINVAL);
    strcpy(group.id, "nobody");
    ck_assert_int_eq(store_security_group_update(world, all, &group, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "security_group");
}
END_TEST

START_TEST(test_groups_that_may_not_be_deleted)
{
    ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_OK);
    char id[STORE_ID_MAX];
    strcpy(id, group.id);
    struct store_device device = world_device(user.id, user.id);
    strcpy(device.security_group_id, id);
    ck_assert_int_eq(store_device_update(world, STORE_DEVICE_SECURITY_GROUP, &device, &world_error), NX_OK);
    ck_assert_int_eq(store_security_group_delete(world, id, &group, &world_error), NX_EPERM);
    ck_assert_str_eq(world_error.reason, "security group cannot be deleted while devices are still using it");
    ck_assert_int_eq(store_security_group_delete(world, user.id, &group, &world_error), NX_EPERM);
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    ck_assert_int_eq(store_security_group_delete(world, id, &group, &world_error), NX_OK);
    ck_assert(group.deleted);
    ck_assert_int_eq(store_security_group_delete(world, id, &group, &world_error), NX_ENOENT);
    ck_assert_int_eq(store_security_group_get(world, id, &group), NX_ENOENT);
    strcpy(group.vpc_id, "nobody");
    ck_assert_int_eq(store_security_group_create(world, &group, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "vpc");
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_vpcs);
    tcase_add_test(cases, test_hostile_vpcs);
    tcase_add_test(cases, test_vpcs_that_may_not_be_deleted);
    tcase_add_test(cases, test_a_vpcs_tombstones);
    tcase_add_test(cases, test_feeds_of_an_organization);
    tcase_add_test(cases, test_lists);
    tcase_add_test(cases, test_rules);
    tcase_add_test(cases, test_groups_at_their_largest);
    tcase_add_test(cases, test_group_updates);
    tcase_add_test(cases, test_groups_that_may_not_be_deleted);
}

int main(void)
{
    return world_run("apid_store_networks", add, setup);
}
