/* Inner packets through the netstack and the flows, as an authenticated but hostile peer may send them.
 *
 * The input is a list of steps: raw packets, packets with the addresses put right, TCP segments that answer
 * the last one that left (so that connections get past the handshake), answers of proxyd, host data, and
 * time. A step may be followed by the next within the same turn, as packets of one batch are. lwIP is built
 * with its assertions. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tunneld/flow/broker.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/netstack/netstack.h"
#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 80, HEADERS = 40, STEPS_MAX = 64, WAITING_MAX = 64, HOSTS_MAX = 32, SAME_TURN = 0x80 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_options(void);

/* Fragments that wait are linked by a pointer in place of their IP header, at any address. */
const char *__lsan_default_options(void)
{
    return "use_unaligned=1";
}

static uint64_t now_ns = 1000 * NS_PER_S;
static struct timerq timers;
static struct event_base *base;
static uint32_t last_request, waiting[WAITING_MAX];
static size_t waiting_count;
static int hosts[HOSTS_MAX]; /* the host's ends of connected flows */
static size_t host_count;
static uint8_t left[65536]; /* the last packet that left */
static size_t left_length;

uint64_t clock_now_ns(void)
{
    return now_ns;
}

uint64_t clock_wall_ns(void)
{
    return now_ns;
}

static uint32_t ask_connect(void *arg, enum rule_protocol protocol, const struct netsock *client,
                            const struct netsock *local)
{
    (void)arg, (void)client, (void)local;
    if (protocol == RULE_UDP || waiting_count == WAITING_MAX)
        return 0;
    waiting[waiting_count++] = ++last_request;
    return last_request;
}

static uint32_t ask_destination(void *arg, uint16_t port, const struct netsock *client)
{
    (void)arg, (void)port, (void)client;
    return 0;
}

static void ask_cancel(void *arg, uint32_t request)
{
    (void)arg, (void)request;
}

static bool routable(void *arg, const struct netaddr *dst)
{
    (void)arg;
    return dst->bytes[0] != 10; /* nobody has 10.0.0.0/8 */
}

static int output_begin(void *arg, const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)arg, (void)dst;
    left_length = length;
    *slot = left;
    return NX_OK;
}

