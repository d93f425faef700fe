/* Pauses: their limits, their growth, that many clients do not come at once, and what Retry-After may ask
 * for. */
#include "ctld/nexodus/retry.h"
#include "tests/unit/common/unit.h"

#include <string.h>

#define NOW_MS UINT64_C(1795427457000) /* 2026-11-23T09:50:57Z */

/* A generator whose sequence is always the same (splitmix64). */
static uint64_t seed;
static uint64_t draw(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

START_TEST(pauses_grow_within_their_limits)
{
    uint64_t sums[12] = {0};
    for (unsigned run = 0; run < 1000; run++) {
        struct retry retry;
        retry_init(&retry, 0, 0);
        uint64_t last = RETRY_BASE_MS;
        for (unsigned i = 0; i < 12; i++) {
            const uint64_t pause = retry_failed(&retry, draw(), 0);
            ck_assert_uint_ge(pause, RETRY_BASE_MS);
            ck_assert_uint_le(pause, RETRY_CAP_MS);
            ck_assert_uint_le(pause, 3 * last);
            ck_assert_uint_eq(retry.failures, i + 1);
            sums[i] += pause;
            last = pause;
        }
        retry_succeeded(&retry);
        ck_assert_uint_eq(retry.failures, 0);
        ck_assert_uint_le(retry_failed(&retry, draw(), 0), 3 * RETRY_BASE_MS);
    }
    ck_assert_uint_gt(sums[0] / 1000, 1800);
    ck_assert_uint_lt(sums[0] / 1000, 2200);
    for (unsigned i = 1; i < 6; i++)
        ck_assert_uint_gt(sums[i], sums[i - 1]);
    ck_assert_uint_gt(sums[11] / 1000, 15000);
}
END_TEST

START_TEST(the_extremes_of_chance)
{
    struct retry retry;
    retry_init(&retry, 500, 15000);
    ck_assert_uint_eq(retry_failed(&retry, 0, 0), 500);
    ck_assert_uint_eq(retry_failed(&retry, 1000, 0), 1500);
    ck_assert_uint_eq(retry_failed(&retry, 4000, 0), 4500);
    ck_assert_uint_eq(retry_failed(&retry, 13000, 0), 13500);
    ck_assert_uint_eq(retry_failed(&retry, 14500, 0), 15000);
    retry_init(&retry, 100, 50); /* a cap below the base */
    ck_assert_uint_eq(retry_failed(&retry, UINT64_MAX, 0), 50);
    retry_init(&retry, UINT64_MAX / 2, UINT64_MAX);
    ck_assert_uint_ge(retry_failed(&retry, UINT64_MAX, 0), UINT64_MAX / 2);
}
END_TEST

START_TEST(what_the_server_asks_for_is_a_minimum)
{
    struct retry retry;
    retry_init(&retry, 0, 0);
    ck_assert_uint_eq(retry_failed(&retry, 0, 120000), 121000);
    ck_assert_uint_eq(retry_failed(&retry, 0, UINT64_MAX), RETRY_AFTER_MAX_MS + 1000);
}
END_TEST

static uint64_t parse(const char *value, const char *date)
{
    return retry_after_parse(value, strlen(value), date, date ? strlen(date) : 0, NOW_MS);
}

START_TEST(retry_after_headers)
{
    ck_assert_uint_eq(parse("120", NULL), 120000);
    ck_assert_uint_eq(parse(" 7\t", NULL), 7000);
    ck_assert_uint_eq(parse("0", NULL), 0);
    ck_assert_uint_eq(parse("3601", NULL), RETRY_AFTER_MAX_MS);
    ck_assert_uint_eq(parse("99999999999999999999999999", NULL), RETRY_AFTER_MAX_MS);
    ck_assert_uint_eq(parse("", NULL), 0);
    ck_assert_uint_eq(parse("-1", NULL), 0);
    ck_assert_uint_eq(parse("1.5", NULL), 0);
    ck_assert_uint_eq(parse("soon", NULL), 0);
    ck_assert_uint_eq(parse("Mon, 23 Nov 2026 09:51:57 GMT", NULL), 60000);
    /* The server's own clock counts, as it is ten minutes behind. */
    ck_assert_uint_eq(parse("Mon, 23 Nov 2026 09:41:57 GMT", "Mon, 23 Nov 2026 09:40:57 GMT"), 60000);
    ck_assert_uint_eq(parse("Mon, 23 Nov 2026 09:41:57 GMT", "yesterday"), 0);
    ck_assert_uint_eq(parse("Mon, 23 Nov 2026 09:50:57 GMT", NULL), 0);
    ck_assert_uint_eq(parse("Mon, 23 Nov 2037 09:50:57 GMT", NULL), RETRY_AFTER_MAX_MS);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, pauses_grow_within_their_limits);
    tcase_add_test(tcase, the_extremes_of_chance);
    tcase_add_test(tcase, what_the_server_asks_for_is_a_minimum);
    tcase_add_test(tcase, retry_after_headers);
}

int main(void)
{
    return unit_run("nexodus/retry", fill);
}
