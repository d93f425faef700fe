/* What is left of one core under a flood of handshakes: data messages that an end opens a second, alone and
 * beside spoofed initiations (100,000 a second, or the argument), each from another address and with the mac1
 * that anybody can make who knows the public key.
 *
 * usage: flood [INITIATIONS-PER-SECOND]. The clock is the processor time that the attacked end itself spends:
 * sealing by the other end and making the flood are not counted, nor is what the kernel takes for receiving.
 * Memory is malloc's, after the flood's first tenth and at its end. */
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/aead/engines.h"
#include "tunneld/wireguard/cookie.h"
#include "tunneld/wireguard/device.h"
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PACKET = 1400,
    BATCH = 64,
    MIX_MAX = 4096,
    SPOOFED = 8192,
    DATAGRAM_MAX = 1600,
    FLOOD_DEFAULT = 100000
};

static const uint64_t measure_ns = 2 * NS_PER_S;

struct end {
    struct timerq queue;
    struct wg_device *device;
    struct netsock address;
    struct netaddr tunnel;
    uint64_t delivered;
};

static struct end ends[2]; /* the sender, the attacked */
static struct message_handshake_initiation spoofed[SPOOFED];
static uint8_t wire[BATCH][DATAGRAM_MAX], mix[MIX_MAX][DATAGRAM_MAX];
static size_t wire_lengths[BATCH], wire_count;
static bool is_wired; /* the attacked end's answers go nowhere once the session stands */

static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void deliver(void *arg, const struct wg_inner *packets, size_t count)
{
    (void)packets;
    ((struct end *)arg)->delivered += count;
}

static void transmit(void *arg, const struct wg_out *outs, size_t count)
{
    struct end *end = arg;
    for (size_t i = 0; i < count && (end == &ends[0] || !is_wired); i++) {
        size_t in_datagram = 0;
        for (unsigned k = 0; k < outs[i].iov_count; k++) {
            const uint8_t *bytes = outs[i].iov[k].iov_base;
            size_t left = outs[i].iov[k].iov_len;
            while (left > 0 && wire_count < BATCH) {
                size_t room = outs[i].segment - in_datagram, part = left < room ? left : room;
                memcpy(wire[wire_count] + in_datagram, bytes, part);
                in_datagram += part;
                bytes += part;
                left -= part;
                if (in_datagram == outs[i].segment) {
                    wire_lengths[wire_count++] = in_datagram;
                    in_datagram = 0;
                }
            }
        }
        if (in_datagram && wire_count < BATCH)
            wire_lengths[wire_count++] = in_datagram;
    }
}

static uint64_t wall(void *arg)
{
    (void)arg;
    return clock_wall_ns();
}

static const struct wg_ops ops = {.deliver = deliver, .transmit = transmit, .wall_ns = wall};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "flood: %s\n", what);
    exit(1);
}

static void end_open(struct end *end, uint8_t number)
{
    uint8_t key[32];
    memset(key, 0x40 + number, sizeof key);
    timerq_init(&end->queue);
    end->address = (struct netsock){.addr = {NETADDR_V4, {192, 0, 2, number}}, .port = 51820};
    end->tunnel = (struct netaddr){NETADDR_V4, {10, 0, 0, number}};
    end->device = wg_new(wg_identity_new(), key, aead_engine_select(NULL), &end->queue, &ops, end);
    require(end->device != NULL, "out of memory");
}

static void peer_add(struct end *to, const struct end *other)
{
    const struct netprefix allowed = {.addr = other->tunnel, .length = 32};
    struct wg_peer_config config = {
        .endpoint = other->address, .allowed = &allowed, .allowed_count = 1, .replace_allowed = true};
    memcpy(config.public_key, wg_public_key(other->device), sizeof config.public_key);
    require(wg_peer_set(to->device, &config, clock_now_ns()) == NX_OK, "a peer cannot be added");
}

static void packets_send(struct end *from, const struct end *to, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *slot;
        require(wg_tx_begin(from->device, &to->tunnel, PACKET, clock_now_ns(), &slot) == NX_OK,
                "a packet cannot be sent");
        memset(slot, 0, 20);
        slot[0] = 0x45;
        slot[2] = PACKET >> 8;
        slot[3] = (uint8_t)PACKET;
        memcpy(slot + 12, from->tunnel.bytes, 4);
        memcpy(slot + 16, to->tunnel.bytes, 4);
        wg_tx_end(from->device);
    }
    wg_tx_flush(from->device, clock_now_ns());
}

