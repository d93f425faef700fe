/* Answers of a STUN server, for tests that play one: written by the RFC, apart from the code under test. */
#ifndef NEXD_TESTS_STUN_ANSWER_H
#define NEXD_TESTS_STUN_ANSWER_H

#include "common/stun.h"

#include <string.h>

enum { STUN_ANSWER_MAX = 512 };

struct stun_answer {
    uint8_t bytes[STUN_ANSWER_MAX];
    size_t length;
};

static inline void stun_answer_begin(struct stun_answer *answer, uint16_t type, const uint8_t *txid)
{
    static const uint8_t cookie[4] = {0x21, 0x12, 0xa4, 0x42};
    *answer = (struct stun_answer){.bytes = {(uint8_t)(type >> 8), (uint8_t)type}, .length = 20};
    memcpy(answer->bytes + 4, cookie, sizeof cookie);
    memcpy(answer->bytes + 8, txid, STUN_TXID_BYTES);
}

/* `length` stands in the attribute; `present` bytes of it are written, padded with 0xee to four. */
static inline void stun_answer_attribute(struct stun_answer *answer, uint16_t type, const void *value,
                                         size_t length, size_t present)
{
    uint8_t *at = answer->bytes + answer->length;
    at[0] = (uint8_t)(type >> 8);
    at[1] = (uint8_t)type;
    at[2] = (uint8_t)(length >> 8);
    at[3] = (uint8_t)length;
    memcpy(at + 4, value, present);
    answer->length += 4 + present;
    while (answer->length % 4 != 0)
        answer->bytes[answer->length++] = 0xee;
    answer->bytes[2] = (uint8_t)((answer->length - 20) >> 8);
    answer->bytes[3] = (uint8_t)(answer->length - 20);
}

static inline void stun_answer_address(struct stun_answer *answer, uint16_t type, bool xored,
                                       const struct netsock *sock)
{
    const size_t size = sock->addr.family == NETADDR_V4 ? 4 : 16;
    uint8_t value[20] = {0, sock->addr.family == NETADDR_V4 ? 1 : 2, (uint8_t)(sock->port >> 8),
                         (uint8_t)sock->port};
    memcpy(value + 4, sock->addr.bytes, size);
    if (xored) {
        value[2] ^= 0x21;
        value[3] ^= 0x12;
        for (size_t i = 0; i < size; i++)
            value[4 + i] ^= answer->bytes[4 + i];
    }
    stun_answer_attribute(answer, type, value, 4 + size, 4 + size);
}

#endif
