/* The control socket as its clients see it: a listening socket, requests byte by byte as other programs send
 * them, and clients that mean harm. Server, methods and peers are the real ones on a real event loop; tunneld
 * is a function. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/control_methods.h"
#include "ctld/control_server.h"
#include "ctld/rule_refusal.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_MS = 5000, ANSWER_BYTES = 65536, WALL_S = 1795427461 };

static struct event_base *base;
static struct control_server *server;
static struct control_methods methods;
static struct device device;
static struct peers *peers;
static struct sockaddr_un address;
static socklen_t address_length;
static uint32_t query; /* of PEERS_QUERY, not answered yet */
static bool tunneld_answers;
static struct { /* a question of the methods, not answered yet */
    enum ipc_role to;
    enum ipc_type type;
    uint32_t request;
    struct ipc_rule_request rule;
} asked;
static bool link_is_up;
static const char *refusal; /* the parent's answer to changes of rules; NULL = done */

/* Short enough to wait for; that of a call is a test's own. */
static struct control_limits limits;

/* -- What ctld's main.c would be -- */

static int to_tunneld(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg, (void)body;
    if (type == IPC_MSG_PEERS_QUERY)
        query = request;
    return NX_OK;
}

static void on_status(void *arg, const struct peer *peer, uint64_t now_ns)
{
    (void)arg, (void)peer, (void)now_ns;
}

static void on_synced(void *arg)
{
    (void)arg;
}

static int methods_send(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    if (!link_is_up)
        return NX_ECLOSED;
    ck_assert_uint_eq(asked.request, 0); /* one at a time, here */
    asked.to = to;
    asked.type = type;
    asked.request = request;
    if (type == IPC_MSG_LOG_LEVEL)
        log_set_level((enum log_level)((const struct ipc_log_level *)body)->level);
    else if (type == IPC_MSG_RULE_REQUEST)
        asked.rule = *(const struct ipc_rule_request *)body;
    return NX_OK;
}

static uint64_t now_ns(void *arg)
{
    (void)arg;
    return clock_now_ns();
}

static uint64_t wall_s(void *arg)
{
    (void)arg;
    return WALL_S;
}

static const struct peers_ops peers_ops = {
    .send = to_tunneld, .on_status = on_status, .on_synced = on_synced};
static uint32_t ping_requests[8];
static size_t ping_count;

static int ping_send(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    const struct ipc_ping *ping = body;
    ck_assert_int_eq(type, IPC_MSG_PING);
    if (!link_is_up)
        return NX_ECLOSED;
    ck_assert_uint_eq(ping->timeout_ms, CONNECTIVITY_TIMEOUT_MS);
    ping_requests[ping_count++ % 8] = request;
    return NX_OK;
}

/* A network's devices, with host name, method and addresses as texts; NULL: there is no network. */
struct network_device {
    const char *hostname, *method, *v4, *v6;
};
static const struct network_device *network_devices;
static size_t network_device_count;

static bool devices_tell(void *arg, connectivity_device_fn each, void *each_arg)
{
    (void)arg;
    for (size_t i = 0; i < network_device_count; i++) {
        const struct network_device *from = &network_devices[i];
        struct connectivity_device told = {.hostname = from->hostname, .method = from->method};
        ck_assert_int_eq(from->v4 ? netaddr_parse(from->v4, &told.v4) : NX_OK, NX_OK);
        ck_assert_int_eq(from->v6 ? netaddr_parse(from->v6, &told.v6) : NX_OK, NX_OK);
        each(each_arg, &told);
    }
    return network_devices != NULL;
}

static const struct connectivity_ops connectivity_ops = {.send = ping_send, .devices = devices_tell};

static void describe(void *arg, const struct peer *peer, const char **hostname, const char **method)
{
    (void)arg, (void)peer, (void)method;
    *hostname = "ctl-\"b";
}

static const struct control_methods_ops methods_ops = {
    .send = methods_send, .now_ns = now_ns, .wall_s = wall_s, .describe = describe};

