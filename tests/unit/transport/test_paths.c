/* Whole paths: long, lossy, reordering, dark for a minute, shared. The bounds are what users of such paths
 * need, and far from what loss-based control reaches. */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"
#include <stdio.h>

static struct sim sim;

static struct sim_link path(uint64_t mbit, uint64_t rtt_ms, uint64_t queue_ms)
{
    uint64_t rate = mbit * 1000000 / 8;
    return (struct sim_link){
        .rate = rate, .delay_ns = rtt_ms * NS_PER_MS / 2, .queue_bytes = rate * queue_ms / 1000};
}

static double goodput_mbit(const struct sim_flow *flow, uint64_t since_bytes, double seconds)
{
    return (double)(flow->delivered_bytes - since_bytes) * 8 / seconds / 1e6;
}

START_TEST(loss_does_not_slow_bbr)
{
    static const uint64_t rtts_ms[] = {20, 80, 200};
    static const double losses[] = {0, 0.001, 0.01};
    for (size_t r = 0; r < 3; r++) {
        for (size_t l = 0; l < 3; l++) {
            struct sim_link link = path(200, rtts_ms[r], 50);
            link.loss = link.ack_loss = losses[l];
            sim_init(&sim, &link, 11 + r * 3 + l);
            struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
            sim_run(&sim, sim.now_ns + 5 * NS_PER_S);
            struct sender_stats before = flow->sender.stats;
            uint64_t begin = flow->delivered_bytes, lost = sim.losses + sim.queue_drops;
            sim_run(&sim, sim.now_ns + 15 * NS_PER_S);
            const struct sender_stats *stats = &flow->sender.stats;
            double again = (double)(stats->retransmitted_bytes - before.retransmitted_bytes) /
                           (double)(stats->sent_bytes - before.sent_bytes);
            double dropped = (double)(sim.losses + sim.queue_drops - lost) /
                             (double)(stats->sent_segments - before.sent_segments);
            double mbit = goodput_mbit(flow, begin, 15);
            if (mbit < 130 || again > dropped + 0.005 || stats->timeouts != before.timeouts)
                ck_abort_msg("rtt %u ms, loss %.1f %%: %.1f Mbit/s, %.2f %% again of %.2f %% lost",
                             (unsigned)rtts_ms[r], losses[l] * 100, mbit, again * 100, dropped * 100);
            sim_free(&sim);
        }
    }
}
END_TEST

START_TEST(chance_does_not_end_the_opening)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct sim_link link = path(200, 200, 100);
        link.loss = link.ack_loss = 0.01;
        sim_init(&sim, &link, seed);
        struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
        sim_run(&sim, sim.now_ns + 4 * NS_PER_S);
        double mbit = goodput_mbit(flow, 0, 4);
        if (mbit < 60)
            ck_abort_msg("seed %u: %.1f Mbit/s", (unsigned)seed, mbit);
        sim_free(&sim);
    }
}
END_TEST

START_TEST(reordering_and_duplication_are_not_taken_for_loss)
{
    struct sim_link link = path(200, 20, 50);
    link.jitter_ns = link.reorder_ns = 2 * NS_PER_MS;
    link.reorder = 0.3;
    link.duplicate = 0.01;
    sim_init(&sim, &link, 5);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    sim_run(&sim, sim.now_ns + 10 * NS_PER_S);
    const struct sender_stats *stats = &flow->sender.stats;
    ck_assert_double_gt(goodput_mbit(flow, 0, 10), 150);
    ck_assert_double_lt((double)stats->retransmitted_segments,
                        (double)sim.queue_drops + 0.005 * (double)stats->sent_segments);
    sim_free(&sim);
}
END_TEST

START_TEST(a_minute_of_darkness_ends_within_two_seconds)
{
    static const char *const algorithms[] = {"bbr", "cubic"};
    static const double least_mbit[] = {30, 20};
    for (size_t i = 0; i < 2; i++) {
        struct sim_link link = path(50, 80, 100);
        link.dark_from = 5 * NS_PER_S;
        link.dark_until = 65 * NS_PER_S;
        sim_init(&sim, &link, 3);
        struct sim_flow *flow = sim_flow_add(&sim, algorithms[i], 0);
        sim_run(&sim, link.dark_until);
        uint64_t begin = flow->delivered_bytes, sent = flow->sender.stats.sent_segments;
        sim_run(&sim, link.dark_until + 2 * NS_PER_S);
        ck_assert_uint_gt(flow->delivered_bytes, begin);
        ck_assert_uint_lt(sent - 100, 50000); /* it has not kept on sending into the dark */
        begin = flow->delivered_bytes;
        sim_run(&sim, link.dark_until + 12 * NS_PER_S);
        ck_assert_double_gt(goodput_mbit(flow, begin, 10), least_mbit[i]);
        sim_free(&sim);
    }
}
END_TEST

static double jain(const double *x, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return sum * sum / ((double)count * squares);
}

