/* See rack.h; steps of RFC 8985, section 6.2. */
#include "tunneld/transport/rack.h"
#include "tunneld/transport/seq.h"

enum { WINDOW_PERSIST = 16, WINDOW_FACTOR_MAX = 64 };

void rack_init(struct rack *rack)
{
    *rack = (struct rack){.window_factor = 1};
}

static bool sent_after(uint64_t a_ns, uint32_t a_end, uint64_t b_ns, uint32_t b_end)
{
    return a_ns > b_ns || (a_ns == b_ns && seq_before(b_end, a_end));
}

void rack_delivered(struct rack *rack, const struct tx_record *record, uint64_t min_rtt_ns, uint64_t now_ns)
{
    if (rack->forward_known && seq_before(record->end, rack->forward)) {
        if (record->transmissions == 1)
            rack->reordering_seen = true;
    } else {
        rack->forward = record->end;
        rack->forward_known = true;
    }
    uint64_t rtt_ns = now_ns - record->sent_ns;
    /* Faster than the path is: the acknowledgement is of the original, not of the retransmission. */
    if (record->transmissions > 1 && rtt_ns < min_rtt_ns)
        return;
    rack->rtt_ns = rtt_ns;
    if (sent_after(record->sent_ns, record->end, rack->sent_ns, rack->end)) {
        rack->sent_ns = record->sent_ns;
        rack->end = record->end;
    }
}

void rack_dsack(struct rack *rack, uint32_t una, uint32_t next)
{
    if (rack->dsack_in_round && seq_before(una, rack->dsack_round_end))
        return;
    rack->dsack_in_round = true;
    rack->dsack_round_end = next;
    if (rack->window_factor < WINDOW_FACTOR_MAX)
        rack->window_factor++;
    rack->window_persist = WINDOW_PERSIST;
}

void rack_recovery_ended(struct rack *rack)
{
    if (rack->window_persist > 0 && --rack->window_persist == 0)
        rack->window_factor = 1;
}

uint64_t rack_window_ns(const struct rack *rack, const struct rtt *rtt, bool hasty)
{
    if (!rack->reordering_seen && hasty)
        return 0;
    uint64_t window_ns = rack->window_factor * rtt_min_ns(rtt) / 4;
    return window_ns < rtt->smoothed_ns ? window_ns : rtt->smoothed_ns;
}

struct tx_record *rack_next_lost(const struct rack *rack, const struct scoreboard *board, uint64_t window_ns,
                                 uint64_t now_ns, uint64_t *wait_until_ns)
{
    *wait_until_ns = UINT64_MAX;
    struct tx_record *record = scoreboard_oldest(board);
    if (record == NULL || !sent_after(rack->sent_ns, rack->end, record->sent_ns, record->end))
        return NULL;
    uint64_t deadline_ns = record->sent_ns + rack->rtt_ns + window_ns;
    if (deadline_ns <= now_ns)
        return record;
    *wait_until_ns = deadline_ns;
    return NULL;
}
