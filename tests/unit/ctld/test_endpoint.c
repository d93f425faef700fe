/* Endpoints on a simulated clock: when names are looked up, when addresses change, and when neither may
 * happen. */
#include "common/clock.h"
#include "common/err.h"
#include "ctld/endpoint.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define START_NS (5000 * NS_PER_S)

static struct endpoint e;
static uint64_t now_ns;
static uint64_t tx;

static struct netaddr address(const char *text)
{
    struct netaddr out;
    ck_assert_int_eq(netaddr_parse(text, &out), NX_OK);
    return out;
}

static void expect_address(const char *text)
{
    char actual[NETSOCK_TEXT_MAX];
    const struct netsock used = endpoint_address(&e);
    ck_assert_str_eq(netsock_format(&used, actual), text);
}

static void begin(const char *host)
{
    now_ns = START_NS;
    tx = 0;
    ck_assert_int_eq(endpoint_init(&e, host, 51820, now_ns), NX_OK);
}

/* A name with two addresses of each family, the first in use. */
static void begin_resolved(uint32_t ttl_s)
{
    const struct netaddr found[] = {address("2001:db8::1"), address("2001:db8::2"), address("192.0.2.1"),
                                    address("192.0.2.2")};
    begin("peer.example");
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
    endpoint_resolving(&e);
    endpoint_resolved(&e, found, 4, ttl_s, now_ns);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_USE);
    expect_address("[2001:db8::1]:51820");
}

/* The tunnel has sent, without any handshake so far. */
static void sent_in_vain(void)
{
    tx += 148;
    endpoint_status(&e, 0, tx, now_ns);
}

START_TEST(an_address_is_used_as_it_is)
{
    begin("192.0.2.7");
    ck_assert_uint_eq(endpoint_next_ns(&e), 0);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_USE);
    expect_address("192.0.2.7:51820");
    sent_in_vain();
    now_ns += 3600 * NS_PER_S;
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    ck_assert_uint_eq(endpoint_next_ns(&e), UINT64_MAX);
    ck_assert_uint_eq(endpoint_status_due_ns(&e, now_ns), UINT64_MAX);
    begin("fe80::1%3");
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_USE);
    expect_address("[fe80::1%3]:51820");
}
END_TEST

START_TEST(no_endpoint_asks_for_nothing)
{
    now_ns = START_NS;
    ck_assert_int_eq(endpoint_init(&e, "", 0, now_ns), NX_OK);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    ck_assert_uint_eq(endpoint_next_ns(&e), UINT64_MAX);
    ck_assert_int_eq(endpoint_address(&e).addr.family, NETADDR_NONE);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    static const char *const bad[] = {"a b", "-x.example", "1.2.3", "fe80::1%eth0", "[::1]", "a..b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(endpoint_init(&e, bad[i], 51820, START_NS) == NX_EINVAL, "%s", bad[i]);
    ck_assert_int_eq(endpoint_init(&e, "peer.example", 0, START_NS), NX_EINVAL);
}
END_TEST

START_TEST(families_take_turns_while_handshakes_fail)
{
    static const char *const order[] = {"192.0.2.1:51820", "[2001:db8::2]:51820", "192.0.2.2:51820",
                                        "[2001:db8::1]:51820", "192.0.2.1:51820"};
    begin_resolved(86400);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        sent_in_vain();
        now_ns += ENDPOINT_TRY_MS * NS_PER_MS - 1;
        sent_in_vain();
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
        ck_assert_uint_eq(endpoint_next_ns(&e), now_ns + 1);
        now_ns++;
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_USE);
        expect_address(order[i]);
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    }
}
END_TEST

START_TEST(silence_proves_nothing)
{
    begin_resolved(60);
    for (unsigned i = 0; i < 1000; i++) {
        now_ns += 10 * NS_PER_S;
        endpoint_status(&e, 0, 0, now_ns); /* nobody talks to this peer */
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    }
    expect_address("[2001:db8::1]:51820");
}
END_TEST

