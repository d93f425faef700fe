#include "lab_path.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/netstack/netstack.h"
#include <stdlib.h>
#include <string.h>

enum {
    PACKET_MAX = 2048,
    TCP_PROTOCOL = 6,
    FRAGMENT_HEADER = 44,
    FIRST_FRAGMENT_MIN = 24,
    SYN = 2,
    STEP_NS = 1000000
};

struct packet {
    struct packet *older, *newer;
    uint64_t due_ns;
    size_t length;
    uint8_t data[PACKET_MAX];
};

struct lab_path lab_path;
/* What is on the way in each direction, in order of arrival. */
static struct way {
    struct packet *first, *last;
} ways[2];
static uint8_t leaving[PACKET_MAX];
static size_t leaving_length;
static uint64_t link_free_ns[2], random_state = 0x2545f4914f6cdd1d;

static double chance(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1.0p-53;
}

struct netaddr lab_far(uint8_t family)
{
    struct netaddr addr;
    ck_assert_int_eq(netaddr_parse(family == NETADDR_V4 ? "100.64.0.9" : "200::9", &addr), NX_OK);
    return addr;
}

static size_t ip_header(const uint8_t *packet)
{
    return packet[0] >> 4 == 4 ? 20 : 40;
}

/* The packet from us to the far end becomes one from the far end to us. */
static void turn_round(uint8_t *packet)
{
    size_t at = packet[0] >> 4 == 4 ? 12 : 8, size = packet[0] >> 4 == 4 ? 4 : 16;
    uint8_t source[16];
    memcpy(source, packet + at, size);
    memcpy(packet + at, packet + at + size, size);
    memcpy(packet + at + size, source, size);
}

static void options_change(uint8_t *packet)
{
    enum { END = 0, NOP = 1, MSS = 2, SCALE = 3, SACK_PERMITTED = 4 };
    uint8_t *tcp = packet + ip_header(packet);
    size_t length = (size_t)(tcp[12] >> 4) * 4;
    if (!(tcp[13] & SYN))
        return;
    for (size_t at = 20; at < length && tcp[at] != END;) {
        if (tcp[at] == NOP) {
            at++;
            continue;
        }
        size_t size = tcp[at + 1];
        if ((tcp[at] == SCALE && lab_path.no_scale) || (tcp[at] == SACK_PERMITTED && lab_path.no_sack))
            memset(tcp + at, NOP, size);
        if (tcp[at] == MSS && lab_path.mss != 0) {
            tcp[at + 2] = (uint8_t)(lab_path.mss >> 8);
            tcp[at + 3] = (uint8_t)lab_path.mss;
        }
        at += size;
    }
}

/* Most packets arrive last: the place is looked for from there. */
static struct packet *enqueue_new(struct way *way, uint64_t due_ns)
{
    struct packet *packet = malloc(sizeof *packet), *older = way->last;
    ck_assert_ptr_nonnull(packet);
    packet->due_ns = due_ns;
    while (older != NULL && older->due_ns > due_ns)
        older = older->older;
    packet->older = older;
    packet->newer = older != NULL ? older->newer : way->first;
    *(older != NULL ? &older->newer : &way->first) = packet;
    *(packet->newer != NULL ? &packet->newer->older : &way->last) = packet;
    return packet;
}

/* `size` bytes from `offset` on of what leaves, as a fragment of its own. */
static void enqueue_fragment(struct way *way, uint64_t due_ns, uint16_t id, size_t offset, size_t size,
                             bool more)
{
    struct packet *packet = enqueue_new(way, due_ns);
    uint8_t *to = packet->data;
    size_t header = ip_header(leaving), extra = header == 20 ? 0 : 8, length = extra + size;
    memcpy(to, leaving, header);
    if (header == 20) {
        length += header;
        to[2] = (uint8_t)(length >> 8);
        to[3] = (uint8_t)length;
        to[4] = (uint8_t)(id >> 8);
        to[5] = (uint8_t)id;
        to[6] = (uint8_t)((offset >> 11) | (more ? 0x20 : 0));
        to[7] = (uint8_t)(offset >> 3);
    } else {
        const uint8_t fragment[8] = {to[6], 0, (uint8_t)(offset >> 8), (uint8_t)(offset | more),
                                     0,     0, (uint8_t)(id >> 8),     (uint8_t)id};
        to[4] = (uint8_t)(length >> 8);
        to[5] = (uint8_t)length;
        to[6] = FRAGMENT_HEADER;
        memcpy(to + header, fragment, sizeof fragment);
    }
    memcpy(to + header + extra, leaving + header + offset, size);
    packet->length = header + extra + size;
}

/* In three pieces, of which the first holds TCP's header and the last is empty where the length is a multiple
 * of eight. */
static void enqueue_fragments(struct way *way, uint64_t due_ns)
{
    static uint16_t id;
    size_t size = leaving_length - ip_header(leaving), last = size / 8 * 8,
           first = size / 16 * 8 > FIRST_FRAGMENT_MIN ? size / 16 * 8 : FIRST_FRAGMENT_MIN;
    id++;
    enqueue_fragment(way, due_ns, id, 0, first, true);
    if (last > first)
        enqueue_fragment(way, due_ns, id, first, last - first, true);
    enqueue_fragment(way, due_ns, id, last, size - last, false);
}

