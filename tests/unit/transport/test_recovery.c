/* Loss recovery, each mechanism: round trips and timeouts, RACK, loss probes, proportional rate reduction,
 * undoing; and recovery from every pattern of up to three lost segments in a window of 32. */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include "tests/unit/common/unit.h"

enum { MSS = 1000, WINDOW = 32, START = 5000 };
#define RTT_NS (50 * NS_PER_MS)

static struct sender sender;
static uint64_t now_ns;

static void begin(unsigned segments)
{
    now_ns = 100 * NS_PER_S;
    sender_init(&sender, &cc_cubic, MSS, START, 1, now_ns);
    sender_established(&sender, true, MSS);
    sender.cc.cwnd = 100 * MSS;
    sender.cc.pacing_rate = 0;
    for (unsigned i = 0; i < segments; i++) {
        ck_assert(sender_may_send(&sender, MSS, now_ns));
        sender_sent(&sender, sender.next, sender.next + MSS, NULL, now_ns);
        now_ns += NS_PER_MS;
    }
}

/* Acknowledges up to segment `cumulative`, and [from, to) selectively, unless they are equal. */
static void acked(unsigned cumulative, unsigned from, unsigned to)
{
    struct sender_ack ack = {.ack = START + cumulative * MSS};
    if (from != to)
        ack.sacks[ack.sack_count++] =
            (struct sack_block){.start = START + from * MSS, .end = START + to * MSS};
    sender_ack(&sender, &ack, now_ns);
}

static unsigned resend_all(void)
{
    unsigned count = 0;
    struct tx_record *record;
    while ((record = sender_next_retransmission(&sender, now_ns)) != NULL) {
        sender_resent(&sender, record, now_ns);
        count++;
    }
    return count;
}

static void end(void)
{
    sender_free(&sender);
}

START_TEST(timeout_follows_the_round_trip)
{
    struct rtt rtt = {0};
    ck_assert_uint_eq(rtt_rto_ns(&rtt, 0), NS_PER_S);
    rtt_sample(&rtt, 100 * NS_PER_MS, 1);
    ck_assert_uint_eq(rtt.smoothed_ns, 100 * NS_PER_MS);
    ck_assert_uint_eq(rtt.variation_ns, 50 * NS_PER_MS);
    ck_assert_uint_eq(rtt_rto_ns(&rtt, 0), 300 * NS_PER_MS);
    for (unsigned i = 0; i < 200; i++)
        rtt_sample(&rtt, 100 * NS_PER_MS, 2 + i);
    ck_assert_uint_eq(rtt_rto_ns(&rtt, 0), 100 * NS_PER_MS + RTT_VARIATION_MIN_NS);
    ck_assert_uint_eq(rtt_rto_ns(&rtt, 1), 2 * rtt_rto_ns(&rtt, 0));
    ck_assert_uint_eq(rtt_rto_ns(&rtt, 60), RTT_RTO_MAX_NS);
    rtt_sample(&rtt, 10 * NS_PER_MS, 11 * NS_PER_S);
    ck_assert_uint_eq(rtt_min_ns(&rtt), 10 * NS_PER_MS);
    rtt_sample(&rtt, 80 * NS_PER_MS, 22 * NS_PER_S);
    rtt_sample(&rtt, 90 * NS_PER_MS, 33 * NS_PER_S);
    ck_assert_uint_eq(rtt_min_ns(&rtt), 80 * NS_PER_MS);
}
END_TEST

START_TEST(three_later_segments_tell_a_loss_at_once)
{
    begin(10);
    now_ns += RTT_NS;
    acked(1, 2, 3);
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    acked(1, 2, 4);
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    acked(1, 2, 5);
    ck_assert_int_eq(sender.phase, SENDER_RECOVERY);
    ck_assert_uint_eq(sender.stats.lost_segments, 1);
    ck_assert_uint_eq(resend_all(), 1);
    now_ns += RTT_NS;
    acked(10, 0, 0);
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    ck_assert_uint_eq(sender.board.count, 0);
    ck_assert_uint_eq(sender.stats.retransmitted_segments, 1);
    end();
}
END_TEST

START_TEST(one_later_segment_tells_a_loss_after_the_reordering_window)
{
    begin(2);
    now_ns += RTT_NS;
    acked(0, 1, 2);
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    uint64_t deadline_ns = sender_deadline_ns(&sender);
    ck_assert_uint_gt(deadline_ns, now_ns);
    ck_assert_uint_le(deadline_ns, now_ns + RTT_NS / 2);
    sender_timer(&sender, deadline_ns - 1);
    ck_assert_uint_eq(sender.board.lost, 0);
    sender_timer(&sender, deadline_ns);
    ck_assert_uint_eq(sender.board.lost, 1);
    end();
}
END_TEST

