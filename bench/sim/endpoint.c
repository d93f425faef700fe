/* See sim.h: the two ends of a flow. The sending end drives tunneld's sender as lwIP's side does; the
 * receiving end acknowledges every second segment, or after 40 ms, and what is out of order at once. */
#include "bench/sim/sim.h"
#include "common/clock.h"
#include "tunneld/transport/seq.h"
#include <stdlib.h>
#include <string.h>

enum { FIRST_SEQ = 0xfff00000u /* so that every long run wraps */ };
#define DELAYED_ACK_NS (40 * NS_PER_MS)

static void flow_output(struct sim *sim, uint32_t index);

/* -- Sender ---------------------------------------------------------------------------------- */

static void on_timer(struct sim *sim, const struct sim_packet *packet)
{
    struct sim_flow *flow = &sim->flows[packet->flow];
    if (packet->number != flow->timer_generation)
        return; /* replaced by an earlier one */
    flow->timer_ns = UINT64_MAX;
    sender_timer(&flow->sender, sim->now_ns);
    flow_output(sim, packet->flow);
}

static void timer_at(struct sim *sim, uint32_t index, uint64_t at_ns)
{
    struct sim_flow *flow = &sim->flows[index];
    if (at_ns >= flow->timer_ns)
        return; /* the one under way comes first, and will look again */
    if (at_ns <= sim->now_ns)
        at_ns = sim->now_ns + 1;
    flow->timer_ns = at_ns;
    struct sim_packet packet = {.flow = index, .number = ++flow->timer_generation};
    sim_schedule(sim, at_ns, on_timer, &packet);
}

/* Bytes that the application has made so far. */
static uint64_t supplied(const struct sim *sim, const struct sim_flow *flow)
{
    uint64_t run_ns = sim->now_ns - flow->begin_ns;
    if (flow->limit_bytes > 0 && flow->supply_rate == 0)
        return flow->limit_bytes;
    if (flow->supply_rate == 0)
        return UINT64_MAX;
    return (uint64_t)((double)flow->supply_rate * (double)run_ns / (double)NS_PER_S);
}

static bool resting(const struct sim *sim, const struct sim_flow *flow, uint64_t *until_ns)
{
    uint64_t cycle_ns = flow->burst_on_ns + flow->burst_off_ns;
    if (flow->burst_off_ns == 0)
        return false;
    uint64_t at_ns = (sim->now_ns - flow->begin_ns) % cycle_ns;
    *until_ns = sim->now_ns + cycle_ns - at_ns;
    return at_ns >= flow->burst_on_ns;
}

static void send_segment(struct sim *sim, uint32_t index, uint32_t start, uint32_t end)
{
    struct sim_packet packet = {
        .flow = index, .start = start, .end = end, .number = sim->flows[index].transmissions++};
    packet.reduced = sim->flows[index].answer;
    sim->flows[index].answer = false;
    sim_transmit(sim, &packet);
}

static void send_new(struct sim *sim, uint32_t index)
{
    struct sim_flow *flow = &sim->flows[index];
    struct sender *sender = &flow->sender;
    uint64_t until_ns;
    for (;;) {
        uint64_t sent = flow->delivered_mark + (uint64_t)(sender->next - FIRST_SEQ);
        uint64_t left = supplied(sim, flow);
        bool ended = flow->end_ns != 0 && sim->now_ns >= flow->end_ns;
        left = left > sent && !ended ? left - sent : 0;
        if (resting(sim, flow, &until_ns)) {
            left = 0;
            timer_at(sim, index, until_ns);
        }
        uint32_t bytes = left < SIM_MSS ? (uint32_t)left : SIM_MSS;
        if (bytes == 0 || (flow->supply_rate > 0 && bytes < SIM_MSS)) {
            sender_app_limited(sender);
            if (flow->supply_rate > 0 && !ended)
                timer_at(sim, index, sim->now_ns + 5 * NS_PER_MS);
            return;
        }
        if (sender->next + bytes - sender->una > flow->receive_window)
            return;
        if (!sender_may_send(sender, bytes, sim->now_ns)) {
            timer_at(sim, index, sender_pace_ns(sender, sim->now_ns));
            return;
        }
        uint32_t start = sender->next;
        sender_sent(sender, start, start + bytes, NULL, sim->now_ns);
        send_segment(sim, index, start, start + bytes);
        if ((uint32_t)(sender->next - FIRST_SEQ) < bytes) /* once round */
            flow->delivered_mark += UINT64_C(1) << 32;
    }
}

static void flow_output(struct sim *sim, uint32_t index)
{
    struct sender *sender = &sim->flows[index].sender;
    struct tx_record *record;
    while ((record = sender_next_retransmission(sender, sim->now_ns)) != NULL) {
        sender_resent(sender, record, sim->now_ns);
        send_segment(sim, index, record->start, record->end);
    }
    if (sender->board.lost > 0)
        timer_at(sim, index, sender_pace_ns(sender, sim->now_ns));
    else
        send_new(sim, index);
    if ((record = sender_probe(sender)) != NULL) {
        sender_resent(sender, record, sim->now_ns);
        send_segment(sim, index, record->start, record->end);
    }
    uint64_t deadline_ns = sender_deadline_ns(sender);
    if (deadline_ns != UINT64_MAX)
        timer_at(sim, index, deadline_ns);
}

