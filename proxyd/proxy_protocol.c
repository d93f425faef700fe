/* On the wire:
 *
 *   0        12 bytes that no other protocol begins with
 *   12       version 2 (high half), command PROXY (low half)
 *   13       family (high half) and SOCK_STREAM (low half)
 *   14       length of what follows, big-endian: 12 or 36
 *   16       source address, destination address, source port, destination port
 *
 * There are no extensions (TLVs) behind it: of a peer nothing is known that its address does not say. Nor is
 * the command LOCAL ever sent: it is for connections of the proxy's own, such as health checks, and proxyd
 * makes none. What a destination is worth shows when flows are connected (balance.c).
 *
 * The socket is new, so its buffer is empty and takes 52 bytes at once, in one segment before anybody else
 * has the descriptor. Only a kernel that is out of memory, or a destination that has reset the connection
 * already, makes that untrue, and half a header is none: the connection is given up. */
#include "proxyd/proxy_protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    VERSION_AND_COMMAND = 0x21, /* 2, PROXY */
    TCP_OVER_IPV4 = 0x11,
    TCP_OVER_IPV6 = 0x21,
    ADDRESS_V4_BYTES = 4,
    ADDRESS_V6_BYTES = 16
};
static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static uint8_t *put(uint8_t *at, const void *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

static uint8_t *put_be16(uint8_t *at, size_t value)
{
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}

size_t proxy_protocol_header(const struct netsock *source, const struct netsock *dest, uint8_t *out)
{
    const uint8_t family = source->addr.family;
    if (family != dest->addr.family || (family != NETADDR_V4 && family != NETADDR_V6))
        return 0;
    const size_t address = family == NETADDR_V4 ? ADDRESS_V4_BYTES : ADDRESS_V6_BYTES;
    uint8_t *at = put(out, signature, sizeof(signature));
    *at++ = VERSION_AND_COMMAND;
    *at++ = family == NETADDR_V4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
    at = put_be16(at, 2 * (address + sizeof(uint16_t)));
    at = put(at, source->addr.bytes, address);
    at = put(at, dest->addr.bytes, address);
    at = put_be16(at, source->port);
    at = put_be16(at, dest->port);
    return (size_t)(at - out);
}

int proxy_protocol_send(int fd, const struct netsock *source, const struct netsock *dest)
{
    uint8_t header[PROXY_PROTOCOL_MAX];
    const size_t length = proxy_protocol_header(source, dest, header);
    if (length == 0)
        return EAFNOSUPPORT;
    const ssize_t sent = send(fd, header, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EPIPE ? ECONNRESET : errno;
    return (size_t)sent == length ? 0 : ENOBUFS;
}
