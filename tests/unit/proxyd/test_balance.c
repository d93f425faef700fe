/* Order in which the rules of a port are tried. */
#include "common/clock.h"
#include "proxyd/balance.h"
#include "unit.h"

static const uint64_t start_ns = 1000 * NS_PER_S;

static void order_is(const struct balance_health *health, size_t count, uint32_t *turn, uint64_t now_ns,
                     const uint32_t *wanted)
{
    uint32_t order[8];
    balance_order(health, count, turn, now_ns, order);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(order[i], wanted[i]);
}

START_TEST(first_flow_goes_to_the_second_rule)
{
    const struct balance_health health[3] = {{0}};
    uint32_t turn = 0;
    order_is(health, 3, &turn, start_ns, (uint32_t[]){1, 2, 0});
    order_is(health, 3, &turn, start_ns, (uint32_t[]){2, 0, 1});
    order_is(health, 3, &turn, start_ns, (uint32_t[]){0, 1, 2});
    order_is(health, 3, &turn, start_ns, (uint32_t[]){1, 2, 0});
}
END_TEST

START_TEST(one_rule_takes_everything)
{
    const struct balance_health health[1] = {{0}};
    uint32_t turn = UINT32_MAX - 1;
    for (int i = 0; i < 4; i++)
        order_is(health, 1, &turn, start_ns, (uint32_t[]){0});
}
END_TEST

START_TEST(failed_rule_is_passed_over_until_its_pause_ends)
{
    struct balance_health health[2] = {{0}};
    uint32_t turn = 0;
    balance_failed(&health[1], start_ns);
    for (int i = 0; i < 4; i++)
        order_is(health, 2, &turn, start_ns, (uint32_t[]){0, 1});
    const uint64_t later_ns = start_ns + BALANCE_BACKOFF_MIN_MS * NS_PER_MS;
    turn = 0;
    order_is(health, 2, &turn, later_ns - 1, (uint32_t[]){0, 1});
    turn = 0;
    order_is(health, 2, &turn, later_ns, (uint32_t[]){1, 0});
}
END_TEST

START_TEST(when_all_failed_the_one_due_first_is_tried)
{
    struct balance_health health[3] = {{0}};
    uint32_t turn = 0;
    balance_failed(&health[0], start_ns + 3);
    balance_failed(&health[1], start_ns + 2);
    balance_failed(&health[2], start_ns + 1);
    for (int i = 0; i < 4; i++)
        order_is(health, 3, &turn, start_ns + 4, (uint32_t[]){2, 1, 0});
}
END_TEST

START_TEST(pause_doubles_to_its_maximum_and_a_success_ends_it)
{
    struct balance_health health = {0};
    static const uint32_t wanted_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < sizeof(wanted_ms) / sizeof(wanted_ms[0]); i++) {
        balance_failed(&health, start_ns);
        ck_assert_uint_eq(health.retry_at_ns, start_ns + wanted_ms[i] * NS_PER_MS);
    }
    balance_worked(&health);
    balance_failed(&health, start_ns);
    ck_assert_uint_eq(health.retry_at_ns, start_ns + 1000 * NS_PER_MS);
}
END_TEST

START_TEST(one_flow_at_a_time_tries_a_rule_whose_pause_has_ended)
{
    struct balance_health health[2] = {{0}};
    uint32_t turn = 0;
    balance_failed(&health[1], start_ns);
    const uint64_t later_ns = start_ns + 2 * NS_PER_S;
    order_is(health, 2, &turn, later_ns, (uint32_t[]){1, 0});
    balance_trying(&health[1], later_ns);
    turn = 0;
    order_is(health, 2, &turn, later_ns, (uint32_t[]){0, 1});
    balance_trying(&health[0], later_ns); /* nothing to hold back: it never failed */
    ck_assert_uint_eq(health[0].retry_at_ns, 0);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, first_flow_goes_to_the_second_rule);
    tcase_add_test(tcase, one_rule_takes_everything);
    tcase_add_test(tcase, failed_rule_is_passed_over_until_its_pause_ends);
    tcase_add_test(tcase, when_all_failed_the_one_due_first_is_tried);
    tcase_add_test(tcase, pause_doubles_to_its_maximum_and_a_success_ends_it);
    tcase_add_test(tcase, one_flow_at_a_time_tries_a_rule_whose_pause_has_ended);
}

int main(void)
{
    return unit_run("balance", add, 10);
}
