/* The netstack alone: segments through lwIP and the transport, from tcp_write() to the receiver's callback
 * and its acknowledgement, by how many connections are open. Both ends are in this process: what goes to the
 * stack's own address comes back in. Ten connections are busy; the others are idle, as in a service with many
 * clients. */
#include "bench/micro/micro.h"
#include "common/err.h"
#include "lwip/priv/tcp_priv.h"
#include "tunneld/netstack/netstack.h"
#include <sodium.h>

enum {
    PORT = 80,
    BUSY = 10,
    SEGMENT = 1300,
    WAIT_TURNS = 2000000,
    CONNECT_AT_ONCE = 64,
    CHECK_FLOWS = 100,
    WARM_PASSES = 2000
};

static struct timerq timers;
static struct netstack_syn syns[CONNECT_AT_ONCE * 4];
static size_t syn_count, connected, accepted;
static uint64_t written, received;
static struct tcp_pcb *busy[BUSY];

static bool routable(void *arg, const struct netaddr *dst)
{
    (void)arg, (void)dst;
    return false;
}

static int output_begin(void *arg, const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)arg, (void)dst, (void)length, (void)slot;
    return NX_ENOENT;
}

static void output_end(void *arg)
{
    (void)arg;
}

static void on_syn(void *arg, const struct netstack_syn *syn)
{
    (void)arg;
    if (syn_count < sizeof syns / sizeof syns[0])
        syns[syn_count++] = *syn;
}

static void on_accepted(void *arg, void *flow)
{
    (void)arg, (void)flow;
    accepted++;
}

static bool on_udp(void *arg, const struct netsock *from, const struct netsock *to, const uint8_t *data,
                   size_t length)
{
    (void)arg, (void)from, (void)to, (void)data, (void)length;
    return false;
}

static const struct netstack_ops ops = {.routable = routable,
                                        .output_begin = output_begin,
                                        .output_end = output_end,
                                        .on_syn = on_syn,
                                        .on_accepted = on_accepted,
                                        .on_udp = on_udp};

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    (void)arg, (void)err;
    if (p == NULL)
        return ERR_OK;
    received += p->tot_len;
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg, (void)pcb, (void)err;
    connected++;
    return ERR_OK;
}

static void prepare(struct tcp_pcb *pcb, void *arg)
{
    tcp_arg(pcb, arg);
    tcp_nagle_disable(pcb);
}

static void turn(void)
{
    (void)timerq_run(&timers, clock_now_ns());
    (void)netstack_flush(4);
    for (size_t i = 0; i < syn_count; i++) {
        struct tcp_pcb *pcb = netstack_syn_accept(&syns[i]);
        micro_expect(pcb != NULL, "a connection is let in");
        tcp_arg(pcb, &accepted);
        tcp_recv(pcb, on_recv);
    }
    syn_count = 0;
}

static void connections_make(size_t count)
{
    const struct netsock dest = {.addr = *netstack_own_address(NETADDR_V4), .port = PORT};
    for (size_t made = accepted; made < count;) {
        for (size_t n = 0; n < CONNECT_AT_ONCE && made < count; n++, made++) {
            struct tcp_pcb *pcb;
            micro_expect(netstack_connect(&dest, prepare, on_connected, &connected, &pcb) == NX_OK,
                         "a connection");
            netstack_output_later(pcb);
            if (made < BUSY)
                busy[made] = pcb;
        }
        for (int turns = 0; accepted < made && turns < WAIT_TURNS; turns++)
            turn();
        micro_expect(accepted == made && connected == made, "handshakes end");
    }
}

/* A segment on each busy connection, and until all have arrived. */
static void segments_pass(void *arg)
{
    static const uint8_t data[SEGMENT];
    (void)arg;
    for (size_t i = 0; i < BUSY; i++) {
        micro_expect(tcp_write(busy[i], data, SEGMENT, TCP_WRITE_FLAG_COPY) == ERR_OK, "a segment is taken");
        written += SEGMENT;
        netstack_output_later(busy[i]);
    }
    for (int turns = 0; received < written && turns < WAIT_TURNS; turns++)
        turn();
    micro_expect(received == written, "segments arrive");
}

int main(int argc, char **argv)
{
    static const size_t flows[] = {10, 100, 1000, 10000};
    const struct netaddr own = {.family = NETADDR_V4, .bytes = {100, 64, 7, 1}};
    struct micro micro = micro_start(argc, argv);
    double least = 0;
    timerq_init(&timers);
    micro_expect(sodium_init() >= 0 && netstack_init(&own, 1, 1420, &timers, &ops, NULL) == NX_OK &&
                     netstack_listen(PORT) == NX_OK,
                 "the netstack");
    for (size_t i = 0; i < sizeof flows / sizeof flows[0] && (!micro.check || flows[i] <= CHECK_FLOWS); i++) {
        connections_make(flows[i]);
        for (int n = 0; i == 0 && !micro.check && n < WARM_PASSES; n++)
            segments_pass(NULL); /* windows open */
        double ns = micro_best_ns(&micro, segments_pass, NULL, BUSY);
        least = i == 0 ? ns : least;
        printf("netstack: %5zu connections open, %d busy: %7.1f ns a segment of %d bytes, both ends (%.3f of "
               "the first)\n",
               flows[i], BUSY, ns, SEGMENT, ns / least);
    }
    return 0;
}
