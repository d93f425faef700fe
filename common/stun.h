/* The part of STUN (RFC 8489) that tells a client its own address as the internet sees it: a Binding request
 * and the answer to it. Requests carry no attributes; answers are read for XOR-MAPPED-ADDRESS, and for
 * MAPPED-ADDRESS where an old server (RFC 3489) sends no other.
 *
 * Pure functions on bytes that come from anybody. tunneld, and tests that play a server. */
#ifndef NEXD_COMMON_STUN_H
#define NEXD_COMMON_STUN_H

#include "common/netaddr.h"

enum {
    STUN_HEADER_BYTES = 20,
    STUN_TXID_BYTES = 12,
    STUN_REQUEST_BYTES = STUN_HEADER_BYTES,
    STUN_PORT_DEFAULT = 3478,
};
#define STUN_MAGIC_COOKIE UINT32_C(0x2112a442)

enum stun_type { /* section 5: method Binding with each class */
                 STUN_BINDING_REQUEST = 0x0001,
                 STUN_BINDING_INDICATION = 0x0011,
                 STUN_BINDING_SUCCESS = 0x0101,
                 STUN_BINDING_ERROR = 0x0111,
};

/* Writes a Binding request. The transaction id should be unpredictable (section 6.3.1): it is what keeps
 * strangers from answering. */
void stun_request_write(const uint8_t txid[STUN_TXID_BYTES], uint8_t out[STUN_REQUEST_BYTES]);

/* Is this datagram a whole answer to a Binding request? No WireGuard message is one: theirs have three zero
 * bytes after the first. */
static inline bool stun_is_answer(const uint8_t *data, size_t length)
{
    return length >= STUN_HEADER_BYTES && data[0] == 0x01 && (data[1] == 0x01 || data[1] == 0x11) &&
           data[4] == 0x21 && data[5] == 0x12 && data[6] == 0xa4 && data[7] == 0x42;
}

/* Reads an answer to the request with this transaction id. NX_OK: `mapped` is our address and port (an IPv4
 * address never comes mapped into IPv6). NX_EPROTO: not a well-formed answer, or it names no usable address.
 * NX_ENOENT: an answer to another request. NX_EPERM: the server refused (error response). `mapped` is
 * written on NX_OK only. */
int stun_answer_read(const uint8_t *data, size_t length, const uint8_t txid[STUN_TXID_BYTES],
                     struct netsock *mapped);

#endif
