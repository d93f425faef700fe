/* Every engine: the vectors of RFC 8439, equality with libsodium over all lengths, batches, and hostile
 * texts.
 *
 * The engines' nonces are WireGuard's, 4 zero bytes and a counter, and there is no additional data; the AEAD
 * vector of the RFC has other nonces and additional data. So libsodium, which takes both, is held to that
 * vector, and the engines to libsodium; the RFC's ChaCha20 block with a zero-prefix nonce (2.4.2) holds the
 * engines to it directly. */
#include "common/err.h"
#include "tunneld/aead/engines.h"
#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 9000, SLOT = LENGTH_MAX + AEAD_TAG_BYTES + 8, ENGINES_MAX = 8 };

static const struct aead_engine *engines[ENGINES_MAX];
static int engine_count;

static void reference_seal(uint8_t *out, const uint8_t *text, size_t length, uint64_t counter,
                           const uint8_t *key)
{
    uint8_t nonce[AEAD_NONCE_BYTES] = {0};

    for (int i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, text, length, NULL, 0, NULL, nonce, key);
}

/* RFC 8439, 2.8.2: the AEAD as such, through the library that the engines are compared with. */
START_TEST(reference_has_the_rfc_vector)
{
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
    static const uint8_t nonce[] = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
    static const uint8_t ad[] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
    static const uint8_t head[] = {0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb,
                                   0x7b, 0x86, 0xaf, 0xbc, 0x53, 0xef, 0x7e, 0xc2};
    static const uint8_t tag[] = {0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a,
                                  0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
    uint8_t key[32], out[sizeof(text) - 1 + AEAD_TAG_BYTES];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)(0x80 + i);
    crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, (const uint8_t *)text, sizeof(text) - 1, ad,
                                              sizeof(ad), NULL, nonce, key);
    ck_assert_mem_eq(out, head, sizeof(head));
    ck_assert_mem_eq(out + sizeof(text) - 1, tag, sizeof(tag));
}
END_TEST

/* RFC 8439, 2.4.2: key 00..1f, nonce 000000000000004a00000000, from block 1 on, where an AEAD's text begins
 * too. */
START_TEST(engine_has_the_rfc_cipher_vector)
{
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        "future, sunscreen would be it.";
    static const uint8_t sealed[] = {
        0x6e, 0x2e, 0x35, 0x9a, 0x25, 0x68, 0xf9, 0x80, 0x41, 0xba, 0x07, 0x28, 0xdd, 0x0d, 0x69, 0x81, 0xe9,
        0x7e, 0x7a, 0xec, 0x1d, 0x43, 0x60, 0xc2, 0x0a, 0x27, 0xaf, 0xcc, 0xfd, 0x9f, 0xae, 0x0b, 0xf9, 0x1b,
        0x65, 0xc5, 0x52, 0x47, 0x33, 0xab, 0x8f, 0x59, 0x3d, 0xab, 0xcd, 0x62, 0xb3, 0x57, 0x16, 0x39, 0xd6,
        0x24, 0xe6, 0x51, 0x52, 0xab, 0x8f, 0x53, 0x0c, 0x35, 0x9f, 0x08, 0x61, 0xd8, 0x07, 0xca, 0x0d, 0xbf,
        0x50, 0x0d, 0x6a, 0x61, 0x56, 0xa3, 0x8e, 0x08, 0x8a, 0x22, 0xb6, 0x5e, 0x52, 0xbc, 0x51, 0x4d, 0x16,
        0xcc, 0xf8, 0x06, 0x81, 0x8c, 0xe9, 0x1a, 0xb7, 0x79, 0x37, 0x36, 0x5a, 0xf9, 0x0b, 0xbf, 0x74, 0xa3,
        0x5b, 0xe6, 0xb4, 0x0b, 0x8e, 0xed, 0xf2, 0x78, 0x5e, 0x42, 0x87, 0x4d};
    uint8_t key[32], data[sizeof(text) - 1 + AEAD_TAG_BYTES], expected[sizeof(data)];
    struct aead_job job = {
        .key = key, .counter = UINT64_C(0x4a) << 24, .data = data, .length = sizeof(text) - 1};

    /* 00 00 00 4a 00 00 00 00, little endian, is 0x4a << 24. */
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    memcpy(data, text, job.length);
    engines[_i]->seal(&job, 1);
    ck_assert_uint_eq(sizeof(sealed), job.length);
    ck_assert_mem_eq(data, sealed, sizeof(sealed));
    reference_seal(expected, (const uint8_t *)text, job.length, job.counter, key);
    ck_assert_mem_eq(data, expected, sizeof(expected));
    engines[_i]->open(&job, 1);
    ck_assert(job.ok);
    ck_assert_mem_eq(data, text, job.length);
}
END_TEST

/* One comparison instead of an assertion a byte: each assertion costs a system call. */
static bool filled_with(const uint8_t *data, size_t length, uint8_t value)
{
    for (size_t i = 0; i < length; i++)
        if (data[i] != value)
            return false;
    return true;
}

static void length_try(const struct aead_engine *engine, uint32_t length, uint64_t counter)
{
    static uint8_t text[LENGTH_MAX], data[SLOT], expected[SLOT];
    uint8_t key[32];
    struct aead_job job = {.key = key, .counter = counter, .data = data, .length = length};

    randombytes_buf(key, sizeof(key));
    randombytes_buf(text, length);
    memcpy(data, text, length);
    memset(data + length, 0xee, SLOT - length);
    reference_seal(expected, text, length, counter, key);
    engine->seal(&job, 1);
    ck_assert_mem_eq(data, expected, length + AEAD_TAG_BYTES);
    ck_assert(filled_with(data + length + AEAD_TAG_BYTES, SLOT - length - AEAD_TAG_BYTES, 0xee));
    engine->open(&job, 1);
    ck_assert_msg(job.ok, "%s, %u bytes", engine->name, length);
    if (length > 0)
        ck_assert_mem_eq(data, text, length);
    ck_assert(filled_with(data + length + AEAD_TAG_BYTES, SLOT - length - AEAD_TAG_BYTES, 0xee));
}

