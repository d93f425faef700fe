/* The sending half of a TCP connection, without its bytes: what is on the way, what is lost, what may leave
 * now, and when to look again. The owner (lwIP's side in netstack/, or the simulator) sends segments and
 * reports; a retransmission is asked for, never done here.
 *
 *      owner                                      sender
 *      segment left              ── sender_sent ──▶   record, pacing, rate sample
 *      acknowledgement came      ── sender_ack ───▶   scoreboard, RACK, RTO, congestion control
 *      may a new segment leave?  ── sender_may_send
 *      what is to be sent again? ── sender_next_retransmission, then sender_resent
 *      when do I come back?      ── sender_deadline_ns, then sender_timer
 *
 * Sequence space counts SYN and FIN. Times are monotonic nanoseconds. One thread. */
#ifndef NEXD_TUNNELD_SENDER_H
#define NEXD_TUNNELD_SENDER_H

#include "tunneld/transport/congestion.h"
#include "tunneld/transport/prr.h"
#include "tunneld/transport/rack.h"
#include "tunneld/transport/rate_sample.h"
#include "tunneld/transport/rtt.h"
#include "tunneld/transport/scoreboard.h"

enum { SENDER_SACKS_MAX = 4 };

enum sender_phase {
    SENDER_OPEN,
    SENDER_RECOVERY, /* losses are being repaired */
    SENDER_TIMEOUT,  /* everything is in doubt after a retransmission timeout */
};

struct sack_block {
    uint32_t start, end;
};

struct sender_ack {
    uint32_t ack;
    uint8_t sack_count; /* blocks as they came, a DSACK first (RFC 2883) */
    struct sack_block sacks[SENDER_SACKS_MAX];
    bool congestion_echo; /* the far end reports a mark (RFC 3168) */
    bool duplicate;       /* no data, no window change: counts as a duplicate where there is no SACK */
};

struct sender_stats {
    uint64_t sent_segments, sent_bytes, retransmitted_segments, retransmitted_bytes;
    uint64_t lost_segments, spurious_segments, recoveries, timeouts, probes, undone, echoes;
};

struct sender {
    struct cc cc;
    struct scoreboard board;
    struct rate rate;
    struct rtt rtt;
    struct rack rack;
    struct prr prr;
    struct sender_stats stats;
    struct sack_block seen[SENDER_SACKS_MAX]; /* blocks of the last acknowledgement */
    uint64_t pace_next_ns;                    /* when the next segment may leave */
    uint64_t rto_base_ns;                     /* the timeout counts from here */
    uint64_t reorder_ns;                      /* RACK decides then; UINT64_MAX = nothing to decide */
    uint64_t probe_base_ns;                   /* the loss probe counts from here */
    uint64_t cwnd_limited_until;              /* as `delivered`; see cc_ack.cwnd_limited */
    uint64_t first_timeout_ns;                /* of those in a row; 0 = none */
    uint64_t delivery_rate;                   /* the last reliable sample, bytes a second */
    uint32_t una, next;                       /* acknowledged up to; first never sent */
    uint32_t recovery_end;
    uint32_t echo_end; /* `next` when it last slowed down for an echo: once a round trip is enough */
    uint32_t undo_retransmissions; /* not reported as duplicates yet, in this episode */
    uint32_t probe_end;            /* tail loss probe: `next` when it was sent */
    uint16_t backoff, duplicates;
    uint8_t seen_count;
    enum sender_phase phase;
    bool sack_permitted;
    bool undo_possible;
    bool probe_out, probe_was_retransmission; /* a probe awaits its answer */
    bool probe_due;                           /* one is to be sent now */
    bool force_one;                           /* the first retransmission of an episode always leaves */
};

/* `first` is the first sequence number to be sent. */
void sender_init(struct sender *sender, const struct cc_ops *algorithm, uint32_t mss, uint32_t first,
                 uint32_t seed, uint64_t now_ns);
void sender_free(struct sender *sender);
/* The far end takes SACK, and the segment size is known: after the handshake. */
void sender_established(struct sender *sender, bool sack_permitted, uint32_t mss);

/* May a new segment of `bytes` leave now? Where pacing is what forbids it, sender_deadline_ns() tells when to
 * ask again. Makes room for its record. */
bool sender_may_send(struct sender *sender, uint32_t bytes, uint64_t now_ns);
/* A new segment has left; sender_may_send() has just allowed it, or sender_must_send(). */
void sender_sent(struct sender *sender, uint32_t start, uint32_t end, void *segment, uint64_t now_ns);
/* Room for a record whatever window and pacing say (a SYN); false: no memory. */
bool sender_must_send(struct sender *sender);
/* The next segment to be sent again, if it may leave now; else NULL. */
struct tx_record *sender_next_retransmission(struct sender *sender, uint64_t now_ns);
void sender_resent(struct sender *sender, struct tx_record *record, uint64_t now_ns);
/* A loss probe is due and no new segment could serve: the segment to send again as one, or NULL. */
struct tx_record *sender_probe(struct sender *sender);
/* All there was has been sent. */
void sender_app_limited(struct sender *sender);

/* True: it has slowed down for the echo, and the far end is to be told so. */
bool sender_ack(struct sender *sender, const struct sender_ack *ack, uint64_t now_ns);
/* When sender_timer() wants to be called; UINT64_MAX = never. May move at any call above. */
uint64_t sender_deadline_ns(const struct sender *sender);
/* Harmless when nothing is due. The owner then sends what may be sent. */
void sender_timer(struct sender *sender, uint64_t now_ns);
/* When the pace allows the next segment: the owner, if it has one and was refused, comes back then.
 * UINT64_MAX: the pace is not what holds it up, an acknowledgement or a timer will tell. */
uint64_t sender_pace_ns(const struct sender *sender, uint64_t now_ns);

static inline uint64_t sender_inflight(const struct sender *sender)
{
    return sender->board.inflight_bytes;
}

#endif
