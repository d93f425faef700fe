/* `spoof`: a flood of the datagrams in a file, each under a source address and port of its own, RATE a second
 * to ADDRESS (IPv4). Needs the right to send raw IP packets.
 *
 * Sources are from 198.18.0.0/15, which is set aside for benchmarks: whoever answers sends the answers there,
 * and a route has to lead them somewhere. The file is datagrams of SIZE bytes, one after the other; they are
 * sent in turn. SIGTERM ends it early, and it still tells what it has sent. */
#include "bench/probe/probe.h"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 64,
    DATAGRAM_MAX = 1400,
    FILE_MAX = 64 << 20,
    RATE_MAX = 10000000,
    TICK_NS = 200000, /* what is due is sent so often */
    SOURCE_BITS = 17,
    PORT_MIN = 1024,
};

struct packet {
    struct iphdr ip;
    struct udphdr udp;
    uint8_t data[DATAGRAM_MAX];
} __attribute__((packed));

struct flood {
    uint8_t *datagrams;
    size_t size, count, next;
    uint64_t chance; /* xorshift's state */
    struct packet packets[BATCH];
    struct iovec iov[BATCH];
    struct mmsghdr messages[BATCH];
};

static volatile sig_atomic_t is_over;

static void on_term(int number)
{
    (void)number;
    is_over = 1;
}

static uint64_t chance_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void datagrams_read(struct flood *flood, const char *path)
{
    FILE *file = fopen(path, "rb");
    flood->datagrams = malloc(FILE_MAX);
    if (file == NULL || flood->datagrams == NULL)
        fail("spoof: file of datagrams");
    flood->count = fread(flood->datagrams, 1, FILE_MAX, file) / flood->size;
    (void)fclose(file);
    if (flood->count == 0) {
        fprintf(stderr, "probe: %s has no datagram of %zu bytes\n", path, flood->size);
        exit(2);
    }
}

static void packets_prepare(struct flood *flood, struct target *target)
{
    const struct sockaddr_in *to = (const struct sockaddr_in *)&target->address;
    const size_t length = sizeof(struct iphdr) + sizeof(struct udphdr) + flood->size;
    for (size_t i = 0; i < BATCH; i++) {
        struct packet *packet = &flood->packets[i];
        packet->ip = (struct iphdr){.version = 4,
                                    .ihl = sizeof(struct iphdr) / 4,
                                    .ttl = 64,
                                    .protocol = IPPROTO_UDP,
                                    .tot_len = htons((uint16_t)length),
                                    .daddr = to->sin_addr.s_addr};
        packet->udp = (struct udphdr){.dest = to->sin_port,
                                      .len = htons((uint16_t)(sizeof(struct udphdr) + flood->size))};
        flood->iov[i] = (struct iovec){packet, length};
        flood->messages[i].msg_hdr = (struct msghdr){.msg_name = &target->address,
                                                     .msg_namelen = target->length,
                                                     .msg_iov = &flood->iov[i],
                                                     .msg_iovlen = 1};
    }
}

static unsigned packets_send(struct flood *flood, int fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct packet *packet = &flood->packets[i];
        const uint64_t chance = chance_next(&flood->chance);
        packet->ip.saddr = htonl(0xc6120000U | (uint32_t)(chance >> (64 - SOURCE_BITS)));
        packet->udp.source = htons((uint16_t)(PORT_MIN + (chance & 0x7fff)));
        memcpy(packet->data, flood->datagrams + flood->next * flood->size, flood->size);
        flood->next = (flood->next + 1) % flood->count;
    }
    const int sent = sendmmsg(fd, flood->messages, count, 0);
    return sent > 0 ? (unsigned)sent : 0;
}

int command_spoof(char **arguments)
{
    static struct flood flood = {.chance = 0x9e3779b97f4a7c15};
    struct target target = target_arg(arguments[0], arguments[1]);
    flood.size = (size_t)number_arg(arguments[3], 1, DATAGRAM_MAX);
    const uint64_t rate = (uint64_t)number_arg(arguments[4], 1, RATE_MAX);
    const uint64_t length_ns = (uint64_t)number_arg(arguments[5], 1, 600) * NS_PER_S;
    datagrams_read(&flood, arguments[2]);
    packets_prepare(&flood, &target);
    ((struct sockaddr_in *)&target.address)->sin_port = 0;
    const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (target.address.ss_family != AF_INET || fd < 0)
        fail("spoof: raw IPv4 socket");
    uint64_t sent = 0, refused = 0;
    signal(SIGTERM, on_term);
    const uint64_t begun = now_ns();
    uint64_t now = begun;
    for (; now - begun < length_ns && !is_over; now = now_ns()) {
        const uint64_t due = rate * (now - begun) / NS_PER_S, done = sent + refused;
        if (due <= done) {
            nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
            continue;
        }
        const unsigned count = due - done < BATCH ? (unsigned)(due - done) : BATCH;
        const unsigned taken = packets_send(&flood, fd, count);
        sent += taken;
        refused += count - taken;
    }
    printf("{\"sent\": %lu, \"refused\": %lu, \"per_s\": %.0f, \"seconds\": %.4f}\n", (unsigned long)sent,
           (unsigned long)refused, (double)sent * 1e9 / (double)(now - begun), (double)(now - begun) / 1e9);
    return 0;
}
