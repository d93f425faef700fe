/* What an attacker can send: truncated, changed, random, spoofed and misaddressed messages. None may be
 * answered, delivered, or change anything; and afterwards the pair must still talk. */
#include "sim.h"
#include "suite.h"

#include "common/err.h"
#include <sodium.h>
#include <string.h>

static struct sim_datagram kept[SIM_TYPES]; /* the last of each type */

static bool keep_each_type(struct sim *sim, struct sim_datagram *datagram)
{
    (void)sim;
    kept[sim_message_type(datagram)] = *datagram;
    return true;
}

/* A pair with a session, and one genuine message of each type kept; the data message has not arrived yet. */
static struct sim *pair_with_samples(void)
{
    struct sim *sim = sim_pair_new();
    struct message_handshake_cookie cookie;

    sim->filter = keep_each_type;
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    wg_tx_flush(sim->nodes[0].device, sim->now_ns);
    ck_assert_uint_eq(sim->wire_count, 1);
    kept[MESSAGE_DATA] = *sim->wire[0];
    free(sim->wire[0]);
    sim->wire_count = 0;
    cookie_reply_create(&sim->nodes[1].device->cookies, kept[MESSAGE_HANDSHAKE_INITIATION].data,
                        MESSAGE_INITIATION_LEN, sim_peer(sim, 0, 1)->keypairs.current->local_index,
                        &sim->nodes[0].address, sim->now_ns, &cookie);
    kept[MESSAGE_HANDSHAKE_COOKIE] = kept[MESSAGE_HANDSHAKE_RESPONSE];
    kept[MESSAGE_HANDSHAKE_COOKIE].length = sizeof(cookie);
    memcpy(kept[MESSAGE_HANDSHAKE_COOKIE].data, &cookie, sizeof(cookie));
    sim->filter = NULL;
    return sim;
}

/* Which node a type of message is for. */
static size_t receiver_of(unsigned type)
{
    return type == MESSAGE_HANDSHAKE_INITIATION || type == MESSAGE_DATA ? 1 : 0;
}

static uint64_t drops(const struct sim *sim, size_t node)
{
    const struct wg_counters *c = wg_counters_get(sim->nodes[node].device);

    return c->drop_malformed + c->drop_mac1 + c->drop_unknown_peer + c->drop_unknown_index + c->drop_replay +
           c->drop_auth + c->drop_expired + c->drop_source + c->drop_inner + c->drop_rate;
}

struct effects {
    uint64_t sent, received;
    struct netsock endpoint;
};

static struct effects effects_of(struct sim *sim, size_t node)
{
    struct effects effects = {.received = sim->nodes[node].received_count,
                              .endpoint = sim_peer(sim, node, 1 - node)->endpoint};

    for (unsigned type = 0; type < SIM_TYPES; type++)
        effects.sent += sim->nodes[node].sent[type];
    return effects;
}

/* The message is dropped, counted once, and brings nothing about. */
static void refused(struct sim *sim, size_t node, const struct sim_datagram *datagram, const char *what,
                    size_t detail)
{
    struct effects before = effects_of(sim, node), after;
    uint64_t dropped = drops(sim, node);

    sim_inject(sim, node, datagram, 1);
    sim_settle(sim);
    after = effects_of(sim, node);
    if (drops(sim, node) != dropped + 1 || before.sent != after.sent || before.received != after.received ||
        !netsock_equal(&before.endpoint, &after.endpoint))
        ck_abort_msg("%s %zu: dropped %lu, sent %lu, delivered %lu", what, detail, drops(sim, node) - dropped,
                     after.sent - before.sent, after.received - before.received);
}

static void still_talking(struct sim *sim)
{
    ck_assert(sim_reaches(sim, 0, 1));
    ck_assert(sim_reaches(sim, 1, 0));
}

START_TEST(truncated_messages_are_dropped)
{
    struct sim *sim = pair_with_samples();

    for (unsigned type = MESSAGE_HANDSHAKE_INITIATION; type <= MESSAGE_DATA; type++) {
        for (size_t length = 0; length < kept[type].length; length++) {
            struct sim_datagram cut = kept[type];

            cut.length = length;
            cut.from.port = 9;
            refused(sim, receiver_of(type), &cut, "length", length);
        }
        if (type != MESSAGE_DATA) {
            struct sim_datagram extended = kept[type];

            extended.data[extended.length++] = 0;
            refused(sim, receiver_of(type), &extended, "extended type", type);
        }
    }
    still_talking(sim);
    sim_free(sim);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    struct sim *sim = pair_with_samples();

    for (unsigned type = MESSAGE_HANDSHAKE_INITIATION; type <= MESSAGE_DATA; type++) {
        for (size_t bit = 0; bit < kept[type].length * 8; bit++) {
            struct sim_datagram changed = kept[type];

            changed.from.port = 9;
            changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            sim->now_ns += LOAD_INTERVAL / LOAD_MESSAGES + 1; /* not under load */
            refused(sim, receiver_of(type), &changed, "bit", bit);
        }
    }
    sim_inject(sim, 1, &kept[MESSAGE_DATA], 1);
    ck_assert_uint_eq(sim->nodes[1].received_count, 2);
    still_talking(sim);
    sim_free(sim);
}
END_TEST