static const char peer_key_text[] = "Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=";

static void peer_add(void)
{
    uint8_t key[KEY_BYTES];
    struct netprefix allowed[2];
    ck_assert_int_eq(key_parse(peer_key_text, key), NX_OK);
    ck_assert_int_eq(netprefix_parse("100.64.0.9/32", false, &allowed[0]), NX_OK);
    ck_assert_int_eq(netprefix_parse("200::9/128", false, &allowed[1]), NX_OK);
    struct peer *peer = peers_get(peers, key);
    ck_assert_ptr_nonnull(peer);
    ck_assert_int_eq(peers_allow(peer, allowed, 2), NX_OK);
}

/* tunneld's report, as in the recorded exchanges. */
static void tunneld_answer(void)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_PEER_STATUS, .request = query}};
    struct ipc_peer_status *status = &message.body.peer_status;
    ck_assert_int_eq(key_parse(peer_key_text, status->public_key), NX_OK);
    ck_assert_int_eq(netsock_parse("127.0.0.1:41022", &status->endpoint), NX_OK);
    status->handshake_unix_s = 1795427456;
    status->tx_bytes = 272;
    status->rx_bytes = 180;
    peers_message(peers, &message, clock_now_ns(), WALL_S);
    struct ipc_message result = {.header = {.type = IPC_MSG_RESULT, .request = query}};
    query = 0;
    peers_message(peers, &result, clock_now_ns(), WALL_S);
}

static void rule_add(uint32_t id, const char *text)
{
    struct rule rule;
    char error[RULE_ERROR_MAX];
    ck_assert_int_eq(rule_parse(RULE_INGRESS, text, &rule, error), NX_OK);
    struct ipc_rule_add add = {.rule_id = id,
                               .direction = (uint8_t)rule.direction,
                               .protocol = (uint8_t)rule.protocol,
                               .listen_port = rule.listen_port,
                               .dest_port = rule.dest_port};
    strcpy(add.host, rule.host);
    ck_assert_int_eq(device_rule_add(&device, &add), NX_OK);
}

static void listener_open(void)
{
    static unsigned serial;
    char name[64];
    snprintf(name, sizeof name, "nexd-control-%d-%u", (int)getpid(), serial++);
    address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name, strlen(name));
    address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, address_length), 0);
    ck_assert_int_eq(listen(fd, 128), 0);
    ck_assert_int_eq(control_server_listen(server, fd), NX_OK);
}

static void set_up(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    limits = (struct control_limits){.idle_ms = 300, .request_ms = 200, .call_ms = 60000, .write_ms = 200};
    base = event_base_new();
    peers = peers_new(&peers_ops, NULL);
    device = (struct device){.known = true};
    device.public.addresses.count = 2;
    ck_assert_int_eq(netaddr_parse("200::7", &device.public.addresses.item[0]), NX_OK);
    ck_assert_int_eq(netaddr_parse("100.64.0.7", &device.public.addresses.item[1]), NX_OK);
    methods = (struct control_methods){.device = &device, .peers = peers, .ops = &methods_ops};
    methods.connectivity = connectivity_new(&connectivity_ops, NULL);
    server = control_server_new(base, &limits, &control_methods_handler, &methods);
    ck_assert(base && peers && server);
    query = 0;
    ping_count = 0;
    network_devices = NULL;
    network_device_count = 0;
    asked.request = 0;
    refusal = NULL;
    link_is_up = true;
    tunneld_answers = true;
    listener_open();
    rule_add(1, "tcp:8080:127.0.0.1:20080");
    rule_add(2, "udp:5353:127.0.0.1:25353");
    peer_add();
    peers_complete(peers);
    peers_link_up(peers, clock_now_ns());
    tunneld_answer();
    tunneld_answer();
    ck_assert(peers_synced(peers));
}

