/* What TCP flows and what is left of them may hold, whatever peers and programs do: readers that do not read,
 * peers that never let go of a connection, far ends that are gone. */
#include "common/clock.h"
#include "lab_path.h"
#include "tests/unit/common/unit.h"
#include "tunneld/flow/tcp_flow_internal.h"
#include "tunneld/netstack/internal.h"
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20, SMALL_BUFFER = 16 * 1024, WINDOW = 512 * 1024, BEYOND = 200 * 1000 };

static bool no_flows(void *arg)
{
    (void)arg;
    return tcp_flow_count() == 0;
}

/* A connected pair whose kernel holds little; TCP on loopback would stall where its buffers hold less than
 * its segments. */
static void small_pair(int ends[2])
{
    int size = SMALL_BUFFER;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

/* A flow with little kernel in it; both ends are the test's. */
static void small_flow(int *client, int *server)
{
    int outer[2], inner[2];
    struct netsock from = {.addr = {.family = NETADDR_V4, .bytes = {127, 0, 0, 1}}, .port = 9};
    struct netsock dest = {.addr = lab_own(NETADDR_V4), .port = LAB_PORT};
    small_pair(outer);
    small_pair(inner);
    lab.ready_pair = inner;
    tcp_flow_egress(LAB_RULE + 2, &from, &dest, outer[0]);
    for (unsigned i = 0; i < 1000 && lab.server < 0; i++)
        lab_turns(1);
    ck_assert_int_eq(lab.server, inner[1]);
    lab_turns(50);
    *client = outer[1];
    *server = inner[1];
    lab.server = -1;
    lab.ready_pair = NULL;
}

/* The server sends more than the client's window holds and closes; the client has closed its direction and
 * does not read. What the window did not take is left behind in the stack. Returns the client's end. */
static int orphan_make(void)
{
    static uint8_t data[WINDOW + BEYOND];
    int client, server;
    small_flow(&client, &server);
    for (size_t out = 0, turn = 0; out < sizeof data; turn++) {
        ck_assert_uint_lt(turn, LAB_TURNS);
        ssize_t n = send(server, data + out, sizeof data - out, MSG_DONTWAIT | MSG_NOSIGNAL);
        out += n > 0 ? (size_t)n : 0;
        lab_turns(1);
        if (turn % 16 == 15)
            lab_advance_ms(10); /* the pace is by the clock */
    }
    close(server);
    lab_turns(100);
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    lab_turns(100);
    lab_advance_ms(100);
    return client;
}

START_TEST(an_orphan_with_a_closed_window_counts_and_is_given_up)
{
    lab_start(100, 64 * MEGABYTE);
    int client = orphan_make();
    ck_assert_uint_eq(tcp_flow_count(), 1); /* the client's half */
    ck_assert_uint_eq(netstack.orphan_count, 1);
    ck_assert_uint_ge(netstack.orphan_bytes, BEYOND / 2);
    ck_assert_uint_le(netstack_memory_left(), 64 * MEGABYTE - netstack.orphan_bytes - WINDOW / 2);
    lab_advance_ms(60000);
    ck_assert_uint_eq(netstack.orphan_count, 1); /* its peer has time */
    lab_advance_ms(140000);
    ck_assert_uint_eq(netstack.orphan_count, 0); /* but not for ever, though it answers each probe */
    lab_until(no_flows, NULL);
    ck_assert_uint_eq(netstack_memory_left(), 64 * MEGABYTE);
    close(client);
}
END_TEST

START_TEST(an_orphan_whose_peer_reads_on_is_delivered)
{
    static uint8_t got[WINDOW + BEYOND];
    int end;
    lab_start(100, 64 * MEGABYTE);
    int client = orphan_make();
    ck_assert_uint_eq(netstack.orphan_count, 1);
    lab_advance_ms(20000);
    ck_assert_uint_eq(lab_read_all(client, got, sizeof got, &end), sizeof got);
    ck_assert_int_eq(end, 0);
    lab_until(no_flows, NULL);
    lab_advance_ms(10000);
    ck_assert_uint_eq(netstack.orphan_count, 0);
    ck_assert_uint_eq(netstack.orphan_bytes, 0);
    ck_assert_uint_eq(netstack_memory_left(), 64 * MEGABYTE);
}
END_TEST

START_TEST(past_the_bound_of_orphans_the_next_is_reset)
{
    lab_start(100, 64 * MEGABYTE);
    netstack.orphans_max = 1;
    (void)orphan_make();
    ck_assert_uint_eq(netstack.orphan_count, 1);
    (void)orphan_make();
    ck_assert_uint_eq(netstack.orphan_count, 1);
    ck_assert_uint_eq(tcp_flow_count(), 1); /* the other one's client was reset, which ended its flow */
}
END_TEST

static void connect_far(int *client, int *server)
{
    struct netaddr far = lab_far(NETADDR_V4);
    *client = lab_client_to(&far, LAB_PORT);
    for (unsigned i = 0; i < 2000 && lab.server < 0; i++)
        (void)lab_path_run(NS_PER_MS, NULL, NULL);
    ck_assert_int_ge(lab.server, 0);
    *server = lab.server;
    (void)lab_path_run(NS_PER_S, NULL, NULL);
}

START_TEST(an_orphan_that_nobody_acknowledges_is_given_up)
{
    int client, server;
    lab_start(100, 64 * MEGABYTE);
    lab_path_start();
    connect_far(&client, &server);
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    (void)lab_path_run(NS_PER_S, NULL, NULL);
    lab_path.dark = true;
    close(server);
    (void)lab_path_run(60 * NS_PER_S, NULL, NULL);
    ck_assert_uint_eq(netstack.orphan_count, 1);
    (void)lab_path_run(120 * NS_PER_S, NULL, NULL);
    ck_assert_uint_eq(netstack.orphan_count, 0);
    close(client);
}
END_TEST

START_TEST(a_half_closed_flow_whose_far_end_vanished_is_found)
{
    uint8_t byte;
    int client, server;
    lab_start(100, 64 * MEGABYTE);
    lab_path_start();
    connect_far(&client, &server);
    ck_assert_int_eq(shutdown(_i == 0 ? client : server, SHUT_WR), 0);
    (void)lab_path_run(200 * NS_PER_S, NULL, NULL);
    ck_assert_uint_eq(tcp_flow_count(), 2); /* quiet is not gone */
    lab_path.dark = true;
    ck_assert(lab_path_run(200 * NS_PER_S, no_flows, NULL));
    if (_i == 0) {
        ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), -1);
        ck_assert_int_eq(errno, ECONNRESET);
    }
}
END_TEST

