/* The supervisor on a simulated clock. Fixed sequences show the order of starts, restarts and stops; random
 * ones are followed by a model of the processes that checks, at every action, what must always hold: never
 * two processes of one child, configuration once a process and before its links, never two live generations
 * of a link, back-off times as declared, and DONE only when nothing is left. */
#include "common/clock.h"
#include "nexd/supervisor.h"

#include <check.h>
#include <stdlib.h>

#define START_NS (1000 * NS_PER_S)

static struct supervisor sup;
static uint64_t now_ns;

/* -- Fixed sequences -- */

static void begin(void)
{
    supervisor_init(&sup);
    now_ns = START_NS;
}

static void expect(enum supervisor_action_kind kind, enum ipc_role child, enum ipc_role peer)
{
    struct supervisor_action action;
    ck_assert_msg(supervisor_next_action(&sup, &action), "no action, expected kind %d for %d", kind, child);
    ck_assert_int_eq(action.kind, kind);
    if (kind != SUPERVISOR_DONE)
        ck_assert_int_eq(action.child, child);
    if (kind == SUPERVISOR_LINK || kind == SUPERVISOR_LINK_DOWN)
        ck_assert_int_eq(action.peer, peer);
}

static void expect_nothing(void)
{
    struct supervisor_action action;
    ck_assert(!supervisor_next_action(&sup, &action));
}

static void drain(void)
{
    struct supervisor_action action;
    while (supervisor_next_action(&sup, &action))
        ;
}

/* All three READY and linked. */
static void bring_up(void)
{
    begin();
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        supervisor_gate_open(&sup, role, now_ns);
    supervisor_start(&sup, now_ns);
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        supervisor_hello(&sup, role, now_ns);
    drain();
}

START_TEST(start_waits_for_the_gate)
{
    begin();
    supervisor_gate_open(&sup, IPC_PROXYD, now_ns);
    expect_nothing();
    supervisor_start(&sup, now_ns);
    expect(SUPERVISOR_SPAWN, IPC_TUNNELD, 0);
    expect(SUPERVISOR_SPAWN, IPC_PROXYD, 0);
    expect(SUPERVISOR_SPAWN, IPC_CTLD, 0);
    expect_nothing();
    supervisor_hello(&sup, IPC_TUNNELD, now_ns);
    expect_nothing();
    supervisor_hello(&sup, IPC_PROXYD, now_ns);
    expect(SUPERVISOR_CONFIGURE, IPC_PROXYD, 0);
    expect_nothing();
    supervisor_gate_open(&sup, IPC_TUNNELD, now_ns);
    expect(SUPERVISOR_CONFIGURE, IPC_TUNNELD, 0);
    expect(SUPERVISOR_LINK, IPC_TUNNELD, IPC_PROXYD);
    expect_nothing();
    supervisor_gate_open(&sup, IPC_CTLD, now_ns);
    expect_nothing();
    supervisor_hello(&sup, IPC_CTLD, now_ns);
    expect(SUPERVISOR_CONFIGURE, IPC_CTLD, 0);
    expect(SUPERVISOR_LINK, IPC_TUNNELD, IPC_CTLD);
    expect(SUPERVISOR_LINK, IPC_PROXYD, IPC_CTLD);
    expect_nothing();
    ck_assert_uint_eq(supervisor_next_ns(&sup), UINT64_MAX);
}
END_TEST

