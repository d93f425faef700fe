/* Ingress rules through the real program. */
#include "common/clock.h"
#include "common/err.h"
#include "dns_server.h"
#include "proxyd/connector.h"
#include "proxyd/proxy_protocol.h"
#include "rig.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PORT = 8080 };
static struct rig rig;

static void set_up(void)
{
    rig_start(&rig);
    rig_link(&rig, IPC_TUNNELD);
}

static void tear_down(void)
{
    rig_stop(&rig);
}

/* tcp:8080:HOST:PORT */
static void add_rule(uint32_t id, const char *protocol, const char *host, uint16_t port)
{
    char text[300];
    snprintf(text, sizeof(text), "%s:%u:%s:%u", protocol, PORT, host, port);
    rig_rule(&rig, id, RULE_INGRESS, text, IPC_OK);
}

static uint32_t ask(enum rule_protocol protocol)
{
    const struct ipc_connect body = {.protocol = (uint8_t)protocol,
                                     .port = PORT,
                                     .client = rig_sock("100.64.0.9", 1234),
                                     .local = rig_sock("100.64.0.1", PORT)};
    return rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT, &body);
}

static const struct ipc_connected *connected(uint32_t request)
{
    const struct ipc_message *const message = rig_answer(&rig, IPC_TUNNELD, request);
    ck_assert_msg(message->header.type == IPC_MSG_CONNECTED, "%s", message->body.result.text);
    return &message->body.connected;
}

/* Asks, expects a connection made for this rule, and returns how long it took in ms. */
static uint64_t connects_to(uint32_t rule_id)
{
    const uint64_t begin_ns = clock_now_ns();
    ck_assert_uint_eq(connected(ask(RULE_TCP))->rule_id, rule_id);
    return (clock_now_ns() - begin_ns) / NS_PER_MS;
}

static void dest_is(const struct netsock *dest, const char *address, uint16_t port)
{
    const struct netsock wanted = rig_sock(address, port);
    ck_assert(netsock_equal(dest, &wanted));
}

/* A port at which connecting neither succeeds nor fails: the queue of a listener that nobody serves is full.
 * Opened so often until the kernel drops what comes. */
struct black_hole {
    uint16_t port;
    int listener, fillers[16];
};

static struct black_hole black_hole_open(const char *address)
{
    struct black_hole hole = {0};
    hole.listener = rig_listen(address, &hole.port);
    ck_assert_int_eq(listen(hole.listener, 0), 0);
    const struct netsock sock = rig_sock(address, hole.port);
    struct sockaddr_storage storage;
    const socklen_t length = netsock_to_sockaddr(&sock, &storage);
    for (int i = 0; i < 16; i++) {
        hole.fillers[i] = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(hole.fillers[i], (struct sockaddr *)&storage, length);
    }
    return hole;
}

static void black_hole_close(struct black_hole *hole)
{
    for (int i = 0; i < 16; i++)
        close(hole->fillers[i]);
    close(hole->listener);
}

START_TEST(connection_is_made_and_handed_over)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        uint16_t port = 0;
        const int server = rig_listen(addresses[i], &port);
        add_rule(1, "tcp", i == 0 ? "127.0.0.1" : "[::1]", port);
        const struct ipc_connected *const answer = connected(ask(RULE_TCP));
        ck_assert_uint_eq(answer->rule_id, 1);
        ck_assert_uint_eq(answer->protocol, RULE_TCP);
        dest_is(&answer->dest, addresses[i], port);
        const int fd = rig_fd(&answer->fd), peer = accept(server, NULL, NULL);
        int nodelay = 0, keepalive = 0;
        socklen_t length = sizeof(int);
        ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
        ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &length), 0);
        ck_assert(nodelay && keepalive && (fcntl(fd, F_GETFL) & O_NONBLOCK));
        char byte;
        ck_assert_int_eq(send(peer, "x", 1, 0), 1);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, 5000), 1);
        ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
        close(fd);
        ck_assert_int_eq(recv(peer, &byte, 1, 0), 0); /* proxyd has no copy */
        close(peer);
        close(server);
        rig_rule_remove(&rig, 1);
    }
}
END_TEST

