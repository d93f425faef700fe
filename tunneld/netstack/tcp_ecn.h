/* Explicit congestion notification of a connection; see tcp_ecn.c for the picture. netstack/ only. */
#ifndef NEXD_TUNNELD_TCP_ECN_H
#define NEXD_TUNNELD_TCP_ECN_H

#include <stddef.h>
#include <stdint.h>

struct tcp_conn;
struct tcp_hdr;
struct tcp_pcb;

/* Before our own SYN leaves. */
void tcp_ecn_connecting(struct tcp_pcb *pcb);
/* A SYN is let in; tcp_ecn_accepting() follows with the connection that it makes. */
void tcp_ecn_syn_arrives(const struct tcp_hdr *hdr);
void tcp_ecn_accepting(struct tcp_pcb *pcb);
void tcp_ecn_established(struct tcp_conn *conn);
/* A packet of the connection, before lwIP works on it; `payload` bytes. */
void tcp_ecn_arrives(struct tcp_conn *conn, const struct tcp_hdr *hdr, size_t payload);
/* The sender has slowed down for the far end's echo. */
void tcp_ecn_reduced(struct tcp_conn *conn);
/* A new segment has left. */
void tcp_ecn_segment_sent(struct tcp_conn *conn);
/* An inner packet is complete but for TCP's checksum. */
void tcp_ecn_finish(uint8_t *packet, size_t length);

#endif
