/* Whole flows, host socket to host socket, over every kind of bad path, on the lab's clock: the bytes arrive
 * as they were sent, in a time that the path explains, and what was not lost is not sent again. */
#include "common/clock.h"
#include "lab_path.h"
#include "tests/unit/common/unit.h"
#include "tunneld/netstack/netstack.h"
#include "tunneld/netstack/tcp_conn.h"
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20, MEMORY = 64 << 20 };

struct transfer {
    int from, to;
    const uint8_t *data;
    uint8_t *got;
    size_t size, sent, received, receive_most; /* most = bytes the reader takes in a step; 0 = all */
    bool ended;
};

static void transfer_step(struct transfer *t)
{
    if (t->sent < t->size) {
        ssize_t n = send(t->from, t->data + t->sent, t->size - t->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        t->sent += n > 0 ? (size_t)n : 0;
        if (t->sent == t->size)
            shutdown(t->from, SHUT_WR);
    }
    size_t room = t->size - t->received;
    if (t->receive_most != 0 && room > t->receive_most)
        room = t->receive_most;
    uint8_t extra;
    ssize_t n = room > 0 ? recv(t->to, t->got + t->received, room, MSG_DONTWAIT)
                         : recv(t->to, &extra, 1, MSG_DONTWAIT);
    ck_assert_msg(n >= 0 || errno == EAGAIN, "the reader: %s", strerror(errno));
    if (n == 0)
        t->ended = true;
    t->received += n > 0 && room > 0 ? (size_t)n : 0;
}

static bool both_ended(void *arg)
{
    struct transfer *t = arg;
    transfer_step(&t[0]);
    transfer_step(&t[1]);
    return t[0].ended && t[1].ended;
}

static void connect_far(uint8_t family, int *client, int *server)
{
    struct netaddr far = lab_far(family);
    *client = lab_client_to(&far, LAB_PORT);
    for (unsigned i = 0; i < 20000 && lab.server < 0; i++)
        (void)lab_path_run(NS_PER_MS, NULL, NULL);
    ck_assert_int_ge(lab.server, 0);
    *server = lab.server;
    lab.server = -1;
}

/* Both directions at once; returns the simulated seconds that it took. */
static double exchange(uint8_t family, size_t up, size_t down, double limit_s)
{
    int client, server;
    connect_far(family, &client, &server);
    size_t most = up > down ? up : down;
    uint8_t *data = malloc(most);
    ck_assert_ptr_nonnull(data);
    randombytes_buf_deterministic(data, most, (const uint8_t[randombytes_SEEDBYTES]){42});
    struct transfer t[2] = {
        {.from = client, .to = server, .data = data, .size = up, .got = malloc(up + 1)},
        {.from = server, .to = client, .data = data, .size = down, .got = malloc(down + 1)}};
    uint64_t begin_ns = lab_now_ns();
    bool done = lab_path_run((uint64_t)(limit_s * 1e9), both_ended, t);
    ck_assert_msg(done, "%zu of %zu and %zu of %zu bytes in %.1f s", t[0].received, up, t[1].received, down,
                  limit_s);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_eq(t[i].received, t[i].size);
        ck_assert_mem_eq(t[i].got, data, t[i].size);
        free(t[i].got);
    }
    free(data);
    double took = (double)(lab_now_ns() - begin_ns) / 1e9;
    close(client);
    close(server);
    return took;
}

static void start(uint64_t rtt_ms)
{
    lab_start(100, MEMORY);
    lab_path_start();
    lab_path.delay_ns = rtt_ms * NS_PER_MS / 2;
}

/* Sums of all connections there are; taken before they end. */
struct sums {
    uint64_t sent, again, timeouts, echoes;
};
static struct sums sums;

static void sums_take(void)
{
    struct sums now = {0};
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
        const struct tcp_conn *conn = tcp_conn_of(pcb);
        now.sent += conn->sender.stats.sent_bytes;
        now.again += conn->sender.stats.retransmitted_bytes;
        now.echoes += conn->sender.stats.echoes;
        now.timeouts += conn->sender.stats.timeouts;
    }
    if (now.sent >= sums.sent)
        sums = now;
}

static bool upload_step(void *arg)
{
    struct transfer *t = arg;
    transfer_step(t);
    sums_take();
    return t->received == t->size;
}