static void enqueue(struct way *way, uint64_t due_ns)
{
    if (lab_path.fragments && leaving_length >= ip_header(leaving) + FIRST_FRAGMENT_MIN) {
        enqueue_fragments(way, due_ns);
        return;
    }
    struct packet *packet = enqueue_new(way, due_ns);
    packet->length = leaving_length;
    memcpy(packet->data, leaving, leaving_length);
}

static struct packet *dequeue(struct way *way)
{
    struct packet *packet = way->first;
    way->first = packet->newer;
    *(way->first != NULL ? &way->first->older : &way->last) = NULL;
    return packet;
}

/* The way whose first packet arrives before the other's, or NULL. */
static struct way *next_way(void)
{
    const struct packet *a = ways[0].first, *b = ways[1].first;
    if (a == NULL && b == NULL)
        return NULL;
    return &ways[a == NULL || (b != NULL && b->due_ns < a->due_ns)];
}

static int mesh_begin(const struct netaddr *dst, size_t length, uint8_t **slot)
{
    struct netaddr far = lab_far(dst->family);
    if (!netaddr_equal(dst, &far) || length > sizeof leaving)
        return NX_ENOENT;
    leaving_length = length;
    *slot = leaving;
    return NX_OK;
}

/* The direction: the mesh port is the server's. */
static unsigned direction(void)
{
    const uint8_t *tcp = leaving + ip_header(leaving);
    return tcp[0] == 0 && tcp[1] == LAB_PORT;
}

/* Congestion notification: the mark in the IP header, the flags of SYNs. */
static void notify(bool queue_is_long)
{
    enum { ECE_AND_CWR = 0xc0, CE = 3 };
    bool v4 = leaving[0] >> 4 == 4;
    uint8_t *tcp = leaving + ip_header(leaving);
    unsigned shift = v4 ? 0 : 4, mark = leaving[1] >> shift & CE;
    size_t payload = leaving_length - ip_header(leaving) - (size_t)(tcp[12] >> 4) * 4;
    lab_path.ect += mark != 0;
    lab_path.wrong_ect += mark != 0 && (payload == 0 || (tcp[13] & SYN));
    if (v4 ? leaving[1] >> 2 != 0 : (leaving[0] & 0x0f) != 0 || leaving[1] >> 6 != 0)
        lab_path.wrong_ect++; /* what tcp_ecn.c tells itself must not leave */
    if (lab_path.no_ecn && (tcp[13] & SYN))
        tcp[13] &= (uint8_t)~ECE_AND_CWR;
    if (mark == 0 || !queue_is_long)
        return;
    leaving[1] |= (uint8_t)(CE << shift);
    lab_path.marked++;
}

static void mesh_end(void)
{
    struct way *way = &ways[direction()];
    uint64_t due_ns = lab_now_ns(), *free_ns = &link_free_ns[direction()];
    lab_path.packets++;
    if (lab_path.mtu != 0 && leaving_length > lab_path.mtu) {
        lab_path.too_large++;
        return;
    }
    if (lab_path.dark || chance() < lab_path.loss) {
        lab_path.lost++;
        return;
    }
    if (lab_path.rate != 0) {
        if (*free_ns < due_ns)
            *free_ns = due_ns;
        if (*free_ns - due_ns > lab_path.queue_ns) {
            lab_path.queue_drops++;
            return;
        }
        notify(lab_path.mark_ns != 0 && *free_ns - due_ns > lab_path.mark_ns);
        *free_ns += leaving_length * NS_PER_S / lab_path.rate;
        due_ns = *free_ns;
    }
    due_ns += lab_path.delay_ns + (uint64_t)(chance() * (double)lab_path.jitter_ns);
    turn_round(leaving);
    options_change(leaving);
    enqueue(way, due_ns);
    if (chance() < lab_path.duplicate)
        enqueue(way, due_ns + (uint64_t)(chance() * (double)lab_path.jitter_ns));
}

void lab_path_seed(uint64_t seed)
{
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
}

void lab_path_start(void)
{
    lab_mesh_begin = mesh_begin;
    lab_mesh_end = mesh_end;
}

static bool arrivals(void)
{
    bool any = false;
    struct way *way;
    while ((way = next_way()) != NULL && way->first->due_ns <= lab_now_ns()) {
        struct packet *packet = dequeue(way);
        netstack_input(packet->data, packet->length, NULL);
        free(packet);
        any = true;
    }
    return any;
}

bool lab_path_run(uint64_t limit_ns, bool (*done)(void *arg), void *arg)
{
    uint64_t end_ns = lab_now_ns() + limit_ns;
    while (lab_now_ns() < end_ns) {
        bool busy = arrivals();
        busy |= lab_turn();
        if (done != NULL && done(arg))
            return true;
        if (busy)
            continue;
        uint64_t next_ns = lab_now_ns() + STEP_NS;
        const struct way *way = next_way();
        if (way != NULL && way->first->due_ns < next_ns)
            next_ns = way->first->due_ns;
        if (lab_next_timer_ns() < next_ns && lab_next_timer_ns() > lab_now_ns())
            next_ns = lab_next_timer_ns();
        lab_clock_set(next_ns);
    }
    return false;
}
