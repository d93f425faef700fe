#include "lab.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tunneld/flow/broker.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/netstack/netstack.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct lab lab = {.server = -1};
static struct timerq timers;
static uint64_t now_ns = 1000 * NS_PER_S;
static uint32_t pending[8192];
static bool pending_udp[8192], pending_dest[8192];
static size_t pending_count;

/* In place of common/clock.c. */
uint64_t clock_now_ns(void)
{
    return now_ns;
}

uint64_t clock_wall_ns(void)
{
    return UINT64_C(1700000000) * NS_PER_S + now_ns;
}

struct netaddr lab_own(uint8_t family)
{
    struct netaddr addr;
    ck_assert_int_eq(netaddr_parse(family == NETADDR_V4 ? "100.64.0.1" : "200::1", &addr), NX_OK);
    return addr;
}

static uint32_t ask(bool udp, bool dest)
{
    if (lab.proxyd == LAB_DOWN)
        return 0;
    lab.connects++;
    pending[pending_count] = ++lab.last_request;
    pending_udp[pending_count] = udp;
    pending_dest[pending_count] = dest;
    pending_count++;
    return lab.last_request;
}

static uint32_t ask_connect(void *arg, enum rule_protocol protocol, const struct netsock *client,
                            const struct netsock *local)
{
    (void)arg;
    ck_assert_int_ne(client->port, 0);
    ck_assert(netstack_is_own(&local->addr));
    return ask(protocol == RULE_UDP, false);
}

static uint32_t ask_destination(void *arg, uint16_t port, const struct netsock *client)
{
    (void)arg;
    (void)port;
    ck_assert_int_ne(client->port, 0);
    return ask(true, true);
}

static void ask_cancel(void *arg, uint32_t request)
{
    (void)arg;
    (void)request;
    lab.cancels++;
}

