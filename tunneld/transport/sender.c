/* See sender.h: sending, timers, and the order of steps for an acknowledgement. */
#include "tunneld/transport/sender.h"
#include "tunneld/transport/sender_internal.h"
#include "tunneld/transport/seq.h"
#include <string.h>

/* A loop that sleeps in milliseconds comes late; so much of it is made up for by a burst. */
#define PACE_CREDIT_NS   (2 * NS_PER_MS)
#define PACE_STEP_NS     NS_PER_MS
#define DELAYED_ACK_NS   (200 * NS_PER_MS) /* how long a far end may wait with the ACK of a lone segment */
#define PROBE_SLACK_NS   (2 * NS_PER_MS)
#define PROBE_INITIAL_NS NS_PER_S

void sender_init(struct sender *sender, const struct cc_ops *algorithm, uint32_t mss, uint32_t first,
                 uint32_t seed, uint64_t now_ns)
{
    memset(sender, 0, sizeof *sender);
    sender->una = sender->next = sender->recovery_end = sender->echo_end = first;
    sender->reorder_ns = UINT64_MAX;
    rack_init(&sender->rack);
    cc_init(&sender->cc, algorithm, mss, seed, now_ns);
}

void sender_free(struct sender *sender)
{
    scoreboard_clear(&sender->board);
}

void sender_established(struct sender *sender, bool sack_permitted, uint32_t mss)
{
    uint64_t initial = (uint64_t)CC_INITIAL_SEGMENTS * mss;
    sender->sack_permitted = sack_permitted;
    sender->cc.mss = mss;
    if (sender->stats.timeouts == 0 || sender->cc.cwnd > initial)
        sender->cc.cwnd = initial;
}

/* -- Sending --------------------------------------------------------------------------------- */

static bool pace_allows(const struct sender *sender, uint64_t now_ns)
{
    return sender->cc.pacing_rate == 0 || sender->pace_next_ns <= now_ns;
}

static void pace_spend(struct sender *sender, uint64_t bytes, uint64_t now_ns)
{
    if (sender->cc.pacing_rate == 0)
        return;
    uint64_t least = now_ns > PACE_CREDIT_NS ? now_ns - PACE_CREDIT_NS : 0;
    if (sender->pace_next_ns < least)
        sender->pace_next_ns = least;
    sender->pace_next_ns += (uint64_t)((double)bytes * (double)NS_PER_S / (double)sender->cc.pacing_rate);
}

uint64_t sender_pace_ns(const struct sender *sender, uint64_t now_ns)
{
    if (pace_allows(sender, now_ns))
        return UINT64_MAX;
    uint64_t soonest = now_ns + PACE_STEP_NS; /* a burst a millisecond, not a wake-up a segment */
    return sender->pace_next_ns > soonest ? sender->pace_next_ns : soonest;
}

static bool window_allows(struct sender *sender, uint64_t bytes)
{
    uint64_t inflight = sender->board.inflight_bytes;
    if (inflight + bytes <= sender->cc.cwnd || inflight == 0)
        return true;
    sender->cwnd_limited_until = sender->rate.delivered + inflight;
    return false;
}

bool sender_must_send(struct sender *sender)
{
    return scoreboard_reserve(&sender->board);
}

bool sender_may_send(struct sender *sender, uint32_t bytes, uint64_t now_ns)
{
    if (!sender->probe_due && (!window_allows(sender, bytes) || !pace_allows(sender, now_ns)))
        return false;
    return scoreboard_reserve(&sender->board);
}

/* What every transmission does, before and after its record is in flight. */
static void transmission(struct sender *sender, struct tx_record *record, bool idle, uint64_t now_ns)
{
    rate_on_send(&sender->rate, record, sender->board.inflight_bytes, idle, now_ns);
    if (record->transmissions < UINT16_MAX)
        record->transmissions++;
    sender->probe_base_ns = now_ns;
    pace_spend(sender, tx_bytes(record), now_ns);
    if (sender->phase == SENDER_RECOVERY)
        prr_sent(&sender->prr, tx_bytes(record));
    sender->stats.sent_segments++;
    sender->stats.sent_bytes += tx_bytes(record);
}

static void probe_sent(struct sender *sender, bool retransmission)
{
    sender->probe_due = false;
    sender->probe_out = true;
    sender->probe_was_retransmission = retransmission;
    sender->probe_end = sender->next;
    sender->stats.probes++;
}

