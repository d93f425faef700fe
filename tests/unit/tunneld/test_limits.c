/* The operator's limits on flows and bandwidth, on a clock of their own where they have one. */
#include "common/clock.h"
#include "common/err.h"
#include "tests/unit/common/unit.h"
#include "tunneld/flow/limits.h"

#include <stdio.h>
#include <string.h>

enum { RULE = 7, FLOWS = 3 };

static struct timerq timers;
static unsigned woken[FLOWS];

static void on_wake(void *flow)
{
    (*(unsigned *)flow)++;
}

/* Addresses 10.0.0.0/8 have a peer each, by their last byte. */
static bool peer_of(const struct netaddr *address, uint8_t key[32])
{
    memset(key, address->bytes[3], 32);
    return address->family == NETADDR_V4 && address->bytes[0] == 10;
}

static struct netaddr peer(uint8_t number)
{
    return (struct netaddr){NETADDR_V4, {10, 0, 0, number}};
}

static void set_up(void)
{
    timerq_init(&timers);
    limits_init(&timers, on_wake, peer_of);
    limits_set(&(struct limits_all){0});
    memset(woken, 0, sizeof woken);
}

static bool take(uint32_t rule, uint8_t number, struct limits_hold *hold, unsigned *line)
{
    const struct netaddr at = peer(number);
    const bool room = limits_room(rule, &at, line);
    const bool taken = limits_take(rule, &at, hold, line);
    ck_assert(room == taken);
    return taken;
}

START_TEST(without_limits_there_is_always_room)
{
    struct limits_hold holds[100];
    struct limits_waiter waiter = {0};
    unsigned line;
    for (size_t i = 0; i < 100; i++)
        ck_assert(take(RULE, 1, &holds[i], &line));
    ck_assert_uint_eq(limits_budget(&holds[0], LIMITS_TO_MESH, &waiter, 1 << 20), 1 << 20);
    ck_assert(limits_datagram(&holds[0], LIMITS_TO_HOST, 65000));
    for (size_t i = 0; i < 100; i++)
        limits_release(&holds[i]);
}
END_TEST

START_TEST(flows_in_all_are_counted)
{
    struct limits_hold holds[3];
    unsigned line = 0;
    limits_set(&(struct limits_all){.flows_max = 2, .flows_line = 11});
    ck_assert(take(1, 1, &holds[0], &line) && take(2, 2, &holds[1], &line));
    const uint64_t before = limits_counters_get()->flows;
    ck_assert(!take(3, 3, &holds[2], &line));
    ck_assert_uint_eq(line, 11);
    ck_assert_uint_eq(limits_counters_get()->flows, before + 1);
    limits_release(&holds[2]); /* of what was refused: harmless */
    ck_assert(!take(3, 3, &holds[2], &line));
    limits_release(&holds[0]);
    limits_release(&holds[0]); /* twice: harmless too */
    ck_assert(take(3, 3, &holds[2], &line));
    ck_assert(!take(3, 3, &holds[0], &line));
}
END_TEST

START_TEST(flows_of_a_peer_are_counted_whatever_their_rule)
{
    struct limits_hold holds[4];
    unsigned line = 0;
    limits_set(&(struct limits_all){.peer_flows_max = 2, .peer_flows_line = 12});
    ck_assert(take(1, 1, &holds[0], &line) && take(2, 1, &holds[1], &line) && take(1, 2, &holds[2], &line));
    ck_assert(!take(3, 1, &holds[3], &line));
    ck_assert_uint_eq(line, 12);
    limits_release(&holds[1]);
    ck_assert(take(3, 1, &holds[3], &line));
    const struct netaddr nobody = {NETADDR_V4, {192, 0, 2, 1}}; /* no peer has it: nothing to count for */
    for (int i = 0; i < 5; i++)
        ck_assert(limits_take(1, &nobody, &holds[1], &line));
}
END_TEST

