/* The control socket's methods as its clients see them: requests byte by byte as other programs send them,
 * and the answers to them. */
#include "tests/unit/ctld/control_rig.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/rule_refusal.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    const char *sent, *received;
} recorded[] = {
    {"{\"method\":\"NexdCtl.Version\",\"params\":[\"\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"params\":[\"\"],\"id\":7}",
     "{\"id\":7,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.Status\",\"params\":[\"\"],\"id\":\"abc\"}\n",
     "{\"id\":\"abc\",\"result\":\"Status: Running\\n\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.Nope\",\"params\":[\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":null,\"error\":\"rpc: can't find method NexdCtl.Nope\"}\n"},
    {"{\"method\":\"Foo.Nope\",\"params\":[\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":null,\"error\":\"rpc: can't find service Foo.Nope\"}\n"},
    {"{\"method\":\"Nope\",\"params\":[\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":null,\"error\":\"rpc: service/method request ill-formed: Nope\"}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"params\":[],\"id\":1}\n",
     "{\"id\":1,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"id\":1}\n",
     "{\"id\":1,\"result\":null,\"error\":\"jsonrpc: request body missing params\"}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"params\":[{\"a\":1}],\"id\":1}\n",
     "{\"id\":1,\"result\":null,\"error\":\"json: cannot unmarshal object into Go value of type string\"}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"params\":[\"\",\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"NexdCtl.Version\",\"params\":[\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.Version\",\"params\":[\"\"]}\n",
     "{\"id\":null,\"result\":\"" NEXD_VERSION "\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.GetTunnelIPv6\",\"params\":[\"\"],\"id\":1}\n",
     "{\"id\":1,\"result\":\"200::7\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.ProxyList\",\"params\":[\"\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"--ingress tcp:8080:127.0.0.1:20080\\n--ingress udp:5353:127.0.0.1:25353\\n\","
     "\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"{\\\"relay-present\\\":false,\\\"relay-required\\\":false,\\\"peers\\\":{"
     "\\\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\\\":{\\\"PublicKey\\\":"
     "\\\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\\\",\\\"Endpoint\\\":\\\"127.0.0.1:41022\\\","
     "\\\"AllowedIPs\\\":[\\\"100.64.0.9/32\\\",\\\"200::9/"
     "128\\\"],\\\"LatestHandshake\\\":\\\"1795427456\\\","
     "\\\"Tx\\\":272,\\\"Rx\\\":180,\\\"Healthy\\\":true}}}\",\"error\":null}\n"},
    {"{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":2}\n"
     "{\"method\":\"NexdCtl.SetDebugOn\",\"params\":[\"\"],\"id\":3}\n"
     "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":4}\n"
     "{\"method\":\"NexdCtl.SetDebugOff\",\"params\":[\"\"],\"id\":5}\n",
     "{\"id\":2,\"result\":\"off\",\"error\":null}\n{\"id\":3,\"result\":\"Debug logging "
     "enabled\",\"error\":null}\n"
     "{\"id\":4,\"result\":\"on\",\"error\":null}\n{\"id\":5,\"result\":\"Debug logging "
     "disabled\",\"error\":null}\n"},
};

START_TEST(recorded_exchanges)
{
    int fd = client_connect();
    exchange(fd, recorded[_i].sent, recorded[_i].received);
    exchange(fd, recorded[_i].sent, recorded[_i].received); /* the connection stays usable */
    close(fd);
}
END_TEST