/* One direction without an end of file, so that the connection can be looked at; Mbit/s. */
static double upload(size_t size, double limit_s)
{
    int client, server;
    connect_far(NETADDR_V4, &client, &server);
    uint8_t *data = calloc(1, size);
    struct transfer t = {.from = client, .to = server, .data = data, .size = size, .got = malloc(size)};
    uint64_t begin_ns = lab_now_ns();
    ck_assert_msg(lab_path_run((uint64_t)(limit_s * 1e9), upload_step, &t), "%zu of %zu bytes", t.received,
                  size);
    free(t.got);
    free(data);
    return (double)size * 8 * 1e3 / (double)(lab_now_ns() - begin_ns);
}

START_TEST(a_clean_path)
{
    start(20);
    ck_assert_double_lt(exchange(NETADDR_V4, 4 * MEGABYTE, 3 * MEGABYTE, 10), 1.5);
    ck_assert_double_lt(exchange(NETADDR_V6, 4 * MEGABYTE, 3 * MEGABYTE, 10), 1.5);
}
END_TEST

/* No honest peer's TCP is fragmented, but nothing keeps one from it; the last fragment of a datagram may be
 * empty. */
START_TEST(fragments_carry_as_well)
{
    start(20);
    lab_path.fragments = true;
    (void)exchange(NETADDR_V4, MEGABYTE, MEGABYTE / 2, 60);
    (void)exchange(NETADDR_V6, MEGABYTE, MEGABYTE / 2, 60);
}
END_TEST

START_TEST(losses_do_not_stop_a_flow)
{
    start(80);
    lab_path.loss = 0.01;
    double mbit = upload(40 * MEGABYTE, 30);
    ck_assert_msg(mbit > 50, "%.1f Mbit/s", mbit);
    ck_assert_uint_eq(sums.timeouts, 0);
    double lost = (double)lab_path.lost / (double)lab_path.packets,
           again = (double)sums.again / (double)sums.sent;
    ck_assert_msg(again < lost + 0.02, "%.2f %% again, %.2f %% lost", again * 100, lost * 100);
}
END_TEST

/* Whatever holds the sender back, a rate or the windows alone: no storm, with either algorithm. */
START_TEST(only_what_was_lost_goes_again)
{
    static const char *const algorithms[] = {"bbr", "cubic"};
    static const double losses[] = {0.001, 0.01, 0.03};
    start(20);
    for (size_t i = 0; i < 12; i++) {
        ck_assert_int_eq(netstack_congestion_control(algorithms[i / 6]), 0);
        lab_path.loss = losses[i % 3];
        lab_path.rate = i / 3 % 2 ? 50 * 1000 * 1000 / 8 : 0;
        lab_path.queue_ns = 50 * NS_PER_MS;
        lab_path.lost = lab_path.queue_drops = lab_path.packets = 0;
        sums = (struct sums){0};
        (void)upload(4 * MEGABYTE, 60);
        double lost = (double)(lab_path.lost + lab_path.queue_drops) / (double)lab_path.packets,
               again = (double)sums.again / (double)sums.sent;
        ck_assert_msg(again < lost + 0.02, "%s, rate %lu: %.2f %% again, %.2f %% lost", algorithms[i / 6],
                      (unsigned long)lab_path.rate, again * 100, lost * 100);
    }
}
END_TEST

/* What arrives within so many seconds from the first byte on; Mbit/s. */
static double opening(double seconds)
{
    int client, server;
    connect_far(NETADDR_V4, &client, &server);
    size_t size = 512 * MEGABYTE;
    uint8_t *data = calloc(1, size);
    struct transfer t = {.from = client, .to = server, .data = data, .size = size, .got = malloc(size)};
    (void)lab_path_run((uint64_t)(seconds * 1e9), upload_step, &t);
    double mbit = (double)t.received * 8 / seconds / 1e6;
    close(client);
    close(server);
    (void)lab_path_run(60 * NS_PER_S, NULL, NULL);
    ck_assert_ptr_null(tcp_active_pcbs);
    free(t.got);
    free(data);
    return mbit;
}

/* On such a path the application gets bytes only every second or third round trip. Windows that follow what
 * it takes, and not how far the sender has got, keep the opening from opening. */
START_TEST(losses_on_a_long_path_do_not_hold_the_windows_back)
{
    start(200);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        lab_path_seed(seed);
        lab_path.loss = 0.01;
        lab_path.rate = 150 * 1000 * 1000 / 8;
        lab_path.queue_ns = 20 * NS_PER_MS;
        double mbit = opening(8);
        ck_assert_msg(mbit > 80, "seed %u: %.1f Mbit/s", (unsigned)seed, mbit);
    }
}
END_TEST

START_TEST(heavy_losses_only_slow_it_down)
{
    start(20);
    lab_path.loss = 0.1;
    (void)exchange(NETADDR_V4, MEGABYTE, MEGABYTE, 120);
}
END_TEST

