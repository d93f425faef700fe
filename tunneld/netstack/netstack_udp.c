/* UDP without lwIP's control blocks: datagrams go to one function and come from one function, and the flow
 * tables are flow/'s. Unfragmented packets take the short way round lwIP; the rest is taken from it after
 * reassembly through a raw control block. What nobody wants goes on to lwIP, which answers with ICMP port
 * unreachable. */
#include "common/clock.h"
#include "common/err.h"
#include "lwip/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/udp.h"
#include "lwip/raw.h"
#include "lwip/udp.h"
#include "tunneld/netstack/checksum.h"
#include "tunneld/netstack/fragment6.h"
#include "tunneld/netstack/internal.h"
#include <string.h>

enum { UDP_HEADER = 8, UDP_PAYLOAD_MAX_V4 = 65507, UDP_PAYLOAD_MAX_V6 = 65527 };

static struct udp_pcb *sender; /* never on lwIP's list: carries the source port to udp_sendto_if_src() */
static uint8_t flat[65536];

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* `udp` points to a UDP header with `length` bytes from there on. */
static bool datagram_input(struct netsock *from, struct netsock *to, const uint8_t *udp, size_t length)
{
    if (length < UDP_HEADER || be16(udp + 4) < UDP_HEADER || be16(udp + 4) > length) {
        netstack.counters.rx_malformed++;
        return true;
    }
    from->port = be16(udp);
    to->port = be16(udp + 2);
    if (from->port == 0 || to->port == 0)
        return true;
    return netstack.ops->on_udp(netstack.arg, from, to, udp + UDP_HEADER, (size_t)be16(udp + 4) - UDP_HEADER);
}

bool netstack_udp_input(const uint8_t *packet, size_t length)
{
    struct netsock from = {0}, to = {0};
    if (packet[0] >> 4 == 4) {
        from.addr.family = to.addr.family = NETADDR_V4;
        memcpy(from.addr.bytes, packet + 12, 4);
        memcpy(to.addr.bytes, packet + 16, 4);
        size_t total = be16(packet + 2);
        if (total > length || total < IP_HLEN) {
            netstack.counters.rx_malformed++;
            return true;
        }
        return datagram_input(&from, &to, packet + IP_HLEN, total - IP_HLEN);
    }
    from.addr.family = to.addr.family = NETADDR_V6;
    memcpy(from.addr.bytes, packet + 8, 16);
    memcpy(to.addr.bytes, packet + 24, 16);
    size_t payload = be16(packet + 4);
    if (payload > length - IP6_HLEN) {
        netstack.counters.rx_malformed++;
        return true;
    }
    return datagram_input(&from, &to, packet + IP6_HLEN, payload);
}

/* A datagram that nobody wants is dropped in silence here: an ICMP error would have to quote a packet that
 * never was. */
void netstack_udp_fragment6(const uint8_t *packet, size_t length)
{
    struct netsock from = {.addr.family = NETADDR_V6}, to = {.addr.family = NETADDR_V6};
    const uint8_t *datagram;
    size_t size;
    if (!fragment6_input(packet, length, clock_now_ns(), &datagram, &size))
        return;
    memcpy(from.addr.bytes, packet + 8, 16);
    memcpy(to.addr.bytes, packet + 24, 16);
    (void)datagram_input(&from, &to, datagram, size);
}

/* After reassembly. lwIP hands over the packet from its IP header on; a return of 1 means eaten and freed. */
static u8_t reassembled_input(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *addr)
{
    (void)arg;
    (void)pcb;
    (void)addr;
    struct netsock from = {0}, to = {0};
    netstack_from_lwip(ip_current_src_addr(), &from.addr);
    netstack_from_lwip(ip_current_dest_addr(), &to.addr);
    u16_t header = ip_current_header_tot_len();
    if (p->tot_len <= header || (size_t)(p->tot_len - header) > sizeof flat)
        return 0;
    u16_t length = pbuf_copy_partial(p, flat, (u16_t)(p->tot_len - header), header);
    if (!datagram_input(&from, &to, flat, length))
        return 0;
    pbuf_free(p);
    return 1;
}

int netstack_udp_init(void)
{
    struct raw_pcb *raw = raw_new_ip_type(IPADDR_TYPE_ANY, IP_PROTO_UDP);
    sender = udp_new_ip_type(IPADDR_TYPE_ANY);
    if (raw == NULL || sender == NULL)
        return NX_ENOMEM;
    raw_bind(raw, IP_ANY_TYPE);
    raw_recv(raw, reassembled_input, NULL);
    return NX_OK;
}

static void be16_put(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* The checksum with the pseudo header (RFC 768, RFC 8200, 8.1); zero means none and is sent as all ones. */
static uint16_t datagram_checksum(const struct netsock *from, const struct netsock *to,
                                  const uint8_t *datagram, size_t length)
{
    uint8_t pseudo[4] = {0, IP_PROTO_UDP, (uint8_t)(length >> 8), (uint8_t)length};
    size_t address = to->addr.family == NETADDR_V4 ? 4 : 16;
    uint64_t sum = checksum_add(0, from->addr.bytes, address);
    sum = checksum_add(sum, to->addr.bytes, address);
    sum = checksum_add(sum, pseudo, sizeof pseudo);
    uint16_t check = (uint16_t)~checksum_fold(checksum_add(sum, datagram, length));
    return check != 0 ? check : UINT16_MAX;
}

static int packet_send(const uint8_t *packet, size_t length, const struct netaddr *to)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
    if (p == NULL)
        return NX_ENOMEM;
    memcpy(p->payload, packet, length);
    err_t err = netstack_packet_output(p, to);
    pbuf_free(p);
    return err == ERR_OK ? NX_OK : NX_ENOMEM;
}