static const struct {
    const char *refusal, *sent, *received;
} changes[] = {
    {NULL, "{\"method\":\"NexdCtl.ProxyAddEgress\",\"params\":[\"tcp:29081:100.64.0.7:8081\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"Added egress proxy rule: tcp:29081:100.64.0.7:8081\\n\",\"error\":null}\n"},
    {NULL, "{\"method\":\"NexdCtl.ProxyAddIngress\",\"params\":[\"UDP:07000:[::1]:7001\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"Added ingress proxy rule: UDP:07000:[::1]:7001\\n\",\"error\":null}\n"},
    {NULL, "{\"method\":\"NexdCtl.ProxyRemoveEgress\",\"params\":[\"tcp:29081:100.64.0.7:8082\"],\"id\":0}\n",
     "{\"id\":0,\"result\":\"Removed ingress proxy rule: tcp:29081:100.64.0.7:8082\\n\",\"error\":null}\n"},
    {"port already in use by another proxy rule",
     "{\"method\":\"NexdCtl.ProxyAddEgress\",\"params\":[\"tcp:29081:100.64.0.7:8081\"],\"id\":0}\n",
     "{\"id\":0,\"result\":null,\"error\":\"port already in use by another proxy rule\"}\n"},
    {"no matching ingress proxy rule found: tcp:1:h:2",
     "{\"method\":\"NexdCtl.ProxyRemoveIngress\",\"params\":[\"tcp:1:h:2\"],\"id\":0}\n",
     "{\"id\":0,\"result\":null,\"error\":\"no matching ingress proxy rule found: tcp:1:h:2\"}\n"},
    {NULL, "{\"method\":\"NexdCtl.ProxyAddIngress\",\"params\":[\"tcp:8080\"],\"id\":0}\n",
     "{\"id\":0,\"result\":null,\"error\":\"invalid proxy rule format, must specify 4 colon-separated values "
     "(tcp:8080)\"}\n"},
    {NULL, "{\"method\":\"NexdCtl.ProxyAddIngress\",\"params\":[\"\"],\"id\":0}\n",
     "{\"id\":0,\"result\":null,\"error\":\"invalid proxy rule format, must specify 4 colon-separated values "
     "()\"}"
     "\n"},
};

START_TEST(changes_of_rules)
{
    int fd = client_connect();
    refusal = changes[_i].refusal;
    exchange(fd, changes[_i].sent, changes[_i].received);
    close(fd);
}
END_TEST

START_TEST(a_change_asks_the_parent_for_the_rule_that_was_meant)
{
    int fd = client_connect();
    exchange(
        fd, "{\"method\":\"NexdCtl.ProxyRemoveIngress\",\"params\":[\"UDP:07000:[::1]:+7001\"],\"id\":0}",
        "{\"id\":0,\"result\":\"Removed ingress proxy rule: UDP:07000:[::1]:+7001\\n\",\"error\":null}\n");
    ck_assert(asked.rule.remove);
    ck_assert_uint_eq(asked.rule.direction, RULE_INGRESS);
    ck_assert_uint_eq(asked.rule.protocol, RULE_UDP);
    ck_assert_uint_eq(asked.rule.listen_port, 7000);
    ck_assert_str_eq(asked.rule.host, "::1");
    ck_assert_uint_eq(asked.rule.dest_port, 7001);
    link_is_up = false;
    exchange(fd, "{\"method\":\"NexdCtl.ProxyRemoveIngress\",\"params\":[\"udp:1:h:2\"],\"id\":0}",
             "{\"id\":0,\"result\":null,\"error\":\"nexd cannot be asked now; try again\"}\n");
    close(fd);
}
END_TEST

START_TEST(the_version_can_be_another)
{
    int fd = client_connect();
    strcpy(device.report_version, "2024.07.01-abcdef");
    exchange(fd, "{\"method\":\"NexdCtl.Version\",\"params\":[\"\"],\"id\":0}",
             "{\"id\":0,\"result\":\"2024.07.01-abcdef\",\"error\":null}\n");
    close(fd);
}
END_TEST