void sim_ack_arrives(struct sim *sim, const struct sim_packet *packet)
{
    struct sim_flow *flow = &sim->flows[packet->flow];
    flow->answer |= sender_ack(&flow->sender, &packet->ack, sim->now_ns);
    if (flow->limit_bytes > 0 && flow->finished_ns == 0 &&
        (uint64_t)(flow->sender.una - FIRST_SEQ) >= flow->limit_bytes)
        flow->finished_ns = sim->now_ns;
    flow_output(sim, packet->flow);
}

static void flow_starts(struct sim *sim, const struct sim_packet *packet)
{
    struct sim_flow *flow = &sim->flows[packet->flow];
    flow->started = true;
    sender_init(&flow->sender, flow->algorithm, SIM_MSS, FIRST_SEQ, (uint32_t)(sim_random(sim) * 4e9),
                sim->now_ns);
    sender_established(&flow->sender, !flow->no_sack, SIM_MSS);
    flow_output(sim, packet->flow);
}

/* -- Receiver -------------------------------------------------------------------------------- */

static void send_ack(struct sim *sim, uint32_t index)
{
    struct sim_flow *flow = &sim->flows[index];
    struct reassembly_block blocks[REASSEMBLY_BLOCKS_MAX];
    struct sim_packet packet = {.flow = index, .is_ack = true};
    size_t count = flow->no_sack ? 0 : reassembly_blocks(&flow->reassembly, blocks, REASSEMBLY_BLOCKS_MAX);
    packet.ack.ack = flow->received;
    packet.ack.congestion_echo = flow->echo;
    packet.ack.duplicate = flow->reassembly.count > 0;
    packet.ack.sack_count = (uint8_t)count;
    for (size_t i = 0; i < count; i++)
        packet.ack.sacks[i] = (struct sack_block){.start = blocks[i].start, .end = blocks[i].end};
    flow->unacknowledged = 0;
    flow->ack_armed = false;
    sim_transmit(sim, &packet);
}

static void on_delayed_ack(struct sim *sim, const struct sim_packet *packet)
{
    if (sim->flows[packet->flow].ack_armed)
        send_ack(sim, packet->flow);
}

static void item_free(struct reassembly_item *item)
{
    free(item);
}

void sim_data_arrives(struct sim *sim, const struct sim_packet *packet)
{
    struct sim_flow *flow = &sim->flows[packet->flow];
    uint32_t before = flow->received;
    bool gap = flow->reassembly.count > 0;
    flow->echo = (flow->echo && !packet->reduced) || packet->marked;
    if (seq_at_or_before(packet->end, flow->received)) {
        reassembly_duplicate(&flow->reassembly, packet->start, packet->end);
        send_ack(sim, packet->flow);
        return;
    }
    if (packet->start == flow->received) {
        flow->received = packet->end;
    } else {
        struct reassembly_item *item = calloc(1, sizeof *item);
        if (item == NULL)
            abort();
        item->start = packet->start;
        item->end = packet->end;
        (void)reassembly_insert(&flow->reassembly, item);
        gap = true;
    }
    struct reassembly_item *item;
    while ((item = reassembly_take(&flow->reassembly, flow->received)) != NULL) {
        flow->received = item->end;
        free(item);
    }
    flow->delivered_bytes += flow->received - before;
    if (gap || ++flow->unacknowledged >= 2) {
        send_ack(sim, packet->flow);
    } else if (!flow->ack_armed) {
        flow->ack_armed = true;
        struct sim_packet timer = {.flow = packet->flow};
        sim_schedule(sim, sim->now_ns + DELAYED_ACK_NS, on_delayed_ack, &timer);
    }
}

/* -- Life ------------------------------------------------------------------------------------ */

struct sim_flow *sim_flow_add(struct sim *sim, const char *algorithm, uint64_t begin_ns)
{
    uint32_t index = sim->flow_count++;
    struct sim_flow *flow = &sim->flows[index];
    flow->algorithm = cc_find(algorithm);
    if (flow->algorithm == NULL)
        abort();
    flow->begin_ns = sim->now_ns + begin_ns;
    flow->received = FIRST_SEQ;
    flow->receive_window = 64u << 20;
    flow->timer_ns = UINT64_MAX;
    reassembly_init(&flow->reassembly, item_free);
    struct sim_packet packet = {.flow = index};
    sim_schedule(sim, flow->begin_ns, flow_starts, &packet);
    return flow;
}

void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->flow_count; i++) {
        sender_free(&sim->flows[i].sender);
        reassembly_clear(&sim->flows[i].reassembly);
    }
    free(sim->heap);
    sim->heap = NULL;
}
