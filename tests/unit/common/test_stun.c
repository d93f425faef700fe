/* The STUN codec: what the RFC's own test vectors (RFC 5769) say, both address attributes in both families,
 * and answers from hostile servers: whatever is cut, stretched, foreign or doubled yields no address. */
#include "common/err.h"
#include "common/stun.h"
#include "tests/unit/common/stun_answer.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>

enum { MAPPED = 0x0001, XOR_MAPPED = 0x0020 };
static const uint8_t txid[STUN_TXID_BYTES] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                              0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

static struct netsock sock(const char *text)
{
    struct netsock out;
    ck_assert_int_eq(netsock_parse(text, &out), NX_OK);
    return out;
}

/* The bytes lie at the end of memory of exactly their size, so that a sanitizer sees a read beyond. */
static int answer_read(const struct stun_answer *answer, struct netsock *mapped)
{
    uint8_t *bytes = malloc(answer->length ? answer->length : 1);
    memcpy(bytes, answer->bytes, answer->length);
    const int err = stun_answer_read(bytes, answer->length, txid, mapped);
    free(bytes);
    return err;
}

static void expect(const struct stun_answer *answer, const char *address)
{
    struct netsock mapped = {0};
    const int err = answer_read(answer, &mapped);
    if (!address) {
        ck_assert_int_ne(err, NX_OK);
        ck_assert_msg(mapped.addr.family == NETADDR_NONE && mapped.port == 0, "written in spite of an error");
        return;
    }
    char text[NETSOCK_TEXT_MAX];
    ck_assert_int_eq(err, NX_OK);
    ck_assert_str_eq(netsock_format(&mapped, text), address);
}

START_TEST(a_request_is_a_bare_header)
{
    static const uint8_t head[8] = {0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42};
    uint8_t request[STUN_REQUEST_BYTES];
    stun_request_write(txid, request);
    ck_assert_mem_eq(request, head, sizeof head);
    ck_assert_mem_eq(request + 8, txid, sizeof txid);
    ck_assert(!stun_is_answer(request, sizeof request));
}
END_TEST

/* RFC 5769, sections 2.2 and 2.3: 192.0.2.1 port 32853 and 2001:db8:1234:5678:11:2233:4455:6677 port 32853,
 * with SOFTWARE, MESSAGE-INTEGRITY and FINGERPRINT around the address. */
START_TEST(the_published_vectors_are_read)
{
    static const uint8_t v4[] = {
        0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
        0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
        0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
        0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9,
        0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96};
    static const uint8_t v6[] = {
        0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
        0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63,
        0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa,
        0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14,
        0xa3, 0x82, 0x95, 0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2, 0x75,
        0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b, 0x4c};
    struct netsock mapped;
    char text[NETSOCK_TEXT_MAX];
    ck_assert_int_eq(stun_answer_read(v4, sizeof v4, txid, &mapped), NX_OK);
    ck_assert_str_eq(netsock_format(&mapped, text), "192.0.2.1:32853");
    ck_assert_int_eq(stun_answer_read(v6, sizeof v6, txid, &mapped), NX_OK);
    ck_assert_str_eq(netsock_format(&mapped, text), "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}
END_TEST

START_TEST(both_attributes_in_both_families)
{
    static const char *const addresses[] = {"198.51.100.9:45939", "[2001:db8::7]:1", "255.255.255.255:65535"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        const struct netsock wanted = sock(addresses[i]), other = sock("203.0.113.1:1");
        struct stun_answer answer;
        stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
        stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
        expect(&answer, addresses[i]);
        stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
        stun_answer_address(&answer, MAPPED, false, &wanted);
        expect(&answer, addresses[i]);
        /* Both, in either order, and a second one of a kind: the first XOR-MAPPED-ADDRESS counts. */
        stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
        stun_answer_address(&answer, MAPPED, false, &other);
        stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
        stun_answer_address(&answer, XOR_MAPPED, true, &other);
        expect(&answer, addresses[i]);
    }
    struct netsock mapped = sock("[::ffff:192.0.2.7]:9");
    struct stun_answer answer;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, XOR_MAPPED, true, &mapped);
    expect(&answer, "192.0.2.7:9");
}
END_TEST

START_TEST(answers_to_others_are_told_apart)
{
    const struct netsock wanted = sock("198.51.100.9:45939");
    struct stun_answer answer;
    struct netsock mapped;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
    answer.bytes[19] ^= 1;
    ck_assert_int_eq(answer_read(&answer, &mapped), NX_ENOENT);
    stun_answer_begin(&answer, STUN_BINDING_ERROR, txid);
    stun_answer_attribute(&answer, 0x0009, "\0\0\4\24", 4, 4);
    ck_assert_int_eq(answer_read(&answer, &mapped), NX_EPERM);
    static const uint16_t types[] = {
        STUN_BINDING_REQUEST, STUN_BINDING_INDICATION, 0x0100, 0x0102, 0x4101, 0x0201};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        stun_answer_begin(&answer, types[i], txid);
        stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
        ck_assert_int_eq(answer_read(&answer, &mapped), NX_EPROTO);
    }
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
    answer.bytes[5] ^= 1;
    ck_assert_int_eq(answer_read(&answer, &mapped), NX_EPROTO);
}
END_TEST

