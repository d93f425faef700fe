/* A child that only acts as one, under the parent's command and the test's.
 *
 * Installed as tunneld, proxyd and ctld alike, it tells its role by its own name, says HELLO and answers what
 * the real child would answer. The destination host of the first rule names an abstract socket of the test:
 * there it reports each thing that happens to it, one line of text a datagram, and takes orders: "crash",
 * "exit N", "garbage" (a datagram that is no message), "deaf" (SHUTDOWN is ignored), "orphan" (leaves a
 * process to whoever adopts it), "mute" (RULE_ADD is not answered any more), "freeze" (stops itself),
 * "answer" (to what was not asked), "add PORT HOST" and "remove PORT HOST" (an operator's wish, of ctld's,
 * for an egress rule; the answer is reported), "accept" (a client of the control socket), "caller client",
 * "caller forged" or "caller none" (whom the next wish is said to be of: that client, a socket that ctld has
 * made itself, nobody), "level N" (a log level for all), and "vouch" (says it of the next wish now, and asks
 * for something else meanwhile). In a control plane's network, ctld also takes "addresses A…", "renew" (of
 * its present key), "renew-old" (of another), "store SLOT BYTES" (a JSON object of that length, 0: empty),
 * "store-bad", "continue" (a piece of nothing), "prompt", "phase N TEXT" and "give-up". */
#include "common/key.h"
#include "ipc/link.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 128, EARLY_MAX = 32, PARENT_FD = 3, RULES_MAX_COUNT = 64 };

static struct event_base *base;
static struct ipc_link *parent;
static struct ipc_link_broken last_link;
static enum ipc_role role;
static int test_fd = -1;
static bool deaf;
static bool configured, has_sockets; /* tunneld */
static struct ipc_device device;     /* ctld: as told last */
static size_t stored_bytes[IPC_SLOT_LAST + 1];
static uint8_t stored_sum[IPC_SLOT_LAST + 1];
static bool mute;
static int control_fd = -1, client_fd = -1, caller_fd = -1;
static bool listening[UINT16_MAX + 1];       /* that port's listener exists: made here, or handed back */
static uint16_t rule_ports[RULES_MAX_COUNT]; /* by id */
static char test_name[IPC_NAME_MAX + 1];
static char early[EARLY_MAX][LINE_MAX_BYTES]; /* reports from before the test's socket is known */
static size_t early_count;
static uint8_t public_key[KEY_BYTES];

static void fail(const char *what)
{
    fprintf(stderr, "fake %s: %s: %s\n", ipc_role_name(role), what, strerror(errno));
    _exit(99);
}

static void report(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void report(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (test_fd >= 0)
        send(test_fd, line, strlen(line), MSG_NOSIGNAL);
    else if (early_count < EARLY_MAX)
        memcpy(early[early_count++], line, sizeof line);
}

static int test_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, test_name, strlen(test_name));
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(test_name));
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, length))
        fail("the test's socket");
    return fd;
}

/* A process whose parent ends at once. It says who it is, and waits for the test to let it go. */
static void orphan(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            char byte;
            int fd = test_connect();
            send(fd, "orphan", 6, MSG_NOSIGNAL);
            recv(fd, &byte, 1, 0);
            _exit(0);
        }
        _exit(0);
    }
}

static uint32_t wish_request;

static void vouch(void)
{
    ipc_send(parent, IPC_MSG_CALLER, wish_request + 1, &(struct ipc_caller){.client = caller_fd});
    ipc_send(parent, IPC_MSG_SANDBOX_QUERY, wish_request + 1, &(struct ipc_sandbox_query){.version = 1});
}

static void level_wish(unsigned level)
{
    wish_request++;
    ipc_send(parent, IPC_MSG_LOG_LEVEL, wish_request, &(struct ipc_log_level){.level = (uint8_t)level});
}

