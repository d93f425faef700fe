/* Peers come, change, move and go, also from inside of callbacks; and there may be many. */
#include "sim.h"
#include "suite.h"

#include "common/err.h"
#include <sodium.h>
#include <string.h>

static struct wg_peer_config config_for(const uint8_t *key, const struct netprefix *allowed, size_t count)
{
    struct wg_peer_config config = {.allowed = allowed, .allowed_count = count, .replace_allowed = true};

    memcpy(config.public_key, key, sizeof(config.public_key));
    return config;
}

START_TEST(bad_peers_are_refused_whole)
{
    struct sim *sim = sim_pair_new();
    struct wg_device *device = sim->nodes[0].device;
    struct netprefix good = sim_prefix("10.1.0.0/16"),
                     bad[2] = {sim_prefix("10.2.0.0/16"), {.addr.family = 5}};
    static const uint8_t low_order[32] = {1};
    struct netaddr inside = sim_addr("10.2.0.1");
    struct wg_peer_config config = config_for(sim->nodes[0].public_key, &good, 1);

    ck_assert_int_eq(wg_peer_set(device, &config, sim->now_ns), NX_EINVAL);
    config = config_for(low_order, &good, 1);
    ck_assert_int_eq(wg_peer_set(device, &config, sim->now_ns), NX_EINVAL);
    config = config_for(sim->nodes[1].public_key, bad, 2);
    ck_assert_int_eq(wg_peer_set(device, &config, sim->now_ns), NX_EINVAL);
    bad[1] = (struct netprefix){.addr = good.addr, .length = 33};
    ck_assert_int_eq(wg_peer_set(device, &config, sim->now_ns), NX_EINVAL);
    ck_assert_ptr_null(wg_route(device, &inside));
    ck_assert_uint_eq(device->peer_count, 1);
    ck_assert_int_eq(wg_peer_remove(device, low_order), NX_ENOENT);
    sim_free(sim);
}
END_TEST

START_TEST(allowed_ips_move_between_peers)
{
    struct sim *sim = sim_new(3);
    struct wg_device *device = sim->nodes[0].device;
    struct netprefix net = sim_prefix("10.0.0.0/8"), host = sim_prefix("10.7.7.7/32");
    struct netaddr in_host = sim_addr("10.7.7.7"), in_net = sim_addr("10.7.7.8");
    struct wg_peer_config first = config_for(sim->nodes[1].public_key, &net, 1),
                          second = config_for(sim->nodes[2].public_key, &host, 1);

    ck_assert_int_eq(wg_peer_set(device, &first, sim->now_ns), NX_OK);
    ck_assert_int_eq(wg_peer_set(device, &second, sim->now_ns), NX_OK);
    ck_assert_ptr_eq(wg_route(device, &in_net), sim_peer(sim, 0, 1));
    ck_assert_ptr_eq(wg_route(device, &in_host), sim_peer(sim, 0, 2));
    second.allowed = &net;
    second.replace_allowed = false;
    ck_assert_int_eq(wg_peer_set(device, &second, sim->now_ns), NX_OK);
    ck_assert_ptr_eq(wg_route(device, &in_net), sim_peer(sim, 0, 2));
    ck_assert_uint_eq(sim_peer(sim, 0, 1)->allowed.count, 0);
    ck_assert_uint_eq(sim_peer(sim, 0, 2)->allowed.count, 2);
    second.replace_allowed = true;
    second.allowed_count = 0;
    ck_assert_int_eq(wg_peer_set(device, &second, sim->now_ns), NX_OK);
    ck_assert_ptr_null(wg_route(device, &in_host));
    ck_assert_mem_eq(wg_peer_key(sim_peer(sim, 0, 2)), sim->nodes[2].public_key, 32);
    sim_free(sim);
}
END_TEST

