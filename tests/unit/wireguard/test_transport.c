/* Data messages: layout, padding, groups, replays, staging, and what happens inside of one batch. */
#include "sim.h"
#include "suite.h"

#include "common/err.h"
#include <string.h>

static struct sim_datagram kept[512];
static size_t kept_count;
static bool kept_pass; /* whether what is kept also arrives */

static bool keep_data(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    if (sim_message_type(datagram) != MESSAGE_DATA)
        return true;
    ck_assert_uint_lt(kept_count, 512);
    kept[kept_count++] = *datagram;
    return kept_pass;
}

static struct sim *pair_up(bool pass)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    kept_count = 0;
    kept_pass = pass;
    sim->filter = keep_data;
    return sim;
}

START_TEST(padding_stops_at_the_mtu)
{
    static const size_t lengths[][2] = {{24, 32},     {32, 32},     {33, 48},     {1408, 1408}, {1409, 1420},
                                        {1419, 1420}, {1420, 1420}, {1421, 1421}, {9000, 9000}};
    struct sim *sim = pair_up(true);

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        ck_assert_int_eq(sim_send(sim, 0, 1, lengths[i][0], (uint32_t)i), NX_OK);
        sim_settle(sim);
        ck_assert_uint_eq(kept[i].length, lengths[i][1] + WG_DATA_OVERHEAD);
        ck_assert_uint_eq(sim->nodes[1].received[1 + i].length, lengths[i][0]);
    }
    wg_set_mtu(sim->nodes[0].device, 1281);
    ck_assert_int_eq(sim_send(sim, 0, 1, 1273, 0), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(kept[kept_count - 1].length, 1280 + WG_DATA_OVERHEAD);
    ck_assert_int_eq(sim_send(sim, 0, 1, 1281, 0), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(kept[kept_count - 1].length, 1281 + WG_DATA_OVERHEAD);
    sim_free(sim);
}
END_TEST

START_TEST(header_is_as_in_the_paper)
{
    struct sim *sim = pair_up(false);
    const struct keypair *keypair = sim_peer(sim, 0, 1)->keypairs.current;
    uint64_t counter = keypair->send_counter;

    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(kept_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        const struct message_data *header = (const void *)kept[i].data;

        ck_assert_mem_eq(kept[i].data, "\x04\0\0\0", 4);
        ck_assert_uint_eq(le32toh(header->receiver_index), keypair->remote_index);
        ck_assert_uint_eq(le64toh(header->counter), counter + i);
    }
    sim_free(sim);
}
END_TEST

START_TEST(lengths_out_of_range_are_refused)
{
    struct sim *sim = sim_pair_new();
    uint8_t *slot;

    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, 0, sim->now_ns, &slot),
                     NX_ERANGE);
    ck_assert_int_eq(
        wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, WG_MTU_MAX + 1, sim->now_ns, &slot),
        NX_ERANGE);
    sim_free(sim);
}
END_TEST

START_TEST(no_route_and_no_endpoint_are_told)
{
    struct sim *sim = sim_pair_new();
    struct netaddr nowhere = sim_addr("10.0.0.77"), nothing = {0};
    uint8_t *slot;

    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &nowhere, 100, sim->now_ns, &slot), NX_ENOENT);
    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &nothing, 100, sim->now_ns, &slot), NX_ENOENT);
    ck_assert_int_eq(sim_send(sim, 1, 0, 100, 0), NX_ENOENT);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_no_route, 2);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_no_route, 1);
    sim_free(sim);
}
END_TEST

/* How many groups the given packets to node 1 make. */
static uint64_t groups_of(struct sim *sim, const size_t *lengths, size_t count)
{
    uint64_t groups = sim->nodes[0].groups, transmits = sim->nodes[0].transmits;
    size_t received = sim->nodes[1].received_count;

    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, lengths[i], (uint32_t)i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].transmits, transmits + 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, received + count);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(sim->nodes[1].received[received + i].tag, i);
    return sim->nodes[0].groups - groups;
}

