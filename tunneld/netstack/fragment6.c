/* See fragment6.h. A datagram in the making is a buffer that grows with the highest byte seen, and a sorted
 * list of the runs of bytes that are there; it is whole when one run covers everything up to the end that the
 * last fragment told. */
#include "tunneld/netstack/fragment6.h"
#include "common/clock.h"
#include "common/err.h"
#include <netinet/ip6.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    HEADERS = sizeof(struct ip6_hdr) + sizeof(struct ip6_frag),
    DATAGRAM_MAX = 65535,
    HOP_LIMIT = 64,
    PACKET_MAX = 9000
};

struct run {
    uint32_t start, end;
};

struct datagram {
    TAILQ_ENTRY(datagram) age; /* oldest first */
    uint8_t source[16], dest[16];
    uint32_t id;
    uint64_t deadline_ns;
    uint8_t *bytes;
    size_t capacity;
    uint32_t end; /* 0 = not known yet */
    struct run runs[FRAGMENT6_PIECES_MAX];
    unsigned run_count;
};

static TAILQ_HEAD(, datagram) datagrams = TAILQ_HEAD_INITIALIZER(datagrams);
static size_t datagram_count, bytes_held;
static uint8_t whole[DATAGRAM_MAX];

static void datagram_free(struct datagram *d)
{
    TAILQ_REMOVE(&datagrams, d, age);
    datagram_count--;
    bytes_held -= d->capacity;
    free(d->bytes);
    free(d);
}

static struct datagram *datagram_find(const struct ip6_hdr *ip, uint32_t id)
{
    struct datagram *d;
    TAILQ_FOREACH (d, &datagrams, age) {
        if (d->id == id && memcmp(d->source, &ip->ip6_src, 16) == 0 && memcmp(d->dest, &ip->ip6_dst, 16) == 0)
            return d;
    }
    return NULL;
}

static struct datagram *datagram_new(const struct ip6_hdr *ip, uint32_t id, uint64_t now_ns)
{
    if (datagram_count >= FRAGMENT6_DATAGRAMS_MAX)
        datagram_free(TAILQ_FIRST(&datagrams));
    struct datagram *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    memcpy(d->source, &ip->ip6_src, 16);
    memcpy(d->dest, &ip->ip6_dst, 16);
    d->id = id;
    d->deadline_ns = now_ns + FRAGMENT6_TIMEOUT_S * NS_PER_S;
    TAILQ_INSERT_TAIL(&datagrams, d, age);
    datagram_count++;
    return d;
}

static void expire(uint64_t now_ns)
{
    struct datagram *d;
    while ((d = TAILQ_FIRST(&datagrams)) != NULL && d->deadline_ns <= now_ns)
        datagram_free(d);
}

/* Room for bytes up to `end`, at the expense of older datagrams. */
static bool datagram_grow(struct datagram *d, size_t end)
{
    if (end <= d->capacity)
        return true;
    size_t capacity = d->capacity == 0 ? 4096 : d->capacity;
    while (capacity < end)
        capacity *= 2;
    while (bytes_held + capacity - d->capacity > FRAGMENT6_BYTES_MAX) {
        struct datagram *oldest = TAILQ_FIRST(&datagrams);
        if (oldest == d)
            oldest = TAILQ_NEXT(d, age);
        if (oldest == NULL)
            return false;
        datagram_free(oldest);
    }
    uint8_t *bytes = realloc(d->bytes, capacity);
    if (bytes == NULL)
        return false;
    bytes_held += capacity - d->capacity;
    d->bytes = bytes;
    d->capacity = capacity;
    return true;
}

