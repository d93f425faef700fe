/* The operator's policy through the real program: rules, where names lead, where ports listen, how many flows
 * begin. */
#include "dns_server.h"
#include "rig.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PORT = 8080 };
static struct rig rig;

static void set_up(void)
{
    rig_start(&rig);
    rig_link(&rig, IPC_TUNNELD);
    rig_link(&rig, IPC_CTLD);
}

static void tear_down(void)
{
    rig_stop(&rig);
}

static uint32_t ask(enum rule_protocol protocol)
{
    const struct ipc_connect body = {.protocol = (uint8_t)protocol,
                                     .port = PORT,
                                     .client = rig_sock("100.64.0.9", 1234),
                                     .local = rig_sock("100.64.0.1", PORT)};
    return rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT, &body);
}

static void refused(uint32_t request, const char *says)
{
    const char *const text = rig_result(&rig, IPC_TUNNELD, request, IPC_POLICY);
    ck_assert_msg(strstr(text, says) != NULL, "%s", text);
}

static bool connects(enum rule_protocol protocol)
{
    return rig_answer(&rig, IPC_TUNNELD, ask(protocol))->header.type == IPC_MSG_CONNECTED;
}

static void add_rule(uint32_t id, const char *host, uint16_t port)
{
    char text[300];
    snprintf(text, sizeof(text), "tcp:%u:%s:%u", PORT, host, port);
    rig_rule(&rig, id, RULE_INGRESS, text, IPC_OK);
}

/* What RULE_STATS tells of the first rule that it has something to tell of. */
static uint64_t refusals_counted(void)
{
    const struct ipc_rule_stats_query body = {.version = 1};
    rig_send(&rig, IPC_CTLD, IPC_MSG_RULE_STATS_QUERY, &body);
    return rig_expect(&rig, IPC_CTLD, IPC_MSG_RULE_STATS)->body.rule_stats.policy;
}

/* -- Without a policy -- */

START_TEST(a_name_server_cannot_lead_a_flow_to_this_host)
{
    static const char *const inside[] = {
        "127.0.0.1",        "::1",           "169.254.169.254", "0.0.0.0", "fe80::1",
        "::ffff:127.0.0.1", "fd00:ec2::254", "64:ff9b::7f00:1"};
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        char name[40], rule_host[48];
        snprintf(name, sizeof(name), "web%zu.example", i);
        snprintf(rule_host, sizeof(rule_host), "%s.", name);
        dns_server_add(rig.dns, name, inside[i], 60);
        add_rule((uint32_t)i + 1, rule_host, port);
        refused(ask(RULE_TCP), "of a cloud's metadata");
        rig_rule_remove(&rig, (uint32_t)i + 1);
    }
    add_rule(100, "web0.example.", port);
    refused(ask(RULE_TCP), "127.0.0.1");
    refused(ask(RULE_TCP), "127.0.0.1");
    ck_assert_uint_eq(refusals_counted(), 2);
    close(server);
}
END_TEST

START_TEST(what_the_rule_itself_names_is_reached)
{
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    add_rule(1, "127.0.0.1", port);
    ck_assert(connects(RULE_TCP));
    rig_rule_remove(&rig, 1);
    add_rule(2, "localhost", port);
    ck_assert(connects(RULE_TCP));
    rig_rule_remove(&rig, 2);
    add_rule(3, "app.localhost.", port);
    ck_assert(connects(RULE_TCP));
    close(server);
}
END_TEST

/* Rebinding: the name's second answer is another than its first. */
START_TEST(each_answer_is_judged_anew)
{
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "turn.example", "192.0.2.1", 1);
    rig_rule(&rig, 1, RULE_EGRESS, "udp:9999:turn.example.:53", IPC_OK);
    const struct ipc_dest_query query = {.port = 9999, .client = rig_sock("127.0.0.1", 5)};
    ck_assert_int_eq(
        rig_answer(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query))->header.type,
        IPC_MSG_DEST);
    dns_server_clear(rig.dns);
    dns_server_add(rig.dns, "turn.example", "127.0.0.1", 1);
    /* The first answer is good for a second. */
    const struct ipc_message *answer = NULL;
    for (int i = 0; i < 1000 && (!answer || answer->header.type == IPC_MSG_DEST); i++) {
        rig_run_ms(&rig, 20);
        answer = rig_answer(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query));
    }
    ck_assert_int_eq(answer->header.type, IPC_MSG_RESULT);
    ck_assert_int_eq(answer->body.result.result, IPC_POLICY);
    ck_assert_ptr_nonnull(strstr(answer->body.result.text, "127.0.0.1"));
    close(server);
}
END_TEST