/* "add PORT HOST" or "remove PORT HOST" */
static void wish(const char *text)
{
    struct ipc_rule_request message = {.direction = 2, .protocol = 1, .dest_port = 80};
    char verb[16] = "";
    if (sscanf(text, "%15s %hu %127s", verb, &message.listen_port, message.host) != 3)
        fail("order");
    message.remove = strcmp(verb, "remove") == 0;
    wish_request++;
    if (caller_fd >= 0)
        ipc_send(parent, IPC_MSG_CALLER, wish_request, &(struct ipc_caller){.client = caller_fd});
    ipc_send(parent, IPC_MSG_RULE_REQUEST, wish_request, &message);
}

static void client_accept(void)
{
    struct pollfd ready = {.fd = control_fd, .events = POLLIN};
    if (poll(&ready, 1, 10000) != 1 || (client_fd = accept(control_fd, NULL, NULL)) < 0)
        fail("accept");
}

static void caller_choose(const char *who)
{
    int pair[2];
    if (strcmp(who, "forged") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        fail("socketpair");
    caller_fd = strcmp(who, "client") == 0 ? client_fd : strcmp(who, "forged") == 0 ? pair[0] : -1;
}

/* -- What ctld asks in a network -- */

static void addresses(const char *text)
{
    static uint32_t request = 0x100;
    struct ipc_mesh_addresses message = {0};
    char copy[LINE_MAX_BYTES], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        if (netaddr_parse(word, &message.addresses.item[message.addresses.count++]))
            fail("address");
    ipc_send(parent, IPC_MSG_MESH_ADDRESSES, request++, &message);
}

static void renew(bool current)
{
    struct ipc_key_renew message = {0};
    memcpy(message.public_key, device.public_key, sizeof message.public_key);
    message.public_key[0] ^= current ? 0 : 1;
    ipc_send(parent, IPC_MSG_KEY_RENEW, 0x200, &message);
}

/* {"":"xxx…"}, in pieces. */
static void store(const char *text)
{
    unsigned slot;
    size_t length, sent = 0;
    if (sscanf(text, "%u %zu", &slot, &length) != 2)
        fail("order");
    char *document = malloc(length + 1);
    if (!document)
        fail("memory");
    memset(document, 'x', length);
    if (length >= 7) {
        memcpy(document, "{\"\":\"", 5);
        memcpy(document + length - 2, "\"}", 2);
    }
    do {
        struct ipc_stored piece = {.slot = (uint8_t)slot, .first = sent == 0};
        piece.data.length = (uint16_t)(length - sent < IPC_STORED_MAX ? length - sent : IPC_STORED_MAX);
        memcpy(piece.data.data, document + sent, piece.data.length);
        sent += piece.data.length;
        piece.last = sent == length;
        while (ipc_send(parent, IPC_MSG_STORED, piece.last ? 0x300 : 0, &piece) == -3)
            ipc_link_flush(parent, 1000); /* NX_EAGAIN: the queue is full */
    } while (sent < length);
    free(document);
}

static void piece(bool first, const char *text)
{
    struct ipc_stored message = {.slot = IPC_SLOT_DEVICE, .first = first, .last = true};
    message.data.length = (uint16_t)strlen(text);
    memcpy(message.data.data, text, message.data.length);
    ipc_send(parent, IPC_MSG_STORED, 0x300, &message);
}

static void prompt(void)
{
    const struct ipc_login_prompt message = {.url = "https://login.example/",
                                             .complete_url = "https://login.example/?code=ABCD-EFGH",
                                             .code = "ABCD-EFGH"};
    ipc_send(parent, IPC_MSG_LOGIN_PROMPT, 0, &message);
}

static void phase(const char *text)
{
    struct ipc_phase message = {.phase = (uint8_t)(text[0] - '0')};
    snprintf(message.text, sizeof message.text, "%s", text[1] ? text + 2 : "");
    ipc_send(parent, IPC_MSG_PHASE, 0, &message);
}

static bool network_order(const char *text)
{
    static const struct ipc_give_up give_up_message = {.text = "the key is not known; ask for another"};
    if (strncmp(text, "addresses ", 10) == 0)
        addresses(text + 10);
    else if (strcmp(text, "renew") == 0 || strcmp(text, "renew-old") == 0)
        renew(strcmp(text, "renew") == 0);
    else if (strncmp(text, "store ", 6) == 0)
        store(text + 6);
    else if (strcmp(text, "store-bad") == 0)
        piece(true, "[1]");
    else if (strcmp(text, "continue") == 0)
        piece(false, "{}");
    else if (strcmp(text, "prompt") == 0)
        prompt();
    else if (strncmp(text, "phase ", 6) == 0)
        phase(text + 6);
    else if (strcmp(text, "give-up") == 0)
        ipc_send(parent, IPC_MSG_GIVE_UP, 0, &give_up_message);
    else
        return false;
    return true;
}

/* Of the sibling that was linked last. */
static void accuse(void)
{
    if (parent == NULL || ipc_send(parent, IPC_MSG_LINK_BROKEN, 0, &last_link) != 0)
        report("cannot accuse");
}

static void on_order(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    char order[LINE_MAX_BYTES] = "";
    ssize_t got = recv(fd, order, sizeof order - 1, 0);
    if (got <= 0)
        event_base_loopbreak(base);
    else if (strcmp(order, "crash") == 0)
        kill(getpid(), SIGSEGV);
    else if (strncmp(order, "exit ", 5) == 0)
        _exit(atoi(order + 5));
    else if (strcmp(order, "garbage") == 0)
        send(PARENT_FD, "garbage", 7, MSG_NOSIGNAL);
    else if (strcmp(order, "accuse") == 0)
        accuse();
    else if (strcmp(order, "deaf") == 0)
        deaf = true;
    else if (strcmp(order, "orphan") == 0)
        orphan();
    else if (strcmp(order, "mute") == 0)
        mute = true;
    else if (strcmp(order, "freeze") == 0)
        raise(SIGSTOP);
    else if (strcmp(order, "answer") == 0) /* what nobody has asked */
        ipc_send(parent, IPC_MSG_ALIVE, 0, &(struct ipc_alive){.number = UINT32_MAX});
    else if (strcmp(order, "accept") == 0)
        client_accept();
    else if (strncmp(order, "caller ", 7) == 0)
        caller_choose(order + 7);
    else if (strncmp(order, "level ", 6) == 0)
        level_wish((unsigned)atoi(order + 6));
    else if (strcmp(order, "vouch") == 0)
        vouch();
    else if (network_order(order))
        ;
    else if (strncmp(order, "add ", 4) == 0 || strncmp(order, "remove ", 7) == 0)
        wish(order);
    report("done %s", order);
}

static void test_meet(const char *name)
{
    if (test_fd >= 0)
        return;
    snprintf(test_name, sizeof test_name, "%s", name);
    test_fd = test_connect();
    report("up %s", ipc_role_name(role));
    for (size_t i = 0; i < early_count; i++)
        send(test_fd, early[i], strlen(early[i]), MSG_NOSIGNAL);
    struct event *orders = event_new(base, test_fd, EV_READ | EV_PERSIST, on_order, NULL);
    if (!orders || event_add(orders, NULL))
        fail("event");
}

static int loopback_socket(int type, uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(*port)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, length) ||
        getsockname(fd, (struct sockaddr *)&address, &length) || (type == SOCK_STREAM && listen(fd, 4)))
        fail("socket");
    *port = ntohs(address.sin_port);
    return fd;
}

