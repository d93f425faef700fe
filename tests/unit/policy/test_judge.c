/* What policies say about rules, addresses, ports, limits and callers. */
#include "common/err.h"
#include "policy/policy.h"
#include "policy/special.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>

static struct policy *policy;

static void with(const char *text)
{
    char error[POLICY_ERROR_MAX];
    policy_free(policy);
    policy = policy_new("P");
    ck_assert_msg(policy_read(policy, text, strlen(text), error) == NX_OK, "%s", error);
}

static void tear_down(void)
{
    policy_free(policy);
    policy = NULL;
}

/* "ingress tcp:80:h:90" */
static struct rule rule_of(const char *text)
{
    struct rule rule;
    char error[RULE_ERROR_MAX];
    const bool ingress = strncmp(text, "ingress ", 8) == 0;
    ck_assert_msg(rule_parse(ingress ? RULE_INGRESS : RULE_EGRESS, strchr(text, ' ') + 1, &rule, error) ==
                      NX_OK,
                  "%s", error);
    return rule;
}

/* The line that admits the rule, or minus the line that denies it, or 0. */
static int judged(const char *text)
{
    const struct rule rule = rule_of(text);
    const struct policy_verdict verdict = policy_rule(policy, &rule);
    if (verdict.reason == POLICY_ADMITTED)
        return (int)verdict.line;
    return verdict.reason == POLICY_DENIED ? -(int)verdict.line : 0;
}

static enum policy_reason address_judged(const char *text, const char *address, bool from_host)
{
    const struct rule rule = rule_of(text);
    struct netaddr addr;
    ck_assert_int_eq(netaddr_parse(address, &addr), NX_OK);
    return policy_address(policy, &rule, &addr, from_host).reason;
}

static void says(const char *text, const char *why)
{
    const struct rule rule = rule_of(text);
    char out[POLICY_WHY_MAX];
    ck_assert_str_eq(policy_why(policy, policy_rule(policy, &rule), out), why);
}

START_TEST(without_a_policy_every_rule_may_be)
{
    policy = NULL;
    ck_assert_int_eq(policy_rule(policy, &(struct rule){.direction = RULE_INGRESS}).reason, POLICY_ADMITTED);
    unsigned line;
    ck_assert(policy_run_time_rules(NULL, &line));
    ck_assert_int_eq(policy_listen(NULL, RULE_TCP, 80, &line).family, NETADDR_NONE);
    ck_assert(policy_control(NULL, &(struct policy_caller){.uid = 5}, "Drain"));
    ck_assert_uint_eq(policy_limits(NULL).flows.value, 0);
}
END_TEST

START_TEST(an_empty_policy_admits_nothing)
{
    with("");
    ck_assert_int_eq(judged("ingress tcp:80:127.0.0.1:80"), 0);
    says("egress udp:1:h:2", "no line of P admits it");
}
END_TEST

START_TEST(each_part_of_a_rule_has_to_match)
{
    with("allow ingress tcp 80,8000-8999 to 10.0.0.0/8,fd00::/8 443,1000-2000\n");
    ck_assert_int_eq(judged("ingress tcp:80:10.1.2.3:443"), 1);
    ck_assert_int_eq(judged("ingress tcp:8999:[fd12::1]:2000"), 1);
    ck_assert_int_eq(judged("ingress tcp:80:[::ffff:10.1.2.3]:443"), 1);
    ck_assert_int_eq(judged("egress tcp:80:10.1.2.3:443"), 0);
    ck_assert_int_eq(judged("ingress udp:80:10.1.2.3:443"), 0);
    ck_assert_int_eq(judged("ingress tcp:81:10.1.2.3:443"), 0);
    ck_assert_int_eq(judged("ingress tcp:9000:10.1.2.3:443"), 0);
    ck_assert_int_eq(judged("ingress tcp:80:11.1.2.3:443"), 0);
    ck_assert_int_eq(judged("ingress tcp:80:[fe80::1]:443"), 0);
    ck_assert_int_eq(judged("ingress tcp:80:10.1.2.3:444"), 0);
    ck_assert_int_eq(judged("ingress tcp:80:ten.example:443"), 0);
}
END_TEST

