/* The wiring, and the turn.
 *
 *   UDP ─▶ udp_io ─▶ wg_receive ─▶ netstack_input ─▶ flow ─▶ host socket
 *   UDP ◀─ udp_io ◀─ wg_tx_flush ◀─ netstack output ◀─ flow ◀─ host socket
 *
 * libevent's callbacks take one batch each and note what is to be done. The turn after them does it, in this
 * order: timers, the flows' reads and writes, TCP output once for each connection, and one sealed batch to
 * the UDP socket. So an ACK is sent for a batch, not for a segment, and no stage has a queue longer than a
 * batch. */
#include "tunneld/tunnel.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/limits.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/netstack/blocks.h"
#include "tunneld/netstack/netstack.h"
#include "tunneld/udp/udp_io.h"
#include <event2/event_struct.h>
#include <malloc.h>
#include <sodium.h>
#include <string.h>

enum {
    FILES_RESERVED = 256, /* links, sockets, and descriptors on their way in */
    MEMORY_BYTES = 64 << 20,
    KEEPALIVE_S = 60,
    FLUSH_ROUNDS = 4,
    TRIM_INTERVAL_S = 2,
    TRIM_CONNECTIONS_MIN = 1024, /* below that many there is nothing worth giving back */
    TRIM_BULK_BYTES = 256 << 10, /* flows that hold more make the heap grow */
    TRIM_REST_BYTES = 64 << 10,  /* and less, that bulk is over */
};

static struct timerq timers;
static struct event timer_event;
static uint64_t timer_event_ns = UINT64_MAX; /* what it is set to */
static const struct aead_engine *engine;
static struct wg_device *device;
static struct noise_identity *identity; /* the private key's place */
static uint64_t turn_ns;                /* the time, read once a turn */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    timer_event_ns = UINT64_MAX; /* the turn that follows runs the timers */
}

/* -- WireGuard's side --------------------------------------------------------------------------------------
 */

static void on_datagrams(void *arg, struct wg_datagram *datagrams, size_t count)
{
    (void)arg;
    turn_ns = clock_now_ns();
    if (device != NULL)
        wg_receive(device, datagrams, count, turn_ns);
}

static void deliver(void *arg, const struct wg_inner *packets, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++)
        netstack_input(packets[i].data, packets[i].length, packets[i].owner);
    udp_flow_flush();
}

static void transmit(void *arg, const struct wg_out *out, size_t count)
{
    (void)arg;
    udp_io_transmit(out, count);
}

static uint64_t wall_ns(void *arg)
{
    (void)arg;
    return clock_wall_ns();
}

static const struct wg_ops wg_ops = {.deliver = deliver, .transmit = transmit, .wall_ns = wall_ns};

/* -- The netstack's side -----------------------------------------------------------------------------------
 */

static bool routable(void *arg, const struct netaddr *dst)
{
    (void)arg;
    return wg_route(device, dst) != NULL;
}

static bool peer_of(const struct netaddr *address, uint8_t key[32])
{
    const struct wg_peer *peer = device != NULL ? wg_route(device, address) : NULL;
    if (peer != NULL)
        memcpy(key, wg_peer_key(peer), 32);
    return peer != NULL;
}

static int output_begin(void *arg, const struct netaddr *dst, size_t length, uint8_t **slot)
{
    (void)arg;
    return wg_tx_begin(device, dst, length, turn_ns, slot);
}

static void output_end(void *arg)
{
    (void)arg;
    wg_tx_end(device);
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

static const struct netstack_ops netstack_ops = {.routable = routable,
                                                 .output_begin = output_begin,
                                                 .output_end = output_end,
                                                 .on_syn = on_syn,
                                                 .on_accepted = on_accepted,
                                                 .on_udp = udp_flow_from_mesh};

/* -- Memory ------------------------------------------------------------------------------------------------
 */

/* After a crowd of connections, or after bulk, the heap keeps its pages. They go back to the system when half
 * of the crowd has left, or when the flows hold next to nothing any more. Runs only while there is, or was,
 * much. */
static struct timerq_timer trim_timer;
static size_t trim_peak;
static bool trim_bulk; /* there was bulk since the last time */

static size_t held_bytes(void)
{
    return MEMORY_BYTES - netstack_memory_left();
}

static bool trim_wanted(void)
{
    return netstack_tcp_count() > TRIM_CONNECTIONS_MIN || held_bytes() > TRIM_BULK_BYTES;
}

static void on_trim(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)arg;
    size_t connections = netstack_tcp_count();
    if (connections <= trim_peak / 2 || (trim_bulk && held_bytes() < TRIM_REST_BYTES)) {
        rxbuf_trim(0);
        netstack_blocks_trim();
        (void)malloc_trim(0);
        trim_peak = 0;
        trim_bulk = false;
    }
    if (connections > trim_peak)
        trim_peak = connections;
    if (trim_peak > TRIM_CONNECTIONS_MIN || trim_bulk)
        (void)timer_arm(&timers, timer, now_ns + TRIM_INTERVAL_S * NS_PER_S);
}