START_TEST(reordering_widens_the_window)
{
    begin(10);
    now_ns += RTT_NS;
    acked(1, 2, 4);
    now_ns += NS_PER_MS;
    acked(4, 0, 0); /* segment 1 came late, and had not been sent again */
    ck_assert(sender.rack.reordering_seen);
    now_ns += NS_PER_MS;
    acked(4, 5, 9); /* more than three segments, but it waits now */
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    acked(10, 0, 0);
    ck_assert_uint_eq(sender.stats.retransmitted_segments, 0);
    end();
}
END_TEST

START_TEST(a_lost_retransmission_is_found)
{
    begin(20);
    now_ns += RTT_NS;
    acked(1, 2, 6);
    ck_assert_uint_eq(resend_all(), 1);
    now_ns += 10 * NS_PER_MS;
    sender_sent(&sender, sender.next, sender.next + MSS, NULL, now_ns); /* after the retransmission */
    now_ns += RTT_NS;
    acked(1, 2, 21);
    ck_assert_uint_eq(sender.board.lost, 1);
    ck_assert_uint_eq(sender.stats.lost_segments, 2);
    ck_assert_uint_eq(sender.stats.timeouts, 0);
    end();
}
END_TEST

START_TEST(a_lost_tail_is_probed_before_the_timeout)
{
    begin(5);
    now_ns += RTT_NS;
    acked(2, 0, 0);
    uint64_t deadline_ns = sender_deadline_ns(&sender);
    ck_assert_uint_lt(deadline_ns, now_ns + rtt_rto_ns(&sender.rtt, 0));
    now_ns = deadline_ns;
    sender_timer(&sender, now_ns);
    struct tx_record *record = sender_probe(&sender);
    ck_assert_ptr_nonnull(record);
    ck_assert_uint_eq(record->start, START + 4 * MSS);
    sender_resent(&sender, record, now_ns);
    ck_assert_ptr_null(sender_probe(&sender));
    now_ns += RTT_NS + 10 * NS_PER_MS;
    acked(2, 4, 5); /* both before it are lost, then; one goes for each acknowledgement */
    ck_assert_uint_eq(sender.board.lost, 2);
    ck_assert_uint_eq(resend_all(), 1);
    now_ns += RTT_NS;
    acked(3, 4, 5);
    ck_assert_uint_eq(resend_all(), 1);
    ck_assert_uint_eq(sender.stats.timeouts, 0);
    end();
}
END_TEST

START_TEST(a_new_segment_serves_as_the_probe)
{
    begin(5);
    now_ns += RTT_NS;
    acked(2, 0, 0);
    sender.cc.cwnd = 3 * MSS; /* full */
    ck_assert(!sender_may_send(&sender, MSS, now_ns));
    now_ns = sender_deadline_ns(&sender);
    sender_timer(&sender, now_ns);
    ck_assert(sender_may_send(&sender, MSS, now_ns));
    sender_sent(&sender, sender.next, sender.next + MSS, NULL, now_ns);
    ck_assert(!sender_may_send(&sender, MSS, now_ns));
    ck_assert_ptr_null(sender_probe(&sender));
    ck_assert_uint_eq(sender.stats.probes, 1);
    end();
}
END_TEST

START_TEST(timeouts_back_off_and_count_from_the_first)
{
    begin(3);
    sender.sack_permitted = false; /* no probes */
    uint64_t last_ns = sender.rto_base_ns, gap_ns = 0;
    for (unsigned i = 0; i < 6; i++) {
        now_ns = sender_deadline_ns(&sender);
        ck_assert_uint_ge(now_ns - last_ns, gap_ns);
        ck_assert_uint_le(now_ns - last_ns, RTT_RTO_MAX_NS);
        gap_ns = now_ns - last_ns;
        last_ns = now_ns;
        sender_timer(&sender, now_ns);
        ck_assert_int_eq(sender.phase, SENDER_TIMEOUT);
        ck_assert_uint_eq(resend_all(), 1);
    }
    ck_assert_uint_eq(gap_ns, RTT_RTO_MAX_NS);
    ck_assert_uint_eq(sender.stats.timeouts, 6);
    ck_assert_uint_lt(sender.first_timeout_ns, now_ns);
    now_ns += RTT_NS;
    acked(1, 0, 0);
    ck_assert_uint_eq(sender.backoff, 0);
    ck_assert_uint_eq(sender.first_timeout_ns, 0);
    ck_assert_uint_eq(resend_all(), 2);
    end();
}
END_TEST

