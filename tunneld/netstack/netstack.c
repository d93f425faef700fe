/* Set-up, input and the flush of what input caused.
 *
 * A packet's way in: netstack_input → (unfragmented UDP: netstack_udp.c, round lwIP) → lwIP's ip_input →
 * tcp_input, which marks the connection for output (patch 0002) → callbacks in flow/. netstack_flush() then
 * calls tcp_conn_output() once for each marked connection, and feeds back what was sent to ourselves. */
#include "tunneld/netstack/netstack.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/icmp6.h"
#include "lwip_hooks.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/pcb_table.h"
#include "tunneld/netstack/tcp_conn.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWERS_PER_SECOND = 1000,
    ANSWERS_BURST = 200,
    ORPHANS_MAX = 8192,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    IPV6_FRAGMENT_HEADER = 8
};

struct netstack netstack;
static struct tcp_pcb *output_list;
static struct log_ratelimit answer_limit = {.per_second = ANSWERS_PER_SECOND, .burst = ANSWERS_BURST};

/* A packet buffer that points into a receive buffer. */
struct rx_pbuf {
    struct pbuf_custom custom;
    struct rxbuf *owner;
    struct rx_pbuf *next_free;
};
static struct rx_pbuf *free_rx_pbufs;

static void rx_pbuf_free(struct pbuf *p)
{
    struct rx_pbuf *rx = (struct rx_pbuf *)(void *)p;
    rxbuf_unref(rx->owner);
    rx->next_free = free_rx_pbufs;
    free_rx_pbufs = rx;
}

static struct pbuf *rx_pbuf_new(const uint8_t *data, uint16_t length, struct rxbuf *owner)
{
    struct rx_pbuf *rx = free_rx_pbufs;
    if (rx != NULL) {
        free_rx_pbufs = rx->next_free;
    } else {
        rx = malloc(sizeof *rx);
        if (rx == NULL)
            return NULL;
    }
    rx->custom.custom_free_function = rx_pbuf_free;
    rx->owner = owner;
    rxbuf_ref(owner);
    return pbuf_alloced_custom(PBUF_RAW, length, PBUF_REF, &rx->custom, (void *)(uintptr_t)data, length);
}

static struct pbuf *copied_pbuf_new(const uint8_t *data, uint16_t length)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, length, PBUF_RAM);
    if (p != NULL)
        memcpy(p->payload, data, length);
    return p;
}

void netstack_to_lwip(const struct netaddr *addr, ip_addr_t *out)
{
    memset(out, 0, sizeof *out);
    if (addr->family == NETADDR_V4) {
        memcpy(&ip_2_ip4(out)->addr, addr->bytes, 4);
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
    } else {
        memcpy(ip_2_ip6(out)->addr, addr->bytes, 16);
        IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V6);
    }
}

void netstack_from_lwip(const ip_addr_t *addr, struct netaddr *out)
{
    memset(out, 0, sizeof *out);
    if (IP_IS_V4(addr)) {
        out->family = NETADDR_V4;
        memcpy(out->bytes, &ip_2_ip4(addr)->addr, 4);
    } else {
        out->family = NETADDR_V6;
        memcpy(out->bytes, ip_2_ip6(addr)->addr, 16);
    }
}

bool netstack_is_own(const struct netaddr *addr)
{
    for (size_t i = 0; i < netstack.own_count; i++)
        if (netaddr_equal(&netstack.own[i], addr))
            return true;
    return false;
}

const struct netaddr *netstack_own_address(uint8_t family)
{
    for (size_t i = 0; i < netstack.own_count; i++)
        if (netstack.own[i].family == family)
            return &netstack.own[i];
    return NULL;
}

/* lwIP's interface number `index`, made when first asked for. */
static struct netif *netif_at(size_t index, const ip4_addr_t *addr)
{
    ip4_addr_t mask, none;
    IP4_ADDR(&mask, 255, 255, 255, 255);
    IP4_ADDR(&none, 0, 0, 0, 0);
    struct netif *netif = &netstack.netifs[index];
    if (index < netstack.netif_count)
        return netif;
    netif_add(netif, addr, &mask, &none, NULL, netstack_netif_init, ip_input);
    netif_set_up(netif);
    netif_set_link_up(netif);
    netstack.netif_count = index + 1;
    return netif;
}

