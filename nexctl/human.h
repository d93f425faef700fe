/* Sizes and times as people read them. */
#ifndef NEXD_NEXCTL_HUMAN_H
#define NEXD_NEXCTL_HUMAN_H

#include <stdint.h>

enum { HUMAN_MAX = 32 };

/* "0 B", "1023 B", "1.5 KiB"; `after`: what follows the unit ("/s"), or "". Into `out` (HUMAN_MAX bytes). */
const char *human_bytes(uint64_t bytes, const char *after, char *out);
/* "59s", "1m05s", "2h10m", "3d04h". */
const char *human_age(uint64_t seconds, char *out);

#endif