START_TEST(a_needless_timeout_is_undone)
{
    begin(8);
    uint64_t cwnd = sender.cc.cwnd;
    sender.probe_out = true; /* only the timeout is left */
    now_ns = sender_deadline_ns(&sender);
    sender_timer(&sender, now_ns);
    ck_assert_int_eq(sender.phase, SENDER_TIMEOUT);
    ck_assert_uint_lt(sender.cc.cwnd, cwnd);
    ck_assert_uint_eq(resend_all(), 1);
    now_ns += NS_PER_MS;
    acked(3, 0, 0); /* the originals come, late */
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    ck_assert_uint_eq(sender.cc.cwnd, cwnd);
    ck_assert_uint_eq(sender.stats.undone, 1);
    ck_assert_uint_eq(resend_all(), 0);
    end();
}
END_TEST

START_TEST(a_needless_retransmission_is_undone)
{
    begin(10);
    uint64_t cwnd = sender.cc.cwnd;
    now_ns += RTT_NS;
    acked(1, 2, 5);
    ck_assert_uint_eq(resend_all(), 1);
    ck_assert_uint_lt(sender.cc.ssthresh, cwnd);
    struct sender_ack ack = {.ack = START + 6 * MSS,
                             .sack_count = 1,
                             .sacks = {{.start = START + 1 * MSS, .end = START + 2 * MSS}}};
    now_ns += NS_PER_MS;
    sender_ack(&sender, &ack, now_ns);
    ck_assert_int_eq(sender.phase, SENDER_OPEN);
    ck_assert_uint_eq(sender.cc.cwnd, cwnd);
    ck_assert_uint_eq(sender.stats.spurious_segments, 1);
    ck_assert_uint_eq(sender.rack.window_factor, 2);
    end();
}
END_TEST

START_TEST(the_window_sinks_evenly_in_recovery)
{
    struct prr prr;
    uint64_t inflight = 100 * MSS, out = 0;
    prr_begin(&prr, inflight);
    for (unsigned i = 0; i < 100; i++) { /* a round trip: each ACK delivers one segment */
        inflight -= MSS;
        uint64_t cwnd = prr_ack(&prr, MSS, inflight, 70 * MSS, MSS, true, i == 0);
        while (inflight + MSS <= cwnd) {
            inflight += MSS;
            out += MSS;
            prr_sent(&prr, MSS);
        }
        ck_assert_uint_le(out, (i + 2) * 70ull * MSS / 100 + 2 * MSS);
    }
    ck_assert_uint_le(inflight, 71 * MSS);
    ck_assert_uint_ge(inflight, 69 * MSS);
}
END_TEST

START_TEST(an_echo_counts_once_a_round_trip)
{
    begin(10);
    uint64_t cwnd = sender.cc.cwnd;
    struct sender_ack ack = {.ack = START + MSS, .congestion_echo = true};
    now_ns += RTT_NS;
    ck_assert(sender_ack(&sender, &ack, now_ns));
    ck_assert_uint_lt(sender.cc.cwnd, cwnd);
    cwnd = sender.cc.cwnd;
    for (uint32_t i = 2; i <= 9; i++) { /* of what had left before */
        ack.ack = START + i * MSS;
        ck_assert(!sender_ack(&sender, &ack, now_ns));
        ck_assert_uint_ge(sender.cc.cwnd, cwnd);
    }
    ack.ack = START + 10 * MSS;
    ck_assert(sender_ack(&sender, &ack, now_ns));
    ck_assert_uint_eq(sender.stats.echoes, 2);
    ck_assert_uint_eq(sender.stats.recoveries, 0);
    end();
}
END_TEST

START_TEST(hostile_acknowledgements_change_nothing)
{
    begin(10);
    now_ns += RTT_NS;
    acked(2, 0, 0);
    struct sender_ack bad[] = {
        {.ack = START - 1},        /* old */
        {.ack = START + 11 * MSS}, /* never sent */
        {.ack = START + 2 * MSS,
         .sack_count = 4,
         .sacks = {{START + 9 * MSS, START + 20 * MSS},          /* beyond what was sent */
                   {START + 5 * MSS, START + 4 * MSS},           /* turned round */
                   {START + 7 * MSS, START + 7 * MSS},           /* empty */
                   {START + 7 * MSS + 1, START + 8 * MSS - 1}}}, /* of no whole segment */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sender_ack(&sender, &bad[i], now_ns);
        ck_assert_uint_eq(sender.una, START + 2 * MSS);
        ck_assert_uint_eq(sender.board.sacked, 0);
        ck_assert_uint_eq(sender_inflight(&sender), 8 * MSS);
    }
    end();
}
END_TEST