START_TEST(a_refusal_says_which_line_comes_closest)
{
    with("allow egress udp any to any any\nallow ingress tcp 80 to 10.0.0.0/8 443\n");
    says("ingress tcp:81:10.0.0.1:443", "no line of P admits it; line 2 would, but for the listen port");
    says("ingress tcp:80:11.0.0.1:443", "no line of P admits it; line 2 would, but for the destination");
    says("ingress tcp:80:10.0.0.1:80", "no line of P admits it; line 2 would, but for the destination port");
    says("egress tcp:80:10.0.0.1:80", "no line of P admits it");
    says("ingress tcp:80:10.0.0.1:443", "P:2 admits it");
}
END_TEST

START_TEST(the_first_line_that_matches_decides)
{
    with("deny any any any to 10.9.0.0/16 any\n"
         "allow ingress tcp any to 10.0.0.0/8 any\n"
         "deny any any 1-1023 to any any\n"
         "allow any any any to any any\n");
    ck_assert_int_eq(judged("ingress tcp:80:10.1.0.1:1"), 2);
    ck_assert_int_eq(judged("ingress tcp:80:10.9.0.1:1"), -1);
    ck_assert_int_eq(judged("ingress udp:80:10.1.0.1:1"), -3);
    ck_assert_int_eq(judged("egress udp:1024:h:1"), 4);
    says("ingress tcp:80:10.9.0.1:1", "P:1 denies it");
}
END_TEST

START_TEST(an_ipv4_address_inside_an_ipv6_one_is_denied_too)
{
    with("deny any any any to 10.0.0.0/8 any\nallow any any any to any any\n");
    ck_assert_int_eq(judged("ingress tcp:80:[64:ff9b::a00:1]:1"), -1);
    ck_assert_int_eq(judged("ingress tcp:80:[::ffff:10.0.0.1]:1"), -1);
    ck_assert_int_eq(judged("ingress tcp:80:[64:ff9b::b00:1]:1"), 2);
    with("allow any any any to 10.0.0.0/8 any\n"); /* but not admitted: whoever translates decides where it
                                                      goes */
    ck_assert_int_eq(judged("ingress tcp:80:[64:ff9b::a00:1]:1"), 0);
}
END_TEST

START_TEST(mapped_prefixes_are_those_of_ipv4)
{
    with("allow any any any to ::ffff:10.0.0.0/104 any\n");
    ck_assert_int_eq(judged("ingress tcp:80:10.1.1.1:1"), 1);
}
END_TEST

START_TEST(names_are_admitted_by_names)
{
    with("allow ingress tcp any to name db.internal,*.SVC.internal. any\n"
         "allow ingress udp any to name * any\n"
         "allow egress any any to 0.0.0.0/0,::/0 any\n");
    ck_assert_int_eq(judged("ingress tcp:1:db.internal:1"), 1);
    ck_assert_int_eq(judged("ingress tcp:1:DB.Internal.:1"), 1);
    ck_assert_int_eq(judged("ingress tcp:1:a.b.svc.internal:1"), 1);
    ck_assert_int_eq(judged("ingress tcp:1:svc.internal:1"), 0);
    ck_assert_int_eq(judged("ingress tcp:1:xsvc.internal:1"), 0);
    ck_assert_int_eq(judged("ingress tcp:1:db.internal.evil.example:1"), 0);
    ck_assert_int_eq(judged("ingress tcp:1:10.0.0.1:1"), 0);
    ck_assert_int_eq(judged("ingress udp:1:anything.example:1"), 2);
    ck_assert_int_eq(judged("ingress udp:1:10.0.0.1:1"), 0);
    ck_assert_int_eq(judged("egress tcp:1:anything.example:1"), 0);
    ck_assert_int_eq(judged("egress tcp:1:10.0.0.1:1"), 3);
}
END_TEST