START_TEST(reordering_is_not_loss)
{
    start(20);
    lab_path.jitter_ns = 2 * NS_PER_MS;
    double mbit = upload(20 * MEGABYTE, 30);
    ck_assert_msg(mbit > 40, "%.1f Mbit/s", mbit);
    ck_assert_double_lt((double)sums.again, 0.01 * (double)sums.sent);
}
END_TEST

START_TEST(everything_at_once)
{
    start(40);
    lab_path.jitter_ns = 5 * NS_PER_MS;
    lab_path.loss = 0.02;
    lab_path.duplicate = 0.02;
    (void)exchange(NETADDR_V4, 4 * MEGABYTE, 4 * MEGABYTE, 60);
    (void)exchange(NETADDR_V6, 4 * MEGABYTE, 4 * MEGABYTE, 60);
}
END_TEST

START_TEST(far_ends_without_options)
{
    for (unsigned i = 0; i < 3; i++) {
        if (i == 0)
            start(20);
        lab_path.loss = 0.005;
        lab_path.no_sack = i != 1;
        lab_path.no_scale = i != 0;
        (void)exchange(NETADDR_V4, MEGABYTE, MEGABYTE, 60);
    }
}
END_TEST

START_TEST(a_narrow_path_with_a_short_queue)
{
    start(40);
    lab_path.rate = 20 * 1000 * 1000 / 8;
    lab_path.queue_ns = 30 * NS_PER_MS;
    double mbit = upload(12 * MEGABYTE, 30);
    ck_assert_msg(mbit > 13, "%.1f Mbit/s", mbit);
    ck_assert_double_lt((double)sums.again, 0.05 * (double)sums.sent);
}
END_TEST

/* A queue that marks keeps every packet, and stays short. */
START_TEST(marks_slow_a_flow_down_before_anything_is_dropped)
{
    static const char *const algorithms[] = {"bbr", "cubic"};
    start(40);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(netstack_congestion_control(algorithms[i]), 0);
        lab_path.rate = 20 * 1000 * 1000 / 8;
        lab_path.queue_ns = 200 * NS_PER_MS;
        lab_path.mark_ns = 10 * NS_PER_MS;
        lab_path.marked = lab_path.ect = 0;
        sums = (struct sums){0};
        double mbit = upload(16 * MEGABYTE, 30);
        ck_assert_msg(mbit > 11, "%s: %.1f Mbit/s", algorithms[i], mbit);
        ck_assert_uint_gt(lab_path.marked, 0);
        ck_assert_uint_gt(sums.echoes, 0);
        ck_assert_uint_eq(lab_path.queue_drops, 0);
        ck_assert_uint_eq(sums.again, 0);
        ck_assert_uint_eq(lab_path.wrong_ect, 0);
    }
    (void)exchange(NETADDR_V6, 2 * MEGABYTE, 2 * MEGABYTE, 30);
    ck_assert_uint_eq(lab_path.wrong_ect, 0);
}
END_TEST

START_TEST(a_far_end_without_notification_gets_no_marks)
{
    start(20);
    lab_path.rate = 20 * 1000 * 1000 / 8;
    lab_path.queue_ns = 50 * NS_PER_MS;
    lab_path.mark_ns = NS_PER_MS;
    lab_path.no_ecn = true;
    (void)exchange(NETADDR_V4, 2 * MEGABYTE, 2 * MEGABYTE, 30);
    ck_assert_uint_eq(lab_path.ect, 0);
    ck_assert_uint_eq(lab_path.wrong_ect, 0);
}
END_TEST