START_TEST(no_rule_and_refused_are_told_apart)
{
    rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_NOT_FOUND);
    const uint16_t closed = rig_free_port(SOCK_STREAM);
    add_rule(1, "tcp", "127.0.0.1", closed);
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%u", closed);
    for (int i = 0; i < 3; i++) { /* it is tried every time, also while it counts as failed */
        const char *const said = rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_REFUSED);
        ck_assert_msg(strstr(said, wanted) != NULL, "%s", said);
    }
    rig_result(&rig, IPC_TUNNELD, ask(RULE_UDP), IPC_NOT_FOUND);
}
END_TEST

START_TEST(refusing_destination_is_replaced_by_the_next)
{
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    add_rule(1, "tcp", "127.0.0.1", port);
    add_rule(2, "tcp", "127.0.0.1", rig_free_port(SOCK_STREAM));
    add_rule(3, "tcp", "nobody.example.", port);
    for (int i = 0; i < 6; i++)
        connects_to(1);
    close(server);
}
END_TEST

START_TEST(working_destinations_take_turns)
{
    uint16_t ports[3] = {0};
    int servers[3];
    for (uint32_t i = 0; i < 3; i++) {
        servers[i] = rig_listen("127.0.0.1", &ports[i]);
        add_rule(i + 1, "tcp", "127.0.0.1", ports[i]);
    }
    static const uint32_t wanted[] = {2, 3, 1, 2, 3};
    for (int i = 0; i < 5; i++)
        connects_to(wanted[i]);
    /* One fails: the others share its turns. Once it is back, it is used again. */
    close(servers[1]);
    unsigned uses[4] = {0};
    for (int i = 0; i < 6; i++)
        uses[connected(ask(RULE_TCP))->rule_id]++;
    ck_assert(uses[1] >= 2 && uses[2] == 0 && uses[3] >= 2);
    servers[1] = rig_listen("127.0.0.1", &ports[1]);
    const uint64_t end_ns = clock_now_ns() + 15 * NS_PER_S;
    while (connected(ask(RULE_TCP))->rule_id != 2) {
        ck_assert_uint_lt(clock_now_ns(), end_ns);
        rig_run_ms(&rig, 20);
    }
    for (int i = 0; i < 3; i++)
        close(servers[i]);
}
END_TEST

START_TEST(silent_destination_costs_its_share_of_the_time_once)
{
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    struct black_hole hole = black_hole_open("127.0.0.2");
    add_rule(1, "tcp", "127.0.0.1", port);
    add_rule(2, "tcp", "127.0.0.2", hole.port);
    const uint64_t first_ms = connects_to(1);
    ck_assert_uint_ge(first_ms, CONNECTOR_TIMEOUT_MS / 2 - 100);
    ck_assert_uint_lt(first_ms, CONNECTOR_TIMEOUT_MS / 2 + 1500);
    ck_assert_uint_lt(connects_to(1), 500); /* it is in its pause */
    black_hole_close(&hole);
    close(server);
}
END_TEST

START_TEST(only_destination_silent_times_out)
{
    struct black_hole hole = black_hole_open("127.0.0.2");
    add_rule(1, "tcp", "127.0.0.2", hole.port);
    const uint64_t begin_ns = clock_now_ns();
    rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_TIMED_OUT);
    const uint64_t took_ms = (clock_now_ns() - begin_ns) / NS_PER_MS;
    ck_assert_uint_ge(took_ms, CONNECTOR_TIMEOUT_MS - 100);
    ck_assert_uint_lt(took_ms, CONNECTOR_TIMEOUT_MS + 2000);
    black_hole_close(&hole);
}
END_TEST

START_TEST(cancelled_requests_get_no_answer)
{
    struct black_hole hole = black_hole_open("127.0.0.2");
    add_rule(1, "tcp", "127.0.0.2", hole.port);
    const struct ipc_connect_cancel cancel = {.request = ask(RULE_TCP)};
    rig_sync(&rig);
    rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT_CANCEL, &cancel);
    rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT_CANCEL, &cancel); /* unknown by now: ignored */
    black_hole_close(&hole); /* would be a refusal at the kernel's next try */
    rig_run_ms(&rig, 1500);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_RESULT));
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_CONNECTED));
}
END_TEST