START_TEST(no_wireguard_message_is_taken_for_an_answer)
{
    uint8_t message[148];
    memset(message, 0, sizeof message);
    memcpy(message + 4, "\x21\x12\xa4\x42", 4); /* a sender's index that looks like the cookie */
    for (unsigned type = 1; type <= 4; type++) {
        message[0] = (uint8_t)type;
        ck_assert(!stun_is_answer(message, sizeof message));
    }
}
END_TEST

START_TEST(every_cut_and_every_wrong_length_is_refused)
{
    const struct netsock wanted = sock("[2001:db8::7]:77");
    struct stun_answer answer, hostile;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_attribute(&answer, 0x8022, "nexd", 4, 4);
    stun_answer_address(&answer, XOR_MAPPED, true, &wanted);
    expect(&answer, "[2001:db8::7]:77");
    for (size_t length = 0; length < answer.length; length++) {
        hostile = answer;
        hostile.length = length;
        expect(&hostile, NULL);
        if (length < STUN_HEADER_BYTES) /* the header's length agrees with the cut */
            continue;
        hostile.bytes[2] = (uint8_t)((length - 20) >> 8);
        hostile.bytes[3] = (uint8_t)(length - 20);
        expect(&hostile, NULL);
    }
    hostile = answer;
    hostile.length += 4;
    expect(&hostile, NULL);
    hostile = answer;
    hostile.bytes[2] = 0xff;
    expect(&hostile, NULL);
    static const size_t attribute_lengths[] = {22, 30}; /* of SOFTWARE and of the address */
    for (size_t i = 0; i < 2; i++) {
        for (unsigned value = 0; value < 0x10000; value += 0x101) {
            hostile = answer;
            hostile.bytes[attribute_lengths[i]] = (uint8_t)(value >> 8);
            hostile.bytes[attribute_lengths[i] + 1] = (uint8_t)value;
            struct netsock mapped;
            (void)answer_read(&hostile, &mapped); /* nothing read outside, whatever it says */
        }
    }
}
END_TEST

START_TEST(addresses_that_cannot_be_ours_are_refused)
{
    struct stun_answer answer;
    static const char *const hopeless[] = {"0.0.0.0:7", "[::]:7"};
    for (size_t i = 0; i < 2; i++) {
        const struct netsock none = sock(hopeless[i]);
        stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
        stun_answer_address(&answer, XOR_MAPPED, true, &none);
        expect(&answer, NULL);
    }
    struct netsock portless = sock("192.0.2.1:7");
    portless.port = 0;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, XOR_MAPPED, true, &portless);
    expect(&answer, NULL);
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_attribute(&answer, XOR_MAPPED, "\0\3\1\2abcd", 8, 8); /* no such family */
    expect(&answer, NULL);
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid); /* an IPv6 address of four bytes */
    stun_answer_attribute(&answer, XOR_MAPPED, "\0\2\1\2abcd", 8, 8);
    expect(&answer, NULL);
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    expect(&answer, NULL);
    const struct netsock good = sock("192.0.2.1:7");
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_attribute(&answer, 0x7abc, "must", 4, 4); /* must be understood, and is not */
    stun_answer_address(&answer, XOR_MAPPED, true, &good);
    expect(&answer, NULL);
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS,
                      txid); /* a broken XOR form is not made good by a plain one */
    stun_answer_attribute(&answer, XOR_MAPPED, "\0\1", 2, 2);
    stun_answer_address(&answer, MAPPED, false, &good);
    expect(&answer, NULL);
}
END_TEST

START_TEST(an_old_servers_answer_is_read)
{
    const struct netsock good = sock("192.0.2.1:7"), server = sock("198.51.100.1:3478");
    struct stun_answer answer;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, MAPPED, false, &good);
    stun_answer_address(&answer, 0x0004, false, &server);
    stun_answer_address(&answer, 0x0005, false, &server);
    expect(&answer, "192.0.2.1:7");
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, a_request_is_a_bare_header);
    tcase_add_test(tcase, the_published_vectors_are_read);
    tcase_add_test(tcase, both_attributes_in_both_families);
    tcase_add_test(tcase, answers_to_others_are_told_apart);
    tcase_add_test(tcase, no_wireguard_message_is_taken_for_an_answer);
    tcase_add_test(tcase, every_cut_and_every_wrong_length_is_refused);
    tcase_add_test(tcase, addresses_that_cannot_be_ours_are_refused);
    tcase_add_test(tcase, an_old_servers_answer_is_read);
}

int main(void)
{
    return unit_run("stun", fill);
}
