/* Functions behind the hooks of lwipopts.h; see there and in tunneld/lwip/patches/. */
#ifndef NEXD_LWIP_HOOKS_H
#define NEXD_LWIP_HOOKS_H

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"

struct tcp_pcb;
struct tcp_hdr;

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

#endif