static void tear_down(void)
{
    control_server_free(server);
    connectivity_free(methods.connectivity);
    peers_free(peers);
    device_free(&device);
    event_base_free(base);
}

/* -- Clients -- */

static int client_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, address_length), 0);
    return fd;
}

static void client_send(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void parent_answer(void)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = asked.request}};
    struct ipc_result *result = &message.body.result;
    asked.request = 0;
    ck_assert_int_eq(asked.to, IPC_PARENT);
    if (refusal && asked.type == IPC_MSG_RULE_REQUEST) {
        result->result = IPC_FAILED;
        snprintf(result->text, sizeof result->text, "%s", refusal);
    }
    ck_assert(control_methods_message(&methods, IPC_PARENT, &message));
}

/* One turn of the loop, and of what answers it from the other side. */
static void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    if (query && tunneld_answers)
        tunneld_answer();
    if (asked.request && (asked.type == IPC_MSG_LOG_LEVEL || asked.type == IPC_MSG_RULE_REQUEST))
        parent_answer();
}

/* What the client receives until it has `lines` lines, or until it is closed. */
static const char *client_read(int fd, size_t lines, bool *closed)
{
    static char text[ANSWER_BYTES];
    size_t length = 0, seen = 0;
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    *closed = false;
    while (seen < lines && !*closed && clock_now_ns() < deadline_ns) {
        turn();
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            *closed = true;
        } else if (got > 0) {
            for (size_t i = 0; i < (size_t)got; i++)
                seen += text[length + i] == '\n';
            length += (size_t)got;
        }
    }
    ck_assert_msg(seen >= lines || *closed, "neither %zu lines nor an end", lines);
    text[length] = '\0';
    return text;
}

static void exchange(int fd, const char *sent, const char *expected)
{
    bool closed;
    client_send(fd, sent);
    size_t lines = 0;
    for (const char *c = expected; *c; c++)
        lines += *c == '\n';
    ck_assert_str_eq(client_read(fd, lines, &closed), expected);
    ck_assert(!closed);
}

/* Waits until the server ends this client. */
static void expect_end(int fd)
{
    bool closed;
    client_read(fd, SIZE_MAX, &closed);
    ck_assert(closed);
    close(fd);
}

static void expect_served(void)
{
    int fd = client_connect();
    exchange(fd, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":0}\n",
             "{\"id\":0,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(fd);
}

/* -- Tests -- */

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

static void tunneld_says(enum ipc_type type, uint32_t request, const union ipc_body *body)
{
    struct ipc_message message = {.header = {.type = (uint16_t)type, .request = request}};
    if (body)
        message.body = *body;
    ck_assert(control_methods_message(&methods, IPC_TUNNELD, &message));
}

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

static void until_asked(enum ipc_type type)
{
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (asked.request == 0 && clock_now_ns() < deadline_ns)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(asked.type, type);
    ck_assert_uint_ne(asked.request, 0);
}

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
    struct ipc_message message = {
        .header = {.type = IPC_MSG_RULE_STATS, .request = asked.request},
        .body = {.rule_stats = {
                     .rule_id = 2, .refused = 3, .last_error_unix_s = 200, .last_error = "new \"one\""}}};
    ck_assert(control_methods_message(&methods, IPC_PROXYD, &message));
    message = (struct ipc_message){.header = {.type = IPC_MSG_RESULT, .request = asked.request}};
    ck_assert(control_methods_message(&methods, IPC_PROXYD, &message));
    const char *text = client_read(fd, 1, &closed);
    ck_assert_ptr_nonnull(strstr(
        text,
        "\\\"flows\\\":5,\\\"live\\\":1,\\\"to_mesh_bytes\\\":10,\\\"to_host_bytes\\\":20,\\\"errors\\\":{"
        "\\\"refused\\\":3,\\\"timed_out\\\":0,\\\"unreachable\\\":0,\\\"limit\\\":0,\\\"reset\\\":1,"
        "\\\"failed\\\":0},\\\"last_error\\\":\\\"new "
        "\\\\\\\"one\\\\\\\"\\\",\\\"last_error_unix_s\\\":200}"));
    ck_assert_ptr_nonnull(strstr(text, "\\\"rule\\\":\\\"tcp:8080:127.0.0.1:20080\\\",\\\"problem\\\":null,"
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

START_TEST(a_probe_that_closes_at_once_is_no_trouble)
{
    for (unsigned i = 0; i < 1000; i++) {
        close(client_connect());
        turn();
    }
    expect_served();
}
END_TEST

START_TEST(nonsense_closes_that_client_only)
{
    int good = client_connect(), bad = client_connect();
    client_send(bad, "not json\n");
    expect_end(bad);
    exchange(good, "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":1}",
             "{\"id\":1,\"result\":\"off\",\"error\":null}\n");
    close(good);
}
END_TEST

START_TEST(a_half_closed_client_gets_its_answers)
{
    bool closed;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}"
                    "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":2}");
    shutdown(fd, SHUT_WR);
    const char *text = client_read(fd, SIZE_MAX, &closed);
    ck_assert(closed);
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":1,"));
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":2,"));
    close(fd);
}
END_TEST