START_TEST(mesh_names_do_not_lead_inside_either)
{
    const struct ipc_mesh_name name = {.name = "laptop",
                                       .addresses = {.count = 1, .item = {{NETADDR_V4, {127, 0, 0, 1}}}}};
    rig_send(&rig, IPC_CTLD, IPC_MSG_MESH_NAME, &name);
    rig_sync(&rig);
    rig_rule(&rig, 1, RULE_EGRESS, "udp:9999:laptop:53", IPC_OK);
    const struct ipc_dest_query query = {.port = 9999, .client = rig_sock("127.0.0.1", 5)};
    refused(rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query), "127.0.0.1");
}
END_TEST

/* -- With one -- */

START_TEST(rules_are_judged_and_the_line_is_named)
{
    static const char *const lines[] = {"allow ingress tcp 8080 to 127.0.0.0/8 any",
                                        "deny egress any any to any any"};
    rig_policy(&rig, lines, 2);
    ck_assert_ptr_nonnull(strstr(rig_rule(&rig, 1, RULE_INGRESS, "tcp:8081:127.0.0.1:1", IPC_POLICY),
                                 "no line of P admits it; line 1"));
    ck_assert_ptr_nonnull(
        strstr(rig_rule(&rig, 1, RULE_EGRESS, "tcp:8081:10.0.0.1:1", IPC_POLICY), "P:2 denies it"));
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:8080:127.0.0.1:1", IPC_OK);
}
END_TEST

START_TEST(half_a_policy_admits_nothing)
{
    const struct ipc_policy head = {.file = "P", .lines = 2};
    const struct ipc_policy_line line = {.number = 1, .text = "allow any any any to any any"};
    rig_send(&rig, IPC_PARENT, IPC_MSG_POLICY, &head);
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:8080:127.0.0.1:1", IPC_POLICY);
    rig_send(&rig, IPC_PARENT, IPC_MSG_POLICY_LINE, &line);
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:8080:127.0.0.1:1", IPC_POLICY);
    rig_send(&rig, IPC_PARENT, IPC_MSG_POLICY_LINE, &line);
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:8080:127.0.0.1:1", IPC_OK);
    rig_send(&rig, IPC_PARENT, IPC_MSG_POLICY_LINE, &line); /* one more than was announced */
    rig_rule(&rig, 2, RULE_INGRESS, "tcp:8081:127.0.0.1:1", IPC_POLICY);
}
END_TEST

START_TEST(a_name_leads_where_its_line_lets_it)
{
    static const char *const lines[] = {"deny any any any to 127.0.0.9 any",
                                        "allow ingress tcp any to name *.example in 127.0.0.0/8 any"};
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    rig_policy(&rig, lines, 2);
    dns_server_add(rig.dns, "good.example", "127.0.0.1", 60);
    dns_server_add(rig.dns, "bad.example", "127.0.0.9", 60);
    dns_server_add(rig.dns, "far.example", "192.0.2.1", 60);
    dns_server_add(rig.dns, "both.example", "127.0.0.9", 60);
    dns_server_add(rig.dns, "both.example", "127.0.0.1", 60);
    add_rule(1, "good.example.", port);
    ck_assert(connects(RULE_TCP));
    rig_rule_remove(&rig, 1);
    add_rule(2, "bad.example.", port);
    refused(ask(RULE_TCP), "P:1 denies it");
    rig_rule_remove(&rig, 2);
    add_rule(3, "far.example.", port);
    refused(ask(RULE_TCP), "no line of P admits it");
    rig_rule_remove(&rig, 3);
    add_rule(4, "both.example.", port); /* the address that may be is used */
    ck_assert(connects(RULE_TCP));
    close(server);
}
END_TEST

