/* Addresses, endpoints and prefixes: accepted text with its canonical form, refused text, and the socket API.
 */
#include "common/err.h"
#include "common/netaddr.h"
#include "tests/unit/common/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text, *canonical;
} addresses[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"100.64.0.7", "100.64.0.7"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:DB8::000A", "2001:db8::a"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of equal runs */
    {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},      /* the longest run */
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* a single group stays */
    {"0:0:1:0:0:0:0:0", "0:0:1::"},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
    {"::ffff:c000:0201", "::ffff:192.0.2.1"},
    {"::192.0.2.1", "::c000:201"},
    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
};

static const char *const not_addresses[] = {
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "999.1.1.1",
    "256.0.0.1",
    "01.2.3.4",
    "1.2.3.04",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.",
    ".1.2.3.4",
    "1..2.3",
    "-1.2.3.4",
    "+1.2.3.4",
    "0x1.2.3.4",
    "1.2.3.4/8",
    "a.b.c.d",
    ":",
    ":::",
    "1::2::3",
    "12345::",
    "::g",
    "[::1]",
    "::1%eth0",
    "::1%1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::1.2.3",
    "::1.2.3.256",
    "::01.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "localhost",
    "1.2.3.4\n",
    "\xd9\xa1.2.3.4",
};

START_TEST(address_text)
{
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct netaddr addr, again;
        char text[NETADDR_TEXT_MAX];
        ck_assert_msg(netaddr_parse(addresses[i].text, &addr) == NX_OK, "refused %s", addresses[i].text);
        ck_assert_str_eq(netaddr_format(&addr, text), addresses[i].canonical);
        ck_assert_int_eq(netaddr_parse(text, &again), NX_OK);
        ck_assert(netaddr_equal(&addr, &again));
    }
    for (size_t i = 0; i < sizeof(not_addresses) / sizeof(not_addresses[0]); i++) {
        struct netaddr addr = {.family = NETADDR_V4, .bytes = {1, 2, 3, 4}};
        ck_assert_msg(netaddr_parse(not_addresses[i], &addr) == NX_EINVAL, "accepted %s", not_addresses[i]);
        ck_assert(addr.family == NETADDR_V4 && addr.bytes[3] == 4);
    }
    struct netaddr none = {0};
    char text[NETADDR_TEXT_MAX];
    ck_assert_str_eq(netaddr_format(&none, text), "none");
}
END_TEST