/* A prefix that moves is refused from its old peer at once, within the session. */
START_TEST(a_moved_prefix_is_no_longer_accepted)
{
    struct sim *sim = sim_new(3);
    struct netprefix moved = {.length = 32};
    struct wg_peer_config thief;

    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    sim_peer_add(sim, 1, 2, false, 0);
    ck_assert(sim_reaches(sim, 0, 1));
    moved.addr = sim->nodes[0].tunnel_v4;
    thief = config_for(sim->nodes[2].public_key, &moved, 1);
    ck_assert_int_eq(wg_peer_set(sim->nodes[1].device, &thief, sim->now_ns), NX_OK);
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_source, 1);
    sim_free(sim);
}
END_TEST

START_TEST(removed_and_added_again)
{
    struct sim *sim = sim_pair_new();

    for (unsigned i = 0; i < 5; i++) {
        ck_assert(sim_reaches(sim, 0, 1));
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, 0), NX_OK); /* in the batch */
        ck_assert_int_eq(wg_peer_remove(sim->nodes[0].device, sim->nodes[1].public_key), NX_OK);
        ck_assert_int_eq(wg_peer_remove(sim->nodes[0].device, sim->nodes[1].public_key), NX_ENOENT);
        ck_assert_int_eq(sim_send(sim, 0, 1, 100, 0), NX_ENOENT);
        ck_assert_uint_eq(sim->nodes[0].queue.count, 0);
        ck_assert_uint_eq(sim->nodes[0].device->indices.count, 0);
        sim_settle(sim);
        ck_assert_uint_eq(sim->nodes[1].received_count, i + 1);
        sim_advance(sim, NS_PER_S);
        sim_peer_add(sim, 0, 1, true, 0);
    }
    sim_free(sim);
}
END_TEST

static void remove_all_on_deliver(struct sim_node *node, const struct wg_inner *packets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)wg_peer_remove(node->device, wg_peer_key(packets[i].peer));
}

START_TEST(peer_removed_while_its_packets_are_delivered)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim->nodes[1].on_deliver = remove_all_on_deliver;
    /* More than one deliver call's worth: those after the removal are not delivered. */
    for (uint32_t i = 0; i < WG_DELIVER_MAX + 100; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1 + WG_DELIVER_MAX);
    ck_assert_uint_eq(sim->nodes[1].device->peer_count, 0);
    ck_assert_ptr_null(sim->nodes[1].device->retired_peers);
    ck_assert_ptr_null(sim->nodes[1].device->retired_keypairs);
    sim_free(sim);
}
END_TEST

static void answer_on_deliver(struct sim_node *node, const struct wg_inner *packets, size_t count)
{
    (void)packets;
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(sim_send(node->sim, 1, 0, 100, 4321), NX_OK);
}

START_TEST(packets_are_sent_while_others_are_delivered)
{
    struct sim *sim = sim_pair_new();

    sim->nodes[1].on_deliver = answer_on_deliver;
    for (uint32_t i = 0; i < WG_STAGED_MAX; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, i), NX_OK);
    sim_settle(sim);
    for (uint32_t i = 0; i < 300; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, i), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].received_count, WG_STAGED_MAX + 300);
    sim_free(sim);
}
END_TEST

static int begin_result;

static void remove_on_transmit(struct sim_node *node)
{
    uint8_t *slot;

    node->on_transmit = NULL;
    begin_result = wg_tx_begin(node->device, &node->sim->nodes[1].tunnel_v4, 100, node->sim->now_ns, &slot);
    ck_assert_int_eq(wg_peer_remove(node->device, node->sim->nodes[1].public_key), NX_OK);
}

