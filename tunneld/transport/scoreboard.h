/* What is on the way: a record for each segment sent and not yet cumulatively acknowledged, in sequence
 * order, in a ring that grows and is given back when it is empty. Those in flight are also on a list in the
 * order of their last transmission, so that what was sent too long ago stands at its head.
 *
 *      FLYING ──▶ SACKED        (and away, with the cumulative acknowledgement)
 *       ▲  │
 *       │  ▼
 *       LOST                    FLYING again when it is retransmitted
 *
 * Amounts are bytes of sequence space. One thread. */
#ifndef NEXD_TUNNELD_SCOREBOARD_H
#define NEXD_TUNNELD_SCOREBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tx_state { TX_FLYING, TX_SACKED, TX_LOST };

struct tx_record {
    uint32_t start, end; /* sequence numbers, [start, end) */
    void *segment;       /* the caller's */
    uint64_t sent_ns;    /* last transmission */
    /* The connection's delivery when it was sent last; see rate_sample.h. */
    uint64_t first_sent_ns, delivered_ns, delivered, lost;
    uint32_t tx_in_flight;
    uint32_t older, newer;  /* neighbours on the list; meaningless at its ends */
    uint16_t transmissions; /* stays at its largest value */
    uint8_t state;          /* enum tx_state */
    bool app_limited;
};

struct scoreboard {
    struct tx_record *ring;
    uint32_t capacity;       /* a power of two, or 0 */
    uint32_t first, count;   /* index of the lowest record; indices run on and wrap */
    uint32_t oldest, newest; /* ends of the list, while listed > 0 */
    uint32_t listed;         /* records in flight */
    uint32_t sacked, lost;   /* records in those states */
    uint32_t lost_hint;      /* no record below this index is lost */
    uint64_t inflight_bytes;
};

/* Zero-initialised = empty. */
void scoreboard_clear(struct scoreboard *board);
/* Makes room for one more record; false when there is no memory. */
bool scoreboard_reserve(struct scoreboard *board);
/* Adds a record in flight behind all others; room must have been reserved. */
struct tx_record *scoreboard_push(struct scoreboard *board, uint32_t start, uint32_t end, void *segment);
/* Removes the lowest record, whatever its state. */
void scoreboard_pop(struct scoreboard *board);
/* Gives the first `bytes` of the lowest record up; it must be longer. */
void scoreboard_trim(struct scoreboard *board, uint32_t bytes);

static inline struct tx_record *scoreboard_at(const struct scoreboard *board, uint32_t index)
{
    return &board->ring[index & (board->capacity - 1)];
}
static inline uint32_t tx_bytes(const struct tx_record *record)
{
    return record->end - record->start;
}
uint32_t scoreboard_index(const struct scoreboard *board, const struct tx_record *record);
/* Index of the first record that ends after `seq`, or one past the last. */
uint32_t scoreboard_find(const struct scoreboard *board, uint32_t seq);

void scoreboard_mark_sacked(struct scoreboard *board, uint32_t index);
void scoreboard_mark_lost(struct scoreboard *board, uint32_t index);
/* LOST or SACKED to FLYING, as the newest transmission. A record that flies already becomes the newest too.
 */
void scoreboard_mark_sent(struct scoreboard *board, uint32_t index);
/* LOST to FLYING, as the oldest transmission: it had not been lost after all. */
void scoreboard_mark_found(struct scoreboard *board, uint32_t index);
/* The lost record with the lowest sequence number, or NULL. */
struct tx_record *scoreboard_next_lost(struct scoreboard *board);
/* The record sent longest ago of those in flight, or NULL. */
static inline struct tx_record *scoreboard_oldest(const struct scoreboard *board)
{
    return board->listed > 0 ? scoreboard_at(board, board->oldest) : NULL;
}

#endif
