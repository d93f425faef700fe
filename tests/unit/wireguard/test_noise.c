/* The handshake by itself: against a handshake computed by another implementation (noise_vectors.py), two
 * parties against each other, and what must make it fail. */
#include "suite.h"

#include "common/err.h"
#include "noise_vectors.h"
#include "tunneld/wireguard/cookie.h"
#include "tunneld/wireguard/noise.h"
#include <sodium.h>
#include <string.h>

/* Makes every "random" byte the given one, so that ephemeral keys are known. */
static uint8_t random_byte;

static const char *fixed_name(void)
{
    return "fixed";
}

static uint32_t fixed_random(void)
{
    return random_byte * UINT32_C(0x01010101);
}

static void fixed_buf(void *buf, size_t size)
{
    memset(buf, random_byte, size);
}

static struct randombytes_implementation fixed = {
    .implementation_name = fixed_name, .random = fixed_random, .buf = fixed_buf};

struct party {
    struct noise_identity identity;
    struct noise_remote remote;
};

static struct party initiator, responder;
static struct noise_initiator waiting;
static struct noise_session_keys at_initiator, at_responder;
static struct message_handshake_initiation initiation;
static struct message_handshake_response response;
static uint8_t timestamp[NOISE_TIMESTAMP_LEN];

static void parties_setup(void)
{
    uint8_t key[32];

    ck_assert_int_ge(sodium_init(), 0);
    memset(key, 0x11, sizeof(key));
    noise_identity_init(&initiator.identity, key);
    memset(key, 0x22, sizeof(key));
    noise_identity_init(&responder.identity, key);
    ck_assert_int_eq(noise_remote_init(&initiator.remote, &initiator.identity, responder.identity.public_key),
                     NX_OK);
    ck_assert_int_eq(noise_remote_init(&responder.remote, &responder.identity, initiator.identity.public_key),
                     NX_OK);
    memset(initiator.remote.preshared_key, 0x55, 32);
    memset(responder.remote.preshared_key, 0x55, 32);
    memcpy(timestamp, "\x40\x00\x00\x00\x65\x53\xf1\x0a\x00\x00\x00\x00", sizeof(timestamp));
}

static int initiation_send(void)
{
    return noise_initiation_create(&waiting, &initiator.identity, &initiator.remote, 0x01020304, timestamp,
                                   &initiation);
}

static int initiation_receive(struct noise_responder *state, uint64_t now_ns)
{
    int err = noise_initiation_identify(state, &responder.identity, &initiation);

    return err != NX_OK ? err : noise_initiation_authenticate(state, &responder.remote, &initiation, now_ns);
}

static int response_send(struct noise_responder *state)
{
    return noise_response_create(state, &responder.remote, 0xa1a2a3a4, le32toh(initiation.sender_index),
                                 &response, &at_responder);
}

static int response_receive(void)
{
    return noise_response_consume(&waiting, &initiator.identity, &initiator.remote, &response, &at_initiator);
}

START_TEST(equals_the_other_implementation)
{
    struct noise_responder state;
    struct cookie_jar jar;

    randombytes_set_implementation(&fixed);
    random_byte = 0x33;
    ck_assert_int_eq(initiation_send(), NX_OK);
    cookie_jar_init(&jar, responder.identity.public_key);
    cookie_add_macs(&jar, &initiation, sizeof(initiation), 1);
    ck_assert_uint_eq(sizeof(initiation), sizeof(vector_initiation));
    ck_assert_mem_eq(&initiation, vector_initiation, sizeof(initiation));
    ck_assert_int_eq(initiation_receive(&state, 1), NX_OK);
    ck_assert_mem_eq(state.remote_static, initiator.identity.public_key, 32);
    random_byte = 0x44;
    ck_assert_int_eq(response_send(&state), NX_OK);
    ck_assert(sodium_is_zero((const uint8_t *)&state, sizeof(state)));
    cookie_jar_init(&jar, initiator.identity.public_key);
    cookie_add_macs(&jar, &response, sizeof(response), 1);
    ck_assert_uint_eq(sizeof(response), sizeof(vector_response));
    ck_assert_mem_eq(&response, vector_response, sizeof(response));
    ck_assert_int_eq(response_receive(), NX_OK);
    ck_assert(sodium_is_zero((const uint8_t *)&waiting, sizeof(waiting)));
    ck_assert_mem_eq(at_initiator.send, vector_initiator_send, 32);
    ck_assert_mem_eq(at_initiator.receive, vector_initiator_receive, 32);
    ck_assert_mem_eq(at_responder.send, vector_initiator_receive, 32);
    ck_assert_mem_eq(at_responder.receive, vector_initiator_send, 32);
}
END_TEST

