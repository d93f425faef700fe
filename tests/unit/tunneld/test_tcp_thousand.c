/* A thousand flows at once over one long and lossy path, on the lab's clock: together they want several times
 * what the budget of memory has. They stay within it, none is left behind, and all of it comes back. */
#include "common/clock.h"
#include "lab_path.h"
#include "tests/unit/common/unit.h"
#include "tunneld/flow/tcp_flow_internal.h"
#include "tunneld/netstack/blocks.h"
#include "tunneld/netstack/internal.h"
#include <errno.h>
#include <malloc.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MEGABYTE = 1 << 20,
    FLOWS = 1000,
    LATE = 4, /* the reader of each so many begins late */
    SOCKET_BUFFER = 8 * 1024,
#ifdef NEXD_SANITIZE
    SIZE = 64 * 1000,
    BUDGET = 16 * MEGABYTE,
#else
    SIZE = 160 * 1000,
    BUDGET = 64 * MEGABYTE, /* tunneld's */
#endif
    LITTLE = 8 * 1024, /* of each flow past the budget: without it some would wait for ever */
    STEP_NS = 10 * 1000 * 1000
};
#define LATE_NS  (5 * NS_PER_S)
#define ALONG_NS (20 * NS_PER_S)

static struct flow {
    int from, to;
    bool late;
    size_t sent, received;
} flows[FLOWS];
static uint8_t data[SIZE + FLOWS]; /* flow i carries what begins at i */
static uint64_t begin_ns, stepped_ns;
static size_t most, finished;
static bool short_of_memory;

static void small_pair(int ends[2])
{
    int size = SOCKET_BUFFER;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static bool server_there(void *arg)
{
    (void)arg;
    return lab.server >= 0;
}

/* Even ones carry towards the server, odd ones away from it. */
static void flow_open(unsigned number)
{
    int outer[2], inner[2];
    struct netsock from = {.addr = {.family = NETADDR_V4, .bytes = {127, 0, 0, 1}}, .port = 9};
    struct netsock dest = {.addr = lab_far(NETADDR_V4), .port = LAB_PORT};
    small_pair(outer);
    small_pair(inner);
    lab.ready_pair = inner;
    tcp_flow_egress(LAB_RULE + 2, &from, &dest, outer[0]);
    ck_assert(lab_path_run(60 * NS_PER_S, server_there, NULL));
    lab.server = -1;
    lab.ready_pair = NULL;
    flows[number] = (struct flow){.from = number % 2 ? inner[1] : outer[1],
                                  .to = number % 2 ? outer[1] : inner[1],
                                  .late = number % LATE == 0};
}

static void flow_step(struct flow *flow, const uint8_t *sent)
{
    static uint8_t got[SIZE];
    if (flow->sent < SIZE) {
        ssize_t n = send(flow->from, sent + flow->sent, SIZE - flow->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        flow->sent += n > 0 ? (size_t)n : 0;
    }
    if (flow->received == SIZE || (flow->late && lab_now_ns() - begin_ns < LATE_NS))
        return;
    ssize_t n = recv(flow->to, got, SIZE - flow->received, MSG_DONTWAIT);
    ck_assert_msg(n > 0 || (n < 0 && errno == EAGAIN), "%zu bytes came, then %s", flow->received,
                  n == 0 ? "the end" : strerror(errno));
    if (n <= 0)
        return;
    ck_assert_mem_eq(got, sent + flow->received, (size_t)n);
    flow->received += (size_t)n;
    finished += flow->received == SIZE;
}

static bool all_finished(void *arg)
{
    (void)arg;
    size_t held = tcp_flows.memory_bytes + netstack.gap_bytes + netstack.orphan_bytes;
    if (held > most)
        most = held;
    short_of_memory |= netstack_memory_left() == 0;
    if (lab_now_ns() - stepped_ns < STEP_NS)
        return false;
    stepped_ns = lab_now_ns();
    for (unsigned i = 0; i < FLOWS; i++)
        flow_step(&flows[i], data + i);
    return finished == FLOWS;
}

static bool all_gone(void *arg)
{
    (void)arg;
    return tcp_flow_count() == 0 && netstack_tcp_count() == 0;
}

/* What is in use of it, the stack's blocks included; a sanitizer's heap tells 0. */
static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void files_allow(rlim_t count)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(a_thousand_flows_share_the_memory_there_is)
{
    files_allow(4 * FLOWS + 100);
    lab_start(2 * FLOWS, BUDGET);
    lab_path_start();
    randombytes_buf_deterministic(data, sizeof data, (const uint8_t[randombytes_SEEDBYTES]){7});
    lab_path.delay_ns = NS_PER_MS; /* they are opened one by one */
    for (unsigned i = 0; i < FLOWS; i++)
        flow_open(i);
    ck_assert_uint_eq(netstack_memory_left(), BUDGET);
    lab_path.delay_ns = 100 * NS_PER_MS;
    lab_path.loss = 0.01;
    lab_path.rate = 400 * 1000 * 1000 / 8;
    lab_path.queue_ns = 100 * NS_PER_MS;
    size_t heap = heap_bytes();
    begin_ns = lab_now_ns();
    bool done = lab_path_run(ALONG_NS, all_finished, NULL);
    for (unsigned i = 0; i < FLOWS; i++) /* says which, where one was left behind */
        ck_assert_msg(flows[i].received == SIZE, "flow %u: %zu bytes", i, flows[i].received);
    ck_assert(done);
    ck_assert(short_of_memory);
    ck_assert_uint_le(most, BUDGET + FLOWS * LITTLE);
    for (unsigned i = 0; i < FLOWS; i++) {
        close(flows[i].from);
        close(flows[i].to);
    }
    ck_assert(lab_path_run(300 * NS_PER_S, all_gone, NULL));
    netstack_blocks_trim();
    ck_assert_uint_le(heap_bytes(), heap);
    ck_assert_uint_eq(netstack_memory_left(), BUDGET);
    ck_assert_uint_eq(netstack.window_bytes, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, a_thousand_flows_share_the_memory_there_is);
}

int main(void)
{
    return unit_run("tcp_thousand", fill);
}