START_TEST(groups_have_equal_sizes_but_for_the_last)
{
    static const size_t equal[] = {500, 500, 500, 499, 500}; /* 499 pads to the same */
    static const size_t shorter_last[] = {500, 500, 300}, shorter_inside[] = {500, 300, 500, 300},
                        shorter_twice[] = {500, 300, 300}, growing[] = {100, 200, 300};
    struct sim *sim = sim_pair_new();
    size_t many[TX_ENTRIES_MAX];

    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(groups_of(sim, equal, 5), 1);
    ck_assert_uint_eq(groups_of(sim, shorter_last, 3), 1);
    ck_assert_uint_eq(groups_of(sim, shorter_inside, 4), 2);
    ck_assert_uint_eq(groups_of(sim, shorter_twice, 3), 2);
    ck_assert_uint_eq(groups_of(sim, growing, 3), 3);
    for (size_t i = 0; i < TX_ENTRIES_MAX; i++)
        many[i] = 100;
    ck_assert_uint_eq(groups_of(sim, many, TX_ENTRIES_MAX), TX_ENTRIES_MAX / TX_GROUP_DATAGRAMS_MAX);
    for (size_t i = 0; i < TX_ENTRIES_MAX; i++)
        many[i] = 1420;
    ck_assert_uint_eq(groups_of(sim, many, 45), 1);
    ck_assert_uint_eq(groups_of(sim, many, 46), 2); /* 45 * 1452 bytes fit into a datagram's 65507 */
    sim_free(sim);
}
END_TEST

START_TEST(peers_taking_turns_still_make_long_groups)
{
    struct sim *sim = sim_new(3);
    uint64_t groups;

    for (size_t i = 1; i < 3; i++) {
        sim_peer_add(sim, 0, i, true, 0);
        sim_peer_add(sim, i, 0, false, 0);
        ck_assert(sim_reaches(sim, 0, i));
    }
    groups = sim->nodes[0].groups;
    for (uint32_t i = 0; i < 60; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1 + i % 2, 1000, i / 2), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].groups - groups, 2);
    for (size_t n = 1; n < 3; n++) {
        ck_assert_uint_eq(sim->nodes[n].received_count, 31);
        for (uint32_t i = 0; i < 30; i++)
            ck_assert_uint_eq(sim->nodes[n].received[1 + i].tag, i);
    }
    sim_free(sim);
}
END_TEST

START_TEST(a_full_batch_flushes_itself)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, i % 5 ? 1420 : 9000, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1001);
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_uint_eq(sim->nodes[1].received[1 + i].tag, i);
    sim_free(sim);
}
END_TEST

START_TEST(an_abandoned_begin_leaves_nothing)
{
    struct sim *sim = sim_pair_new();
    uint8_t *slot;

    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, 500, sim->now_ns, &slot),
                     NX_OK);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK); /* staged too */
    sim_settle(sim);
    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, 500, sim->now_ns, &slot),
                     NX_OK);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 2), NX_OK);
    wg_tx_end(sim->nodes[0].device); /* nothing begun */
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, 2);
    ck_assert_uint_eq(sim->nodes[1].received[1].length, 100);
    sim_free(sim);
}
END_TEST

START_TEST(staged_packets_keep_the_newest)
{
    struct sim *sim = sim_pair_new();

    for (uint32_t i = 0; i < WG_STAGED_MAX + 3; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 1000, i), NX_OK);
    ck_assert_uint_eq(sim->nodes[0].device->staged_bytes, WG_STAGED_MAX * 1000);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_staged, 3);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, WG_STAGED_MAX);
    for (uint32_t i = 0; i < WG_STAGED_MAX; i++)
        ck_assert_uint_eq(sim->nodes[1].received[i].tag, i + 3);
    ck_assert_uint_eq(sim->nodes[0].device->staged_bytes, 0);
    sim_free(sim);
}
END_TEST

START_TEST(staged_bytes_are_bounded)
{
    struct sim *sim = sim_pair_new();
    uint8_t *slot;

    sim->nodes[0].device->staged_bytes = STAGED_BYTES_MAX - 99;
    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, 100, sim->now_ns, &slot),
                     NX_ENOMEM);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_staged, 1);
    ck_assert_int_eq(sim_send(sim, 0, 1, 99, 0), NX_OK);
    sim->nodes[0].device->staged_bytes -= STAGED_BYTES_MAX - 99;
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    sim_free(sim);
}
END_TEST

static void counter_jump(struct sim *sim, uint64_t by)
{
    sim_peer(sim, 0, 1)->keypairs.current->send_counter += by;
}