/* Two flows, the second joins after 10 s: it must have its share within 10 s more, and Jain's index over the
 * last 20 s must be high. */
static void two_share(const char *algorithm, double loss, double least_early, double least_jain)
{
    struct sim_link link = path(50, 40, 80);
    link.loss = loss;
    sim_init(&sim, &link, 9);
    struct sim_flow *a = sim_flow_add(&sim, algorithm, 0);
    struct sim_flow *b = sim_flow_add(&sim, algorithm, 10 * NS_PER_S);
    sim_run(&sim, sim.now_ns + 15 * NS_PER_S);
    uint64_t a_begin = a->delivered_bytes, b_begin = b->delivered_bytes;
    sim_run(&sim, sim.now_ns + 10 * NS_PER_S);
    double a_early = goodput_mbit(a, a_begin, 10), b_early = goodput_mbit(b, b_begin, 10);
    sim_run(&sim, sim.now_ns + 10 * NS_PER_S);
    a_begin = a->delivered_bytes;
    b_begin = b->delivered_bytes;
    sim_run(&sim, sim.now_ns + 20 * NS_PER_S);
    double late[2] = {goodput_mbit(a, a_begin, 20), goodput_mbit(b, b_begin, 20)};
    if (b_early < (a_early + b_early) * least_early || jain(late, 2) < least_jain)
        ck_abort_msg("%s: %.1f and %.1f early, %.1f and %.1f Mbit/s late", algorithm, a_early, b_early,
                     late[0], late[1]);
    sim_free(&sim);
}

START_TEST(two_bbr_flows_share)
{
    two_share("bbr", 0, 1.0 / 3, 0.95);
    two_share("bbr", 0.01, 1.0 / 3, 0.95);
}
END_TEST

START_TEST(two_cubic_flows_share)
{
    two_share("cubic", 0, 0.2, 0.85);
}
END_TEST

START_TEST(eight_bbr_flows_share)
{
    struct sim_link link = path(100, 20, 80);
    double got[8];
    uint64_t begin[8];
    sim_init(&sim, &link, 21);
    for (unsigned i = 0; i < 8; i++)
        (void)sim_flow_add(&sim, "bbr", i * 500 * NS_PER_MS);
    sim_run(&sim, sim.now_ns + 30 * NS_PER_S);
    for (unsigned i = 0; i < 8; i++)
        begin[i] = sim.flows[i].delivered_bytes;
    sim_run(&sim, sim.now_ns + 30 * NS_PER_S);
    for (unsigned i = 0; i < 8; i++)
        got[i] = goodput_mbit(&sim.flows[i], begin[i], 30);
    ck_assert_double_ge(jain(got, 8), 0.95);
    sim_free(&sim);
}
END_TEST

/* On long paths with queues of one or two round trips nothing is dropped, so nothing but the queue itself
 * tells the flows that there are others. It stays under half of its room, and shares are equal. */
START_TEST(eight_bbr_flows_share_long_paths_and_keep_their_queues_short)
{
    static const uint64_t rtts_ms[] = {100, 200};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t rtt_ms = rtts_ms[seed % 2];
        struct sim_link link = path(100, rtt_ms, 200);
        double got[8], queue = 0;
        uint64_t begin[8];
        sim_init(&sim, &link, seed);
        for (unsigned i = 0; i < 8; i++)
            (void)sim_flow_add(&sim, "bbr", i * 500 * NS_PER_MS);
        sim_run(&sim, sim.now_ns + 30 * NS_PER_S);
        for (unsigned i = 0; i < 8; i++)
            begin[i] = sim.flows[i].delivered_bytes;
        for (unsigned i = 0; i < 300; i++) {
            sim_run(&sim, sim.now_ns + 100 * NS_PER_MS);
            queue += (double)sim.queue_bytes / 300;
        }
        for (unsigned i = 0; i < 8; i++)
            got[i] = goodput_mbit(&sim.flows[i], begin[i], 30);
        ck_assert_msg(jain(got, 8) >= 0.95, "seed %u: %.2f", (unsigned)seed, jain(got, 8));
        ck_assert_double_lt(queue, 0.45 * (double)rtt_ms / 1000 * (double)link.rate);
        sim_free(&sim);
    }
}
END_TEST

/* A second flow joins one that has the path to itself. */
START_TEST(a_second_flow_gets_a_third_within_ten_seconds)
{
    static const uint64_t rtts_ms[] = {20, 80, 200};
    for (size_t r = 0; r < 3; r++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            struct sim_link link = path(50, rtts_ms[r], rtts_ms[r]);
            sim_init(&sim, &link, seed);
            struct sim_flow *a = sim_flow_add(&sim, "bbr", 0);
            struct sim_flow *b = sim_flow_add(&sim, "bbr", 10 * NS_PER_S);
            sim_run(&sim, sim.now_ns + 20 * NS_PER_S);
            uint64_t a_begin = a->delivered_bytes, b_begin = b->delivered_bytes;
            sim_run(&sim, sim.now_ns + 20 * NS_PER_S);
            double first = goodput_mbit(a, a_begin, 20), second = goodput_mbit(b, b_begin, 20);
            if (second < (first + second) / 3)
                ck_abort_msg("rtt %u ms, seed %u: %.1f and %.1f Mbit/s", (unsigned)rtts_ms[r], (unsigned)seed,
                             first, second);
            sim_free(&sim);
        }
    }
}
END_TEST

