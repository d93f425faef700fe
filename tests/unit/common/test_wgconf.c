/* Configurations given as text: what is read, what is merged, what is refused where, and that no message ever
 * shows a key. */
#include "common/err.h"
#include "common/wgconf.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/common/wgconf_samples.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static char error[WGCONF_ERROR_MAX], warnings[8192];
static unsigned warning_count;
static struct wgconf conf;

static void collect(void *arg, const char *message)
{
    (void)arg;
    warning_count++;
    if (strlen(warnings) + strlen(message) + 2 < sizeof(warnings)) {
        strcat(warnings, message);
        strcat(warnings, "\n");
    }
}

static int parse_bytes(const char *text, size_t length)
{
    warnings[0] = '\0';
    warning_count = 0;
    return wgconf_parse("wg0.conf", text, length, &conf, collect, NULL, error);
}

static void parse_ok(const char *text, unsigned expected_warnings)
{
    ck_assert_msg(parse_bytes(text, strlen(text)) == NX_OK, "%s", error);
    ck_assert_msg(warning_count == expected_warnings, "%u warnings:\n%s", warning_count, warnings);
}

static void assert_key(const uint8_t *key, const char *text)
{
    char shown[KEY_TEXT_MAX];
    ck_assert_str_eq(key_format(key, shown), text);
}

static void assert_prefixes(const struct netprefix *prefixes, size_t count, const char *expected)
{
    char all[512] = "", one[NETPREFIX_TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            strcat(all, " ");
        strcat(all, netprefix_format(&prefixes[i], one));
    }
    ck_assert_str_eq(all, expected);
}

