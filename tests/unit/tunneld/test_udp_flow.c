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

/* Bursts leave in batches: nothing may be lost, changed, or overtake another of its flow. Sizes make groups
 * that the kernel segments, groups that end early, and datagrams that no group takes. */
enum { BURST = 60 };

static size_t burst_size(unsigned i)
{
    static const size_t sizes[] = {512, 512, 512, 100, 100, 0, 1300, 1300, 7, 512};
    return sizes[i % (sizeof sizes / sizeof sizes[0])];
}

static void burst_send(int fd, unsigned i, uint8_t mark)
{
    uint8_t data[2000];
    memset(data, (int)(mark + i), sizeof data);
    ck_assert_int_eq(send(fd, data, burst_size(i), 0), (ssize_t)burst_size(i));
}

static void burst_expect(int fd, uint8_t mark)
{
    uint8_t data[2000];
    for (unsigned i = 0; i < BURST; i++) {
        ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
        ck_assert_int_eq(n, (ssize_t)burst_size(i));
        for (ssize_t at = 0; at < n; at++)
            ck_assert_uint_eq(data[at], (uint8_t)(mark + i));
    }
}

START_TEST(bursts_of_two_clients_keep_their_order_and_sizes_both_ways)
{
    int a = client_socket(false), server_a = server_of(a);
    lab.server = -1;
    int b = client_socket(true), server_b = server_of(b);
    for (unsigned i = 0; i < BURST; i++) {
        burst_send(a, i, 0);
        burst_send(b, i, 128);
    }
    lab_turns(30);
    burst_expect(server_a, 0);
    burst_expect(server_b, 128);
    for (unsigned i = 0; i < BURST; i++) {
        burst_send(server_b, i, 64);
        burst_send(server_a, i, 192);
    }
    lab_turns(30);
    burst_expect(a, 192);
    burst_expect(b, 64);
    ck_assert_uint_eq(udp_flow_counters_get()->dropped, 0);
}
END_TEST

/* -- What leaves for a peer ---------------------------------------------------------------------- */

static uint8_t mesh_packet[2000];
static size_t mesh_length;

static int mesh_begin(const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)dst;
    memset(mesh_packet, 0xee, sizeof mesh_packet);
    mesh_length = length;
    *slot = mesh_packet;
    return NX_OK;
}

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* RFC 1071, by the letter. */
static uint32_t words_sum(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

START_TEST(a_datagram_for_a_peer_is_one_right_packet)
{
    static const size_t sizes[] = {0, 1, 2, 511, 1300, 1372};
    bool v6 = _i != 0;
    size_t header = v6 ? 40 : 20, addresses = v6 ? 8 : 12;
    const char *name = v6 ? "fd77::77" : "100.64.77.77";
    ck_assert_int_eq(netsock_parse(v6 ? "[fd77::77]:77" : "100.64.77.77:77", &lab.dest), NX_OK);
    lab_mesh_begin = mesh_begin;
    int client = client_socket(false);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        randombytes_buf(sent, sizes[i]);
        mesh_length = 0;
        ck_assert_int_eq(send(client, sent, sizes[i], 0), (ssize_t)sizes[i]);
        for (unsigned n = 0; n < 100 && mesh_length == 0; n++)
            lab_turns(1);
        const uint8_t *udp = mesh_packet + header;
        size_t length = sizes[i] + 8;
        ck_assert_uint_eq(mesh_length, header + length);
        ck_assert_uint_eq(mesh_packet[0], v6 ? 0x60 : 0x45);
        ck_assert_uint_eq(be16(mesh_packet + (v6 ? 4 : 2)), v6 ? length : mesh_length);
        ck_assert_uint_eq(mesh_packet[v6 ? 6 : 9], IPPROTO_UDP);
        ck_assert_uint_gt(mesh_packet[v6 ? 7 : 8], 32); /* hops */
        if (!v6) {
            ck_assert_uint_eq(be16(mesh_packet + 6) & 0x3fff, 0); /* no fragment */
            ck_assert_uint_eq(sum_fold(words_sum(mesh_packet, 20)), 0xffff);
        }
        uint8_t dest[16];
        ck_assert_int_eq(inet_pton(v6 ? AF_INET6 : AF_INET, name, dest), 1);
        ck_assert_mem_eq(mesh_packet + (v6 ? 24 : 16), dest, v6 ? 16 : 4);
        ck_assert_uint_eq(be16(udp + 2), 77);
        ck_assert_uint_eq(be16(udp + 4), length);
        ck_assert_uint_ne(be16(udp + 6), 0);
        ck_assert_uint_eq(sum_fold(words_sum(mesh_packet + addresses, v6 ? 32 : 8) + IPPROTO_UDP +
                                   (uint32_t)length + words_sum(udp, length)),
                          0xffff);
        ck_assert_mem_eq(udp + 8, sent, sizes[i]);
    }
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
    tcase_add_test(stories, bursts_of_two_clients_keep_their_order_and_sizes_both_ways);
    tcase_add_loop_test(stories, a_datagram_for_a_peer_is_one_right_packet, 0, 2);
    suite_add_tcase(suite, stories);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
