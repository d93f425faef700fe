/* Section 6 of the paper on a simulated clock: rekeying, rejecting, retrying, keepalives, forgetting. */
#include "sim.h"
#include "suite.h"

#include "common/err.h"
#include <string.h>

/* Whether a pair that exchanges a packet each way every second loses none within that many seconds. */
static void talk(struct sim *sim, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        size_t at_first = sim->nodes[0].received_count, at_second = sim->nodes[1].received_count;

        ck_assert_int_eq(sim_send(sim, 0, 1, 200, i), NX_OK);
        ck_assert_int_eq(sim_send(sim, 1, 0, 200, i), NX_OK);
        sim_settle(sim);
        ck_assert_uint_eq(sim->nodes[0].received_count, at_first + 1);
        ck_assert_uint_eq(sim->nodes[1].received_count, at_second + 1);
        sim_advance(sim, NS_PER_S);
    }
}

START_TEST(traffic_rekeys_every_two_minutes_without_loss)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    talk(sim, 119);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    talk(sim, 3);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 2);
    talk(sim, 500);
    /* One each 120 s or a second later, and only by who began. */
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1 + 622 / 121);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_INITIATION], 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_unknown_index, 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_unknown_index, 0);
    sim_free(sim);
}
END_TEST

static bool drop_handshakes(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    return sim_message_type(datagram) == MESSAGE_DATA;
}

static bool drop_data(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    return sim_message_type(datagram) != MESSAGE_DATA;
}

static bool drop_all(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    (void)datagram;
    return false;
}

static struct sim_datagram last_sent;

static bool keep_last(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    last_sent = *datagram;
    return false;
}

START_TEST(session_is_rejected_after_three_minutes)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim->filter = drop_handshakes;
    sim_advance(sim, REJECT_AFTER_TIME - 2);
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    /* One that was sent in time arrives too late. */
    sim->filter = keep_last;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim_message_type(&last_sent), MESSAGE_DATA);
    sim->filter = drop_handshakes;
    sim_advance(sim, 2);
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert(!sim_reaches(sim, 1, 0));
    sim_inject(sim, 1, &last_sent, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_expired, 1);
    sim->filter = NULL;
    sim_advance(sim, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    sim_free(sim);
}
END_TEST

START_TEST(many_messages_rekey_and_too_many_reject)
{
    struct sim *sim = sim_pair_new();

    sim->nodes[0].device->limits.rekey_after_messages = 10;
    sim->nodes[0].device->limits.reject_after_messages = 20;
    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, REKEY_TIMEOUT);
    for (unsigned i = 1; i < 10; i++)
        ck_assert(sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 2);

    /* With no new session to be had, 20 go out and no more. */
    sim->filter = drop_handshakes;
    for (unsigned i = 1; i < 20; i++)
        ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(sim_peer(sim, 0, 1)->keypairs.current->send_counter, 20);
    sim->filter = NULL;
    sim_advance(sim, 2 * REKEY_TIMEOUT);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

START_TEST(data_without_answer_gets_a_keepalive)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, KEEPALIVE_TIMEOUT - 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_DATA], 0);
    sim_advance(sim, 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_DATA], 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->rx_keepalive, 1);
    /* And nothing more is said, as keepalives are not answered: not even a handshake. */
    sim_advance(sim, 3600 * NS_PER_S);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_DATA], 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_free(sim);
}
END_TEST

START_TEST(one_keepalive_answers_all_data_before_it)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, 5 * NS_PER_S);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, 7 * NS_PER_S);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 1);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, 10 * NS_PER_S - 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 1);
    sim_advance(sim, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 2);
    sim_advance(sim, 60 * NS_PER_S);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 2);
    sim_free(sim);
}
END_TEST

START_TEST(packet_right_after_a_handshake_is_not_forgotten)
{
    struct sim *sim = sim_pair_new();

    /* The responder has answered, so it may not initiate for REKEY_TIMEOUT; the confirmation is lost. */
    sim->filter = drop_data;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    sim->filter = NULL;
    ck_assert_int_eq(sim_send(sim, 1, 0, 100, 2), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].received_count, 0);
    sim_advance(sim, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert_uint_eq(sim->nodes[0].received_count, 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_free(sim);
}
END_TEST

START_TEST(answered_data_needs_no_keepalive)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    talk(sim, 60);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->tx_keepalive, 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 0);
    sim_free(sim);
}
END_TEST