START_TEST(all_lengths_equal_the_reference)
{
    for (uint32_t length = 0; length <= 2048; length++)
        length_try(engines[_i], length, length * UINT64_C(0x9e3779b97f4a7c15));
    length_try(engines[_i], LENGTH_MAX, 1);
    length_try(engines[_i], 64, 0);
    length_try(engines[_i], 64, UINT64_MAX);
}
END_TEST

/* Mixed lengths and keys; a third of the messages is spoilt before opening. */
static void batch_try(const struct aead_engine *engine, size_t count)
{
    static uint8_t data[2 * AEAD_BATCH_MAX][1500 + AEAD_TAG_BYTES], text[1500],
        expected[1500 + AEAD_TAG_BYTES];
    static uint8_t keys[5][32];
    struct aead_job jobs[2 * AEAD_BATCH_MAX];

    randombytes_buf(keys, sizeof(keys));
    randombytes_buf(text, sizeof(text));
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct aead_job){.key = keys[randombytes_uniform(5)],
                                    .counter = i,
                                    .data = data[i],
                                    .length = i % 7 == 3 ? 0 : randombytes_uniform(1501)};
        memcpy(data[i], text, jobs[i].length);
    }
    engine->seal(jobs, count);
    for (size_t i = 0; i < count; i++) {
        reference_seal(expected, text, jobs[i].length, jobs[i].counter, jobs[i].key);
        ck_assert_mem_eq(data[i], expected, jobs[i].length + AEAD_TAG_BYTES);
        if (i % 3 == 1)
            data[i][randombytes_uniform(jobs[i].length + AEAD_TAG_BYTES)] ^= 0x10;
    }
    engine->open(jobs, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(jobs[i].ok, i % 3 != 1);
        if (jobs[i].length > 0 && jobs[i].ok)
            ck_assert_mem_eq(data[i], text, jobs[i].length);
        else
            ck_assert(sodium_is_zero(data[i], jobs[i].length));
    }
}

START_TEST(batches_of_all_sizes)
{
    for (size_t count = 0; count <= AEAD_BATCH_MAX; count++)
        batch_try(engines[_i], count);
    batch_try(engines[_i], 2 * AEAD_BATCH_MAX);
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
    enum { LENGTH = 97 };
    uint8_t key[32] = {9}, text[LENGTH], sealed[LENGTH + AEAD_TAG_BYTES], data[sizeof(sealed)];
    struct aead_job job = {.key = key, .counter = 3, .data = data, .length = LENGTH};

    memset(text, 0x5a, sizeof(text));
    reference_seal(sealed, text, LENGTH, 3, key);
    for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
        memcpy(data, sealed, sizeof(sealed));
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        job.ok = true;
        engines[_i]->open(&job, 1);
        ck_assert_msg(!job.ok, "bit %zu", bit);
        ck_assert(sodium_is_zero(data, LENGTH));
    }
    memcpy(data, sealed, sizeof(sealed));
    engines[_i]->open(&job, 1);
    ck_assert(job.ok);
}
END_TEST

START_TEST(wrong_counter_or_key_is_refused)
{
    uint8_t key[32] = {1}, other[32] = {2}, data[80];
    struct aead_job job = {.key = key, .counter = 1, .data = data, .length = 64};

    memset(data, 1, sizeof(data));
    engines[_i]->seal(&job, 1);
    job.counter = 2;
    engines[_i]->open(&job, 1);
    ck_assert(!job.ok);
    job.counter = 1;
    memset(data, 1, sizeof(data));
    engines[_i]->seal(&job, 1);
    job.key = other;
    engines[_i]->open(&job, 1);
    ck_assert(!job.ok);
}
END_TEST

START_TEST(selection_by_name_and_by_speed)
{
    const struct aead_engine *best = aead_engine_select(NULL);

    ck_assert_ptr_nonnull(best);
    ck_assert_ptr_eq(best, engines[0]);
    ck_assert_ptr_eq(aead_engine_select("libsodium"), &aead_sodium);
    ck_assert_ptr_null(aead_engine_select("rot13"));
    ck_assert_int_eq(best->init(), NX_OK); /* twice is harmless */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aead");
    TCase *tcase = tcase_create("engines");
    SRunner *runner = srunner_create(suite);
    int failed;

    for (size_t i = 0; aead_engines[i] && engine_count < ENGINES_MAX; i++)
        if (aead_engines[i]->init() == NX_OK)
            engines[engine_count++] = aead_engines[i];
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, reference_has_the_rfc_vector);
    tcase_add_loop_test(tcase, engine_has_the_rfc_cipher_vector, 0, engine_count);
    tcase_add_loop_test(tcase, all_lengths_equal_the_reference, 0, engine_count);
    tcase_add_loop_test(tcase, batches_of_all_sizes, 0, engine_count);
    tcase_add_loop_test(tcase, every_flipped_bit_is_refused, 0, engine_count);
    tcase_add_loop_test(tcase, wrong_counter_or_key_is_refused, 0, engine_count);
    tcase_add_test(tcase, selection_by_name_and_by_speed);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed || engine_count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