/* What is on the wire, to an end. */
static size_t wire_take(struct wg_datagram *batch, const struct end *from)
{
    for (size_t i = 0; i < wire_count; i++) {
        memcpy(mix[i], wire[i], wire_lengths[i]);
        batch[i] = (struct wg_datagram){.data = mix[i], .length = wire_lengths[i], .from = from->address};
    }
    size_t count = wire_count;
    wire_count = 0;
    return count;
}

static void session_open(void)
{
    struct wg_datagram batch[BATCH];
    packets_send(&ends[0], &ends[1], 1);
    for (int round = 0; round < 4; round++) {
        struct end *to = &ends[1 - round % 2], *from = &ends[round % 2];
        size_t count = wire_take(batch, from);
        wg_receive(to->device, batch, count, clock_now_ns());
        wg_tx_flush(to->device, clock_now_ns());
    }
    require(ends[1].delivered > 0, "no session comes about");
    is_wired = true;
}

static void flood_make(void)
{
    struct cookie_jar jar;
    cookie_jar_init(&jar, wg_public_key(ends[1].device));
    for (size_t i = 0; i < SPOOFED; i++) {
        randombytes_buf(&spoofed[i], sizeof spoofed[i]);
        spoofed[i].header.type = htole32(MESSAGE_HANDSHAKE_INITIATION);
        cookie_add_macs(&jar, &spoofed[i], sizeof spoofed[i], clock_now_ns());
    }
}

/* Adds what is due of the flood, shuffled among the batch's data as it would arrive. */
static size_t flood_add(struct wg_datagram *batch, size_t count, uint64_t due)
{
    for (; due > 0 && count < MIX_MAX; due--, count++) {
        memcpy(mix[count], &spoofed[randombytes_uniform(SPOOFED)], sizeof spoofed[0]);
        batch[count] = (struct wg_datagram){.data = mix[count], .length = sizeof spoofed[0]};
        batch[count].from = (struct netsock){.addr = {NETADDR_V4, {0}}, .port = 1024};
        randombytes_buf(batch[count].from.addr.bytes, 4);
        size_t place = randombytes_uniform((uint32_t)count + 1);
        struct wg_datagram moved = batch[place];
        batch[place] = batch[count];
        batch[count] = moved;
    }
    return count;
}

/* Data messages a second of the attacked end's own time. */
static double measure(uint64_t per_second, uint64_t *flooded, size_t *grown)
{
    static struct wg_datagram batch[MIX_MAX];
    uint64_t spent_ns = 0, before = ends[1].delivered;
    size_t memory = 0;
    *flooded = 0;
    while (spent_ns < measure_ns) {
        packets_send(&ends[0], &ends[1], BATCH);
        size_t data = wire_take(batch, &ends[0]);
        uint64_t due = (uint64_t)((double)spent_ns * (double)per_second / NS_PER_S) - *flooded;
        size_t count = flood_add(batch, data, due);
        *flooded += count - data;
        uint64_t begun_ns = cpu_ns();
        wg_receive(ends[1].device, batch, count, clock_now_ns());
        wg_tx_flush(ends[1].device, clock_now_ns());
        spent_ns += cpu_ns() - begun_ns;
        if (memory == 0 && spent_ns > measure_ns / 10)
            memory = mallinfo2().uordblks;
    }
    *grown = mallinfo2().uordblks > memory ? mallinfo2().uordblks - memory : 0;
    return (double)(ends[1].delivered - before) * NS_PER_S / (double)spent_ns;
}

int main(int argc, char **argv)
{
    uint64_t rate = argc > 1 ? strtoull(argv[1], NULL, 10) : FLOOD_DEFAULT, flooded;
    size_t grown;
    require(sodium_init() >= 0, "libsodium does not start");
    end_open(&ends[0], 1);
    end_open(&ends[1], 2);
    peer_add(&ends[0], &ends[1]);
    peer_add(&ends[1], &ends[0]);
    session_open();
    flood_make();
    const struct wg_counters *counters = wg_counters_get(ends[1].device);
    double alone = measure(0, &flooded, &grown);
    double beside = measure(rate, &flooded, &grown);
    printf("alone:   %.0f data messages of %d bytes a second, %.2f Gbit/s\n", alone, PACKET,
           alone * PACKET * 8e-9);
    printf("flooded: %.0f, %.2f Gbit/s, beside %llu initiations in %llu s\n", beside, beside * PACKET * 8e-9,
           (unsigned long long)flooded, (unsigned long long)(measure_ns / NS_PER_S));
    printf("kept:    %.0f %% of the throughput; memory grew by %zu bytes\n", 100 * beside / alone, grown);
    printf("answers: %llu cookies; X25519 was spent on %llu of the initiations\n",
           (unsigned long long)counters->cookies_sent, (unsigned long long)counters->drop_auth);
    return 0;
}