/* Port 1 stands for one that cannot be had. */
static void tunnel_bind(uint32_t request, uint16_t port)
{
    struct ipc_tunnel_bound bound = {.udp6 = -1, .port = port};
    const struct ipc_result in_use = {.result = IPC_IN_USE, .text = "tunnel: UDP port 1 is taken"};
    if (port == 1) {
        ipc_send(parent, IPC_MSG_RESULT, request, &in_use);
        return;
    }
    bound.udp4 = loopback_socket(SOCK_DGRAM, &bound.port);
    ipc_send(parent, IPC_MSG_TUNNEL_BOUND, request, &bound);
    close(bound.udp4);
}

/* "refused.…" stands for a rule whose port cannot be had. */
static void rule_add(uint32_t request, const struct ipc_rule_add *rule)
{
    bool refused = strncmp(rule->host, "refused", 7) == 0;
    if (!refused)
        test_meet(rule->host);
    report("rule+ %u %u", rule->rule_id, rule->listen_port);
    if (role == IPC_PROXYD && !listening[rule->listen_port] && rule->direction == 2 && !refused) {
        listening[rule->listen_port] = true;
        struct ipc_listener_keep keep = {.port = rule->listen_port};
        keep.fd = loopback_socket(SOCK_STREAM, &keep.port);
        ipc_send(parent, IPC_MSG_LISTENER_KEEP, 0, &keep);
        close(keep.fd);
    }
    rule_ports[rule->rule_id % RULES_MAX_COUNT] = rule->listen_port;
    struct ipc_result result = {.result = refused && role == IPC_PROXYD ? IPC_IN_USE : IPC_OK};
    if (result.result)
        snprintf(result.text, sizeof result.text, "address already in use");
    if (request && !mute)
        ipc_send(parent, IPC_MSG_RESULT, request, &result);
}

