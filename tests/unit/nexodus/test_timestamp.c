/* Points in time as texts, compared with the C library's calendar over four centuries; the server's clock. */
#include "common/err.h"
#include "ctld/nexodus/server_clock.h"
#include "ctld/nexodus/timestamp.h"
#include "tests/unit/common/unit.h"

#include <string.h>
#include <time.h>

#define NOW_MS UINT64_C(1795427457000) /* 2026-11-23T09:50:57Z */

START_TEST(rfc3339_texts)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"2026-11-23T09:50:57Z", NOW_MS},
        {"2026-11-23T09:50:57.074156861Z", NOW_MS + 74},
        {"2026-11-23T09:50:56.68023Z", NOW_MS - 1000 + 680},
        {"2026-11-23t09:50:57.9z", NOW_MS + 900},
        {"2026-11-23 10:50:57+01:00", NOW_MS},
        {"2026-11-23T04:20:57-05:30", NOW_MS},
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T01:00:00+01:00", 0},
        {"2000-02-29T00:00:00Z", UINT64_C(951782400000)},
        {"2016-12-31T23:59:60Z", UINT64_C(1483228799999)},
        {"9999-12-31T23:59:59Z", UINT64_C(253402300799000)},
    };
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-23",
                                      "2026-11-23T09:50:57",
                                      "2026-11-23T09:50Z",
                                      "2026-11-23T09:50:57.Z",
                                      "2026-11-23T09:50:57.0000000000000000000Z",
                                      "2026-11-23T09:50:57Zx",
                                      "2026-11-23T09:50:57+1:00",
                                      "2026-11-23T09:50:57+24:00",
                                      "2026-13-23T09:50:57Z",
                                      "2026-00-23T09:50:57Z",
                                      "2026-11-31T09:50:57Z",
                                      "2026-11-00T09:50:57Z",
                                      "2025-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-11-23T24:00:00Z",
                                      "2026-11-23T09:60:00Z",
                                      "2026-11-23T09:50:61Z",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "+026-11-23T09:50:57Z",
                                      "2026-1-23T09:50:57Z"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t ms = 1;
        ck_assert_msg(timestamp_parse_rfc3339(good[i].text, strlen(good[i].text), &ms) == NX_OK, "%s",
                      good[i].text);
        ck_assert_uint_eq(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t ms = 1;
        ck_assert_msg(timestamp_parse_rfc3339(bad[i], strlen(bad[i]), &ms) == NX_EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(ms, 1);
    }
}
END_TEST