START_TEST(a_handshake_settles_it)
{
    begin_resolved(5);
    sent_in_vain();
    now_ns += NS_PER_S;
    const uint64_t handshake_ns = now_ns;
    endpoint_status(&e, handshake_ns, tx += 148, now_ns);
    while (now_ns - handshake_ns < (ENDPOINT_ALIVE_MS - 1000) * NS_PER_MS) {
        now_ns += NS_PER_S / 2;
        endpoint_status(&e, handshake_ns, tx += 1000, now_ns);
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    }
    ck_assert_uint_eq(endpoint_status_due_ns(&e, now_ns), handshake_ns + ENDPOINT_ALIVE_MS * NS_PER_MS);
    /* It is over: the tunnel tries again, and the TTL has long passed. */
    now_ns = handshake_ns + ENDPOINT_ALIVE_MS * NS_PER_MS;
    endpoint_status(&e, handshake_ns, tx += 148, now_ns);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
}
END_TEST

START_TEST(look_ups_wait_for_the_ttl)
{
    begin_resolved(60);
    sent_in_vain();
    now_ns += 59 * NS_PER_S;
    (void)endpoint_step(&e, now_ns); /* the next address */
    sent_in_vain();
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    now_ns += NS_PER_S;
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
    endpoint_resolving(&e);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    /* The address in use is still among them: it stays, at its new place. */
    const struct netaddr again[] = {address("192.0.2.9"), address("192.0.2.1")};
    endpoint_resolved(&e, again, 2, 60, now_ns);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    expect_address("192.0.2.1:51820");
}
END_TEST

START_TEST(a_ttl_of_zero_is_stretched)
{
    begin_resolved(0);
    sent_in_vain();
    now_ns += ENDPOINT_TTL_MIN_MS * NS_PER_MS - 1;
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    now_ns++;
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
}
END_TEST

START_TEST(failures_back_off)
{
    uint64_t expected_ms = ENDPOINT_BACKOFF_MIN_MS;
    begin("peer.example");
    for (unsigned i = 0; i < 12; i++) {
        ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
        endpoint_resolving(&e);
        if (i % 2)
            endpoint_resolve_failed(&e, now_ns);
        else
            endpoint_resolved(&e, NULL, 0, 300, now_ns); /* a name without addresses */
        ck_assert_uint_eq(endpoint_next_ns(&e), now_ns + expected_ms * NS_PER_MS);
        ck_assert_int_eq(endpoint_step(&e, endpoint_next_ns(&e) - 1), ENDPOINT_NOTHING);
        now_ns = endpoint_next_ns(&e);
        expected_ms = expected_ms * 2 > ENDPOINT_BACKOFF_MAX_MS ? ENDPOINT_BACKOFF_MAX_MS : expected_ms * 2;
    }
    endpoint_resolving(&e);
    endpoint_resolve_failed(&e, now_ns);
    endpoint_retry(&e, now_ns); /* the resolver is back */
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_RESOLVE);
}
END_TEST

START_TEST(answers_that_nobody_waits_for_change_nothing)
{
    const struct netaddr other = address("198.51.100.1");
    begin_resolved(60);
    endpoint_resolved(&e, &other, 1, 60, now_ns);
    endpoint_resolve_failed(&e, now_ns);
    ck_assert_int_eq(endpoint_step(&e, now_ns), ENDPOINT_NOTHING);
    expect_address("[2001:db8::1]:51820");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endpoint");
    TCase *tests = tcase_create("endpoint");
    tcase_add_test(tests, an_address_is_used_as_it_is);
    tcase_add_test(tests, no_endpoint_asks_for_nothing);
    tcase_add_test(tests, nonsense_is_refused);
    tcase_add_test(tests, families_take_turns_while_handshakes_fail);
    tcase_add_test(tests, silence_proves_nothing);
    tcase_add_test(tests, a_handshake_settles_it);
    tcase_add_test(tests, look_ups_wait_for_the_ttl);
    tcase_add_test(tests, a_ttl_of_zero_is_stretched);
    tcase_add_test(tests, failures_back_off);
    tcase_add_test(tests, answers_that_nobody_waits_for_change_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
