/* Rules: what is accepted and its canonical form, what is refused and which part the message names. */
#include "common/err.h"
#include "common/rule.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *text, *canonical;
} accepted[] = {
    {"tcp:8080:127.0.0.1:80", "tcp:8080:127.0.0.1:80"},
    {"TCP:80:1.2.3.4:90", "tcp:80:1.2.3.4:90"},
    {"Udp:53:100.64.0.7:53", "udp:53:100.64.0.7:53"},
    {"tcp:80:[::1]:90", "tcp:80:[::1]:90"},
    {"tcp:80:[fe80::1%eth0]:90", "tcp:80:[fe80::1%eth0]:90"},
    {"tcp:80:[fe80::1%3]:90", "tcp:80:[fe80::1%3]:90"},
    {"tcp:80:host.name:90", "tcp:80:host.name:90"},
    {"tcp:80:host.name.:90", "tcp:80:host.name.:90"},
    {"tcp:+80:h:90", "tcp:80:h:90"},
    {"tcp:080:[h]:0090", "tcp:80:h:90"},
    {"tcp:0000000000000000000000080:[1.2.3.4]:+00090", "tcp:80:1.2.3.4:90"},
    {"tcp:1:h:65535", "tcp:1:h:65535"},
    {"tcp:65535:[::ffff:192.0.2.1]:1", "tcp:65535:[::ffff:192.0.2.1]:1"},
};

/* The rule, and words that its message must have. */
static const struct {
    const char *text, *named;
} refused[] = {
    {"", "empty"},
    {"tcp", "four parts"},
    {"tcp:80", "four parts"},
    {"tcp:80:h", "four parts"},
    {":::", "protocol"},
    {":80:h:90", "protocol"},
    {"sctp:1:h:2", "protocol must be tcp or udp, not \"sctp\""},
    {"tcpa:1:h:2", "\"tcpa\""},
    {" tcp:1:h:2", "\" tcp\""},
    {"tcp\n:1:h:2", "\"tcp\\n\""},
    {"tcp::h:90", "listen port is missing"},
    {"tcp: 80:h:90", "listen port"},
    {"tcp:80 :h:90", "\"80 \""},
    {"tcp:0:h:1", "listen port"},
    {"tcp:65536:h:1", "\"65536\""},
    {"tcp:90000:h:1", "\"90000\""},
    {"tcp:18446744073709551696:h:1", "listen port"},
    {"tcp:-1:h:1", "\"-1\""},
    {"tcp:++1:h:1", "\"++1\""},
    {"tcp:+:h:1", "\"+\""},
    {"tcp:1-2:h:3", "\"1-2\""},
    {"tcp:http:h:3", "\"http\""},
    {"tcp:0x50:h:3", "\"0x50\""},
    {"tcp:80:h:http", "destination port"},
    {"tcp:80:h:0", "destination port"},
    {"tcp:80:h:65536", "destination port"},
    {"tcp:80:h:", "destination port is missing"},
    {"tcp:80:h:90:", "too many colons"},
    {"tcp:80:h:90 ", "\"90 \""},
    {"tcp:80:[::1]:90:1", "\"90:1\""},
    {"tcp:80::90", "host is missing"},
    {"tcp:80:[]:90", "host is missing"},
    {"tcp:80:::1:90", "brackets"},
    {"tcp:80:[::1]90", "bracket"},
    {"tcp:80:[::1]", "bracket"},
    {"tcp:80:[::1:90", "never closed"},
    {"tcp:80:::1]:90", "brackets"},
    {"tcp:80:[[::1]]:90", "bracket"},
    {"tcp:80:h]:90", "\"h]\""},
    {"tcp:80:a b:90", "\"a b\""},
    {"tcp:80: h:90", "\" h\""},
    {"tcp:80:h :90", "\"h \""},
    {"tcp:80:a,b:90", "\"a,b\""},
    {"tcp:80:a/b:90", "\"a/b\""},
    {"tcp:80:-h:90", "\"-h\""},
    {"tcp:80:h..x:90", "\"h..x\""},
    {"tcp:80:b\xc3\xbc"
     "cher:90",
     "host name"},
    {"tcp:80:\xff\xfe:90", "\\xff\\xfe"},
    {"tcp:80:999.1.1.1:9", "not an IPv4 address: \"999.1.1.1\""},
    {"tcp:80:1.2.3:9", "not an IPv4 address"},
    {"tcp:80:1.2.3.4.5:9", "not an IPv4 address"},
    {"tcp:80:01.2.3.4:9", "not an IPv4 address"},
    {"tcp:80:80:9", "not an IPv4 address"},
    {"tcp:80:host.1:9", "host name"},
    {"tcp:80:[1::2::3]:9", "not an IPv6 address"},
    {"tcp:80:[12345::]:9", "not an IPv6 address"},
    {"tcp:80:[::1%]:9", "%"},
    {"tcp:80:[fe80::1%]:9", "interface"},
    {"tcp:80:[fe80::1%a b]:9", "interface"},
    {"tcp:80:[fe80::1%eth0%1]:9", "interface"},
    {"tcp:80:[fe80::1%sixteen-letters-]:9", "interface"},
    {"tcp:80:[fe80::1%../x]:9", "interface"},
    {"tcp:80:[2001:db8::1%eth0]:9", "zone"},
    {"tcp:80:1.2.3.4%eth0:9", "zone"},
    {"tcp:80:host%eth0:9", "not an IPv4 address"},
    {"tcp:80:0.0.0.0:9", "unspecified"},
    {"tcp:80:[::]:9", "unspecified"},
    {"tcp:80:[::ffff:0.0.0.0]:9", "unspecified"},
    {"tcp:80:224.0.0.1:9", "multicast"},
    {"udp:80:[ff02::1]:9", "multicast"},
    {"tcp:80:255.255.255.255:9", "reserved"},
    {"tcp:80:0.1.2.3:9", "reserved"},
};