START_TEST(reordering_is_accepted_and_replays_are_not)
{
    struct sim *sim = pair_up(false);
    const struct wg_counters *counters = wg_counters_get(sim->nodes[1].device);
    size_t before = sim->nodes[1].received_count;

    for (uint32_t i = 0; i < 100; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, i), NX_OK);
    sim_settle(sim);
    /* Backwards, in one batch; then everything again, in one batch and one by one. */
    for (size_t i = 0; i < 50; i++) {
        struct sim_datagram swapped = kept[i];

        kept[i] = kept[99 - i];
        kept[99 - i] = swapped;
    }
    sim_inject(sim, 1, kept, 100);
    ck_assert_uint_eq(sim->nodes[1].received_count, before + 100);
    for (uint32_t i = 0; i < 100; i++)
        ck_assert_uint_eq(sim->nodes[1].received[before + i].tag, 99 - i);
    sim_inject(sim, 1, kept, 100);
    for (size_t i = 0; i < 100; i++)
        sim_inject(sim, 1, &kept[i], 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, before + 100);
    ck_assert_uint_eq(counters->drop_replay, 200);
    sim_free(sim);
}
END_TEST

START_TEST(a_message_twice_in_one_batch_counts_once)
{
    struct sim *sim = pair_up(false);

    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 5), NX_OK);
    sim_settle(sim);
    kept[1] = kept[0];
    sim_inject(sim, 1, kept, 2);
    ck_assert_uint_eq(sim->nodes[1].received_count, 2);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_replay, 1);
    sim_free(sim);
}
END_TEST

START_TEST(the_window_has_edges)
{
    struct sim *sim = pair_up(false);
    const struct wg_counters *counters = wg_counters_get(sim->nodes[1].device);

    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 0), NX_OK); /* will be just outside */
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK); /* just inside */
    counter_jump(sim, REPLAY_WINDOW - 2);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 2), NX_OK);
    sim_settle(sim);
    sim_inject(sim, 1, &kept[2], 1);
    sim_inject(sim, 1, &kept[0], 1);
    ck_assert_uint_eq(counters->drop_replay, 1);
    sim_inject(sim, 1, &kept[1], 1);
    ck_assert_uint_eq(counters->drop_replay, 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 3);
    /* A jump far ahead is fine, once it is authentic; a forged one moves nothing. */
    counter_jump(sim, 1000000);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 3), NX_OK);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 4), NX_OK);
    sim_settle(sim);
    kept[5] = kept[4];
    kept[5].data[15] = 0x0f; /* the counter's top byte */
    sim_inject(sim, 1, &kept[5], 1);
    ck_assert_uint_eq(counters->drop_auth, 1);
    sim_inject(sim, 1, &kept[4], 1);
    sim_inject(sim, 1, &kept[3], 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 5);
    sim_inject(sim, 1, &kept[1], 1);
    ck_assert_uint_eq(counters->drop_replay, 2);
    sim_free(sim);
}
END_TEST

START_TEST(a_large_receive_batch_is_delivered_in_order)
{
    struct sim *sim = sim_pair_new();
    size_t deliveries;

    ck_assert(sim_reaches(sim, 0, 1));
    deliveries = sim->nodes[1].deliveries;
    for (uint32_t i = 0; i < 1000; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].deliveries, deliveries + 1);
    for (uint32_t i = 0; i < WG_DELIVER_MAX + 500; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, 1000 + i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].deliveries, deliveries + 3);
    for (uint32_t i = 0; i < 1000 + WG_DELIVER_MAX + 500; i++)
        ck_assert_uint_eq(sim->nodes[1].received[1 + i].tag, i);
    sim_free(sim);
}
END_TEST

static bool keep_everything(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    if (kept_count < 512)
        kept[kept_count++] = *datagram;
    return kept_pass;
}

/* Old data, an initiation that replaces the waiting session, more old data: all in one batch. */
START_TEST(handshakes_take_effect_in_order)
{
    struct sim *sim = pair_up(false);
    size_t before = sim->nodes[1].received_count;
    const struct keypair *next;

    sim->filter = keep_everything;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    wg_tx_flush(sim->nodes[0].device, sim->now_ns);
    sim_advance(sim, REKEY_TIMEOUT);
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 2), NX_OK);
    wg_tx_flush(sim->nodes[0].device, sim->now_ns);
    ck_assert_uint_eq(kept_count, 3);
    kept_pass = true;
    sim_inject(sim, 1, kept, 3);
    ck_assert_uint_eq(sim->nodes[1].received_count, before + 2);
    next = sim_peer(sim, 1, 0)->keypairs.next;
    ck_assert_ptr_nonnull(next);
    sim_settle(sim);
    ck_assert_ptr_eq(sim_peer(sim, 1, 0)->keypairs.current, next);
    sim_free(sim);
}
END_TEST