START_TEST(waiting_requests_are_bounded_and_go_with_their_link)
{
    struct black_hole hole = black_hole_open("127.0.0.2");
    add_rule(1, "tcp", "127.0.0.2", hole.port);
    for (int i = 0; i < CONNECTOR_PENDING_MAX; i++) {
        ask(RULE_TCP);
        if (i % 100 == 0)
            rig_sync(&rig);
    }
    rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_LIMIT);
    rig_unlink(&rig, IPC_TUNNELD);
    rig_link(&rig, IPC_TUNNELD);
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port);
    rig_rule_remove(&rig, 1);
    add_rule(2, "tcp", "127.0.0.1", port);
    connects_to(2);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_RESULT));
    black_hole_close(&hole);
    close(server);
}
END_TEST

/* A name server's word leads to this host only where a policy lets it. */
static void loopback_admit(void)
{
    static const char *const lines[] = {"allow any any any to name * in 127.0.0.0/8,::1 any",
                                        "allow any any any to any any"};
    rig_policy(&rig, lines, 2);
}

START_TEST(names_are_resolved_and_both_families_tried)
{
    loopback_admit();
    uint16_t port = 0;
    const int server = rig_listen("127.0.0.1", &port); /* nobody at ::1 */
    dns_server_add(rig.dns, "web.example", "::1", 60);
    dns_server_add(rig.dns, "web.example", "127.0.0.1", 60);
    add_rule(1, "tcp", "web.example.", port);
    for (int i = 0; i < 2; i++)
        dest_is(&connected(ask(RULE_TCP))->dest, "127.0.0.1", port);
    add_rule(2, "tcp", "localhost", port);
    const struct ipc_connected *const answer = connected(ask(RULE_TCP));
    ck_assert_uint_eq(answer->rule_id, 2);
    dest_is(&answer->dest, "127.0.0.1", port);
    close(server);
}
END_TEST

START_TEST(second_address_starts_after_250_ms)
{
    loopback_admit();
    struct black_hole hole = black_hole_open("127.0.0.2");
    uint16_t port = hole.port;
    const int server = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "web.example", "127.0.0.2", 60);
    dns_server_add(rig.dns, "web.example", "127.0.0.1", 60);
    add_rule(1, "tcp", "web.example.", port);
    const uint64_t begin_ns = clock_now_ns();
    dest_is(&connected(ask(RULE_TCP))->dest, "127.0.0.1", port);
    const uint64_t took_ms = (clock_now_ns() - begin_ns) / NS_PER_MS;
    ck_assert_uint_ge(took_ms, 245);
    ck_assert_uint_lt(took_ms, 1000);
    black_hole_close(&hole);
    close(server);
}
END_TEST

START_TEST(unknown_and_unanswered_names_are_told_apart)
{
    add_rule(1, "tcp", "nobody.example.", 80);
    const char *said = rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_NOT_FOUND);
    ck_assert_msg(strstr(said, "nobody.example.: no such name") != NULL, "%s", said);
    rig_rule_remove(&rig, 1);
    dns_server_manner(rig.dns, "silent.example", 0, DNS_MANNER_SILENT);
    add_rule(2, "tcp", "silent.example.", 80);
    rig_result(&rig, IPC_TUNNELD, ask(RULE_TCP), IPC_TIMED_OUT);
}
END_TEST

START_TEST(rule_removed_while_it_is_tried_ends_the_request)
{
    dns_server_manner(rig.dns, "slow.example", 0, DNS_MANNER_SILENT);
    add_rule(1, "tcp", "slow.example.", 80);
    const uint32_t request = ask(RULE_TCP);
    rig_sync(&rig);
    rig_rule_remove(&rig, 1);
    rig_result(&rig, IPC_TUNNELD, request, IPC_NOT_FOUND);
}
END_TEST

