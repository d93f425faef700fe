/* A label is 8 bytes of seconds, counted from 2^62 at 1970 TAI, and 4 bytes of nanoseconds, both big endian.
 * Receivers only ask whether a label is larger than the last one, and accept INITIATIONS_PER_SECOND of them,
 * so that the nanoseconds may lose the bits which would tell an observer more about the clock than that. */
#include "tunneld/wireguard/tai64n.h"

#include "tunneld/wireguard/messages.h"
#include <string.h>

/* 2^62, and the 10 s by which TAI was ahead of UTC at the epoch. */
#define TAI64_EPOCH UINT64_C(0x400000000000000a)

enum { TAI64N_ROUNDING_NS = 1 << 24 };
_Static_assert(TAI64N_ROUNDING_NS <= 1000000000 / INITIATIONS_PER_SECOND,
               "a label for every initiation that is accepted");

void tai64n_from_unix(uint8_t out[TAI64N_BYTES], uint64_t unix_ns)
{
    uint64_t seconds = htobe64(TAI64_EPOCH + unix_ns / NS_PER_S);
    uint32_t nanoseconds = htobe32((uint32_t)(unix_ns % NS_PER_S) & ~(uint32_t)(TAI64N_ROUNDING_NS - 1));

    memcpy(out, &seconds, sizeof(seconds));
    memcpy(out + sizeof(seconds), &nanoseconds, sizeof(nanoseconds));
}
