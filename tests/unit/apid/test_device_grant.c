/* Device authorization and the limits on attempts, in simulated time. */
#include "apid/oidc/device_grant.h"
#include "apid/oidc/limiter.h"
#include "common/clock.h"

#include <check.h>
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct device_grants grants;
static char user[DEVICE_USER_MAX], scope[DEVICE_SCOPE_MAX];
static uint64_t now;

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    device_grants_init(&grants);
    now = 1000 * NS_PER_S;
}

static void teardown(void)
{
    device_grants_free(&grants);
    ck_assert_uint_eq(grants.count, 0);
}

static enum device_poll poll_after(const char *code, unsigned seconds)
{
    now += seconds * NS_PER_S;
    return device_grant_poll(&grants, code, now, user, scope);
}

START_TEST(test_approved)
{
    const struct device_grant *const grant = device_grant_start(&grants, "openid", now);
    char code[DEVICE_CODE_MAX];
    strcpy(code, grant->device_code);
    ck_assert_uint_eq(strlen(code), 43);
    ck_assert_uint_eq(strlen(grant->user_code), 9);
    ck_assert_int_eq(grant->user_code[4], '-');
    ck_assert_int_eq(poll_after(code, 0), DEVICE_POLL_PENDING);
    ck_assert_int_eq(poll_after(code, 1), DEVICE_POLL_SLOW_DOWN);
    ck_assert_int_eq(poll_after(code, 5), DEVICE_POLL_PENDING);
    device_grant_approve(device_grant_find(&grants, grant->user_code, now), "u-1");
    ck_assert_ptr_null(device_grant_find(&grants, grant->user_code, now)); /* no second opinion */
    ck_assert_int_eq(poll_after(code, 0), DEVICE_POLL_GRANTED);
    ck_assert_str_eq(user, "u-1");
    ck_assert_str_eq(scope, "openid");
    ck_assert_int_eq(poll_after(code, 5), DEVICE_POLL_UNKNOWN);
}
END_TEST

START_TEST(test_denied)
{
    const struct device_grant *const grant = device_grant_start(&grants, "", now);
    device_grant_deny(device_grant_find(&grants, grant->user_code, now));
    ck_assert_int_eq(poll_after(grant->device_code, 5), DEVICE_POLL_DENIED);
    ck_assert_int_eq(poll_after(grant->device_code, 5), DEVICE_POLL_DENIED);
}
END_TEST

START_TEST(test_expired)
{
    const struct device_grant *const grant = device_grant_start(&grants, "", now);
    char code[DEVICE_CODE_MAX], user_code[DEVICE_USER_CODE_MAX];
    strcpy(code, grant->device_code);
    strcpy(user_code, grant->user_code);
    ck_assert_int_eq(poll_after(code, DEVICE_EXPIRES_S - 1), DEVICE_POLL_PENDING);
    ck_assert_int_eq(poll_after(code, 1), DEVICE_POLL_EXPIRED);
    ck_assert_ptr_null(device_grant_find(&grants, user_code, now));
    ck_assert_int_eq(poll_after(code, DEVICE_EXPIRED_KEPT_S), DEVICE_POLL_UNKNOWN);
}
END_TEST

START_TEST(test_codes_as_people_type_them)
{
    const struct device_grant *const grant = device_grant_start(&grants, "", now);
    char typed[32], *to = typed;
    for (const char *c = grant->user_code; *c; c++)
        if (*c != '-')
            *to++ = (char)tolower(*c);
    *to = '\0';
    ck_assert_ptr_eq(device_grant_find(&grants, typed, now), grant);
    snprintf(typed, sizeof(typed), " %.4s %s ", grant->user_code, grant->user_code + 5);
    ck_assert_ptr_eq(device_grant_find(&grants, typed, now), grant);
    snprintf(typed, sizeof(typed), "%sB", grant->user_code);
    ck_assert_ptr_null(device_grant_find(&grants, typed, now));
    static const char *const none[] = {
        "", "-", "BCDF", "BCDFGHJKLMNPQRSTVWXZ", "AEIO-U123", "BCDF-GH\xff\xff"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_ptr_null(device_grant_find(&grants, none[i], now));
    ck_assert_int_eq(poll_after("", 0), DEVICE_POLL_UNKNOWN);
    ck_assert_int_eq(poll_after("nope", 0), DEVICE_POLL_UNKNOWN);
}
END_TEST

START_TEST(test_bounds)
{
    char first[DEVICE_CODE_MAX], long_scope[DEVICE_SCOPE_MAX + 1];
    strcpy(first, device_grant_start(&grants, "", now)->device_code);
    for (unsigned i = 1; i < DEVICE_GRANTS_MAX; i++)
        ck_assert_ptr_nonnull(device_grant_start(&grants, "", now));
    ck_assert_int_eq(poll_after(first, 0), DEVICE_POLL_PENDING);
    ck_assert_ptr_nonnull(device_grant_start(&grants, "", now));
    ck_assert_uint_eq(grants.count, DEVICE_GRANTS_MAX);
    ck_assert_int_eq(poll_after(first, 5), DEVICE_POLL_UNKNOWN);
    memset(long_scope, 'a', DEVICE_SCOPE_MAX);
    long_scope[DEVICE_SCOPE_MAX] = '\0';
    ck_assert_ptr_null(device_grant_start(&grants, long_scope, now));
}
END_TEST

START_TEST(test_limiter)
{
    static struct limiter limiter;
    limiter_init(&limiter, 10 * NS_PER_S, 3);
    for (unsigned i = 0; i < 3; i++)
        ck_assert(limiter_take(&limiter, "a", now));
    ck_assert(!limiter_take(&limiter, "a", now));
    ck_assert(!limiter_allows(&limiter, "a", now));
    unsigned others = 0; /* all but those that share the slot */
    for (unsigned i = 0; i < 100; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%u", i);
        others += limiter_take(&limiter, key, now);
    }
    ck_assert_uint_ge(others, 95);
    ck_assert(!limiter_take(&limiter, "a", now + 9 * NS_PER_S));
    ck_assert(limiter_allows(&limiter, "a", now + 10 * NS_PER_S));
    ck_assert(limiter_take(&limiter, "a", now + 10 * NS_PER_S));
    ck_assert(!limiter_take(&limiter, "a", now + 10 * NS_PER_S));
    for (unsigned i = 0; i < 3; i++)
        ck_assert(limiter_take(&limiter, "a", now + 1000 * NS_PER_S));
    ck_assert(!limiter_take(&limiter, "a", now + 1000 * NS_PER_S));
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_device_grant");
    TCase *const cases = tcase_create("device_grant");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_approved);
    tcase_add_test(cases, test_denied);
    tcase_add_test(cases, test_expired);
    tcase_add_test(cases, test_codes_as_people_type_them);
    tcase_add_test(cases, test_bounds);
    tcase_add_test(cases, test_limiter);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