static void udp_pair(int ends[2])
{
    struct sockaddr_in at[2];
    for (int i = 0; i < 2; i++) {
        socklen_t size = sizeof at[i];
        at[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        ends[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        ck_assert_int_eq(bind(ends[i], (struct sockaddr *)&at[i], sizeof at[i]), 0);
        ck_assert_int_eq(getsockname(ends[i], (struct sockaddr *)&at[i], &size), 0);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(connect(ends[i], (struct sockaddr *)&at[1 - i], sizeof at[i]), 0);
}

static void proxyd_answer(void)
{
    if (lab.proxyd == LAB_SILENT || lab.proxyd == LAB_DOWN)
        return;
    size_t n = pending_count;
    pending_count = 0;
    for (size_t i = 0; i < n; i++) {
        int ends[2];
        if (lab.proxyd == LAB_REFUSE) {
            ck_assert(pending_udp[i] ? udp_flow_failed(pending[i]) : gate_failed(pending[i]));
            continue;
        }
        if (pending_dest[i]) {
            ck_assert(udp_flow_destination(pending[i], LAB_RULE, &lab.dest));
            continue;
        }
        if (pending_udp[i])
            udp_pair(ends);
        else if (lab.ready_pair != NULL)
            memcpy(ends, lab.ready_pair, sizeof ends);
        else
            lab_tcp_pair(ends);
        bool taken = pending_udp[i] ? udp_flow_connected(pending[i], LAB_RULE, ends[0])
                                    : gate_connected(pending[i], LAB_RULE, ends[0]);
        ck_assert(taken);
        lab.server = ends[1];
    }
}

static bool routable(void *arg, const struct netaddr *dst)
{
    (void)arg;
    return dst->bytes[0] != 10; /* nobody has 10.0.0.0/8 */
}

int (*lab_mesh_begin)(const struct netaddr *dst, size_t length, uint8_t **slot);
void (*lab_mesh_end)(void);

static int output_begin(void *arg, const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)arg;
    if (lab_mesh_begin == NULL)
        return NX_ENOENT; /* there is nobody else in this mesh */
    return lab_mesh_begin(dst, length, slot);
}

static void output_end(void *arg)
{
    (void)arg;
    if (lab_mesh_end != NULL)
        lab_mesh_end();
}

uint64_t lab_now_ns(void)
{
    return now_ns;
}

void lab_clock_set(uint64_t to_ns)
{
    now_ns = to_ns;
}

uint64_t lab_next_timer_ns(void)
{
    return timerq_next_ns(&timers);
}

static void on_syn(void *arg, const struct netstack_syn *syn)
{
    (void)arg;
    gate_syn(syn);
}

static void on_accepted(void *arg, void *flow)
{
    (void)arg;
    tcp_flow_accepted(flow);
}

void lab_start(size_t flows, size_t memory)
{
    static const struct netstack_ops ops = {.routable = routable,
                                            .output_begin = output_begin,
                                            .output_end = output_end,
                                            .on_syn = on_syn,
                                            .on_accepted = on_accepted,
                                            .on_udp = udp_flow_from_mesh};
    static const struct broker broker = {
        .connect = ask_connect, .destination = ask_destination, .cancel = ask_cancel};
    struct netaddr own[2] = {lab_own(NETADDR_V4), lab_own(NETADDR_V6)};
    ck_assert_int_ge(sodium_init(), 0);
    signal(SIGPIPE, SIG_IGN);
    log_init("test", LOG_LEVEL_ERROR);
    lab.base = event_base_new();
    ck_assert_ptr_nonnull(lab.base);
    timerq_init(&timers);
    tcp_flow_init(lab.base,
                  &(struct tcp_flow_limits){.flows = flows, .memory_bytes = memory, .keepalive_s = 60});
    ck_assert_int_eq(gate_init(&broker, &timers), NX_OK);
    ck_assert_int_eq(udp_flow_init(lab.base, &timers, &broker, UDP_FLOW_IDLE_S, flows), NX_OK);
    ck_assert_int_eq(netstack_init(own, 2, 1420, &timers, &ops, NULL), NX_OK);
    ck_assert_int_eq(ports_rule_add(LAB_RULE, RULE_INGRESS, RULE_TCP, LAB_PORT), NX_OK);
    ck_assert_int_eq(ports_rule_add(LAB_RULE + 1, RULE_INGRESS, RULE_UDP, LAB_PORT), NX_OK);
}

bool lab_turn(void)
{
    event_base_loop(lab.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    proxyd_answer();
    (void)timerq_run(&timers, now_ns);
    bool more = tcp_flow_service();
    more |= netstack_flush(4);
    udp_flow_flush();
    return more;
}

void lab_turns(unsigned count)
{
    while (count-- > 0)
        (void)lab_turn();
}

void lab_advance_ms(uint64_t ms)
{
    for (; ms >= 10; ms -= 10) {
        now_ns += 10 * NS_PER_MS;
        (void)lab_turn();
    }
    now_ns += ms * NS_PER_MS;
    (void)lab_turn();
}

void lab_until(bool (*done)(void *arg), void *arg)
{
    for (unsigned i = 0; i < LAB_TURNS; i++) {
        if (done(arg))
            return;
        if (!lab_turn() && i % 64 == 63)
            lab_advance_ms(10);
    }
    ck_abort_msg("what was awaited did not come in %d turns", LAB_TURNS);
}

void lab_tcp_pair(int ends[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_ge(listener, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(ends[0], (struct sockaddr *)&at, sizeof at), 0);
    ends[1] = accept(listener, NULL, NULL);
    ck_assert_int_ge(ends[1], 0);
    close(listener);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(fcntl(ends[i], F_SETFL, O_NONBLOCK), 0);
}

int lab_client(uint8_t family, uint16_t port)
{
    struct netaddr own = lab_own(family);
    return lab_client_to(&own, port);
}

int lab_client_to(const struct netaddr *addr, uint16_t port)
{
    int ends[2];
    struct netsock client = {.addr = {.family = NETADDR_V4, .bytes = {127, 0, 0, 1}}, .port = 9};
    struct netsock dest = {.addr = *addr, .port = port};
    lab_tcp_pair(ends);
    tcp_flow_egress(LAB_RULE + 2, &client, &dest, ends[0]);
    return ends[1];
}

static bool server_there(void *arg)
{
    (void)arg;
    return lab.server >= 0;
}

int lab_client_connected(int *server)
{
    int client = lab_client(NETADDR_V4, LAB_PORT);
    lab_until(server_there, NULL);
    *server = lab.server;
    lab.server = -1;
    lab_turns(50);
    return client;
}

size_t lab_read_all(int fd, uint8_t *out, size_t size, int *end)
{
    size_t got = 0;
    for (unsigned i = 0; i < LAB_TURNS; i++) {
        uint8_t extra;
        ssize_t n =
            got < size ? recv(fd, out + got, size - got, MSG_DONTWAIT) : recv(fd, &extra, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            *end = n == 0 ? 0 : errno;
            return got;
        }
        ck_assert(n < 0 || got < size);
        if (n > 0)
            got += (size_t)n;
        else if (!lab_turn() && i % 64 == 63)
            lab_advance_ms(10);
    }
    ck_abort_msg("no end after %zu bytes", got);
}

bool lab_write_all(int fd, const uint8_t *data, size_t size)
{
    for (unsigned i = 0; size > 0 && i < LAB_TURNS; i++) {
        ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
        (void)lab_turn();
    }
    return size == 0;
}