/* Deeper: the MACs are right, as anyone can make them who knows the public key, and what is inside is not. */
START_TEST(changed_handshakes_with_right_macs_are_refused)
{
    struct sim *sim = pair_with_samples();

    for (unsigned type = MESSAGE_HANDSHAKE_INITIATION; type <= MESSAGE_HANDSHAKE_RESPONSE; type++) {
        size_t node = receiver_of(type), signed_length = kept[type].length - sizeof(struct message_macs);
        struct cookie_jar jar;

        cookie_jar_init(&jar, sim->nodes[node].public_key);
        /* The index of an initiation's sender is the only thing that authenticates nothing. */
        for (size_t byte = 8; byte < signed_length; byte++) {
            struct sim_datagram changed = kept[type];

            changed.from.port = 9;
            changed.data[byte] ^= 0x01;
            cookie_add_macs(&jar, changed.data, changed.length, sim->now_ns);
            sim->now_ns += LOAD_INTERVAL / LOAD_MESSAGES + 1;
            refused(sim, node, &changed, "byte", byte);
        }
    }
    still_talking(sim);
    sim_free(sim);
}
END_TEST

START_TEST(forged_response_does_not_stop_the_true_one)
{
    struct sim *sim = sim_pair_new();
    struct sim_datagram forged;
    struct cookie_jar jar;

    ck_assert_int_eq(sim_send(sim, 0, 1, 100, 1), NX_OK);
    sim_inject(sim, 1, sim->wire[0], 1); /* the response is on the wire now, behind the initiation */
    ck_assert_uint_eq(sim->wire_count, 2);
    forged = *sim->wire[1];
    forged.data[50] ^= 1; /* in encrypted_nothing */
    cookie_jar_init(&jar, sim->nodes[0].public_key);
    cookie_add_macs(&jar, forged.data, forged.length, sim->now_ns);
    sim_inject(sim, 0, &forged, 1);
    ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_auth, 1);
    sim_settle(sim);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    sim_free(sim);
}
END_TEST

START_TEST(random_messages_are_dropped)
{
    struct sim *sim = pair_with_samples();

    for (unsigned i = 0; i < 20000; i++) {
        struct sim_datagram noise = {.from = {.addr = sim->nodes[0].address.addr, .port = 9}};

        noise.length = randombytes_uniform(200);
        randombytes_buf(noise.data, noise.length);
        if (noise.length >= 4 && i % 2) {
            memset(noise.data, 0, 4);
            noise.data[0] = (uint8_t)(1 + i / 2 % 4);
        }
        refused(sim, i % 2, &noise, "random", i);
    }
    still_talking(sim);
    sim_free(sim);
}
END_TEST

START_TEST(misaddressed_messages_are_dropped)
{
    struct sim *sim = pair_with_samples();
    struct sim_datagram datagram;
    uint32_t own = sim_peer(sim, 0, 1)->keypairs.current->local_index;

    /* Back to their sender. */
    for (unsigned type = MESSAGE_HANDSHAKE_INITIATION; type <= MESSAGE_DATA; type++)
        refused(sim, 1 - receiver_of(type), &kept[type], "reflected type", type);
    /* A response for a session's index. */
    datagram = kept[MESSAGE_HANDSHAKE_RESPONSE];
    refused(sim, 0, &datagram, "response to a finished handshake", 0);
    /* Data for the index of a waiting handshake. */
    sim_advance(sim, REKEY_TIMEOUT);
    send_handshake_initiation(sim_peer(sim, 0, 1), false, sim->now_ns);
    ck_assert_uint_ne(sim_peer(sim, 0, 1)->handshake_index, own);
    datagram = kept[MESSAGE_DATA];
    memcpy(datagram.data + 4, &sim_peer(sim, 0, 1)->handshake_index, 4);
    {
        uint64_t before = wg_counters_get(sim->nodes[0].device)->drop_unknown_index;

        sim_inject(sim, 0, &datagram, 1);
        ck_assert_uint_eq(wg_counters_get(sim->nodes[0].device)->drop_unknown_index, before + 1);
    }
    still_talking(sim);
    sim_free(sim);
}
END_TEST

START_TEST(unknown_peer_gets_no_answer)
{
    struct sim *sim = sim_new(2);

    sim_peer_add(sim, 0, 1, true, 0); /* but the other side does not know us */
    ck_assert(!sim_reaches(sim, 0, 1));
    ck_assert_uint_eq(wg_counters_get(sim->nodes[1].device)->drop_unknown_peer, 1);
    ck_assert_uint_eq(sim->nodes[1].sent[MESSAGE_HANDSHAKE_RESPONSE], 0);
    sim_free(sim);
}
END_TEST

