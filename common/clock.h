/* Time. Monotonic time is nanoseconds in a uint64_t, counted while the machine sleeps too (CLOCK_BOOTTIME),
 * so that WireGuard keys also age in suspend. Reads the vDSO: no system call in practice. Any process. */
#ifndef NEXD_COMMON_CLOCK_H
#define NEXD_COMMON_CLOCK_H

#include <stdint.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_US UINT64_C(1000)

uint64_t clock_now_ns(void);
/* Unix time; nanoseconds since 1970 (CLOCK_REALTIME). */
uint64_t clock_wall_ns(void);

#endif
