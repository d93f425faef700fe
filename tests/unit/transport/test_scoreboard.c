/* The scoreboard against a naive model, through random operations: every counter, the order of transmission
 * and the search must agree after each step. */
#include "tests/unit/common/unit.h"
#include "tunneld/transport/scoreboard.h"
#include "tunneld/transport/seq.h"
#include <string.h>

enum { RECORDS = 200, STEPS = 100000, MSS = 100, FIRST_SEQ = -50 * MSS };

struct entry {
    uint32_t start, end;
    enum tx_state state;
    uint64_t sent; /* order of transmission; what is found again gets the lowest */
};

static struct entry model[RECORDS];
static uint32_t model_count;
static int64_t newest, oldest;
static uint64_t random_state = 88172645463325252ULL;

static uint32_t dice(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % sides;
}

static void agree(struct scoreboard *board)
{
    uint64_t inflight = 0;
    uint32_t sacked = 0, lost = 0, flying = 0, oldest_at = 0, lost_at = RECORDS;
    bool same = board->count == model_count;
    for (uint32_t i = 0; i < model_count && same; i++) {
        const struct tx_record *record = scoreboard_at(board, board->first + i);
        const struct entry *entry = &model[i];
        same = record->start == entry->start && record->end == entry->end && record->state == entry->state &&
               scoreboard_index(board, record) == board->first + i;
        sacked += entry->state == TX_SACKED;
        lost += entry->state == TX_LOST;
        if (entry->state == TX_LOST && lost_at == RECORDS)
            lost_at = i;
        if (entry->state != TX_FLYING)
            continue;
        inflight += entry->end - entry->start;
        if (flying++ == 0 || (int64_t)entry->sent < (int64_t)model[oldest_at].sent)
            oldest_at = i;
    }
    same = same && sacked == board->sacked && lost == board->lost && flying == board->listed &&
           inflight == board->inflight_bytes;
    same = same && (flying == 0 ? scoreboard_oldest(board) == NULL
                                : scoreboard_oldest(board) == scoreboard_at(board, board->first + oldest_at));
    same = same && (lost == 0 ? scoreboard_next_lost(board) == NULL
                              : scoreboard_next_lost(board) == scoreboard_at(board, board->first + lost_at));
    if (model_count > 0 && same) {
        uint32_t seq = model[0].start + dice(model[model_count - 1].end - model[0].start), i = 0;
        while (!seq_before(seq, model[i].end))
            i++;
        same = scoreboard_find(board, seq) == board->first + i;
    }
    ck_assert(same);
}

static void push(struct scoreboard *board, uint32_t *next)
{
    uint32_t end = *next + 1 + dice(MSS);
    if (model_count == RECORDS)
        return;
    ck_assert(scoreboard_reserve(board));
    (void)scoreboard_push(board, *next, end, NULL);
    model[model_count++] =
        (struct entry){.start = *next, .end = end, .state = TX_FLYING, .sent = (uint64_t)++newest};
    *next = end;
}

static void change(struct scoreboard *board)
{
    uint32_t i = dice(model_count), index = board->first + i;
    struct entry *entry = &model[i];
    switch (dice(4)) {
    case 0:
        if (entry->state == TX_SACKED)
            return;
        scoreboard_mark_sacked(board, index);
        entry->state = TX_SACKED;
        break;
    case 1:
        if (entry->state == TX_LOST)
            return;
        scoreboard_mark_lost(board, index);
        entry->state = TX_LOST;
        break;
    case 2:
        scoreboard_mark_sent(board, index);
        entry->state = TX_FLYING;
        entry->sent = (uint64_t)++newest;
        break;
    default:
        if (entry->state != TX_LOST)
            return;
        scoreboard_mark_found(board, index);
        entry->state = TX_FLYING;
        entry->sent = (uint64_t)--oldest;
    }
}

START_TEST(agrees_with_a_naive_model)
{
    struct scoreboard board = {0};
    uint32_t next = (uint32_t)FIRST_SEQ;
    for (unsigned step = 0; step < STEPS; step++) {
        /* Long stretches of growing and of shrinking, so that the ring moves and is given back. */
        bool growing = step / 500 % 2 == 0;
        uint32_t what = dice(10);
        if (what < (growing ? 4u : 1u)) {
            push(&board, &next);
        } else if (what < 5 && model_count > 0) {
            scoreboard_pop(&board);
            memmove(model, model + 1, --model_count * sizeof model[0]);
        } else if (what == 5 && model_count > 0 && model[0].end - model[0].start > 1) {
            scoreboard_trim(&board, 1);
            model[0].start++;
        } else if (model_count > 0) {
            change(&board);
        }
        agree(&board);
    }
    scoreboard_clear(&board);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, agrees_with_a_naive_model);
}

int main(void)
{
    return unit_run("scoreboard", fill);
}
