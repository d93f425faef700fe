/* Units of 1024; two parts of a time are enough. */
#include "nexctl/human.h"

#include <inttypes.h>
#include <stdio.h>

const char *human_bytes(uint64_t bytes, const char *after, char *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit < sizeof units / sizeof *units - 1; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(out, HUMAN_MAX, "%" PRIu64 " B%.8s", bytes, after);
    else
        snprintf(out, HUMAN_MAX, "%.1f %s%.8s", value, units[unit], after);
    return out;
}

const char *human_count(uint64_t count, const char *noun, char *out)
{
    snprintf(out, HUMAN_MAX, "%" PRIu64 " %.9s%s", count, noun, count == 1 ? "" : "s");
    return out;
}

const char *human_duration(uint64_t us, char *out)
{
    if (us < 1000)
        snprintf(out, HUMAN_MAX, "%" PRIu64 " us", us);
    else if (us < 1000000)
        snprintf(out, HUMAN_MAX, "%.1f ms", (double)us / 1000);
    else
        snprintf(out, HUMAN_MAX, "%.2f s", (double)us / 1000000);
    return out;
}

const char *human_age(uint64_t s, char *out)
{
    if (s < 60)
        snprintf(out, HUMAN_MAX, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(out, HUMAN_MAX, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, HUMAN_MAX, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s % 3600 / 60);
    else
        snprintf(out, HUMAN_MAX, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s % 86400 / 3600);
    return out;
}
