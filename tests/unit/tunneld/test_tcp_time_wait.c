/* The last packets of a connection that all come in one batch, before its flow has its turn: the peer's
 * FIN, which puts the connection in TIME-WAIT, and right behind it what ends TIME-WAIT early. The mesh is
 * played here, packet by packet. */
#include "lab_far.h"
#include "tests/unit/common/unit.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/netstack/netstack.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection whose client has closed its direction, and the far end knows. Returns the client's socket. */
static int half_closed(void)
{
    lab_start(100, 1 << 20);
    lab_far_end.window = 0x4000;
    int client = lab_far_connected();
    ck_assert_int_eq(shutdown(client, SHUT_WR), 0);
    for (unsigned i = 0; i < LAB_TURNS && lab_far_end.fins == 0; i++)
        lab_turns(1);
    ck_assert_uint_eq(lab_far_end.fins, 1);
    return client;
}

/* Everything arrived and both ends are in order: the socket says end of file, not reset. */
static void expect_ordered_end(int client, size_t data)
{
    uint8_t got[FAR_WORDS + 1];
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
    size_t data = _i == 0 ? 0 : FAR_WORDS;
    int client = half_closed();
    lab_far_says(FAR_FIN | FAR_ACK | FAR_PSH, lab_far_end.seq, data); /* acknowledges our FIN: TIME-WAIT */
    lab_far_says(FAR_RST, lab_far_end.seq + (uint32_t)data + 1, 0);
    ck_assert_uint_eq(netstack_tcp_count(), 0); /* gone, and the flow has not had its turn yet */
    ck_assert_uint_eq(tcp_flow_count(), 1);
    expect_ordered_end(client, data);
}
END_TEST

START_TEST(a_reset_behind_ends_that_crossed)
{
    int client = half_closed();
    lab_far_end.ack--;
    lab_far_says(FAR_FIN | FAR_ACK, lab_far_end.seq, 0); /* our FIN is still on its way: CLOSING */
    lab_far_end.ack++;
    lab_far_says(FAR_ACK, lab_far_end.seq + 1, 0); /* TIME-WAIT */
    lab_far_says(FAR_RST, lab_far_end.seq + 1, 0);
    ck_assert_uint_eq(netstack_tcp_count(), 0);
    expect_ordered_end(client, 0);
}
END_TEST

START_TEST(a_new_beginning_behind_the_last_fin)
{
    int client = half_closed();
    lab_far_says(FAR_FIN | FAR_ACK | FAR_PSH, lab_far_end.seq, FAR_WORDS);
    lab_far_says(FAR_SYN, lab_far_end.seq + 100000, 0); /* nobody listens there, but TIME-WAIT is over */
    ck_assert_uint_eq(netstack_tcp_count(), 0);
    expect_ordered_end(client, FAR_WORDS);
}
END_TEST

START_TEST(a_reset_in_time_wait_after_the_flow_has_ended)
{
    int client = half_closed();
    lab_far_says(FAR_FIN | FAR_ACK, lab_far_end.seq, 0);
    lab_turns(10);
    ck_assert_uint_eq(tcp_flow_count(), 0);
    ck_assert_uint_eq(netstack_tcp_count(), 1);
    lab_far_says(FAR_RST, lab_far_end.seq + 1, 0);
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