static bool slow_step(void *arg)
{
    static uint64_t last_ns;
    struct transfer *t = arg;
    if (lab_now_ns() - last_ns >= 100 * NS_PER_MS) { /* the reader looks up ten times a second */
        last_ns = lab_now_ns();
        transfer_step(t);
    } else {
        size_t most = t->receive_most;
        t->receive_most = 0;
        if (t->sent < t->size) {
            ssize_t n = send(t->from, t->data + t->sent, t->size - t->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            t->sent += n > 0 ? (size_t)n : 0;
        }
        t->receive_most = most;
    }
    return t->received == t->size;
}

START_TEST(a_reader_that_pauses_closes_and_opens_the_window)
{
    int client, server;
    start(20);
    lab_path.loss = 0.02; /* probes and window updates are lost too */
    connect_far(NETADDR_V4, &client, &server);
    size_t size = 32 * MEGABYTE;
    uint8_t *data = malloc(size);
    randombytes_buf_deterministic(data, size, (const uint8_t[randombytes_SEEDBYTES]){7});
    struct transfer t = {
        .from = client, .to = server, .data = data, .size = size, .got = malloc(size), .receive_most = 65536};
    (void)lab_path_run(20 * NS_PER_S, slow_step, &t);
    ck_assert_uint_lt(t.received, size);
    t.receive_most = 4 * MEGABYTE;
    ck_assert(lab_path_run(120 * NS_PER_S, slow_step, &t));
    ck_assert_mem_eq(t.got, data, size);
    free(t.got);
    free(data);
}
END_TEST

START_TEST(a_minute_in_the_dark)
{
    int client, server;
    start(80);
    connect_far(NETADDR_V4, &client, &server);
    size_t size = 64 * MEGABYTE;
    uint8_t *data = calloc(1, size);
    struct transfer t = {.from = client, .to = server, .data = data, .size = size, .got = malloc(size)};
    (void)lab_path_run(NS_PER_S, upload_step, &t);
    ck_assert_uint_gt(t.received, 0);
    ck_assert_uint_lt(t.received, size);
    lab_path.dark = true;
    uint64_t packets = lab_path.packets;
    (void)lab_path_run(60 * NS_PER_S, upload_step, &t);
    ck_assert_uint_lt(lab_path.packets - packets, 30000);
    lab_path.dark = false;
    size_t before = t.received;
    (void)lab_path_run(2 * NS_PER_S, upload_step, &t);
    ck_assert_uint_gt(t.received, before);
    ck_assert(lab_path_run(60 * NS_PER_S, upload_step, &t));
    free(t.got);
    free(data);
}
END_TEST

START_TEST(a_handshake_through_losses)
{
    start(40);
    lab_path.loss = 0.3;
    int client[10], server[10];
    for (unsigned i = 0; i < 10; i++)
        connect_far(NETADDR_V4, &client[i], &server[i]);
    lab_path.loss = 0;
    (void)lab_path_run(10 * NS_PER_S, NULL, NULL);
    for (unsigned i = 0; i < 10; i++) {
        close(client[i]);
        close(server[i]);
    }
    (void)lab_path_run(10 * NS_PER_S, NULL, NULL);
    ck_assert_ptr_null(tcp_active_pcbs);
    ck_assert_ptr_null(tcp_tw_pcbs);
}
END_TEST

START_TEST(nothing_is_left_when_all_is_over)
{
    start(20);
    lab_path.loss = 0.05;
    lab_path.jitter_ns = 3 * NS_PER_MS;
    (void)exchange(NETADDR_V4, 2 * MEGABYTE, 2 * MEGABYTE, 60);
    (void)lab_path_run(60 * NS_PER_S, NULL, NULL);
    ck_assert_ptr_null(tcp_active_pcbs);
    ck_assert_ptr_null(tcp_tw_pcbs);
    ck_assert_uint_eq(netstack_memory_left(), MEMORY);
}
END_TEST

START_TEST(cubic_carries_too)
{
    start(20);
    ck_assert_int_ne(netstack_congestion_control("vegas"), 0);
    ck_assert_int_eq(netstack_congestion_control("cubic"), 0);
    lab_path.loss = 0.001;
    (void)exchange(NETADDR_V4, 4 * MEGABYTE, 4 * MEGABYTE, 60);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_clean_path);
    tcase_add_test(tcase, fragments_carry_as_well);
    tcase_add_test(tcase, losses_do_not_stop_a_flow);
    tcase_add_test(tcase, only_what_was_lost_goes_again);
    tcase_add_test(tcase, losses_on_a_long_path_do_not_hold_the_windows_back);
    tcase_add_test(tcase, heavy_losses_only_slow_it_down);
    tcase_add_test(tcase, reordering_is_not_loss);
    tcase_add_test(tcase, everything_at_once);
    tcase_add_test(tcase, far_ends_without_options);
    tcase_add_test(tcase, a_narrow_path_with_a_short_queue);
    tcase_add_test(tcase, marks_slow_a_flow_down_before_anything_is_dropped);
    tcase_add_test(tcase, a_far_end_without_notification_gets_no_marks);
    tcase_add_test(tcase, a_reader_that_pauses_closes_and_opens_the_window);
    tcase_add_test(tcase, a_minute_in_the_dark);
    tcase_add_test(tcase, a_handshake_through_losses);
    tcase_add_test(tcase, nothing_is_left_when_all_is_over);
    tcase_add_test(tcase, cubic_carries_too);
}

int main(void)
{
    return unit_run("tcp_paths", fill);
}