static void trim_check(void)
{
    if (trim_bulk && timer_armed(&trim_timer))
        return;
    trim_bulk |= held_bytes() > TRIM_BULK_BYTES;
    if (!timer_armed(&trim_timer) && trim_wanted())
        (void)timer_arm(&timers, &trim_timer, turn_ns + TRIM_INTERVAL_S * NS_PER_S);
}

/* -- Life --------------------------------------------------------------------------------------------------
 */

int tunnel_setup(struct event_base *base, const struct broker *broker, size_t max_files)
{
    if (sodium_init() < 0 || (engine = aead_engine_select(NULL)) == NULL) {
        log_error("no usable AEAD engine");
        return NX_ENOTSUP;
    }
    log_debug("AEAD engine: %s", engine->name);
    identity = wg_identity_new();
    if (identity == NULL) {
        log_error("no memory that is fit for keys");
        return NX_ENOMEM;
    }
    timerq_init(&timers);
    timer_setup(&trim_timer, on_trim, NULL);
    size_t flows = max_files > 2 * FILES_RESERVED ? max_files - FILES_RESERVED : FILES_RESERVED;
    tcp_flow_init(base, &(struct tcp_flow_limits){
                            .flows = flows, .memory_bytes = MEMORY_BYTES, .keepalive_s = KEEPALIVE_S});
    limits_init(&timers, tcp_flow_wake, peer_of);
    int err = gate_init(broker, &timers);
    if (err == NX_OK)
        err = udp_flow_init(base, &timers, broker, UDP_FLOW_IDLE_S, flows / 2);
    if (err == NX_OK && event_assign(&timer_event, base, -1, 0, on_timer, NULL) != 0)
        err = NX_ENOMEM;
    if (err != NX_OK)
        log_error("cannot set up: %s", nx_strerror(err));
    udp_io_init(base, on_datagrams, NULL);
    return err;
}

int tunnel_configure(struct ipc_tunnel_config *config)
{
    int err = NX_EEXIST;
    if (device == NULL) {
        device = wg_new(identity, config->private_key, engine, &timers, &wg_ops, NULL);
        err = device == NULL ? NX_ENOMEM
                             : netstack_init(config->addresses.item, config->addresses.count, config->mtu,
                                             &timers, &netstack_ops, NULL);
        if (err != NX_OK && device != NULL) {
            wg_free(device);
            device = NULL;
        }
        if (err == NX_OK) {
            wg_set_mtu(device, config->mtu);
            err = netstack_congestion_control(config->congestion_control == IPC_CONGESTION_CUBIC ? "cubic"
                                                                                                 : "bbr");
        }
    }
    sodium_memzero(config->private_key, sizeof config->private_key);
    return err;
}

bool tunnel_configured(void)
{
    return device != NULL;
}

struct wg_device *tunnel_device(void)
{
    return device;
}

static void timer_event_set(void)
{
    uint64_t next = timerq_next_ns(&timers);
    if (next == timer_event_ns)
        return;
    timer_event_ns = next;
    if (next == UINT64_MAX) {
        (void)event_del(&timer_event);
        return;
    }
    uint64_t wait_ns = next > turn_ns ? next - turn_ns : 0;
    struct timeval wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                           .tv_usec = (suseconds_t)(wait_ns % NS_PER_S / NS_PER_US)};
    (void)event_add(&timer_event, &wait);
}

bool tunnel_turn(void)
{
    turn_ns = clock_now_ns();
    (void)timerq_run(&timers, turn_ns);
    bool more = false;
    if (device != NULL) {
        more = tcp_flow_service();
        netstack_blocks_expect(held_bytes());
        more |= netstack_flush(FLUSH_ROUNDS);
        wg_tx_flush(device, turn_ns);
        udp_flow_flush();
        trim_check();
    }
    timer_event_set();
    return more;
}

bool tunnel_drain(void)
{
    tcp_flow_drain();
    return tcp_flow_count() > 0;
}

void tunnel_close_flows(void)
{
    tcp_flow_close_all();
    udp_flow_close_all();
    if (device == NULL)
        return;
    turn_ns = clock_now_ns();
    (void)netstack_flush(FLUSH_ROUNDS);
    wg_tx_flush(device, turn_ns);
}

void tunnel_destroy(void)
{
    udp_io_close();
    wg_free(device);
    device = NULL;
}
