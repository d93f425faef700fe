/* TAI64N time stamps of handshake initiations (paper, section 5.1). tunneld only. */
#ifndef NEXD_TUNNELD_WIREGUARD_TAI64N_H
#define NEXD_TUNNELD_WIREGUARD_TAI64N_H

#include <stdint.h>

enum { TAI64N_BYTES = 12 };

/* The label of a Unix time in ns, rounded down to about 17 ms so that it does not disclose the exact clock.
 * Labels compare with memcmp in order of time. */
void tai64n_from_unix(uint8_t out[TAI64N_BYTES], uint64_t unix_ns);

#endif
