/* The tunnel's STUN requests against servers that the test plays, honest and not: only the address that was
 * asked, with the id that was sent, is believed, and ctld cannot make a flood of it. */
#include "common/clock.h"
#include "common/err.h"
#include "tests/unit/common/stun_answer.h"
#include "tests/unit/common/unit.h"
#include "tunneld/udp/stun_probe.h"

enum { XOR_MAPPED = 0x0020 };
#define START_NS (1000 * NS_PER_S)

static struct stun_probe probe;
static uint64_t now_ns;
static unsigned sent, answers, next_random;
static struct netsock sent_to, answer_server, answer_mapped;
static uint8_t sent_bytes[STUN_REQUEST_BYTES];
static uint32_t answer_request;
static int answer_err;

static void transmit(void *arg, const struct netsock *to, const uint8_t *data, size_t length)
{
    (void)arg;
    ck_assert_uint_eq(length, STUN_REQUEST_BYTES);
    memcpy(sent_bytes, data, length);
    sent_to = *to;
    sent++;
}

static void random_fill(void *arg, uint8_t *out, size_t length)
{
    (void)arg;
    memset(out, (int)++next_random, length);
}

static void answered(void *arg, uint32_t request, const struct netsock *server, int err,
                     const struct netsock *mapped)
{
    (void)arg;
    answers++;
    answer_request = request;
    answer_server = *server;
    answer_err = err;
    answer_mapped = *mapped;
}

static const struct stun_probe_ops ops = {.transmit = transmit, .random = random_fill, .answered = answered};

static struct netsock sock(const char *text)
{
    struct netsock out;
    ck_assert_int_eq(netsock_parse(text, &out), NX_OK);
    return out;
}

static void set_up(void)
{
    stun_probe_init(&probe, &ops, NULL);
    now_ns = START_NS;
    sent = answers = next_random = 0;
}

static int ask(uint32_t request, const char *server)
{
    const struct netsock to = sock(server);
    return stun_probe_send(&probe, request, &to, now_ns);
}

static void reply(const char *from, const uint8_t *txid, uint16_t type)
{
    struct stun_answer answer;
    const struct netsock mapped = sock("203.0.113.9:40000"), server = sock(from);
    stun_answer_begin(&answer, type, txid);
    if (type == STUN_BINDING_SUCCESS)
        stun_answer_address(&answer, XOR_MAPPED, true, &mapped);
    stun_probe_receive(&probe, answer.bytes, answer.length, &server, now_ns);
}

START_TEST(an_answer_finds_its_request)
{
    ck_assert_int_eq(ask(7, "198.51.100.1:3478"), NX_OK);
    const uint8_t *txid = sent_bytes + 8;
    ck_assert_uint_eq(sent, 1);
    ck_assert(sent_to.port == 3478 && sent_bytes[1] == 1);
    reply("198.51.100.1:3478", txid, STUN_BINDING_SUCCESS);
    const struct netsock mapped = sock("203.0.113.9:40000"), server = sock("198.51.100.1:3478");
    ck_assert_uint_eq(answers, 1);
    ck_assert(answer_request == 7 && answer_err == NX_OK && netsock_equal(&answer_mapped, &mapped) &&
              netsock_equal(&answer_server, &server));
    reply("198.51.100.1:3478", txid, STUN_BINDING_SUCCESS);
    ck_assert_msg(answers == 1, "the same answer twice");
}
END_TEST

