/* Opening TCP connections: ports that listen, the gate before them, and connections of our own.
 *
 * The gate: a SYN for a listening port is taken out of lwIP's hands (hook of tcp_input) and handed to flow/,
 * which has the destination connected first. Then the SYN is put in again and answered, or a reset is sent.
 * So a peer sees exactly what the destination says, and a flood of SYNs leaves no half-open connection in
 * lwIP. */
#include "common/err.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip_hooks.h"
#include "tunneld/netstack/checksum.h"
#include "tunneld/netstack/internal.h"
#include "tunneld/netstack/tcp_conn.h"
#include <string.h>

enum { PORT_FIRST = 1024, PORT_COUNT = 65536 - PORT_FIRST, PORT_TRIES = 64 };

static bool gate_open; /* while a kept SYN is let in */

/* Only SYNs that came through the gate get this far, and their flow is attached before the handshake ends. */
static err_t accept_only_attached(void *arg, struct tcp_pcb *pcb, err_t err)
{
    (void)arg;
    if (pcb == NULL || err != ERR_OK)
        return ERR_VAL;
    if (pcb->callback_arg == NULL) {
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    netstack.ops->on_accepted(netstack.arg, pcb->callback_arg);
    return ERR_OK;
}

/* By port, since rules and connections ask for them by the ten thousand. Pages that nobody uses cost nothing.
 */
static struct tcp_pcb *listeners[UINT16_MAX + 1];

int netstack_listen(uint16_t port)
{
    if (listeners[port] != NULL)
        return NX_OK;
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
    if (pcb == NULL)
        return NX_ENOMEM;
    /* Not tcp_bind(): it would refuse a port that live connections use, which is no conflict here. */
    pcb->local_port = port;
    struct tcp_pcb *listener = tcp_listen(pcb);
    if (listener == NULL) {
        tcp_abort(pcb);
        return NX_ENOMEM;
    }
    listeners[port] = listener;
    tcp_conn_listen(listener);
    tcp_arg(listener, NULL);
    tcp_accept(listener, accept_only_attached);
    return NX_OK;
}

void netstack_unlisten(uint16_t port)
{
    if (listeners[port] != NULL)
        (void)tcp_close(listeners[port]);
    listeners[port] = NULL;
}

err_t netstack_tcp_inpacket(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t optlen, u16_t opt1len, u8_t *opt2,
                            struct pbuf *p)
{
    if (pcb->state != LISTEN && tcp_conn_no_room(pcb, p->tot_len)) {
        netstack.counters.rx_no_memory++;
        return ERR_MEM;
    }
    if (pcb->state != LISTEN)
        tcp_conn_take_options(pcb, hdr, optlen, opt1len, opt2);
    if (pcb->state != LISTEN && tcp_conn_of(pcb) != NULL)
        tcp_ecn_arrives(tcp_conn_of(pcb), hdr, p->tot_len);
    if (pcb->state == LISTEN && gate_open)
        tcp_ecn_syn_arrives(hdr);
    if (pcb->state != LISTEN || gate_open)
        return ERR_OK;
    if ((TCPH_FLAGS(hdr) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
        return ERR_OK; /* lwIP answers or drops it */
    struct netstack_syn syn = {.remote.port = hdr->src, .local.port = hdr->dest, .sequence = hdr->seqno};
    netstack_from_lwip(ip_current_src_addr(), &syn.remote.addr);
    netstack_from_lwip(ip_current_dest_addr(), &syn.local.addr);
    /* lwIP has turned the header to host order; options may lie in two pieces. */
    struct tcp_hdr wire = *hdr;
    wire.src = lwip_htons(hdr->src);
    wire.dest = lwip_htons(hdr->dest);
    wire.seqno = lwip_htonl(hdr->seqno);
    wire.ackno = lwip_htonl(hdr->ackno);
    wire.wnd = lwip_htons(hdr->wnd);
    memcpy(syn.tcp, &wire, TCP_HLEN);
    memcpy(syn.tcp + TCP_HLEN, (const uint8_t *)hdr + TCP_HLEN, opt1len);
    if (optlen > opt1len)
        memcpy(syn.tcp + TCP_HLEN + opt1len, opt2, (size_t)(optlen - opt1len));
    syn.tcp_length = (uint8_t)(TCP_HLEN + optlen);
    netstack.ops->on_syn(netstack.arg, &syn);
    return ERR_ABRT; /* lwIP drops the packet */
}

static size_t syn_packet(const struct netstack_syn *syn, uint8_t *packet)
{
    if (syn->local.addr.family == NETADDR_V4) {
        struct ip_hdr *ip = (struct ip_hdr *)(void *)packet;
        memset(ip, 0, IP_HLEN);
        IPH_VHL_SET(ip, 4, IP_HLEN / 4);
        IPH_LEN_SET(ip, lwip_htons((u16_t)(IP_HLEN + syn->tcp_length)));
        IPH_TTL_SET(ip, 64);
        IPH_PROTO_SET(ip, IP_PROTO_TCP);
        memcpy(&ip->src, syn->remote.addr.bytes, 4);
        memcpy(&ip->dest, syn->local.addr.bytes, 4);
        memcpy(packet + IP_HLEN, syn->tcp, syn->tcp_length);
        return (size_t)IP_HLEN + syn->tcp_length;
    }
    struct ip6_hdr *ip = (struct ip6_hdr *)(void *)packet;
    memset(ip, 0, IP6_HLEN);
    IP6H_VTCFL_SET(ip, 6, 0, 0);
    IP6H_PLEN_SET(ip, syn->tcp_length);
    IP6H_NEXTH_SET(ip, IP_PROTO_TCP);
    IP6H_HOPLIM_SET(ip, 64);
    memcpy(&ip->src, syn->remote.addr.bytes, 16);
    memcpy(&ip->dest, syn->local.addr.bytes, 16);
    memcpy(packet + IP6_HLEN, syn->tcp, syn->tcp_length);
    return (size_t)IP6_HLEN + syn->tcp_length;
}

struct tcp_pcb *netstack_syn_accept(const struct netstack_syn *syn)
{
    uint8_t packet[IP6_HLEN + sizeof syn->tcp] __attribute__((aligned(8)));
    size_t length = syn_packet(syn, packet);
    gate_open = true;
    netstack_input_own(packet, length);
    gate_open = false;
    ip_addr_t local, remote;
    netstack_to_lwip(&syn->local.addr, &local);
    netstack_to_lwip(&syn->remote.addr, &remote);
    struct tcp_pcb *pcb = netstack_pcb_find(&local, syn->local.port, &remote, syn->remote.port);
    return pcb != NULL && pcb->state == SYN_RCVD && pcb->callback_arg == NULL ? pcb : NULL;
}

void netstack_syn_reset(const struct netstack_syn *syn)
{
    ip_addr_t local, remote;
    netstack_to_lwip(&syn->local.addr, &local);
    netstack_to_lwip(&syn->remote.addr, &remote);
    if (netstack_answer_allowed())
        tcp_rst_netif(netif_default, 0, syn->sequence + 1, &local, &remote, syn->local.port,
                      syn->remote.port);
}

/* Ends a connection's TIME-WAIT early. The peer has none, as we closed first, and our next initial sequence
 * number lies above the old ones (RFC 6191). */
static void time_wait_end(struct tcp_pcb *pcb)
{
    tcp_pcb_remove(&tcp_tw_pcbs, pcb);
    tcp_free(pcb);
}

/* A random port that no connection to that destination uses (RFC 6056, algorithm 2); when the tries are used
 * up, one whose connection only waits for its end. 0: none. */
static uint16_t port_choose(const ip_addr_t *local, const ip_addr_t *remote, uint16_t remote_port)
{
    struct tcp_pcb *waiting = NULL;
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint16_t port = (uint16_t)(PORT_FIRST + netstack_random() % PORT_COUNT);
        struct tcp_pcb *pcb = netstack_pcb_find(local, port, remote, remote_port);
        /* Towards ourselves, both ends of an old connection are here. */
        if (listeners[port] != NULL || netstack_pcb_find(remote, remote_port, local, port) != NULL)
            continue;
        if (pcb == NULL)
            return port;
        if (pcb->state == TIME_WAIT)
            waiting = pcb;
    }
    if (waiting == NULL)
        return 0;
    uint16_t port = waiting->local_port;
    time_wait_end(waiting);
    return port;
}

int netstack_connect(const struct netsock *dest, void (*prepare)(struct tcp_pcb *, void *),
                     tcp_connected_fn connected, void *arg, struct tcp_pcb **out)
{
    bool to_self = netstack_is_own(&dest->addr);
    const struct netaddr *own = to_self ? &dest->addr : netstack_own_address(dest->addr.family);
    if (own == NULL || (!to_self && !netstack.ops->routable(netstack.arg, &dest->addr)))
        return NX_ENOENT;
    ip_addr_t local, remote;
    netstack_to_lwip(own, &local);
    netstack_to_lwip(&dest->addr, &remote);
    uint16_t port = port_choose(&local, &remote, dest->port);
    if (port == 0)
        return NX_EAGAIN;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&remote));
    if (pcb == NULL || tcp_conn_attach(pcb) != NX_OK) {
        if (pcb != NULL)
            tcp_abort(pcb);
        return NX_ENOMEM;
    }
    ip_addr_copy(pcb->local_ip, local);
    pcb->local_port = port;
    tcp_ecn_connecting(pcb);
    prepare(pcb, arg);
    if (tcp_connect(pcb, &remote, dest->port, connected) != ERR_OK) {
        tcp_arg(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
        return NX_ENOMEM;
    }
    *out = pcb;
    return NX_OK;
}