/* Sends raw inner bytes under the session's key, as a hostile peer can. */
static void send_inner(struct sim *sim, const uint8_t *data, size_t length)
{
    uint8_t *slot;

    ck_assert_int_eq(wg_tx_begin(sim->nodes[0].device, &sim->nodes[1].tunnel_v4, length, sim->now_ns, &slot),
                     NX_OK);
    memcpy(slot, data, length);
    wg_tx_end(sim->nodes[0].device);
    sim_settle(sim);
}

START_TEST(spoofed_inner_sources_are_dropped)
{
    struct sim *sim = sim_new(3);
    const struct wg_counters *counters = wg_counters_get(sim->nodes[1].device);
    struct netaddr nobody = sim_addr("10.9.9.9");
    uint8_t packet[100];

    sim_peer_add(sim, 0, 1, true, 0);
    sim_peer_add(sim, 1, 0, false, 0);
    sim_peer_add(sim, 1, 2, false, 0);
    ck_assert(sim_reaches(sim, 0, 1));
    /* Another peer's address, the receiver's own, nobody's; in both families. */
    sim_packet_v4(packet, 100, &sim->nodes[2].tunnel_v4, &sim->nodes[1].tunnel_v4, 0);
    send_inner(sim, packet, 100);
    sim_packet_v4(packet, 100, &sim->nodes[1].tunnel_v4, &sim->nodes[1].tunnel_v4, 0);
    send_inner(sim, packet, 100);
    sim_packet_v4(packet, 100, &nobody, &sim->nodes[1].tunnel_v4, 0);
    send_inner(sim, packet, 100);
    sim_packet_v6(packet, 100, &sim->nodes[2].tunnel_v6, &sim->nodes[1].tunnel_v6, 0);
    send_inner(sim, packet, 100);
    ck_assert_uint_eq(counters->drop_source, 4);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    sim_packet_v6(packet, 100, &sim->nodes[0].tunnel_v6, &sim->nodes[1].tunnel_v6, 0);
    send_inner(sim, packet, 100);
    ck_assert_uint_eq(sim->nodes[1].received_count, 2);
    sim_free(sim);
}
END_TEST

START_TEST(malformed_inner_packets_are_dropped)
{
    struct sim *sim = sim_pair_new();
    const struct wg_counters *counters = wg_counters_get(sim->nodes[1].device);
    uint8_t v4[100], v6[100], bad[100];
    uint64_t expected = 0;

    ck_assert(sim_reaches(sim, 0, 1));
    sim_packet_v4(v4, 100, &sim->nodes[0].tunnel_v4, &sim->nodes[1].tunnel_v4, 0);
    sim_packet_v6(v6, 100, &sim->nodes[0].tunnel_v6, &sim->nodes[1].tunnel_v6, 0);
    for (unsigned version = 0; version < 16; version++) {
        memcpy(bad, v4, 100);
        bad[0] = (uint8_t)(version << 4 | 5);
        if (version == 4 || version == 6)
            continue;
        send_inner(sim, bad, 100);
        ck_assert_uint_eq(counters->drop_inner, ++expected);
    }
    /* Total length: beyond the padded payload, below the header; a header length below its least, beyond the
     * total. */
    memcpy(bad, v4, 100);
    bad[3] = 113;
    send_inner(sim, bad, 100);
    bad[3] = 19;
    send_inner(sim, bad, 100);
    bad[2] = 0xff;
    send_inner(sim, bad, 100);
    memcpy(bad, v4, 100);
    bad[0] = 0x44;
    send_inner(sim, bad, 100);
    bad[0] = 0x4f;
    bad[3] = 59;
    send_inner(sim, bad, 100);
    memcpy(bad, v6, 100);
    bad[5] = 73;
    send_inner(sim, bad, 100);
    expected += 6;
    ck_assert_uint_eq(counters->drop_inner, expected);
    /* Less than a header. */
    for (size_t length = 1; length < 16; length++) {
        send_inner(sim, v4, length);
        send_inner(sim, v6, length);
        expected += 2;
    }
    ck_assert_uint_eq(counters->drop_inner, expected);
    ck_assert_uint_eq(sim->nodes[1].received_count, 1);
    /* Padding is cut by the inner length. */
    send_inner(sim, v4, 100);
    ck_assert_uint_eq(sim->nodes[1].received[1].length, 100);
    sim_free(sim);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hostile");

    tcase_add_test(tcase, truncated_messages_are_dropped);
    tcase_add_test(tcase, every_flipped_bit_is_refused);
    tcase_add_test(tcase, changed_handshakes_with_right_macs_are_refused);
    tcase_add_test(tcase, forged_response_does_not_stop_the_true_one);
    tcase_add_test(tcase, random_messages_are_dropped);
    tcase_add_test(tcase, misaddressed_messages_are_dropped);
    tcase_add_test(tcase, unknown_peer_gets_no_answer);
    tcase_add_test(tcase, spoofed_inner_sources_are_dropped);
    tcase_add_test(tcase, malformed_inner_packets_are_dropped);
    return suite_run("wireguard hostile", tcase);
}