/* Notes that [start, end) is there. False: it overlaps what was there, or is one run too many. */
static bool run_add(struct datagram *d, uint32_t start, uint32_t end)
{
    unsigned at = 0;
    while (at < d->run_count && d->runs[at].end < start)
        at++;
    bool joins_left = at < d->run_count && d->runs[at].end == start;
    unsigned right = joins_left ? at + 1 : at;
    if (right < d->run_count && d->runs[right].start < end)
        return false;
    bool joins_right = right < d->run_count && d->runs[right].start == end;
    if (joins_left) {
        d->runs[at].end = joins_right ? d->runs[right].end : end;
        if (joins_right) {
            memmove(&d->runs[right], &d->runs[right + 1], (d->run_count - right - 1) * sizeof d->runs[0]);
            d->run_count--;
        }
        return true;
    }
    if (joins_right) {
        d->runs[right].start = start;
        return true;
    }
    if (d->run_count == FRAGMENT6_PIECES_MAX)
        return false;
    memmove(&d->runs[at + 1], &d->runs[at], (d->run_count - at) * sizeof d->runs[0]);
    d->runs[at] = (struct run){.start = start, .end = end};
    d->run_count++;
    return true;
}

/* One fragment into its datagram. False: the datagram is not to be trusted any more. */
static bool fragment_add(struct datagram *d, const uint8_t *data, uint32_t offset, uint32_t length, bool more)
{
    uint32_t end = offset + length;
    if (end > DATAGRAM_MAX || (more && (length == 0 || length % 8 != 0)) ||
        (d->end != 0 && (end > d->end || !more)))
        return false;
    if (!more) {
        if (d->run_count > 0 && d->runs[d->run_count - 1].end > end)
            return false;
        d->end = end;
    }
    if (length == 0)
        return d->end != 0;
    if (!datagram_grow(d, end) || !run_add(d, offset, end))
        return false;
    memcpy(d->bytes + offset, data, length);
    return true;
}

bool fragment6_input(const uint8_t *packet, size_t length, uint64_t now_ns, const uint8_t **out,
                     size_t *out_length)
{
    struct ip6_hdr ip;
    struct ip6_frag fragment;
    memcpy(&ip, packet, sizeof ip);
    memcpy(&fragment, packet + sizeof ip, sizeof fragment);
    size_t payload = be16toh(ip.ip6_plen);
    expire(now_ns);
    if (payload < sizeof fragment || payload > length - sizeof ip)
        return false;
    uint16_t field = be16toh(fragment.ip6f_offlg);
    struct datagram *d = datagram_find(&ip, fragment.ip6f_ident);
    if (d == NULL)
        d = datagram_new(&ip, fragment.ip6f_ident, now_ns);
    if (d == NULL)
        return false;
    if (!fragment_add(d, packet + HEADERS, field & 0xfff8u, (uint32_t)(payload - sizeof fragment),
                      field & 1)) {
        datagram_free(d);
        return false;
    }
    if (d->end == 0 || d->run_count != 1 || d->runs[0].start != 0 || d->runs[0].end != d->end)
        return false;
    *out_length = d->end;
    memcpy(whole, d->bytes, d->end);
    *out = whole;
    datagram_free(d);
    return true;
}

int fragment6_send(const struct netaddr *from, const struct netaddr *to, uint16_t mtu,
                   const uint8_t *datagram, size_t length, fragment6_output_fn output)
{
    uint8_t packet[PACKET_MAX];
    size_t step = ((mtu < sizeof packet ? mtu : sizeof packet) - (size_t)HEADERS) & ~(size_t)7;
    uint32_t id = randombytes_random();
    int err = NX_OK;
    for (size_t at = 0; at < length && err == NX_OK; at += step) {
        size_t size = length - at < step ? length - at : step;
        bool more = at + size < length;
        struct ip6_hdr ip = {.ip6_flow = htobe32(UINT32_C(6) << 28),
                             .ip6_plen = htobe16((uint16_t)(sizeof(struct ip6_frag) + size)),
                             .ip6_nxt = IPPROTO_FRAGMENT,
                             .ip6_hlim = HOP_LIMIT};
        struct ip6_frag fragment = {
            .ip6f_nxt = IPPROTO_UDP, .ip6f_offlg = htobe16((uint16_t)(at | more)), .ip6f_ident = id};
        memcpy(&ip.ip6_src, from->bytes, 16);
        memcpy(&ip.ip6_dst, to->bytes, 16);
        memcpy(packet, &ip, sizeof ip);
        memcpy(packet + sizeof ip, &fragment, sizeof fragment);
        memcpy(packet + HEADERS, datagram + at, size);
        err = output(packet, HEADERS + size, to);
    }
    return err;
}