START_TEST(dribbling_does_not_keep_a_request_open)
{
    int fd = client_connect();
    client_send(fd, "{\"x\":[");
    while (control_server_clients(server) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    const uint64_t start_ns = clock_now_ns(), gap_ns = limits.request_ms * NS_PER_MS / 20;
    /* A byte now and then, so the client is never quiet for long. */
    for (uint64_t next_ns = start_ns; control_server_clients(server) > 0; turn()) {
        if (clock_now_ns() < next_ns)
            continue;
        next_ns += gap_ns;
        (void)!send(fd, " ", 1, MSG_NOSIGNAL);
        ck_assert_uint_lt(clock_now_ns() - start_ns, WAIT_MS * NS_PER_MS);
    }
    ck_assert_uint_ge(clock_now_ns() - start_ns + 20 * NS_PER_MS, limits.request_ms * NS_PER_MS);
    close(fd);
}
END_TEST

START_TEST(idle_clients_go)
{
    int fd = client_connect();
    uint64_t start_ns = clock_now_ns();
    expect_end(fd);
    /* libevent counts from the loop's cached, coarse time. */
    ck_assert_uint_ge(clock_now_ns() - start_ns + 20 * NS_PER_MS, limits.idle_ms * NS_PER_MS);
}
END_TEST

START_TEST(a_crowd_does_not_shut_others_out)
{
    int crowd[CONTROL_CLIENTS_MAX * 3];
    for (size_t i = 0; i < sizeof crowd / sizeof *crowd; i++) {
        crowd[i] = client_connect();
        if (i % 2)
            client_send(crowd[i], "{\"method\":");
        turn();
        ck_assert_uint_le(control_server_clients(server), CONTROL_CLIENTS_MAX);
    }
    expect_served();
    for (size_t i = 0; i < sizeof crowd / sizeof *crowd; i++)
        close(crowd[i]);
}
END_TEST

/* Requests without end, and never a look at the answers. */
START_TEST(who_does_not_read_is_not_read)
{
    static const char request[] = "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}";
    int fd = client_connect();
    size_t sent = 0;
    uint64_t start_ns = clock_now_ns();
    while (control_server_clients(server) > 0 || sent == 0) {
        ck_assert_uint_lt(clock_now_ns() - start_ns, WAIT_MS * NS_PER_MS);
        ssize_t got = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
        sent += got > 0 ? (size_t)got : 0;
        turn();
    }
    ck_assert_uint_lt(sent, 4 << 20); /* what the kernel's buffers hold, not more */
    close(fd);
    expect_served();
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_is_forgotten)
{
    int waiting[8];
    tunneld_answers = false;
    for (size_t i = 0; i < 8; i++) {
        waiting[i] = client_connect();
        client_send(waiting[i], "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
    }
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (query == 0 && clock_now_ns() < deadline_ns)
        turn();
    expect_served(); /* others are not held up */
    for (size_t i = 0; i < 8; i++)
        close(waiting[i]);
    for (unsigned i = 0; i < 10; i++)
        turn();
    tunneld_answers = true;
    turn();
    expect_served();
    deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (control_server_clients(server) > 0 && clock_now_ns() < deadline_ns)
        turn();
    ck_assert_uint_eq(control_server_clients(server), 0);
}
END_TEST

/* tunneld has got the question and says nothing. */
START_TEST(who_is_not_answered_is_told_so_and_can_ask_again)
{
    bool closed;
    limits.call_ms = 200;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"\"],\"id\":1}");
    until_asked(IPC_MSG_FLOWS_QUERY);
    uint32_t request = asked.request;
    asked.request = 0;
    ck_assert_str_eq(
        client_read(fd, 1, &closed),
        "{\"id\":1,\"result\":null,\"error\":\"nexd did not come to an answer in time; try again\"}\n");
    tunneld_says(IPC_MSG_RESULT, request, NULL); /* too late for anybody */
    exchange(fd, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":2}",
             "{\"id\":2,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(fd);
}
END_TEST

START_TEST(where_all_are_being_worked_for_others_wait_and_are_served)
{
    bool closed;
    int working[CONTROL_CLIENTS_MAX];
    tunneld_answers = false;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        working[i] = client_connect();
        client_send(working[i], "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
        turn();
    }
    int late = client_connect();
    client_send(late, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":0}");
    for (unsigned i = 0; i < 10; i++)
        turn();
    char byte;
    ck_assert(recv(late, &byte, 1, 0) < 0 && errno == EAGAIN); /* neither closed nor served */
    ck_assert_uint_eq(control_server_clients(server), CONTROL_CLIENTS_MAX);
    tunneld_answers = true;
    ck_assert_str_eq(client_read(late, 1, &closed), "{\"id\":0,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(late);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(working[i]);
}
END_TEST

START_TEST(the_end_comes_while_clients_wait)
{
    tunneld_answers = false;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (query == 0 && clock_now_ns() < deadline_ns)
        turn();
    control_server_free(server);
    server = NULL;
    peers_link_down(peers); /* would call whoever still waited */
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
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
    tcase_add_test(tests, a_ping_that_is_answered);
    tcase_add_loop_test(tests, a_ping_that_is_not, 0, 2);
    tcase_add_test(tests, all_devices_of_a_network_are_pinged);
    tcase_add_test(tests, flows_are_listed);
    tcase_add_test(tests, many_flows_are_listed_and_few_at_once);
    tcase_add_test(tests, statistics_of_both_processes_are_added_up);
    tcase_add_test(tests, rules_that_are_not_in_force_are_told);
    tcase_add_test(tests, the_version_can_be_another);
    tcase_add_test(tests, refusals_of_rules_read_as_the_agents);
    tcase_add_test(tests, a_process_that_ends_is_an_answer_too);
    tcase_add_test(tests, a_probe_that_closes_at_once_is_no_trouble);
    tcase_add_test(tests, nonsense_closes_that_client_only);
    tcase_add_test(tests, a_half_closed_client_gets_its_answers);
    tcase_add_test(tests, dribbling_does_not_keep_a_request_open);
    tcase_add_test(tests, idle_clients_go);
    tcase_add_test(tests, a_crowd_does_not_shut_others_out);
    tcase_add_test(tests, who_does_not_read_is_not_read);
    tcase_add_test(tests, a_client_that_leaves_while_it_waits_is_forgotten);
    tcase_add_test(tests, who_is_not_answered_is_told_so_and_can_ask_again);
    tcase_add_test(tests, where_all_are_being_worked_for_others_wait_and_are_served);
    tcase_add_test(tests, the_end_comes_while_clients_wait);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
