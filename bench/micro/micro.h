/* What the microbenchmarks share: rounds, and the choice between measuring and checking.
 *
 * A figure is the best of several rounds, because everything that disturbs a round only makes it slower, in
 * the processor time of the program: what others take does not count. With
 * --check each program does a few operations only and fails if their results are wrong: that is what CI runs.
 */
#ifndef NEXD_BENCH_MICRO_H
#define NEXD_BENCH_MICRO_H

#include "common/clock.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MICRO_ROUNDS = 15 };

struct micro {
    bool check;
    uint64_t round_ns;
    int rounds;
};

static inline struct micro micro_start(int argc, char **argv)
{
    bool check = argc > 1 && strcmp(argv[1], "--check") == 0;
    return check ? (struct micro){.check = true, .round_ns = 0, .rounds = 1}
                 : (struct micro){.round_ns = 10 * NS_PER_MS, .rounds = MICRO_ROUNDS};
}

static inline void micro_expect(bool right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "wrong: %s\n", what);
    exit(1);
}

static inline uint64_t micro_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Best time of one operation; `run` does `count` of them a call. */
static inline double micro_best_ns(const struct micro *micro, void (*run)(void *arg), void *arg, size_t count)
{
    double best = 1e18;
    for (int round = 0; round < micro->rounds; round++) {
        uint64_t begun = micro_cpu_ns(), now, done = 0;
        do {
            run(arg);
            done += count;
            now = micro_cpu_ns();
        } while (now - begun < micro->round_ns);
        double each = (double)(now - begun) / (double)done;
        best = each < best ? each : best;
    }
    return best;
}

#endif
