/* Users, their organizations, secrets and sessions. */
#include "world.h"

#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(test_a_user_comes_with_a_network)
{
    struct store_user user = world_user("alice"), found;
    struct store_organization organization;
    struct store_vpc vpc;
    static struct store_security_group group;
    ck_assert(id_valid(user.id));
    ck_assert_int_eq(store_user_get(world, user.id, &found), NX_OK);
    ck_assert_str_eq(found.username, "alice");
    ck_assert_int_eq(store_user_find(world, "Alice", &found), NX_OK); /* names know no case */
    ck_assert_str_eq(found.id, user.id);
    ck_assert_int_eq(store_organization_get(world, user.id, &organization), NX_OK);
    ck_assert_str_eq(organization.name, "alice");
    ck_assert_str_eq(organization.owner_id, user.id);
    ck_assert_int_eq(store_vpc_get(world, user.id, &vpc), NX_OK);
    ck_assert_str_eq(vpc.ipv4_cidr, "100.64.0.0/10");
    ck_assert_str_eq(vpc.ipv6_cidr, "200::/64");
    ck_assert(!vpc.private_cidr);
    ck_assert_int_eq(store_security_group_get(world, user.id, &group), NX_OK);
    ck_assert_str_eq(group.vpc_id, user.id);
    ck_assert_uint_eq(group.inbound_count + group.outbound_count, 0);
}
END_TEST

START_TEST(test_hostile_users)
{
    char longer[STORE_NAME_MAX + 8], password[1200];
    struct store_user user;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    memset(password, 'a', sizeof password);
    password[sizeof password - 1] = '\0';
    const char *const names[] = {"", "a\nb", "\xc3", "\x7f", longer, "00000000-0000-4000-8000-00000000000A"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(store_user_create(world, names[i], PASSWORD, &user, &world_error), NX_EINVAL);
        ck_assert_str_eq(world_error.field, "username");
    }
    const char *const passwords[] = {"", "1234567", password};
    for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++) {
        ck_assert_int_eq(store_user_create(world, "alice", passwords[i], &user, &world_error), NX_EINVAL);
        ck_assert_str_eq(world_error.field, "password");
    }
    struct store_user alice = world_user("alice");
    ck_assert_int_eq(store_user_create(world, "ALICE", PASSWORD, &user, &world_error), NX_EEXIST);
    ck_assert_str_eq(world_error.id, alice.id);
    struct store_organization organization;
    ck_assert_int_eq(store_organization_create(world, alice.id, "bob", "", &organization, &world_error),
                     NX_OK);
    ck_assert_int_eq(store_user_create(world, "bob", PASSWORD, &user, &world_error), NX_EEXIST);
    ck_assert_str_eq(world_error.reason, "an organization has that name");
    ck_assert_int_eq(store_user_find(world, "bob", &user), NX_ENOENT);
}
END_TEST

static uint64_t verify_ns(const char *name, const char *password, int expected)
{
    char id[STORE_ID_MAX];
    const uint64_t begin = clock_now_ns();
    ck_assert_int_eq(store_user_verify(world, name, password, id), expected);
    return clock_now_ns() - begin;
}