START_TEST(every_handshake_has_new_keys)
{
    struct noise_responder state;
    struct noise_session_keys first;

    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, 1), NX_OK);
    ck_assert_int_eq(response_send(&state), NX_OK);
    ck_assert_int_eq(response_receive(), NX_OK);
    first = at_initiator;
    timestamp[7]++;
    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, NS_PER_S), NX_OK);
    ck_assert_int_eq(response_send(&state), NX_OK);
    ck_assert_int_eq(response_receive(), NX_OK);
    ck_assert_mem_eq(at_initiator.send, at_responder.receive, 32);
    ck_assert_mem_ne(at_initiator.send, first.send, 32);
    /* A second response to the same initiation finds nothing waiting. */
    ck_assert_int_eq(response_receive(), NX_ENOENT);
}
END_TEST

START_TEST(wrong_preshared_key_fails_at_the_initiator)
{
    struct noise_responder state;
    struct noise_initiator before;

    responder.remote.preshared_key[31] ^= 1;
    ck_assert_int_eq(initiation_send(), NX_OK);
    before = waiting;
    ck_assert_int_eq(initiation_receive(&state, 1), NX_OK);
    ck_assert_int_eq(response_send(&state), NX_OK);
    ck_assert_int_eq(response_receive(), NX_ECRYPTO);
    /* The initiator goes on waiting. */
    ck_assert_mem_eq(&before, &waiting, sizeof(before));
}
END_TEST

START_TEST(replays_and_floods_are_told_apart)
{
    struct noise_responder state;

    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, NS_PER_S), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, 2 * NS_PER_S), NX_EEXIST);
    ck_assert(sodium_is_zero((const uint8_t *)&state, sizeof(state)));
    timestamp[11]--; /* 0 - 1: later */
    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, NS_PER_S + NS_PER_S / INITIATIONS_PER_SECOND - 1), NX_EAGAIN);
    /* A flood does not use up the time stamp. */
    ck_assert_int_eq(initiation_receive(&state, NS_PER_S + NS_PER_S / INITIATIONS_PER_SECOND), NX_OK);
    timestamp[0]--; /* earlier */
    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(initiation_receive(&state, 9 * NS_PER_S), NX_EEXIST);
}
END_TEST

START_TEST(initiation_for_someone_else_is_not_read)
{
    struct noise_responder state;
    uint8_t key[32] = {0x77};

    ck_assert_int_eq(initiation_send(), NX_OK);
    noise_identity_init(&responder.identity, key);
    ck_assert_int_eq(initiation_receive(&state, 1), NX_ECRYPTO);
}
END_TEST

START_TEST(initiation_of_an_impostor_is_not_believed)
{
    struct noise_responder state;

    /* Claims the initiator's public key without having the private one. */
    memset(initiator.remote.static_static, 9, 32);
    ck_assert_int_eq(initiation_send(), NX_OK);
    ck_assert_int_eq(noise_initiation_identify(&state, &responder.identity, &initiation), NX_OK);
    ck_assert_mem_eq(state.remote_static, initiator.identity.public_key, 32);
    ck_assert_int_eq(noise_initiation_authenticate(&state, &responder.remote, &initiation, 1), NX_ECRYPTO);
    ck_assert(sodium_is_zero(responder.remote.latest_timestamp, NOISE_TIMESTAMP_LEN));
}
END_TEST

/* Points of small order would make the shared secret known: RFC 7748, section 6.1. */
START_TEST(points_of_low_order_are_refused)
{
    static const uint8_t points[][32] = {{0}, {1}, {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae,
                                                    0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
                                                    0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd,
                                                    0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00}};

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct noise_remote remote;
        struct noise_responder state;

        ck_assert_int_eq(noise_remote_init(&remote, &initiator.identity, points[i]), NX_EINVAL);
        ck_assert(sodium_is_zero((const uint8_t *)&remote, sizeof(remote)));
        ck_assert_int_eq(initiation_send(), NX_OK);
        memcpy(initiation.unencrypted_ephemeral, points[i], 32);
        ck_assert_int_eq(initiation_receive(&state, 1), NX_ECRYPTO);
        ck_assert_int_eq(initiation_send(), NX_OK);
        memcpy(response.unencrypted_ephemeral, points[i], 32);
        ck_assert_int_eq(response_receive(), NX_ECRYPTO);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("noise");

    tcase_add_checked_fixture(tcase, parties_setup, NULL);
    tcase_add_test(tcase, equals_the_other_implementation);
    tcase_add_test(tcase, every_handshake_has_new_keys);
    tcase_add_test(tcase, wrong_preshared_key_fails_at_the_initiator);
    tcase_add_test(tcase, replays_and_floods_are_told_apart);
    tcase_add_test(tcase, initiation_for_someone_else_is_not_read);
    tcase_add_test(tcase, initiation_of_an_impostor_is_not_believed);
    tcase_add_test(tcase, points_of_low_order_are_refused);
    return suite_run("wireguard noise", tcase);
}
