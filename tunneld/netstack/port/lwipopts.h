/* lwIP's options, each with its reason where it is not obvious. See lwIP's opt.h for their meaning. */
#ifndef NEXD_LWIPOPTS_H
#define NEXD_LWIPOPTS_H

/* One thread, no operating system below, our own timers (netstack_timers.c). */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_SOCKET          0
#define LWIP_NETCONN         0
#define LWIP_TIMERS          0

/* Everything from malloc: bounds are kept per flow and in total by flow/, and an idle process stays small. */
#define MEM_ALIGNMENT            8
#define MEM_CUSTOM_ALLOCATOR     1
#define MEM_CUSTOM_MALLOC        netstack_block_new
#define MEM_CUSTOM_FREE          netstack_block_free
#define MEM_CUSTOM_CALLOC        calloc
#define MEMP_MEM_MALLOC          1
#define MEMP_OVERFLOW_CHECK      0
#define LWIP_SUPPORT_CUSTOM_PBUF 1 /* received packets are used where they were decrypted */

/* A layer-3 interface: no link header, no ARP, no neighbour discovery, no multicast groups. */
#define LWIP_ARP                        0
#define LWIP_ETHERNET                   0
#define PBUF_LINK_HLEN                  0
#define PBUF_LINK_ENCAPSULATION_HLEN    0
#define LWIP_IPV4                       1
#define LWIP_IPV6                       1
#define LWIP_IPV6_SCOPES                0
#define LWIP_IPV6_MLD                   0
#define LWIP_IPV6_AUTOCONFIG            0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT   0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS   0
#define LWIP_IPV6_NUM_ADDRESSES         8
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_DHCP                       0
#define LWIP_DNS                        0
#define LWIP_IGMP                       0
#define IP_FORWARD                      0

/* Fragments are made and reassembled (UDP up to 65,507 bytes passes a tunnel of MTU 1280). */
#define IP_REASSEMBLY        1
#define IP_FRAG              1
#define LWIP_IPV6_FRAG       1
#define LWIP_IPV6_REASS      1
#define IPV6_FRAG_COPYHEADER 1
#define IP_REASS_MAX_PBUFS   1024
#define IP_REASS_MAXAGE      15
#define IPV6_REASS_MAXAGE    15

#define LWIP_ICMP           1
#define LWIP_ICMP6          1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0
#define LWIP_RAW            1 /* UDP is taken from here (netstack_udp.c) */
#define LWIP_UDP            1

/* Packets that arrive were authenticated by the tunnel, which is stronger than any checksum of theirs; TCP's
 * checksum of packets that leave is filled in where they are copied to the send batch. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 0
#define CHECKSUM_CHECK_IP            0
#define CHECKSUM_CHECK_UDP           0
#define CHECKSUM_CHECK_TCP           0
#define CHECKSUM_CHECK_ICMP          0
#define CHECKSUM_CHECK_ICMP6         0
#define CHECKSUM_GEN_TCP             0
#define LWIP_CHECKSUM_ON_COPY        0

#define LWIP_TCP                  1
#define TCP_MSS                   8960 /* upper bound; each connection's comes from the interface's MTU */
#define LWIP_WND_SCALE            1
#define TCP_RCV_SCALE             9            /* windows up to 32 MiB, in steps of 512 bytes */
#define TCP_WND                   (512 * 1024) /* at first; both grow (tcp_receive.c, tcp_send.c) */
#define TCP_SND_BUF               (512 * 1024)
#define TCP_SND_QUEUELEN          60000
#define TCP_SNDLOWAT              16384
#define TCP_SNDQUEUELOWAT         4096
#define TCP_WND_UPDATE_THRESHOLD  LWIP_MIN(TCP_WND_MAX(pcb) / 8, 256 * 1024)
#define MEMP_NUM_TCP_SEG          TCP_SND_QUEUELEN
#define TCP_QUEUE_OOSEQ           0 /* tcp_receive.c */
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1 /* struct tcp_conn */
#define LWIP_TCP_SACK_OUT         1
#define LWIP_TCP_MAX_SACK_NUM     4
#define LWIP_TCP_KEEPALIVE        1
#define TCP_LISTEN_BACKLOG        0  /* bounded by the gate in flow/ */
#define TCP_TMR_INTERVAL          50 /* ms; twice that is the unit of pcb->tmr (tcp_timer.c) */
/* Old duplicates cannot arrive through the tunnel's replay window, so TIME-WAIT only serves a lost last ACK.
 */
#define TCP_MSL                   1000
#define LWIP_NETIF_TX_SINGLE_PBUF 1 /* a segment leaves from one piece of memory */
#define SO_REUSE                  0

#define LWIP_STATS 0
#ifndef NEXD_LWIP_ASSERT
#define LWIP_NOASSERT 1
#endif

/* Hooks. The macro names must be known wherever tcp.h is; their functions are declared in lwip_hooks.h. */
#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_TCP_PCB_LOOKUP(local_ip, local_port, remote_ip, remote_port)                               \
    netstack_pcb_find(local_ip, local_port, remote_ip, remote_port)
#define LWIP_HOOK_TCP_PCB_LISTED(pcb)   netstack_pcb_listed(pcb)
#define LWIP_HOOK_TCP_PCB_UNLISTED(pcb) netstack_pcb_unlisted(pcb)
#define LWIP_HOOK_TCP_OUTPUT_LATER(pcb) netstack_tcp_output_later(pcb)
#define LWIP_HOOK_TCP_RST_ALLOWED()     netstack_reset_allowed()
#define LWIP_HOOK_TCP_ISN(local_ip, local_port, remote_ip, remote_port)                                      \
    netstack_tcp_isn(local_ip, local_port, remote_ip, remote_port)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, hdr, optlen, opt1len, opt2, p)                                       \
    netstack_tcp_inpacket(pcb, hdr, optlen, opt1len, opt2, p)
#define LWIP_HOOK_TCP_MAY_SEND(pcb, seg)            netstack_tcp_may_send(pcb, seg)
#define LWIP_HOOK_TCP_SENT(pcb, seg)                netstack_tcp_sent(pcb, seg)
#define LWIP_HOOK_TCP_ACKED(pcb, ack, duplicate)    netstack_tcp_acked(pcb, ack, duplicate)
#define LWIP_HOOK_TCP_RESEND_FIRST(pcb)             netstack_tcp_resend_first(pcb)
#define LWIP_HOOK_TCP_OUT_OF_ORDER(pcb, seg, start) netstack_tcp_out_of_order(pcb, seg, start)
#define LWIP_HOOK_TCP_DUPLICATE(pcb, start, length) netstack_tcp_duplicate(pcb, start, length)
#define LWIP_HOOK_TCP_IN_ORDER(pcb, data)           netstack_tcp_in_order(pcb, data)
#define LWIP_HOOK_TCP_FILL_SACKS(pcb)               netstack_tcp_fill_sacks(pcb)
#define LWIP_HOOK_TCP_WND_MAX(pcb)                  netstack_tcp_window_max(pcb)

#endif
