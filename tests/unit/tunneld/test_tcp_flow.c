/* TCP flows behave like one connection from end to end. Each test is a story about two sockets with a tunnel
 * between them. */
#include "lab.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/netstack/netstack.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20 };

static void start(void)
{
    lab_start(1000, 64 * MEGABYTE);
}

static bool no_flows(void *arg)
{
    (void)arg;
    return tcp_flow_count() == 0;
}

/* Sends one way while the other end reads, as both are in this process. */
static void transfer(int from, int to, size_t size)
{
    uint8_t *sent = malloc(size), *got = malloc(size);
    ck_assert(sent != NULL && got != NULL);
    randombytes_buf(sent, size);
    size_t out = 0, in = 0;
    for (unsigned i = 0; in < size && i < LAB_TURNS; i++) {
        ssize_t n = out < size ? send(from, sent + out, size - out, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
        if (n > 0)
            out += (size_t)n;
        lab_turns(1);
        n = recv(to, got + in, size - in, MSG_DONTWAIT);
        ck_assert(n > 0 || (n < 0 && errno == EAGAIN));
        if (n > 0)
            in += (size_t)n;
        else if (i % 64 == 63)
            lab_advance_ms(10);
    }
    ck_assert_uint_eq(in, size);
    ck_assert_mem_eq(sent, got, size);
    free(sent);
    free(got);
}

START_TEST(bytes_arrive_unchanged_both_ways)
{
    int server, client = lab_client_connected(&server);
    transfer(client, server, 5 * MEGABYTE + 13);
    transfer(server, client, 5 * MEGABYTE + 7);
    transfer(client, server, 1);
    ck_assert_uint_eq(tcp_flow_count(), 2);
    close(client);
    close(server);
    lab_until(no_flows, NULL);
}
END_TEST

START_TEST(ipv6_works_alike)
{
    int client = lab_client(NETADDR_V6, LAB_PORT);
    lab_turns(100);
    ck_assert_int_ge(lab.server, 0);
    transfer(client, lab.server, MEGABYTE);
}
END_TEST

START_TEST(client_half_closes_and_still_gets_its_answer)
{
    uint8_t buffer[64];
    int end, server, client = lab_client_connected(&server);
    ck_assert(lab_write_all(client, (const uint8_t *)"question", 8));
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    ck_assert_uint_eq(lab_read_all(server, buffer, sizeof buffer, &end), 8);
    ck_assert_int_eq(end, 0);
    transfer(server, client, MEGABYTE);
    close(server);
    ck_assert_uint_eq(lab_read_all(client, buffer, sizeof buffer, &end), 0);
    ck_assert_int_eq(end, 0);
    lab_until(no_flows, NULL);
}
END_TEST

START_TEST(server_half_closes_and_still_hears_the_client)
{
    uint8_t buffer[64];
    int end, server, client = lab_client_connected(&server);
    ck_assert(lab_write_all(server, (const uint8_t *)"banner", 6));
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    ck_assert_uint_eq(lab_read_all(client, buffer, sizeof buffer, &end), 6);
    ck_assert_int_eq(end, 0);
    transfer(client, server, MEGABYTE);
    close(client);
    ck_assert_uint_eq(lab_read_all(server, buffer, sizeof buffer, &end), 0);
    ck_assert_int_eq(end, 0);
    lab_until(no_flows, NULL);
}
END_TEST

static void reset_now(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
}

START_TEST(a_reset_is_carried_as_a_reset)
{
    uint8_t buffer[64];
    int end, ends[2];
    ends[0] = lab_client_connected(&ends[1]);
    reset_now(ends[_i]);
    ck_assert_uint_eq(lab_read_all(ends[1 - _i], buffer, sizeof buffer, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
    lab_until(no_flows, NULL);
}
END_TEST

START_TEST(a_reset_after_half_close_is_noticed)
{
    uint8_t buffer[64];
    int end, server, client = lab_client_connected(&server);
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    ck_assert_uint_eq(lab_read_all(server, buffer, sizeof buffer, &end), 0);
    ck_assert_int_eq(end, 0);
    reset_now(client);
    lab_until(no_flows, NULL);
}
END_TEST

START_TEST(a_refused_destination_is_a_reset_for_the_client)
{
    uint8_t byte;
    int end;
    lab.proxyd = LAB_REFUSE;
    int client = lab_client(NETADDR_V4, LAB_PORT);
    ck_assert_uint_eq(lab_read_all(client, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
    ck_assert_uint_eq(gate_counters_get()->refused, 1);
    lab_until(no_flows, NULL);
}
END_TEST

START_TEST(a_port_without_rule_resets_at_once)
{
    uint8_t byte;
    int end, client = lab_client(NETADDR_V4, LAB_PORT + 1);
    ck_assert_uint_eq(lab_read_all(client, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
    ck_assert_uint_eq(lab.connects, 0);
}
END_TEST

START_TEST(an_address_that_nobody_has_resets_at_once)
{
    static const struct netaddr nobodys[] = {{.family = NETADDR_NONE},
                                             {.family = NETADDR_V4, .bytes = {10, 1, 2, 3}}};
    uint8_t byte;
    int end, ends[2];
    struct netsock client = {.addr = {.family = NETADDR_V4}, .port = 9};
    struct netsock dest = {.addr = nobodys[_i], .port = 80};
    lab_tcp_pair(ends);
    tcp_flow_egress(1, &client, &dest, ends[0]);
    ck_assert_uint_eq(lab_read_all(ends[1], &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
}
END_TEST

START_TEST(a_syn_waits_for_its_destination_and_is_asked_for_once)
{
    lab.proxyd = LAB_SILENT;
    (void)lab_client(NETADDR_V4, LAB_PORT);
    lab_advance_ms(10000); /* the SYN comes several times */
    ck_assert_uint_eq(lab.connects, 1);
    ck_assert_uint_eq(gate_waiting(), 1);
    lab.proxyd = LAB_CONNECT;
    lab_turns(100);
    ck_assert_int_ge(lab.server, 0);
    ck_assert_uint_eq(gate_waiting(), 0);
}
END_TEST

START_TEST(a_syn_that_waits_too_long_is_forgotten)
{
    lab.proxyd = LAB_SILENT;
    (void)lab_client(NETADDR_V4, LAB_PORT);
    lab_advance_ms((GATE_TIMEOUT_S + 1) * 1000);
    ck_assert_uint_eq(gate_counters_get()->timed_out, 1);
    ck_assert_uint_ge(lab.cancels, 1);
}
END_TEST

START_TEST(without_proxyd_the_client_waits_and_is_served_later)
{
    lab.proxyd = LAB_DOWN;
    int client = lab_client(NETADDR_V4, LAB_PORT);
    lab_advance_ms(500);
    ck_assert_uint_eq(gate_waiting(), 0);
    lab.proxyd = LAB_CONNECT;
    lab_advance_ms(4000); /* TCP tries again */
    ck_assert_int_ge(lab.server, 0);
    transfer(client, lab.server, 1000);
}
END_TEST

START_TEST(a_slow_reader_stops_the_sender)
{
    int server, client = lab_client_connected(&server);
    size_t size = 64 * MEGABYTE, out = 0;
    uint8_t *data = malloc(size);
    ck_assert_ptr_nonnull(data);
    randombytes_buf(data, size);
    unsigned stalled = 0;
    while (out < size && stalled < 2000) {
        ssize_t n = send(client, data + out, size - out, MSG_DONTWAIT);
        stalled = n > 0 ? 0 : stalled + 1;
        out += n > 0 ? (size_t)n : 0;
        lab_turns(1);
        if (stalled % 100 == 99)
            lab_advance_ms(100);
    }
    /* Two windows of half a megabyte, and what the kernel's sockets hold. */
    ck_assert_msg(out < 24 * MEGABYTE, "%zu bytes went in without being read", out);
    ck_assert(out > MEGABYTE / 2);

    uint8_t *got = malloc(out);
    size_t in = 0;
    for (unsigned i = 0; in < out && i < LAB_TURNS; i++) {
        ssize_t n = recv(server, got + in, out - in, MSG_DONTWAIT);
        in += n > 0 ? (size_t)n : 0;
        lab_turns(1);
        if (n <= 0 && i % 64 == 63)
            lab_advance_ms(10);
    }
    ck_assert_uint_eq(in, out);
    ck_assert_mem_eq(got, data, out);
    free(got);
    free(data);
}
END_TEST

START_TEST(five_hundred_flows_open_at_once)
{
    int clients[200]; /* two flows each */
    for (unsigned i = 0; i < 200; i++)
        clients[i] = lab_client(NETADDR_V4, LAB_PORT);
    lab_turns(1000);
    ck_assert_uint_eq(tcp_flow_count(), 400);
    ck_assert_uint_eq(lab.connects, 200);
    for (unsigned i = 0; i < 200; i++)
        close(clients[i]);
    lab_turns(1000);
    tcp_flow_close_all();
    ck_assert_uint_eq(tcp_flow_count(), 0);
}
END_TEST

START_TEST(a_peer_cannot_speak_as_ourselves)
{
    uint8_t syn[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6}, echo[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1};
    struct netaddr own = lab_own(NETADDR_V4);
    for (unsigned i = 0; i < 2; i++) {
        memcpy(syn + 12 + 4 * i, own.bytes, 4);
        memcpy(echo + 12 + 4 * i, own.bytes, 4);
    }
    syn[20] = 200; /* from port 51200 */
    syn[23] = LAB_PORT;
    syn[32] = 0x50;
    syn[33] = 2;
    echo[20] = 8;
    netstack_input(syn, sizeof syn, NULL);
    netstack_input(echo, sizeof echo, NULL);
    lab_turns(10);
    ck_assert_uint_eq(lab.connects, 0);
    ck_assert_uint_eq(netstack_counters_get()->rx_foreign, 2);
    ck_assert_uint_eq(netstack_counters_get()->loop_packets, 0);
    memcpy(syn + 12, (uint8_t[]){100, 64, 0, 9}, 4); /* from another address it is let in */
    netstack_input(syn, sizeof syn, NULL);
    ck_assert_uint_eq(lab.connects, 1);
}
END_TEST

START_TEST(icmp6_is_echo_and_errors_alone)
{
    uint8_t packet[72] = {0x60, [5] = 32, [6] = 58, [7] = 255};
    struct netaddr own = lab_own(NETADDR_V6);
    memcpy(packet + 8, own.bytes, 16);
    packet[23] = 9; /* 200::9 */
    memcpy(packet + 24, own.bytes, 16);
    memcpy(packet + 48, own.bytes, 16); /* where a solicitation names its target */
    unsigned refused = 0;
    for (unsigned type = 0; type < 256; type++) {
        packet[40] = (uint8_t)type;
        netstack_input(packet, sizeof packet, NULL);
        bool wanted = (type >= 1 && type <= 4) || type == 128 || type == 129;
        refused += !wanted;
        ck_assert_uint_eq(netstack_counters_get()->rx_malformed, refused);
    }
    netstack_input(packet, 40, NULL);
    ck_assert_uint_eq(netstack_counters_get()->rx_malformed, refused + 1);
}
END_TEST

START_TEST(past_the_limit_new_flows_are_refused_and_old_ones_go_on)
{
    uint8_t byte;
    int end, server, client = lab_client_connected(&server);
    int more = lab_client(NETADDR_V4, LAB_PORT); /* the limit is 2 */
    ck_assert_uint_eq(lab_read_all(more, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
    transfer(client, server, MEGABYTE);
}
END_TEST

START_TEST(killing_a_rule_resets_its_flows)
{
    uint8_t byte;
    int end, server, client = lab_client_connected(&server);
    tcp_flow_kill_rule(LAB_RULE);
    ck_assert_uint_eq(lab_read_all(client, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
    ck_assert_uint_eq(lab_read_all(server, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
}
END_TEST

START_TEST(at_the_end_idle_flows_are_closed_in_order)
{
    uint8_t byte;
    int end, server, client = lab_client_connected(&server);
    tcp_flow_close_all();
    ck_assert_uint_eq(lab_read_all(client, &byte, 1, &end), 0);
    ck_assert_int_eq(end, 0);
    ck_assert_uint_eq(lab_read_all(server, &byte, 1, &end), 0);
    ck_assert_int_eq(end, 0);
}
END_TEST

START_TEST(at_the_end_a_flow_that_still_moves_is_reset)
{
    uint8_t byte, buffer[100];
    int end, server, client = lab_client_connected(&server);
    tcp_flow_drain();
    ck_assert(!tcp_flow_room());
    ck_assert(lab_write_all(server, buffer, sizeof buffer));
    lab_turns(50);
    ck_assert_int_eq(recv(client, buffer, sizeof buffer, 0), sizeof buffer);
    tcp_flow_close_all();
    ck_assert_uint_eq(lab_read_all(client, &byte, 1, &end), 0);
    ck_assert_int_eq(end, ECONNRESET);
}
END_TEST

START_TEST(nothing_is_left_after_many_short_flows)
{
    for (unsigned i = 0; i < 300; i++) {
        int server, client = lab_client_connected(&server);
        transfer(client, server, 100);
        close(_i == 0 ? client : server);
        lab_turns(20);
        close(_i == 0 ? server : client);
        lab_until(no_flows, NULL);
    }
    lab_advance_ms(10000); /* TIME-WAIT ends */
    ck_assert_uint_eq(netstack_tcp_count(), 0);
}
END_TEST

START_TEST(more_connections_than_ports_within_time_wait_still_open)
{
    enum { COUNT = 70000 }; /* there are 64,512 ports, and the clock stands still */
    struct netsock client = {.addr = {.family = NETADDR_V4}, .port = 9},
                   dest = {.addr = lab_own(NETADDR_V4), .port = LAB_PORT};
    int ends[2], inner[2];
    uint8_t byte;
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, inner), 0);
        lab.ready_pair = inner;
        tcp_flow_egress(LAB_RULE + 2, &client, &dest, ends[0]);
        close(ends[1]); /* the client closes first, so TIME-WAIT is on its side */
        ssize_t end = -1;
        for (unsigned turn = 0; turn < 40 && end != 0; turn++) {
            lab_turns(1);
            end = recv(inner[1], &byte, 1, 0);
        }
        ck_assert_int_eq(end, 0); /* it was connected, and the end came through */
        close(inner[1]);
        for (unsigned turn = 0; turn < 40 && tcp_flow_count() > 0; turn++)
            lab_turns(1);
        ck_assert_uint_eq(tcp_flow_count(), 0);
    }
}
END_TEST

static void start_tiny(void)
{
    lab_start(2, 64 * MEGABYTE);
}

int main(void)
{
    Suite *suite = suite_create("tcp_flow");
    TCase *flows = tcase_create("stories");
    tcase_set_timeout(flows, 60);
    tcase_add_checked_fixture(flows, start, NULL);
    tcase_add_test(flows, bytes_arrive_unchanged_both_ways);
    tcase_add_test(flows, ipv6_works_alike);
    tcase_add_test(flows, client_half_closes_and_still_gets_its_answer);
    tcase_add_test(flows, server_half_closes_and_still_hears_the_client);
    tcase_add_loop_test(flows, a_reset_is_carried_as_a_reset, 0, 2);
    tcase_add_test(flows, a_reset_after_half_close_is_noticed);
    tcase_add_test(flows, a_refused_destination_is_a_reset_for_the_client);
    tcase_add_test(flows, a_port_without_rule_resets_at_once);
    tcase_add_loop_test(flows, an_address_that_nobody_has_resets_at_once, 0, 2);
    tcase_add_test(flows, a_syn_waits_for_its_destination_and_is_asked_for_once);
    tcase_add_test(flows, a_syn_that_waits_too_long_is_forgotten);
    tcase_add_test(flows, without_proxyd_the_client_waits_and_is_served_later);
    tcase_add_test(flows, a_slow_reader_stops_the_sender);
    tcase_add_test(flows, five_hundred_flows_open_at_once);
    tcase_add_test(flows, a_peer_cannot_speak_as_ourselves);
    tcase_add_test(flows, icmp6_is_echo_and_errors_alone);
    tcase_add_test(flows, killing_a_rule_resets_its_flows);
    tcase_add_test(flows, at_the_end_idle_flows_are_closed_in_order);
    tcase_add_test(flows, at_the_end_a_flow_that_still_moves_is_reset);
    tcase_add_loop_test(flows, nothing_is_left_after_many_short_flows, 0, 2);
    suite_add_tcase(suite, flows);
    TCase *many = tcase_create("many");
    tcase_set_timeout(many, 120);
    tcase_add_checked_fixture(many, start, NULL);
    tcase_add_test(many, more_connections_than_ports_within_time_wait_still_open);
    suite_add_tcase(suite, many);
    TCase *limits = tcase_create("limits");
    tcase_add_checked_fixture(limits, start_tiny, NULL);
    tcase_add_test(limits, past_the_limit_new_flows_are_refused_and_old_ones_go_on);
    suite_add_tcase(suite, limits);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