START_TEST(silence_after_data_brings_a_new_handshake)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    sim_advance(sim, 30 * NS_PER_S);
    /* The far end restarts and knows nothing any more. */
    ck_assert_int_eq(wg_peer_remove(sim->nodes[1].device, sim->nodes[0].public_key), NX_OK);
    sim_peer_add(sim, 1, 0, false, 0);
    ck_assert(!sim_reaches(sim, 0, 1));
    sim_advance(sim, KEEPALIVE_TIMEOUT + REKEY_TIMEOUT - 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_advance(sim, REKEY_TIMEOUT_JITTER_MAX + 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 2);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

START_TEST(persistent_keepalive_keeps_its_interval)
{
    struct sim *sim = sim_new(2);
    uint64_t after_start;

    sim_peer_add(sim, 1, 0, false, 0);
    sim_peer_add(sim, 0, 1, true, 20); /* begins by itself */
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], 1);
    after_start = sim->nodes[0].sent[MESSAGE_DATA];
    sim_advance(sim, 20 * NS_PER_S - 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start);
    sim_advance(sim, 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start + 1);
    sim_advance(sim, 40 * NS_PER_S);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start + 3);
    /* Any message of either side takes a keepalive's place: here a packet, and its answer 10 s later. */
    sim_advance(sim, 15 * NS_PER_S);
    ck_assert(sim_reaches(sim, 0, 1));
    after_start = sim->nodes[0].sent[MESSAGE_DATA];
    sim_advance(sim, 30 * NS_PER_S - 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->tx_keepalive, 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start);
    sim_advance(sim, 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start + 1);
    /* Keeps the session alive for hours, and the other way open too. */
    sim_advance(sim, 3 * 3600 * NS_PER_S);
    ck_assert(sim_reaches(sim, 1, 0));
    /* Off again. */
    sim_peer_add(sim, 0, 1, true, 0);
    sim_advance(sim, 30 * NS_PER_S);
    after_start = sim->nodes[0].sent[MESSAGE_DATA];
    sim_advance(sim, 300 * NS_PER_S);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_DATA], after_start);
    sim_free(sim);
}
END_TEST

START_TEST(persistent_keepalive_waits_for_an_endpoint)
{
    struct sim *sim = sim_new(2);

    sim_peer_add(sim, 1, 0, false, 0);
    sim_peer_add(sim, 0, 1, false, 20);
    sim_advance(sim, 60 * NS_PER_S);
    ck_assert_uint_eq(sim->filter_count, 0);
    sim_peer_add(sim, 0, 1, true, 20);
    sim_settle(sim);
    ck_assert_ptr_nonnull(sim_peer(sim, 0, 1)->keypairs.current);
    sim_free(sim);
}
END_TEST

static uint64_t attempt_times[64];
static size_t attempt_count;

static bool note_attempts(struct sim *sim, struct sim_datagram *datagram)
{
    if (sim_message_type(datagram) == MESSAGE_HANDSHAKE_INITIATION && attempt_count < 64)
        attempt_times[attempt_count++] = sim->now_ns;
    return false;
}