START_TEST(http_dates)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"Mon, 23 Nov 2026 09:50:57 GMT", NOW_MS},
        {"Monday, 23-Nov-26 09:50:57 GMT", NOW_MS},
        {"Mon Nov 23 09:50:57 2026", NOW_MS},
        {"Sun Nov  6 08:49:37 1994", UINT64_C(784111777000)},
        {"Sunday, 06-Nov-94 08:49:37 GMT", UINT64_C(784111777000)},
        {"Sun, 06 Nov 1994 08:49:37 GMT", UINT64_C(784111777000)},
        {"Thu, 01 Jan 2076 00:00:00 GMT", UINT64_C(3345062400000)},
        {"Wednesday, 01-Jan-76 00:00:00 GMT", UINT64_C(3345062400000)}, /* 50 years ahead */
        {"Friday, 01-Jan-77 00:00:00 GMT", UINT64_C(220924800000)},
    };
    static const char *const bad[] = {"",
                                      "GMT",
                                      "Mon",
                                      "Mon,",
                                      ", 23 Nov 2026 09:50:57 GMT",
                                      "Mon, 23 Nov 2026 09:50:57",
                                      "Mon, 23 Nov 2026 09:50:57 UTC",
                                      "Mon, 23 Nov 2026 09:50:57 GMT ",
                                      "Mon, 23 nov 2026 09:50:57 GMT",
                                      "Mon, 31 Nov 2026 09:50:57 GMT",
                                      "Mon, 23 Nov 1969 09:50:57 GMT",
                                      "Mon, 23 Nov 26 09:50:57 GMT",
                                      "Mon, 3 Nov 2026 09:50:57 GMT",
                                      "Mon Nov 3 09:50:57 2026",
                                      "Mon Nov 23 09:50:57 2026 GMT",
                                      "120"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t ms = 1;
        ck_assert_msg(timestamp_parse_http(good[i].text, strlen(good[i].text), NOW_MS, &ms) == NX_OK, "%s",
                      good[i].text);
        ck_assert_msg(ms == good[i].ms, "%s: %llu", good[i].text, (unsigned long long)ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t ms = 1;
        ck_assert_msg(timestamp_parse_http(bad[i], strlen(bad[i]), NOW_MS, &ms) == NX_EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(ms, 1);
    }
    /* A year that is 99 at the end of a century. */
    static const char last[] = "Sunday, 06-Nov-05 08:49:37 GMT";
    uint64_t ms;
    ck_assert_int_eq(timestamp_parse_http(last, strlen(last), UINT64_C(4070908800000), &ms),
                     NX_OK);                        /* in 2099 */
    ck_assert_uint_eq(ms, UINT64_C(4286940577000)); /* in 2105 */
}
END_TEST

START_TEST(the_calendar_agrees_with_the_system)
{
    for (uint64_t day = 0; day < 160000; day++) {
        const time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char expected[64], http[64], text[TIMESTAMP_TEXT_MAX];
        uint64_t ms;
        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.042Z", &tm);
        ck_assert_str_eq(timestamp_format((uint64_t)seconds * 1000 + 42, text), expected);
        ck_assert_int_eq(timestamp_parse_rfc3339(expected, strlen(expected), &ms), NX_OK);
        ck_assert_uint_eq(ms, (uint64_t)seconds * 1000 + 42);
        strftime(http, sizeof http, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        ck_assert_int_eq(timestamp_parse_http(http, strlen(http), 0, &ms), NX_OK);
        ck_assert_uint_eq(ms, (uint64_t)seconds * 1000);
    }
    char text[TIMESTAMP_TEXT_MAX];
    ck_assert_uint_lt(strlen(timestamp_format(UINT64_MAX, text)), TIMESTAMP_TEXT_MAX);
}
END_TEST

START_TEST(the_servers_clock)
{
    struct server_clock clock = {0};
    ck_assert_uint_eq(server_clock_now_ms(&clock, NOW_MS), NOW_MS);
    /* Ten minutes ahead, after a round trip of 400 ms. */
    server_clock_observe(&clock, NOW_MS + 600200, NOW_MS, NOW_MS + 400, 0);
    ck_assert(clock.known);
    ck_assert_int_eq(clock.offset_ms, 600000);
    ck_assert_uint_eq(server_clock_now_ms(&clock, NOW_MS + 5), NOW_MS + 600005);
    /* Behind, told in full seconds. */
    server_clock_observe(&clock, NOW_MS - 600000, NOW_MS, NOW_MS, 1000);
    ck_assert_int_eq(clock.offset_ms, -599500);
    ck_assert_uint_eq(server_clock_now_ms(&clock, NOW_MS), NOW_MS - 599500);
    ck_assert_uint_eq(server_clock_now_ms(&clock, 1000), 0);
    /* Answers that took too long, or times that cannot be, say nothing. */
    server_clock_observe(&clock, NOW_MS, NOW_MS, NOW_MS + 60001, 0);
    server_clock_observe(&clock, NOW_MS, NOW_MS, NOW_MS - 1, 0);
    server_clock_observe(&clock, UINT64_MAX, NOW_MS, NOW_MS, 0);
    server_clock_observe(&clock, 0, UINT64_MAX, UINT64_MAX, 0);
    ck_assert_int_eq(clock.offset_ms, -599500);
    /* Within five seconds both are equal. */
    server_clock_observe(&clock, NOW_MS + 5000, NOW_MS, NOW_MS, 0);
    ck_assert_int_eq(clock.offset_ms, 0);
    server_clock_observe(&clock, NOW_MS + 5001, NOW_MS, NOW_MS, 0);
    ck_assert_int_eq(clock.offset_ms, 5001);
    server_clock_observe(&clock, NOW_MS - 5000, NOW_MS, NOW_MS, 0);
    ck_assert_int_eq(clock.offset_ms, 0);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, rfc3339_texts);
    tcase_add_test(tcase, http_dates);
    tcase_add_test(tcase, the_calendar_agrees_with_the_system);
    tcase_add_test(tcase, the_servers_clock);
}

int main(void)
{
    return unit_run("nexodus/timestamp", fill);
}
