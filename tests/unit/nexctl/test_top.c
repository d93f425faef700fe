/* Throughput from two samples, its tables and documents; the wait for flows to end, with a nexd that is a
 * function. */
#include "common/clock.h"
#include "common/err.h"
#include "nexctl/drain.h"
#include "nexctl/human.h"
#include "nexctl/rpc.h"
#include "nexctl/top.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char no_peers[] = "{\"relay-present\":false,\"relay-required\":false,\"peers\":{}}";
static const char one_peer[] =
    "{\"relay-present\":false,\"relay-required\":false,\"peers\":{\"k\":{\"PublicKey\":\"k\",\"Endpoint\":"
    "\"\","
    "\"AllowedIPs\":null,\"LatestHandshake\":\"0\",\"Tx\":3000,\"Rx\":10,\"Healthy\":true}}}";

static struct top_sample sample_of(const char *rules, const char *peers, uint64_t s)
{
    struct top_sample sample;
    ck_assert_int_eq(top_sample_parse(rules, peers, s * NS_PER_S, &sample), NX_OK);
    return sample;
}

static char *printed(const struct top_sample *sample, enum output_form form, size_t lines)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    const struct top_style style = {.form = form, .lines = lines};
    ck_assert_int_eq(top_print(out, sample, &style), NX_OK);
    fclose(out);
    return text;
}

START_TEST(rates_are_what_was_added_in_a_second)
{
    struct top_sample before = sample_of(
        "{\"rules\":[{\"rule\":\"tcp:1:h:2\",\"direction\":\"egress\",\"live\":1,\"to_mesh_bytes\":1000,"
        "\"to_host_bytes\":50},{\"rule\":\"tcp:3:h:4\",\"direction\":\"ingress\",\"live\":0,"
        "\"to_mesh_bytes\":900,\"to_host_bytes\":0}]}",
        no_peers, 10);
    struct top_sample now = sample_of(
        "{\"rules\":[{\"rule\":\"tcp:1:h:2\",\"direction\":\"egress\",\"live\":1,\"to_mesh_bytes\":1000,"
        "\"to_host_bytes\":70},{\"rule\":\"tcp:3:h:4\",\"removed\":true,\"direction\":\"ingress\",\"live\":2,"
        "\"to_mesh_bytes\":800,\"to_host_bytes\":0},{\"rule\":\"tcp:3:h:4\",\"direction\":\"ingress\","
        "\"live\":2,\"to_mesh_bytes\":700,\"to_host_bytes\":2},{\"rule\":null,\"direction\":\"egress\"}]}",
        one_peer, 12);
    top_rate(&before, &now);
    ck_assert_uint_eq(now.count, 5);
    static const struct {
        const char *name;
        uint64_t to_mesh, to_host;
    } expected[] = {
        {"--ingress tcp:3:h:4 (removed)", 400, 0}, /* a new row */
        {"--ingress tcp:3:h:4", 350, 1},           /* counts from zero again */
        {"--egress tcp:1:h:2", 0, 10},
        {"--egress -", 0, 0},
        {"k", 1500, 5},
    };
    for (size_t i = 0; i < now.count; i++) {
        ck_assert_str_eq(now.rows[i].name, expected[i].name);
        ck_assert_uint_eq(now.rows[i].to_mesh_per_s, expected[i].to_mesh);
        ck_assert_uint_eq(now.rows[i].to_host_per_s, expected[i].to_host);
    }
    char *text = printed(&now, OUTPUT_COLUMN, 0);
    ck_assert_ptr_nonnull(
        strstr(text, "4 rules, 1 peer, 5 live flows; 750 B/s to the mesh, 11 B/s to the host\n"));
    ck_assert_ptr_nonnull(strstr(text, "| --egress tcp:1:h:2            |    1 |   0 B/s |  10 B/s |"));
    ck_assert_ptr_nonnull(strstr(text, "| k    | yes | 1.5 KiB/s |   5 B/s |"));
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    text = printed(&now, OUTPUT_JSON_RAW, 0);
    ck_assert_ptr_eq(strstr(text,
                            "{\"rules\":[{\"rule\":\"--ingress tcp:3:h:4 (removed)\",\"live\":2,"
                            "\"to_mesh_bytes_per_s\":400,\"to_host_bytes_per_s\":0,\"to_mesh_bytes\":800,"),
                     text);
    ck_assert_ptr_nonnull(strstr(text, "\"peers\":[{\"peer\":\"k\",\"to_mesh_bytes_per_s\":1500,"));
    free(text);
    top_sample_free(&before);
    top_sample_free(&now);
}
END_TEST

START_TEST(no_time_no_rate)
{
    struct top_sample before = sample_of("{\"rules\":[]}", no_peers, 5),
                      now = sample_of("{\"rules\":[]}", one_peer, 5);
    top_rate(&before, &now);
    ck_assert_uint_eq(now.rows[0].to_mesh_per_s, 0);
    top_sample_free(&before);
    top_sample_free(&now);
}
END_TEST

