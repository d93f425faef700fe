/* What the parent says of ports, as proxyd understands it, and what it must not understand. */
#include "common/err.h"
#include "nexd/ports.h"
#include "proxyd/ports.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

static struct rulebook book;
static struct proxyd_ports ports;

static void rule_put(enum rule_direction direction, const char *text)
{
    struct rule rule;
    char error[RULE_ERROR_MAX];
    ck_assert_int_eq(rule_parse(direction, text, &rule, error), NX_OK);
    ck_assert_ptr_nonnull(rulebook_add(&book, &rule, false, RULEBOOK_STANDING));
}

static void some_rules(void)
{
    rule_put(RULE_EGRESS, "tcp:8443:100.64.0.7:443");
    rule_put(RULE_EGRESS, "tcp:8443:100.64.0.8:443"); /* the same port again */
    rule_put(RULE_EGRESS, "tcp:80:100.64.0.8:81");
    rule_put(RULE_EGRESS, "udp:5353:100.64.0.7:53"); /* not Landlock's business */
    rule_put(RULE_INGRESS, "tcp:22:127.0.0.1:2222");
    rule_put(RULE_INGRESS, "tcp:23:db.internal:65535");
    rule_put(RULE_INGRESS, "udp:24:127.0.0.1:99");
}

START_TEST(rules_and_metrics)
{
    struct netsock metrics;
    ck_assert_int_eq(netsock_parse("127.0.0.1:9586", &metrics), NX_OK);
    some_rules();
    char *text = ports_option(&book, &metrics, false);
    ck_assert_str_eq(text, "--tcp-ports=bind:80,8443,9586;connect:53,2222,65535");
    ck_assert_int_eq(proxyd_ports_parse(strchr(text, '=') + 1, &ports), NX_OK);
    ck_assert(ports.bind_limited && ports.connect_limited);
    ck_assert_uint_eq(ports.bind.count, 3);
    ck_assert_uint_eq(ports.bind.ports[2], 9586);
    ck_assert_uint_eq(ports.connect.count, 3);
    ck_assert_uint_eq(ports.connect.ports[2], 65535);
    free(text);
    rulebook_free(&book);
}
END_TEST

START_TEST(connections_to_anywhere)
{
    some_rules();
    char *text = ports_option(&book, NULL, true);
    ck_assert_str_eq(text, "--tcp-ports=bind:80,8443");
    ck_assert_int_eq(proxyd_ports_parse(strchr(text, '=') + 1, &ports), NX_OK);
    ck_assert(ports.bind_limited && !ports.connect_limited);
    free(text);
    rulebook_free(&book);
}
END_TEST

START_TEST(no_rules)
{
    char *text = ports_option(&book, NULL, false);
    ck_assert_str_eq(text, "--tcp-ports=bind:;connect:53");
    ck_assert_int_eq(proxyd_ports_parse("bind:;connect:53", &ports), NX_OK);
    ck_assert(ports.bind_limited);
    ck_assert_uint_eq(ports.bind.count, 0);
    free(text);
}
END_TEST

START_TEST(as_many_as_there_may_be_and_one_more)
{
    char rule[64];
    for (int i = 0; i < PORTS_MAX; i++) {
        snprintf(rule, sizeof rule, "tcp:%d:100.64.0.7:1", 60000 - i);
        rule_put(RULE_EGRESS, rule);
    }
    char *text = ports_option(&book, NULL, true);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(proxyd_ports_parse(strchr(text, '=') + 1, &ports), NX_OK);
    ck_assert_uint_eq(ports.bind.count, PORTS_MAX);
    ck_assert_uint_eq(ports.bind.ports[PORTS_MAX - 1], 60000);
    free(text);
    rule_put(RULE_EGRESS, "tcp:1:100.64.0.7:1");
    ck_assert_ptr_null(ports_option(&book, NULL, true));
    rulebook_free(&book);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    static const char *const wrong[] = {"",           "bind",           "bind:0",         "bind:65536",
                                        "bind:80,",   "bind:,80",       "bind:80,,81",    "bind:80;",
                                        "bind:80;81", "bind:80;bind:1", "bind:8o",        "bind:-1",
                                        "bind: 80",   "connect:80",     "bind:;connect:0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(proxyd_ports_parse(wrong[i], &ports) == NX_EINVAL, "%s", wrong[i]);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, rules_and_metrics);
    tcase_add_test(tcase, connections_to_anywhere);
    tcase_add_test(tcase, no_rules);
    tcase_add_test(tcase, as_many_as_there_may_be_and_one_more);
    tcase_add_test(tcase, nonsense_is_refused);
}

int main(void)
{
    return unit_run("ports", fill);
}
