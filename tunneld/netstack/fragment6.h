/* UDP over IPv6 beyond one packet (RFC 8200, 4.5; RFC 5722). lwIP keeps the length of a whole packet in 16
 * bits, headers included, and so cannot carry the last 40 bytes that IPv6 allows; this does it up to the last
 * one. One thread. */
#ifndef NEXD_TUNNELD_FRAGMENT6_H
#define NEXD_TUNNELD_FRAGMENT6_H

#include "common/netaddr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAGMENT6_DATAGRAMS_MAX = 64,          /* in the making at once; the oldest gives way */
    FRAGMENT6_BYTES_MAX = 4 * 1024 * 1024, /* held for all of them */
    FRAGMENT6_TIMEOUT_S = 15,
    FRAGMENT6_PIECES_MAX = 128, /* separate runs of bytes in one datagram */
};

/* A packet with a Fragment header whose next header is UDP, of at least 48 bytes. When it completes a
 * datagram, *datagram (UDP header first, valid until the next call) and *length are set and true is returned.
 * Overlapping and malformed fragments end their datagram. */
bool fragment6_input(const uint8_t *packet, size_t length, uint64_t now_ns, const uint8_t **datagram,
                     size_t *out_length);

/* Takes one packet. NX_OK, or what ends the sending. */
typedef int (*fragment6_output_fn)(const uint8_t *packet, size_t length, const struct netaddr *to);
/* Sends a UDP datagram (header with its checksum first) in as many fragments as the MTU (1280..9000) asks
 * for. NX_OK, or what `output` answered. */
int fragment6_send(const struct netaddr *from, const struct netaddr *to, uint16_t mtu,
                   const uint8_t *datagram, size_t length, fragment6_output_fn output);

#endif
