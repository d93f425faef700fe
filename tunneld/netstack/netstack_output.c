/* The way out of lwIP: a packet is copied once, into its slot of the send batch, and TCP's checksum is filled
 * in there while the bytes are in the cache. What goes to one of our own addresses is queued and comes back
 * in. */
#include "common/err.h"
#include "lwip/ip.h"
#include "lwip/prot/ip.h"
#include "tunneld/netstack/checksum.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_ecn.h"
#include <string.h>

enum { LOOP_MAX = 4096 /* packets */, TCP_CHECKSUM_OFFSET = 16, TCP_HEADER = 20 };

static struct pbuf *loop_queue[LOOP_MAX];
static size_t loop_head, loop_count;

/* Fills in the checksum of a whole TCP segment (RFC 9293, 3.1). The IP header is ours: no surprises in it. */
static void tcp_checksum_fill(uint8_t *packet, size_t length)
{
    size_t header, addresses, address_bytes;
    if (packet[0] >> 4 == 4) {
        header = (size_t)(packet[0] & 0xf) * 4;
        if (packet[9] != IP_PROTO_TCP || length < header + TCP_HEADER)
            return;
        addresses = 12;
        address_bytes = 8;
    } else {
        header = 40;
        if (packet[6] != IP_PROTO_TCP || length < header + TCP_HEADER)
            return;
        addresses = 8;
        address_bytes = 32;
    }
    uint8_t *tcp = packet + header;
    size_t tcp_length = length - header;
    uint8_t pseudo[4] = {0, IP_PROTO_TCP, (uint8_t)(tcp_length >> 8), (uint8_t)tcp_length};
    memset(tcp + TCP_CHECKSUM_OFFSET, 0, 2);
    uint64_t sum = checksum_add(0, packet + addresses, address_bytes);
    sum = checksum_add(sum, pseudo, sizeof pseudo);
    uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, tcp, tcp_length));
    memcpy(tcp + TCP_CHECKSUM_OFFSET, &check, 2);
}

static err_t loop_push(struct pbuf *p)
{
    struct pbuf *copy = loop_count < LOOP_MAX ? pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM) : NULL;
    if (copy == NULL) {
        netstack.counters.loop_dropped++;
        return ERR_MEM;
    }
    pbuf_copy_partial(p, copy->payload, p->tot_len, 0);
    loop_queue[(loop_head + loop_count) % LOOP_MAX] = copy;
    loop_count++;
    netstack.counters.loop_packets++;
    return ERR_OK;
}

struct pbuf *netstack_loop_pop(void)
{
    if (loop_count == 0)
        return NULL;
    struct pbuf *p = loop_queue[loop_head];
    loop_head = (loop_head + 1) % LOOP_MAX;
    loop_count--;
    return p;
}

bool netstack_loop_empty(void)
{
    return loop_count == 0;
}

err_t netstack_packet_output(struct pbuf *p, const struct netaddr *dst)
{
    if (netstack_is_own(dst))
        return loop_push(p);
    uint8_t *slot;
    if (netstack.ops->output_begin(netstack.arg, dst, p->tot_len, &slot) != NX_OK) {
        netstack.counters.tx_dropped++;
        return ERR_OK; /* dropped as a full queue of a real interface would: TCP sends it again */
    }
    pbuf_copy_partial(p, slot, p->tot_len, 0);
    tcp_ecn_finish(slot, p->tot_len);
    tcp_checksum_fill(slot, p->tot_len);
    netstack.ops->output_end(netstack.arg);
    netstack.counters.tx_packets++;
    return ERR_OK;
}

static err_t output_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *dst)
{
    (void)netif;
    struct netaddr addr = {.family = NETADDR_V4};
    memcpy(addr.bytes, &dst->addr, 4);
    return netstack_packet_output(p, &addr);
}

static err_t output_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dst)
{
    (void)netif;
    struct netaddr addr = {.family = NETADDR_V6};
    memcpy(addr.bytes, dst->addr, 16);
    return netstack_packet_output(p, &addr);
}

err_t netstack_netif_init(struct netif *netif)
{
    netif->name[0] = 'w';
    netif->name[1] = 'g';
    netif->mtu = netstack.mtu;
    netif->mtu6 = netstack.mtu;
    netif->output = output_v4;
    netif->output_ip6 = output_v6;
    return ERR_OK;
}
