/* How the results of one scenario are distributed over seeds, from a moment of each run on. */
#ifndef NEXD_BENCH_SIM_SUMMARY_H
#define NEXD_BENCH_SIM_SUMMARY_H

#include "bench/sim/sim.h"
#include <time.h>

struct summary {
    size_t runs_max, runs, flow_count;
    double *mbit; /* of each flow of each run */
    double *jain, *total, *queue_ms, *again, *dropped;
    /* Of the run under way. */
    uint64_t begin_ns, begin_bytes[SIM_FLOWS_MAX], begin_sent, begin_again, begin_drops;
    double queue_sum;
    size_t samples;
    struct timespec started;
};

/* Ends the process when there is no memory. */
struct summary *summary_new(size_t runs, size_t flow_count);
void summary_free(struct summary *summary);
/* From here on a run counts. */
void summary_begin(struct summary *summary, const struct sim *sim);
/* Now and then, for the queue's mean. */
void summary_sample(struct summary *summary, const struct sim *sim);
void summary_end(struct summary *summary, const struct sim *sim);
/* `seconds`: how long each run was, for the comparison with real time. */
void summary_print(const struct summary *summary, double seconds);

#endif