START_TEST(crash_is_told_to_siblings_and_restarted)
{
    bring_up();
    supervisor_exited(&sup, IPC_CTLD, now_ns);
    expect(SUPERVISOR_DISCONNECT, IPC_CTLD, 0);
    expect(SUPERVISOR_LINK_DOWN, IPC_TUNNELD, IPC_CTLD);
    expect(SUPERVISOR_LINK_DOWN, IPC_PROXYD, IPC_CTLD);
    expect_nothing();
    ck_assert_uint_eq(supervisor_next_ns(&sup), now_ns + 100 * NS_PER_MS);
    ck_assert_uint_eq(supervisor_restart_delay_ms(&sup, IPC_CTLD, now_ns), 100);
    supervisor_run(&sup, now_ns + 100 * NS_PER_MS - 1);
    expect_nothing();
    now_ns += 100 * NS_PER_MS;
    supervisor_run(&sup, now_ns);
    expect(SUPERVISOR_SPAWN, IPC_CTLD, 0);
    supervisor_hello(&sup, IPC_CTLD, now_ns);
    expect(SUPERVISOR_CONFIGURE, IPC_CTLD, 0);
    expect(SUPERVISOR_LINK, IPC_TUNNELD, IPC_CTLD);
    expect(SUPERVISOR_LINK, IPC_PROXYD, IPC_CTLD);
    expect_nothing();
}
END_TEST

START_TEST(back_off_doubles_to_its_limit_and_is_reset_by_health)
{
    static const uint32_t expected_ms[] = {100,  200,   400,   800,   1600,  3200,
                                           6400, 12800, 25600, 30000, 30000, 30000};
    bring_up();
    for (size_t i = 0; i < sizeof expected_ms / sizeof *expected_ms; i++) {
        supervisor_exited(&sup, IPC_PROXYD, now_ns);
        ck_assert_uint_eq(supervisor_next_ns(&sup) - now_ns, expected_ms[i] * NS_PER_MS);
        now_ns = supervisor_next_ns(&sup);
        supervisor_run(&sup, now_ns);
        supervisor_hello(&sup, IPC_PROXYD, now_ns);
        drain();
    }
    now_ns += SUPERVISOR_HEALTHY_AFTER_MS * NS_PER_MS - 1;
    supervisor_exited(&sup, IPC_PROXYD, now_ns);
    ck_assert_uint_eq(supervisor_next_ns(&sup) - now_ns, 30000 * NS_PER_MS);
    now_ns = supervisor_next_ns(&sup);
    supervisor_run(&sup, now_ns);
    supervisor_hello(&sup, IPC_PROXYD, now_ns);
    now_ns += SUPERVISOR_HEALTHY_AFTER_MS * NS_PER_MS;
    supervisor_exited(&sup, IPC_PROXYD, now_ns);
    ck_assert_uint_eq(supervisor_next_ns(&sup) - now_ns, 100 * NS_PER_MS);
}
END_TEST

START_TEST(misbehaviour_is_killed_before_it_is_restarted)
{
    bring_up();
    supervisor_misbehaved(&sup, IPC_TUNNELD, now_ns);
    expect(SUPERVISOR_KILL, IPC_TUNNELD, 0);
    expect(SUPERVISOR_DISCONNECT, IPC_TUNNELD, 0);
    expect(SUPERVISOR_LINK_DOWN, IPC_PROXYD, IPC_TUNNELD);
    expect(SUPERVISOR_LINK_DOWN, IPC_CTLD, IPC_TUNNELD);
    expect_nothing();
    supervisor_misbehaved(&sup, IPC_TUNNELD, now_ns);
    supervisor_hello(&sup, IPC_TUNNELD, now_ns);
    expect_nothing();
    ck_assert_uint_eq(supervisor_next_ns(&sup),
                      UINT64_MAX); /* its exit is awaited, however long that takes */
    supervisor_exited(&sup, IPC_TUNNELD, now_ns);
    expect(SUPERVISOR_DISCONNECT, IPC_TUNNELD, 0);
    expect_nothing();
    ck_assert_int_eq(supervisor_state_of(&sup, IPC_TUNNELD), SUPERVISOR_BACKOFF);
}
END_TEST

START_TEST(second_hello_is_misbehaviour)
{
    bring_up();
    supervisor_hello(&sup, IPC_CTLD, now_ns);
    expect(SUPERVISOR_KILL, IPC_CTLD, 0);
}
END_TEST

START_TEST(silence_at_start_is_killed)
{
    begin();
    supervisor_start(&sup, now_ns);
    drain();
    supervisor_hello(&sup, IPC_PROXYD, now_ns);
    supervisor_hello(&sup, IPC_CTLD, now_ns);
    ck_assert_uint_eq(supervisor_next_ns(&sup), now_ns + SUPERVISOR_HELLO_TIMEOUT_MS * NS_PER_MS);
    supervisor_run(&sup, supervisor_next_ns(&sup));
    expect(SUPERVISOR_KILL, IPC_TUNNELD, 0);
}
END_TEST