/* The first message of a new session ends the one before the previous, of which more messages are in the same
 * batch. */
START_TEST(a_session_may_end_inside_a_batch)
{
    struct sim *sim = pair_up(true);
    struct sim_datagram batch[3];

    kept_pass = false;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 50), NX_OK); /* of the session that will be `previous` */
    sim_settle(sim);
    ck_assert_uint_eq(kept_count, 1);
    batch[1] = batch[2] = kept[0];
    sim_advance(sim, REKEY_TIMEOUT);
    kept_pass = true;
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    sim_settle(sim);
    sim_advance(sim, REKEY_TIMEOUT);
    /* A third handshake, whose confirmation is kept back. */
    kept_pass = false;
    kept_count = 0;
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    sim_settle(sim);
    ck_assert_uint_eq(kept_count, 1);
    ck_assert_ptr_nonnull(sim_peer(sim, 1, 0)->keypairs.next);
    batch[0] = kept[0];
    sim_inject(sim, 1, batch, 3);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    ck_assert_ptr_null(sim_peer(sim, 1, 0)->keypairs.next);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_unknown_index, 2);
    sim->filter = NULL;
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    sim_free(sim);
}
END_TEST

/* What waits in the batch when its session ends is sealed with that session's key. */
START_TEST(the_batch_outlives_its_session)
{
    struct sim *sim = pair_up(true);
    const struct wg_counters *counters = wg_counters_get(sim->nodes[1].device);

    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 60), NX_OK);
    peer_keys_clear(sim_peer(sim, 0, 1));
    device_enter(sim->nodes[0].device);
    device_leave(sim->nodes[0].device);
    sim_settle(sim);
    ck_assert_uint_eq(counters->drop_auth, 0);
    ck_assert_uint_eq(sim->nodes[1].received[1].tag, 60);
    sim_free(sim);
}
END_TEST

START_TEST(bytes_and_packets_are_counted)
{
    struct sim *sim = pair_up(true);
    uint64_t tx = sim_peer(sim, 0, 1)->tx_bytes, rx = sim_peer(sim, 1, 0)->rx_bytes;
    uint64_t tx_data = wg_counters_get(sim->nodes[0].device)->tx_data;

    for (uint32_t i = 0; i < 10; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim_peer(sim, 0, 1)->tx_bytes - tx, 10 * (112 + WG_DATA_OVERHEAD));
    ck_assert_uint_eq(sim_peer(sim, 1, 0)->rx_bytes - rx, 10 * (112 + WG_DATA_OVERHEAD));
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->tx_data - tx_data, 10);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->rx_data, 11);
    sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("transport");

    tcase_add_test(tcase, padding_stops_at_the_mtu);
    tcase_add_test(tcase, header_is_as_in_the_paper);
    tcase_add_test(tcase, lengths_out_of_range_are_refused);
    tcase_add_test(tcase, no_route_and_no_endpoint_are_told);
    tcase_add_test(tcase, groups_have_equal_sizes_but_for_the_last);
    tcase_add_test(tcase, peers_taking_turns_still_make_long_groups);
    tcase_add_test(tcase, a_full_batch_flushes_itself);
    tcase_add_test(tcase, an_abandoned_begin_leaves_nothing);
    tcase_add_test(tcase, staged_packets_keep_the_newest);
    tcase_add_test(tcase, staged_bytes_are_bounded);
    tcase_add_test(tcase, reordering_is_accepted_and_replays_are_not);
    tcase_add_test(tcase, a_message_twice_in_one_batch_counts_once);
    tcase_add_test(tcase, the_window_has_edges);
    tcase_add_test(tcase, a_large_receive_batch_is_delivered_in_order);
    tcase_add_test(tcase, handshakes_take_effect_in_order);
    tcase_add_test(tcase, a_session_may_end_inside_a_batch);
    tcase_add_test(tcase, the_batch_outlives_its_session);
    tcase_add_test(tcase, bytes_and_packets_are_counted);
    return suite_run("wireguard transport", tcase);
}
