/* Explicit congestion notification (RFC 3168) beside lwIP, which has none.
 *
 * What a connection has to say goes in pcb->tos, which lwIP writes into the IP header of whatever it sends
 * for that connection: SAYS_ECE and SAYS_CWR stand for the two flags of TCP, the lowest two bits are the mark
 * itself. tcp_ecn_finish() turns that into flags and mark where a packet is complete. No connection has a
 * DSCP, so the upper bits are free.
 *
 *   opening:  SYN with ECE and CWR ─▶, ◀─ SYN-ACK with ECE: both ends take part
 *   receiver: a packet with CE came ─▶ ECE in all that is sent, until a packet with CWR comes
 *   sender:   ECE came ─▶ the algorithm slows down once a round trip, CWR in the next new segment
 *
 * Only new segments with data carry ECT: what is lost of the rest could not be told otherwise (RFC
 * 3168, 6.1.4 to 6.1.6). A SYN that is sent again asks for nothing, for a path may drop those that ask. */
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "tunneld/netstack/tcp_conn.h"
#include <string.h>

enum {
    SAYS_ECE = 0x80,
    SAYS_CWR = 0x40,
    ECT_0 = 2,
    CE = 3,
    MARK_MASK = 3,
    FLAGS_AT = 13, /* of the TCP header */
    TRAFFIC_CLASS_SHIFT = 4,
};

static uint8_t flags_of(const struct tcp_hdr *hdr)
{
    return (uint8_t)lwip_ntohs(hdr->_hdrlen_rsvd_flags);
}

/* -- Opening --------------------------------------------------------------------------------- */

static bool asked_for; /* by the SYN that is being let in */

void tcp_ecn_connecting(struct tcp_pcb *pcb)
{
    pcb->tos = SAYS_ECE | SAYS_CWR;
}

void tcp_ecn_syn_arrives(const struct tcp_hdr *hdr)
{
    uint8_t flags = flags_of(hdr);
    asked_for = (flags & TCP_ECE) && (flags & TCP_CWR);
}

void tcp_ecn_accepting(struct tcp_pcb *pcb)
{
    struct tcp_conn *conn = tcp_conn_of(pcb);
    conn->ecn = asked_for;
    pcb->tos = asked_for ? SAYS_ECE : 0;
    asked_for = false;
}

void tcp_ecn_established(struct tcp_conn *conn)
{
    conn->pcb->tos = conn->ecn ? ECT_0 : 0;
}

/* -- In -------------------------------------------------------------------------------------- */

static unsigned arrived_mark(void)
{
    return (ip_current_is_v6() ? IP6H_TC(ip6_current_header()) : IPH_TOS(ip4_current_header())) & MARK_MASK;
}

void tcp_ecn_arrives(struct tcp_conn *conn, const struct tcp_hdr *hdr, size_t payload)
{
    struct tcp_pcb *pcb = conn->pcb;
    uint8_t flags = flags_of(hdr);
    if (flags & TCP_SYN) {
        if (pcb->state == SYN_SENT && (flags & TCP_ACK))
            conn->ecn = (flags & TCP_ECE) && !(flags & TCP_CWR);
        return;
    }
    if (!conn->ecn)
        return;
    if (flags & TCP_CWR)
        pcb->tos &= (u8_t)~SAYS_ECE;
    if (payload > 0 && arrived_mark() == CE) {
        pcb->tos |= SAYS_ECE;
        conn->ecn_marks++;
    }
    conn->incoming.congestion_echo = (flags & TCP_ECE) != 0;
}

/* -- Out ------------------------------------------------------------------------------------- */

void tcp_ecn_reduced(struct tcp_conn *conn)
{
    conn->pcb->tos |= SAYS_CWR;
}

void tcp_ecn_segment_sent(struct tcp_conn *conn)
{
    if (conn->established)
        conn->pcb->tos &= (u8_t)~SAYS_CWR;
}

void tcp_ecn_finish(uint8_t *packet, size_t length)
{
    bool v4 = packet[0] >> 4 == 4;
    size_t header = v4 ? IP_HLEN : IP6_HLEN;
    uint8_t protocol = v4 ? packet[9] : packet[6];
    unsigned says = v4 ? packet[1] : ((unsigned)packet[0] << 8 | packet[1]) >> TRAFFIC_CLASS_SHIFT & 0xff;
    if (says == 0 || protocol != IP_PROTO_TCP || length < header + TCP_HLEN)
        return;
    uint8_t *tcp = packet + header, *flags = tcp + FLAGS_AT;
    size_t payload = length - header - (size_t)(tcp[12] >> 4) * 4;
    bool data = payload > 0 && !(*flags & TCP_SYN);
    if ((says & SAYS_ECE) && !(*flags & TCP_RST))
        *flags |= TCP_ECE;
    if ((says & SAYS_CWR) && (data || (*flags & TCP_SYN)))
        *flags |= TCP_CWR;
    unsigned mark = data ? says & MARK_MASK : 0;
    if (v4) {
        packet[1] = (uint8_t)mark;
        packet[10] = packet[11] = 0;
        uint16_t sum = inet_chksum(packet, IP_HLEN);
        memcpy(packet + 10, &sum, sizeof sum);
    } else {
        packet[0] &= 0xf0;
        packet[1] = (uint8_t)(mark << TRAFFIC_CLASS_SHIFT | (packet[1] & 0x0f));
    }
}