START_TEST(exit_before_the_first_hello_is_fatal)
{
    begin();
    supervisor_start(&sup, now_ns);
    drain();
    supervisor_exited(&sup, IPC_PROXYD, now_ns);
    expect(SUPERVISOR_DISCONNECT, IPC_PROXYD, 0);
    expect(SUPERVISOR_KILL, IPC_TUNNELD, 0);
    expect(SUPERVISOR_KILL, IPC_CTLD, 0);
    expect_nothing();
    supervisor_exited(&sup, IPC_TUNNELD, now_ns);
    supervisor_exited(&sup, IPC_CTLD, now_ns);
    expect(SUPERVISOR_DISCONNECT, IPC_TUNNELD, 0);
    expect(SUPERVISOR_DISCONNECT, IPC_CTLD, 0);
    struct supervisor_action action;
    ck_assert(supervisor_next_action(&sup, &action));
    ck_assert_int_eq(action.kind, SUPERVISOR_DONE);
    ck_assert_int_eq(action.status, 1);
}
END_TEST

START_TEST(stop_asks_then_kills)
{
    bring_up();
    supervisor_stop(&sup, 0, 800, now_ns);
    expect(SUPERVISOR_SHUTDOWN, IPC_TUNNELD, 0);
    expect(SUPERVISOR_SHUTDOWN, IPC_PROXYD, 0);
    expect(SUPERVISOR_SHUTDOWN, IPC_CTLD, 0);
    expect_nothing();
    supervisor_exited(&sup, IPC_CTLD, now_ns);
    supervisor_exited(&sup, IPC_PROXYD, now_ns);
    drain();
    ck_assert_uint_eq(supervisor_next_ns(&sup), now_ns + 800 * NS_PER_MS);
    supervisor_run(&sup, now_ns + 800 * NS_PER_MS - 1);
    expect_nothing();
    supervisor_run(&sup, now_ns + 800 * NS_PER_MS);
    expect(SUPERVISOR_KILL, IPC_TUNNELD, 0);
    expect_nothing();
    supervisor_exited(&sup, IPC_TUNNELD, now_ns);
    expect(SUPERVISOR_DISCONNECT, IPC_TUNNELD, 0);
    expect(SUPERVISOR_DONE, 0, 0);
    expect_nothing();
}
END_TEST

START_TEST(second_stop_kills_and_the_first_status_counts)
{
    bring_up();
    supervisor_stop(&sup, 1, 800, now_ns);
    drain();
    supervisor_stop(&sup, 0, 800, now_ns);
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        expect(SUPERVISOR_KILL, role, 0);
    supervisor_stop(&sup, 0, 800, now_ns);
    expect_nothing();
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
        supervisor_exited(&sup, role, now_ns);
    struct supervisor_action action = {0};
    while (supervisor_next_action(&sup, &action))
        ;
    ck_assert_int_eq(action.kind, SUPERVISOR_DONE);
    ck_assert_int_eq(action.status, 1);
}
END_TEST

START_TEST(stop_during_back_off_starts_nothing)
{
    bring_up();
    supervisor_exited(&sup, IPC_CTLD, now_ns);
    drain();
    supervisor_stop(&sup, 0, 800, now_ns);
    drain();
    supervisor_exited(&sup, IPC_TUNNELD, now_ns);
    supervisor_exited(&sup, IPC_PROXYD, now_ns);
    struct supervisor_action action = {0};
    while (supervisor_next_action(&sup, &action))
        ck_assert_int_ne(action.kind, SUPERVISOR_SPAWN);
    ck_assert_int_eq(action.kind, SUPERVISOR_DONE);
}
END_TEST

/* -- Random sequences against a model -- */