static void check_one_harmless_line(const char *error)
{
    const size_t length = strnlen(error, RULE_ERROR_MAX);
    ck_assert_uint_gt(length, 0);
    ck_assert_uint_lt(length, RULE_ERROR_MAX);
    for (size_t i = 0; i < length; i++)
        ck_assert_msg((unsigned char)error[i] >= 0x20 && error[i] != 0x7f, "control character in: %s", error);
    ck_assert_ptr_ne(strstr(error, "; example: "), NULL);
}

START_TEST(accepts)
{
    for (int direction = RULE_INGRESS; direction <= RULE_EGRESS; direction++) {
        struct rule rule, again;
        char error[RULE_ERROR_MAX] = "", text[RULE_TEXT_MAX];
        if (direction == RULE_EGRESS && strchr(accepted[_i].text, '%') != NULL)
            continue; /* below */
        ck_assert_msg(rule_parse((enum rule_direction)direction, accepted[_i].text, &rule, error) == NX_OK,
                      "%s", error);
        ck_assert_int_eq((int)rule.direction, direction);
        ck_assert_str_eq(rule_format(&rule, text), accepted[_i].canonical);
        ck_assert_int_eq(rule_parse((enum rule_direction)direction, text, &again, error), NX_OK);
        ck_assert(rule_equal(&rule, &again));
    }
}
END_TEST

START_TEST(refuses_and_names_the_part)
{
    struct rule rule = {.listen_port = 4711};
    char error[RULE_ERROR_MAX] = "";
    ck_assert_msg(rule_parse(RULE_INGRESS, refused[_i].text, &rule, error) == NX_EINVAL, "accepted %s",
                  refused[_i].text);
    ck_assert_msg(strstr(error, refused[_i].named) != NULL, "no \"%s\" in: %s", refused[_i].named, error);
    ck_assert_msg(strncmp(error, "ingress rule \"", 14) == 0, "%s", error);
    check_one_harmless_line(error);
    ck_assert_uint_eq(rule.listen_port, 4711);
}
END_TEST

START_TEST(a_destination_in_the_mesh_has_no_zone)
{
    struct rule rule;
    char error[RULE_ERROR_MAX] = "";
    ck_assert_int_eq(rule_parse(RULE_EGRESS, "tcp:80:[fe80::1%eth0]:90", &rule, error), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "has no zone: \"fe80::1%eth0\""), NULL);
    check_one_harmless_line(error);
}
END_TEST

START_TEST(examples_are_themselves_right)
{
    static const char *const wrong[] = {"tcp:0:h:1", "udp:0:h:1"};
    for (int direction = RULE_INGRESS; direction <= RULE_EGRESS; direction++) {
        for (size_t i = 0; i < 2; i++) {
            struct rule rule;
            char error[RULE_ERROR_MAX], again[RULE_ERROR_MAX] = "";
            ck_assert_int_eq(rule_parse((enum rule_direction)direction, wrong[i], &rule, error), NX_EINVAL);
            const char *const example = strstr(error, "; example: ");
            ck_assert_ptr_ne(example, NULL);
            ck_assert_msg(rule_parse((enum rule_direction)direction, example + 11, &rule, again) == NX_OK,
                          "%s", again);
            ck_assert_int_eq(rule.protocol, i == 0 ? RULE_TCP : RULE_UDP);
        }
    }
}
END_TEST

