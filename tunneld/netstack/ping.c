/* The packets are made and recognised here, beside lwIP, which only answers echoes.
 *
 * An answer is believed if it comes from where the question went and carries its 16 random bytes: nobody who
 * has not seen the question can make one. Its sequence number is the slot of the question, so that no search
 * is needed. */
#include "tunneld/netstack/ping.h"
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/netstack/checksum.h"
#include "tunneld/netstack/internal.h"
#include <sodium.h>
#include <string.h>

enum {
    V4_HEADER = 20,
    V6_HEADER = 40,
    ECHO_HEADER = 8,
    ECHO_TOKEN = 16,
    ECHO_BYTES = ECHO_HEADER + ECHO_TOKEN,
    ICMP4_ECHO = 8,
    ICMP4_ECHO_REPLY = 0,
    ICMP6_ECHO = 128,
    ICMP6_ECHO_REPLY = 129,
    HOP_LIMIT = 64
};

struct ping {
    bool used;
    struct netaddr dest;
    uint8_t token[ECHO_TOKEN];
    uint64_t sent_ns;
    struct timerq_timer timer;
    netstack_ping_fn done;
    void *arg;
    uint32_t request;
};

static struct ping pings[NETSTACK_PINGS_MAX];
static size_t search_from; /* slots take turns, so that a late answer meets no young question */
static struct timerq *timers;

void netstack_ping_init(struct timerq *queue)
{
    timers = queue;
}

static void ping_end(struct ping *ping, int err, uint64_t round_trip_ns)
{
    timer_disarm(timers, &ping->timer);
    ping->used = false;
    ping->done(ping->arg, ping->request, err, round_trip_ns);
}

static void on_timeout(struct timerq_timer *timer, void *arg, uint64_t now_ns)
{
    (void)timer, (void)now_ns;
    ping_end(arg, NX_ETIMEDOUT, 0);
}

static struct ping *slot_take(void)
{
    for (size_t i = 0; i < NETSTACK_PINGS_MAX; i++) {
        struct ping *ping = &pings[(search_from + i) % NETSTACK_PINGS_MAX];
        if (ping->used)
            continue;
        search_from = (size_t)(ping - pings) + 1;
        return ping;
    }
    return NULL;
}

static void put16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

/* The ICMP message; `sum` is that of the pseudo header, which only IPv6 has. */
static void echo_write(uint8_t *out, uint8_t type, size_t slot, const uint8_t *token, uint64_t sum)
{
    memset(out, 0, ECHO_HEADER);
    out[0] = type;
    memcpy(out + 4, token, 2); /* identifier */
    put16(out + 6, slot);
    memcpy(out + ECHO_HEADER, token, ECHO_TOKEN);
    uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, out, ECHO_BYTES));
    memcpy(out + 2, &check, sizeof check);
}

static size_t packet_write_v4(uint8_t *out, const struct netaddr *from, const struct ping *ping)
{
    memset(out, 0, V4_HEADER);
    out[0] = 0x45;
    put16(out + 2, V4_HEADER + ECHO_BYTES);
    out[6] = 0x40; /* don't fragment */
    out[8] = HOP_LIMIT;
    out[9] = 1; /* ICMP */
    memcpy(out + 12, from->bytes, 4);
    memcpy(out + 16, ping->dest.bytes, 4);
    uint16_t check = (uint16_t)~checksum_fold(checksum_add(0, out, V4_HEADER));
    memcpy(out + 10, &check, sizeof check);
    echo_write(out + V4_HEADER, ICMP4_ECHO, (size_t)(ping - pings), ping->token, 0);
    return V4_HEADER + ECHO_BYTES;
}

