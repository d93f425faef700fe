/* Cryptokey routing: what a packet costs by how many peers and prefixes there are. The look-up alone, and
 * with it the whole way of a packet to a peer, from wg_tx_begin() to the datagram that would leave. */
#include "bench/micro/micro.h"
#include "common/err.h"
#include "tunneld/aead/aead.h"
#include "tunneld/wireguard/wireguard.h"
#include <sodium.h>

enum { PREFIXES_A_PEER = 10, BATCH = 44, PACKET = 1420, LOOKUPS = 512, WIRE_MAX = 65536 };

struct end {
    struct wg_device *device;
    struct timerq timers;
    struct end *other; /* what leaves goes there; NULL: counted only */
    struct netsock address;
    uint8_t public_key[32];
    uint64_t datagrams, delivered;
};

static struct end ends[2];
static struct netaddr destinations[LOOKUPS];
static size_t destination_count;

static void transmit(void *arg, const struct wg_out *out, size_t count)
{
    struct end *end = arg;
    for (size_t i = 0; i < count; i++) {
        end->datagrams += out[i].datagrams;
        if (end->other == NULL)
            continue;
        static uint8_t wire[WIRE_MAX];
        size_t length = 0;
        for (unsigned v = 0; v < out[i].iov_count; v++) {
            memcpy(wire + length, out[i].iov[v].iov_base, out[i].iov[v].iov_len);
            length += out[i].iov[v].iov_len;
        }
        for (size_t at = 0; at < length; at += out[i].segment) {
            struct wg_datagram datagram = {.data = wire + at,
                                           .length =
                                               length - at < out[i].segment ? length - at : out[i].segment,
                                           .from = end->address};
            wg_receive(end->other->device, &datagram, 1, clock_now_ns());
        }
    }
}

static void deliver(void *arg, const struct wg_inner *packets, size_t count)
{
    (void)packets;
    ((struct end *)arg)->delivered += count;
}

static uint64_t wall(void *arg)
{
    (void)arg;
    return clock_wall_ns();
}

static const struct wg_ops ops = {.deliver = deliver, .transmit = transmit, .wall_ns = wall};

static struct netprefix prefix_of(uint32_t number)
{
    struct netprefix prefix = {.addr = {.family = NETADDR_V4}, .length = 28};
    uint32_t address = htobe32(0x64400000u + number * 16);
    memcpy(prefix.addr.bytes, &address, 4);
    return prefix;
}

static void end_make(struct end *end, uint8_t number)
{
    uint8_t key[32];
    memset(key, 0x40 + number, sizeof key);
    timerq_init(&end->timers);
    end->address = (struct netsock){.addr = {.family = NETADDR_V4, .bytes = {127, 0, 0, number}}, .port = 1};
    end->device = wg_new(wg_identity_new(), key, aead_engine_select(NULL), &end->timers, &ops, end);
    micro_expect(end->device != NULL, "a device");
    memcpy(end->public_key, wg_public_key(end->device), 32);
}

/* Peers that never say anything; the live one is made last. */
static void peers_make(uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct netprefix prefixes[PREFIXES_A_PEER];
        struct wg_peer_config peer = {
            .allowed = prefixes, .allowed_count = PREFIXES_A_PEER, .replace_allowed = true};
        uint8_t secret[32] = {1};
        memcpy(secret + 4, &i, sizeof i);
        crypto_scalarmult_base(peer.public_key, secret);
        for (uint32_t p = 0; p < PREFIXES_A_PEER; p++)
            prefixes[p] = prefix_of(i * PREFIXES_A_PEER + p);
        micro_expect(wg_peer_set(ends[0].device, &peer, clock_now_ns()) == NX_OK, "a peer");
    }
}

static void session_make(void)
{
    struct netprefix prefixes[PREFIXES_A_PEER];
    for (uint32_t p = 0; p < PREFIXES_A_PEER; p++)
        prefixes[p] = prefix_of(p);
    for (int i = 0; i < 2; i++) {
        struct wg_peer_config peer = {.endpoint = ends[1 - i].address,
                                      .allowed = prefixes,
                                      .allowed_count = PREFIXES_A_PEER,
                                      .replace_allowed = true};
        memcpy(peer.public_key, ends[1 - i].public_key, 32);
        micro_expect(wg_peer_set(ends[i].device, &peer, clock_now_ns()) == NX_OK, "the live peer");
    }
}

static void packets_send(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < BATCH; i++) {
        struct netprefix to = prefix_of((uint32_t)i % PREFIXES_A_PEER);
        uint8_t *slot;
        micro_expect(wg_tx_begin(ends[0].device, &to.addr, PACKET, clock_now_ns(), &slot) == NX_OK, "a slot");
        memset(slot, 0, PACKET);
        slot[0] = 0x45;
        slot[2] = PACKET >> 8, slot[3] = PACKET & 0xff;
        memcpy(slot + 12, to.addr.bytes, 4);
        memcpy(slot + 16, to.addr.bytes, 4);
        wg_tx_end(ends[0].device);
    }
    wg_tx_flush(ends[0].device, clock_now_ns());
}

static void look_up(void *arg)
{
    for (size_t i = 0; i < destination_count; i++)
        *(size_t *)arg += wg_route(ends[0].device, &destinations[i]) != NULL;
}

static void measure(const struct micro *micro, uint32_t peers)
{
    for (uint8_t i = 0; i < 2; i++)
        end_make(&ends[i], (uint8_t)(i + 1));
    ends[0].other = &ends[1];
    ends[1].other = &ends[0];
    peers_make(peers);
    session_make();
    packets_send(NULL); /* the handshake, and one packet at a time behind it */
    wg_tx_flush(ends[1].device, clock_now_ns());
    micro_expect(ends[1].delivered > 0, "packets arrive");
    ends[0].other = NULL;
    destination_count = LOOKUPS;
    for (uint32_t i = 0; i < LOOKUPS; i++)
        destinations[i] = prefix_of((i * 7919u) % (peers * PREFIXES_A_PEER)).addr;
    size_t found = 0;
    look_up(&found);
    micro_expect(found == LOOKUPS, "every destination has a route");
    double look_up_ns = micro_best_ns(micro, look_up, &found, LOOKUPS);
    uint64_t before = ends[0].datagrams;
    double packet_ns = micro_best_ns(micro, packets_send, NULL, BATCH);
    micro_expect(ends[0].datagrams - before >= BATCH, "datagrams leave");
    printf("routes: %5u peers, %6u prefixes: %6.1f ns a look-up, %7.1f ns a packet of %u bytes, sealed\n",
           peers, peers * PREFIXES_A_PEER, look_up_ns, packet_ns, (unsigned)PACKET);
    for (int i = 0; i < 2; i++) {
        wg_free(ends[i].device);
        timerq_destroy(&ends[i].timers);
        ends[i] = (struct end){0};
    }
}

int main(int argc, char **argv)
{
    struct micro micro = micro_start(argc, argv);
    micro_expect(sodium_init() >= 0, "libsodium");
    static const uint32_t peers[] = {1, 10, 100, 1000};
    for (size_t i = 0; i < sizeof peers / sizeof peers[0] - (micro.check ? 1 : 0); i++)
        measure(&micro, peers[i]);
    return 0;
}