void sender_sent(struct sender *sender, uint32_t start, uint32_t end, void *segment, uint64_t now_ns)
{
    uint64_t inflight = sender->board.inflight_bytes;
    bool idle = inflight == 0;
    sender->cc.ops->on_send(&sender->cc, now_ns, inflight, sender->rate.app_limited != 0);
    if (sender->board.count == 0)
        sender->rto_base_ns = now_ns;
    struct tx_record *record = scoreboard_push(&sender->board, start, end, segment);
    sender->next = seq_later(sender->next, end);
    transmission(sender, record, idle, now_ns);
    if (sender->probe_due)
        probe_sent(sender, false);
}

struct tx_record *sender_next_retransmission(struct sender *sender, uint64_t now_ns)
{
    struct tx_record *record = scoreboard_next_lost(&sender->board);
    if (record == NULL || sender->force_one)
        return record;
    if (!window_allows(sender, tx_bytes(record)) || !pace_allows(sender, now_ns))
        return NULL;
    return record;
}

void sender_resent(struct sender *sender, struct tx_record *record, uint64_t now_ns)
{
    uint32_t index = scoreboard_index(&sender->board, record);
    bool probe = sender->probe_due, idle = sender->board.inflight_bytes == 0;
    scoreboard_mark_sent(&sender->board, index);
    transmission(sender, record, idle, now_ns);
    sender->force_one = false;
    sender->undo_retransmissions++;
    sender->stats.retransmitted_segments++;
    sender->stats.retransmitted_bytes += tx_bytes(record);
    if (index == sender->board.first)
        sender->rto_base_ns = now_ns;
    if (probe)
        probe_sent(sender, true);
}

struct tx_record *sender_probe(struct sender *sender)
{
    const struct scoreboard *board = &sender->board;
    if (!sender->probe_due)
        return NULL;
    for (uint32_t i = board->count; i-- > 0;) {
        struct tx_record *record = scoreboard_at(board, board->first + i);
        if (record->state == TX_FLYING)
            return record;
    }
    sender->probe_due = false;
    return NULL;
}

void sender_app_limited(struct sender *sender)
{
    if (sender->board.lost == 0 && sender->board.inflight_bytes < sender->cc.cwnd)
        rate_app_limited(&sender->rate, sender->board.inflight_bytes);
}

/* -- Timers ---------------------------------------------------------------------------------- */

static uint64_t rto_deadline_ns(const struct sender *sender)
{
    if (sender->board.count == 0)
        return UINT64_MAX;
    return sender->rto_base_ns + rtt_rto_ns(&sender->rtt, sender->backoff);
}

/* RFC 8985, 7.2. Never later than the timeout, which a probe postpones. */
static uint64_t probe_deadline_ns(const struct sender *sender)
{
    if (!sender->sack_permitted || sender->phase != SENDER_OPEN || sender->probe_out || sender->probe_due ||
        sender->board.listed == 0 || sender->board.sacked > 0)
        return UINT64_MAX;
    uint64_t wait_ns = PROBE_INITIAL_NS;
    if (sender->rtt.smoothed_ns != 0) {
        wait_ns = 2 * sender->rtt.smoothed_ns + PROBE_SLACK_NS;
        if (sender->board.listed == 1)
            wait_ns += DELAYED_ACK_NS;
    }
    uint64_t deadline_ns = sender->probe_base_ns + wait_ns, rto_ns = rto_deadline_ns(sender);
    return deadline_ns < rto_ns ? deadline_ns : rto_ns;
}

uint64_t sender_deadline_ns(const struct sender *sender)
{
    uint64_t deadline_ns = rto_deadline_ns(sender), probe_ns = probe_deadline_ns(sender);
    if (probe_ns < deadline_ns)
        deadline_ns = probe_ns;
    return sender->reorder_ns < deadline_ns ? sender->reorder_ns : deadline_ns;
}

void sender_timer(struct sender *sender, uint64_t now_ns)
{
    if (sender->reorder_ns <= now_ns)
        sender_detect_losses(sender, now_ns);
    if (probe_deadline_ns(sender) <= now_ns) {
        sender->probe_due = true;
        sender->rto_base_ns = now_ns;
    } else if (rto_deadline_ns(sender) <= now_ns) {
        sender_timeout(sender, now_ns);
    }
}

/* -- Acknowledgements ------------------------------------------------------------------------ */