START_TEST(where_a_name_leads_is_judged_again)
{
    static const char web[] = "ingress tcp:80:web.example:80";
    with("deny any any any to 10.9.0.0/16 any\n"
         "allow ingress tcp any to name web.example in 10.0.0.0/8,192.0.2.0/24 any\n");
    ck_assert_int_eq(judged(web), 2); /* its addresses are not known yet */
    ck_assert_int_eq(address_judged(web, "10.1.2.3", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "::ffff:10.1.2.3", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "192.0.2.9", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "10.9.2.3", false), POLICY_DENIED);
    ck_assert_int_eq(address_judged(web, "::ffff:10.9.2.3", false), POLICY_DENIED);
    ck_assert_int_eq(address_judged(web, "64:ff9b::a09:203", false), POLICY_DENIED);
    ck_assert_int_eq(address_judged(web, "64:ff9b:1::a09:203", false), POLICY_DENIED);
    ck_assert_int_eq(address_judged(web, "11.1.2.3", false), POLICY_NOT_NAMED);
    ck_assert_int_eq(address_judged(web, "127.0.0.1", false), POLICY_NOT_NAMED);
    ck_assert_int_eq(address_judged(web, "127.0.0.1", true), POLICY_NOT_NAMED);
    ck_assert_int_eq(address_judged(web, "2001:db8::1", false), POLICY_NOT_NAMED);
}
END_TEST

static const char *const inside[] = {
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "127.255.0.9",
    "169.254.169.254",
    "169.254.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "febf::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "64:ff9b:1:fffe::7f00:1",
};
static const char *const outside[] = {"10.0.0.1",          "100.64.0.7", "192.168.1.1",   "8.8.8.8",
                                      "126.255.255.255",   "128.0.0.1",  "169.253.9.9",   "fd00::1",
                                      "2001:db8::1",       "fec0::1",    "fd00:ec3::254", "64:ff9b::808:808",
                                      "64:ff9b:1::808:808"};

START_TEST(names_do_not_lead_inside_unless_that_is_named)
{
    static const char web[] = "ingress tcp:80:web.example:80";
    static const char *const policies[] = {
        NULL, /* none at all */
        "allow any any any to any any\n",
        "allow any any any to name web.example any\n",
        "allow any any any to name web.example in 0.0.0.0/0,::/0 any\n",
        "allow any any any to name web.example in 0.0.0.0/1,128.0.0.0/1,::/1,8000::/1,fe00::/8 any\n",
    };
    for (size_t p = 0; p < sizeof policies / sizeof *policies; p++) {
        tear_down();
        if (policies[p])
            with(policies[p]);
        for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
            ck_assert_msg(address_judged(web, inside[i], false) == POLICY_INSIDE_ADDRESS, "%zu: %s", p,
                          inside[i]);
        for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
            ck_assert_msg(address_judged(web, outside[i], false) == POLICY_ADMITTED, "%zu: %s", p,
                          outside[i]);
    }
}
END_TEST