struct model_process {
    bool alive, killed, greeted, configured;
    uint64_t ready_ns, exited_ns;
    uint32_t next_delay_ms;
    unsigned starts;
};

static struct model {
    struct model_process of[IPC_CTLD + 1];
    bool gate[IPC_CTLD + 1];
    uint32_t link[IPC_CTLD + 1][IPC_CTLD + 1]; /* live generation, both ways; 0 = none */
    uint32_t last_generation;
    bool stopping, done;
} model;

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

static void model_spawn(enum ipc_role role)
{
    struct model_process *p = &model.of[role];
    ck_assert_msg(!p->alive, "two processes of role %d", role);
    ck_assert(!model.stopping);
    if (p->starts > 0) /* run() is called at the very time asked for, or later */
        ck_assert_uint_ge(now_ns, p->exited_ns + p->next_delay_ms * NS_PER_MS);
    uint32_t delay_ms = p->next_delay_ms;
    unsigned starts = p->starts + 1;
    *p = (struct model_process){.alive = true, .starts = starts, .next_delay_ms = delay_ms};
}

static void model_link(const struct supervisor_action *a)
{
    const struct model_process *one = &model.of[a->child], *other = &model.of[a->peer];
    ck_assert(one->alive && other->alive);
    ck_assert_msg(one->configured && other->configured, "link before configuration");
    ck_assert_msg(model.link[a->child][a->peer] == 0, "two live generations of a link");
    ck_assert_uint_gt(a->generation, model.last_generation);
    model.last_generation = a->generation;
    model.link[a->child][a->peer] = model.link[a->peer][a->child] = a->generation;
}

static void model_unlink(enum ipc_role a, enum ipc_role b)
{
    model.link[a][b] = model.link[b][a] = 0;
}

static void model_act(const struct supervisor_action *a)
{
    struct model_process *p = a->kind == SUPERVISOR_DONE ? NULL : &model.of[a->child];
    switch (a->kind) {
    case SUPERVISOR_SPAWN:
        model_spawn(a->child);
        break;
    case SUPERVISOR_CONFIGURE:
        ck_assert(p->alive && p->greeted && !p->killed && model.gate[a->child]);
        ck_assert_msg(!p->configured, "configured twice");
        p->configured = true;
        p->ready_ns = now_ns;
        break;
    case SUPERVISOR_LINK:
        model_link(a);
        break;
    case SUPERVISOR_LINK_DOWN:
        ck_assert(p->alive && p->configured);
        ck_assert_uint_eq(model.link[a->child][a->peer], a->generation);
        model_unlink(a->child, a->peer);
        break;
    case SUPERVISOR_KILL:
        ck_assert(p->alive);
        p->killed = true;
        break;
    case SUPERVISOR_SHUTDOWN:
        ck_assert(p->alive && model.stopping);
        ck_assert_uint_eq(a->grace_ms, 800);
        break;
    case SUPERVISOR_DONE:
        for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
            ck_assert(!model.of[role].alive);
        ck_assert(model.stopping && !model.done);
        model.done = true;
        break;
    case SUPERVISOR_DISCONNECT:
        break;
    }
}

static void model_drain(void)
{
    struct supervisor_action action;
    while (supervisor_next_action(&sup, &action))
        model_act(&action);
    /* Ready siblings are linked, always, and nobody else is. */
    for (enum ipc_role a = IPC_TUNNELD; a <= IPC_CTLD; a++) {
        for (enum ipc_role b = a + 1; b <= IPC_CTLD && !model.stopping; b++) {
            bool both = supervisor_state_of(&sup, a) == SUPERVISOR_READY &&
                        supervisor_state_of(&sup, b) == SUPERVISOR_READY;
            ck_assert_msg(both == (model.link[a][b] != 0), "link of %d and %d", a, b);
        }
    }
}