/* -- Every pattern of up to three losses ----------------------------------------------------- */

static bool drop_pattern(struct sim *sim, const struct sim_packet *packet, void *arg)
{
    const unsigned *lost = arg;
    (void)sim;
    return packet->number == lost[0] || packet->number == lost[1] || packet->number == lost[2];
}

static void pattern_recovers(const char *algorithm, bool sack, unsigned *lost, unsigned losses)
{
    static struct sim sim;
    const struct sim_link link = {.delay_ns = 10 * NS_PER_MS};
    sim_init(&sim, &link, 1);
    struct sim_flow *flow = sim_flow_add(&sim, algorithm, 0);
    flow->limit_bytes = (uint64_t)(10 + WINDOW) * SIM_MSS;
    flow->no_sack = !sack;
    sim.drop = drop_pattern;
    sim.drop_arg = lost;
    sim_run(&sim, sim.now_ns + 20 * NS_PER_S);
    const struct sender_stats *stats = &flow->sender.stats;
    uint64_t took_ns = flow->finished_ns - flow->begin_ns;
    bool good = flow->finished_ns != 0 && flow->delivered_bytes == flow->limit_bytes;
    /* With SACK only what was lost goes again, but for a probe; without, at most the window. */
    good = good && stats->retransmitted_segments <= (sack ? losses + 2 : WINDOW);
    good = good && took_ns < (sack ? 700 : 3000) * NS_PER_MS;
    if (!good)
        ck_abort_msg("%s, sack %d: lost %u %u %u: done %d, %llu again, %.0f ms", algorithm, sack, lost[0],
                     lost[1], lost[2], flow->finished_ns != 0,
                     (unsigned long long)stats->retransmitted_segments, (double)took_ns / (double)NS_PER_MS);
    sim_free(&sim);
}

/* The first ten segments open the window; the next 32 are the window that is hit. */
static void every_pattern(const char *algorithm, bool sack)
{
    const unsigned none = UINT32_MAX, last = 10 + WINDOW;
    for (unsigned a = 10; a < last; a++) {
        pattern_recovers(algorithm, sack, (unsigned[]){a, none, none}, 1);
        for (unsigned b = a + 1; b < last; b++) {
            pattern_recovers(algorithm, sack, (unsigned[]){a, b, none}, 2);
            for (unsigned c = b + 1; c < last; c++)
                pattern_recovers(algorithm, sack, (unsigned[]){a, b, c}, 3);
        }
    }
}

START_TEST(every_pattern_of_three_losses_with_bbr)
{
    every_pattern("bbr", true);
}
END_TEST

START_TEST(every_pattern_of_three_losses_with_cubic)
{
    every_pattern("cubic", true);
}
END_TEST

START_TEST(every_pattern_of_three_losses_without_sack)
{
    every_pattern("bbr", false);
    every_pattern("cubic", false);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, timeout_follows_the_round_trip);
    tcase_add_test(tcase, three_later_segments_tell_a_loss_at_once);
    tcase_add_test(tcase, one_later_segment_tells_a_loss_after_the_reordering_window);
    tcase_add_test(tcase, reordering_widens_the_window);
    tcase_add_test(tcase, a_lost_retransmission_is_found);
    tcase_add_test(tcase, a_lost_tail_is_probed_before_the_timeout);
    tcase_add_test(tcase, a_new_segment_serves_as_the_probe);
    tcase_add_test(tcase, timeouts_back_off_and_count_from_the_first);
    tcase_add_test(tcase, a_needless_timeout_is_undone);
    tcase_add_test(tcase, a_needless_retransmission_is_undone);
    tcase_add_test(tcase, the_window_sinks_evenly_in_recovery);
    tcase_add_test(tcase, an_echo_counts_once_a_round_trip);
    tcase_add_test(tcase, hostile_acknowledgements_change_nothing);
    tcase_add_test(tcase, every_pattern_of_three_losses_with_bbr);
    tcase_add_test(tcase, every_pattern_of_three_losses_with_cubic);
    tcase_add_test(tcase, every_pattern_of_three_losses_without_sack);
}

int main(void)
{
    return unit_run("recovery", fill);
}