/* Neither a name that is being looked up nor a destination that does not answer is waited for. */
START_TEST(rule_removed_while_it_connects_cuts_the_connection)
{
    struct black_hole hole = black_hole_open("127.0.0.2");
    add_rule(1, "tcp", "127.0.0.2", hole.port);
    const uint32_t request = ask(RULE_TCP);
    rig_sync(&rig);
    const uint64_t begin_ns = clock_now_ns();
    rig_rule_remove(&rig, 1);
    const char *said = rig_result(&rig, IPC_TUNNELD, request, IPC_NOT_FOUND);
    ck_assert_str_eq(said, "the rule was removed");
    ck_assert_uint_lt((clock_now_ns() - begin_ns) / NS_PER_MS, CONNECTOR_TIMEOUT_MS / 2);
    black_hole_close(&hole);
}
END_TEST

START_TEST(rule_removed_while_it_connects_leaves_the_next_one)
{
    struct black_hole hole = black_hole_open("127.0.0.2");
    uint16_t port;
    const int listener = rig_listen("127.0.0.3", &port);
    add_rule(1, "tcp", "127.0.0.2", hole.port);
    const uint32_t request = ask(RULE_TCP);
    rig_sync(&rig);
    add_rule(2, "tcp", "127.0.0.3", port); /* too late for the request that waits, in time for the next */
    rig_rule_remove(&rig, 1);
    rig_result(&rig, IPC_TUNNELD, request, IPC_NOT_FOUND);
    ck_assert_uint_eq(connected(ask(RULE_TCP))->rule_id, 2);
    close(listener);
    black_hole_close(&hole);
}
END_TEST

START_TEST(udp_destination_is_a_connected_socket)
{
    uint16_t port = 0;
    const int server = rig_bind_udp("127.0.0.1", &port);
    add_rule(1, "udp", "127.0.0.1", port);
    const struct ipc_connected *const answer = connected(ask(RULE_UDP));
    ck_assert_uint_eq(answer->protocol, RULE_UDP);
    const int fd = rig_fd(&answer->fd);
    char byte = 0;
    ck_assert_int_eq(send(fd, "u", 1, 0), 1);
    ck_assert_int_eq(recv(server, &byte, 1, 0), 1);
    ck_assert_int_eq(byte, 'u');
    close(fd);
    close(server);
}
END_TEST

/* -- The PROXY protocol: test_proxy_protocol.c has the header's bytes -- */

static void add_introduced(uint32_t id, const char *host, uint16_t port)
{
    char text[300];
    snprintf(text, sizeof(text), "tcp:%u:%s:%u", PORT, host, port);
    rig_rule_proxy_protocol(&rig, id, text, IPC_OK);
}

static uint32_t ask_from(const char *client, const char *local)
{
    const struct ipc_connect body = {
        .protocol = RULE_TCP, .port = PORT, .client = rig_sock(client, 1234), .local = rig_sock(local, PORT)};
    return rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT, &body);
}

/* The next client of `server` has written the header for `client`, and then what the flow says. */
static void introduced_to(int server, const struct ipc_connected *answer, const char *client,
                          const char *local)
{
    const struct netsock from = rig_sock(client, 1234), to = rig_sock(local, PORT);
    uint8_t wanted[PROXY_PROTOCOL_MAX], got[2 * PROXY_PROTOCOL_MAX];
    const size_t length = proxy_protocol_header(&from, &to, wanted);
    const int peer = accept(server, NULL, NULL), fd = rig_fd(&answer->fd);
    ck_assert_int_eq(recv(peer, got, sizeof(got), 0), (ssize_t)length); /* in one piece */
    ck_assert_mem_eq(got, wanted, length);
    ck_assert_int_eq(send(fd, "flow", 4, 0), 4);
    close(fd);
    ck_assert_int_eq(recv(peer, got, sizeof(got), MSG_WAITALL), 4);
    ck_assert_mem_eq(got, "flow", 4);
    close(peer);
}

START_TEST(a_destination_is_told_who_called_whatever_its_own_family)
{
    static const char *const addresses[] = {"127.0.0.1", "::1"}, *const hosts[] = {"127.0.0.1", "[::1]"},
                             *const clients[] = {"100.64.0.9", "200::9"},
                             *const locals[] = {"100.64.0.1", "200::1"};
    for (int i = 0; i < 4; i++) {
        uint16_t port = 0;
        const int server = rig_listen(addresses[i / 2], &port);
        add_introduced(1, hosts[i / 2], port);
        introduced_to(server, connected(ask_from(clients[i % 2], locals[i % 2])), clients[i % 2],
                      locals[i % 2]);
        close(server);
        rig_rule_remove(&rig, 1);
    }
}
END_TEST

