/* What an acknowledgement reports, entered in the scoreboard: the cumulative part, SACK blocks (RFC 2018) and
 * reports of duplicates (RFC 2883). A block's part that was reported before is not walked again. */
#include "tunneld/transport/sender_internal.h"
#include "tunneld/transport/seq.h"
#include <string.h>

static void delivered(struct sender *sender, const struct tx_record *record, uint64_t bytes,
                      struct sender_progress *progress, uint64_t now_ns)
{
    progress->delivered += bytes;
    rate_on_delivered(&sender->rate, &progress->sample, record, bytes, now_ns);
    rack_delivered(&sender->rack, record, rtt_min_ns(&sender->rtt), now_ns);
    if (record->state == TX_LOST && record->transmissions == 1)
        progress->original_delivered = true;
    /* Karn: the round trip of a segment sent twice is ambiguous, and one that was given up came late for
     * other reasons. */
    if (record->transmissions == 1 && record->state == TX_FLYING &&
        record->sent_ns >= progress->rtt_sent_ns) {
        progress->rtt_sent_ns = record->sent_ns;
        progress->rtt_ns = now_ns > record->sent_ns ? now_ns - record->sent_ns : 1;
    }
    progress->retransmitted |= record->transmissions > 1;
}

void sender_take_cumulative(struct sender *sender, uint32_t ack, struct sender_progress *progress,
                            uint64_t now_ns)
{
    if (!seq_before(sender->una, ack) || seq_before(sender->next, ack))
        return;
    struct scoreboard *board = &sender->board;
    sender->una = ack;
    progress->advanced = true;
    while (board->count > 0) {
        const struct tx_record *record = scoreboard_at(board, board->first);
        if (seq_before(ack, record->end)) {
            if (seq_before(record->start, ack)) {
                uint32_t part = ack - record->start;
                if (record->state != TX_SACKED) {
                    progress->delivered += part;
                    rate_on_delivered(&sender->rate, &progress->sample, record, part, now_ns);
                }
                scoreboard_trim(board, part);
            }
            break;
        }
        if (record->state != TX_SACKED)
            delivered(sender, record, tx_bytes(record), progress, now_ns);
        scoreboard_pop(board);
    }
    if (progress->retransmitted) /* what stood behind the gap has been there for long */
        progress->rtt_ns = progress->rtt_sent_ns = 0;
}

/* Marks the records that lie in the block, from the one that holds `from` on. */
static void mark(struct sender *sender, const struct sack_block *block, uint32_t from, uint32_t to,
                 struct sender_progress *progress, uint64_t now_ns)
{
    struct scoreboard *board = &sender->board;
    uint32_t end = board->first + board->count;
    for (uint32_t i = scoreboard_find(board, from); i != end; i++) {
        struct tx_record *record = scoreboard_at(board, i);
        if (!seq_before(record->start, to) || seq_before(block->end, record->end))
            return;
        if (record->state == TX_SACKED || seq_before(record->start, block->start))
            continue;
        delivered(sender, record, tx_bytes(record), progress, now_ns);
        scoreboard_mark_sacked(board, i);
    }
}

static void take_block(struct sender *sender, const struct sack_block *block,
                       struct sender_progress *progress, uint64_t now_ns)
{
    for (uint8_t i = 0; i < sender->seen_count; i++) {
        const struct sack_block *old = &sender->seen[i];
        if (seq_before(old->start, block->start) || seq_before(block->end, old->end))
            continue;
        mark(sender, block, block->start, old->start, progress, now_ns);
        mark(sender, block, old->end, block->end, progress, now_ns);
        return;
    }
    mark(sender, block, block->start, block->end, progress, now_ns);
}

/* RFC 2883: the first block reports a duplicate if it lies below the cumulative acknowledgement, or within
 * the second block. */
static bool is_dsack(const struct sender_ack *ack)
{
    const struct sack_block *first = &ack->sacks[0];
    if (seq_at_or_before(first->end, ack->ack))
        return true;
    return ack->sack_count > 1 && seq_at_or_before(ack->sacks[1].start, first->start) &&
           seq_at_or_before(first->end, ack->sacks[1].end);
}

void sender_take_sacks(struct sender *sender, const struct sender_ack *ack, struct sender_progress *progress,
                       uint64_t now_ns)
{
    struct sack_block taken[SENDER_SACKS_MAX];
    uint8_t count = 0, first = 0;
    if (ack->sack_count > 0 && is_dsack(ack)) {
        const struct sack_block *block = &ack->sacks[first++];
        uint32_t segments = (block->end - block->start + sender->cc.mss - 1) / sender->cc.mss;
        progress->duplicate_reported = true;
        sender->stats.spurious_segments += segments;
        sender->undo_retransmissions -=
            segments < sender->undo_retransmissions ? segments : sender->undo_retransmissions;
        rack_dsack(&sender->rack, sender->una, sender->next);
    }
    for (uint8_t i = first; i < ack->sack_count && i < SENDER_SACKS_MAX; i++) {
        struct sack_block block = ack->sacks[i];
        if (!seq_before(block.start, block.end) || seq_before(sender->next, block.end) ||
            !seq_before(sender->una, block.end))
            continue;
        if (seq_before(block.start, sender->una))
            block.start = sender->una;
        take_block(sender, &block, progress, now_ns);
        taken[count++] = block;
    }
    memcpy(sender->seen, taken, count * sizeof taken[0]);
    sender->seen_count = count;
}
