/* The sender and the reassembly under acknowledgements and segments of any kind: each input byte pair is a
 * step (send, acknowledge with arbitrary SACK blocks, wait, receive). After each, the scoreboard's sums must
 * agree with its records, and the windows must be sane. */
#include "common/clock.h"
#include "tunneld/transport/reassembly.h"
#include "tunneld/transport/sender.h"
#include <stdlib.h>
#include <string.h>

enum { MSS = 1000, FIRST = 0xffffa000u, STREAM = 200 * MSS };

static struct sender sender;
static struct reassembly reassembly;
static uint64_t now_ns;
static uint32_t expected; /* next in order at the receiver */

static void check(bool right)
{
    if (!right)
        abort();
}

static void board_check(void)
{
    const struct scoreboard *board = &sender.board;
    uint32_t sacked = 0, lost = 0, flying = 0;
    uint64_t inflight = 0;
    for (uint32_t i = 0; i < board->count; i++) {
        const struct tx_record *record = scoreboard_at(board, board->first + i);
        check(record->end != record->start && record->end - record->start <= MSS);
        check(i == 0 || record->start == scoreboard_at(board, board->first + i - 1)->end);
        sacked += record->state == TX_SACKED;
        lost += record->state == TX_LOST;
        flying += record->state == TX_FLYING;
        inflight += record->state == TX_FLYING ? tx_bytes(record) : 0;
    }
    check(sacked == board->sacked && lost == board->lost && flying == board->listed);
    check(inflight == board->inflight_bytes);
    check(sender.cc.cwnd >= MSS && sender.cc.cwnd < UINT64_C(1) << 40);
    check(sender.cc.pacing_rate < UINT64_C(1) << 50);
    check(board->count == 0 || sender_deadline_ns(&sender) != UINT64_MAX);
}

static void send_some(unsigned most)
{
    struct tx_record *record;
    while ((record = sender_next_retransmission(&sender, now_ns)) != NULL)
        sender_resent(&sender, record, now_ns);
    while (most-- > 0 && sender.board.lost == 0 && sender_may_send(&sender, MSS, now_ns))
        sender_sent(&sender, sender.next, sender.next + MSS, NULL, now_ns);
    if ((record = sender_probe(&sender)) != NULL)
        sender_resent(&sender, record, now_ns);
}

static void acknowledge(const uint8_t *data, size_t size)
{
    struct sender_ack ack = {.ack = sender.una + (size > 0 ? data[0] * (MSS / 4u) : 0), .duplicate = true};
    for (size_t i = 1; i + 1 < size && ack.sack_count < SENDER_SACKS_MAX; i += 2) {
        uint32_t start = sender.una + (data[i] - 8u) * (MSS / 2u);
        ack.sacks[ack.sack_count++] =
            (struct sack_block){.start = start, .end = start + data[i + 1] * (MSS / 2u)};
    }
    ack.congestion_echo = ack.sack_count == 1;
    (void)sender_ack(&sender, &ack, now_ns);
}

static void item_free(struct reassembly_item *item)
{
    free(item);
}

static void receive(uint32_t ahead, uint32_t length, bool fin)
{
    struct reassembly_block blocks[REASSEMBLY_BLOCKS_MAX];
    struct reassembly_item *item = calloc(1, sizeof *item);
    if (item == NULL)
        return;
    *item = (struct reassembly_item){
        .start = expected + ahead, .end = expected + ahead + length + fin, .fin = fin};
    if (length + fin == 0)
        free(item);
    else
        (void)reassembly_insert(&reassembly, item);
    for (uint32_t i = 0; i + 1 < reassembly.count; i++)
        check((int32_t)(reassembly.ranges[i + 1].start - reassembly.ranges[i].end) > 0);
    size_t count = reassembly_blocks(&reassembly, blocks, REASSEMBLY_BLOCKS_MAX);
    check(count <= REASSEMBLY_BLOCKS_MAX && reassembly.unreported <= reassembly.count);
    while ((item = reassembly_take(&reassembly, expected)) != NULL) {
        check(item->start == expected && item->end != expected);
        expected = item->end;
        free(item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    now_ns = 100 * NS_PER_S;
    expected = FIRST;
    sender_init(&sender, data[0] & 1 ? &cc_cubic : &cc_bbr, MSS, FIRST, data[1], now_ns);
    sender_established(&sender, (data[0] & 2) != 0, MSS);
    reassembly_init(&reassembly, item_free);
    for (size_t at = 2; at + 1 < size;) {
        uint8_t what = data[at], value = data[at + 1];
        size_t left = size - at - 2, take = 0;
        now_ns += (uint64_t)value * NS_PER_MS / 16;
        switch (what % 5) {
        case 0:
            send_some(value);
            break;
        case 1:
            take = left < (what >> 3) % 10u ? left : (what >> 3) % 10u;
            acknowledge(data + at + 2, take);
            break;
        case 2:
            now_ns += (uint64_t)value * 10 * NS_PER_MS;
            break;
        case 3:
            sender_app_limited(&sender);
            break;
        default:
            receive((uint32_t)(what >> 3) * 40, value, (what & 8) != 0);
        }
        sender_timer(&sender, now_ns);
        if (sender.next - sender.una < STREAM)
            send_some(2);
        board_check();
        at += 2 + take;
    }
    sender_free(&sender);
    reassembly_clear(&reassembly);
    return 0;
}
