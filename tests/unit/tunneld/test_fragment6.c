/* Fragments of UDP over IPv6: whole datagrams come out of any order of their pieces, and hostile pieces end
 * theirs and cost little. */
#include "common/clock.h"
#include "common/err.h"
#include "tunneld/netstack/fragment6.h"
#include <check.h>
#include <sodium.h>
#include <string.h>

enum { SIZE_MAX_UDP = 65535, PIECES = 64, PIECE_BYTES = 1500 };

static uint8_t pieces[PIECES][PIECE_BYTES], datagram[SIZE_MAX_UDP];
static size_t lengths[PIECES], count;
static const struct netaddr from = {.family = NETADDR_V6, .bytes = {2, 1}},
                            to = {.family = NETADDR_V6, .bytes = {2, 2}};

static int keep(const uint8_t *packet, size_t length, const struct netaddr *dst)
{
    ck_assert_uint_lt(count, PIECES);
    ck_assert_uint_le(length, 1420);
    ck_assert(netaddr_equal(dst, &to));
    memcpy(pieces[count], packet, length);
    lengths[count++] = length;
    return NX_OK;
}

static void cut(size_t size)
{
    count = 0;
    randombytes_buf(datagram, size);
    ck_assert_int_eq(fragment6_send(&from, &to, 1420, datagram, size, keep), NX_OK);
}

/* One piece by hand. */
static bool piece(uint32_t id, size_t offset, size_t size, bool more, uint64_t now_ns)
{
    const uint8_t *out;
    size_t length;
    uint8_t packet[PIECE_BYTES] = {0x60};
    packet[4] = (uint8_t)((size + 8) >> 8);
    packet[5] = (uint8_t)(size + 8);
    packet[6] = 44;
    packet[40] = 17;
    packet[42] = (uint8_t)(offset >> 8);
    packet[43] = (uint8_t)(offset | more);
    memcpy(packet + 44, &id, 4);
    return fragment6_input(packet, 48 + size, now_ns, &out, &length);
}

START_TEST(every_size_survives_every_kind_of_order)
{
    static const size_t sizes[] = {9, 1372, 1373, 2744, 8000, 65515, SIZE_MAX_UDP};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (unsigned order = 0; order < 12; order++) {
            const uint8_t *out = NULL;
            size_t length = 0, whole = 0;
            cut(sizes[s]);
            size_t at[PIECES];
            for (size_t i = 0; i < count; i++)
                at[i] = order == 1 ? count - 1 - i : i;
            for (size_t i = count; order > 1 && i > 1; i--) {
                size_t j = randombytes_uniform((uint32_t)i), t = at[i - 1];
                at[i - 1] = at[j];
                at[j] = t;
            }
            for (size_t i = 0; i < count; i++)
                whole += fragment6_input(pieces[at[i]], lengths[at[i]], 1, &out, &length);
            ck_assert_uint_eq(whole, 1);
            ck_assert_uint_eq(length, sizes[s]);
            ck_assert_mem_eq(out, datagram, length);
        }
}
END_TEST

START_TEST(overlap_ends_the_datagram)
{
    ck_assert(!piece(1, 0, 800, true, 1));
    ck_assert(!piece(1, 400, 800, true, 1)); /* ends it */
    ck_assert(!piece(1, 800, 8, false, 1));  /* begins anew, without its first bytes */
    ck_assert(!piece(2, 0, 8, true, 1));
    ck_assert(!piece(2, 0, 8, true, 1)); /* a duplicate is an overlap */
    ck_assert(!piece(2, 8, 8, false, 1));
    ck_assert(!piece(10, 8, 8, true, 1));
    ck_assert(!piece(10, 0, 16, true, 1)); /* over the left border of what is there */
    ck_assert(!piece(10, 16, 8, false, 1));
}
END_TEST

START_TEST(contradictory_ends_end_the_datagram)
{
    ck_assert(!piece(3, 16, 8, false, 1));
    ck_assert(!piece(3, 32, 8, true, 1)); /* beyond the end */
    ck_assert(!piece(3, 0, 16, true, 1));
    ck_assert(!piece(4, 16, 8, false, 1));
    ck_assert(!piece(4, 8, 8, false, 1)); /* a second end */
    ck_assert(!piece(4, 0, 8, true, 1));
    ck_assert(!piece(5, 32, 8, true, 1));
    ck_assert(!piece(5, 0, 8, false, 1)); /* an end before what is there */
}
END_TEST

START_TEST(malformed_pieces_are_refused)
{
    ck_assert(!piece(6, 0, 7, true, 1)); /* not a multiple of 8 */
    ck_assert(!piece(6, 0, 0, true, 1));
    ck_assert(!piece(6, 65528, 8, false, 1)); /* one byte too far */
    ck_assert(!piece(6, 65528, 1400, true, 1));
    ck_assert(piece(7, 0, 12, false, 1)); /* a lone last piece is a whole datagram */
}
END_TEST

START_TEST(old_pieces_are_forgotten)
{
    ck_assert(!piece(8, 0, 8, true, 1));
    ck_assert(!piece(8, 8, 8, false, FRAGMENT6_TIMEOUT_S * NS_PER_S + 1));
}
END_TEST

START_TEST(a_flood_of_first_pieces_costs_no_more_than_its_bounds)
{
    for (uint32_t id = 100; id < 20000; id++)
        ck_assert(!piece(id, 64000, 1400 & ~7, true, 2)); /* each asks for 64 KiB */
    ck_assert(!piece(99, 0, 8, true, 2));
    ck_assert(piece(99, 8, 8, false, 2)); /* and a newcomer still gets through */
}
END_TEST

START_TEST(a_comb_of_pieces_is_cut_off)
{
    for (size_t i = 0; i <= FRAGMENT6_PIECES_MAX; i++)
        ck_assert(!piece(9, i * 16, 8, true, 3));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fragment6");
    TCase *c = tcase_create("fragment6");
    tcase_add_test(c, every_size_survives_every_kind_of_order);
    tcase_add_test(c, overlap_ends_the_datagram);
    tcase_add_test(c, contradictory_ends_end_the_datagram);
    tcase_add_test(c, malformed_pieces_are_refused);
    tcase_add_test(c, old_pieces_are_forgotten);
    tcase_add_test(c, a_flood_of_first_pieces_costs_no_more_than_its_bounds);
    tcase_add_test(c, a_comb_of_pieces_is_cut_off);
    suite_add_tcase(suite, c);
    if (sodium_init() < 0)
        return 1;
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
