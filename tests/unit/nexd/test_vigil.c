/* Who hangs and who does not, on a simulated clock. */
#include "nexd/vigil.h"
#include "tests/unit/common/unit.h"

enum { CHILD = 1 };

static struct vigil vigil;
static uint64_t now_ns;

static void begin(void)
{
    vigil = (struct vigil){0};
    now_ns = 1000 * NS_PER_S;
}

/* The next tick, so long after the last one. */
static enum vigil_verdict tick_after(uint64_t wait_ns)
{
    now_ns += wait_ns;
    vigil_tick(&vigil, VIGIL_INTERVAL_NS, now_ns);
    return vigil_judge(&vigil, CHILD);
}

static enum vigil_verdict tick(void)
{
    return tick_after(VIGIL_INTERVAL_NS);
}

static uint32_t asked(void)
{
    return vigil.children[CHILD].asked;
}

START_TEST(who_answers_is_left_alone)
{
    for (unsigned i = 0; i < 10000; i++) {
        ck_assert_int_eq(tick(), VIGIL_ASK);
        ck_assert_uint_eq(asked(), i + 1);
        ck_assert(vigil_answered(&vigil, CHILD, asked()));
    }
}
END_TEST

START_TEST(who_is_silent_hangs_half_a_minute_after_the_first_question)
{
    ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert(vigil_answered(&vigil, CHILD, asked()));
    ck_assert_int_eq(tick(), VIGIL_ASK);
    const uint64_t first_ns = now_ns;
    for (unsigned i = 1; i < VIGIL_QUESTIONS; i++)
        ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert_int_eq(tick(), VIGIL_HANGS);
    ck_assert_uint_ge(now_ns - first_ns, 30 * NS_PER_S);
    ck_assert_int_eq(tick(), VIGIL_HANGS); /* until it is forgotten */
}
END_TEST

START_TEST(an_answer_to_an_old_question_counts)
{
    for (unsigned i = 0; i < VIGIL_QUESTIONS; i++)
        ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert(vigil_answered(&vigil, CHILD, 1));
    for (unsigned i = 0; i < VIGIL_QUESTIONS; i++)
        ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert_int_eq(tick(), VIGIL_HANGS);
}
END_TEST

/* Stopped at any moment, for any time, all together: nobody hangs, and nobody is short of time afterwards. */
START_TEST(a_tree_that_was_stopped_as_a_whole_does_not_hang)
{
    static const uint64_t stops_ns[] = {10 * NS_PER_S + 1, 30 * NS_PER_S, 3600 * NS_PER_S, 86400 * NS_PER_S};
    for (size_t stop = 0; stop < sizeof stops_ns / sizeof *stops_ns; stop++)
        for (unsigned before = 1; before <= VIGIL_QUESTIONS; before++) {
            begin();
            for (unsigned i = 0; i < before; i++)
                ck_assert_int_eq(tick(), VIGIL_ASK);
            ck_assert_int_eq(tick_after(stops_ns[stop]), VIGIL_ASK);
            for (unsigned i = 1; i < VIGIL_QUESTIONS; i++)
                ck_assert_int_eq(tick(), VIGIL_ASK);
            ck_assert_int_eq(tick(), VIGIL_HANGS);
        }
}
END_TEST

/* So busy a machine that our own ticks come late judges nobody. */
START_TEST(late_ticks_judge_nobody)
{
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_int_eq(tick_after(2 * VIGIL_INTERVAL_NS + 1), VIGIL_ASK);
}
END_TEST

START_TEST(a_new_process_begins_anew)
{
    for (unsigned i = 0; i < VIGIL_QUESTIONS; i++)
        ck_assert_int_eq(tick(), VIGIL_ASK);
    vigil_forget(&vigil, CHILD);
    ck_assert(!vigil_answered(&vigil, CHILD, 1));
    for (unsigned i = 0; i < VIGIL_QUESTIONS; i++)
        ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert_int_eq(tick(), VIGIL_HANGS);
}
END_TEST

START_TEST(children_are_told_apart)
{
    for (unsigned i = 0; i < VIGIL_QUESTIONS; i++) {
        ck_assert_int_eq(tick(), VIGIL_ASK);
        ck_assert_int_eq(vigil_judge(&vigil, 0), VIGIL_ASK);
        ck_assert(vigil_answered(&vigil, 0, i + 1));
    }
    ck_assert_int_eq(tick(), VIGIL_HANGS);
    ck_assert_int_eq(vigil_judge(&vigil, 0), VIGIL_ASK);
}
END_TEST

START_TEST(what_was_never_asked_is_not_answered)
{
    ck_assert(!vigil_answered(&vigil, CHILD, 0));
    ck_assert(!vigil_answered(&vigil, CHILD, 1));
    ck_assert_int_eq(tick(), VIGIL_ASK);
    ck_assert(!vigil_answered(&vigil, CHILD, 0));
    ck_assert(!vigil_answered(&vigil, CHILD, 2));
    ck_assert(!vigil_answered(&vigil, CHILD, UINT32_MAX));
    ck_assert(vigil_answered(&vigil, CHILD, 1));
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, who_answers_is_left_alone);
    tcase_add_test(tests, who_is_silent_hangs_half_a_minute_after_the_first_question);
    tcase_add_test(tests, an_answer_to_an_old_question_counts);
    tcase_add_test(tests, a_tree_that_was_stopped_as_a_whole_does_not_hang);
    tcase_add_test(tests, late_ticks_judge_nobody);
    tcase_add_test(tests, a_new_process_begins_anew);
    tcase_add_test(tests, children_are_told_apart);
    tcase_add_test(tests, what_was_never_asked_is_not_answered);
}

int main(void)
{
    return unit_run("vigil", fill);
}