static void rule_remove(uint32_t request, const struct ipc_rule_remove *rule)
{
    const struct ipc_result ok = {.result = IPC_OK};
    report("rule- %u", rule->rule_id);
    listening[rule_ports[rule->rule_id % RULES_MAX_COUNT]] = false;
    if (request)
        ipc_send(parent, IPC_MSG_RESULT, request, &ok);
}

static void tunnel_ready(void)
{
    struct ipc_tunnel_ready ready;
    if (!configured || !has_sockets)
        return;
    memcpy(ready.public_key, public_key, sizeof public_key);
    ipc_send(parent, IPC_MSG_TUNNEL_READY, 0, &ready);
}

static void stored(const struct ipc_stored *message)
{
    size_t slot = message->slot;
    if (message->first)
        stored_bytes[slot] = stored_sum[slot] = 0;
    for (size_t i = 0; i < message->data.length; i++)
        stored_sum[slot] = (uint8_t)(stored_sum[slot] * 31 + message->data.data[i]);
    stored_bytes[slot] += message->data.length;
    if (message->last)
        report("stored %zu %zu %u", slot, stored_bytes[slot], stored_sum[slot]);
}

static void on_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    (void)arg;
    union ipc_body *body = &message->body;
    uint32_t request = message->header.request;
    const struct ipc_result ok = {.result = IPC_OK};
    switch (message->header.type) {
    case IPC_MSG_ALIVE_QUERY:
        ipc_send(parent, IPC_MSG_ALIVE, 0, &(struct ipc_alive){.number = body->alive_query.number});
        break;
    case IPC_MSG_RULE_ADD:
        rule_add(request, &body->rule_add);
        break;
    case IPC_MSG_RULE_REMOVE:
        rule_remove(request, &body->rule_remove);
        break;
    case IPC_MSG_RESULT:
        report("answer %u %.100s", body->result.result, body->result.text);
        break;
    case IPC_MSG_CONTROL_SOCKET:
        control_fd = body->control_socket.fd;
        body->control_socket.fd = -1;
        report("control");
        break;
    case IPC_MSG_POLICY:
        report("policy %s %u", body->policy.file, body->policy.lines);
        break;
    case IPC_MSG_POLICY_LINE:
        report("line %u %.100s", body->policy_line.number, body->policy_line.text);
        break;
    case IPC_MSG_FLOW_LIMITS:
        report("limits %u %u", body->flow_limits.flows_max, body->flow_limits.peer_flows_max);
        break;
    case IPC_MSG_TUNNEL_BIND:
        report("bind %u", body->tunnel_bind.port);
        tunnel_bind(request, body->tunnel_bind.port);
        break;
    case IPC_MSG_LISTENER_KEEP:
        listening[body->listener_keep.port] = true;
        report("kept %u", body->listener_keep.port);
        break;
    case IPC_MSG_TUNNEL_CONFIG:
        crypto_scalarmult_base(public_key, body->tunnel_config.private_key);
        report("config %u", body->tunnel_config.addresses.count);
        configured = true;
        if (request)
            ipc_send(link, IPC_MSG_RESULT, request, &ok);
        tunnel_ready();
        break;
    case IPC_MSG_TUNNEL_SOCKETS:
        has_sockets = true;
        report("sockets");
        tunnel_ready();
        break;
    case IPC_MSG_OUTLET:
        report("outlet %u %s:%u", body->outlet.kind, body->outlet.host, body->outlet.port);
        break;
    case IPC_MSG_DEVICE:
        device = body->device;
        report("device %02x%02x%02x%02x %u", device.public_key[0], device.public_key[1], device.public_key[2],
               device.public_key[3], device.addresses.count);
        break;
    case IPC_MSG_NETWORK:
        test_meet(body->network.hostname);
        report("network %s", body->network.service_url);
        break;
    case IPC_MSG_CREDENTIAL:
        report("credential %u %.*s", body->credential.kind, (int)body->credential.value.length,
               (const char *)body->credential.value.data);
        break;
    case IPC_MSG_STUN_SERVER:
        report("stun %s:%u", body->stun_server.host, body->stun_server.port);
        break;
    case IPC_MSG_STORED:
        stored(&body->stored);
        break;
    case IPC_MSG_NETWORK_DONE:
        report("network done %u", body->network_done.stun_servers);
        break;
    case IPC_MSG_PEER_SECRET:
        report("secret %02x", body->peer_secret.preshared_key[0]);
        break;
    case IPC_MSG_STATIC_PEER:
        report("peer %s:%u %u", body->static_peer.endpoint_host, body->static_peer.endpoint_port,
               body->static_peer.allowed.count);
        break;
    case IPC_MSG_STATIC_DONE:
        report("peers %u", body->static_done.peers);
        ipc_send(link, IPC_MSG_RESULT, request, &ok);
        break;
    case IPC_MSG_LINK:
        last_link =
            (struct ipc_link_broken){.peer = body->sibling.peer, .generation = body->sibling.generation};
        report("link %s %u", ipc_role_name((enum ipc_role)body->sibling.peer), body->sibling.generation);
        break;
    case IPC_MSG_LINK_DOWN:
        report("down %s %u", ipc_role_name((enum ipc_role)body->link_down.peer), body->link_down.generation);
        break;
    case IPC_MSG_SHUTDOWN:
        report("shutdown %u", body->shutdown.grace_ms);
        if (!deaf)
            event_base_loopbreak(base);
        break;
    default:
        break;
    }
}

