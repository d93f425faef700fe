/* See scoreboard.h. Links are indices, so that they stay true when the ring moves. */
#include "tunneld/transport/scoreboard.h"
#include "tunneld/transport/seq.h"
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 8, CAPACITY_MAX = 1 << 20 };

void scoreboard_clear(struct scoreboard *board)
{
    free(board->ring);
    memset(board, 0, sizeof *board);
}

bool scoreboard_reserve(struct scoreboard *board)
{
    if (board->count < board->capacity)
        return true;
    uint32_t capacity = board->capacity == 0 ? CAPACITY_FIRST : board->capacity * 2;
    if (capacity > CAPACITY_MAX)
        return false;
    struct tx_record *ring = malloc(capacity * sizeof *ring);
    if (ring == NULL)
        return false;
    for (uint32_t i = 0; i < board->count; i++)
        ring[(board->first + i) & (capacity - 1)] = *scoreboard_at(board, board->first + i);
    free(board->ring);
    board->ring = ring;
    board->capacity = capacity;
    return true;
}

/* -- The list in order of transmission ------------------------------------------------------- */

static void list_append(struct scoreboard *board, uint32_t index)
{
    if (board->listed++ == 0) {
        board->oldest = board->newest = index;
        return;
    }
    scoreboard_at(board, board->newest)->newer = index;
    scoreboard_at(board, index)->older = board->newest;
    board->newest = index;
}

static void list_prepend(struct scoreboard *board, uint32_t index)
{
    if (board->listed++ == 0) {
        board->oldest = board->newest = index;
        return;
    }
    scoreboard_at(board, board->oldest)->older = index;
    scoreboard_at(board, index)->newer = board->oldest;
    board->oldest = index;
}

static void list_remove(struct scoreboard *board, uint32_t index)
{
    const struct tx_record *record = scoreboard_at(board, index);
    if (--board->listed == 0)
        return;
    if (board->oldest == index)
        board->oldest = record->newer;
    else if (board->newest == index)
        board->newest = record->older;
    else {
        scoreboard_at(board, record->older)->newer = record->newer;
        scoreboard_at(board, record->newer)->older = record->older;
    }
}

/* -- States ---------------------------------------------------------------------------------- */

static void state_leave(struct scoreboard *board, uint32_t index)
{
    const struct tx_record *record = scoreboard_at(board, index);
    switch ((enum tx_state)record->state) {
    case TX_FLYING:
        board->inflight_bytes -= tx_bytes(record);
        list_remove(board, index);
        break;
    case TX_SACKED:
        board->sacked--;
        break;
    case TX_LOST:
        board->lost--;
        break;
    }
}

void scoreboard_mark_sacked(struct scoreboard *board, uint32_t index)
{
    state_leave(board, index);
    scoreboard_at(board, index)->state = TX_SACKED;
    board->sacked++;
}

void scoreboard_mark_lost(struct scoreboard *board, uint32_t index)
{
    state_leave(board, index);
    scoreboard_at(board, index)->state = TX_LOST;
    if (board->lost++ == 0 || (int32_t)(index - board->lost_hint) < 0)
        board->lost_hint = index;
}

void scoreboard_mark_sent(struct scoreboard *board, uint32_t index)
{
    state_leave(board, index);
    struct tx_record *record = scoreboard_at(board, index);
    record->state = TX_FLYING;
    board->inflight_bytes += tx_bytes(record);
    list_append(board, index);
}

void scoreboard_mark_found(struct scoreboard *board, uint32_t index)
{
    state_leave(board, index);
    struct tx_record *record = scoreboard_at(board, index);
    record->state = TX_FLYING;
    board->inflight_bytes += tx_bytes(record);
    list_prepend(board, index);
}

/* -- Records --------------------------------------------------------------------------------- */

struct tx_record *scoreboard_push(struct scoreboard *board, uint32_t start, uint32_t end, void *segment)
{
    uint32_t index = board->first + board->count++;
    struct tx_record *record = scoreboard_at(board, index);
    *record = (struct tx_record){.start = start, .end = end, .segment = segment, .state = TX_FLYING};
    board->inflight_bytes += tx_bytes(record);
    list_append(board, index);
    return record;
}

void scoreboard_pop(struct scoreboard *board)
{
    state_leave(board, board->first);
    board->first++;
    if (--board->count == 0)
        scoreboard_clear(board); /* an idle connection has no ring: that is a third of what it would cost */
}

void scoreboard_trim(struct scoreboard *board, uint32_t bytes)
{
    struct tx_record *record = scoreboard_at(board, board->first);
    if (record->state == TX_FLYING)
        board->inflight_bytes -= bytes;
    record->start += bytes;
}

uint32_t scoreboard_index(const struct scoreboard *board, const struct tx_record *record)
{
    uint32_t slot = (uint32_t)(record - board->ring);
    return board->first + ((slot - board->first) & (board->capacity - 1));
}

uint32_t scoreboard_find(const struct scoreboard *board, uint32_t seq)
{
    uint32_t low = 0, high = board->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (seq_before(seq, scoreboard_at(board, board->first + middle)->end))
            high = middle;
        else
            low = middle + 1;
    }
    return board->first + low;
}

struct tx_record *scoreboard_next_lost(struct scoreboard *board)
{
    if (board->lost == 0)
        return NULL;
    if ((int32_t)(board->lost_hint - board->first) < 0)
        board->lost_hint = board->first;
    while (scoreboard_at(board, board->lost_hint)->state != TX_LOST)
        board->lost_hint++;
    return scoreboard_at(board, board->lost_hint);
}