/* What the agent says, as recorded, and what it does not refuse but we do. */
START_TEST(refusals_of_rules_read_as_the_agents)
{
    static const struct {
        const char *rule, *expected;
    } cases[] = {
        {"8080:127.0.0.1:80",
         "invalid proxy rule format, must specify 4 colon-separated values (8080:127.0.0.1:80)"},
        {"icmp:8080:127.0.0.1:80", "invalid protocol (icmp)"},
        {":8080:127.0.0.1:80", "invalid protocol ()"},
        {"tcp:0:127.0.0.1:80", "invalid port (0): out of range 0-65535"},
        {"tcp:65536:127.0.0.1:80", "invalid port (65536): out of range 0-65535"},
        {"tcp:-1:127.0.0.1:80", "invalid port (-1): out of range 0-65535"},
        {"tcp:abc:127.0.0.1:80", "invalid port (abc): strconv.Atoi: parsing \"abc\": invalid syntax"},
        {"tcp: 8080:127.0.0.1:80", "invalid port ( 8080): strconv.Atoi: parsing \" 8080\": invalid syntax"},
        {"tcp::h:80", "invalid port (): strconv.Atoi: parsing \"\": invalid syntax"},
        {"tcp:99999999999999999999:h:80",
         "invalid port (99999999999999999999): strconv.Atoi: parsing \"99999999999999999999\": value out of "
         "range"},
        {"tcp:8080::80", "invalid destination host:port (:80): host cannot be empty"},
        {"tcp:8080:127.0.0.1:0", "invalid port (0): out of range 0-65535"},
        {"tcp:8080:127.0.0.1:http", "invalid port (http): strconv.Atoi: parsing \"http\": invalid syntax"},
        {"tcp:8080:::1:80",
         "invalid destination host:port (::1:80): address ::1:80: too many colons in address"},
        {"tcp:8080:127.0.0.1:80:90", "invalid destination host:port (127.0.0.1:80:90): address "
                                     "127.0.0.1:80:90: too many colons in address"},
        {"tcp:80:[::1]90",
         "invalid destination host:port ([::1]90): address [::1]90: missing port in address"},
        {"tcp:80:[::1:90",
         "invalid destination host:port ([::1:90): address [::1:90: missing ']' in address"},
        {"tcp:80:[]:90", "invalid destination host:port ([]:90): host cannot be empty"},
        {"tcp:80:a]:90", "invalid destination host:port (a]:90): address a]:90: unexpected ']' in address"},
        {"tcp:8\t\x1b:h:80", "invalid port (8\\t\\x1b): strconv.Atoi: parsing \"8\\t\\x1b\": invalid syntax"},
        {"tcp:80:999.1.1.1:9", "own words"},
        {"tcp:80:a b:9", "own words"},
    };
    char text[RULE_REFUSAL_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(rule_refusal(cases[i].rule, "own words", text), cases[i].expected);
}
END_TEST

/* -- Pings, flows, statistics -- */

static void until_pinged(size_t count)
{
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (ping_count < count && clock_now_ns() < deadline_ns)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(ping_count, count);
}

#define CONNECTIVITY(ip, reachable, latency)                                                                 \
    "{\"id\":0,\"result\":\"{\\\"relay-present\\\":false,\\\"relay-required\\\":false,\\\"peers\\\":{"       \
    "\\\"" ip "\\\":{\\\"wg_ip\\\":\\\"" ip "\\\",\\\"is_reachable\\\":" reachable                           \
    ",\\\"hostname\\\":\\\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\\\",\\\"Latency\\\":\\\"" latency    \
    "\\\",\\\"method\\\":\\\"static\\\"}}}\",\"error\":null}\n"
static const char connectivity_v4[] = "{\"method\":\"NexdCtl.ConnectivityV4\",\"params\":[\"\"],\"id\":0}";

START_TEST(a_ping_that_is_answered)
{
    bool closed;
    int first = client_connect(), second = client_connect();
    client_send(first, connectivity_v4);
    until_pinged(1);
    client_send(second, connectivity_v4); /* shares it */
    for (int i = 0; i < 10; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_uint_eq(ping_count, 1);
    tunneld_says(IPC_MSG_PONG, ping_requests[0], &(union ipc_body){.pong = {.round_trip_ns = 374999}});
    ck_assert_str_eq(client_read(first, 1, &closed), CONNECTIVITY("100.64.0.9", "true", "0.37ms"));
    ck_assert_str_eq(client_read(second, 1, &closed), CONNECTIVITY("100.64.0.9", "true", "0.37ms"));
    client_send(first, "{\"method\":\"NexdCtl.ConnectivityV6\",\"params\":[\"\"],\"id\":0}");
    until_pinged(2);
    tunneld_says(IPC_MSG_PONG, ping_requests[1], &(union ipc_body){.pong = {.round_trip_ns = 12345678}});
    ck_assert_str_eq(client_read(first, 1, &closed), CONNECTIVITY("200::9", "true", "12.35ms"));
    tunneld_says(IPC_MSG_PONG, ping_requests[0],
                 &(union ipc_body){.pong = {.round_trip_ns = 1}}); /* nobody's */
    close(first);
    close(second);
}
END_TEST

START_TEST(a_ping_that_is_not)
{
    static const enum ipc_outcome outcomes[] = {IPC_TIMED_OUT, IPC_UNREACHABLE};
    bool closed;
    int fd = client_connect();
    client_send(fd, connectivity_v4);
    until_pinged(1);
    union ipc_body result = {.result = {.result = (uint8_t)outcomes[_i]}};
    tunneld_says(IPC_MSG_RESULT, ping_requests[0], &result);
    if (_i == 0) { /* once more; what nobody has is not asked for again */
        until_pinged(2);
        tunneld_says(IPC_MSG_RESULT, ping_requests[1], &result);
    }
    ck_assert_str_eq(client_read(fd, 1, &closed), CONNECTIVITY("100.64.0.9", "false", "-"));
    client_send(fd, connectivity_v4);
    until_pinged(3 - (size_t)_i);
    control_methods_link_down(&methods, IPC_TUNNELD);
    ck_assert_str_eq(client_read(fd, 1, &closed), CONNECTIVITY("100.64.0.9", "false", "-"));
    link_is_up = false;
    client_send(fd, connectivity_v4);
    ck_assert_str_eq(client_read(fd, 1, &closed), CONNECTIVITY("100.64.0.9", "false", "-"));
    close(fd);
}
END_TEST

/* The tunnel's peers say nothing of who is behind a relay: in a network its devices are asked. */
START_TEST(all_devices_of_a_network_are_pinged)
{
    static const struct network_device devices[] = {{"relay", "relay-node-peer", "100.64.0.50", "200::50"},
                                                    {"a\"b", "via-relay", "100.64.0.7", "200::7"},
                                                    {"", "direct-local", "100.64.0.8", NULL},
                                                    {"none", "none", NULL, NULL}};
    bool closed;
    int fd = client_connect();
    network_devices = devices;
    network_device_count = sizeof devices / sizeof *devices;
    client_send(fd, connectivity_v4);
    until_pinged(3);
    for (size_t i = 0; i < 3; i++)
        tunneld_says(IPC_MSG_PONG, ping_requests[i], &(union ipc_body){.pong = {.round_trip_ns = 1000000}});
    const char *answer = client_read(fd, 1, &closed);
    static const char *const wanted[] = {
        "\\\"100.64.0.50\\\":{\\\"wg_ip\\\":\\\"100.64.0.50\\\",\\\"is_reachable\\\":true,\\\"hostname\\\":"
        "\\\"relay\\\",\\\"Latency\\\":\\\"1.00ms\\\",\\\"method\\\":\\\"relay-node-peer\\\"}",
        "\\\"hostname\\\":\\\"a\\\\\\\"b\\\",\\\"Latency\\\":\\\"1.00ms\\\",\\\"method\\\":\\\"via-"
        "relay\\\"}",
        "\\\"hostname\\\":\\\"100.64.0.8\\\""};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        ck_assert_msg(strstr(answer, wanted[i]) != NULL, "%s is not in %s", wanted[i], answer);
    ck_assert_ptr_null(strstr(answer, "none"));
    ck_assert_ptr_null(strstr(answer, "100.64.0.9"));
    network_device_count = 0; /* nobody else is there yet */
    client_send(fd, connectivity_v4);
    ck_assert_ptr_nonnull(strstr(client_read(fd, 1, &closed), "\\\"peers\\\":{}}"));
    ck_assert_uint_eq(ping_count, 3);
    close(fd);
}
END_TEST

START_TEST(flows_are_listed)
{
    bool closed;
    int fd = client_connect();
    union ipc_body flow = {.flow_status = {.rule_id = 1,
                                           .direction = RULE_INGRESS,
                                           .protocol = RULE_TCP,
                                           .state = IPC_FLOW_HOST_ENDED,
                                           .peer_known = true,
                                           .to_mesh_bytes = UINT64_MAX,
                                           .to_host_bytes = 2,
                                           .age_ms = 3,
                                           .transport_known = true,
                                           .congestion_control = IPC_CONGESTION_CUBIC,
                                           .rtt_us = 80123,
                                           .min_rtt_us = 80001,
                                           .cwnd_bytes = 13800,
                                           .pacing_bytes_per_s = 4,
                                           .delivery_bytes_per_s = 5,
                                           .retransmitted_bytes = 6}};
    ck_assert_int_eq(netsock_parse("100.64.0.9:5000", &flow.flow_status.client), NX_OK);
    ck_assert_int_eq(netsock_parse("100.64.0.7:8080", &flow.flow_status.dest), NX_OK);
    ck_assert_int_eq(key_parse(peer_key_text, flow.flow_status.peer), NX_OK);
    client_send(fd, "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"2\"],\"id\":0}");
    until_asked(IPC_MSG_FLOWS_QUERY);
    uint32_t request = asked.request;
    asked.request = 0;
    tunneld_says(IPC_MSG_FLOW_STATUS, request, &flow);
    flow.flow_status.transport_known = false;
    flow.flow_status.rule_id = 99; /* removed */
    flow.flow_status.protocol = RULE_UDP;
    flow.flow_status.direction = RULE_EGRESS;
    flow.flow_status.state = IPC_FLOW_CONNECTING;
    flow.flow_status.dest = (struct netsock){0};
    flow.flow_status.peer_known = false;
    tunneld_says(IPC_MSG_FLOW_STATUS, request, &flow);
    tunneld_says(IPC_MSG_RESULT, request, &(union ipc_body){.result = {.result = IPC_LIMIT}});
    ck_assert_str_eq(
        client_read(fd, 1, &closed),
        "{\"id\":0,\"result\":\"{\\\"flows\\\":[{\\\"rule\\\":\\\"tcp:8080:127.0.0.1:20080\\\","
        "\\\"direction\\\":"
        "\\\"ingress\\\",\\\"protocol\\\":\\\"tcp\\\",\\\"client\\\":\\\"100.64.0.9:5000\\\","
        "\\\"destination\\\":"
        "\\\"100.64.0.7:8080\\\",\\\"peer\\\":\\\"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/"
        "lIbZ8M6W71Fg=\\\",\\\"peer_name\\\":\\\"ctl-\\\\\\\"b\\\",\\\"state\\\":"
        "\\\"host-ended\\\",\\\"to_mesh_bytes\\\":18446744073709551615,\\\"to_host_bytes\\\":2,\\\"age_"
        "ms\\\":3,\\\"congestion_control\\\":\\\"cubic\\\",\\\"rtt_us\\\":80123,\\\"min_rtt_us\\\":80001,"
        "\\\"cwnd_bytes\\\":13800,\\\"pacing_bytes_per_s\\\":4,\\\"delivery_bytes_per_s\\\":5,"
        "\\\"retransmitted_bytes\\\":6},"
        "{\\\"rule\\\":null,\\\"direction\\\":\\\"egress\\\",\\\"protocol\\\":\\\"udp\\\",\\\"client\\\":"
        "\\\"100.64.0.9:5000\\\",\\\"destination\\\":null,\\\"peer\\\":null,\\\"peer_name\\\":null,"
        "\\\"state\\\":\\\"connecting\\\","
        "\\\"to_mesh_bytes\\\":18446744073709551615,\\\"to_host_bytes\\\":2,\\\"age_ms\\\":3}],"
        "\\\"truncated\\\":true}"
        "\",\"error\":null}\n");
    exchange(
        fd, "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"0\"],\"id\":0}",
        "{\"id\":0,\"result\":null,\"error\":\"the number of flows to list must be from 1 to 20000\"}\n");
    client_send(fd, "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"\"],\"id\":0}");
    until_asked(IPC_MSG_FLOWS_QUERY);
    tunneld_says(IPC_MSG_RESULT, asked.request, NULL);
    ck_assert_str_eq(client_read(fd, 1, &closed),
                     "{\"id\":0,\"result\":\"{\\\"flows\\\":[],\\\"truncated\\\":false}\",\"error\":null}\n");
    close(fd);
}
END_TEST

/* As many flows as may be asked for, with names as long as they may be, and more askers than may be at once.
 */
START_TEST(many_flows_are_listed_and_few_at_once)
{
    enum { ASKERS = 5 };
    static const char all[] = "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"20000\"],\"id\":0}";
    int fd[ASKERS];
    uint32_t request[ASKERS];
    bool closed;
    for (size_t i = 0; i < ASKERS; i++) {
        fd[i] = client_connect();
        client_send(fd[i], all);
        if (i == ASKERS - 1)
            break;
        until_asked(IPC_MSG_FLOWS_QUERY);
        request[i] = asked.request;
        asked.request = 0;
    }
    ck_assert_str_eq(
        client_read(fd[ASKERS - 1], 1, &closed),
        "{\"id\":0,\"result\":null,\"error\":\"others list flows at this moment; try again\"}\n");
    union ipc_body flow = {.flow_status = {.rule_id = 1,
                                           .direction = RULE_INGRESS,
                                           .protocol = RULE_TCP,
                                           .state = IPC_FLOW_HOST_ENDED,
                                           .peer_known = true,
                                           .to_mesh_bytes = UINT64_MAX,
                                           .to_host_bytes = UINT64_MAX,
                                           .age_ms = UINT64_MAX,
                                           .transport_known = true,
                                           .rtt_us = UINT64_MAX,
                                           .min_rtt_us = UINT64_MAX,
                                           .cwnd_bytes = UINT64_MAX,
                                           .pacing_bytes_per_s = UINT64_MAX,
                                           .delivery_bytes_per_s = UINT64_MAX,
                                           .retransmitted_bytes = UINT64_MAX}};
    const struct netsock longest = {.addr = {.family = NETADDR_V6, .bytes = {[0 ... 15] = 0xfd}},
                                    .port = 65535};
    flow.flow_status.client = flow.flow_status.dest = longest;
    ck_assert_int_eq(key_parse(peer_key_text, flow.flow_status.peer), NX_OK);
    for (size_t i = 0; i < IPC_FLOWS_MAX; i++)
        tunneld_says(IPC_MSG_FLOW_STATUS, request[0], &flow);
    tunneld_says(IPC_MSG_RESULT, request[0], NULL);
    size_t length = 0, flows = 0;
    char piece[65536];
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    for (bool over = false; !over && clock_now_ns() < deadline_ns;) {
        turn();
        ssize_t got = recv(fd[0], piece, sizeof piece, 0);
        for (ssize_t i = 0; i < got; i++)
            flows += piece[i] == '{';
        length += got > 0 ? (size_t)got : 0;
        over = got > 0 && piece[got - 1] == '\n';
    }
    ck_assert_uint_eq(flows, IPC_FLOWS_MAX + 2); /* the answer, and the object in it */
    ck_assert_uint_gt(length, 8 << 20);
    for (size_t i = 0; i < ASKERS; i++)
        close(fd[i]);
}
END_TEST

/* -- The operator's policy -- */

static void policy_says(const char *const *lines, uint32_t count, uint32_t announced)
{
    const struct ipc_policy head = {.file = "P", .lines = announced};
    control_policy_begin(&methods.policy, &head);
    for (uint32_t i = 0; i < count; i++) {
        struct ipc_policy_line line = {.number = i + 1};
        snprintf(line.text, sizeof line.text, "%s", lines[i]);
        control_policy_line(&methods.policy, &line);
    }
}

START_TEST(a_policy_says_who_may_call_what)
{
    char own[64], refusal_text[128];
    const char *const lines[] = {own, "control uid 4242 all"};
    snprintf(own, sizeof own, "control uid %u Status,ProxyAdd*", (unsigned)getuid());
    int fd = client_connect();
    policy_says(lines, 2, 2);
    exchange(fd, "{\"method\":\"NexdCtl.Status\",\"params\":[\"\"],\"id\":0}",
             "{\"id\":0,\"result\":\"Status: Running\\n\",\"error\":null}\n");
    snprintf(refusal_text, sizeof refusal_text,
             "{\"id\":1,\"result\":null,\"error\":\"no control line of P lets uid %u call Drain\"}\n",
             (unsigned)getuid());
    exchange(fd, "{\"method\":\"NexdCtl.Drain\",\"params\":[\"\"],\"id\":1}", refusal_text);
    /* Whom the parent is to ask the kernel about goes with what it is asked for. */
    exchange(fd, "{\"method\":\"NexdCtl.ProxyAddEgress\",\"params\":[\"tcp:1:h:2\"],\"id\":2}",
             "{\"id\":2,\"result\":\"Added egress proxy rule: tcp:1:h:2\\n\",\"error\":null}\n");
    ck_assert_uint_ne(asked.caller_of, 0);
    ck_assert_uint_eq(asked.caller_of, asked.last);
    close(fd);
}
END_TEST

START_TEST(half_a_policy_lets_nobody_call)
{
    static const char *const lines[] = {"control any all"};
    static const char version[] = "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":0}";
    int fd = client_connect();
    policy_says(lines, 1, 2);
    exchange(fd, version,
             "{\"id\":0,\"result\":null,\"error\":\"the operator's policy is not known as a whole\"}\n");
    control_policy_line(&methods.policy, &(struct ipc_policy_line){.number = 2, .text = "contrl any all"});
    exchange(fd, version,
             "{\"id\":0,\"result\":null,\"error\":\"the operator's policy is not known as a whole\"}\n");
    close(fd);
}
END_TEST

/* Each side has a list of its own. */
START_TEST(a_policy_may_name_every_method_and_no_other)
{
    size_t count = 0, named = 0;
    while (policy_methods[named])
        named++;
    for (const char *name; (name = control_method_name(count)) != NULL; count++) {
        bool found = false;
        for (size_t i = 0; i < named; i++)
            found = found || strcmp(policy_methods[i], name) == 0;
        ck_assert_msg(found, "%s", name);
    }
    ck_assert_uint_eq(count, named);
}
END_TEST

START_TEST(statistics_of_both_processes_are_added_up)
{
    bool closed;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListRuleStats\",\"params\":[\"\"],\"id\":0}");
    until_asked(IPC_MSG_RULE_STATS_QUERY);
    ck_assert_int_eq(asked.to, IPC_TUNNELD);
    uint32_t request = asked.request;
    asked.request = 0;
    union ipc_body stats = {.rule_stats = {.rule_id = 2,
                                           .flows = 5,
                                           .live = 1,
                                           .to_mesh_bytes = 10,
                                           .to_host_bytes = 20,
                                           .reset = 1,
                                           .last_error_unix_s = 100,
                                           .last_error = "old"}};
    tunneld_says(IPC_MSG_RULE_STATS, request, &stats);
    tunneld_says(IPC_MSG_RESULT, request, NULL);
    until_asked(IPC_MSG_RULE_STATS_QUERY);
    ck_assert_int_eq(asked.to, IPC_PROXYD);
    struct ipc_message message = {.header = {.type = IPC_MSG_RULE_STATS, .request = asked.request},
                                  .body = {.rule_stats = {.rule_id = 2,
                                                          .refused = 3,
                                                          .policy = 4,
                                                          .last_error_unix_s = 200,
                                                          .last_error = "new \"one\""}}};
    ck_assert(control_methods_message(&methods, IPC_PROXYD, &message));
    message = (struct ipc_message){.header = {.type = IPC_MSG_RESULT, .request = asked.request}};
    ck_assert(control_methods_message(&methods, IPC_PROXYD, &message));
    const char *text = client_read(fd, 1, &closed);
    ck_assert_ptr_nonnull(strstr(
        text,
        "\\\"flows\\\":5,\\\"live\\\":1,\\\"to_mesh_bytes\\\":10,\\\"to_host_bytes\\\":20,\\\"errors\\\":{"
        "\\\"refused\\\":3,\\\"timed_out\\\":0,\\\"unreachable\\\":0,\\\"limit\\\":0,\\\"policy\\\":4,"
        "\\\"reset\\\":1,"
        "\\\"failed\\\":0},\\\"last_error\\\":\\\"new "
        "\\\\\\\"one\\\\\\\"\\\",\\\"last_error_unix_s\\\":200}"));
    ck_assert_ptr_nonnull(strstr(text, "\\\"rule\\\":\\\"tcp:8080:127.0.0.1:20080\\\",\\\"problem\\\":null,"
                                       "\\\"proxy_protocol\\\":false,"
                                       "\\\"direction\\\":\\\"ingress\\\","
                                       "\\\"flows\\\":0"));
    close(fd);
}
END_TEST