START_TEST(flows_of_a_rule_are_counted_and_outlive_it)
{
    struct limits_hold holds[3];
    unsigned line = 0;
    ck_assert_int_eq(limits_rule_add(RULE, 2, 13, 0), NX_OK);
    ck_assert(take(RULE, 1, &holds[0], &line) && take(RULE, 2, &holds[1], &line));
    ck_assert(!take(RULE, 3, &holds[2], &line));
    ck_assert_uint_eq(line, 13);
    ck_assert(take(8, 3, &holds[2], &line)); /* another one has no limit */
    limits_release(&holds[2]);
    limits_rule_remove(RULE);
    ck_assert_int_eq(limits_rule_add(RULE, 1, 14, 0), NX_OK); /* the id again, with its own count */
    ck_assert(take(RULE, 3, &holds[2], &line));
    limits_release(&holds[0]);
    limits_release(&holds[1]);
    ck_assert(!take(RULE, 3, &holds[0], &line));
    limits_release(&holds[2]);
    limits_rule_remove(RULE);
    limits_rule_remove(RULE);
}
END_TEST

/* Everything that a rule may carry at once, in pieces of `piece`; returns how much. */
static size_t drain(const struct limits_hold *hold, struct limits_waiter *waiter, size_t piece)
{
    size_t total = 0, budget;
    while ((budget = limits_budget(hold, LIMITS_TO_MESH, waiter, piece)) > 0) {
        limits_spend(hold, LIMITS_TO_MESH, budget);
        total += budget;
        ck_assert_uint_lt(total, 100000000);
    }
    return total;
}

START_TEST(bandwidth_is_a_burst_and_then_a_rate)
{
    struct limits_hold hold;
    struct limits_waiter waiter = {.flow = &woken[0]};
    unsigned line;
    ck_assert_int_eq(limits_rule_add(RULE, 0, 0, 1000), NX_OK);
    ck_assert(take(RULE, 1, &hold, &line));
    const uint64_t begin_ns = clock_now_ns();
    const size_t burst = drain(&hold, &waiter, 65536);
    const uint64_t took_ns = clock_now_ns() - begin_ns;
    ck_assert_uint_ge(burst, 16384 - 1500); /* but for what makes no quantum */
    ck_assert_uint_le(burst, 16384 + took_ns / NS_PER_MS + 1);
    ck_assert_ptr_nonnull(waiter.bucket);
    ck_assert_uint_eq(limits_budget(&hold, LIMITS_TO_MESH, &waiter, 65536), 0);
    ck_assert_uint_eq(limits_budget(&hold, LIMITS_TO_HOST, &(struct limits_waiter){0}, 1000),
                      1000); /* the other way */
    /* Two seconds later, as the timers see it: it is woken, and not sooner than there are bytes. */
    ck_assert_uint_eq(woken[0], 0);
    timerq_run(&timers, clock_now_ns());
    ck_assert_uint_eq(woken[0], 0);
    timerq_run(&timers, clock_now_ns() + 2 * NS_PER_S);
    ck_assert_uint_eq(woken[0], 1);
    ck_assert_ptr_null(waiter.bucket);
    limits_leave(&waiter);
    limits_release(&hold);
    limits_rule_remove(RULE);
}
END_TEST

/* The timers of a turn have the time at which it began; flows look at the clock themselves. */
START_TEST(an_earlier_time_gives_nothing)
{
    struct limits_hold hold;
    struct limits_waiter waiter = {.flow = &woken[0]};
    unsigned line;
    ck_assert_int_eq(limits_rule_add(RULE, 0, 0, 100), NX_OK);
    ck_assert(take(RULE, 1, &hold, &line));
    ck_assert_uint_ge(drain(&hold, &waiter, 65536), 16384 - 1500);
    timerq_run(&timers, clock_now_ns() + 20 * NS_PER_S); /* 2000 bytes until then */
    ck_assert_uint_eq(woken[0], 1);
    ck_assert_uint_le(drain(&hold, &waiter, 65536), 8000);
    limits_leave(&waiter);
    limits_release(&hold);
    limits_rule_remove(RULE);
}
END_TEST

