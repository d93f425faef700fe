/* Pings of our own tunnel address, which come back through the stack that answers them; and what may not be
 * taken for an answer. */
#include "common/err.h"
#include "lab.h"
#include "tunneld/flow/rule_stats.h"
#include "tunneld/netstack/netstack.h"
#include "tunneld/netstack/ping.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_MS_ = 1000000, NONE = 99 };

static struct {
    unsigned count;
    uint32_t request;
    int err;
} done;

static void on_done(void *arg, uint32_t request, int err, uint64_t round_trip_ns)
{
    (void)arg, (void)round_trip_ns;
    done.count++;
    done.request = request;
    done.err = err;
}

static int ping(const struct netaddr *dest, uint32_t request)
{
    return netstack_ping(dest, UINT64_C(1000) * NS_PER_MS_, on_done, NULL, request);
}

static void start(void)
{
    lab_start(16, 1 << 20);
    memset(&done, 0, sizeof done);
    done.err = NONE;
}

START_TEST(our_own_address_answers)
{
    start();
    const struct netaddr own = lab_own(_i ? NETADDR_V6 : NETADDR_V4);
    ck_assert_int_eq(ping(&own, 5), NX_OK);
    ck_assert_uint_eq(done.count, 0); /* never from within */
    lab_turns(3);
    ck_assert_uint_eq(done.count, 1);
    ck_assert_uint_eq(done.request, 5);
    ck_assert_int_eq(done.err, NX_OK);
    lab_advance_ms(5000);
    lab_turns(1);
    ck_assert_uint_eq(done.count, 1);
}
END_TEST

START_TEST(an_address_that_nobody_has_is_told_at_once)
{
    start();
    struct netaddr nobody;
    ck_assert_int_eq(netaddr_parse("10.0.0.1", &nobody), NX_OK);
    ck_assert_int_eq(ping(&nobody, 1), NX_ENOENT);
}
END_TEST

START_TEST(silence_is_told_when_time_is_up)
{
    start();
    struct netaddr other;
    ck_assert_int_eq(netaddr_parse("192.0.2.99", &other), NX_OK);
    ck_assert_int_eq(ping(&other, 7), NX_OK);
    lab_advance_ms(990);
    lab_turns(1);
    ck_assert_uint_eq(done.count, 0);
    lab_advance_ms(20);
    lab_turns(1);
    ck_assert_uint_eq(done.count, 1);
    ck_assert_int_eq(done.err, NX_ETIMEDOUT);
}
END_TEST

START_TEST(their_number_is_bounded_and_they_can_be_forgotten)
{
    start();
    const struct netaddr own = lab_own(NETADDR_V6);
    for (uint32_t i = 0; i < NETSTACK_PINGS_MAX; i++)
        ck_assert_int_eq(ping(&own, i), NX_OK);
    ck_assert_int_eq(ping(&own, 1), NX_EAGAIN);
    netstack_ping_forget();
    lab_turns(20);
    ck_assert_uint_eq(done.count, 0);
    ck_assert_int_eq(ping(&own, 1), NX_OK);
    lab_turns(3);
    ck_assert_uint_eq(done.count, 1);
}
END_TEST

/* An echo reply with the right slot and identifier, but made by somebody who has not seen the question. */
START_TEST(an_answer_that_was_guessed_counts_nothing)
{
    start();
    const struct netaddr own = lab_own(NETADDR_V4), far = {.family = NETADDR_V4, .bytes = {100, 64, 0, 9}};
    ck_assert_int_eq(ping(&far, 1), NX_OK);
    uint8_t packet[44] = {0x45, 0, 0, 44, 0, 0, 0, 0, 64, 1};
    memcpy(packet + 12, far.bytes, 4);
    memcpy(packet + 16, own.bytes, 4);
    for (unsigned identifier = 0; identifier < 65536; identifier++) {
        packet[24] = (uint8_t)(identifier >> 8);
        packet[25] = (uint8_t)identifier;
        netstack_input(packet, sizeof packet, NULL);
    }
    ck_assert_uint_eq(done.count, 0);
    for (size_t length = 20; length < sizeof packet; length++)
        netstack_input(packet, length, NULL);
    packet[27] = 0xff; /* a slot that is not in use, and one that there is not */
    netstack_input(packet, sizeof packet, NULL);
    packet[26] = 0xff;
    netstack_input(packet, sizeof packet, NULL);
    ck_assert_uint_eq(done.count, 0);
}
END_TEST

/* -- Statistics of rules -- */

static struct rule_stats found;
static void on_stats(void *arg, const struct rule_stats *stats)
{
    (void)arg;
    found = *stats;
}

START_TEST(statistics_are_kept_by_rule_and_forgotten_with_it)
{
    struct netsock dest;
    memset(&found, 0, sizeof found);
    ck_assert_int_eq(netsock_parse("100.64.0.7:443", &dest), NX_OK);
    ck_assert_int_eq(rule_stats_add(4711), NX_OK);
    ck_assert_int_ne(rule_stats_add(4711), NX_OK);
    rule_stats_opened(4711);
    rule_stats_opened(4711);
    rule_stats_opened(4712); /* nobody's */
    rule_stats_closed(4711, 10, 20);
    rule_stats_live_begin();
    rule_stats_live(4711, 1, 2);
    rule_stats_error(4711, RULE_ERROR_REFUSED, &dest);
    rule_stats_each(on_stats, NULL);
    ck_assert_uint_eq(found.rule_id, 4711);
    ck_assert_uint_eq(found.flows, 2);
    ck_assert_uint_eq(found.live, 1);
    ck_assert_uint_eq(found.to_mesh_bytes + found.live_to_mesh_bytes, 11);
    ck_assert_uint_eq(found.to_host_bytes + found.live_to_host_bytes, 22);
    ck_assert_uint_eq(found.errors[RULE_ERROR_REFUSED], 1);
    ck_assert_str_eq(found.last_error, "100.64.0.7:443: refused");
    rule_stats_remove(4711); /* a flow of it lives: its numbers stay */
    memset(&found, 0, sizeof found);
    rule_stats_each(on_stats, NULL);
    ck_assert_uint_eq(found.rule_id, 4711);
    ck_assert_uint_eq(found.live, 1);
    rule_stats_closed(4711, 1, 1);
    memset(&found, 0, sizeof found);
    rule_stats_each(on_stats, NULL);
    ck_assert_uint_eq(found.rule_id, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ping");
    TCase *tests = tcase_create("ping");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, our_own_address_answers, 0, 2);
    tcase_add_test(tests, an_address_that_nobody_has_is_told_at_once);
    tcase_add_test(tests, silence_is_told_when_time_is_up);
    tcase_add_test(tests, their_number_is_bounded_and_they_can_be_forgotten);
    tcase_add_test(tests, an_answer_that_was_guessed_counts_nothing);
    tcase_add_test(tests, statistics_are_kept_by_rule_and_forgotten_with_it);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
