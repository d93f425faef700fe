/* Two devices meet: both roles, lost messages, both at once, preshared keys, cookies, replays. */
#include "sim.h"
#include "suite.h"

#include "common/err.h"
#include "tunneld/wireguard/cookie.h"
#include <malloc.h>
#include <sodium.h>
#include <string.h>

START_TEST(first_packet_brings_a_session_up)
{
    struct sim *sim = sim_pair_new();

    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_RESPONSE], 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    ck_assert_uint_eq(sim->nodes[1].received[0].tag, 1);
    ck_assert_uint_eq(sim->nodes[1].received[0].length, 100);
    ck_assert_mem_eq(sim->nodes[1].received[0].from, sim->nodes[0].public_key, 32);
    /* No keepalive: the staged packet itself confirmed the session. */
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->tx_keepalive, 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->handshakes_completed, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->handshakes_completed, 1);
    ck_assert(sim_reaches(sim, 1, 0));
    ck_assert_int_eq(sim_send_v6(sim, 1, 0, 1280, 2), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[0].received[1].length, 1280);
    sim_free(sim);
}
END_TEST

START_TEST(both_sides_hold_the_same_keys)
{
    struct sim *sim = sim_pair_new();
    const struct keypair *a, *b;

    ck_assert(sim_reaches(sim, 0, 1));
    a = sim_peer(sim, 0, 1)->keypairs.current;
    b = sim_peer(sim, 1, 0)->keypairs.current;
    ck_assert_mem_eq(a->keys.send, b->keys.receive, 32);
    ck_assert_mem_eq(a->keys.receive, b->keys.send, 32);
    ck_assert_mem_ne(a->keys.send, a->keys.receive, 32);
    ck_assert_uint_eq(a->local_index, b->remote_index);
    ck_assert_uint_eq(a->remote_index, b->local_index);
    ck_assert(a->initiator && !b->initiator);
    sim_free(sim);
}
END_TEST

START_TEST(responder_sends_nothing_before_it_is_confirmed)
{
    struct sim *sim = sim_pair_new();
    struct wg_peer *at_responder;

    /* With no packet waiting, the initiator confirms with a keepalive. */
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    ck_assert_uint_eq(sim->wire_count, 1);
    sim_inject(sim, 1, sim->wire[0], 1);
    at_responder = sim_peer(sim, 1, 0);
    ck_assert_ptr_null(at_responder->keypairs.current);
    ck_assert_ptr_nonnull(at_responder->keypairs.next);
    ck_assert_int_eq(sim_send(sim, 1, 0, 100, 9), NX_OK);
    wg_tx_flush(sim->nodes[1].device, sim->now_ns);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_DATA], 0);
    ck_assert_uint_eq(at_responder->staged_count, 1);
    sim_settle(sim);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->tx_keepalive, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->rx_keepalive, 1);
    ck_assert_ptr_nonnull(at_responder->keypairs.current);
    ck_assert_ptr_null(at_responder->keypairs.next);
    ck_assert_uint_eq(sim->nodes[0].received_count, 1);
    ck_assert_uint_eq(sim->nodes[0].received[0].tag, 9);
    sim_free(sim);
}
END_TEST

START_TEST(both_may_begin_at_once)
{
    struct sim *sim = sim_new(2);

    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, true, 0);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    ck_assert_int_eq(sim_send(sim, 1, 0, 100, 2), NX_OK);
    ck_assert_uint_eq(sim->wire_count, 2);
    sim_settle(sim);
    /* At once, without waiting for a retry. */
    ck_assert_uint_eq(sim->nodes[0].received_count, 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    for (unsigned i = 0; i < 50; i++) {
        sim_advance(sim, NS_PER_S);
        ck_assert(sim_reaches(sim, 0, 1));
        ck_assert(sim_reaches(sim, 1, 0));
    }
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_INITIATION], 1);
    sim_free(sim);
}
END_TEST

/* Drops the first datagram of the type in filter_arg. */
static bool drop_first(struct sim *sim, struct sim_datagram *datagram)
{
    uint32_t *type = sim->filter_arg;

    if (sim_message_type(datagram) != *type)
        return true;
    *type = UINT32_MAX;
    return false;
}