/* A queue that marks from 5 ms on: nothing is dropped, and it stays that short. */
START_TEST(marks_keep_a_queue_short_without_drops)
{
    static const char *const algorithms[] = {"bbr", "cubic"};
    for (size_t i = 0; i < 2; i++) {
        struct sim_link link = path(50, 40, 80);
        link.mark_bytes = link.rate * 5 / 1000;
        sim_init(&sim, &link, 3);
        struct sim_flow *a = sim_flow_add(&sim, algorithms[i], 0);
        struct sim_flow *b = sim_flow_add(&sim, algorithms[i], 3 * NS_PER_S);
        sim_run(&sim, sim.now_ns + 5 * NS_PER_S);
        uint64_t a_begin = a->delivered_bytes, b_begin = b->delivered_bytes, drops = sim.queue_drops;
        double queue = 0;
        for (unsigned k = 0; k < 200; k++) {
            sim_run(&sim, sim.now_ns + 100 * NS_PER_MS);
            queue += (double)sim.queue_bytes / 200;
        }
        double got[2] = {goodput_mbit(a, a_begin, 20), goodput_mbit(b, b_begin, 20)};
        ck_assert_uint_eq(sim.queue_drops, drops);
        ck_assert_uint_gt(a->sender.stats.echoes, 0);
        ck_assert_double_lt(queue, 0.010 * (double)link.rate);
        ck_assert_msg(got[0] + got[1] > 33 && jain(got, 2) > 0.9, "%s: %.1f and %.1f", algorithms[i], got[0],
                      got[1]);
        sim_free(&sim);
    }
}
END_TEST

START_TEST(bbr_and_cubic_live_together)
{
    struct sim_link link = path(50, 40, 80);
    sim_init(&sim, &link, 2);
    struct sim_flow *bbr = sim_flow_add(&sim, "bbr", 0);
    struct sim_flow *cubic = sim_flow_add(&sim, "cubic", 0);
    sim_run(&sim, sim.now_ns + 60 * NS_PER_S);
    ck_assert_double_gt(goodput_mbit(bbr, 0, 60), 50.0 / 8);
    ck_assert_double_gt(goodput_mbit(cubic, 0, 60), 50.0 / 8);
    sim_free(&sim);
}
END_TEST

START_TEST(bursts_of_loss_are_survived)
{
    struct sim_link link = path(50, 80, 100);
    link.burst_enter = 0.0005;
    link.burst_leave = 0.05;
    sim_init(&sim, &link, 4);
    struct sim_flow *flow = sim_flow_add(&sim, "bbr", 0);
    flow->limit_bytes = 20000000;
    sim_run(&sim, sim.now_ns + 60 * NS_PER_S);
    ck_assert_uint_ne(flow->finished_ns, 0);
    ck_assert_uint_eq(flow->delivered_bytes, flow->limit_bytes);
    sim_free(&sim);
}
END_TEST

START_TEST(one_seed_one_run)
{
    uint64_t events[2];
    for (unsigned i = 0; i < 2; i++) {
        struct sim_link link = path(50, 40, 80);
        link.loss = 0.01;
        sim_init(&sim, &link, 77);
        (void)sim_flow_add(&sim, "bbr", 0);
        (void)sim_flow_add(&sim, "cubic", NS_PER_S);
        sim_run(&sim, sim.now_ns + 10 * NS_PER_S);
        events[i] = sim.events;
        sim_free(&sim);
    }
    ck_assert_uint_eq(events[0], events[1]);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, loss_does_not_slow_bbr);
    tcase_add_test(tcase, chance_does_not_end_the_opening);
    tcase_add_test(tcase, reordering_and_duplication_are_not_taken_for_loss);
    tcase_add_test(tcase, a_minute_of_darkness_ends_within_two_seconds);
    tcase_add_test(tcase, two_bbr_flows_share);
    tcase_add_test(tcase, two_cubic_flows_share);
    tcase_add_test(tcase, eight_bbr_flows_share);
    tcase_add_test(tcase, eight_bbr_flows_share_long_paths_and_keep_their_queues_short);
    tcase_add_test(tcase, a_second_flow_gets_a_third_within_ten_seconds);
    tcase_add_test(tcase, marks_keep_a_queue_short_without_drops);
    tcase_add_test(tcase, bbr_and_cubic_live_together);
    tcase_add_test(tcase, bursts_of_loss_are_survived);
    tcase_add_test(tcase, one_seed_one_run);
}

int main(void)
{
    return unit_run("paths", fill);
}
