/* The algorithms, each mechanism on its own: HyStart++, CUBIC's curve, BBR's model and cycle. */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"
#include "tunneld/transport/bbr.h"
#include "tunneld/transport/hystart.h"
#include <string.h>

enum { MSS = 1000 };

static struct sim sim;

static void path(uint64_t mbit, uint64_t rtt_ms, uint64_t queue_ms, double loss)
{
    uint64_t rate = mbit * 1000000 / 8;
    const struct sim_link link = {.rate = rate,
                                  .delay_ns = rtt_ms * NS_PER_MS / 2,
                                  .queue_bytes = rate * queue_ms / 1000,
                                  .loss = loss};
    sim_init(&sim, &link, 7);
}

START_TEST(names_find_algorithms)
{
    ck_assert_ptr_eq(cc_find("bbr"), &cc_bbr);
    ck_assert_ptr_eq(cc_find("cubic"), &cc_cubic);
    ck_assert_ptr_null(cc_find("reno"));
    ck_assert_ptr_null(cc_find(""));
}
END_TEST

START_TEST(hystart_leaves_slow_start_when_the_round_trip_grows)
{
    struct hystart hystart;
    bool done = false;
    uint64_t delivered = 0, rounds = 0;
    hystart_init(&hystart);
    for (unsigned i = 0; i < 400 && !done; i++) {
        uint64_t rtt_ns = (i < 40 ? 40 : 60) * NS_PER_MS;
        uint32_t css_before = hystart.css_rounds;
        delivered += MSS;
        uint64_t grown = hystart_ack(&hystart, MSS, delivered, 20 * MSS, rtt_ns, &done);
        ck_assert_uint_eq(grown, hystart.css_rounds != 0 ? MSS / 4 : MSS);
        if (i < 40)
            ck_assert_uint_eq(hystart.css_rounds, 0);
        rounds += hystart.css_rounds > css_before;
    }
    ck_assert(done);
    ck_assert_uint_ge(rounds, 5);
}
END_TEST

START_TEST(hystart_goes_back_when_it_was_noise)
{
    struct hystart hystart;
    bool done = false;
    uint64_t delivered = 0;
    hystart_init(&hystart);
    for (unsigned i = 0; i < 400; i++) {
        uint64_t rtt_ns = (i >= 40 && i < 80 ? 60 : 40) * NS_PER_MS;
        delivered += MSS;
        (void)hystart_ack(&hystart, MSS, delivered, 20 * MSS, rtt_ns, &done);
        ck_assert(!done);
        if (i == 79)
            ck_assert_uint_ne(hystart.css_rounds, 0);
    }
    ck_assert_uint_eq(hystart.css_rounds, 0);
}
END_TEST

/* RFC 9438: after a reduction to 0.7 W_max the window is back at W_max after K = cbrt(0.3 W_max / 0.4) s. */
START_TEST(cubic_returns_to_its_old_window_on_time)
{
    struct cc cc;
    uint64_t now_ns = NS_PER_S, delivered = 0;
    const uint64_t rtt_ns = 100 * NS_PER_MS;
    cc_init(&cc, &cc_cubic, MSS, 1, now_ns);
    cc.cwnd = 1000 * MSS;
    cc.ops->on_recovery(&cc, CC_RECOVERY_ENTER, now_ns, cc.cwnd);
    ck_assert_uint_eq(cc.ssthresh, 700 * MSS);
    cc.cwnd = cc.ssthresh;
    cc.ops->on_recovery(&cc, CC_RECOVERY_EXIT, now_ns, cc.cwnd);
    uint64_t begin_ns = now_ns;
    while (cc.cwnd < 995 * MSS && now_ns < begin_ns + 60 * NS_PER_S) {
        uint64_t acks = cc.cwnd / MSS;
        for (uint64_t i = 0; i < acks; i++) {
            now_ns += rtt_ns / acks;
            delivered += MSS;
            struct cc_ack ack = {.now_ns = now_ns,
                                 .newly_acked = MSS,
                                 .inflight = cc.cwnd,
                                 .delivered = delivered,
                                 .rtt_ns = rtt_ns,
                                 .srtt_ns = rtt_ns,
                                 .cwnd_limited = true};
            cc.ops->on_ack(&cc, &ack);
        }
    }
    /* On the curve, 995 segments come cbrt(5 / 0.4) s before W_max. */
    double expected = 9.086 - 2.321, took = (double)(now_ns - begin_ns) / (double)NS_PER_S;
    ck_assert_double_gt(took, expected * 0.95);
    ck_assert_double_lt(took, expected * 1.05);
}
END_TEST