START_TEST(test_passwords)
{
    struct store_user user = world_user("alice");
    char id[STORE_ID_MAX], long_one[1100];
    memset(long_one, 'a', sizeof long_one);
    long_one[sizeof long_one - 1] = '\0';
    ck_assert_int_eq(store_user_verify(world, "alice", PASSWORD, id), NX_OK);
    ck_assert_str_eq(id, user.id);
    ck_assert_int_eq(store_user_verify(world, "alice", PASSWORD " ", id), NX_EPERM);
    ck_assert_int_eq(store_user_verify(world, "alice", "", id), NX_EPERM);
    ck_assert_int_eq(store_user_verify(world, "alice", long_one, id), NX_EPERM);
    ck_assert_int_eq(store_user_verify(world, "' OR 1 --", PASSWORD, id), NX_ENOENT);
    ck_assert_int_eq(store_user_set_password(world, "alice", "short", &world_error), NX_EINVAL);
    ck_assert_int_eq(store_user_set_password(world, "nobody", PASSWORD, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "user");
    ck_assert_int_eq(store_user_set_password(world, user.id, "another password", &world_error), NX_OK);
    ck_assert_int_eq(store_user_verify(world, "alice", PASSWORD, id), NX_EPERM);
    ck_assert_int_eq(store_user_verify(world, "alice", "another password", id), NX_OK);
}
END_TEST

/* Who asks cannot tell by the time whether a name is known. */
START_TEST(test_unknown_names_take_as_long)
{
    (void)world_user("alice");
    uint64_t known = UINT64_MAX, unknown = UINT64_MAX;
    (void)verify_ns("nobody", PASSWORD, NX_ENOENT); /* makes the hash that is compared with */
    for (int i = 0; i < 5; i++) {
        const uint64_t a = verify_ns("alice", "wrong password", NX_EPERM),
                       b = verify_ns("nobody", PASSWORD, NX_ENOENT);
        known = a < known ? a : known;
        unknown = b < unknown ? b : unknown;
    }
    ck_assert_uint_gt(unknown, known / 3);
    ck_assert_uint_gt(known, unknown / 3);
}
END_TEST

static int count_user(void *arg, const struct store_user *user)
{
    unsigned *count = arg;
    ck_assert_str_eq(user->username, *count == 0 ? "alice" : "bob");
    ++*count;
    return NX_OK;
}

START_TEST(test_deletion_takes_all_that_is_his)
{
    struct store_user bob = world_user("bob"), alice = world_user("alice"), found;
    struct store_device device = world_device(alice.id, alice.id), his;
    struct store_vpc vpc = world_vpc(alice.id, "10.9.0.0/24", "");
    struct store_reg_key key = {.description = ""};
    struct store_organization organization;
    char token[STORE_TOKEN_MAX], next[STORE_TOKEN_MAX], id[STORE_ID_MAX], scope[64];
    unsigned count = 0;
    strcpy(key.owner_id, alice.id);
    ck_assert_int_eq(store_reg_key_create(world, false, &key, &world_error), NX_OK);
    ck_assert_int_eq(store_refresh_create(world, alice.id, "openid", 2000, token), NX_OK);
    ck_assert_int_eq(store_users_list(world, count_user, &count), NX_OK);
    ck_assert_uint_eq(count, 2);
    const uint64_t before = store_revision(world);
    ck_assert_int_eq(store_user_delete(world, alice.id), NX_OK);
    ck_assert_int_eq(store_user_delete(world, alice.id), NX_ENOENT);
    ck_assert_uint_gt(store_revision(world), before);
    ck_assert_int_eq(store_user_get(world, alice.id, &found), NX_ENOENT);
    ck_assert_int_eq(store_device_get(world, device.id, &his), NX_ENOENT);
    ck_assert_int_eq(store_vpc_get(world, vpc.id, &vpc), NX_ENOENT);
    ck_assert_int_eq(store_organization_get(world, alice.id, &organization), NX_ENOENT);
    ck_assert_int_eq(store_reg_key_by_token(world, key.token, 1000, &key), NX_ENOENT);
    ck_assert_int_eq(store_refresh_rotate(world, token, 1000, 3000, id, scope, sizeof scope, next),
                     NX_ENOENT);
    ck_assert_str_eq(world_device(bob.id, bob.id).ipv4, device.ipv4); /* the address is free */
}
END_TEST

static int count_organization(void *arg, const struct store_organization *organization)
{
    (void)organization;
    ++*(unsigned *)arg;
    return NX_OK;
}

START_TEST(test_organizations)
{
    struct store_user alice = world_user("alice"), bob = world_user("bob");
    struct store_organization made, found;
    unsigned count = 0;
    ck_assert_int_eq(store_organization_create(world, alice.id, "", "", &made, &world_error), NX_EINVAL);
    ck_assert_int_eq(store_organization_create(world, alice.id, "a\n", "", &made, &world_error), NX_EINVAL);
    ck_assert_int_eq(store_organization_create(world, alice.id, "a", "\x01", &made, &world_error), NX_EINVAL);
    ck_assert_int_eq(store_organization_create(world, alice.id, "bob", "", &made, &world_error), NX_EEXIST);
    ck_assert_str_eq(world_error.id, bob.id);
    ck_assert_int_eq(store_organization_create(world, "nobody", "a", "", &made, &world_error), NX_ENOENT);
    ck_assert_int_eq(store_organization_create(world, alice.id, "works", "of art", &made, &world_error),
                     NX_OK);
    ck_assert_int_eq(store_organization_get(world, made.id, &found), NX_OK);
    ck_assert_str_eq(found.description, "of art");
    ck_assert_int_eq(store_organizations_list(world, alice.id, count_organization, &count), NX_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(store_organizations_list(world, "", count_organization, &count), NX_OK);
    ck_assert_uint_eq(count, 5);
    struct store_vpc vpc = world_vpc(made.id, "", "");
    struct store_device device = world_device(alice.id, vpc.id);
    ck_assert_int_eq(store_organization_delete(world, made.id, &world_error), NX_EPERM);
    ck_assert_ptr_nonnull(strstr(world_error.reason, "devices"));
    ck_assert_int_eq(store_organization_delete(world, alice.id, &world_error), NX_EPERM);
    ck_assert_str_eq(world_error.error, "operation not allowed");
    ck_assert_int_eq(store_device_delete(world, device.id, NULL), NX_OK);
    ck_assert_int_eq(store_organization_delete(world, made.id, &world_error), NX_OK);
    ck_assert_int_eq(store_organization_delete(world, made.id, &world_error), NX_ENOENT);
    ck_assert_str_eq(world_error.resource, "organization");
    ck_assert_int_eq(store_vpc_get(world, vpc.id, &vpc), NX_ENOENT);
}
END_TEST

START_TEST(test_secrets)
{
    char out[16];
    ck_assert_int_eq(store_secret_get(world, "signing-key", out, sizeof out), NX_ENOENT);
    ck_assert_int_eq(store_secret_put(world, "signing-key", "first"), NX_OK);
    ck_assert_int_eq(store_secret_put(world, "signing-key", "second"), NX_OK);
    ck_assert_int_eq(store_secret_get(world, "signing-key", out, sizeof out), NX_OK);
    ck_assert_str_eq(out, "second");
    ck_assert_int_eq(store_secret_get(world, "signing-key", out, 6), NX_ERANGE);
    ck_assert_int_eq(store_secret_get(world, "signing-key", out, 7), NX_OK);
}
END_TEST

/* A secret of tokens that is no secret any more is not worked with. */
START_TEST(test_a_broken_token_secret)
{
    struct store *store = NULL;
    char error[STORE_TEXT_MAX];
    static const char *const broken[] = {"", "00", "zz"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        ck_assert_int_eq(store_secret_put(world, "token-secret", broken[i]), NX_OK);
        ck_assert_int_eq(store_open(world_folder, &store, error), NX_EPROTO);
        ck_assert_ptr_nonnull(strstr(error, "secret"));
    }
}
END_TEST

START_TEST(test_refresh_tokens)
{
    struct store_user user = world_user("alice");
    char first[STORE_TOKEN_MAX], second[STORE_TOKEN_MAX], third[STORE_TOKEN_MAX], id[STORE_ID_MAX], scope[64];
    ck_assert_int_eq(store_refresh_create(world, "nobody", "openid", 2000, first), NX_ENOENT);
    ck_assert_int_eq(store_refresh_create(world, user.id, "openid email", 2000, first), NX_OK);
    ck_assert_int_eq(store_refresh_rotate(world, "nonsense", 1000, 3000, id, scope, sizeof scope, second),
                     NX_ENOENT);
    ck_assert_int_eq(store_refresh_rotate(world, first, 2000, 3000, id, scope, sizeof scope, second),
                     NX_ENOENT);
    ck_assert_int_eq(store_refresh_rotate(world, first, 1999, 3000, id, scope, sizeof scope, second), NX_OK);
    ck_assert_str_eq(id, user.id);
    ck_assert_str_eq(scope, "openid email");
    ck_assert_str_ne(first, second);
    ck_assert_int_eq(store_refresh_rotate(world, second, 1999, 4000, id, scope, sizeof scope, third), NX_OK);
    /* The first again: it was stolen, or its successors were. The session is over for all. */
    ck_assert_int_eq(store_refresh_rotate(world, first, 1999, 4000, id, scope, sizeof scope, second),
                     NX_EPERM);
    ck_assert_int_eq(store_refresh_rotate(world, third, 1999, 4000, id, scope, sizeof scope, second),
                     NX_ENOENT);
}
END_TEST

START_TEST(test_sessions_end)
{
    struct store_user user = world_user("alice");
    char token[STORE_TOKEN_MAX], other[STORE_TOKEN_MAX], id[STORE_ID_MAX], scope[64], next[STORE_TOKEN_MAX];
    ck_assert_int_eq(store_refresh_create(world, user.id, "openid", 2000, token), NX_OK);
    ck_assert_int_eq(store_refresh_create(world, user.id, "openid", 9000, other), NX_OK);
    ck_assert_int_eq(store_collect(world, 5000), NX_OK); /* the expired one is gone, the other is not */
    ck_assert_int_eq(store_refresh_rotate(world, token, 1000, 9000, id, scope, sizeof scope, next),
                     NX_ENOENT);
    ck_assert_int_eq(store_refresh_rotate(world, other, 5000, 9000, id, scope, sizeof scope, next), NX_OK);
    ck_assert_int_eq(store_user_set_password(world, "alice", "another password", &world_error), NX_OK);
    ck_assert_int_eq(store_refresh_rotate(world, next, 5000, 9000, id, scope, sizeof scope, token),
                     NX_ENOENT);
}
END_TEST

static void add(TCase *cases)
{
    tcase_add_test(cases, test_a_user_comes_with_a_network);
    tcase_add_test(cases, test_hostile_users);
    tcase_add_test(cases, test_passwords);
    tcase_add_test(cases, test_unknown_names_take_as_long);
    tcase_add_test(cases, test_deletion_takes_all_that_is_his);
    tcase_add_test(cases, test_organizations);
    tcase_add_test(cases, test_secrets);
    tcase_add_test(cases, test_a_broken_token_secret);
    tcase_add_test(cases, test_refresh_tokens);
    tcase_add_test(cases, test_sessions_end);
}

int main(void)
{
    return world_run("apid_store_people", add, world_make);
}