START_TEST(what_the_policy_names_is_reached)
{
    static const char web[] = "ingress tcp:80:web.example:80";
    with("allow any any any to name web.example in 0.0.0.0/0 any\n"
         "allow any any any to name web.example in 127.0.0.0/8,::1,169.254.169.254,fd00:ec2::254 any\n");
    ck_assert_int_eq(address_judged(web, "127.0.0.9", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "::1", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "169.254.169.254", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "fd00:ec2::254", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged(web, "169.254.169.253", false), POLICY_INSIDE_ADDRESS);
    ck_assert_int_eq(address_judged("ingress tcp:80:other.example:80", "127.0.0.9", false), POLICY_NOT_NAMED);
}
END_TEST

/* localhost and the hosts file are the word of whoever administers the host: about this host itself. */
START_TEST(this_hosts_own_word_may_say_loopback_and_nothing_else)
{
    static const char local[] = "ingress tcp:80:localhost:80";
    for (int with_policy = 0; with_policy < 2; with_policy++) {
        if (with_policy)
            with("allow any any any to any any\n");
        ck_assert_int_eq(address_judged(local, "127.0.0.1", true), POLICY_ADMITTED);
        ck_assert_int_eq(address_judged(local, "::1", true), POLICY_ADMITTED);
        ck_assert_int_eq(address_judged(local, "127.0.0.1", false), POLICY_INSIDE_ADDRESS);
        ck_assert_int_eq(address_judged(local, "169.254.169.254", true), POLICY_INSIDE_ADDRESS);
        ck_assert_int_eq(address_judged(local, "0.0.0.0", true), POLICY_INSIDE_ADDRESS);
        ck_assert_int_eq(address_judged(local, "fe80::1", true), POLICY_INSIDE_ADDRESS);
    }
    with("deny any any any to 127.0.0.0/8,::1 any\nallow any any any to any any\n");
    ck_assert_int_eq(address_judged(local, "127.0.0.1", true), POLICY_DENIED);
}
END_TEST

/* Some metadata services have addresses that a mesh may use. */
START_TEST(some_ranges_are_special_on_the_host_only)
{
    policy = NULL;
    ck_assert_int_eq(address_judged("ingress tcp:80:h:80", "100.100.100.200", false), POLICY_INSIDE_ADDRESS);
    ck_assert_int_eq(address_judged("egress tcp:80:h:80", "100.100.100.200", false), POLICY_ADMITTED);
    ck_assert_int_eq(address_judged("ingress tcp:80:h:80", "168.63.129.16", false), POLICY_INSIDE_ADDRESS);
    ck_assert_int_eq(address_judged("egress tcp:80:h:80", "169.254.169.254", false), POLICY_INSIDE_ADDRESS);
}
END_TEST

START_TEST(ports_listen_where_the_first_line_says)
{
    unsigned line;
    char text[NETADDR_TEXT_MAX];
    with("listen tcp 8443 any\nlisten tcp 8000-8999 127.0.0.1\nlisten any any ::1\n");
    ck_assert_int_eq(policy_listen(policy, RULE_TCP, 8443, &line).family, NETADDR_NONE);
    ck_assert_uint_eq(line, 1);
    struct netaddr at = policy_listen(policy, RULE_TCP, 8444, &line);
    ck_assert_str_eq(netaddr_format(&at, text), "127.0.0.1");
    ck_assert_uint_eq(line, 2);
    at = policy_listen(policy, RULE_UDP, 8444, &line);
    ck_assert_str_eq(netaddr_format(&at, text), "::1");
}
END_TEST

START_TEST(limits_are_those_of_the_line_or_of_all_rules)
{
    with("allow ingress tcp 80 to any any flows 5 bandwidth 8Mbit\n"
         "allow ingress tcp any to any any\n"
         "limit rule-flows 7\nlimit rule-new-flows 9\nlimit flows 100\nlimit flows-per-peer 10\nlimit "
         "new-flows 3\n");
    struct rule rule = rule_of("ingress tcp:80:h:1");
    struct policy_rule_limits limits = policy_rule_limits(policy, &rule);
    ck_assert_uint_eq(limits.flows.value, 5);
    ck_assert_uint_eq(limits.flows.line, 1);
    ck_assert_uint_eq(limits.bandwidth.value, 1000000);
    ck_assert_uint_eq(limits.new_flows.value, 9);
    ck_assert_uint_eq(limits.new_flows.line, 4);
    rule = rule_of("ingress tcp:81:h:1");
    limits = policy_rule_limits(policy, &rule);
    ck_assert_uint_eq(limits.flows.value, 7);
    ck_assert_uint_eq(limits.flows.line, 3);
    ck_assert_uint_eq(limits.bandwidth.value, 0);
    ck_assert_uint_eq(policy_limits(policy).flows.value, 100);
    ck_assert_uint_eq(policy_limits(policy).flows_per_peer.line, 6);
    ck_assert_uint_eq(policy_limits(policy).new_flows.value, 3);
    rule = rule_of("egress tcp:80:h:1");
    ck_assert_uint_eq(policy_rule_limits(policy, &rule).flows.value, 0);
}
END_TEST

START_TEST(limits_of_a_name_are_those_of_the_first_line_that_allows_it)
{
    with("deny any any any to 10.9.0.0/16 any\n"
         "allow any any any to name h in 10.0.0.0/8 any flows 5\n"
         "allow any any any to name h any flows 50\n");
    const struct rule rule = rule_of("ingress tcp:80:h:1");
    ck_assert_int_eq(address_judged("ingress tcp:80:h:1", "192.0.2.1", false), POLICY_ADMITTED);
    ck_assert_uint_eq(policy_rule_limits(policy, &rule).flows.value, 5);
    ck_assert_uint_eq(policy_rule_limits(policy, &rule).flows.line, 2);
}
END_TEST

START_TEST(changes_at_run_time_are_what_the_line_says)
{
    unsigned line;
    with("\nrun-time-rules no\n");
    ck_assert(!policy_run_time_rules(policy, &line));
    ck_assert_uint_eq(line, 2);
    with("run-time-rules yes\n");
    ck_assert(policy_run_time_rules(policy, &line));
    with("");
    ck_assert(policy_run_time_rules(policy, &line));
}
END_TEST

START_TEST(callers_are_told_apart)
{
    static const gid_t groups[] = {1000, 27, 44};
    const struct policy_caller root = {.uid = 0, .groups = (const gid_t[]){0}, .group_count = 1};
    const struct policy_caller user = {.uid = 1000, .groups = groups, .group_count = 3};
    const struct policy_caller nobody = {.uid = 65534, .groups = groups, .group_count = 0};
    with("limit flows 1\n");
    ck_assert(!policy_has_control(policy) && policy_control(policy, &nobody, "Drain"));
    with("control any Status,Version\ncontrol uid 0 all\ncontrol gid 44 ProxyAdd*,List*\n");
    ck_assert(policy_has_control(policy));
    ck_assert(policy_control(policy, &root, "Drain") && policy_control(policy, &root, "ProxyKillEgress"));
    ck_assert(policy_control(policy, &user, "ProxyAddIngress") && policy_control(policy, &user, "ListFlows"));
    ck_assert(policy_control(policy, &user, "Status"));
    ck_assert(!policy_control(policy, &user, "ProxyRemoveIngress") &&
              !policy_control(policy, &user, "Drain"));
    ck_assert(policy_control(policy, &nobody, "Version"));
    ck_assert(!policy_control(policy, &nobody, "ListFlows") && !policy_control(policy, &nobody, "StatusX"));
    ck_assert(!policy_control(policy, &nobody, ""));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, NULL, tear_down);
    tcase_add_test(tcase, without_a_policy_every_rule_may_be);
    tcase_add_test(tcase, an_empty_policy_admits_nothing);
    tcase_add_test(tcase, each_part_of_a_rule_has_to_match);
    tcase_add_test(tcase, a_refusal_says_which_line_comes_closest);
    tcase_add_test(tcase, the_first_line_that_matches_decides);
    tcase_add_test(tcase, an_ipv4_address_inside_an_ipv6_one_is_denied_too);
    tcase_add_test(tcase, mapped_prefixes_are_those_of_ipv4);
    tcase_add_test(tcase, names_are_admitted_by_names);
    tcase_add_test(tcase, where_a_name_leads_is_judged_again);
    tcase_add_test(tcase, names_do_not_lead_inside_unless_that_is_named);
    tcase_add_test(tcase, what_the_policy_names_is_reached);
    tcase_add_test(tcase, this_hosts_own_word_may_say_loopback_and_nothing_else);
    tcase_add_test(tcase, some_ranges_are_special_on_the_host_only);
    tcase_add_test(tcase, ports_listen_where_the_first_line_says);
    tcase_add_test(tcase, limits_are_those_of_the_line_or_of_all_rules);
    tcase_add_test(tcase, limits_of_a_name_are_those_of_the_first_line_that_allows_it);
    tcase_add_test(tcase, changes_at_run_time_are_what_the_line_says);
    tcase_add_test(tcase, callers_are_told_apart);
}

int main(void)
{
    return unit_run("policy_judge", fill);
}