START_TEST(a_destination_that_answers_late_is_told_as_well)
{
    loopback_admit();
    struct black_hole hole = black_hole_open("127.0.0.2");
    uint16_t port = hole.port;
    const int server = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "web.example", "127.0.0.2", 60);
    dns_server_add(rig.dns, "web.example", "127.0.0.1", 60);
    add_introduced(1, "web.example.", port);
    introduced_to(server, connected(ask_from("200::9", "200::1")), "200::9", "200::1");
    black_hole_close(&hole);
    close(server);
}
END_TEST

START_TEST(of_a_ports_rules_each_has_its_own_manner)
{
    uint16_t told = 0, untold = 0;
    char byte;
    const int one = rig_listen("127.0.0.1", &told), other = rig_listen("127.0.0.1", &untold);
    add_introduced(1, "127.0.0.1", told);
    add_rule(2, "tcp", "127.0.0.1", untold);
    for (int i = 0; i < 4; i++) {
        const struct ipc_connected *const answer = connected(ask(RULE_TCP));
        if (answer->rule_id == 1) {
            introduced_to(one, answer, "100.64.0.9", "100.64.0.1");
            continue;
        }
        const int fd = rig_fd(&answer->fd), peer = accept(other, NULL, NULL);
        close(fd);
        ck_assert_int_eq(recv(peer, &byte, 1, 0), 0); /* not a byte */
        close(peer);
    }
    close(one);
    close(other);
}
END_TEST

START_TEST(what_cannot_be_told_is_refused)
{
    uint16_t port = 0;
    char text[64];
    const int server = rig_listen("127.0.0.1", &port);
    snprintf(text, sizeof(text), "udp:%u:127.0.0.1:%u", PORT, port);
    ck_assert_ptr_nonnull(
        strstr(rig_rule_proxy_protocol(&rig, 1, text, IPC_FAILED), "is for TCP ingress rules"));
    add_introduced(2, "127.0.0.1", port);
    rig_result(&rig, IPC_TUNNELD, ask_from("200::9", "100.64.0.1"), IPC_FAILED); /* a tunneld that lies */
    rig_result(&rig, IPC_TUNNELD, ask_from("100.64.0.9", "200::1"), IPC_FAILED);
    introduced_to(server, connected(ask(RULE_TCP)), "100.64.0.9", "100.64.0.1"); /* nobody was connected */
    close(server);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, connection_is_made_and_handed_over);
    tcase_add_test(tcase, no_rule_and_refused_are_told_apart);
    tcase_add_test(tcase, refusing_destination_is_replaced_by_the_next);
    tcase_add_test(tcase, working_destinations_take_turns);
    tcase_add_test(tcase, silent_destination_costs_its_share_of_the_time_once);
    tcase_add_test(tcase, only_destination_silent_times_out);
    tcase_add_test(tcase, cancelled_requests_get_no_answer);
    tcase_add_test(tcase, waiting_requests_are_bounded_and_go_with_their_link);
    tcase_add_test(tcase, names_are_resolved_and_both_families_tried);
    tcase_add_test(tcase, second_address_starts_after_250_ms);
    tcase_add_test(tcase, unknown_and_unanswered_names_are_told_apart);
    tcase_add_test(tcase, rule_removed_while_it_is_tried_ends_the_request);
    tcase_add_test(tcase, rule_removed_while_it_connects_cuts_the_connection);
    tcase_add_test(tcase, rule_removed_while_it_connects_leaves_the_next_one);
    tcase_add_test(tcase, udp_destination_is_a_connected_socket);
    tcase_add_test(tcase, a_destination_is_told_who_called_whatever_its_own_family);
    tcase_add_test(tcase, a_destination_that_answers_late_is_told_as_well);
    tcase_add_test(tcase, of_a_ports_rules_each_has_its_own_manner);
    tcase_add_test(tcase, what_cannot_be_told_is_refused);
}

int main(void)
{
    return unit_run("ingress", add, 60);
}
