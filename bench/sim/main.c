/* A scenario from the command line: prints what each flow got, and with --trace a line every 50 ms.
 *
 *   netsim --rate-mbit 100 --rtt-ms 80 --loss 0.01 --queue-ms 50 --seconds 30 --flow bbr --flow cubic@10 */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_NS (50 * NS_PER_MS)

static const struct option options[] = {
    {"rate-mbit", 1, 0, 'r'}, {"rtt-ms", 1, 0, 'd'},    {"jitter-ms", 1, 0, 'j'},  {"queue-ms", 1, 0, 'q'},
    {"loss", 1, 0, 'l'},      {"ack-loss", 1, 0, 'a'},  {"reorder", 1, 0, 'o'},    {"reorder-ms", 1, 0, 'O'},
    {"dup", 1, 0, 'D'},       {"seconds", 1, 0, 't'},   {"seed", 1, 0, 's'},       {"flow", 1, 0, 'f'},
    {"trace", 1, 0, 'T'},     {"dark-from", 1, 0, 'b'}, {"dark-until", 1, 0, 'e'}, {0},
};

static void trace(FILE *file, const struct sim *sim, uint64_t begin_ns)
{
    for (uint32_t i = 0; i < sim->flow_count; i++) {
        const struct sim_flow *flow = &sim->flows[i];
        if (!flow->started)
            continue;
        const struct sender *sender = &flow->sender;
        fprintf(file, "%.3f,%u,%s,%llu,%llu,%llu,%llu,%llu,%.3f\n",
                (double)(sim->now_ns - begin_ns) / (double)NS_PER_S, i, sender->cc.ops->phase(&sender->cc),
                (unsigned long long)sender->cc.cwnd, (unsigned long long)sender->cc.pacing_rate,
                (unsigned long long)sender_inflight(sender), (unsigned long long)sim->queue_bytes,
                (unsigned long long)flow->delivered_bytes,
                (double)sender->rtt.smoothed_ns / (double)NS_PER_MS);
    }
}

static void report(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->flow_count; i++) {
        const struct sim_flow *flow = &sim->flows[i];
        const struct sender_stats *stats = &flow->sender.stats;
        double seconds = (double)(sim->now_ns - flow->begin_ns) / (double)NS_PER_S;
        printf("flow %u %-5s %8.2f Mbit/s, %llu sent, %llu again, %llu spurious, %llu recoveries, %llu "
               "timeouts, %llu probes, rtt %.1f ms\n",
               i, flow->algorithm->name, (double)flow->delivered_bytes * 8 / seconds / 1e6,
               (unsigned long long)stats->sent_segments, (unsigned long long)stats->retransmitted_segments,
               (unsigned long long)stats->spurious_segments, (unsigned long long)stats->recoveries,
               (unsigned long long)stats->timeouts, (unsigned long long)stats->probes,
               (double)flow->sender.rtt.smoothed_ns / (double)NS_PER_MS);
    }
    printf("link: %llu lost, %llu dropped at the queue, %llu events\n", (unsigned long long)sim->losses,
           (unsigned long long)sim->queue_drops, (unsigned long long)sim->events);
}

int main(int argc, char **argv)
{
    struct sim_link link = {.delay_ns = 10 * NS_PER_MS, .reorder_ns = 2 * NS_PER_MS};
    const char *flows[SIM_FLOWS_MAX], *trace_path = NULL;
    double queue_ms = 0, seconds = 30;
    size_t flow_count = 0;
    uint64_t seed = 1;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        double value = optarg != NULL ? atof(optarg) : 0;
        switch (c) {
        case 'r':
            link.rate = (uint64_t)(value * 1e6 / 8);
            break;
        case 'd':
            link.delay_ns = (uint64_t)(value * 1e6 / 2);
            break;
        case 'j':
            link.jitter_ns = (uint64_t)(value * 1e6);
            break;
        case 'q':
            queue_ms = value;
            break;
        case 'l':
            link.loss = value;
            break;
        case 'a':
            link.ack_loss = value;
            break;
        case 'o':
            link.reorder = value;
            break;
        case 'O':
            link.reorder_ns = (uint64_t)(value * 1e6);
            break;
        case 'D':
            link.duplicate = value;
            break;
        case 't':
            seconds = value;
            break;
        case 's':
            seed = (uint64_t)value;
            break;
        case 'b':
            link.dark_from = (uint64_t)((value + 1) * 1e9);
            break;
        case 'e':
            link.dark_until = (uint64_t)((value + 1) * 1e9);
            break;
        case 'T':
            trace_path = optarg;
            break;
        case 'f':
            if (flow_count < SIM_FLOWS_MAX)
                flows[flow_count++] = optarg;
            break;
        default:
            fprintf(stderr, "see the head of bench/sim/main.c\n");
            return 2;
        }
    }
    if (flow_count == 0)
        flows[flow_count++] = "bbr";
    link.queue_bytes = (uint64_t)((double)link.rate * queue_ms / 1000);
    static struct sim sim;
    sim_init(&sim, &link, seed);
    for (size_t i = 0; i < flow_count; i++) {
        char name[16] = {0};
        const char *at = strchr(flows[i], '@');
        size_t length = at != NULL ? (size_t)(at - flows[i]) : strlen(flows[i]);
        memcpy(name, flows[i], length < sizeof name ? length : sizeof name - 1);
        if (cc_find(name) == NULL) {
            fprintf(stderr, "no such algorithm: %s\n", name);
            return 2;
        }
        (void)sim_flow_add(&sim, name, at != NULL ? (uint64_t)(atof(at + 1) * 1e9) : 0);
    }
    FILE *file = trace_path != NULL ? fopen(trace_path, "w") : NULL;
    uint64_t begin_ns = sim.now_ns, end_ns = begin_ns + (uint64_t)(seconds * 1e9);
    if (file != NULL)
        fprintf(file, "s,flow,phase,cwnd,pacing_rate,inflight,queue,delivered,srtt_ms\n");
    for (uint64_t t = begin_ns; t < end_ns; t += TRACE_NS) {
        sim_run(&sim, t + TRACE_NS < end_ns ? t + TRACE_NS : end_ns);
        if (file != NULL)
            trace(file, &sim, begin_ns);
    }
    if (file != NULL)
        fclose(file);
    report(&sim);
    sim_free(&sim);
    return 0;
}
