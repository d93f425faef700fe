/* Which segments are lost, and the phases that follow from it: fast recovery (RFC 6675 with RACK's verdicts),
 * retransmission timeout (RFC 6298), and their undoing when nothing had been lost (by DSACK, or, as in F-RTO,
 * when segments that were never sent again arrive). */
#include "tunneld/transport/sender_internal.h"
#include "tunneld/transport/seq.h"

enum { DUPLICATES = 3 };

static void lose(struct sender *sender, uint32_t index, uint64_t now_ns)
{
    struct scoreboard *board = &sender->board;
    const struct tx_record *record = scoreboard_at(board, index);
    uint64_t bytes = tx_bytes(record);
    sender->rate.lost += bytes;
    sender->stats.lost_segments++;
    struct cc_loss loss = {
        .now_ns = now_ns,
        .bytes = bytes,
        .delivered = sender->rate.delivered,
        .tx_in_flight = record->tx_in_flight,
        .lost_since_tx = sender->rate.lost - record->lost,
        .app_limited = record->app_limited,
        .new_hole = index == board->first || scoreboard_at(board, index - 1)->state != TX_LOST,
    };
    scoreboard_mark_lost(board, index);
    sender->cc.ops->on_loss(&sender->cc, &loss);
}

void sender_detect_losses(struct sender *sender, uint64_t now_ns)
{
    struct scoreboard *board = &sender->board;
    bool hasty = sender->phase != SENDER_OPEN || board->sacked >= DUPLICATES;
    uint64_t window_ns = rack_window_ns(&sender->rack, &sender->rtt, hasty);
    uint64_t inflight = board->inflight_bytes;
    struct tx_record *record;
    bool any = false;
    sender->reorder_ns = UINT64_MAX;
    if (!sender->sack_permitted)
        return;
    while ((record = rack_next_lost(&sender->rack, board, window_ns, now_ns, &sender->reorder_ns)) != NULL) {
        if (!any && sender->phase == SENDER_OPEN)
            sender_recovery_begin(sender, inflight, now_ns);
        any = true;
        lose(sender, scoreboard_index(board, record), now_ns);
    }
}

void sender_detect_losses_plain(struct sender *sender, const struct sender_ack *ack, bool advanced,
                                uint64_t now_ns)
{
    struct scoreboard *board = &sender->board;
    if (advanced) {
        sender->duplicates = 0;
    } else if (ack->duplicate && board->count > 0 && ack->ack == sender->una) {
        sender->duplicates++;
    }
    bool partial = sender->phase == SENDER_RECOVERY && advanced && seq_before(ack->ack, sender->recovery_end);
    if (board->count == 0 || (sender->duplicates != DUPLICATES && !partial) ||
        scoreboard_at(board, board->first)->state != TX_FLYING)
        return;
    if (sender->phase == SENDER_OPEN)
        sender_recovery_begin(sender, board->inflight_bytes, now_ns);
    else if (!partial)
        return;
    lose(sender, board->first, now_ns);
    sender->force_one = true;
}

void sender_recovery_begin(struct sender *sender, uint64_t inflight_before, uint64_t now_ns)
{
    sender->phase = SENDER_RECOVERY;
    sender->recovery_end = sender->next;
    sender->undo_retransmissions = 0;
    sender->undo_possible = true;
    sender->force_one = true;
    sender->probe_out = sender->probe_due = false;
    sender->stats.recoveries++;
    sender->cc.ops->on_recovery(&sender->cc, CC_RECOVERY_ENTER, now_ns, inflight_before);
    prr_begin(&sender->prr, inflight_before);
}

static void phase_open(struct sender *sender, enum cc_recovery how, uint64_t now_ns)
{
    sender->phase = SENDER_OPEN;
    sender->undo_possible = false;
    sender->force_one = false;
    sender->duplicates = 0;
    sender->cc.ops->on_recovery(&sender->cc, how, now_ns, sender->board.inflight_bytes);
    rack_recovery_ended(&sender->rack);
}

void sender_recovery_end_check(struct sender *sender, uint64_t now_ns)
{
    if (sender->phase != SENDER_OPEN && seq_at_or_before(sender->recovery_end, sender->una))
        phase_open(sender, CC_RECOVERY_EXIT, now_ns);
}

/* What was given up at a timeout and not sent again is in flight after all, oldest first. */
static void found_again(struct sender *sender)
{
    struct scoreboard *board = &sender->board;
    for (uint32_t i = board->count; i-- > 0 && board->lost > 0;) {
        const struct tx_record *record = scoreboard_at(board, board->first + i);
        if (record->state != TX_LOST || record->transmissions > 1)
            continue;
        scoreboard_mark_found(board, board->first + i);
    }
}

void sender_undo_check(struct sender *sender, const struct sender_progress *progress, uint64_t now_ns)
{
    if (sender->phase == SENDER_OPEN || !sender->undo_possible)
        return;
    bool late_original = sender->phase == SENDER_TIMEOUT && progress->original_delivered;
    bool all_duplicates = progress->duplicate_reported && sender->undo_retransmissions == 0;
    if (!late_original && !all_duplicates)
        return;
    found_again(sender);
    sender->stats.undone++;
    phase_open(sender, CC_RECOVERY_UNDO, now_ns);
}

/* RFC 6298, 5.4 to 5.7, and RFC 8985, 6.3: the first segment, and all that RACK would give up by now. */
void sender_timeout(struct sender *sender, uint64_t now_ns)
{
    struct scoreboard *board = &sender->board;
    bool reneged = scoreboard_at(board, board->first)->state == TX_SACKED;
    uint64_t window_ns = rack_window_ns(&sender->rack, &sender->rtt, true);
    sender->seen_count = 0;
    for (uint32_t i = 0; i < board->count; i++) {
        uint32_t index = board->first + i;
        const struct tx_record *record = scoreboard_at(board, index);
        bool old = record->sent_ns + sender->rack.rtt_ns + window_ns <= now_ns;
        if (record->state == TX_FLYING ? i == 0 || old : record->state == TX_SACKED && reneged)
            lose(sender, index, now_ns);
    }
    sender->undo_possible = sender->phase == SENDER_OPEN;
    sender->undo_retransmissions = 0;
    sender->phase = SENDER_TIMEOUT;
    sender->recovery_end = sender->next;
    sender->probe_out = sender->probe_due = false;
    sender->force_one = true;
    sender->reorder_ns = UINT64_MAX;
    sender->rto_base_ns = now_ns;
    if (sender->first_timeout_ns == 0)
        sender->first_timeout_ns = now_ns;
    if (sender->backoff < UINT16_MAX)
        sender->backoff++;
    sender->stats.timeouts++;
    sender->cc.ops->on_recovery(&sender->cc, CC_RECOVERY_TIMEOUT, now_ns, board->inflight_bytes);
}