static void problem_say(uint32_t rule_id, const char *text)
{
    struct ipc_rule_problem message = {.rule_id = rule_id};
    snprintf(message.text, sizeof message.text, "%s", text);
    device_rule_problem(&device, &message);
}

START_TEST(status_of_a_network_says_how_far_it_has_come)
{
    static const struct {
        struct control_network told;
        const char *status;
    } cases[] = {
        {{IPC_PHASE_STARTING, "", "", "", false, false}, "Status: Starting\\n"},
        {{IPC_PHASE_JOINING, "the control plane is away", "", "", false, false},
         "Status: Starting\\nthe control plane is away\\n"},
        {{IPC_PHASE_LOGIN, "left out", "https://auth.test/device?user_code=AB-CD", "AB-CD", false, false},
         "Status: WaitingForAuth\\nYour device must be registered with Nexodus.\\nYour one-time code is: "
         "AB-CD\\nPlease open the following URL in your browser to sign in:\\n"
         "https://auth.test/device?user_code=AB-CD\\n"},
        {{IPC_PHASE_JOINED, "", "", "", false, false}, "Status: Running\\n"},
        {{IPC_PHASE_CACHED, "", "", "", false, false},
         "Status: Running\\nWith the network as it was known last: the control plane has not answered "
         "yet\\n"},
        {{IPC_PHASE_CACHED, "its certificate expired", "", "", false, false},
         "Status: Running\\nWith the network as it was known last: its certificate expired\\n"},
    };
    char wanted[512];
    int fd = client_connect();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        network = &cases[i].told;
        snprintf(wanted, sizeof wanted, "{\"id\":0,\"result\":\"%s\",\"error\":null}\n", cases[i].status);
        exchange(fd, "{\"method\":\"NexdCtl.Status\",\"params\":[\"\"],\"id\":0}", wanted);
    }
    device.draining = true;
    snprintf(wanted, sizeof wanted,
             "{\"id\":0,\"result\":\"%sDraining: no new flows are accepted; live ones go on\\n\","
             "\"error\":null}\n",
             cases[5].status);
    exchange(fd, "{\"method\":\"NexdCtl.Status\",\"params\":[\"\"],\"id\":0}", wanted);
    close(fd);
}
END_TEST

