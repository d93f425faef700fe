/* UDP flows: datagrams of every size pass unchanged in every combination of families, flows end when idle,
 * and nobody's silence makes memory grow. An egress port and an ingress rule face each other through our own
 * tunnel address. */
#include "common/err.h"
#include "lab.h"
#include "tunneld/flow/udp_flow.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EGRESS_PORT = 4242, V4_MAX = 65507 /* what a host socket can send */ };

static uint16_t host_port; /* of the egress socket */

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 at;
    socklen_t size = sizeof at;
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin6_port);
}

static int egress_socket(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6};
    int zero = 0, one = 1, size = 1 << 20, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
    ck_assert_int_eq(setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    host_port = port_of(fd);
    return fd;
}

static void start(void)
{
    lab_start(1000, 1 << 26);
    lab.dest = (struct netsock){.addr = lab_own(NETADDR_V4), .port = LAB_PORT};
    ck_assert_int_eq(udp_egress_open(EGRESS_PORT, egress_socket()), NX_OK);
}

static int client_socket(bool v6)
{
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 at6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(host_port), .sin6_addr = in6addr_loopback};
    struct sockaddr_in at4 = {
        .sin_family = AF_INET, .sin_port = htons(host_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(v6 ? connect(fd, (struct sockaddr *)&at6, sizeof at6)
                        : connect(fd, (struct sockaddr *)&at4, sizeof at4),
                     0);
    return fd;
}

static uint8_t sent[70000], got[70000];

/* Sends one datagram and expects the same bytes at the other end. */
static void pass(int from, int to, size_t size)
{
    randombytes_buf(sent, size);
    ck_assert_int_eq(send(from, sent, size, 0), (ssize_t)size);
    for (unsigned i = 0; i < 1000; i++) {
        lab_turns(1);
        ssize_t n = recv(to, got, sizeof got, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            continue;
        ck_assert_int_eq(n, (ssize_t)size);
        ck_assert_mem_eq(sent, got, size);
        return;
    }
    ck_abort_msg("a datagram of %zu bytes did not arrive", size);
}

static int server_of(int client)
{
    ck_assert_int_eq(send(client, "first", 5, 0), 5);
    for (unsigned i = 0; i < 100 && lab.server < 0; i++)
        lab_turns(1);
    ck_assert_int_ge(lab.server, 0);
    lab_turns(5);
    ck_assert_int_eq(recv(lab.server, got, sizeof got, 0),
                     5); /* it waited for its destination and was not lost */
    return lab.server;
}

START_TEST(datagrams_of_every_size_pass_both_ways)
{
    static const size_t sizes[] = {0, 1, 2, 3, 1372, 1392, 1393, 1400, 8000, 30001, 65487, V4_MAX};
    bool client_v6 = _i & 1, mesh_v6 = _i & 2;
    lab.dest.addr = lab_own(mesh_v6 ? NETADDR_V6 : NETADDR_V4);
    int client = client_socket(client_v6), server = server_of(client);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        pass(client, server, sizes[i]);
        pass(server, client, sizes[i]);
    }
    ck_assert_uint_eq(udp_flow_count(), 2);
    ck_assert_uint_eq(udp_flow_counters_get()->dropped, 0);
}
END_TEST

START_TEST(each_client_has_its_own_flow)
{
    int a = client_socket(false), b = client_socket(true);
    int server_a = server_of(a);
    lab.server = -1;
    int server_b = server_of(b);
    ck_assert_int_ne(server_a, server_b);
    pass(server_a, a, 10);
    pass(server_b, b, 11);
    ck_assert_uint_eq(udp_flow_count(), 4);
}
END_TEST

START_TEST(a_flow_ends_sixty_seconds_after_its_last_datagram)
{
    int client = client_socket(false), server = server_of(client);
    lab_advance_ms(59000);
    ck_assert_uint_eq(udp_flow_count(), 2);
    pass(server, client, 1); /* either way counts */
    lab_advance_ms(59000);
    ck_assert_uint_eq(udp_flow_count(), 2);
    lab_advance_ms(2000);
    ck_assert_uint_eq(udp_flow_count(), 0);
    lab.server = -1;
    server = server_of(client); /* and starts anew */
    pass(server, client, 1);
}
END_TEST

START_TEST(a_refused_destination_ends_the_flow_and_the_next_datagram_asks_again)
{
    int client = client_socket(false);
    lab.proxyd = LAB_REFUSE;
    ck_assert_int_eq(send(client, "x", 1, 0), 1);
    lab_turns(10);
    ck_assert_uint_eq(udp_flow_count(), 0);
    ck_assert_uint_eq(lab.connects, 1);
    lab.proxyd = LAB_CONNECT;
    (void)server_of(client);
}
END_TEST

START_TEST(a_dead_destination_socket_ends_its_flow)
{
    int client = client_socket(false), server = server_of(client);
    close(server);
    for (unsigned i = 0; i < 20; i++) {
        (void)send(client, "x", 1, 0);
        lab_turns(5);
    }
    ck_assert_uint_ge(udp_flow_counters_get()->failed, 1);
}
END_TEST

START_TEST(what_waits_for_proxyd_is_bounded)
{
    int client = client_socket(false);
    lab.proxyd = LAB_SILENT;
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(send(client, sent, 1000, 0), 1000);
        lab_turns(1);
    }
    ck_assert_uint_eq(lab.connects, 1);
    ck_assert_uint_eq(udp_flow_counters_get()->dropped, 100 - UDP_FLOW_PENDING_MAX);
    udp_flow_forget();
    ck_assert_uint_eq(udp_flow_count(), 0);
}
END_TEST