/* The fastest ones are shown, and both tables have their share. */
START_TEST(a_small_terminal_shows_the_fastest)
{
    static char rules[65536];
    size_t at = (size_t)snprintf(rules, sizeof rules, "{\"rules\":[");
    for (unsigned i = 0; i < 100; i++)
        at += (size_t)snprintf(
            rules + at, sizeof rules - at,
            "%s{\"rule\":\"tcp:%u:h:2\",\"direction\":\"egress\",\"live\":1,\"to_mesh_bytes\":%u}",
            i ? "," : "", i + 1, i * 10);
    snprintf(rules + at, sizeof rules - at, "]}");
    struct top_sample before = sample_of("{\"rules\":[]}", no_peers, 1), now = sample_of(rules, one_peer, 2);
    top_rate(&before, &now);
    char *text = printed(&now, OUTPUT_COLUMN, 24);
    size_t lines = 0;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    ck_assert_uint_le(lines, 24);
    ck_assert_uint_ge(lines, 22);
    ck_assert_ptr_nonnull(strstr(text, "tcp:100:h:2"));
    ck_assert_ptr_null(strstr(text, "tcp:1:h:2"));
    ck_assert_ptr_nonnull(strstr(text, "| k "));
    free(text);
    top_sample_free(&before);
    top_sample_free(&now);
}
END_TEST

START_TEST(answers_that_are_none)
{
    static const char *const bad[] = {"",
                                      "7",
                                      "[]",
                                      "{}",
                                      "{\"rules\":7}",
                                      "{\"rules\":[7]}",
                                      "{\"rules\":[{}]}",
                                      "{\"rules\":[{\"rule\":\"x\",\"direction\":1}]}"};
    struct top_sample sample;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(top_sample_parse(bad[i], no_peers, 1, &sample), NX_EPROTO);
    ck_assert_int_eq(top_sample_parse("{\"rules\":[]}", "{}", 1, &sample), NX_EPROTO);
    sample = sample_of("{\"rules\":[{\"rule\":\"a\\u001b[2Jb\",\"direction\":\"egress\"}]}", no_peers, 1);
    ck_assert_str_eq(sample.rows[0].name, "--egress a?[2Jb");
    top_sample_free(&sample);
}
END_TEST

/* -- Draining -- */

static unsigned asked, live_until;
static const char *failure;

static int nexd(const void *arg, const char *method, char **result, char *error)
{
    (void)arg;
    char text[128];
    if (failure) {
        snprintf(error, RPC_ERROR_MAX, "%s", failure);
        return NX_EPROTO;
    }
    if (strcmp(method, "Drain") == 0)
        snprintf(text, sizeof text, "Draining\n");
    else
        snprintf(text, sizeof text, "{\"rules\":[{\"live\":%u},{\"live\":0}]}", ++asked < live_until ? 3 : 0);
    *result = strdup(text);
    return NX_OK;
}

static int drained(unsigned wait_s, const char *expected, char *error)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    asked = 0;
    int err = drain_wait(out, wait_s, nexd, NULL, error);
    fclose(out);
    ck_assert_str_eq(text, expected);
    free(text);
    return err;
}

START_TEST(draining_waits_as_long_as_it_is_told)
{
    char error[RPC_ERROR_MAX] = "";
    live_until = 0;
    ck_assert_int_eq(drained(0, "Draining\n", error), NX_OK);
    ck_assert_uint_eq(asked, 0);
    ck_assert_int_eq(drained(5, "Draining\n0 live flows\n", error), NX_OK);
    live_until = 3;
    ck_assert_int_eq(drained(10, "Draining\n3 live flows\n0 live flows\n", error), NX_OK);
    live_until = 1000;
    ck_assert_int_eq(drained(1, "Draining\n3 live flows\n", error), NX_ETIMEDOUT);
    ck_assert_str_eq(error, "3 live flows left after 1 s");
    failure = "no";
    ck_assert_int_eq(drained(1, "", error), NX_EPROTO);
    failure = NULL;
}
END_TEST

START_TEST(human_forms)
{
    char text[HUMAN_MAX];
    ck_assert_str_eq(human_bytes(1023, "", text), "1023 B");
    ck_assert_str_eq(human_bytes(1536, "/s", text), "1.5 KiB/s");
    ck_assert_str_eq(human_bytes(UINT64_MAX, "", text), "16.0 EiB");
    ck_assert_str_eq(human_count(0, "rule", text), "0 rules");
    ck_assert_str_eq(human_count(1, "live flow", text), "1 live flow");
    ck_assert_str_eq(human_duration(0, text), "0 us");
    ck_assert_str_eq(human_duration(999, text), "999 us");
    ck_assert_str_eq(human_duration(80123, text), "80.1 ms");
    ck_assert_str_eq(human_duration(1200000, text), "1.20 s");
    ck_assert_str_eq(human_age(59, text), "59s");
    ck_assert_str_eq(human_age(65, text), "1m05s");
    ck_assert_str_eq(human_age(7800, text), "2h10m");
    ck_assert_str_eq(human_age(273600, text), "3d04h");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("top");
    TCase *tests = tcase_create("top");
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, rates_are_what_was_added_in_a_second);
    tcase_add_test(tests, no_time_no_rate);
    tcase_add_test(tests, a_small_terminal_shows_the_fastest);
    tcase_add_test(tests, answers_that_are_none);
    tcase_add_test(tests, draining_waits_as_long_as_it_is_told);
    tcase_add_test(tests, human_forms);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