START_TEST(strangers_are_not_believed)
{
    uint8_t txid[STUN_TXID_BYTES], guess[STUN_TXID_BYTES] = {0};
    ck_assert_int_eq(ask(7, "198.51.100.1:3478"), NX_OK);
    memcpy(txid, sent_bytes + 8, sizeof txid);
    reply("198.51.100.2:3478", txid, STUN_BINDING_SUCCESS);
    reply("198.51.100.1:3479", txid, STUN_BINDING_SUCCESS);
    reply("198.51.100.1:3478", guess, STUN_BINDING_SUCCESS);
    ck_assert_uint_eq(answers, 0);
    ck_assert_uint_eq(probe.strangers, 3);
    reply("198.51.100.1:3478", txid, STUN_BINDING_SUCCESS); /* and the true one still counts */
    ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(a_refusal_is_told_and_a_late_answer_is_not)
{
    ck_assert_int_eq(ask(7, "198.51.100.1:3478"), NX_OK);
    reply("198.51.100.1:3478", sent_bytes + 8, STUN_BINDING_ERROR);
    ck_assert(answers == 1 && answer_err == NX_EPERM && answer_request == 7);
    ck_assert_int_eq(ask(8, "198.51.100.1:3478"), NX_OK);
    now_ns += STUN_PROBE_PENDING_MS * NS_PER_MS;
    reply("198.51.100.1:3478", sent_bytes + 8, STUN_BINDING_SUCCESS);
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(ask(9, "198.51.100.1:3478"), NX_OK);
    stun_probe_forget(&probe);
    reply("198.51.100.1:3478", sent_bytes + 8, STUN_BINDING_SUCCESS);
    ck_assert_uint_eq(answers, 1);
}
END_TEST

START_TEST(two_requests_to_one_server_are_told_apart)
{
    uint8_t first[STUN_TXID_BYTES];
    ask(1, "198.51.100.1:3478");
    memcpy(first, sent_bytes + 8, sizeof first);
    ask(2, "198.51.100.1:3478");
    ck_assert_mem_ne(first, sent_bytes + 8, sizeof first);
    reply("198.51.100.1:3478", sent_bytes + 8, STUN_BINDING_SUCCESS);
    ck_assert_uint_eq(answer_request, 2);
    reply("198.51.100.1:3478", first, STUN_BINDING_SUCCESS);
    ck_assert_uint_eq(answer_request, 1);
}
END_TEST

START_TEST(no_flood_is_sent)
{
    enum { SECONDS = 60, TRIES_A_SECOND = 1000 };
    unsigned refused = 0;
    for (unsigned i = 0; i < SECONDS * TRIES_A_SECOND; i++) {
        refused += ask(i + 1, "198.51.100.1:3478") == NX_ENOMEM;
        now_ns += NS_PER_S / TRIES_A_SECOND;
    }
    ck_assert_uint_eq(sent + refused, SECONDS * TRIES_A_SECOND);
    ck_assert_uint_le(sent, STUN_PROBE_BURST + SECONDS * STUN_PROBE_PER_SECOND);
    now_ns += 3600 * NS_PER_S; /* silence fills the bucket, but not beyond its brim */
    sent = 0;
    for (unsigned i = 0; i < 100; i++)
        ask(i + 1, "198.51.100.1:3478");
    ck_assert_uint_eq(sent, STUN_PROBE_BURST);
}
END_TEST

START_TEST(what_is_no_host_is_not_asked)
{
    static const char *const wrong[] = {"0.0.0.0:1",   "224.0.0.1:1",       "255.255.255.255:1",
                                        "[ff02::1]:1", "239.255.255.250:1", "[::]:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(ask(1, wrong[i]), NX_EINVAL);
    ck_assert_uint_eq(sent, 0);
    ck_assert_int_eq(ask(1, "127.0.0.1:3478"), NX_OK);
    ck_assert_int_eq(ask(1, "[2001:db8::1]:3478"), NX_OK);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, an_answer_finds_its_request);
    tcase_add_test(tcase, strangers_are_not_believed);
    tcase_add_test(tcase, a_refusal_is_told_and_a_late_answer_is_not);
    tcase_add_test(tcase, two_requests_to_one_server_are_told_apart);
    tcase_add_test(tcase, no_flood_is_sent);
    tcase_add_test(tcase, what_is_no_host_is_not_asked);
}

int main(void)
{
    return unit_run("stun_probe", fill);
}