START_TEST(bbr_finds_the_rate_and_keeps_the_queue_short)
{
    path(50, 40, 400, 0);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    sim_run(&sim, sim.now_ns + 3 * NS_PER_S);
    const struct bbr *bbr = bbr_of(&flow->sender.cc);
    double truth = 50e6 / 8 * SIM_MSS / (SIM_MSS + SIM_HEADER_BYTES);
    ck_assert(bbr->full_bw_reached);
    ck_assert_double_gt((double)bbr->max_bw, truth * 0.97);
    ck_assert_double_lt((double)bbr->max_bw, truth * 1.05);
    /* Mean queue over 10 s stays under a quarter of the round trip, though there is room for ten. */
    uint64_t begin = flow->delivered_bytes, queue = 0, samples = 0;
    for (; samples < 1000; samples++) {
        sim_run(&sim, sim.now_ns + 10 * NS_PER_MS);
        queue += sim.queue_bytes;
    }
    ck_assert_double_lt((double)queue / (double)samples, 50e6 / 8 * 0.010);
    ck_assert_double_gt((double)(flow->delivered_bytes - begin) / 10, truth * 0.93);
    ck_assert_uint_lt(bbr->min_rtt_ns, 42 * NS_PER_MS);
    sim_free(&sim);
}
END_TEST

START_TEST(bbr_goes_through_all_its_phases)
{
    bool seen[BBR_PROBE_RTT + 1] = {false};
    path(20, 40, 100, 0);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    for (unsigned i = 0; i < 12000; i++) {
        sim_run(&sim, sim.now_ns + NS_PER_MS);
        if (flow->started)
            seen[bbr_of(&flow->sender.cc)->phase] = true;
    }
    for (unsigned i = 0; i <= BBR_PROBE_RTT; i++)
        ck_assert_msg(seen[i], "phase %u was never entered", i);
    sim_free(&sim);
}
END_TEST

START_TEST(bbr_notices_more_and_less_bandwidth)
{
    path(20, 40, 100, 0);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    const struct bbr *bbr = bbr_of(&flow->sender.cc);
    sim_run(&sim, sim.now_ns + 5 * NS_PER_S);
    sim.link.rate *= 4;
    sim_run(&sim, sim.now_ns + 12 * NS_PER_S);
    ck_assert_double_gt((double)bbr->max_bw, 80e6 / 8 * 0.85);
    sim.link.rate /= 8;
    sim_run(&sim, sim.now_ns + 12 * NS_PER_S);
    ck_assert_double_lt((double)bbr->max_bw, 10e6 / 8 * 1.2);
    ck_assert_uint_lt(flow->sender.rtt.smoothed_ns, 60 * NS_PER_MS);
    sim_free(&sim);
}
END_TEST

START_TEST(bbr_is_not_slowed_by_an_application_that_rests)
{
    path(50, 40, 100, 0);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    flow->burst_on_ns = 2 * NS_PER_S;
    flow->burst_off_ns = 3 * NS_PER_S;
    sim_run(&sim, sim.now_ns + 15 * NS_PER_S + 1);
    uint64_t begin = flow->delivered_bytes;
    sim_run(&sim, sim.now_ns + NS_PER_S); /* of the fourth burst, the first second */
    double rate = (double)(flow->delivered_bytes - begin);
    ck_assert_double_gt(rate, 50e6 / 8 * SIM_MSS / (SIM_MSS + SIM_HEADER_BYTES) * 0.80);
    ck_assert_uint_eq(flow->sender.stats.timeouts, 0);
    sim_free(&sim);
}
END_TEST

