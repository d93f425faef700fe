/* MACs and cookies by themselves: what is bound to what, and for how long. */
#include "suite.h"

#include "common/err.h"
#include "tunneld/wireguard/cookie.h"
#include <sodium.h>
#include <string.h>

static uint8_t public_key[32];
static struct cookie_checker checker;
static struct cookie_jar jar;
static struct message_handshake_initiation message;
static struct netsock from;
static const uint64_t start_ns = 1000 * NS_PER_S;

static void setup(void)
{
    ck_assert_int_ge(sodium_init(), 0);
    randombytes_buf(public_key, sizeof(public_key));
    cookie_checker_init(&checker, public_key);
    cookie_jar_init(&jar, public_key);
    randombytes_buf(&message, sizeof(message));
    ck_assert_int_eq(netsock_parse("192.0.2.1:5000", &from), NX_OK);
}

static bool mac1_ok(void)
{
    return cookie_check_mac1(&checker, &message, sizeof(message));
}

static bool mac2_ok(uint64_t now_ns)
{
    return cookie_check_mac2(&checker, &message, sizeof(message), &from, now_ns);
}

static void cookie_fetch(uint64_t now_ns)
{
    struct message_handshake_cookie reply;

    cookie_add_macs(&jar, &message, sizeof(message), now_ns);
    cookie_reply_create(&checker, &message, sizeof(message), 0x04030201, &from, now_ns, &reply);
    ck_assert_mem_eq(&reply, "\x03\0\0\0\x01\x02\x03\x04", 8);
    ck_assert_int_eq(cookie_reply_consume(&jar, &reply, now_ns), NX_OK);
}

START_TEST(mac1_covers_the_message_and_our_key)
{
    uint8_t other[32];
    struct cookie_checker stranger;

    ck_assert(!mac1_ok());
    cookie_add_macs(&jar, &message, sizeof(message), start_ns);
    ck_assert(mac1_ok());
    ck_assert(sodium_is_zero(message.macs.mac2, COOKIE_LEN));
    message.encrypted_static[3] ^= 1;
    ck_assert(!mac1_ok());
    message.encrypted_static[3] ^= 1;
    message.macs.mac2[0] ^= 1; /* not covered */
    ck_assert(mac1_ok());
    randombytes_buf(other, sizeof(other));
    cookie_checker_init(&stranger, other);
    ck_assert(!cookie_check_mac1(&stranger, &message, sizeof(message)));
}
END_TEST

START_TEST(cookie_lets_mac2_pass)
{
    cookie_fetch(start_ns);
    cookie_add_macs(&jar, &message, sizeof(message), start_ns);
    ck_assert(mac1_ok());
    ck_assert(mac2_ok(start_ns));
    message.macs.mac1[0] ^= 1; /* covered */
    ck_assert(!mac2_ok(start_ns));
    message.macs.mac1[0] ^= 1;
    from.port++;
    ck_assert(!mac2_ok(start_ns));
    from.port--;
    from.addr.bytes[3]++;
    ck_assert(!mac2_ok(start_ns));
}
END_TEST

START_TEST(cookies_expire_at_both_ends)
{
    cookie_fetch(start_ns);
    cookie_add_macs(&jar, &message, sizeof(message),
                    start_ns + COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY - 1);
    ck_assert(mac2_ok(start_ns + COOKIE_SECRET_MAX_AGE - 1));
    ck_assert(!mac2_ok(start_ns + COOKIE_SECRET_MAX_AGE));
    cookie_add_macs(&jar, &message, sizeof(message),
                    start_ns + COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY);
    ck_assert(sodium_is_zero(message.macs.mac2, COOKIE_LEN));
}
END_TEST

START_TEST(reply_answers_only_the_last_message_once)
{
    struct message_handshake_cookie reply, old;

    ck_assert_int_eq(cookie_reply_consume(&jar, &(struct message_handshake_cookie){0}, start_ns), NX_ECRYPTO);
    cookie_add_macs(&jar, &message, sizeof(message), start_ns);
    cookie_reply_create(&checker, &message, sizeof(message), 1, &from, start_ns, &old);
    message.sender_index ^= 1;
    cookie_add_macs(&jar, &message, sizeof(message), start_ns);
    cookie_reply_create(&checker, &message, sizeof(message), 1, &from, start_ns, &reply);
    ck_assert_int_eq(cookie_reply_consume(&jar, &old, start_ns), NX_ECRYPTO);
    reply.encrypted_cookie[0] ^= 1;
    ck_assert_int_eq(cookie_reply_consume(&jar, &reply, start_ns), NX_ECRYPTO);
    reply.encrypted_cookie[0] ^= 1;
    ck_assert_int_eq(cookie_reply_consume(&jar, &reply, start_ns), NX_OK);
    ck_assert_int_eq(cookie_reply_consume(&jar, &reply, start_ns), NX_ECRYPTO);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("cookie");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, mac1_covers_the_message_and_our_key);
    tcase_add_test(tcase, cookie_lets_mac2_pass);
    tcase_add_test(tcase, cookies_expire_at_both_ends);
    tcase_add_test(tcase, reply_answers_only_the_last_message_once);
    return suite_run("wireguard cookie", tcase);
}