START_TEST(attempts_every_five_seconds_for_ninety)
{
    struct sim *sim = sim_pair_new();
    uint64_t began = sim->now_ns;
    bool jitter_varies = false;
    size_t first_series;

    attempt_count = 0;
    sim->filter = note_attempts;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_advance(sim, 600 * NS_PER_S);
    ck_assert_uint_ge(attempt_count, REKEY_ATTEMPT_TIME / (REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX));
    ck_assert_uint_le(attempt_count, REKEY_ATTEMPT_TIME / REKEY_TIMEOUT + 1);
    for (size_t i = 1; i < attempt_count; i++) {
        uint64_t gap = attempt_times[i] - attempt_times[i - 1];

        ck_assert_uint_ge(gap, REKEY_TIMEOUT);
        ck_assert_uint_lt(gap, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
        jitter_varies |= gap != attempt_times[1] - attempt_times[0];
    }
    ck_assert(jitter_varies);
    ck_assert_uint_le(attempt_times[attempt_count - 1],
                      began + REKEY_ATTEMPT_TIME + REKEY_TIMEOUT_JITTER_MAX);
    /* Given up: what waited is gone, and nothing is tried. */
    ck_assert_uint_eq(sim_peer(sim, 0, 1)->staged_count, 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_staged, 1);
    ck_assert_uint_eq(sim->nodes[0].device->staged_bytes, 0);
    /* A new packet begins a new series; every further one prolongs it. */
    first_series = attempt_count;
    for (unsigned i = 0; i < 30; i++) {
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
        sim_advance(sim, 6 * NS_PER_S);
    }
    ck_assert_uint_ge(attempt_count, first_series + 30);
    sim_free(sim);
}
END_TEST

START_TEST(keys_are_zeroed_in_the_end)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    sim_advance(sim, ZERO_KEY_MATERIAL_AFTER - 1);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(sim_peer(sim, i, 1 - i)->keypairs.current);
        ck_assert_uint_eq(sim->nodes[i].device->indices.count, 1);
    }
    sim_advance(sim, 1);
    for (size_t i = 0; i < 2; i++) {
        const struct wg_peer *peer = sim_peer(sim, i, 1 - i);

        ck_assert_ptr_null(peer->keypairs.current);
        ck_assert_ptr_null(peer->keypairs.previous);
        ck_assert_ptr_null(peer->keypairs.next);
        ck_assert(!peer->initiator.waiting);
        ck_assert_uint_eq(sim->nodes[i].device->indices.count, 0);
    }
    /* An idle device has nothing to wake up for, save timers that were turned off in place. */
    sim_advance(sim, 60 * NS_PER_S);
    ck_assert_uint_eq(timerq_next_ns(&sim->nodes[0].queue), UINT64_MAX);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

START_TEST(handshake_that_never_ends_is_zeroed_too)
{
    struct sim *sim = sim_pair_new();

    sim->filter = drop_all;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_advance(sim, REKEY_ATTEMPT_TIME + REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert(sim_peer(sim, 0, 1)->initiator.waiting);
    sim_advance(sim, ZERO_KEY_MATERIAL_AFTER);
    ck_assert(!sim_peer(sim, 0, 1)->initiator.waiting);
    ck_assert_uint_eq(sim->nodes[0].device->indices.count, 0);
    sim_free(sim);
}
END_TEST

START_TEST(receiver_renews_in_the_last_minute)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT - 1);
    ck_assert(sim_reaches(sim, 1, 0));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_advance(sim, 1);
    ck_assert(sim_reaches(sim, 1, 0));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 2);
    ck_assert(sim_reaches(sim, 1, 0));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 2);
    sim_free(sim);
}
END_TEST

START_TEST(session_survives_a_lost_rekey)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, REKEY_AFTER_TIME);
    sim->filter = drop_handshakes;
    talk(sim, 20);
    ck_assert_uint_ge(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 4);
    sim->filter = NULL;
    talk(sim, 60);
    ck_assert_uint_ge(wg_counters_get(sim->nodes[0].device)->handshakes_completed, 2);
    sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("timers");

    tcase_add_test(tcase, traffic_rekeys_every_two_minutes_without_loss);
    tcase_add_test(tcase, session_is_rejected_after_three_minutes);
    tcase_add_test(tcase, many_messages_rekey_and_too_many_reject);
    tcase_add_test(tcase, data_without_answer_gets_a_keepalive);
    tcase_add_test(tcase, one_keepalive_answers_all_data_before_it);
    tcase_add_test(tcase, packet_right_after_a_handshake_is_not_forgotten);
    tcase_add_test(tcase, answered_data_needs_no_keepalive);
    tcase_add_test(tcase, silence_after_data_brings_a_new_handshake);
    tcase_add_test(tcase, persistent_keepalive_keeps_its_interval);
    tcase_add_test(tcase, persistent_keepalive_waits_for_an_endpoint);
    tcase_add_test(tcase, attempts_every_five_seconds_for_ninety);
    tcase_add_test(tcase, keys_are_zeroed_in_the_end);
    tcase_add_test(tcase, handshake_that_never_ends_is_zeroed_too);
    tcase_add_test(tcase, receiver_renews_in_the_last_minute);
    tcase_add_test(tcase, session_survives_a_lost_rekey);
    return suite_run("wireguard timers", tcase);
}