/* Samples of a flow that is steadily delivered `rate` bytes a second over a path of `rtt_ns`. */
static void bbr_samples(struct cc *cc, uint64_t rate, uint64_t rtt_ns, uint64_t *now_ns, unsigned rounds)
{
    static uint64_t delivered;
    for (unsigned i = 0; i < rounds; i++) {
        const uint64_t bytes = rate * rtt_ns / NS_PER_S;
        *now_ns += rtt_ns;
        delivered += bytes;
        const struct cc_ack ack = {.now_ns = *now_ns,
                                   .newly_acked = bytes,
                                   .inflight = bytes,
                                   .prior_inflight = 2 * bytes,
                                   .delivered = delivered,
                                   .rtt_ns = rtt_ns,
                                   .srtt_ns = rtt_ns,
                                   .min_rtt_ns = rtt_ns,
                                   .delivery_rate = rate,
                                   .sample_delivered = bytes,
                                   .prior_delivered = delivered - bytes,
                                   .tx_in_flight = bytes,
                                   .has_sample = true,
                                   .advanced = true};
        cc->ops->on_ack(cc, &ack);
    }
}

/* Within a host or a rack a flow that has had little keeps up with one that has had much; over a long path
 * what each was delivered counts. */
START_TEST(bbr_lets_nobody_fall_far_behind_on_a_short_path)
{
    static const struct {
        uint64_t rtt_ns;
        bool shared;
    } paths[] = {{200 * NS_PER_US, true}, {20 * NS_PER_MS, false}};
    const uint64_t fast_rate = 50000000, slow_rate = 2000000;
    uint64_t now_ns = NS_PER_S;
    struct cc fast, slow;
    cc_init(&fast, &cc_bbr, MSS, 1, now_ns);
    cc_init(&slow, &cc_bbr, MSS, 2, now_ns);
    bbr_samples(&fast, fast_rate, paths[_i].rtt_ns, &now_ns, 40);
    bbr_samples(&slow, slow_rate, paths[_i].rtt_ns, &now_ns, 40);
    ck_assert(bbr_of(&fast)->full_bw_reached);
    ck_assert(bbr_of(&slow)->full_bw_reached);
    ck_assert_uint_le(bbr_of(&slow)->bw, slow_rate * 2); /* its model stays true */
    if (paths[_i].shared) {
        ck_assert_uint_ge(2 * slow.quantum, fast.quantum);
        ck_assert_uint_ge(2 * slow.pacing_rate, fast_rate);
    } else {
        ck_assert_uint_le(slow.pacing_rate, slow_rate * 3);
        ck_assert_uint_le(slow.quantum, 6 * MSS);
    }
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, names_find_algorithms);
    tcase_add_test(tcase, hystart_leaves_slow_start_when_the_round_trip_grows);
    tcase_add_test(tcase, hystart_goes_back_when_it_was_noise);
    tcase_add_test(tcase, cubic_returns_to_its_old_window_on_time);
    tcase_add_test(tcase, bbr_finds_the_rate_and_keeps_the_queue_short);
    tcase_add_test(tcase, bbr_goes_through_all_its_phases);
    tcase_add_test(tcase, bbr_notices_more_and_less_bandwidth);
    tcase_add_loop_test(tcase, bbr_lets_nobody_fall_far_behind_on_a_short_path, 0, 2);
    tcase_add_test(tcase, bbr_is_not_slowed_by_an_application_that_rests);
}

int main(void)
{
    return unit_run("congestion", fill);
}
