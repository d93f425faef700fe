/* See control_rig.h. */
#include "tests/unit/ctld/control_rig.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct event_base *base;
struct control_server *server;
struct control_methods methods;
struct device device;
struct peers *peers;
static struct sockaddr_un address;
static socklen_t address_length;
uint32_t query;
bool tunneld_answers;
struct rig_question asked;
bool link_is_up;
const char *refusal;

struct control_limits limits;

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
    if (type == IPC_MSG_CALLER) {
        struct peercred caller;
        ck_assert_int_eq(to, IPC_PARENT);
        ck_assert_int_eq(peercred_read(((const struct ipc_caller *)body)->client, &caller), NX_OK);
        ck_assert_uint_eq(caller.uid, getuid());
        asked.caller_of = request;
        return NX_OK;
    }
    ck_assert_uint_eq(asked.request, 0); /* one at a time, here */
    asked.to = to;
    asked.type = type;
    asked.request = asked.last = request;
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
uint32_t ping_requests[8];
size_t ping_count;

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

const struct network_device *network_devices;
size_t network_device_count;

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

const struct control_network *network;

static bool network_tell(void *arg, struct control_network *out)
{
    (void)arg;
    if (network)
        *out = *network;
    return network != NULL;
}

static const struct control_methods_ops methods_ops = {
    .send = methods_send, .now_ns = now_ns, .wall_s = wall_s, .network = network_tell, .describe = describe};

const char peer_key_text[] = "Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=";

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

void rule_add(uint32_t id, const char *text)
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

void set_up(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    limits = (struct control_limits){
        .idle_ms = 300, .request_ms = 200, .call_ms = 60000, .write_ms = 200, .unread_bytes = SIZE_MAX};
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
    network = NULL;
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

void tear_down(void)
{
    control_server_free(server);
    connectivity_free(methods.connectivity);
    control_policy_destroy(&methods.policy);
    peers_free(peers);
    device_free(&device);
    event_base_free(base);
}

/* -- Clients -- */

int client_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, address_length), 0);
    return fd;
}

void client_send(int fd, const char *text)
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
void turn(void)
{
    event_base_loop(base, EVLOOP_NONBLOCK);
    if (query && tunneld_answers)
        tunneld_answer();
    if (asked.request && (asked.type == IPC_MSG_LOG_LEVEL || asked.type == IPC_MSG_RULE_REQUEST))
        parent_answer();
}

/* What the client receives until it has `lines` lines, or until it is closed. */
const char *client_read(int fd, size_t lines, bool *closed)
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

void exchange(int fd, const char *sent, const char *expected)
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
void expect_end(int fd)
{
    bool closed;
    client_read(fd, SIZE_MAX, &closed);
    ck_assert(closed);
    close(fd);
}

void expect_served(void)
{
    int fd = client_connect();
    exchange(fd, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":0}\n",
             "{\"id\":0,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(fd);
}

void tunneld_says(enum ipc_type type, uint32_t request, const union ipc_body *body)
{
    struct ipc_message message = {.header = {.type = (uint16_t)type, .request = request}};
    if (body)
        message.body = *body;
    ck_assert(control_methods_message(&methods, IPC_TUNNELD, &message));
}

void until_asked(enum ipc_type type)
{
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (asked.request == 0 && clock_now_ns() < deadline_ns)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ck_assert_int_eq(asked.type, type);
    ck_assert_uint_ne(asked.request, 0);
}
