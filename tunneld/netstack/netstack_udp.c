/* UDP without lwIP's control blocks: datagrams go to one function and come from one function, and the flow tables are
 * flow/'s. Unfragmented packets take the short way round lwIP; the rest is taken from it after reassembly through a raw
 * control block. What nobody wants goes on to lwIP, which answers with ICMP port unreachable. */
#include "common/err.h"
#include "lwip/ip.h"
#include "lwip/prot/udp.h"
#include "lwip/raw.h"
#include "lwip/udp.h"
#include "tunneld/netstack/internal.h"
#include <string.h>

enum { UDP_HEADER = 8, UDP_PAYLOAD_MAX_V4 = 65507, UDP_PAYLOAD_MAX_V6 = 65487 };

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

int netstack_udp_send(const struct netsock *from, const struct netsock *to, const uint8_t *data, size_t length)
{
    size_t most = to->addr.family == NETADDR_V4 ? UDP_PAYLOAD_MAX_V4 : UDP_PAYLOAD_MAX_V6;
    if (length > most || from->addr.family != to->addr.family)
        return NX_ERANGE;
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