static void output_end(void *arg)
{
    (void)arg;
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

static void start(void)
{
    static const struct netstack_ops ops = {.routable = routable,
                                            .output_begin = output_begin,
                                            .output_end = output_end,
                                            .on_syn = on_syn,
                                            .on_accepted = on_accepted,
                                            .on_udp = udp_flow_from_mesh};
    static const struct broker broker = {
        .connect = ask_connect, .destination = ask_destination, .cancel = ask_cancel};
    struct netaddr own[2] = {{.family = NETADDR_V4, .bytes = {100, 64, 0, 1}},
                             {.family = NETADDR_V6, .bytes = {2, 0, [15] = 1}}};
    signal(SIGPIPE, SIG_IGN);
    log_init("fuzz", LOG_LEVEL_FATAL);
    base = event_base_new();
    timerq_init(&timers);
    tcp_flow_init(base, &(struct tcp_flow_limits){.flows = 64, .memory_bytes = 1 << 24, .keepalive_s = 60});
    if (sodium_init() < 0 || gate_init(&broker, &timers) != NX_OK ||
        udp_flow_init(base, &timers, &broker, UDP_FLOW_IDLE_S, 64) != NX_OK ||
        netstack_init(own, 2, 1420, &timers, &ops, NULL) != NX_OK ||
        ports_rule_add(1, RULE_INGRESS, RULE_TCP, PORT) != NX_OK)
        abort();
}

static void turn(void)
{
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    (void)timerq_run(&timers, now_ns);
    (void)tcp_flow_service();
    (void)netstack_flush(4);
    udp_flow_flush();
}

/* A packet with the addresses of the tunnel. */
static void input_addressed(const uint8_t *data, size_t size, bool v6)
{
    uint8_t packet[2048] = {0};
    if (size > 1400)
        size = 1400;
    if (v6) {
        memcpy(packet, data, size < 8 ? size : 8);
        packet[0] = 0x60;
        packet[8] = packet[24] = 2;
        packet[23] = 9;
        packet[39] = 1;
        memcpy(packet + 40, data + (size < 8 ? size : 8), size < 8 ? 0 : size - 8);
        packet[4] = (uint8_t)(size >> 8);
        packet[5] = (uint8_t)size;
        netstack_input(packet, 40 + size, NULL);
        return;
    }
    memcpy(packet, data, size);
    size_t total = size < 20 ? 20 : size;
    packet[0] = (uint8_t)(0x40 | ((packet[0] & 0xf) < 5 ? 5 : packet[0] & 0xf));
    packet[2] = (uint8_t)(total >> 8);
    packet[3] = (uint8_t)total;
    memcpy(packet + 12, (uint8_t[]){100, 64, 0, 9, 100, 64, 0, 1}, 8);
    netstack_input(packet, total, NULL);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void be32_put(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* A segment of the connection that the last one belonged to. data: flags, two signed deltas, window, then
 * payload. */
static void input_answer(const uint8_t *data, size_t size)
{
    uint8_t packet[1500] = {0};
    if (left_length < HEADERS || left[0] != 0x45 || left[9] != 6 || size < 4)
        return;
    size_t payload = size - 4 > 1400 ? 1400 : size - 4, total = HEADERS + payload;
    memcpy(packet, left, HEADERS);
    memcpy(packet + 12, left + 16, 4);
    memcpy(packet + 16, left + 12, 4);
    packet[2] = (uint8_t)(total >> 8);
    packet[3] = (uint8_t)total;
    memcpy(packet + 20, left + 22, 2);
    memcpy(packet + 22, left + 20, 2);
    uint32_t sent =
        be32(left + 24) + (left[33] & 3 ? 1 : 0) + (uint32_t)(left_length - 20 - (left[32] >> 4) * 4u);
    be32_put(packet + 24, be32(left + 28) + (uint32_t)(int8_t)data[1]);
    be32_put(packet + 28, sent + (uint32_t)(int8_t)data[2]);
    packet[32] = 0x50;
    packet[33] = data[0];
    packet[34] = data[3];
    memcpy(packet + HEADERS, data + 4, payload);
    netstack_input(packet, total, NULL);
}

static void proxyd_answers(uint8_t how)
{
    int ends[2];
    if (waiting_count == 0)
        return;
    uint32_t request = waiting[--waiting_count];
    if (how % 4 == 0 || host_count == HOSTS_MAX ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) {
        (void)gate_failed(request);
        return;
    }
    if (!gate_connected(request, 1, ends[0]))
        close(ends[0]);
    hosts[host_count++] = ends[1];
}

static void opens_egress(void)
{
    struct netsock client = {.addr = {.family = NETADDR_V4}, .port = 1};
    struct netsock dest = {.addr = {.family = NETADDR_V4, .bytes = {100, 64, 0, 9}}, .port = 443};
    int ends[2];
    if (host_count == HOSTS_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
        return;
    tcp_flow_egress(2, &client, &dest, ends[0]);
    hosts[host_count++] = ends[1];
}

static void host_acts(const uint8_t *data, size_t size)
{
    uint8_t sink[4096];
    if (host_count == 0 || size == 0)
        return;
    int fd = hosts[data[0] % host_count];
    if (data[0] & 0x80)
        (void)shutdown(fd, SHUT_WR);
    else if (data[0] & 0x40)
        (void)!read(fd, sink, sizeof sink);
    else
        (void)send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void step(const uint8_t *data, size_t size, uint8_t kind)
{
    switch (kind % 8) {
    case 0:
        netstack_input(data, size, NULL);
        break;
    case 1:
    case 2:
        input_addressed(data, size, kind % 8 == 2);
        break;
    case 3:
    case 4:
        input_answer(data, size);
        break;
    case 5:
        proxyd_answers(size > 0 ? data[0] : 0);
        break;
    case 6:
        host_acts(data, size);
        break;
    default:
        if (size > 0 && data[0] == 0)
            opens_egress();
        now_ns += (size > 0 ? data[0] : 1) * 10 * NS_PER_MS;
    }
    if (!(kind & SAME_TURN))
        turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started)
        start();
    started = true;
    for (unsigned i = 0; i < STEPS_MAX && size >= 3; i++) {
        uint8_t kind = data[0];
        size_t length = (size_t)data[1] | (size_t)(data[2] & 0x7) << 8;
        data += 3;
        size -= 3;
        if (length > size)
            length = size;
        step(data, length, kind);
        data += length;
        size -= length;
    }
    tcp_flow_close_all();
    udp_flow_close_all();
    gate_forget();
    waiting_count = 0;
    while (host_count > 0)
        close(hosts[--host_count]);
    now_ns += 20 * NS_PER_S;
    turn();
    return 0;
}