/* From a flush, from an initiation, from a timer, from a response. */
START_TEST(peer_removed_while_its_packets_are_sent)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, REKEY_AFTER_TIME); /* the flush will want a rekey as well */
    sim->nodes[0].on_transmit = remove_on_transmit;
    for (uint32_t i = 0; i < 10; i++)
        ck_assert_int_eq(sim_send(sim, 0, 1, 60, i), NX_OK);
    sim_settle(sim);
    ck_assert_int_eq(begin_result, NX_EAGAIN);
    ck_assert_uint_eq(sim->nodes[1].received_count, 11);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert_uint_eq(sim->nodes[0].queue.count, 0);

    sim_advance(sim, NS_PER_S);
    sim_peer_add(sim, 0, 1, true, 0);
    sim->nodes[0].on_transmit = remove_on_transmit;
    ck_assert_int_eq(sim_send(sim, 0, 1, 60, 1), NX_OK);
    ck_assert_uint_eq(sim->nodes[0].queue.count, 0);
    ck_assert_uint_eq(sim->nodes[0].device->staged_bytes, 0);
    sim_settle(sim);

    sim_advance(sim, NS_PER_S);
    sim_peer_add(sim, 0, 1, true, 0);
    ck_assert_int_eq(sim_send(sim, 0, 1, 60, 1), NX_OK);
    sim->nodes[0].on_transmit = remove_on_transmit;
    sim->wire_count = 0; /* lost: the retransmit timer sends */
    free(sim->wire[0]);
    sim_advance(sim, 2 * REKEY_TIMEOUT);
    ck_assert_uint_eq(sim->nodes[0].device->peer_count, 0);
    sim_free(sim);
}
END_TEST

START_TEST(responder_removes_the_peer_it_answers)
{
    struct sim *sim = sim_pair_new();

    sim_peer_add(sim, 1, 0, true, 0);
    /* Node 0 answers node 1. */
    sim->nodes[0].on_transmit = remove_on_transmit;
    ck_assert_int_eq(sim_send(sim, 1, 0, 60, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].device->peer_count, 0);
    ck_assert_uint_eq(sim->nodes[0].received_count, 0);
    ck_assert_uint_eq(sim->nodes[0].queue.count, 0);
    sim_free(sim);
}
END_TEST

START_TEST(mark_and_sweep_keep_what_was_set_again)
{
    struct sim *sim = sim_new(3);

    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 0, 2, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    ck_assert(sim_reaches(sim, 0, 1));
    wg_peers_mark(sim->nodes[0].device);
    sim_peer_add(sim, 0, 1, true, 0);
    wg_peers_sweep(sim->nodes[0].device);
    ck_assert_uint_eq(sim->nodes[0].device->peer_count, 1);
    ck_assert_ptr_null(sim_peer(sim, 0, 2));
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert(sim_reaches(sim, 0, 1)); /* in the same session */
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_free(sim);
}
END_TEST

static struct wg_peer_status seen;
static struct netprefix seen_allowed[2];
static unsigned seen_count;

static void see(void *arg, const struct wg_peer_status *status)
{
    ck_assert_ptr_eq(arg, &seen);
    ck_assert_uint_eq(status->allowed_count, 2);
    seen = *status;
    memcpy(seen_allowed, status->allowed, sizeof(seen_allowed));
    seen_count++;
}

START_TEST(status_tells_what_is)
{
    struct sim *sim = sim_pair_new();
    bool v4_first;

    seen_count = 0;
    wg_peers_each(sim->nodes[1].device, see, &seen);
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_uint_eq(seen.handshake_unix_ns, 0);
    ck_assert_uint_eq(seen.endpoint.addr.family, NETADDR_NONE);
    ck_assert(sim_reaches(sim, 0, 1));
    wg_peers_each(sim->nodes[1].device, see, &seen);
    ck_assert_mem_eq(seen.public_key, sim->nodes[0].public_key, 32);
    ck_assert_uint_eq(seen.handshake_unix_ns, sim->now_ns + sim->wall_offset_ns);
    ck_assert(netsock_equal(&seen.endpoint, &sim->nodes[0].address));
    ck_assert_uint_eq(seen.rx_bytes, MESSAGE_INITIATION_LEN + 112 + WG_DATA_OVERHEAD);
    ck_assert_uint_eq(seen.tx_bytes, MESSAGE_RESPONSE_LEN);
    v4_first = seen_allowed[0].addr.family == NETADDR_V4;
    ck_assert(netaddr_equal(&seen_allowed[!v4_first].addr, &sim->nodes[0].tunnel_v4));
    ck_assert(netaddr_equal(&seen_allowed[v4_first].addr, &sim->nodes[0].tunnel_v6));
    ck_assert_uint_eq(seen_allowed[!v4_first].length, 32);
    ck_assert_uint_eq(seen_allowed[v4_first].length, 128);
    sim_free(sim);
}
END_TEST

