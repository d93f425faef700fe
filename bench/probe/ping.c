/* Latency: ping-pong of small messages over one connection. The first ones, which warm the path, do not
 * count. */
#include "bench/probe/probe.h"

#include <stdio.h>
#include <string.h>

enum { SIZE_MAX_BYTES = 1400, SAMPLES_MAX = 4000000, WARM_UP = 50, LIMIT_S = 10 };

int command_ping(char **arguments)
{
    const struct target target = target_arg(arguments[0], arguments[1]);
    const size_t size = (size_t)number_arg(arguments[2], 1, SIZE_MAX_BYTES);
    const uint64_t seconds = (uint64_t)number_arg(arguments[3], 1, 60);
    char out[SIZE_MAX_BYTES], in[SIZE_MAX_BYTES];
    struct samples samples;
    const int fd = dial(&target, LIMIT_S);
    if (fd < 0)
        fail("ping: connect");
    memset(out, 'p', sizeof(out));
    samples_init(&samples, SAMPLES_MAX);
    const uint64_t warm_until = now_ns() + NS_PER_S / 3;
    uint64_t end = now_ns() + seconds * NS_PER_S;
    bool broken = false;
    unsigned warm = 0;
    for (uint64_t begun = now_ns(); begun < end && !broken; begun = now_ns()) {
        broken = echo_round(fd, out, in, size) != 0;
        if (warm < WARM_UP && begun < warm_until)
            warm++;
        else if (!broken)
            samples_add(&samples, now_ns() - begun);
    }
    samples_sort(&samples);
    printf("{\"count\": %lu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, "
           "\"broken\": %s}\n",
           (unsigned long)samples.count, samples_quantile_us(&samples, 0.5),
           samples_quantile_us(&samples, 0.99), samples_quantile_us(&samples, 0.999),
           samples_quantile_us(&samples, 1), broken ? "true" : "false");
    return 0;
}
