/* The small parts below the flows: checksum, byte queue, hash table, receive buffers. */
#include "common/err.h"
#include "tunneld/flow/bytequeue.h"
#include "tunneld/flow/hmap.h"
#include "tunneld/netstack/blocks.h"
#include "tunneld/netstack/checksum.h"
#include "tunneld/netstack/port/arch/cc.h"
#include "tunneld/rxbuf.h"
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* As RFC 1071 words it: 16 bits at a time, end-around carry. */
static uint16_t checksum_plain(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2) {
        uint16_t word = 0;
        memcpy(&word, data + i, length - i < 2 ? 1 : 2);
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static bool same_sum(uint16_t a, uint16_t b)
{
    return a == b || (uint16_t)(a ^ b) == 0xffff; /* one's complement has two zeros */
}

START_TEST(checksum_of_the_rfc_example)
{
    const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint16_t sum = checksum_fold(checksum_add(0, data, sizeof data));
    const uint8_t *bytes = (const uint8_t *)&sum;
    ck_assert_uint_eq(bytes[0], 0xdd);
    ck_assert_uint_eq(bytes[1], 0xf2);
}
END_TEST

START_TEST(checksum_agrees_with_the_plain_one_at_every_length)
{
    uint8_t data[2100];
    for (unsigned round = 0; round < 3; round++) {
        randombytes_buf(data, sizeof data);
        if (round == 2)
            memset(data, 0xff, sizeof data);
        for (size_t length = 0; length <= 2048; length++) {
            size_t at = length % 5; /* unaligned too */
            uint16_t sum = checksum_fold(checksum_add(0, data + at, length));
            ck_assert_msg(same_sum(sum, checksum_plain(data + at, length)), "length %zu", length);
        }
    }
}
END_TEST

START_TEST(checksum_of_pieces_is_the_checksum_of_the_whole)
{
    uint8_t data[1501];
    randombytes_buf(data, sizeof data);
    for (size_t cut = 0; cut < sizeof data; cut += 2) {
        uint64_t sum = checksum_add(checksum_add(0, data, cut), data + cut, sizeof data - cut);
        ck_assert(same_sum(checksum_fold(sum), checksum_plain(data, sizeof data)));
    }
}
END_TEST

START_TEST(bytequeue_is_a_queue_of_bytes)
{
    enum { SIZE = 300000 };
    uint8_t *model = malloc(SIZE);
    struct bytequeue queue = {0};
    size_t in = 0, out = 0;
    randombytes_buf(model, SIZE);
    while (out < SIZE) {
        size_t n = randombytes_uniform(9000);
        if (n > SIZE - in)
            n = SIZE - in;
        ck_assert_int_eq(bytequeue_append(&queue, model + in, n), NX_OK);
        in += n;
        ck_assert_uint_eq(queue.length, in - out);
        struct iovec iov[64];
        size_t pieces = bytequeue_peek(&queue, iov, 64), at = out, eat = randombytes_uniform(9000);
        for (size_t i = 0; i < pieces; i++) {
            ck_assert_mem_eq(iov[i].iov_base, model + at, iov[i].iov_len);
            at += iov[i].iov_len;
        }
        if (eat > in - out)
            eat = in - out;
        bytequeue_consume(&queue, eat);
        out += eat;
        if (in == SIZE && eat == 0)
            eat = 1;
    }
    ck_assert_ptr_null(queue.head);
    free(model);
}
END_TEST

START_TEST(bytequeue_keeps_single_bytes_close_together)
{
    struct bytequeue queue = {0};
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_int_eq(bytequeue_append(&queue, "x", 1), NX_OK);
    struct iovec iov[64];
    ck_assert_uint_le(bytequeue_peek(&queue, iov, 64), 64);
    ck_assert_uint_eq(queue.length, 100000);
    bytequeue_consume(&queue, SIZE_MAX); /* more than there is */
    ck_assert_uint_eq(queue.length, 0);
    bytequeue_clear(&queue);
}
END_TEST

struct item {
    struct hnode node;
    uint32_t key;
};

START_TEST(hmap_finds_what_was_put_in)
{
    enum { COUNT = 5000 };
    struct hmap map;
    struct item *items = calloc(COUNT, sizeof *items);
    ck_assert_int_eq(hmap_init(&map), NX_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i].key = i;
        hmap_insert(&map, &items[i].node, i % 1000 == 0 ? 7 : hmap_hash(&i, sizeof i)); /* some collide */
    }
    for (uint32_t round = 0; round < 2; round++)
        for (uint32_t i = 0; i < COUNT; i++) {
            struct hnode *n = hmap_first(&map, i % 1000 == 0 ? 7 : hmap_hash(&i, sizeof i));
            while (n != NULL && ((struct item *)n)->key != i)
                n = hmap_next(n);
            ck_assert_int_eq(n != NULL, round == 0 || i % 2 == 1);
            if (n != NULL && i % 2 == 0)
                hmap_remove(&map, n);
        }
    ck_assert_uint_eq(map.count, COUNT / 2);
    free(map.slots);
    free(items);
}
END_TEST

START_TEST(rxbuf_counts_references)
{
    struct rxbuf *a = rxbuf_get(), *b = rxbuf_get();
    ck_assert(a != NULL && b != NULL && a != b);
    rxbuf_ref(a);
    rxbuf_unref(a);
    ck_assert_uint_eq(rxbuf_in_use(), 2);
    rxbuf_unref(a);
    ck_assert_uint_eq(rxbuf_in_use(), 1);
    ck_assert_ptr_eq(rxbuf_get(), a); /* reused */
    rxbuf_unref(a);
    rxbuf_unref(b);
    rxbuf_trim(0);
    ck_assert_uint_eq(rxbuf_in_use(), 0);
}
END_TEST

/* Every block can be written to its end, whatever it was before; more are freed than the list keeps. */
START_TEST(blocks_of_every_size_come_and_go)
{
    enum { COUNT = 3000 };
    static uint8_t *blocks[COUNT];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            size_t bytes = 900 + (i * 7 + round * 11) % 800; /* on both sides of the class's bounds */
            blocks[i] = netstack_block_new(bytes);
            ck_assert_ptr_nonnull(blocks[i]);
            memset(blocks[i], (int)i, bytes);
        }
        for (size_t i = 0; i < COUNT; i++) {
            size_t bytes = 900 + (i * 7 + round * 11) % 800;
            ck_assert_uint_eq(blocks[i][0], (uint8_t)i); /* no block was given out twice */
            ck_assert_uint_eq(blocks[i][bytes - 1], (uint8_t)i);
            netstack_block_free(blocks[i]);
        }
        if (round == 1)
            netstack_blocks_trim();
    }
    netstack_block_free(NULL);
    netstack_blocks_trim();
    netstack_blocks_trim();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, blocks_of_every_size_come_and_go);
    tcase_add_test(parts, checksum_of_the_rfc_example);
    tcase_add_test(parts, checksum_agrees_with_the_plain_one_at_every_length);
    tcase_add_test(parts, checksum_of_pieces_is_the_checksum_of_the_whole);
    tcase_add_test(parts, bytequeue_is_a_queue_of_bytes);
    tcase_add_test(parts, bytequeue_keeps_single_bytes_close_together);
    tcase_add_test(parts, hmap_finds_what_was_put_in);
    tcase_add_test(parts, rxbuf_counts_references);
    suite_add_tcase(suite, parts);
    if (sodium_init() < 0)
        return 1;
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
