/* A scenario from the command line: prints what each flow got, and with --trace a line every 50 ms. With
 * --seeds it runs that many times, from as many seeds, and prints how the results are distributed; --from
 * leaves out the seconds before.
 *
 *   netsim --rate-mbit 100 --rtt-ms 80 --loss 0.01 --queue-ms 50 --seconds 30 --flow bbr --flow cubic@10
 *   netsim --rate-mbit 100 --rtt-ms 100 --queue-ms 200 --seconds 60 --from 30 --seeds 20 --flow bbr*8@0.5 */
#include "bench/sim/summary.h"
#include "common/clock.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_NS (50 * NS_PER_MS)

static const struct option options[] = {
    {"rate-mbit", 1, 0, 'r'},
    {"rtt-ms", 1, 0, 'd'},
    {"jitter-ms", 1, 0, 'j'},
    {"queue-ms", 1, 0, 'q'},
    {"loss", 1, 0, 'l'},
    {"ack-loss", 1, 0, 'a'},
    {"reorder", 1, 0, 'o'},
    {"reorder-ms", 1, 0, 'O'},
    {"dup", 1, 0, 'D'},
    {"seconds", 1, 0, 't'},
    {"seed", 1, 0, 's'},
    {"flow", 1, 0, 'f'},
    {"trace", 1, 0, 'T'},
    {"dark-from", 1, 0, 'b'},
    {"dark-until", 1, 0, 'e'},
    {"seeds", 1, 0, 'S'},
    {"from", 1, 0, 'F'},
    {"mark-ms", 1, 0, 'm'},
    {0},
};

static void trace(FILE *file, const struct sim *sim, uint64_t begin_ns)
{
    for (uint32_t i = 0; i < sim->flow_count; i++) {
        const struct sim_flow *flow = &sim->flows[i];
        if (!flow->started)
            continue;
        const struct sender *sender = &flow->sender;
        fprintf(file, "%.3f,%u,%s,%llu,%llu,%llu,%llu,%llu,%.3f,%llu\n",
                (double)(sim->now_ns - begin_ns) / (double)NS_PER_S, i, sender->cc.ops->phase(&sender->cc),
                (unsigned long long)sender->cc.cwnd, (unsigned long long)sender->cc.pacing_rate,
                (unsigned long long)sender_inflight(sender), (unsigned long long)sim->queue_bytes,
                (unsigned long long)flow->delivered_bytes,
                (double)sender->rtt.smoothed_ns / (double)NS_PER_MS,
                (unsigned long long)sender->delivery_rate);
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

struct scenario {
    struct sim_link link;
    double seconds, from_s;
    struct {
        char name[16];
        double begin_s;
    } flows[SIM_FLOWS_MAX];
    size_t flow_count;
    const char *trace_path;
};

/* NAME, NAME@BEGIN, NAME*COUNT@STEP: as many, each so many seconds after the one before. */
static bool flow_parse(struct scenario *scenario, const char *text)
{
    char name[16] = {0};
    unsigned count = 1;
    double at = 0;
    size_t length = strcspn(text, "*@");
    memcpy(name, text, length < sizeof name ? length : sizeof name - 1);
    bool many = text[length] == '*';
    if (many)
        count = (unsigned)strtoul(text + length + 1, NULL, 10);
    const char *begin = strchr(text, '@');
    if (begin != NULL)
        at = atof(begin + 1);
    if (cc_find(name) == NULL || count == 0 || count > SIM_FLOWS_MAX - scenario->flow_count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        size_t flow = scenario->flow_count++;
        memcpy(scenario->flows[flow].name, name, sizeof name);
        scenario->flows[flow].begin_s = many ? at * i : at;
    }
    return true;
}

static void run(const struct scenario *scenario, uint64_t seed, struct summary *summary)
{
    static struct sim sim;
    sim_init(&sim, &scenario->link, seed);
    for (size_t i = 0; i < scenario->flow_count; i++)
        (void)sim_flow_add(&sim, scenario->flows[i].name, (uint64_t)(scenario->flows[i].begin_s * 1e9));
    FILE *file = scenario->trace_path != NULL ? fopen(scenario->trace_path, "w") : NULL;
    uint64_t begin_ns = sim.now_ns, end_ns = begin_ns + (uint64_t)(scenario->seconds * 1e9);
    uint64_t from_ns = begin_ns + (uint64_t)(scenario->from_s * 1e9);
    bool counting = false;
    if (file != NULL)
        fprintf(file, "s,flow,phase,cwnd,pacing_rate,inflight,queue,delivered,srtt_ms,delivery_rate\n");
    for (uint64_t t = begin_ns; t < end_ns; t += TRACE_NS) {
        if (!counting && t >= from_ns) {
            summary_begin(summary, &sim);
            counting = true;
        }
        sim_run(&sim, t + TRACE_NS < end_ns ? t + TRACE_NS : end_ns);
        summary_sample(summary, &sim);
        if (file != NULL)
            trace(file, &sim, begin_ns);
    }
    if (file != NULL)
        fclose(file);
    summary_end(summary, &sim);
    if (summary->runs_max == 1)
        report(&sim);
    sim_free(&sim);
}

int main(int argc, char **argv)
{
    struct scenario scenario = {.link = {.delay_ns = 10 * NS_PER_MS, .reorder_ns = 2 * NS_PER_MS},
                                .seconds = 30};
    struct sim_link *link = &scenario.link;
    double queue_ms = 0, mark_ms = 0;
    uint64_t seed = 1, seeds = 1;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        double value = optarg != NULL ? atof(optarg) : 0;
        switch (c) {
        case 'r':
            link->rate = (uint64_t)(value * 1e6 / 8);
            break;
        case 'd':
            link->delay_ns = (uint64_t)(value * 1e6 / 2);
            break;
        case 'j':
            link->jitter_ns = (uint64_t)(value * 1e6);
            break;
        case 'q':
            queue_ms = value;
            break;
        case 'm':
            mark_ms = value;
            break;
        case 'l':
            link->loss = value;
            break;
        case 'a':
            link->ack_loss = value;
            break;
        case 'o':
            link->reorder = value;
            break;
        case 'O':
            link->reorder_ns = (uint64_t)(value * 1e6);
            break;
        case 'D':
            link->duplicate = value;
            break;
        case 't':
            scenario.seconds = value;
            break;
        case 's':
            seed = (uint64_t)value;
            break;
        case 'S':
            seeds = (uint64_t)value;
            break;
        case 'F':
            scenario.from_s = value;
            break;
        case 'b':
            link->dark_from = (uint64_t)((value + 1) * 1e9);
            break;
        case 'e':
            link->dark_until = (uint64_t)((value + 1) * 1e9);
            break;
        case 'T':
            scenario.trace_path = optarg;
            break;
        case 'f':
            if (!flow_parse(&scenario, optarg)) {
                fprintf(stderr, "no such flows: %s\n", optarg);
                return 2;
            }
            break;
        default:
            fprintf(stderr, "see the head of bench/sim/main.c\n");
            return 2;
        }
    }
    if (scenario.flow_count == 0)
        (void)flow_parse(&scenario, "bbr");
    link->queue_bytes = (uint64_t)((double)link->rate * queue_ms / 1000);
    link->mark_bytes = (uint64_t)((double)link->rate * mark_ms / 1000);
    struct summary *summary = summary_new(seeds > 0 ? seeds : 1, scenario.flow_count);
    for (uint64_t i = 0; i < summary->runs_max; i++)
        run(&scenario, seed + i, summary);
    summary_print(summary, scenario.seconds);
    summary_free(summary);
    return 0;
}
