/* The replay window at its edges, and against a model that remembers everything. */
#include "suite.h"

#include "tunneld/wireguard/messages.h"
#include "tunneld/wireguard/replay.h"
#include <sodium.h>
#include <string.h>

static struct replay window;

static void setup(void)
{
    memset(&window, 0, sizeof(window));
}

START_TEST(each_counter_counts_once)
{
    ck_assert(replay_check(&window, 0));
    ck_assert(replay_check(&window, 0)); /* asking changes nothing */
    ck_assert(replay_accept(&window, 0));
    ck_assert(!replay_check(&window, 0));
    ck_assert(!replay_accept(&window, 0));
    ck_assert(replay_accept(&window, 2));
    ck_assert(replay_accept(&window, 1));
    ck_assert(!replay_accept(&window, 1));
    ck_assert(!replay_accept(&window, 2));
}
END_TEST

START_TEST(edges_of_the_window)
{
    ck_assert(replay_accept(&window, REPLAY_WINDOW));
    ck_assert(!replay_accept(&window, 0));
    ck_assert(replay_accept(&window, 1));
    ck_assert(!replay_accept(&window, 1));
    ck_assert(replay_accept(&window, REPLAY_WINDOW + 63));
    ck_assert(!replay_accept(&window, 63));
    ck_assert(replay_accept(&window, 64));
}
END_TEST

START_TEST(jumps_forget_what_they_pass)
{
    static const uint64_t jumps[] = {1,
                                     63,
                                     64,
                                     65,
                                     REPLAY_WINDOW - 1,
                                     REPLAY_WINDOW,
                                     REPLAY_BITMAP_BITS - 1,
                                     REPLAY_BITMAP_BITS,
                                     REPLAY_BITMAP_BITS + 1,
                                     10 * REPLAY_BITMAP_BITS,
                                     UINT64_C(1) << 50};

    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        uint64_t base = 3 * REPLAY_BITMAP_BITS, top = base + jumps[i];
        bool ok = true;

        setup();
        for (uint64_t c = base - REPLAY_WINDOW + 1; c <= base; c++)
            ok &= replay_accept(&window, c);
        ok &= replay_accept(&window, top);
        for (uint64_t c = top - REPLAY_WINDOW + 1; c < top; c++)
            ok &= replay_accept(&window, c) == (c > base);
        ck_assert_msg(ok, "jump by %lu", jumps[i]);
    }
}
END_TEST

START_TEST(the_last_counters_there_are)
{
    ck_assert(replay_accept(&window, REJECT_AFTER_MESSAGES - 1));
    ck_assert(!replay_accept(&window, REJECT_AFTER_MESSAGES - 1));
    ck_assert(replay_accept(&window, REJECT_AFTER_MESSAGES - REPLAY_WINDOW));
    ck_assert(!replay_accept(&window, REJECT_AFTER_MESSAGES - REPLAY_WINDOW - 1));
}
END_TEST

START_TEST(agrees_with_a_model)
{
    enum { SPAN = 200000 };
    static bool accepted[SPAN];
    uint64_t highest = 0;

    memset(accepted, 0, sizeof(accepted));
    for (unsigned i = 0; i < 500000; i++) {
        uint64_t counter;
        bool expected;

        /* Mostly near the top, sometimes ahead, sometimes anywhere. */
        switch (randombytes_uniform(8)) {
        case 0:
            counter = highest + randombytes_uniform(300);
            break;
        case 1:
            counter = randombytes_uniform((uint32_t)highest + 1);
            break;
        default:
            counter = highest - randombytes_uniform(highest < 9000 ? (uint32_t)highest + 1 : 9000);
        }
        if (counter >= SPAN)
            break;
        expected = !accepted[counter] && (counter > highest || highest - counter < REPLAY_WINDOW);
        if (replay_check(&window, counter) != expected || replay_accept(&window, counter) != expected)
            ck_abort_msg("counter %lu with highest %lu", counter, highest);
        accepted[counter] = accepted[counter] || expected;
        highest = counter > highest ? counter : highest;
    }
    ck_assert_uint_gt(highest, 3 * REPLAY_BITMAP_BITS);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("replay");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, each_counter_counts_once);
    tcase_add_test(tcase, edges_of_the_window);
    tcase_add_test(tcase, jumps_forget_what_they_pass);
    tcase_add_test(tcase, the_last_counters_there_are);
    tcase_add_test(tcase, agrees_with_a_model);
    return suite_run("wireguard replay", tcase);
}