static int send_fragments6(const struct netsock *from, const struct netsock *to, const uint8_t *data,
                           size_t length)
{
    size_t total = UDP_HEADER + length;
    be16_put(flat, from->port);
    be16_put(flat + 2, to->port);
    be16_put(flat + 4, total);
    be16_put(flat + 6, 0);
    memcpy(flat + UDP_HEADER, data, length);
    uint16_t check = datagram_checksum(from, to, flat, total);
    memcpy(flat + 6, &check, sizeof check);
    return fragment6_send(&from->addr, &to->addr, netstack.mtu, flat, total, packet_send);
}

/* A datagram that fits one packet is written straight into its slot of the send batch. */
static size_t headers4(uint8_t *packet, const struct netsock *from, const struct netsock *to, size_t length)
{
    static uint16_t identification;
    struct ip_hdr *ip = (struct ip_hdr *)(void *)packet;
    memset(packet, 0, IP_HLEN);
    IPH_VHL_SET(ip, 4, IP_HLEN / 4);
    IPH_LEN_SET(ip, lwip_htons((u16_t)(IP_HLEN + length)));
    IPH_ID_SET(ip, lwip_htons(identification++));
    IPH_TTL_SET(ip, UDP_TTL);
    IPH_PROTO_SET(ip, IP_PROTO_UDP);
    memcpy(&ip->src, from->addr.bytes, 4);
    memcpy(&ip->dest, to->addr.bytes, 4);
    uint16_t check = (uint16_t)~checksum_fold(checksum_add(0, packet, IP_HLEN));
    memcpy(packet + offsetof(struct ip_hdr, _chksum), &check, sizeof check);
    return IP_HLEN;
}

static size_t headers6(uint8_t *packet, const struct netsock *from, const struct netsock *to, size_t length)
{
    struct ip6_hdr *ip = (struct ip6_hdr *)(void *)packet;
    memset(packet, 0, IP6_HLEN);
    IP6H_VTCFL_SET(ip, 6, 0, 0);
    IP6H_PLEN_SET(ip, (u16_t)length);
    IP6H_NEXTH_SET(ip, IP_PROTO_UDP);
    IP6H_HOPLIM_SET(ip, UDP_TTL);
    memcpy(&ip->src, from->addr.bytes, 16);
    memcpy(&ip->dest, to->addr.bytes, 16);
    return IP6_HLEN;
}

static int send_packet(const struct netsock *from, const struct netsock *to, const uint8_t *data,
                       size_t length)
{
    bool v4 = to->addr.family == NETADDR_V4;
    size_t total = UDP_HEADER + length;
    uint8_t *packet;
    int err = netstack.ops->output_begin(netstack.arg, &to->addr, (v4 ? IP_HLEN : IP6_HLEN) + total, &packet);
    if (err != NX_OK) {
        netstack.counters.tx_dropped++;
        return NX_OK; /* as a full queue of a real interface would */
    }
    uint8_t *udp = packet + (v4 ? headers4(packet, from, to, total) : headers6(packet, from, to, total));
    be16_put(udp, from->port);
    be16_put(udp + 2, to->port);
    be16_put(udp + 4, total);
    be16_put(udp + 6, 0);
    if (length > 0)
        memcpy(udp + UDP_HEADER, data, length);
    uint16_t check = datagram_checksum(from, to, udp, total);
    memcpy(udp + 6, &check, sizeof check);
    netstack.ops->output_end(netstack.arg);
    netstack.counters.tx_packets++;
    return NX_OK;
}

int netstack_udp_send(const struct netsock *from, const struct netsock *to, const uint8_t *data,
                      size_t length)
{
    size_t most = to->addr.family == NETADDR_V4 ? UDP_PAYLOAD_MAX_V4 : UDP_PAYLOAD_MAX_V6;
    if (length > most || from->addr.family != to->addr.family)
        return NX_ERANGE;
    size_t headers = (to->addr.family == NETADDR_V4 ? IP_HLEN : IP6_HLEN) + UDP_HEADER;
    if (headers + length <= netstack.mtu && !netstack_is_own(&to->addr))
        return send_packet(from, to, data, length);
    if (to->addr.family == NETADDR_V6 && headers + length > netstack.mtu)
        return send_fragments6(from, to, data, length);
    struct pbuf *p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)length, PBUF_RAM);
    if (p == NULL)
        return NX_ENOMEM;
    memcpy(p->payload, data, length);
    ip_addr_t source, dest;
    netstack_to_lwip(&from->addr, &source);
    netstack_to_lwip(&to->addr, &dest);
    sender->local_port = from->port;
    err_t err = udp_sendto_if_src(sender, p, &dest, to->port, netif_default, &source);
    pbuf_free(p);
    return err == ERR_OK ? NX_OK : NX_ENOMEM;
}