/* Both directions of the test: nobody reads, until everybody does. */
START_TEST(readers_that_do_not_read_hold_little_past_the_budget)
{
    enum {
        FLOWS = 20,
        SIZE = 700 * 1000,
        BUDGET = 2 * MEGABYTE,
        PIECE = 64 * 1024,
        LITTLE = 20 * 1024,
        IDLE_TURNS = 3000
    };
    static uint8_t data[SIZE], got[FLOWS][SIZE];
    int clients[FLOWS], servers[FLOWS];
    size_t out[FLOWS] = {0}, in[FLOWS] = {0}, most = 0, total = 0;
    lab_start(100, BUDGET);
    randombytes_buf(data, sizeof data);
    for (unsigned i = 0; i < FLOWS; i++)
        small_flow(&clients[i], &servers[i]);
    for (unsigned turn = 0; turn < LAB_TURNS && total < (size_t)FLOWS * SIZE; turn++) {
        bool reading = turn >= IDLE_TURNS;
        total = 0;
        for (unsigned i = 0; i < FLOWS; i++) {
            ssize_t n = send(clients[i], data + out[i], SIZE - out[i], MSG_DONTWAIT | MSG_NOSIGNAL);
            out[i] += n > 0 ? (size_t)n : 0;
            n = reading ? recv(servers[i], got[i] + in[i], SIZE - in[i], MSG_DONTWAIT) : 0;
            in[i] += n > 0 ? (size_t)n : 0;
            total += in[i];
        }
        lab_turns(1);
        if (tcp_flows.memory_bytes > most)
            most = tcp_flows.memory_bytes;
        if (turn % 16 == 15)
            lab_advance_ms(10);
        if (turn == IDLE_TURNS - 1)
            ck_assert_msg(tcp_flows.memory_bytes > BUDGET, "nothing was short: %zu bytes",
                          tcp_flows.memory_bytes);
    }
    ck_assert_msg(most <= BUDGET + PIECE + (size_t)FLOWS * (PIECE + LITTLE), "%zu bytes were held", most);
    for (unsigned i = 0; i < FLOWS; i++) {
        ck_assert_uint_eq(in[i], SIZE);
        ck_assert_mem_eq(got[i], data, SIZE);
    }
}
END_TEST

struct carry {
    int from, to;
    size_t sent, received, size;
    unsigned segments; /* most at a time */
};

static bool carried(void *arg)
{
    struct carry *c = arg;
    static uint8_t bytes[65536];
    size_t room = c->size - c->sent < sizeof bytes ? c->size - c->sent : sizeof bytes;
    ssize_t n = room > 0 ? send(c->from, bytes, room, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    c->sent += n > 0 ? (size_t)n : 0;
    n = recv(c->to, bytes, sizeof bytes, MSG_DONTWAIT);
    c->received += n > 0 ? (size_t)n : 0;
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next)
        if (pcb->snd_queuelen > c->segments)
            c->segments = pcb->snd_queuelen;
    return c->received == c->size;
}

START_TEST(a_peer_that_wants_tiny_segments_makes_few_of_them)
{
    enum { SEGMENTS_MOST = 1024 + 128 + 80 };
    struct carry carry = {.size = 60000};
    lab_start(100, 64 * MEGABYTE);
    lab_path_start();
    lab_path.delay_ns = 5 * NS_PER_MS;
    lab_path.mss = _i == 0 ? 1 : 4;
    connect_far(&carry.to, &carry.from);
    ck_assert(lab_path_run(100 * NS_PER_S, carried, &carry));
    ck_assert_uint_gt(carry.segments, 100); /* they are tiny */
    ck_assert_uint_le(carry.segments, SEGMENTS_MOST);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, an_orphan_with_a_closed_window_counts_and_is_given_up);
    tcase_add_test(tcase, an_orphan_whose_peer_reads_on_is_delivered);
    tcase_add_test(tcase, past_the_bound_of_orphans_the_next_is_reset);
    tcase_add_test(tcase, an_orphan_that_nobody_acknowledges_is_given_up);
    tcase_add_loop_test(tcase, a_half_closed_flow_whose_far_end_vanished_is_found, 0, 2);
    tcase_add_loop_test(tcase, a_peer_that_wants_tiny_segments_makes_few_of_them, 0, 2);
    tcase_add_test(tcase, readers_that_do_not_read_hold_little_past_the_budget);
}

int main(void)
{
    return unit_run("tcp_memory", fill);
}