START_TEST(what_all_flows_keep_for_proxyd_is_bounded)
{
    enum { CLIENTS = 100, SIZE = 60000, EACH = 4, TOTAL_MAX = 16 << 20 };
    int clients[CLIENTS];
    lab.proxyd = LAB_SILENT;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = client_socket(false);
        for (unsigned k = 0; k < EACH; k++) {
            ck_assert_int_eq(send(clients[i], sent, SIZE, 0), SIZE);
            lab_turns(1);
        }
    }
    ck_assert_uint_eq(udp_flow_count(), CLIENTS);
    ck_assert_uint_eq(udp_flow_counters_get()->dropped, CLIENTS * EACH - TOTAL_MAX / SIZE);
    udp_flow_forget();
    ck_assert_uint_eq(udp_flow_count(), 0);
    for (unsigned k = 0; k < EACH; k++) { /* what was held is free again */
        ck_assert_int_eq(send(clients[0], sent, SIZE, 0), SIZE);
        lab_turns(1);
    }
    ck_assert_uint_eq(udp_flow_counters_get()->dropped, CLIENTS * EACH - TOTAL_MAX / SIZE);
}
END_TEST

START_TEST(without_proxyd_nothing_is_kept)
{
    int client = client_socket(false);
    lab.proxyd = LAB_DOWN;
    ck_assert_int_eq(send(client, "x", 1, 0), 1);
    lab_turns(5);
    ck_assert_uint_eq(udp_flow_count(), 0);
    lab.proxyd = LAB_CONNECT;
    (void)server_of(client);
}
END_TEST

START_TEST(closing_a_port_ends_its_flows_only)
{
    int client = client_socket(false);
    (void)server_of(client);
    udp_egress_close(EGRESS_PORT);
    ck_assert_uint_eq(udp_flow_count(), 1); /* the ingress half stays until it is idle */
    udp_flow_close_all();
    ck_assert_uint_eq(udp_flow_count(), 0);
}
END_TEST

START_TEST(a_port_without_rule_is_answered_with_icmp_and_ends_nothing)
{
    int client = client_socket(false);
    lab.dest.port = LAB_PORT + 1;
    ck_assert_int_eq(send(client, "x", 1, 0), 1);
    lab_turns(20);
    ck_assert_int_eq(lab.server, -1);
    ck_assert_uint_eq(udp_flow_count(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("udp_flow");
    TCase *stories = tcase_create("stories");
    tcase_set_timeout(stories, 60);
    tcase_add_checked_fixture(stories, start, NULL);
    tcase_add_loop_test(stories, datagrams_of_every_size_pass_both_ways, 0, 4);
    tcase_add_test(stories, each_client_has_its_own_flow);
    tcase_add_test(stories, a_flow_ends_sixty_seconds_after_its_last_datagram);
    tcase_add_test(stories, a_refused_destination_ends_the_flow_and_the_next_datagram_asks_again);
    tcase_add_test(stories, a_dead_destination_socket_ends_its_flow);
    tcase_add_test(stories, what_waits_for_proxyd_is_bounded);
    tcase_add_test(stories, what_all_flows_keep_for_proxyd_is_bounded);
    tcase_add_test(stories, without_proxyd_nothing_is_kept);
    tcase_add_test(stories, closing_a_port_ends_its_flows_only);
    tcase_add_test(stories, a_port_without_rule_is_answered_with_icmp_and_ends_nothing);
    suite_add_tcase(suite, stories);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
