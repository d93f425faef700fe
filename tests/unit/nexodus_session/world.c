#include "tests/unit/nexodus_session/world.h"

#include "tests/unit/nexodus/document.h"

struct sim sim;
struct plane plane;
struct plane_device *other, *third;

void world_begin(void)
{
    sim_init(&sim);
    plane_init(&plane, &sim);
    other = plane_add(&plane, 2);
    third = plane_add(&plane, 3);
    sim_published(&sim, "192.0.2.7:41000", "203.0.113.7:41000", true);
}

void world_end(void)
{
    sim_destroy(&sim);
    document_end();
}

void node_start(void)
{
    struct session_config config = {.reg_key = PLANE_KEY};
    sim_begin(&sim, &config);
}

void node_join(void)
{
    node_start();
    sim_run_for(&sim, 1000);
    ck_joined();
}

void node_restart(void)
{
    sim_end(&sim);
    plane_cut(&plane, HTTP_CUT);
    node_start();
}

void ck_joined(void)
{
    ck_assert_msg(sim_phase(&sim) == IPC_PHASE_JOINED, "phase %d: %s", sim_phase(&sim), sim_phase_text(&sim));
    ck_assert_uint_eq(sim.peer_count, 2);
    ck_assert_str_eq(sim.given_up, "");
}

void ck_gentle(uint64_t since_ns, size_t most)
{
    const size_t rate = sim_rate(&sim, 10000, since_ns);
    ck_assert_msg(rate <= most, "%zu requests in 10 s", rate);
}