static void model_exit(enum ipc_role role)
{
    struct model_process *p = &model.of[role];
    if (!p->alive)
        return;
    bool fatal = !model.stopping && !sup.children[role - IPC_TUNNELD].was_greeted;
    p->alive = false;
    p->exited_ns = now_ns;
    bool healthy = p->configured && now_ns - p->ready_ns >= SUPERVISOR_HEALTHY_AFTER_MS * NS_PER_MS;
    if (p->next_delay_ms == 0 || healthy)
        p->next_delay_ms = SUPERVISOR_BACKOFF_MIN_MS;
    else
        p->next_delay_ms = p->next_delay_ms * 2 > SUPERVISOR_BACKOFF_MAX_MS ? SUPERVISOR_BACKOFF_MAX_MS
                                                                            : p->next_delay_ms * 2;
    model.stopping = model.stopping || fatal;
    supervisor_exited(&sup, role, now_ns);
}

static void model_hello(enum ipc_role role)
{
    struct model_process *p = &model.of[role];
    if (!p->alive || p->killed || (p->greeted && random_below(20)))
        return;
    p->greeted = true;
    supervisor_hello(&sup, role, now_ns);
}

static void model_time(void)
{
    uint64_t next_ns = supervisor_next_ns(&sup);
    if (random_below(2) && next_ns != UINT64_MAX && next_ns > now_ns)
        now_ns = next_ns;
    else
        now_ns += random_below(30000) * NS_PER_MS;
    supervisor_run(&sup, now_ns);
}

static void model_step(bool may_stop)
{
    enum ipc_role role = IPC_TUNNELD + random_below(3);
    switch (random_below(16)) {
    case 0:
    case 1:
        model_exit(role);
        break;
    case 2:
        if (model.of[role].alive)
            supervisor_misbehaved(&sup, role, now_ns);
        break;
    case 3:
        model.gate[role] = true;
        supervisor_gate_open(&sup, role, now_ns);
        break;
    case 4:
        if (may_stop && random_below(40) == 0) {
            model.stopping = true;
            supervisor_stop(&sup, 0, 800, now_ns);
        }
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        model_time();
        break;
    default:
        model_hello(role);
        break;
    }
    if (sup.stopping)
        model.stopping = true;
    model_drain();
}

static void model_run(uint64_t seed)
{
    random_state = seed;
    model = (struct model){0};
    begin();
    supervisor_start(&sup, now_ns);
    model_drain();
    /* Mostly past the phase in which an exit is fatal, or little would be tried. */
    if (seed % 4)
        for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
            model_hello(role);
    model_drain();
    for (unsigned step = 0; step < 2000 && !model.done; step++)
        model_step(true);
    if (!model.done) {
        model.stopping = true;
        supervisor_stop(&sup, 0, 800, now_ns);
        model_drain();
        for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD; role++)
            model_exit(role);
        model_drain();
    }
    for (enum ipc_role role = IPC_TUNNELD; role <= IPC_CTLD && !model.done; role++) {
        model_exit(role);
        model_drain();
    }
    ck_assert(model.done);
    ck_assert_uint_eq(supervisor_next_ns(&sup), UINT64_MAX);
}

START_TEST(random_events_keep_the_invariants)
{
    for (uint64_t seed = 1; seed <= 500; seed++)
        model_run(seed + (uint64_t)_i * 500);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("supervisor");
    TCase *order = tcase_create("order");
    tcase_add_test(order, start_waits_for_the_gate);
    tcase_add_test(order, crash_is_told_to_siblings_and_restarted);
    tcase_add_test(order, back_off_doubles_to_its_limit_and_is_reset_by_health);
    tcase_add_test(order, misbehaviour_is_killed_before_it_is_restarted);
    tcase_add_test(order, second_hello_is_misbehaviour);
    tcase_add_test(order, silence_at_start_is_killed);
    tcase_add_test(order, exit_before_the_first_hello_is_fatal);
    tcase_add_test(order, stop_asks_then_kills);
    tcase_add_test(order, second_stop_kills_and_the_first_status_counts);
    tcase_add_test(order, stop_during_back_off_starts_nothing);
    suite_add_tcase(suite, order);
    TCase *random = tcase_create("random");
    tcase_set_timeout(random, 60);
    tcase_add_loop_test(random, random_events_keep_the_invariants, 0, 4);
    suite_add_tcase(suite, random);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