START_TEST(egress_ports_listen_where_the_policy_says)
{
    static const char *const lines[] = {"allow any any any to any any", "listen any 1-65535 127.0.0.2"};
    const uint16_t tcp = rig_free_port(SOCK_STREAM), udp = rig_free_port(SOCK_DGRAM);
    char text[64];
    rig_policy(&rig, lines, 2);
    snprintf(text, sizeof(text), "tcp:%u:100.64.0.7:1", tcp);
    rig_rule(&rig, 1, RULE_EGRESS, text, IPC_OK);
    snprintf(text, sizeof(text), "udp:%u:100.64.0.7:1", udp);
    rig_rule(&rig, 2, RULE_EGRESS, text, IPC_OK);
    ck_assert_int_eq(rig_connect("127.0.0.1", tcp), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    const int fd = rig_connect("127.0.0.2", tcp);
    ck_assert_int_ge(fd, 0);
    rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP);
    close(fd);
    uint16_t same = udp; /* free at the other address */
    close(rig_bind_udp("127.0.0.1", &same));
}
END_TEST

START_TEST(an_address_that_is_not_here_is_named)
{
    static const char *const lines[] = {"allow any any any to any any", "listen any any 192.0.2.77"};
    rig_policy(&rig, lines, 2);
    const char *said = rig_rule(&rig, 1, RULE_EGRESS, "tcp:9090:100.64.0.7:1", IPC_FAILED);
    ck_assert_msg(strstr(said, "at 192.0.2.77, where the operator's policy wants it") != NULL, "%s", said);
}
END_TEST

START_TEST(new_flows_are_counted_by_rule_and_in_all)
{
    static const char *const lines[] = {"allow ingress tcp 8080 to any any new-flows 3",
                                        "allow any any any to any any", "limit new-flows 5"};
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    rig_policy(&rig, lines, 3);
    add_rule(1, "127.0.0.1", port);
    rig_rule(&rig, 2, RULE_EGRESS, "udp:9999:100.64.0.7:53", IPC_OK);
    unsigned admitted = 0;
    uint32_t requests[20];
    for (int i = 0; i < 20; i++)
        requests[i] = ask(RULE_TCP);
    for (int i = 0; i < 20; i++) {
        const struct ipc_message *const answer = rig_answer(&rig, IPC_TUNNELD, requests[i]);
        admitted += answer->header.type == IPC_MSG_CONNECTED;
        if (answer->header.type != IPC_MSG_CONNECTED)
            ck_assert_ptr_nonnull(strstr(answer->body.result.text, "more than 3 new flows in a second: P:1"));
    }
    /* All of them within one second's worth, and what a slow machine's clock adds. */
    ck_assert_uint_ge(admitted, 3);
    ck_assert_uint_lt(admitted, 20);
    ck_assert_uint_eq(refusals_counted(), 20 - admitted);
    const struct ipc_dest_query query = {.port = 9999, .client = rig_sock("127.0.0.1", 5)};
    bool full = false;
    for (int i = 0; i < 20; i++)
        requests[i] = rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query);
    for (int i = 0; i < 20; i++) {
        const struct ipc_message *const answer = rig_answer(&rig, IPC_TUNNELD, requests[i]);
        full = full || (answer->header.type == IPC_MSG_RESULT &&
                        strstr(answer->body.result.text, "5 new flows in a second: P:3"));
    }
    ck_assert(full);
    close(server);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_name_server_cannot_lead_a_flow_to_this_host);
    tcase_add_test(tcase, what_the_rule_itself_names_is_reached);
    tcase_add_test(tcase, each_answer_is_judged_anew);
    tcase_add_test(tcase, mesh_names_do_not_lead_inside_either);
    tcase_add_test(tcase, rules_are_judged_and_the_line_is_named);
    tcase_add_test(tcase, half_a_policy_admits_nothing);
    tcase_add_test(tcase, a_name_leads_where_its_line_lets_it);
    tcase_add_test(tcase, egress_ports_listen_where_the_policy_says);
    tcase_add_test(tcase, an_address_that_is_not_here_is_named);
    tcase_add_test(tcase, new_flows_are_counted_by_rule_and_in_all);
}

int main(void)
{
    return unit_run("policy", add, 60);
}
