/* See sim.h: the clock, the queue of events, and the link. */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include <stdlib.h>
#include <string.h>

#define BURST_LOSS 0.5

struct sim_event {
    uint64_t at_ns, order;
    void (*fire)(struct sim *sim, const struct sim_packet *packet);
    struct sim_packet packet;
};

void sim_init(struct sim *sim, const struct sim_link *link, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->now_ns = NS_PER_S; /* not zero, which means "never" in places */
    sim->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    sim->link = *link;
}

double sim_random(struct sim *sim)
{
    sim->random ^= sim->random << 13;
    sim->random ^= sim->random >> 7;
    sim->random ^= sim->random << 17;
    return (double)(sim->random >> 11) * 0x1.0p-53;
}

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

void sim_schedule(struct sim *sim, uint64_t at_ns, void (*fire)(struct sim *, const struct sim_packet *),
                  const struct sim_packet *packet)
{
    if (sim->heap_count == sim->heap_capacity) {
        sim->heap_capacity = sim->heap_capacity ? sim->heap_capacity * 2 : 1024;
        sim->heap = realloc(sim->heap, sim->heap_capacity * sizeof *sim->heap);
        if (sim->heap == NULL)
            abort();
    }
    struct sim_event event = {.at_ns = at_ns, .order = sim->events++, .fire = fire, .packet = *packet};
    size_t i = sim->heap_count++;
    while (i > 0 && before(&event, &sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = event;
}

static struct sim_event next_event(struct sim *sim)
{
    struct sim_event top = sim->heap[0], last = sim->heap[--sim->heap_count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < sim->heap_count) {
        if (child + 1 < sim->heap_count && before(&sim->heap[child + 1], &sim->heap[child]))
            child++;
        if (!before(&sim->heap[child], &last))
            break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    if (sim->heap_count > 0)
        sim->heap[i] = last;
    return top;
}

static void link_left(struct sim *sim, const struct sim_packet *packet)
{
    sim->queue_bytes -= packet->end - packet->start + SIM_HEADER_BYTES;
}

static bool link_loses(struct sim *sim, const struct sim_packet *packet)
{
    const struct sim_link *link = &sim->link;
    if (sim->now_ns >= link->dark_from && sim->now_ns < link->dark_until)
        return true;
    if (packet->is_ack)
        return link->ack_loss > 0 && sim_random(sim) < link->ack_loss;
    if (sim->drop != NULL && sim->drop(sim, packet, sim->drop_arg))
        return true;
    if (link->burst_enter > 0)
        sim->burst = sim_random(sim) < (sim->burst ? 1 - link->burst_leave : link->burst_enter);
    if (sim->burst && sim_random(sim) < BURST_LOSS)
        return true;
    return link->loss > 0 && sim_random(sim) < link->loss;
}

static uint64_t data_arrival_ns(struct sim *sim, uint64_t sent_ns)
{
    const struct sim_link *link = &sim->link;
    uint64_t at_ns = sent_ns + link->delay_ns;
    if (link->jitter_ns > 0)
        at_ns += (uint64_t)(sim_random(sim) * (double)link->jitter_ns);
    if (link->reorder > 0 && sim_random(sim) < link->reorder)
        return at_ns + (uint64_t)(sim_random(sim) * (double)link->reorder_ns);
    if (at_ns < sim->last_arrival_ns)
        at_ns = sim->last_arrival_ns;
    sim->last_arrival_ns = at_ns;
    return at_ns;
}

void sim_transmit(struct sim *sim, const struct sim_packet *packet)
{
    const struct sim_link *link = &sim->link;
    if (link_loses(sim, packet)) {
        sim->losses++;
        return;
    }
    if (packet->is_ack) {
        sim_schedule(sim, sim->now_ns + link->delay_ns, sim_ack_arrives, packet);
        return;
    }
    uint64_t left_ns = sim->now_ns;
    struct sim_packet on_the_way = *packet;
    if (link->rate > 0) {
        uint32_t bytes = packet->end - packet->start + SIM_HEADER_BYTES;
        if (link->queue_bytes > 0 && sim->queue_bytes + bytes > link->queue_bytes) {
            sim->queue_drops++;
            return;
        }
        on_the_way.marked = link->mark_bytes > 0 && sim->queue_bytes > link->mark_bytes;
        sim->marks += on_the_way.marked;
        sim->queue_bytes += bytes;
        if (sim->link_free_ns < sim->now_ns)
            sim->link_free_ns = sim->now_ns;
        sim->link_free_ns += (uint64_t)((double)bytes * (double)NS_PER_S / (double)link->rate);
        left_ns = sim->link_free_ns;
        sim_schedule(sim, left_ns, link_left, packet);
    }
    sim_schedule(sim, data_arrival_ns(sim, left_ns), sim_data_arrives, &on_the_way);
    if (link->duplicate > 0 && sim_random(sim) < link->duplicate)
        sim_schedule(sim, data_arrival_ns(sim, left_ns), sim_data_arrives, &on_the_way);
}

static bool all_done(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->flow_count; i++)
        if (sim->flows[i].limit_bytes == 0 || sim->flows[i].finished_ns == 0)
            return false;
    return true;
}

void sim_run(struct sim *sim, uint64_t until_ns)
{
    while (sim->heap_count > 0 && sim->heap[0].at_ns <= until_ns && !all_done(sim)) {
        struct sim_event event = next_event(sim);
        sim->now_ns = event.at_ns;
        event.fire(sim, &event.packet);
    }
    if (sim->now_ns < until_ns && !all_done(sim))
        sim->now_ns = until_ns;
}
