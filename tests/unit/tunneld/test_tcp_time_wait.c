/* The last packets of a connection that all come in one batch, before its flow has its turn: the peer's FIN,
 * which puts the connection in TIME-WAIT, and right behind it what ends TIME-WAIT early. The mesh is played
 * here, packet by packet. */
#include "common/err.h"
#include "lab.h"
#include "tests/unit/common/unit.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/netstack/netstack.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, HEADS = 40, PACKET_MAX = 2048, LAST_WORDS = 5 };

static struct far {
    uint8_t leaving[PACKET_MAX];
    uint16_t port;         /* of our side */
    uint32_t seq, ack;     /* what comes next from the far end; what it has got */
    unsigned resets, fins; /* that were sent to it */
} far;

static uint32_t get32(const uint8_t *from)
{
    return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

static void put32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int mesh_begin(const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)dst;
    ck_assert_uint_le(length, sizeof far.leaving);
    memset(far.leaving, 0, sizeof far.leaving);
    *slot = far.leaving;
    return NX_OK;
}

static void mesh_end(void)
{
    const uint8_t *tcp = far.leaving + 20;
    size_t total = (size_t)far.leaving[2] << 8 | far.leaving[3],
           data = total - 20 - (size_t)(tcp[12] >> 4) * 4;
    far.port = (uint16_t)(tcp[0] << 8 | tcp[1]);
    far.resets += (tcp[13] & RST) != 0;
    far.fins += (tcp[13] & FIN) != 0;
    uint32_t end = get32(tcp + 4) + (uint32_t)data + ((tcp[13] & (SYN | FIN)) != 0);
    if (tcp[13] & SYN || (int32_t)(end - far.ack) > 0)
        far.ack = end;
}

static void far_says(uint8_t flags, uint32_t seq, size_t data)
{
    uint8_t packet[HEADS + LAST_WORDS] = {0x45, [8] = 64, [9] = 6, [12] = 100, [13] = 64, [15] = 9};
    struct netaddr own = lab_own(NETADDR_V4);
    ck_assert_uint_le(data, LAST_WORDS);
    packet[3] = (uint8_t)(HEADS + data);
    memcpy(packet + 16, own.bytes, 4);
    packet[21] = LAB_PORT;
    packet[22] = (uint8_t)(far.port >> 8);
    packet[23] = (uint8_t)far.port;
    put32(packet + 24, seq);
    put32(packet + 28, far.ack);
    packet[32] = 0x50;
    packet[33] = flags;
    packet[34] = 0x40; /* window */
    memcpy(packet + HEADS, "adieu", data);
    netstack_input(packet, HEADS + data, NULL);
}

/* A connection whose client has closed its direction, and the far end knows. Returns the client's socket. */
static int half_closed(void)
{
    struct netaddr addr;
    lab_start(100, 1 << 20);
    lab_mesh_begin = mesh_begin;
    lab_mesh_end = mesh_end;
    ck_assert_int_eq(netaddr_parse("100.64.0.9", &addr), NX_OK);
    int client = lab_client_to(&addr, LAB_PORT);
    lab_turns(10);
    far.seq = 5000;
    far_says(SYN | ACK, far.seq++, 0);
    lab_turns(10);
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    for (unsigned i = 0; i < LAB_TURNS && far.fins == 0; i++)
        lab_turns(1);
    ck_assert_uint_eq(far.fins, 1);
    return client;
}

/* Everything arrived and both ends are in order: the socket says end of file, not reset. */
static void expect_ordered_end(int client, size_t data)
{
    uint8_t got[LAST_WORDS + 1];
    int end;
    ck_assert_uint_eq(lab_read_all(client, got, sizeof got, &end), data);
    ck_assert_int_eq(end, 0);
    ck_assert_int_eq(memcmp(got, "adieu", data), 0);
    lab_turns(10);
    ck_assert_uint_eq(tcp_flow_count(), 0);
    ck_assert_uint_eq(tcp_flow_counters_get()->reset_by_mesh, 0);
    ck_assert_uint_eq(netstack_memory_left(), 1 << 20);
    close(client);
}

START_TEST(a_reset_behind_the_last_fin)
{
    size_t data = _i == 0 ? 0 : LAST_WORDS;
    int client = half_closed();
    far_says(FIN | ACK | PSH, far.seq, data); /* acknowledges our FIN: TIME-WAIT */
    far_says(RST, far.seq + (uint32_t)data + 1, 0);
    ck_assert_uint_eq(netstack_tcp_count(), 0); /* gone, and the flow has not had its turn yet */
    ck_assert_uint_eq(tcp_flow_count(), 1);
    expect_ordered_end(client, data);
}
END_TEST

START_TEST(a_reset_behind_ends_that_crossed)
{
    int client = half_closed();
    far.ack--;
    far_says(FIN | ACK, far.seq, 0); /* our FIN is still on its way: CLOSING */
    far.ack++;
    far_says(ACK, far.seq + 1, 0); /* TIME-WAIT */
    far_says(RST, far.seq + 1, 0);
    ck_assert_uint_eq(netstack_tcp_count(), 0);
    expect_ordered_end(client, 0);
}
END_TEST

START_TEST(a_new_beginning_behind_the_last_fin)
{
    int client = half_closed();
    far_says(FIN | ACK | PSH, far.seq, LAST_WORDS);
    far_says(SYN, far.seq + 100000, 0); /* nobody listens there, but TIME-WAIT is over */
    ck_assert_uint_eq(netstack_tcp_count(), 0);
    expect_ordered_end(client, LAST_WORDS);
}
END_TEST

START_TEST(a_reset_in_time_wait_after_the_flow_has_ended)
{
    int client = half_closed();
    far_says(FIN | ACK, far.seq, 0);
    lab_turns(10);
    ck_assert_uint_eq(tcp_flow_count(), 0);
    ck_assert_uint_eq(netstack_tcp_count(), 1);
    far_says(RST, far.seq + 1, 0);
    ck_assert_uint_eq(netstack_tcp_count(), 0);
    expect_ordered_end(client, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_reset_behind_the_last_fin, 0, 2);
    tcase_add_test(tcase, a_reset_behind_ends_that_crossed);
    tcase_add_test(tcase, a_new_beginning_behind_the_last_fin);
    tcase_add_test(tcase, a_reset_in_time_wait_after_the_flow_has_ended);
}

int main(void)
{
    return unit_run("tcp_time_wait", fill);
}
