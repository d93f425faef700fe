/* See summary.h. */
#include "bench/sim/summary.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double *numbers(size_t count)
{
    double *all = calloc(count, sizeof *all);
    if (all == NULL)
        abort();
    return all;
}

struct summary *summary_new(size_t runs, size_t flow_count)
{
    struct summary *summary = calloc(1, sizeof *summary);
    if (summary == NULL)
        abort();
    summary->runs_max = runs;
    summary->flow_count = flow_count;
    summary->mbit = numbers(runs * flow_count);
    summary->jain = numbers(runs);
    summary->total = numbers(runs);
    summary->queue_ms = numbers(runs);
    summary->again = numbers(runs);
    summary->dropped = numbers(runs);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &summary->started);
    return summary;
}

void summary_free(struct summary *summary)
{
    free(summary->mbit);
    free(summary->jain);
    free(summary->total);
    free(summary->queue_ms);
    free(summary->again);
    free(summary->dropped);
    free(summary);
}

static void counters(const struct sim *sim, uint64_t *sent, uint64_t *again)
{
    *sent = *again = 0;
    for (uint32_t i = 0; i < sim->flow_count; i++) {
        *sent += sim->flows[i].sender.stats.sent_segments;
        *again += sim->flows[i].sender.stats.retransmitted_segments;
    }
}

void summary_begin(struct summary *summary, const struct sim *sim)
{
    summary->begin_ns = sim->now_ns;
    for (uint32_t i = 0; i < sim->flow_count; i++)
        summary->begin_bytes[i] = sim->flows[i].delivered_bytes;
    counters(sim, &summary->begin_sent, &summary->begin_again);
    summary->begin_drops = sim->losses + sim->queue_drops;
    summary->queue_sum = 0;
    summary->samples = 0;
}

void summary_sample(struct summary *summary, const struct sim *sim)
{
    summary->queue_sum += (double)sim->queue_bytes;
    summary->samples++;
}

void summary_end(struct summary *summary, const struct sim *sim)
{
    size_t run = summary->runs++, flows = summary->flow_count;
    double sum = 0, squares = 0, seconds = (double)(sim->now_ns - summary->begin_ns) / 1e9;
    for (size_t i = 0; i < flows; i++) {
        double mbit = (double)(sim->flows[i].delivered_bytes - summary->begin_bytes[i]) * 8 / seconds / 1e6;
        summary->mbit[i * summary->runs_max + run] = mbit;
        sum += mbit;
        squares += mbit * mbit;
    }
    uint64_t sent, again;
    counters(sim, &sent, &again);
    double since = (double)(sent - summary->begin_sent);
    summary->total[run] = sum;
    summary->jain[run] = squares > 0 ? sum * sum / ((double)flows * squares) : 0;
    summary->again[run] = since > 0 ? 100 * (double)(again - summary->begin_again) / since : 0;
    summary->dropped[run] =
        since > 0 ? 100 * (double)(sim->losses + sim->queue_drops - summary->begin_drops) / since : 0;
    if (sim->link.rate > 0)
        summary->queue_ms[run] =
            summary->queue_sum / (double)summary->samples / (double)sim->link.rate * 1000;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void line(const char *name, double *values, size_t count, const char *unit)
{
    qsort(values, count, sizeof *values, ascending);
    printf("%-22s %8.2f %8.2f %8.2f %8.2f %8.2f %s\n", name, values[0], values[count / 4], values[count / 2],
           values[count * 3 / 4], values[count - 1], unit);
}

void summary_print(const struct summary *summary, double seconds)
{
    size_t count = summary->runs;
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    double took = (double)(now.tv_sec - summary->started.tv_sec) +
                  (double)(now.tv_nsec - summary->started.tv_nsec) / 1e9;
    if (count > 1) {
        printf("%-22s %8s %8s %8s %8s %8s  of %zu seeds\n", "", "least", "1/4", "median", "3/4", "most",
               count);
        for (size_t i = 0; i < summary->flow_count; i++) {
            char name[32];
            snprintf(name, sizeof name, "flow %zu", i);
            line(name, summary->mbit + i * summary->runs_max, count, "Mbit/s");
        }
        line("all flows", summary->total, count, "Mbit/s");
        if (summary->flow_count > 1)
            line("Jain's index", summary->jain, count, "");
        line("queue", summary->queue_ms, count, "ms, mean");
        line("sent again", summary->again, count, "%");
        line("lost or dropped", summary->dropped, count, "%");
    }
    printf("%.0f s simulated in %.2f s of processor time: %.0f times as fast as real time\n",
           seconds * (double)count, took, seconds * (double)count / took);
}
