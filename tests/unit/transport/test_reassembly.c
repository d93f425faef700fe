/* Reassembly: random segments of a stream, overlapping, repeated and in any order, must come out as the
 * stream, whole and once; and every change must be reported. */
#include "tests/unit/common/unit.h"
#include "tunneld/transport/reassembly.h"
#include "tunneld/transport/seq.h"
#include <string.h>

enum { STREAM = 20000, SEGMENT_MAX = 300, ROUNDS = 200 };
static const uint32_t first_seq = 0xffffe000u;
static size_t alive;
static uint64_t random_state = 1234567;

static uint32_t dice(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % sides;
}

static void item_free(struct reassembly_item *item)
{
    alive--;
    free(item);
}

/* The item's bytes stand in `origin`, the sequence number of its first one. */
struct piece {
    struct reassembly_item item;
    uint32_t origin;
};

static bool insert(struct reassembly *reassembly, uint32_t start, uint32_t end, bool fin)
{
    struct piece *piece = calloc(1, sizeof *piece);
    piece->item.start = piece->origin = start;
    piece->item.end = end;
    piece->item.fin = fin;
    alive++;
    return reassembly_insert(reassembly, &piece->item);
}

/* Takes what is in order; checks that each item says truly where its bytes begin. */
static uint32_t take_all(struct reassembly *reassembly, uint32_t next, bool *fin)
{
    struct reassembly_item *item;
    while ((item = reassembly_take(reassembly, next)) != NULL) {
        ck_assert_uint_eq(item->start, next);
        ck_assert_uint_eq(((struct piece *)item)->origin + item->offset, item->start);
        ck_assert(seq_before(item->start, item->end));
        next = item->end;
        *fin |= item->fin;
        item_free(item);
    }
    return next;
}

START_TEST(any_order_gives_the_stream)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct reassembly reassembly;
        uint32_t next = first_seq, end = first_seq + STREAM;
        bool fin = false;
        reassembly_init(&reassembly, item_free);
        for (unsigned tries = 0; next != end; tries++) {
            ck_assert_uint_lt(tries, 1000000);
            uint32_t ahead = dice(4) == 0 ? 0 : dice(4000);
            uint32_t start = next + ahead, stop = start + 1 + dice(SEGMENT_MAX);
            if (!seq_before(start, end))
                continue;
            if (seq_before(end, stop))
                stop = end;
            if (ahead == 0) {
                next = stop; /* as a stack does: what is next in order is not inserted */
                fin |= stop == end;
            } else {
                (void)insert(&reassembly, start, stop, stop == end);
            }
            next = take_all(&reassembly, next, &fin);
            for (uint32_t i = 0; i + 1 < reassembly.count; i++)
                ck_assert(seq_before(reassembly.ranges[i].end, reassembly.ranges[i + 1].start));
        }
        ck_assert(fin);
        ck_assert_uint_eq(reassembly.count, 0);
        ck_assert_uint_eq(reassembly.bytes, 0);
        ck_assert_uint_eq(reassembly.unreported, 0);
        reassembly_clear(&reassembly);
        ck_assert_uint_eq(alive, 0);
    }
}
END_TEST

START_TEST(blocks_tell_the_latest_first_and_none_is_forgotten)
{
    struct reassembly reassembly;
    struct reassembly_block out[REASSEMBLY_BLOCKS_MAX];
    reassembly_init(&reassembly, item_free);
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 0);
    for (uint32_t i = 1; i <= 3; i++) {
        ck_assert(!reassembly_urgent(&reassembly));
        ck_assert(insert(&reassembly, i * 1000, i * 1000 + 100, false));
    }
    ck_assert(reassembly_urgent(&reassembly));
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 3);
    ck_assert(!reassembly_urgent(&reassembly));
    ck_assert_uint_eq(out[0].start, 3000);
    ck_assert_uint_eq(out[1].start, 2000);
    ck_assert_uint_eq(out[2].start, 1000);
    /* An older range grows: it comes first, and whole. */
    ck_assert(insert(&reassembly, 1100, 1200, false));
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 3);
    ck_assert_uint_eq(out[0].start, 1000);
    ck_assert_uint_eq(out[0].end, 1200);
    /* A duplicate is reported first, and once (RFC 2883). */
    ck_assert(!insert(&reassembly, 2000, 2100, false));
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 4);
    ck_assert_uint_eq(out[0].start, 2000);
    ck_assert_uint_eq(out[0].end, 2100);
    /* The range that it lies in is next to it, then the one that changed before. */
    ck_assert_uint_eq(out[1].start, 2000);
    ck_assert_uint_eq(out[2].start, 1000);
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 3);
    ck_assert_uint_eq(out[0].start, 2000);
    /* One below all ranges lies in none. */
    reassembly_duplicate(&reassembly, 500, 600);
    ck_assert_uint_eq(reassembly_blocks(&reassembly, out, REASSEMBLY_BLOCKS_MAX), 4);
    ck_assert_uint_eq(out[0].start, 500);
    ck_assert_uint_eq(out[1].start, 2000);
    reassembly_clear(&reassembly);
    ck_assert_uint_eq(alive, 0);
}
END_TEST

START_TEST(ranges_are_bounded)
{
    struct reassembly reassembly;
    reassembly_init(&reassembly, item_free);
    for (uint32_t i = 0; i < 2 * REASSEMBLY_RANGES_MAX; i++)
        (void)insert(&reassembly, i * 10, i * 10 + 1, false);
    ck_assert_uint_eq(reassembly.count, REASSEMBLY_RANGES_MAX);
    ck_assert_uint_eq(alive, REASSEMBLY_RANGES_MAX);
    reassembly_clear(&reassembly);
    ck_assert_uint_eq(alive, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, any_order_gives_the_stream);
    tcase_add_test(tcase, blocks_tell_the_latest_first_and_none_is_forgotten);
    tcase_add_test(tcase, ranges_are_bounded);
}

int main(void)
{
    return unit_run("reassembly", fill);
}