static const uint32_t lost_types[] = {MESSAGE_HANDSHAKE_INITIATION, MESSAGE_HANDSHAKE_RESPONSE, MESSAGE_DATA};

START_TEST(lost_step_is_made_good)
{
    struct sim *sim = sim_pair_new();
    uint32_t type = lost_types[_i];

    sim->filter = drop_first;
    sim->filter_arg = &type;
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(type, UINT32_MAX);
    ck_assert_uint_eq(sim->nodes[1].received_count, 0);
    /* A lost handshake message: the retry after REKEY_TIMEOUT and its jitter carries the packet. */
    sim_advance(sim, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    if (lost_types[_i] == MESSAGE_DATA)
        ck_assert(sim_reaches(sim, 0,
                              1)); /* the confirmation was lost with the packet; the next one confirms too */
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION],
                      lost_types[_i] == MESSAGE_DATA ? 1 : 2);
    ck_assert(sim_reaches(sim, 1, 0));
    sim_free(sim);
}
END_TEST

static void psk_set(struct sim *sim, size_t node, size_t of, uint8_t value)
{
    uint8_t psk[32];

    memset(psk, value, sizeof(psk));
    ck_assert_int_eq(wg_peer_set_preshared(sim->nodes[node].device, sim->nodes[of].public_key, psk), NX_OK);
}

START_TEST(preshared_key_must_agree)
{
    struct sim *sim = sim_new(2);

    psk_set(sim, 0, 1, 5); /* before the peer exists */
    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    psk_set(sim, 1, 0, 5);
    ck_assert(sim_reaches(sim, 0, 1));

    /* A change ends the session; with different keys there is no new one. */
    psk_set(sim, 1, 0, 6);
    ck_assert_ptr_null(sim_peer(sim, 1, 0)->keypairs.current);
    psk_set(sim, 0, 1, 7);
    sim_advance(sim, REKEY_TIMEOUT);
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_auth, 1);
    ck_assert_ptr_null(sim_peer(sim, 0, 1)->keypairs.current);

    /* No key at one side is a different key too. */
    psk_set(sim, 0, 1, 0);
    sim_advance(sim, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert_uint_ge(wg_counters_get(sim->nodes[0].device)->drop_auth, 2);
    ck_assert(!sim_reaches(sim, 0, 1));

    /* The next attempt of the series that is under way brings the waiting packets over. */
    psk_set(sim, 0, 1, 6);
    sim_advance(sim, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert(sim_reaches(sim, 0, 1));

    /* Setting the same key again changes nothing. */
    psk_set(sim, 0, 1, 6);
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert_ptr_nonnull(sim_peer(sim, 0, 1)->keypairs.current);

    /* The key is kept while the peer is away. */
    ck_assert_int_eq(wg_peer_remove(sim->nodes[0].device, sim->nodes[1].public_key), NX_OK);
    sim_advance(sim, NS_PER_S);
    sim_peer_add(sim, 0, 1, true, 0);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

static struct sim_datagram kept[8];
static size_t kept_count;

static bool keep_initiations(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    if (sim_message_type(datagram) == MESSAGE_HANDSHAKE_INITIATION && kept_count < 8)
        kept[kept_count++] = *datagram;
    return true;
}

START_TEST(replayed_initiation_is_dropped)
{
    struct sim *sim = sim_pair_new();

    kept_count = 0;
    sim->filter = keep_initiations;
    ck_assert(sim_reaches(sim, 0, 1));
    sim_advance(sim, REKEY_TIMEOUT);
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    sim_settle(sim);
    ck_assert_uint_eq(kept_count, 2);
    sim_advance(sim, 10 * NS_PER_S);
    /* Neither the latest nor an older one, not even from a new address, which must not be learned. */
    kept[0].from.port = kept[1].from.port = 1;
    sim_inject(sim, 1, kept, 2);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_replay, 2);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_RESPONSE], 2);
    ck_assert(netsock_equal(&sim_peer(sim, 1, 0)->endpoint, &sim->nodes[0].address));
    ck_assert(sim_reaches(sim, 1, 0));
    sim_free(sim);
}
END_TEST