START_TEST(huge_and_hostile_input)
{
    /* Every byte value in every part of a rule, and parts of a megabyte. */
    static const char *const frames[] = {"%s:80:h:90", "tcp:%s:h:90", "tcp:80:%s:90", "tcp:80:[%s]:90",
                                         "tcp:80:h:%s"};
    enum { HUGE_BYTES = 1 << 20 };
    char *const filler = malloc(HUGE_BYTES + 1), *const text = malloc(HUGE_BYTES + 64);
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        for (int c = 1; c < 256; c += 7) {
            struct rule rule;
            char error[RULE_ERROR_MAX];
            memset(filler, c, HUGE_BYTES);
            filler[HUGE_BYTES] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, HUGE_BYTES + 64, frames[i], filler);
#pragma GCC diagnostic pop
            ck_assert_int_eq(rule_parse(RULE_EGRESS, text, &rule, error), NX_EINVAL);
            check_one_harmless_line(error);
        }
    }
    free(filler);
    free(text);
}
END_TEST

START_TEST(longest_host_fits)
{
    struct rule rule;
    char text[400] = "udp:65535:", error[RULE_ERROR_MAX] = "", canonical[RULE_TEXT_MAX];
    char *const host = text + strlen(text);
    memset(host, 'a', 253);
    host[63] = host[127] = host[191] = '.';
    strcpy(host + 253, ":65535");
    ck_assert_msg(rule_parse(RULE_EGRESS, text, &rule, error) == NX_OK, "%s", error);
    ck_assert_str_eq(rule_format(&rule, canonical), text);
    strcpy(host + 253, "a:65535");
    ck_assert_int_eq(rule_parse(RULE_EGRESS, text, &rule, error), NX_EINVAL);
    ck_assert_ptr_ne(strstr(error, "253"), NULL);
}
END_TEST

static struct rule parse(enum rule_direction direction, const char *text)
{
    struct rule rule = {0};
    char error[RULE_ERROR_MAX] = "";
    ck_assert_msg(rule_parse(direction, text, &rule, error) == NX_OK, "%s", error);
    return rule;
}

static bool equal(const char *a, const char *b)
{
    const struct rule left = parse(RULE_INGRESS, a), right = parse(RULE_INGRESS, b);
    ck_assert_int_eq(rule_equal(&left, &right), rule_equal(&right, &left));
    return rule_equal(&left, &right);
}

START_TEST(equality_and_listeners)
{
    ck_assert(equal("tcp:80:h:90", "TCP:+080:[H]:090"));
    ck_assert(equal("tcp:80:[::1]:90", "tcp:80:[0:0::1]:90"));
    ck_assert(equal("tcp:80:[::ffff:192.0.2.1]:90", "tcp:80:192.0.2.1:90"));
    ck_assert(!equal("tcp:80:[fe80::1%a]:90", "tcp:80:[fe80::1%b]:90"));
    ck_assert(!equal("tcp:80:[fe80::1%a]:90", "tcp:80:[fe80::1]:90"));
    ck_assert(!equal("tcp:80:h:90", "udp:80:h:90"));
    ck_assert(!equal("tcp:80:h:90", "tcp:81:h:90"));
    ck_assert(!equal("tcp:80:h:90", "tcp:80:h:91"));
    ck_assert(!equal("tcp:80:h:90", "tcp:80:hh:90"));
    ck_assert(!equal("tcp:80:h:90", "tcp:80:1.2.3.4:90"));
    const struct rule in = parse(RULE_INGRESS, "tcp:80:h:90"), out = parse(RULE_EGRESS, "tcp:80:h:90");
    const struct rule other = parse(RULE_INGRESS, "tcp:80:x:91"), udp = parse(RULE_INGRESS, "udp:80:h:90");
    ck_assert(rule_same_listener(&in, &other));
    ck_assert(!rule_same_listener(&in, &out));
    ck_assert(!rule_same_listener(&in, &udp));
    ck_assert(!rule_equal(&in, &out));
    const struct rule v6 = parse(RULE_INGRESS, "tcp:80:[fe80::1%eth0]:90");
    ck_assert_str_eq(v6.host, "fe80::1%eth0");
    ck_assert_int_eq(v6.addr.family, NETADDR_V6);
    ck_assert_int_eq(in.addr.family, NETADDR_NONE);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, accepts, 0, sizeof(accepted) / sizeof(accepted[0]));
    tcase_add_loop_test(tcase, refuses_and_names_the_part, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(tcase, a_destination_in_the_mesh_has_no_zone);
    tcase_add_test(tcase, examples_are_themselves_right);
    tcase_add_test(tcase, huge_and_hostile_input);
    tcase_add_test(tcase, longest_host_fits);
    tcase_add_test(tcase, equality_and_listeners);
}

int main(void)
{
    return unit_run("rule", fill);
}