static int addresses_add(const struct netaddr *addresses, size_t count)
{
    ip4_addr_t none;
    IP4_ADDR(&none, 0, 0, 0, 0);
    size_t v4_count = 0;
    s8_t v6_count = 0;
    for (size_t i = 0; i < count; i++) {
        ip_addr_t ip;
        netstack_to_lwip(&addresses[i], &ip);
        if (addresses[i].family == NETADDR_V4)
            netif_at(v4_count++, ip_2_ip4(&ip));
    }
    struct netif *first = netif_at(0, &none);
    netif_set_default(first);
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].family != NETADDR_V6)
            continue;
        if (v6_count >= LWIP_IPV6_NUM_ADDRESSES)
            return NX_ERANGE;
        ip_addr_t ip;
        netstack_to_lwip(&addresses[i], &ip);
        netif_ip6_addr_set(first, v6_count, ip_2_ip6(&ip));
        netif_ip6_addr_set_state(first, v6_count, IP6_ADDR_PREFERRED);
        v6_count++;
    }
    return NX_OK;
}

int netstack_init(const struct netaddr *addresses, size_t count, uint16_t mtu, struct timerq *queue,
                  const struct netstack_ops *ops, void *arg)
{
    if (count > sizeof netstack.own / sizeof netstack.own[0])
        return NX_ERANGE;
    netstack.ops = ops;
    netstack.arg = arg;
    netstack.mtu = mtu;
    memcpy(netstack.own, addresses, count * sizeof *addresses);
    netstack.own_count = count;
    netstack.orphans_max = ORPHANS_MAX;
    netstack_ping_init(queue);
    int err = pcb_table_init();
    if (err != NX_OK)
        return err;
    lwip_init();
    tcp_conn_init(queue);
    err = addresses_add(addresses, count);
    if (err == NX_OK)
        err = netstack_udp_init();
    if (err == NX_OK)
        err = netstack_timers_init(queue);
    return err;
}

/* What the headers say before lwIP sees them. */
struct inner_packet {
    struct netaddr source, dest;
    bool fragment;
    bool plain_udp; /* no fragment, no options */
    bool icmp;      /* no fragment */
    bool answered;  /* neither TCP nor UDP nor ICMP: lwIP would answer with an ICMP error */
};

/* IPv6 extension headers other than Fragment are refused: nothing in a mesh of hosts needs them (RFC 7872
 * found them dropped on much of the Internet), and lwIP reads them before it has checked their length. */
static bool ipv6_transport(uint8_t next)
{
    return next == IP_PROTO_TCP || next == IP_PROTO_UDP || next == IP6_NEXTH_ICMP6;
}

/* Errors and echo. There are no neighbours and no routers to discover on a link of packets (RFC 4861), and
 * lwIP would believe what they say. */
static bool icmp6_wanted(uint8_t type)
{
    return (type >= ICMP6_TYPE_DUR && type <= ICMP6_TYPE_PP) || type == ICMP6_TYPE_EREQ ||
           type == ICMP6_TYPE_EREP;
}

static bool inner_parse(const uint8_t *data, size_t length, struct inner_packet *out)
{
    *out = (struct inner_packet){0};
    if (length >= IPV4_HEADER && data[0] >> 4 == 4) {
        uint8_t protocol = data[9];
        out->source.family = out->dest.family = NETADDR_V4;
        memcpy(out->source.bytes, data + 12, 4);
        memcpy(out->dest.bytes, data + 16, 4);
        out->fragment = ((data[6] << 8 | data[7]) & 0x3fff) != 0;
        out->plain_udp = protocol == IP_PROTO_UDP && !out->fragment && (data[0] & 0xf) == 5;
        out->icmp = protocol == IP_PROTO_ICMP && !out->fragment;
        out->answered = protocol != IP_PROTO_TCP && protocol != IP_PROTO_UDP && protocol != IP_PROTO_ICMP;
        return true;
    }
    if (length >= IPV6_HEADER && data[0] >> 4 == 6) {
        uint8_t next = data[6];
        out->source.family = out->dest.family = NETADDR_V6;
        memcpy(out->source.bytes, data + 8, 16);
        memcpy(out->dest.bytes, data + 24, 16);
        out->plain_udp = next == IP_PROTO_UDP;
        out->icmp = next == IP6_NEXTH_ICMP6;
        out->fragment = next == IP6_NEXTH_FRAGMENT;
        if (out->fragment)
            return length >= IPV6_HEADER + IPV6_FRAGMENT_HEADER && ipv6_transport(data[IPV6_HEADER]);
        if (out->icmp)
            return length > IPV6_HEADER && icmp6_wanted(data[IPV6_HEADER]);
        return ipv6_transport(next);
    }
    return false;
}