START_TEST(clock_set_back_delays_but_does_not_replay)
{
    struct sim *sim = sim_pair_new();

    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert_int_eq(wg_peer_remove(sim->nodes[0].device, sim->nodes[1].public_key), NX_OK);
    sim->wall_offset_ns -= 60 * NS_PER_S;
    sim_peer_add(sim, 0, 1, true, 0);
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_replay, 1);
    sim_advance(sim, 70 * NS_PER_S);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

START_TEST(initiations_of_one_peer_are_limited)
{
    struct sim *sim = sim_pair_new();
    struct wg_peer *peer = sim_peer(sim, 0, 1);
    unsigned sent = 0;

    for (unsigned i = 0; i < 100; i++) {
        peer->has_sent_handshake = false; /* a peer that does not keep to REKEY_TIMEOUT */
        send_handshake_initiation(peer, false, sim->now_ns);
        sim_settle(sim);
        sim->now_ns += 10 * NS_PER_MS;
        sent++;
    }
    ck_assert_uint_eq(sim->nodes[0].sent[MESSAGE_HANDSHAKE_INITIATION], sent);
    ck_assert_uint_le(sim->nodes[1].sent[MESSAGE_HANDSHAKE_RESPONSE], INITIATIONS_PER_SECOND + 1);
    ck_assert_uint_ge(sim->nodes[1].sent[MESSAGE_HANDSHAKE_RESPONSE], INITIATIONS_PER_SECOND / 2);
    sim_free(sim);
}
END_TEST

static void load_up(struct sim *sim, size_t node)
{
    for (unsigned i = 0; i <= LOAD_MESSAGES; i++)
        handshake_load_count(&sim->nodes[node].device->load, sim->now_ns);
}

START_TEST(under_load_a_cookie_is_asked_for_and_shown)
{
    struct sim *sim = sim_pair_new();
    const struct wg_counters *responder = wg_counters_get(sim->nodes[1].device);

    load_up(sim, 1);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(responder->cookies_sent, 1);
    ck_assert_uint_eq(responder->handshakes_answered, 0);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->cookies_received, 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_COOKIE], 1);
    /* Still under load when the retry comes, which carries mac2. */
    sim_advance(sim, REKEY_TIMEOUT - 100 * NS_PER_MS);
    load_up(sim, 1);
    sim_advance(sim, 100 * NS_PER_MS + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert_uint_eq(responder->handshakes_answered, 1);
    ck_assert_uint_eq(responder->cookies_sent, 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    sim_free(sim);
}
END_TEST

START_TEST(initiator_under_load_asks_the_responder_too)
{
    struct sim *sim = sim_pair_new();

    load_up(sim, 0);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->cookies_sent, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->cookies_received, 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 0);
    sim_advance(sim, REKEY_TIMEOUT - 100 * NS_PER_MS);
    load_up(sim, 0);
    sim_advance(sim, 100 * NS_PER_MS + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->cookies_sent, 1);
    sim_free(sim);
}
END_TEST

START_TEST(cookie_is_bound_to_the_address)
{
    struct sim *sim = sim_pair_new();
    const struct wg_counters *responder = wg_counters_get(sim->nodes[1].device);

    load_up(sim, 1);
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_settle(sim);
    ck_assert_uint_eq(responder->cookies_sent, 1);
    sim->nodes[0].address.port++; /* as a NAT might */
    sim_advance(sim, REKEY_TIMEOUT - 100 * NS_PER_MS);
    load_up(sim, 1);
    sim_advance(sim, 100 * NS_PER_MS + REKEY_TIMEOUT_JITTER_MAX);
    ck_assert_uint_eq(responder->cookies_sent, 2);
    ck_assert_uint_eq(responder->handshakes_answered, 0);
    sim_free(sim);
}
END_TEST