START_TEST(reads_a_usual_file)
{
    parse_ok("# home\r\n[Interface]\r\nPrivateKey = " OWN_PRIVATE "\r\nAddress = 100.64.0.1/10, 200::1/8\r\n"
             "Address=10.0.0.1\r\nListenPort = 51820 # fixed\r\nMTU = 1380\r\n\r\n"
             "[Peer]\r\nPublicKey = " PEER_A "\r\nPresharedKey = " SHARED "\r\n"
             "AllowedIPs = 100.64.0.7/32,200::7/128\r\nAllowedIPs = 10.1.2.3/16\r\n"
             "Endpoint = [2001:db8::1]:51820\r\nPersistentKeepalive = 25\r\n"
             "[Peer]\r\nPublicKey = " PEER_B
             "\r\nEndpoint = vpn.example.org:443\r\nPersistentKeepalive = off",
             0);
    assert_key(conf.private_key, OWN_PRIVATE);
    assert_prefixes(conf.addresses, conf.address_count, "100.64.0.1/10 200::1/8 10.0.0.1/32");
    ck_assert_uint_eq(conf.listen_port, 51820);
    ck_assert_uint_eq(conf.mtu, 1380);
    ck_assert_uint_eq(conf.peer_count, 2);
    const struct wgconf_peer *const a = &conf.peers[0], *const b = &conf.peers[1];
    assert_key(a->public_key, PEER_A);
    assert_key(a->preshared_key, SHARED);
    ck_assert(a->has_preshared_key && !b->has_preshared_key);
    ck_assert_str_eq(a->endpoint_host, "2001:db8::1");
    ck_assert_uint_eq(a->endpoint_port, 51820);
    ck_assert_uint_eq(a->keepalive_s, 25);
    ck_assert_uint_eq(a->line, 9);
    assert_prefixes(a->allowed, a->allowed_count, "100.64.0.7/32 200::7/128 10.1.0.0/16");
    assert_key(b->public_key, PEER_B);
    ck_assert_str_eq(b->endpoint_host, "vpn.example.org");
    ck_assert_uint_eq(b->endpoint_port, 443);
    ck_assert_uint_eq(b->keepalive_s, 0);
    ck_assert_uint_eq(b->allowed_count, 0);
    wgconf_free(&conf);
    ck_assert_ptr_eq(conf.peers, NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(case_blanks_and_repeated_interfaces)
{
    parse_ok("\xef\xbb\xbf  [INTERFACE]\t\n\tprivatekey\t=" OWN_PRIVATE "\n[peer]\npublickey=" PEER_A
             "\nallowedips =\n[interface]\nADDRESS = 10.0.0.1 , 10.0.0.2\n mtu=9000#x",
             0);
    assert_prefixes(conf.addresses, conf.address_count, "10.0.0.1/32 10.0.0.2/32");
    ck_assert_uint_eq(conf.mtu, 9000);
    ck_assert_uint_eq(conf.listen_port, 0);
    ck_assert_uint_eq(conf.peer_count, 1);
    ck_assert_uint_eq(conf.peers[0].allowed_count, 0);
    wgconf_free(&conf);
}
END_TEST

START_TEST(keys_without_an_interface_are_named_once)
{
    parse_ok(INTERFACE
             "DNS = 1.1.1.1\nDNS = 8.8.8.8\nTable = off\nPostUp = iptables -A X # " OWN_PRIVATE
             "\nPostUp = x\nSaveConfig = true\nFwMark = 0x1\nPreUp=a\nPreDown=b\nPostDown=c\n" PEER(PEER_A),
             8);
    ck_assert_ptr_ne(strstr(warnings, "wg0.conf:4: DNS is not used"), NULL);
    ck_assert_ptr_ne(strstr(warnings, "wg0.conf:7: PostUp is not used"), NULL);
    ck_assert_ptr_eq(strstr(warnings, "iptables"), NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(later_values_win_with_a_warning)
{
    parse_ok(INTERFACE "ListenPort = 1\nListenPort = 2\n" PEER(PEER_A) "Endpoint=a:1\nEndpoint=b:2\n", 2);
    ck_assert_uint_eq(conf.listen_port, 2);
    ck_assert_str_eq(conf.peers[0].endpoint_host, "b");
    ck_assert_ptr_ne(strstr(warnings, "wg0.conf:5: ListenPort is given again"), NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(sections_of_one_peer_are_merged_as_wg_does)
{
    parse_ok(
        INTERFACE PEER(PEER_A) "AllowedIPs=10.0.0.1\nEndpoint=a:1\nPresharedKey=" SHARED
                               "\nPersistentKeepalive=15\n" PEER(PEER_B) "AllowedIPs=10.0.0.2\n" PEER(
                                   PEER_A) "AllowedIPs=10.0.0.3\n" PEER(PEER_A) "Endpoint=c:3\nAllowedIPs=10."
                                                                                "0.0.4,10.0.0.5\n",
        2);
    ck_assert_uint_eq(conf.peer_count, 2);
    const struct wgconf_peer *const a = &conf.peers[0];
    assert_key(a->public_key, PEER_A);
    assert_key(a->preshared_key, SHARED);
    ck_assert_str_eq(a->endpoint_host, "c");
    ck_assert_uint_eq(a->endpoint_port, 3);
    ck_assert_uint_eq(a->keepalive_s, 15);
    assert_prefixes(a->allowed, a->allowed_count, "10.0.0.4/32 10.0.0.5/32");
    assert_key(conf.peers[1].public_key, PEER_B);
    assert_prefixes(conf.peers[1].allowed, conf.peers[1].allowed_count, "10.0.0.2/32");
    ck_assert_ptr_ne(strstr(warnings, "wg0.conf:13: this [Peer] has the PublicKey of the one in line 4"),
                     NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(ourselves_are_left_out)
{
    parse_ok(INTERFACE PEER(PEER_A) PEER(OWN_PUBLIC) "AllowedIPs=10.0.0.1\n" PEER(PEER_B) PEER(OWN_PUBLIC),
             2);
    ck_assert_uint_eq(conf.peer_count, 2);
    assert_key(conf.peers[1].public_key, PEER_B);
    wgconf_free(&conf);
    parse_ok(INTERFACE PEER(OWN_PUBLIC), 2);
    ck_assert_uint_eq(conf.peer_count, 0);
    ck_assert_ptr_ne(strstr(warnings, "no [Peer]"), NULL);
    wgconf_free(&conf);
}
END_TEST

START_TEST(an_all_zero_preshared_key_is_none)
{
    parse_ok(INTERFACE PEER(PEER_A) "PresharedKey=" ZERO_KEY, 0);
    ck_assert(!conf.peers[0].has_preshared_key);
    wgconf_free(&conf);
}
END_TEST

/* The configuration, and words that its message must have; all begin with the file, most with the line. */
static const struct {
    const char *text, *named;
} refused[] = {
    {"", "wg0.conf: no PrivateKey"},
    {"# nothing\n\n", "no PrivateKey"},
    {"[Interface]\nAddress = 10.0.0.1", "no PrivateKey"},
    {"[Interface]\nPrivateKey = " OWN_PRIVATE, "no Address"},
    {"PrivateKey = " OWN_PRIVATE, "wg0.conf:1: \"PrivateKey\" stands before any section"},
    {OWN_PRIVATE, "wg0.conf:1: (not shown, it may be a key) stands before"},
    {"[Interface]\n" OWN_PRIVATE "\n", "wg0.conf:2: unknown key (not shown"},
    {"[Interface\nPrivateKey", "unknown section \"[Interface\""},
    {"[Interfaces]", "unknown section"},
    {"[Peer] x", "unknown section"},
    {"[" OWN_PRIVATE "]", "unknown section (not shown"},
    {"[Interface]\nPrivateKey " OWN_PRIVATE, "PrivateKey"},
    {"[Interface]\nPrivateKey: abc", "wg0.conf:2: expected \"Key = value\""},
    {"[Interface]\n= x", "expected \"Key = value\""},
    {"[Interface]\nPrivateKey =", "PrivateKey: the value is missing"},
    {"[Interface]\nPrivateKey = abc", "44 characters"},
    {"[Interface]\nPrivateKey = A" OWN_PRIVATE, "44 characters"},
    {"[Interface]\nPrivateKey = " OWN_PRIVATE " " OWN_PRIVATE, "44 characters"},
    {"[Interface]\nPrivateKey = \"" OWN_PRIVATE "\"", "44 characters"},
    {"[Interface]\nPrivateKey = " ZERO_KEY, "all zero"},
    {"[Interface]\nPrivatKey = " OWN_PRIVATE,
     "unknown key \"PrivatKey\" in [Interface]; did you mean PrivateKey?"},
    {"[Interface]\nJc = 4", "unknown key \"Jc\" in [Interface]; keys there are"},
    {"[Interface]\nPublicKey = " PEER_A, "PublicKey belongs into [Peer], not [Interface]"},
    {INTERFACE PEER(PEER_A) "Address = 10.0.0.1", "Address belongs into [Interface], not [Peer]"},
    {INTERFACE PEER(PEER_A) "DNS = 10.0.0.1", "unknown key \"DNS\" in [Peer]"},
    {INTERFACE "Address =", "wg0.conf:4: Address: the value is missing"},
    {INTERFACE "Address = 10.0.0.2,", "Address: an empty element"},
    {INTERFACE "Address = ,10.0.0.2", "Address: an empty element"},
    {INTERFACE "Address = 10.0.0.256", "\"10.0.0.256\""},
    {INTERFACE "Address = 10.0.0.2/33", "\"10.0.0.2/33\""},
    {INTERFACE "Address = 10.0.0.2 10.0.0.3", "\"10.0.0.2 10.0.0.3\""},
    {INTERFACE "Address = host", "\"host\""},
    {INTERFACE "Address = " OWN_PRIVATE, "(not shown"},
    {INTERFACE "Address = 0.0.0.0/0", "cannot have this address"},
    {INTERFACE "Address = 224.0.0.1", "cannot have this address"},
    {INTERFACE "Address = ::ffff:10.0.0.1", "cannot have this address"},
    {INTERFACE "Address = 100.64.0.1/24", "given twice: \"100.64.0.1\""},
    {INTERFACE
     "Address=10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.9,10.0.0.10,"
     "10.0.0.11,10.0.0.12,10.0.0.13,10.0.0.14,10.0.0.15,10.0.0.16",
     "more than 16"},
    {INTERFACE "ListenPort = 65536", "\"65536\""},
    {INTERFACE "ListenPort = -1", "\"-1\""},
    {INTERFACE "ListenPort = 18446744073709551617", "0 to 65535"},
    {INTERFACE "ListenPort = 1 2", "\"1 2\""},
    {INTERFACE "MTU = 1279", "1280 to 9000"},
    {INTERFACE "MTU = 9001", "1280 to 9000"},
    {INTERFACE "MTU = 0x500", "1280 to 9000"},
    {INTERFACE "[Peer]\nAllowedIPs = 10.0.0.1", "wg0.conf:4: this [Peer] has no PublicKey"},
    {INTERFACE PEER(PEER_A) "[Peer]", "wg0.conf:6: this [Peer] has no PublicKey"},
    {INTERFACE PEER(ZERO_KEY), "all zero"},
    {INTERFACE PEER("short"), "wg0.conf:5: PublicKey"},
    {INTERFACE PEER(PEER_A) "PresharedKey = x" SHARED, "PresharedKey"},
    {INTERFACE PEER(PEER_A) "AllowedIPs = 10.0.0.0/8,,", "empty element"},
    {INTERFACE PEER(PEER_A) "AllowedIPs = 10.0.0.0/08x", "\"10.0.0.0/08x\""},
    {INTERFACE PEER(PEER_A) "AllowedIPs = 10.0.0.0/255.0.0.0", "AllowedIPs"},
    {INTERFACE PEER(PEER_A) "AllowedIPs = any", "\"any\""},
    {INTERFACE PEER(PEER_A) "Endpoint = vpn.example.org", "the port is missing"},
    {INTERFACE PEER(PEER_A) "Endpoint = vpn.example.org:", "port must be a number"},
    {INTERFACE PEER(PEER_A) "Endpoint = vpn.example.org:0", "port must be a number"},
    {INTERFACE PEER(PEER_A) "Endpoint = vpn.example.org:wireguard", "port must be a number"},
    {INTERFACE PEER(PEER_A) "Endpoint = :51820", "host is missing"},
    {INTERFACE PEER(PEER_A) "Endpoint = 2001:db8::1:51820", "brackets"},
    {INTERFACE PEER(PEER_A) "Endpoint = [2001:db8::1]51820", "bracket"},
    {INTERFACE PEER(PEER_A) "Endpoint = 999.1.1.1:51820", "not an IPv4 address"},
    {INTERFACE PEER(PEER_A) "Endpoint = 0.0.0.0:51820", "unspecified"},
    {INTERFACE PEER(PEER_A) "Endpoint = a b:51820", "\"a b\""},
    {INTERFACE PEER(PEER_A) "Endpoint = " OWN_PRIVATE ":1", "(not shown"},
    {INTERFACE PEER(PEER_A) "PersistentKeepalive = 65536", "0 to 65535"},
    {INTERFACE PEER(PEER_A) "PersistentKeepalive = on", "\"on\""},
    {INTERFACE PEER(PEER_A) "PersistentKeepalive = 25s", "\"25s\""},
    {INTERFACE "\x1b[2J\xff = 1", "\\x1b[2J\\xff"},
};

START_TEST(refuses_with_file_and_line)
{
    const char *const text = refused[_i].text;
    ck_assert_msg(parse_bytes(text, strlen(text)) == NX_EINVAL, "accepted:\n%s", text);
    ck_assert_msg(strstr(error, refused[_i].named) != NULL, "no \"%s\" in: %s", refused[_i].named, error);
    ck_assert(strncmp(error, "wg0.conf:", 9) == 0);
    ck_assert_uint_lt(strlen(error), WGCONF_ERROR_MAX);
    for (const char *at = error; *at != '\0'; at++)
        ck_assert((unsigned char)*at >= 0x20);
    static const char *const secrets[] = {OWN_PRIVATE, SHARED};
    for (size_t i = 0; i < 2; i++) {
        char part[13] = ""; /* not even a quarter of it */
        memcpy(part, secrets[i] + 4, 12);
        ck_assert_msg(strstr(error, part) == NULL && strstr(warnings, part) == NULL, "a key in: %s", error);
    }
    ck_assert_ptr_eq(conf.peers, NULL);
    ck_assert_ptr_eq(conf.addresses, NULL);
    for (size_t i = 0; i < KEY_BYTES; i++)
        ck_assert_uint_eq(conf.private_key[i], 0);
}
END_TEST

/* Those that give a shared secret of zero with every private key, in each of their encodings. */
START_TEST(a_public_key_that_nobody_can_have_is_refused)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    static const uint8_t scalar[KEY_BYTES] = {7};
    uint8_t key[KEY_BYTES], shared[KEY_BYTES];
    char shown[KEY_TEXT_MAX], text[512];
    ck_assert_int_eq(sodium_hex2bin(key, sizeof(key), points[_i / 2], 2 * sizeof(key), NULL, NULL, NULL), 0);
    key[KEY_BYTES - 1] |= (uint8_t)(_i % 2 << 7);
    ck_assert_int_ne(crypto_scalarmult(shared, scalar, key), 0);
    snprintf(text, sizeof(text), INTERFACE PEER("%s"), key_format(key, shown));
    ck_assert_int_eq(parse_bytes(text, strlen(text)), NX_EINVAL);
    ck_assert_msg(strstr(error, "wg0.conf:5: PublicKey: ") == error, "%s", error);
    key[3] ^= 0x10; /* and its neighbour is a key like any other */
    ck_assert_int_eq(crypto_scalarmult(shared, scalar, key), 0);
    snprintf(text, sizeof(text), INTERFACE PEER("%s"), key_format(key, shown));
    parse_ok(text, 0);
    wgconf_free(&conf);
}
END_TEST

START_TEST(a_nul_byte_is_no_text)
{
    static const char text[] = INTERFACE "ListenPort = 51\0"
                                         "820\n";
    ck_assert_int_eq(parse_bytes(text, sizeof(text) - 1), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "wg0.conf:4: a NUL byte"), NULL);
    static const char hidden[] = INTERFACE "# \0\n";
    ck_assert_int_eq(parse_bytes(hidden, sizeof(hidden) - 1), NX_EINVAL);
}
END_TEST

START_TEST(every_truncation_is_safe)
{
    static const char text[] =
        INTERFACE PEER(PEER_A) "PresharedKey=" SHARED "\nAllowedIPs=10.0.0.1,::/0\n"
                               "Endpoint=[fe80::1%eth0]:51820\nPersistentKeepalive=off\n";
    for (size_t length = 0; length < sizeof(text); length++) {
        char *const exact = malloc(length + (length == 0)); /* so that a read beyond the end is noticed */
        memcpy(exact, text, length);
        const int err = parse_bytes(exact, length);
        free(exact);
        ck_assert(err == NX_OK || (err == NX_EINVAL && error[0] != '\0'));
        wgconf_free(&conf);
    }
    parse_ok(text, 0);
    ck_assert_str_eq(conf.peers[0].endpoint_host, "fe80::1%eth0");
    wgconf_free(&conf);
}
END_TEST

/* Ten thousand peers of ten lines each, each key used by two sections. */
START_TEST(a_hundred_thousand_lines)
{
    enum { PEERS = 10000, LINES = 10 };
    char *const text = malloc(sizeof(INTERFACE) + (size_t)PEERS * 400);
    size_t at = sizeof(INTERFACE) - 1;
    memcpy(text, INTERFACE, at);
    for (unsigned i = 0; i < PEERS; i++) {
        uint8_t key[KEY_BYTES] = {[0] = 9, [1] = (uint8_t)(i / 2), [2] = (uint8_t)(i / 512)};
        char shown[KEY_TEXT_MAX];
        at += (size_t)sprintf(text + at, "[Peer]\nPublicKey = %s\n", key_format(key, shown));
        for (unsigned j = 2; j < LINES; j++)
            at += (size_t)sprintf(text + at, "AllowedIPs = 10.%u.%u.%u/32\n", i / 256, i % 256, j);
    }
    ck_assert_msg(parse_bytes(text, at) == NX_OK, "%s", error);
    ck_assert_uint_eq(conf.peer_count, PEERS / 2);
    ck_assert_uint_eq(warning_count, PEERS / 2);
    for (size_t i = 0; i < conf.peer_count; i++) {
        ck_assert_uint_eq(conf.peers[i].allowed_count, LINES - 2);
        ck_assert_uint_eq(conf.peers[i].line, 4 + 2 * LINES * i);
    }
    wgconf_free(&conf);
    free(text);
}
END_TEST

START_TEST(the_name_of_the_file_is_made_harmless)
{
    char name[1000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memcpy(name, "a\nb\x1b", 4);
    ck_assert_int_eq(wgconf_parse(name, "x", 1, &conf, NULL, NULL, error), NX_EINVAL);
    ck_assert(strncmp(error, "a\\nb\\x1bnnn", 10) == 0);
    ck_assert_ptr_ne(strstr(error, "nnn...:1: expected"), NULL);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, reads_a_usual_file);
    tcase_add_test(tcase, case_blanks_and_repeated_interfaces);
    tcase_add_test(tcase, keys_without_an_interface_are_named_once);
    tcase_add_test(tcase, later_values_win_with_a_warning);
    tcase_add_test(tcase, sections_of_one_peer_are_merged_as_wg_does);
    tcase_add_test(tcase, ourselves_are_left_out);
    tcase_add_test(tcase, an_all_zero_preshared_key_is_none);
    tcase_add_loop_test(tcase, refuses_with_file_and_line, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(tcase, a_public_key_that_nobody_can_have_is_refused, 0, 14);
    tcase_add_test(tcase, a_nul_byte_is_no_text);
    tcase_add_test(tcase, every_truncation_is_safe);
    tcase_add_test(tcase, a_hundred_thousand_lines);
    tcase_add_test(tcase, the_name_of_the_file_is_made_harmless);
}

int main(void)
{
    return unit_run("wgconf", fill);
}