START_TEST(rules_that_are_not_in_force_are_told)
{
    static const char status[] = "{\"method\":\"NexdCtl.Status\",\"params\":[\"\"],\"id\":0}";
    static const char running[] = "{\"id\":0,\"result\":\"Status: Running\\n\",\"error\":null}\n";
    bool closed;
    int fd = client_connect();
    problem_say(99, "of a rule that is not there");
    exchange(fd, status, running);
    problem_say(1, "its port is \"taken\"");
    problem_say(1, "its port is taken");
    exchange(fd, status,
             "{\"id\":0,\"result\":\"Status: Running\\nNot in force: --ingress tcp:8080:127.0.0.1:20080: its "
             "port is "
             "taken\\n\",\"error\":null}\n");
    client_send(fd, "{\"method\":\"NexdCtl.ListRuleStats\",\"params\":[\"\"],\"id\":0}");
    for (unsigned i = 0; i < 2; i++) {
        until_asked(IPC_MSG_RULE_STATS_QUERY);
        struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = asked.request}};
        asked.request = 0;
        ck_assert(control_methods_message(&methods, asked.to, &message));
    }
    ck_assert_ptr_nonnull(strstr(client_read(fd, 1, &closed), "\\\"problem\\\":\\\"its port is taken\\\","));
    problem_say(1, "");
    exchange(fd, status, running);
    for (uint32_t id = 10; id < 30; id++) { /* a screen is not filled with them */
        rule_add(id, "tcp:1:h:2");
        problem_say(id, "no");
    }
    client_send(fd, status);
    ck_assert_ptr_nonnull(strstr(client_read(fd, 1, &closed), "h:2: no\\nNot in force: 10 more rules\\n\""));
    ck_assert_int_eq(device_rule_remove(&device, 10), NX_OK);
    rule_add(11, "tcp:1:h:3"); /* anew, and nothing is known to be wrong with it */
    client_send(fd, status);
    ck_assert_ptr_nonnull(strstr(client_read(fd, 1, &closed), "Not in force: 8 more rules\\n\""));
    close(fd);
}
END_TEST