/* A message as anybody can make it who knows the responder's public key, from an address of its own. */
static void spoof(struct sim_datagram *out, struct cookie_jar *jar, uint32_t number)
{
    struct message_handshake_initiation message;

    randombytes_buf(&message, sizeof(message));
    message.header.type = htole32(MESSAGE_HANDSHAKE_INITIATION);
    cookie_add_macs(jar, &message, sizeof(message), 0);
    memcpy(out->data, &message, sizeof(message));
    out->length = sizeof(message);
    out->from =
        (struct netsock){.addr = {NETADDR_V4, {198, 51, 0, 0}}, .port = (uint16_t)(1024 + number % 50000)};
    out->from.addr.bytes[2] = (uint8_t)(number >> 8);
    out->from.addr.bytes[3] = (uint8_t)number;
}

static bool cookies_go_nowhere(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    return sim_message_type(datagram) != MESSAGE_HANDSHAKE_COOKIE;
}

/* Of 100,000 in a second, the first ones cost X25519, until they are seen to be many; then one in five costs
 * a cookie. The session beside them loses nothing, and nothing is kept of any of them. */
START_TEST(a_flood_costs_cookies_only_and_no_memory)
{
    enum { FLOOD = 100000, PART = 100 };
    static struct sim_datagram part[PART];
    struct sim *sim = sim_pair_new();
    const struct wg_counters *responder = wg_counters_get(sim->nodes[1].device);
    struct cookie_jar jar;
    size_t memory = 0;

    cookie_jar_init(&jar, sim->nodes[1].public_key);
    sim->filter = cookies_go_nowhere;
    ck_assert(sim_reaches(sim, 0, 1));
    const size_t before = sim->nodes[1].received_count;
    for (uint32_t i = 0; i < FLOOD / PART; i++) {
        for (uint32_t k = 0; k < PART; k++)
            spoof(&part[k], &jar, i * PART + k);
        ck_assert_int_eq(sim_send(sim, 0, 1, 1000, i), NX_OK);
        sim_inject(sim, 1, part, PART);
        sim_settle(sim);
        sim_advance(sim, NS_PER_S / (FLOOD / PART));
        if (i == FLOOD / PART / 10)
            memory = mallinfo2().uordblks;
    }
    ck_assert_uint_eq(sim->nodes[1].received_count - before, FLOOD / PART);
    ck_assert_uint_le(responder->drop_auth + responder->drop_unknown_peer, LOAD_MESSAGES);
    ck_assert_uint_ge(responder->cookies_sent, COOKIES_PER_SECOND * 9 / 10);
    ck_assert_uint_le(responder->cookies_sent, COOKIES_PER_SECOND + COOKIES_BURST);
    ck_assert_uint_eq(responder->cookies_sent + responder->drop_rate + responder->drop_auth +
                          responder->drop_unknown_peer,
                      FLOOD);
    ck_assert_uint_le(mallinfo2().uordblks, memory + 4096);
    sim_free(sim);
}
END_TEST

/* Strangers have used up their cookies, and a peer loses its session: where it was known to be, it is given a
 * cookie nevertheless. */
START_TEST(a_flood_does_not_keep_a_known_peer_from_its_cookie)
{
    enum { FLOOD = LOAD_MESSAGES + 2 * COOKIES_BURST, PART = 8 };
    static struct sim_datagram part[PART];
    struct sim *sim = sim_pair_new();
    struct wg_peer *peer = sim_peer(sim, 0, 1);
    const struct wg_counters *responder = wg_counters_get(sim->nodes[1].device);
    struct cookie_jar jar;

    cookie_jar_init(&jar, sim->nodes[1].public_key);
    ck_assert(sim_reaches(sim, 0, 1));
    for (uint32_t i = 0; i < FLOOD / PART; i++) { /* at one and the same time: nothing is refilled */
        for (uint32_t k = 0; k < PART; k++)
            spoof(&part[k], &jar, i * PART + k);
        sim_inject(sim, 1, part, PART);
    }
    sim_settle(sim);
    ck_assert_uint_eq(responder->cookies_sent, COOKIES_BURST);
    ck_assert_uint_gt(responder->drop_rate, 0);
    peer->has_sent_handshake = false;
    send_handshake_initiation(peer, false, sim->now_ns);
    sim_settle(sim);
    ck_assert_uint_eq(responder->cookies_sent, COOKIES_BURST + 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->cookies_received, 1);
    sim_free(sim);
}
END_TEST

