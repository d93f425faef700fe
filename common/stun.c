/* Layout (RFC 8489, sections 5 and 14):
 *
 *   type u16 | length u16 | magic cookie u32 | transaction id [12] | attributes, each: type u16, length u16,
 *   value padded to 4 bytes
 *
 * An answer is read to its end before anything of it is believed: a length that does not fit spoils all of
 * it. An attribute that we do not know is passed over, unless it is one that must be understood
 * (section 6.3.3). */
#include "common/stun.h"

#include "common/err.h"

#include <string.h>

enum { ATTR_MAPPED_ADDRESS = 0x0001, ATTR_XOR_MAPPED_ADDRESS = 0x0020, ATTR_HEADER_BYTES = 4 };
enum { ATTR_OPTIONAL = 0x8000 }; /* types from here on need not be understood */
enum { FAMILY_V4 = 1, FAMILY_V6 = 2, ADDRESS_HEADER_BYTES = 4 };
/* Attributes of RFC 3489 that its servers put into every answer: known, and of no use. */
enum { ATTR_SOURCE_ADDRESS = 0x0004, ATTR_CHANGED_ADDRESS = 0x0005, ATTR_REFLECTED_FROM = 0x000b };
/* Integrity and identity, which a request without them does not call for. */
enum {
    ATTR_USERNAME = 0x0006,
    ATTR_MESSAGE_INTEGRITY = 0x0008,
    ATTR_REALM = 0x0014,
    ATTR_NONCE = 0x0015,
    ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001c
};

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void write_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void stun_request_write(const uint8_t txid[STUN_TXID_BYTES], uint8_t out[STUN_REQUEST_BYTES])
{
    write_u16(out, STUN_BINDING_REQUEST);
    write_u16(out + 2, 0);
    write_u16(out + 4, STUN_MAGIC_COOKIE >> 16);
    write_u16(out + 6, STUN_MAGIC_COOKIE & 0xffff);
    memcpy(out + 8, txid, STUN_TXID_BYTES);
}

/* Sections 14.1 and 14.2. `mask` is magic cookie and transaction id as they stand in the header, or NULL. */
static int address_read(const uint8_t *value, size_t length, const uint8_t *mask, struct netsock *out)
{
    static const uint8_t zero[16];
    size_t size;
    if (length < ADDRESS_HEADER_BYTES)
        return NX_EPROTO;
    *out = (struct netsock){.port = read_u16(value + 2)};
    if (value[1] == FAMILY_V4) {
        out->addr.family = NETADDR_V4;
        size = 4;
    } else if (value[1] == FAMILY_V6) {
        out->addr.family = NETADDR_V6;
        size = 16;
    } else {
        return NX_EPROTO;
    }
    if (length != ADDRESS_HEADER_BYTES + size)
        return NX_EPROTO;
    memcpy(out->addr.bytes, value + ADDRESS_HEADER_BYTES, size);
    if (mask) {
        out->port ^= read_u16(mask);
        for (size_t i = 0; i < size; i++)
            out->addr.bytes[i] ^= mask[i];
    }
    netaddr_unmap(&out->addr);
    size = out->addr.family == NETADDR_V4 ? 4 : 16;
    return out->port != 0 && memcmp(out->addr.bytes, zero, size) != 0 ? NX_OK : NX_EPROTO;
}

static bool attribute_known(uint16_t type)
{
    switch (type) {
    case ATTR_SOURCE_ADDRESS:
    case ATTR_CHANGED_ADDRESS:
    case ATTR_REFLECTED_FROM:
    case ATTR_USERNAME:
    case ATTR_MESSAGE_INTEGRITY:
    case ATTR_MESSAGE_INTEGRITY_SHA256:
    case ATTR_REALM:
    case ATTR_NONCE:
        return true;
    default:
        return type >= ATTR_OPTIONAL;
    }
}

/* The first of each kind counts; XOR-MAPPED-ADDRESS is believed before MAPPED-ADDRESS, which boxes on the way
 * have been seen to rewrite (section 14.2). */
static int attributes_read(const uint8_t *at, const uint8_t *end, const uint8_t *mask, struct netsock *mapped)
{
    int xored = NX_ENOENT, plain = NX_ENOENT;
    struct netsock xored_addr, plain_addr;
    while (at != end) {
        if (end - at < ATTR_HEADER_BYTES)
            return NX_EPROTO;
        const uint16_t type = read_u16(at);
        const size_t length = read_u16(at + 2), padded = (length + 3) & ~(size_t)3;
        at += ATTR_HEADER_BYTES;
        if ((size_t)(end - at) < padded)
            return NX_EPROTO;
        if (type == ATTR_XOR_MAPPED_ADDRESS && xored == NX_ENOENT)
            xored = address_read(at, length, mask, &xored_addr);
        else if (type == ATTR_MAPPED_ADDRESS && plain == NX_ENOENT)
            plain = address_read(at, length, NULL, &plain_addr);
        else if (type != ATTR_XOR_MAPPED_ADDRESS && type != ATTR_MAPPED_ADDRESS && !attribute_known(type))
            return NX_EPROTO;
        at += padded;
    }
    const int err = xored != NX_ENOENT ? xored : plain;
    if (err == NX_OK)
        *mapped = xored == NX_OK ? xored_addr : plain_addr;
    return err == NX_ENOENT ? NX_EPROTO : err;
}

int stun_answer_read(const uint8_t *data, size_t length, const uint8_t txid[STUN_TXID_BYTES],
                     struct netsock *mapped)
{
    if (!stun_is_answer(data, length))
        return NX_EPROTO;
    if (memcmp(data + 8, txid, STUN_TXID_BYTES) != 0)
        return NX_ENOENT;
    if (read_u16(data + 2) != length - STUN_HEADER_BYTES)
        return NX_EPROTO;
    struct netsock unused;
    const int err = attributes_read(data + STUN_HEADER_BYTES, data + length, data + 4,
                                    read_u16(data) == STUN_BINDING_SUCCESS ? mapped : &unused);
    return read_u16(data) == STUN_BINDING_ERROR ? NX_EPERM : err;
}