START_TEST(a_process_that_ends_is_an_answer_too)
{
    bool closed;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ProxyAddEgress\",\"params\":[\"tcp:1:h:2\"],\"id\":0}");
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (asked.request == 0 && clock_now_ns() < deadline_ns)
        event_base_loop(base, EVLOOP_NONBLOCK);
    struct ipc_message late = {.header = {.type = IPC_MSG_RESULT, .request = asked.request}};
    asked.request = 0;
    control_methods_link_down(&methods, IPC_TUNNELD); /* another one */
    control_methods_link_down(&methods, IPC_PARENT);
    ck_assert_str_eq(client_read(fd, 1, &closed),
                     "{\"id\":0,\"result\":null,\"error\":\"nexd ended before it answered; try again\"}\n");
    ck_assert(control_methods_message(&methods, IPC_PARENT, &late)); /* nobody waits for it */
    late.header.request = 1;
    ck_assert(!control_methods_message(&methods, IPC_PARENT, &late)); /* another part's */
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *tests = tcase_create("control");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, recorded_exchanges, 0, sizeof recorded / sizeof *recorded);
    tcase_add_loop_test(tests, changes_of_rules, 0, sizeof changes / sizeof *changes);
    tcase_add_test(tests, a_change_asks_the_parent_for_the_rule_that_was_meant);
    tcase_add_test(tests, the_version_can_be_another);
    tcase_add_test(tests, refusals_of_rules_read_as_the_agents);
    tcase_add_test(tests, a_ping_that_is_answered);
    tcase_add_loop_test(tests, a_ping_that_is_not, 0, 2);
    tcase_add_test(tests, all_devices_of_a_network_are_pinged);
    tcase_add_test(tests, status_of_a_network_says_how_far_it_has_come);
    tcase_add_test(tests, flows_are_listed);
    tcase_add_test(tests, many_flows_are_listed_and_few_at_once);
    tcase_add_test(tests, statistics_of_both_processes_are_added_up);
    tcase_add_test(tests, a_policy_says_who_may_call_what);
    tcase_add_test(tests, half_a_policy_lets_nobody_call);
    tcase_add_test(tests, a_policy_may_name_every_method_and_no_other);
    tcase_add_test(tests, rules_that_are_not_in_force_are_told);
    tcase_add_test(tests, a_process_that_ends_is_an_answer_too);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