START_TEST(who_waits_is_woken_in_turn_and_nobody_overtakes)
{
    struct limits_hold holds[FLOWS];
    struct limits_waiter waiters[FLOWS];
    unsigned line;
    memset(waiters, 0, sizeof waiters);
    ck_assert_int_eq(limits_rule_add(RULE, 0, 0, 800), NX_OK);
    for (size_t i = 0; i < FLOWS; i++) {
        waiters[i].flow = &woken[i];
        ck_assert(take(RULE, 1, &holds[i], &line));
    }
    drain(&holds[0], &waiters[0], 65536);
    ck_assert_uint_eq(limits_budget(&holds[1], LIMITS_TO_MESH, &waiters[1], 1500), 0);
    ck_assert_uint_eq(limits_budget(&holds[2], LIMITS_TO_MESH, &waiters[2], 1),
                      0); /* there may be a byte, but it is 0's */
    /* 1500 bytes are enough for one of them. */
    timerq_run(&timers, clock_now_ns() + 2 * NS_PER_S);
    ck_assert_uint_eq(woken[0], 1);
    ck_assert_uint_eq(woken[1] + woken[2], 0);
    limits_leave(&waiters[1]); /* its flow ends */
    timerq_run(&timers, clock_now_ns() + 4 * NS_PER_S);
    ck_assert_uint_eq(woken[1], 0);
    ck_assert_uint_eq(woken[2], 1);
    for (size_t i = 0; i < FLOWS; i++) {
        limits_leave(&waiters[i]);
        limits_release(&holds[i]);
    }
}
END_TEST

START_TEST(datagrams_beyond_the_rate_are_dropped_and_counted)
{
    struct limits_hold hold;
    unsigned line, passed = 0;
    ck_assert_int_eq(limits_rule_add(RULE, 0, 0, 10000), NX_OK);
    ck_assert(take(RULE, 1, &hold, &line));
    ck_assert(limits_datagram(&hold, LIMITS_TO_MESH, 65507)); /* larger than the burst: it is paid back */
    const uint64_t before = limits_counters_get()->datagrams;
    for (unsigned i = 0; i < 100; i++)
        passed += limits_datagram(&hold, LIMITS_TO_MESH, 100);
    ck_assert_uint_eq(passed, 0);
    ck_assert_uint_eq(limits_counters_get()->datagrams, before + 100);
    limits_release(&hold);
}
END_TEST

START_TEST(the_largest_rate_does_not_overflow)
{
    struct limits_hold hold;
    struct limits_waiter waiter = {0};
    unsigned line;
    ck_assert_int_eq(limits_rule_add(RULE, 0, 0, UINT64_C(125000000000000)), NX_OK);
    ck_assert(take(RULE, 1, &hold, &line));
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(limits_budget(&hold, LIMITS_TO_MESH, &waiter, 65536), 65536);
        limits_spend(&hold, LIMITS_TO_MESH, 65536);
    }
    limits_release(&hold);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, without_limits_there_is_always_room);
    tcase_add_test(tcase, flows_in_all_are_counted);
    tcase_add_test(tcase, flows_of_a_peer_are_counted_whatever_their_rule);
    tcase_add_test(tcase, flows_of_a_rule_are_counted_and_outlive_it);
    tcase_add_test(tcase, bandwidth_is_a_burst_and_then_a_rate);
    tcase_add_test(tcase, an_earlier_time_gives_nothing);
    tcase_add_test(tcase, who_waits_is_woken_in_turn_and_nobody_overtakes);
    tcase_add_test(tcase, datagrams_beyond_the_rate_are_dropped_and_counted);
    tcase_add_test(tcase, the_largest_rate_does_not_overflow);
}

int main(void)
{
    return unit_run("limits", fill);
}