static size_t packet_write_v6(uint8_t *out, const struct netaddr *from, const struct ping *ping)
{
    static const uint8_t pseudo[8] = {0, 0, 0, ECHO_BYTES, 0, 0, 0, 58 /* ICMPv6 */};
    memset(out, 0, V6_HEADER);
    out[0] = 0x60;
    put16(out + 4, ECHO_BYTES);
    out[6] = 58;
    out[7] = HOP_LIMIT;
    memcpy(out + 8, from->bytes, 16);
    memcpy(out + 24, ping->dest.bytes, 16);
    uint64_t sum = checksum_add(checksum_add(0, out + 8, 32), pseudo, sizeof pseudo);
    echo_write(out + V6_HEADER, ICMP6_ECHO, (size_t)(ping - pings), ping->token, sum);
    return V6_HEADER + ECHO_BYTES;
}

static int packet_send(const struct ping *ping)
{
    const struct netaddr *from = netstack_own_address(ping->dest.family);
    struct pbuf *p = pbuf_alloc(PBUF_RAW, V6_HEADER + ECHO_BYTES, PBUF_RAM);
    if (p == NULL)
        return NX_ENOMEM;
    size_t length = ping->dest.family == NETADDR_V4 ? packet_write_v4(p->payload, from, ping)
                                                    : packet_write_v6(p->payload, from, ping);
    pbuf_realloc(p, (u16_t)length);
    err_t err = netstack_packet_output(p, &ping->dest);
    pbuf_free(p);
    return err == ERR_OK ? NX_OK : NX_ENOMEM;
}

int netstack_ping(const struct netaddr *dest, uint64_t timeout_ns, netstack_ping_fn done, void *arg,
                  uint32_t request)
{
    if (netstack_own_address(dest->family) == NULL ||
        (!netstack_is_own(dest) && !netstack.ops->routable(netstack.arg, dest)))
        return NX_ENOENT;
    struct ping *ping = slot_take();
    if (ping == NULL)
        return NX_EAGAIN;
    ping->dest = *dest;
    ping->sent_ns = clock_now_ns();
    ping->done = done;
    ping->arg = arg;
    ping->request = request;
    randombytes_buf(ping->token, sizeof ping->token);
    timer_setup(&ping->timer, on_timeout, ping);
    int err = timer_arm(timers, &ping->timer, ping->sent_ns + timeout_ns);
    if (err == NX_OK && (err = packet_send(ping)) != NX_OK)
        timer_disarm(timers, &ping->timer);
    ping->used = err == NX_OK;
    return err;
}

void netstack_ping_forget(void)
{
    for (size_t i = 0; i < NETSTACK_PINGS_MAX; i++) {
        if (pings[i].used)
            timer_disarm(timers, &pings[i].timer);
        pings[i].used = false;
    }
}

bool netstack_ping_input(const uint8_t *packet, size_t length)
{
    struct netaddr from = {.family = packet[0] >> 4 == 4 ? NETADDR_V4 : NETADDR_V6};
    bool is_v4 = from.family == NETADDR_V4;
    size_t header = is_v4 ? V4_HEADER : V6_HEADER, wanted = header + ECHO_BYTES;
    if (length < wanted || (is_v4 && packet[0] != 0x45))
        return false;
    const uint8_t *echo = packet + header;
    if (echo[0] != (is_v4 ? ICMP4_ECHO_REPLY : ICMP6_ECHO_REPLY) || echo[1] != 0)
        return false;
    memcpy(from.bytes, packet + (is_v4 ? 12 : 8), is_v4 ? 4 : 16);
    size_t slot = (size_t)(echo[6] << 8 | echo[7]);
    struct ping *ping = slot < NETSTACK_PINGS_MAX && pings[slot].used ? &pings[slot] : NULL;
    if (ping == NULL || !netaddr_equal(&ping->dest, &from) ||
        sodium_memcmp(ping->token, echo + ECHO_HEADER, ECHO_TOKEN) != 0)
        return false; /* lwIP drops it */
    ping_end(ping, NX_OK, clock_now_ns() - ping->sent_ns);
    return true;
}
