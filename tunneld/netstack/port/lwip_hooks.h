/* Functions behind the hooks of lwipopts.h; see there and in tunneld/lwip/patches/. */
#ifndef NEXD_LWIP_HOOKS_H
#define NEXD_LWIP_HOOKS_H

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

struct tcp_pcb;
struct tcp_hdr;
struct tcp_seg;

struct tcp_pcb *netstack_pcb_find(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                                  u16_t remote_port);
void netstack_pcb_listed(struct tcp_pcb *pcb);
void netstack_pcb_unlisted(struct tcp_pcb *pcb);
void netstack_tcp_output_later(struct tcp_pcb *pcb);
int netstack_reset_allowed(void);
u32_t netstack_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                       u16_t remote_port);
err_t netstack_tcp_inpacket(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t optlen, u16_t opt1len, u8_t *opt2,
                            struct pbuf *p);
/* tcp_send.c: may a new segment leave now; it has left; an acknowledgement came (`duplicate`: without data or
 * change of window); the far end asks for the first segment again. */
int netstack_tcp_may_send(struct tcp_pcb *pcb, struct tcp_seg *seg);
void netstack_tcp_sent(struct tcp_pcb *pcb, struct tcp_seg *seg);
void netstack_tcp_acked(struct tcp_pcb *pcb, u32_t ack, int duplicate);
void netstack_tcp_resend_first(struct tcp_pcb *pcb);
/* tcp_receive.c: a segment ahead of a gap (1: acknowledge at once); one that was there already; what is in
 * order now joins the chain *data (1: a FIN ends it); the SACK blocks of an ACK about to leave; the window.
 */
int netstack_tcp_out_of_order(struct tcp_pcb *pcb, const struct tcp_seg *seg, u32_t start);
void netstack_tcp_duplicate(struct tcp_pcb *pcb, u32_t start, u32_t length);
int netstack_tcp_in_order(struct tcp_pcb *pcb, struct pbuf **data);
void netstack_tcp_fill_sacks(struct tcp_pcb *pcb);
u32_t netstack_tcp_window_max(struct tcp_pcb *pcb);

#endif
