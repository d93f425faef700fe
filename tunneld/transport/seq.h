/* Comparison of 32-bit sequence numbers, which wrap (RFC 9293, 3.4). */
#ifndef NEXD_TUNNELD_SEQ_H
#define NEXD_TUNNELD_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_at_or_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_later(uint32_t a, uint32_t b)
{
    return seq_before(a, b) ? b : a;
}

#endif