static void input(const uint8_t *data, size_t length, struct rxbuf *owner, bool from_peer)
{
    struct inner_packet packet;
    netstack.counters.rx_packets++;
    if (!netstack.ticks_fresh) {
        netstack.ticks_fresh = true;
        tcp_conn_ticks_update(clock_now_ns());
    }
    if (length > UINT16_MAX || !inner_parse(data, length, &packet)) {
        netstack.counters.rx_malformed++;
        return;
    }
    if (!netstack_is_own(&packet.dest) || (from_peer && netstack_is_own(&packet.source))) {
        netstack.counters.rx_foreign++;
        return;
    }
    if (packet.plain_udp && netstack_udp_input(data, length))
        return;
    if (packet.icmp && netstack_ping_input(data, length))
        return;
    if (packet.fragment && data[0] >> 4 == 6 && data[IPV6_HEADER] == IP_PROTO_UDP) {
        netstack_udp_fragment6(data, length);
        return;
    }
    if ((packet.plain_udp || packet.answered) && !netstack_answer_allowed())
        return;
    if (packet.fragment)
        netstack_timers_fragment_seen();

    bool copy = owner == NULL || packet.fragment || !rxbuf_may_pin();
    struct pbuf *p =
        copy ? copied_pbuf_new(data, (uint16_t)length) : rx_pbuf_new(data, (uint16_t)length, owner);
    if (p == NULL) {
        netstack.counters.rx_no_memory++;
        return;
    }
    ip_input(p, netif_default); /* takes the buffer over, whatever it answers */
}

/* A peer that routes for others (AllowedIPs 0.0.0.0/0) may use any source that is no other peer's; not ours.
 */
void netstack_input(const uint8_t *data, size_t length, struct rxbuf *owner)
{
    input(data, length, owner, true);
}

void netstack_input_own(const uint8_t *data, size_t length)
{
    input(data, length, NULL, false);
}

bool netstack_answer_allowed(void)
{
    if (log_ratelimit_ok(&answer_limit))
        return true;
    netstack.counters.answers_limited++;
    return false;
}

int netstack_reset_allowed(void)
{
    return netstack_answer_allowed();
}

void netstack_tcp_output_later(struct tcp_pcb *pcb)
{
    if (pcb->output_link != NULL)
        return;
    pcb->output_next = output_list;
    if (output_list != NULL)
        output_list->output_link = &pcb->output_next;
    output_list = pcb;
    pcb->output_link = &output_list;
}

void netstack_output_later(struct tcp_pcb *pcb)
{
    netstack_tcp_output_later(pcb);
}

static void output_run(void)
{
    while (output_list != NULL) {
        struct tcp_pcb *pcb = output_list;
        output_list = pcb->output_next;
        if (output_list != NULL)
            output_list->output_link = &output_list;
        pcb->output_link = NULL;
        tcp_conn_output(pcb);
    }
}

bool netstack_flush(unsigned rounds)
{
    netstack.ticks_fresh = false;
    for (unsigned i = 0; i < rounds; i++) {
        output_run();
        struct pbuf *p = NULL;
        for (unsigned n = 0; n < 256 && (p = netstack_loop_pop()) != NULL; n++) {
            netstack_input_own(p->payload, p->len);
            pbuf_free(p);
        }
        if (output_list == NULL && netstack_loop_empty())
            return false;
    }
    return true;
}

void netstack_memory_set(size_t limit_bytes, const size_t *held_bytes)
{
    netstack.memory_limit = limit_bytes;
    netstack.flow_bytes = held_bytes;
}

size_t netstack_memory_limit(void)
{
    return netstack.memory_limit;
}

size_t netstack_memory_left(void)
{
    size_t held =
        netstack.gap_bytes + netstack.orphan_bytes + (netstack.flow_bytes != NULL ? *netstack.flow_bytes : 0);
    return held < netstack.memory_limit ? netstack.memory_limit - held : 0;
}

size_t netstack_tcp_count(void)
{
    return pcb_table_count();
}

uint32_t netstack_random(void)
{
    return randombytes_random();
}

/* RFC 6528: a keyed hash of the connection, plus a clock of 4 µs ticks. */
u32_t netstack_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                       u16_t remote_port)
{
    static uint8_t key[crypto_shorthash_KEYBYTES];
    static bool keyed;
    if (!keyed) {
        randombytes_buf(key, sizeof key);
        keyed = true;
    }
    struct {
        struct netaddr local, remote;
        uint16_t local_port, remote_port;
    } tuple;
    memset(&tuple, 0, sizeof tuple);
    netstack_from_lwip(local_ip, &tuple.local);
    netstack_from_lwip(remote_ip, &tuple.remote);
    tuple.local_port = local_port;
    tuple.remote_port = remote_port;
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, (const uint8_t *)&tuple, sizeof tuple, key);
    u32_t word;
    memcpy(&word, hash, sizeof word);
    return word + (u32_t)(clock_now_ns() / (4 * NS_PER_US));
}

void netstack_assert(const char *what, const char *file, int line)
{
    log_error("lwIP assertion: %s (%s:%d)", what, file, line);
    abort();
}

const struct netstack_counters *netstack_counters_get(void)
{
    return &netstack.counters;
}

u32_t sys_now(void);
u32_t sys_now(void)
{
    return (u32_t)(clock_now_ns() / NS_PER_MS);
}