/* One device and a thousand peers, each a device of its own that lives only while it talks. */
START_TEST(a_thousand_peers)
{
    enum { PEERS = 1000 };
    struct sim *sim = sim_new(2);
    struct wg_device *hub = sim->nodes[0].device;
    static uint8_t keys[PEERS][32];

    for (unsigned i = 0; i < PEERS; i++) {
        uint8_t private_key[32];
        struct netprefix allowed = {.addr = sim_addr("10.1.0.0"), .length = 32};
        struct wg_peer_config config;

        allowed.addr.bytes[2] = (uint8_t)(i >> 8);
        allowed.addr.bytes[3] = (uint8_t)i;
        randombytes_buf(private_key, sizeof(private_key));
        crypto_scalarmult_base(keys[i], private_key);
        config = config_for(keys[i], &allowed, 1);
        config.endpoint = (struct netsock){.addr = sim_addr("203.0.113.1"), .port = (uint16_t)(1000 + i)};
        if (wg_peer_set(hub, &config, sim->now_ns) != NX_OK)
            ck_abort_msg("peer %u", i);
    }
    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    ck_assert_uint_eq(hub->peer_count, PEERS + 1);
    for (unsigned i = 0; i < PEERS; i++) {
        struct netaddr dst = sim_addr("10.1.0.0");
        uint8_t *slot;

        dst.bytes[2] = (uint8_t)(i >> 8);
        dst.bytes[3] = (uint8_t)i;
        if (memcmp(wg_peer_key(wg_route(hub, &dst)), keys[i], 32) != 0 ||
            wg_tx_begin(hub, &dst, 100, sim->now_ns, &slot) != NX_OK)
            ck_abort_msg("peer %u", i);
        sim_packet_v4(slot, 100, &sim->nodes[0].tunnel_v4, &dst, i);
        wg_tx_end(hub);
    }
    ck_assert_uint_eq(hub->indices.count, PEERS);
    sim_settle(sim);
    ck_assert(sim_reaches(sim, 0, 1));
    /* All give up in the end, and one goes on. */
    sim_advance(sim, 200 * NS_PER_S);
    ck_assert_uint_eq(wg_counters_get(hub)->drop_staged, PEERS);
    ck_assert(sim_reaches(sim, 0, 1));
    for (unsigned i = 0; i < PEERS; i += 2)
        if (wg_peer_remove(hub, keys[i]) != NX_OK)
            ck_abort_msg("peer %u", i);
    ck_assert_uint_eq(hub->peer_count, PEERS / 2 + 1);
    for (unsigned i = 0; i < PEERS; i++)
        if ((peer_lookup(hub, keys[i]) != NULL) != (i % 2 == 1))
            ck_abort_msg("peer %u", i);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("peers");

    tcase_add_test(tcase, bad_peers_are_refused_whole);
    tcase_add_test(tcase, allowed_ips_move_between_peers);
    tcase_add_test(tcase, a_moved_prefix_is_no_longer_accepted);
    tcase_add_test(tcase, removed_and_added_again);
    tcase_add_test(tcase, peer_removed_while_its_packets_are_delivered);
    tcase_add_test(tcase, packets_are_sent_while_others_are_delivered);
    tcase_add_test(tcase, peer_removed_while_its_packets_are_sent);
    tcase_add_test(tcase, responder_removes_the_peer_it_answers);
    tcase_add_test(tcase, mark_and_sweep_keep_what_was_set_again);
    tcase_add_test(tcase, status_tells_what_is);
    tcase_add_test(tcase, a_thousand_peers);
    return suite_run("wireguard peers", tcase);
}