START_TEST(flood_brings_load_and_calm_ends_it)
{
    struct sim *sim = sim_pair_new();
    struct wg_peer *peer = sim_peer(sim, 0, 1);
    const struct wg_counters *responder = wg_counters_get(sim->nodes[1].device);

    /* mac1 without knowing our peers is all that a flood needs; the time stands still, so that all but one
     * repeat. */
    for (unsigned i = 0; i < LOAD_MESSAGES + 50; i++) {
        peer->has_sent_handshake = false;
        send_handshake_initiation(peer, false, sim->now_ns);
        sim_settle(sim);
    }
    /* The first cookie reply gives the sender mac2, which lets it through as far as the token bucket does. */
    ck_assert_uint_eq(responder->cookies_sent, 1);
    ck_assert_uint_ge(responder->drop_rate, 50 - 1 - RATELIMIT_BURST);
    sim_advance(sim, 2 * LOAD_HOLD + REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX);
    sim->nodes[0].address.port++;
    sim_advance(sim, REKEY_TIMEOUT);
    send_handshake_initiation(peer, false, sim->now_ns);
    sim_settle(sim);
    ck_assert_uint_eq(responder->cookies_sent, 1);
    ck_assert(sim_reaches(sim, 0, 1));
    sim_free(sim);
}
END_TEST

START_TEST(roaming_follows_only_authentic_messages)
{
    struct sim *sim = sim_pair_new();
    struct wg_peer *peer;
    struct netsock moved;

    ck_assert(sim_reaches(sim, 0, 1));
    peer = sim_peer(sim, 1, 0);
    ck_assert(netsock_equal(&peer->endpoint, &sim->nodes[0].address));
    sim->nodes[0].address = (struct netsock){.addr = sim_addr("2001:db8::5"), .port = 1024};
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(netsock_equal(&peer->endpoint, &sim->nodes[0].address));
    ck_assert(sim_reaches(sim, 1, 0));

    /* By a handshake too. */
    moved = sim->nodes[0].address = (struct netsock){.addr = sim_addr("198.51.100.9"), .port = 4};
    sim_advance(sim, REKEY_TIMEOUT);
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    sim_settle(sim);
    ck_assert(netsock_equal(&peer->endpoint, &moved));

    /* The same configuration again does not undo it, another one does. */
    sim_peer_add(sim, 1, 0, false, 0);
    ck_assert(netsock_equal(&peer->endpoint, &moved));
    sim->nodes[0].address.port = 5;
    sim_peer_add(sim, 1, 0, true, 0);
    ck_assert_uint_eq(peer->endpoint.port, 5);
    sim->nodes[0].address.port = 6;
    ck_assert(sim_reaches(sim, 0, 1));
    sim->nodes[0].address.port = 5;
    sim_peer_add(sim, 1, 0, true, 0);
    ck_assert_uint_eq(peer->endpoint.port, 6);
    sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("handshake");

    tcase_add_test(tcase, first_packet_brings_a_session_up);
    tcase_add_test(tcase, both_sides_hold_the_same_keys);
    tcase_add_test(tcase, responder_sends_nothing_before_it_is_confirmed);
    tcase_add_test(tcase, both_may_begin_at_once);
    tcase_add_loop_test(tcase, lost_step_is_made_good, 0, 3);
    tcase_add_test(tcase, preshared_key_must_agree);
    tcase_add_test(tcase, replayed_initiation_is_dropped);
    tcase_add_test(tcase, clock_set_back_delays_but_does_not_replay);
    tcase_add_test(tcase, initiations_of_one_peer_are_limited);
    tcase_add_test(tcase, under_load_a_cookie_is_asked_for_and_shown);
    tcase_add_test(tcase, initiator_under_load_asks_the_responder_too);
    tcase_add_test(tcase, cookie_is_bound_to_the_address);
    tcase_add_test(tcase, a_flood_costs_cookies_only_and_no_memory);
    tcase_add_test(tcase, a_flood_does_not_keep_a_known_peer_from_its_cookie);
    tcase_add_test(tcase, flood_brings_load_and_calm_ends_it);
    tcase_add_test(tcase, roaming_follows_only_authentic_messages);
    return suite_run("wireguard handshake", tcase);
}
