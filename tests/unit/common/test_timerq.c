/* The queue against a naive model: an array of deadlines that is searched from end to end. Random arming,
 * moving and disarming happens between runs and inside callbacks; the model must agree after every step. The
 * seed is printed, and NEXD_TEST_SEED repeats a run. */
#include "common/err.h"
#include "common/timerq.h"
#include "tests/unit/common/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TIMERS = 64, ROUNDS = 5000, CALLBACK_ACTIONS = 4 };

struct model {
    struct timerq queue;
    struct timerq_timer timers[TIMERS];
    bool armed[TIMERS], deferred[TIMERS];
    uint64_t deadline_ns[TIMERS];
    uint64_t now_ns, random;
    bool running;
    size_t fired;
};

static uint64_t next_random(struct model *model) /* xorshift64* */
{
    model->random ^= model->random >> 12;
    model->random ^= model->random << 25;
    model->random ^= model->random >> 27;
    return model->random * UINT64_C(2685821657736338717);
}

static uint64_t model_next_ns(const struct model *model, bool with_deferred)
{
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
        if (model->armed[i] && (with_deferred || !model->deferred[i]) && model->deadline_ns[i] < next_ns)
            next_ns = model->deadline_ns[i];
    }
    return next_ns;
}

/* One assertion for all timers: each costs a write to the runner's pipe. */
static void agree(const struct model *model)
{
    size_t armed = 0, wrong = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        wrong += timer_armed(&model->timers[i]) != model->armed[i];
        armed += model->armed[i];
    }
    ck_assert(wrong == 0 && model->queue.count + model->queue.deferred == armed &&
              timerq_next_ns(&model->queue) == model_next_ns(model, true));
}

static void act(struct model *model)
{
    const size_t which = next_random(model) % TIMERS;
    const uint64_t spread = model->now_ns + next_random(model) % 100;
    if (next_random(model) % 3 == 0) {
        timer_disarm(&model->queue, &model->timers[which]);
        model->armed[which] = false;
    } else {
        const uint64_t deadline_ns = spread > 40 ? spread - 40 : 0;
        ck_assert_int_eq(timer_arm(&model->queue, &model->timers[which], deadline_ns), NX_OK);
        model->armed[which] = true;
        model->deadline_ns[which] = deadline_ns;
        model->deferred[which] = model->running && deadline_ns <= model->now_ns;
    }
    agree(model);
}

static void on_fire(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    struct model *const model = arg;
    const size_t which = (size_t)(timer - model->timers);
    ck_assert(model->running && now_ns == model->now_ns);
    ck_assert(model->armed[which] && !model->deferred[which]);
    ck_assert(model->deadline_ns[which] <= now_ns);
    ck_assert(model->deadline_ns[which] == model_next_ns(model, false)); /* in order */
    model->armed[which] = false;
    model->fired++;
    for (uint64_t i = next_random(model) % (CALLBACK_ACTIONS + 1); i > 0; i--)
        act(model);
}

START_TEST(agrees_with_a_naive_model)
{
    struct model *const model = calloc(1, sizeof(*model));
    const char *const given = getenv("NEXD_TEST_SEED");
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    model->random = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)ts.tv_nsec + 1;
    printf("NEXD_TEST_SEED=%" PRIu64 "\n", model->random);
    fflush(stdout);
    timerq_init(&model->queue);
    for (size_t i = 0; i < TIMERS; i++)
        timer_setup(&model->timers[i], on_fire, model);
    for (int round = 0; round < ROUNDS; round++) {
        act(model);
        if (next_random(model) % 4 != 0)
            continue;
        model->now_ns += next_random(model) % 50;
        model->running = true;
        model->fired = 0;
        const size_t fired = timerq_run(&model->queue, model->now_ns);
        model->running = false;
        ck_assert_uint_eq(fired, model->fired);
        ck_assert(model_next_ns(model, false) > model->now_ns);
        memset(model->deferred, 0, sizeof(model->deferred));
        agree(model);
    }
    timerq_destroy(&model->queue);
    for (size_t i = 0; i < TIMERS; i++)
        ck_assert(!timer_armed(&model->timers[i]));
    free(model);
}
END_TEST

static int fires;

static void rearm_at_once(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    fires++;
    ck_assert_int_eq(timer_arm(arg, timer, now_ns), NX_OK);
}

START_TEST(a_timer_that_rearms_itself_fires_once_a_run)
{
    struct timerq queue;
    struct timerq_timer timer;
    timerq_init(&queue);
    timer_setup(&timer, rearm_at_once, &queue);
    ck_assert_int_eq(timer_arm(&queue, &timer, 0), NX_OK);
    for (int i = 1; i <= 3; i++) {
        ck_assert_uint_eq(timerq_run(&queue, 10), 1);
        ck_assert_int_eq(fires, i);
        ck_assert(timer_armed(&timer));
    }
    timerq_destroy(&queue);
    ck_assert(!timer_armed(&timer));
}
END_TEST

struct victim {
    struct timerq *queue;
    struct timerq_timer *other;
};

static void free_other(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)timer;
    (void)now_ns;
    struct victim *const victim = arg;
    timer_disarm(victim->queue, victim->other);
    free(victim->other);
    victim->other = NULL;
    fires++;
}

static void must_not_fire(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)timer;
    (void)arg;
    (void)now_ns;
    ck_abort_msg("a freed timer fired");
}

START_TEST(a_callback_may_free_a_timer_that_is_due)
{
    struct timerq queue;
    struct timerq_timer first;
    struct victim victim = {&queue, malloc(sizeof(struct timerq_timer))};
    timerq_init(&queue);
    timer_setup(&first, free_other, &victim);
    timer_setup(victim.other, must_not_fire, NULL);
    ck_assert_int_eq(timer_arm(&queue, &first, 1), NX_OK);
    ck_assert_int_eq(timer_arm(&queue, victim.other, 2), NX_OK);
    ck_assert_uint_eq(timerq_run(&queue, 5), 1);
    ck_assert_uint_eq(timerq_run(&queue, UINT64_MAX), 0);
    ck_assert(timerq_next_ns(&queue) == UINT64_MAX);
    timerq_destroy(&queue);
}
END_TEST

START_TEST(extreme_deadlines)
{
    struct timerq queue;
    struct timerq_timer never;
    timerq_init(&queue);
    ck_assert(timerq_next_ns(&queue) == UINT64_MAX);
    timer_setup(&never, free_other, &(struct victim){&queue, NULL});
    ck_assert_int_eq(timer_arm(&queue, &never, UINT64_MAX), NX_OK);
    ck_assert_uint_eq(timerq_run(&queue, UINT64_MAX - 1), 0);
    timer_disarm(&queue, &never);
    timer_disarm(&queue, &never);
    ck_assert_uint_eq(timerq_run(&queue, UINT64_MAX), 0);
    timerq_destroy(&queue);
    timerq_destroy(&queue);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, agrees_with_a_naive_model);
    tcase_add_test(tcase, a_timer_that_rearms_itself_fires_once_a_run);
    tcase_add_test(tcase, a_callback_may_free_a_timer_that_is_due);
    tcase_add_test(tcase, extreme_deadlines);
}

int main(void)
{
    return unit_run("timerq", fill);
}