/* RFC 8985, 7.4: was the loss that the probe repaired the only sign of congestion there will be? */
static void probe_answered(struct sender *sender, const struct sender_ack *ack,
                           const struct sender_progress *progress, uint64_t now_ns)
{
    if (!sender->probe_out || seq_before(ack->ack, sender->probe_end))
        return;
    if (sender->probe_was_retransmission && !progress->duplicate_reported) {
        if (ack->ack == sender->probe_end && progress->advanced)
            return; /* the original or the probe: a duplicate will tell, or more data */
        if (seq_before(sender->probe_end, ack->ack) && sender->phase == SENDER_OPEN) {
            sender_recovery_begin(sender, sender->board.inflight_bytes, now_ns);
            sender->recovery_end = sender->una;
        }
    }
    sender->probe_out = false;
}

static void rtt_take(struct sender *sender, const struct sender_progress *progress, uint64_t now_ns)
{
    if (progress->rtt_ns != 0)
        rtt_sample(&sender->rtt, progress->rtt_ns, now_ns);
    if (!progress->advanced)
        return;
    sender->backoff = 0;
    sender->first_timeout_ns = 0;
    sender->rto_base_ns = now_ns;
    sender->probe_base_ns = now_ns;
}

static void control(struct sender *sender, const struct sender_progress *progress, uint64_t prior_inflight,
                    bool entered, uint64_t now_ns)
{
    struct cc *cc = &sender->cc;
    struct cc_ack ack = {
        .now_ns = now_ns,
        .newly_acked = progress->delivered,
        .newly_lost = progress->lost,
        .inflight = sender->board.inflight_bytes,
        .prior_inflight = prior_inflight,
        .rtt_ns = progress->rtt_ns,
        .srtt_ns = sender->rtt.smoothed_ns,
        .min_rtt_ns = rtt_min_ns(&sender->rtt),
        .cwnd_limited = sender->rate.delivered <= sender->cwnd_limited_until,
        .in_recovery = sender->phase == SENDER_RECOVERY,
        .advanced = progress->advanced,
    };
    rate_finish(&sender->rate, &progress->sample, ack.min_rtt_ns, &ack);
    if (ack.delivery_rate != 0)
        sender->delivery_rate = ack.delivery_rate;
    cc->ops->on_ack(cc, &ack);
    if (cc->probe_quiet)
        rate_app_limited(&sender->rate, ack.inflight);
    if (!cc->ops->own_recovery && ack.in_recovery)
        cc->cwnd = prr_ack(&sender->prr, progress->delivered, ack.inflight, cc->ssthresh, cc->mss,
                           progress->advanced && progress->lost == 0, entered);
}

/* Once a round trip; while losses are repaired the reduction has been made. */
static bool echo_take(struct sender *sender, const struct sender_ack *ack, uint64_t now_ns)
{
    if (!ack->congestion_echo || seq_before(sender->una, sender->echo_end))
        return false;
    sender->echo_end = sender->next;
    sender->stats.echoes++;
    if (sender->phase == SENDER_OPEN)
        sender->cc.ops->on_recovery(&sender->cc, CC_RECOVERY_ECHO, now_ns, sender->board.inflight_bytes);
    return true;
}

bool sender_ack(struct sender *sender, const struct sender_ack *ack, uint64_t now_ns)
{
    struct sender_progress progress = {0};
    uint64_t prior_inflight = sender->board.inflight_bytes, prior_lost = sender->rate.lost;
    bool was_recovery = sender->phase == SENDER_RECOVERY;
    if (seq_before(ack->ack, sender->una) || seq_before(sender->next, ack->ack))
        return false; /* old, or of what was never sent */
    sender_take_cumulative(sender, ack->ack, &progress, now_ns);
    if (sender->sack_permitted)
        sender_take_sacks(sender, ack, &progress, now_ns);
    rtt_take(sender, &progress, now_ns);
    sender_undo_check(sender, &progress, now_ns);
    sender_recovery_end_check(sender, now_ns);
    if (sender->sack_permitted)
        sender_detect_losses(sender, now_ns);
    else
        sender_detect_losses_plain(sender, ack, progress.advanced, now_ns);
    probe_answered(sender, ack, &progress, now_ns);
    if (sender->rate.lost > prior_lost)
        progress.lost = sender->rate.lost - prior_lost;
    if (progress.delivered > 0 || progress.lost > 0)
        control(sender, &progress, prior_inflight, sender->phase == SENDER_RECOVERY && !was_recovery, now_ns);
    return echo_take(sender, ack, now_ns);
}
