/* Sizes and times as people read them. */
#ifndef NEXD_NEXCTL_HUMAN_H
#define NEXD_NEXCTL_HUMAN_H

#include <stdint.h>

enum { HUMAN_MAX = 32 };

/* "0 B", "1023 B", "1.5 KiB"; `after`: what follows the unit ("/s"), or "". Into `out` (HUMAN_MAX bytes). */
const char *human_bytes(uint64_t bytes, const char *after, char *out);
/* "1 rule", "0 rules": `noun` with its number, which takes an "s" unless it is 1. */
const char *human_count(uint64_t count, const char *noun, char *out);
/* "412 us", "80.1 ms", "1.20 s". */
const char *human_duration(uint64_t us, char *out);
/* "59s", "1m05s", "2h10m", "3d04h". */
const char *human_age(uint64_t seconds, char *out);

#endif