START_TEST(longest_texts_fit)
{
    struct netsock sock = {.addr = {.family = NETADDR_V6}, .port = 65535, .scope_id = UINT32_MAX};
    struct netprefix prefix = {.addr = {.family = NETADDR_V6}, .length = 128};
    char text[NETSOCK_TEXT_MAX], prefix_text[NETPREFIX_TEXT_MAX];
    memset(sock.addr.bytes, 0xff, 16);
    memset(prefix.addr.bytes, 0xff, 16);
    netsock_format(&sock, text);
    ck_assert_str_eq(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    netprefix_format(&prefix, prefix_text);
    ck_assert_str_eq(prefix_text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}
END_TEST

START_TEST(endpoint_text)
{
    static const char *const good[] = {"1.2.3.4:5", "[::1]:65535", "[fe80::1%3]:51820"};
    static const char *const bad[] = {
        "",
        "1.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:0",
        "1.2.3.4:65536",
        "1.2.3.4:+5",
        "1.2.3.4: 5",
        "1.2.3.4:5 ",
        "::1:5",
        "[::1]",
        "[::1]:",
        "[::1]5",
        "[::1:5",
        "::1]:5",
        "[1.2.3.4]:5",
        "[::1%]:5",
        "[::1%0]:5",
        "[::1%eth0]:5",
        "[::1%4294967296]:5",
        "[]:5",
        "[:5",
        ":5",
        "host:5",
        "1.2.3.4:5:6",
        "[[::1]]:5",
        "[::1%1%2]:5",
        "1.2.3.4%1:5",
        "1.2.3.4:0000000000000000000000065536",
        "1.2.3.4:800000",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct netsock sock;
        char text[NETSOCK_TEXT_MAX];
        ck_assert_msg(netsock_parse(good[i], &sock) == NX_OK, "refused %s", good[i]);
        ck_assert_str_eq(netsock_format(&sock, text), good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct netsock sock;
        ck_assert_msg(netsock_parse(bad[i], &sock) == NX_EINVAL, "accepted %s", bad[i]);
    }
    char huge[5000];
    struct netsock sock;
    memset(huge, '1', sizeof(huge));
    huge[sizeof(huge) - 1] = '\0';
    huge[4000] = ':';
    ck_assert_int_eq(netsock_parse(huge, &sock), NX_EINVAL);
}
END_TEST

START_TEST(prefix_text)
{
    struct netprefix prefix;
    char text[NETPREFIX_TEXT_MAX];
    ck_assert_int_eq(netprefix_parse("10.1.2.3/9", true, &prefix), NX_OK);
    ck_assert_str_eq(netprefix_format(&prefix, text), "10.0.0.0/9");
    ck_assert_int_eq(netprefix_parse("10.1.2.3/9", false, &prefix), NX_EINVAL);
    ck_assert_int_eq(netprefix_parse_own("10.1.2.3/9", &prefix), NX_OK);
    ck_assert_str_eq(netprefix_format(&prefix, text), "10.1.2.3/9");
    ck_assert_int_eq(netprefix_parse("10.1.2.3", false, &prefix), NX_OK);
    ck_assert_str_eq(netprefix_format(&prefix, text), "10.1.2.3/32");
    ck_assert_int_eq(netprefix_parse("200::7", false, &prefix), NX_OK);
    ck_assert_str_eq(netprefix_format(&prefix, text), "200::7/128");
    ck_assert_int_eq(netprefix_parse("0.0.0.0/0", false, &prefix), NX_OK);
    ck_assert_int_eq(netprefix_parse("::/0", false, &prefix), NX_OK);
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "::/129",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/+8",
                                      "10.0.0.0/ 8",
                                      "10.0.0.0/8 ",
                                      "10.0.0.0/8/8",
                                      "10.0.0.0/00008",
                                      "10.0.0.0/08",
                                      "10.0.0.0/4294967304",
                                      "10.0.0.0/a",
                                      "10.0.0.0/255.0.0.0",
                                      "10.0.0/8",
                                      "[::]/0",
                                      "::%1/64"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(netprefix_parse(bad[i], true, &prefix) == NX_EINVAL, "accepted %s", bad[i]);
}
END_TEST

/* Bit by bit, as the definition has it. */
static bool naive_contains(const struct netprefix *prefix, const struct netaddr *addr)
{
    for (unsigned i = 0; i < prefix->length; i++) {
        const unsigned shift = 7 - i % 8;
        if ((prefix->addr.bytes[i / 8] >> shift & 1) != (addr->bytes[i / 8] >> shift & 1))
            return false;
    }
    return prefix->addr.family == addr->family;
}

START_TEST(prefixes_contain_what_they_should)
{
    static const char *const members[] = {
        "10.0.0.0",   "10.127.255.255", "10.128.0.0",      "11.0.0.0", "0.0.0.0", "255.255.255.255",
        "2001:db8::", "2001:db8::1",    "2001:db8:8000::", "::",       "ffff::"};
    static const char *const bases[] = {"10.64.0.1", "0.0.0.0", "2001:db8:1::1", "::"};
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        const unsigned bits = strchr(bases[i], ':') != NULL ? 128 : 32;
        for (unsigned length = 0; length <= bits; length++) {
            char text[NETPREFIX_TEXT_MAX + 8];
            struct netprefix prefix;
            snprintf(text, sizeof(text), "%s/%u", bases[i], length);
            ck_assert_int_eq(netprefix_parse(text, true, &prefix), NX_OK);
            for (size_t j = 0; j < sizeof(members) / sizeof(members[0]); j++) {
                struct netaddr addr;
                ck_assert_int_eq(netaddr_parse(members[j], &addr), NX_OK);
                ck_assert_msg(netprefix_contains(&prefix, &addr) == naive_contains(&prefix, &addr),
                              "%s in %s", members[j], text);
            }
        }
    }
    const struct netprefix empty = {0};
    const struct netaddr none = {0};
    ck_assert(!netprefix_contains(&empty, &none));
}
END_TEST

START_TEST(socket_api)
{
    static const char *const socks[] = {"192.0.2.1:80", "[2001:db8::1]:443", "[fe80::1%7]:9"};
    struct sockaddr_storage storage;
    struct netsock sock, again;
    for (size_t i = 0; i < sizeof(socks) / sizeof(socks[0]); i++) {
        ck_assert_int_eq(netsock_parse(socks[i], &sock), NX_OK);
        const socklen_t length = netsock_to_sockaddr(&sock, &storage);
        ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&storage, length, &again), NX_OK);
        ck_assert(netsock_equal(&sock, &again));
        ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&storage, length - 1, &again), NX_EINVAL);
        ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&storage, 0, &again), NX_EINVAL);
    }
    sock = (struct netsock){0};
    ck_assert_uint_eq(netsock_to_sockaddr(&sock, &storage), 0);
    storage.ss_family = AF_UNIX;
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&storage, sizeof(storage), &again), NX_EINVAL);

    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(5), .sin6_scope_id = 4};
    ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:192.0.2.9", &mapped.sin6_addr), 1);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&mapped, sizeof(mapped), &again), NX_OK);
    ck_assert_int_eq(netsock_parse("192.0.2.9:5", &sock), NX_OK);
    ck_assert(netsock_equal(&sock, &again));
}
END_TEST

START_TEST(equality_and_unmapping)
{
    struct netaddr v4, v6, mapped;
    ck_assert_int_eq(netaddr_parse("0.0.0.0", &v4), NX_OK);
    ck_assert_int_eq(netaddr_parse("::", &v6), NX_OK);
    ck_assert(!netaddr_equal(&v4, &v6));
    ck_assert_int_eq(netaddr_parse("::ffff:0.0.0.0", &mapped), NX_OK);
    ck_assert(!netaddr_equal(&v4, &mapped));
    netaddr_unmap(&mapped);
    ck_assert(netaddr_equal(&v4, &mapped));
    const struct netaddr before = v6;
    netaddr_unmap(&v6);
    ck_assert(netaddr_equal(&before, &v6));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, address_text);
    tcase_add_test(tcase, longest_texts_fit);
    tcase_add_test(tcase, endpoint_text);
    tcase_add_test(tcase, prefix_text);
    tcase_add_test(tcase, prefixes_contain_what_they_should);
    tcase_add_test(tcase, socket_api);
    tcase_add_test(tcase, equality_and_unmapping);
}

int main(void)
{
    return unit_run("netaddr", fill);
}