static void on_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    (void)link, (void)err, (void)why, (void)arg;
    if (!deaf)
        event_base_loopbreak(base);
}

static enum ipc_role role_of(const char *name)
{
    for (enum ipc_role r = IPC_TUNNELD; r <= IPC_CTLD; r++)
        if (strstr(name, ipc_role_name(r)))
            return r;
    return IPC_PARENT;
}

int main(int argc, char **argv)
{
    static const struct ipc_link_ops ops = {.on_message = on_message, .on_close = on_close};
    role = role_of(argv[0]);
    const bool options_are_right =
        role == IPC_TUNNELD               ? argc == 5 && strcmp(argv[4], "--network=none") == 0
        : role == IPC_PROXYD && argc == 5 ? strncmp(argv[4], "--tcp-ports=", 12) == 0
        : role == IPC_CTLD && argc == 5
            ? strcmp(argv[4], "--ca-file=/ca.pem") == 0 || strcmp(argv[4], "--network=none") == 0
            : argc == 4;
    if (!options_are_right || strncmp(argv[1], "--log-level=", 12) ||
        strcmp(argv[2], "--log-format=text") != 0 || strncmp(argv[3], "--sandbox=", 10))
        return 98;
    if (argc == 5)
        report("option %.100s", argv[4]);
    /* Nothing else may have come along: no descriptor past the link, and no environment but the sanitizers'.
     */
    for (int fd = PARENT_FD + 1; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 97;
    for (char **entry = environ; *entry; entry++)
        if (!strstr(*entry, "SAN_OPTIONS="))
            return 96;
    base = event_base_new();
    parent = base ? ipc_link_new(base, PARENT_FD, role, IPC_PARENT, 1, 64, &ops, NULL) : NULL;
    if (!parent)
        fail("link");
    const struct ipc_hello hello = {.version = IPC_VERSION, .role = (uint8_t)role, .pid = (uint32_t)getpid()};
    ipc_send(parent, IPC_MSG_HELLO, 0, &hello);
    event_base_dispatch(base);
    return 0;
}
