/* Listings as nexctl prints them: tables of pings, flows, TCP of flows and statistics of rules, and what
 * makes texts of others fit for a terminal. */
#include "common/err.h"
#include "nexctl/json.h"
#include "nexctl/listing.h"
#include "nexctl/printable.h"
#include "nexctl/table.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char two_pings[] = "{\"relay-present\":false,\"relay-required\":false,\"peers\":{"
                                "\"100.64.0.10\":{\"wg_ip\":\"100.64.0.10\",\"is_reachable\":false,"
                                "\"hostname\":\"ctl-c\\u001b\",\"Latency\":\"-\","
                                "\"method\":\"reflexive\"},"
                                "\"100.64.0.9\":{\"wg_ip\":\"100.64.0.9\",\"is_reachable\":true,\"hostname\":"
                                "\"ctl-b\",\"Latency\":\"0.42ms\","
                                "\"method\":\"direct-local\"}}}";

static void expect_listing(enum listing_kind kind, const char *json, const struct listing_style *style,
                           const char *expected, bool expected_truncated)
{
    char *text = NULL;
    size_t length = 0;
    bool truncated;
    FILE *out = open_memstream(&text, &length);
    ck_assert_int_eq(listing_print(out, kind, json, style, &truncated), NX_OK);
    fclose(out);
    ck_assert_str_eq(text, expected);
    ck_assert(truncated == expected_truncated);
    free(text);
}

START_TEST(pings)
{
    expect_listing(
        LISTING_CONNECTIVITY, two_pings, &(struct listing_style){.form = OUTPUT_COLUMN},
        "| HOSTNAME | WIREGUARD ADDRESS | LATENCY | PEERING METHOD | CONNECTION STATUS |\n"
        "+----------+-------------------+---------+----------------+-------------------+\n"
        "| ctl-b    | 100.64.0.9        | 0.42ms  | direct-local   | \xe2\x9c\x93 Reachable       |\n"
        "| ctl-c?   | 100.64.0.10       | -       | reflexive      | x Unreachable     |\n",
        false);
    expect_listing(
        LISTING_CONNECTIVITY, two_pings, &(struct listing_style){.form = OUTPUT_NO_HEADER, .colour = true},
        "| ctl-b  | 100.64.0.9  | 0.42ms | direct-local | \x1b[32m\xe2\x9c\x93\x1b[0m Reachable   |\n"
        "| ctl-c? | 100.64.0.10 | -      | reflexive    | \x1b[31mx\x1b[0m Unreachable |\n",
        false);
    expect_listing(
        LISTING_CONNECTIVITY, two_pings, &(struct listing_style){.form = OUTPUT_JSON},
        "[\n  {\n    \"wg_ip\": \"100.64.0.9\",\n    \"is_reachable\": true,\n    \"hostname\": \"ctl-b\",\n"
        "    \"Latency\": \"0.42ms\",\n    \"method\": \"direct-local\"\n  },\n"
        "  {\n    \"wg_ip\": \"100.64.0.10\",\n    \"is_reachable\": false,\n    \"hostname\": "
        "\"ctl-c\\u001b\",\n    \"Latency\": \"-\",\n    \"method\": \"reflexive\"\n  }\n]\n",
        false);
    expect_listing(LISTING_CONNECTIVITY, "{\"peers\":{}}", &(struct listing_style){.form = OUTPUT_JSON},
                   "[]\n", false);
}
END_TEST

START_TEST(flows_and_statistics)
{
    static const char flows[] =
        "{\"flows\":[{\"rule\":\"tcp:80:h:90\",\"direction\":\"ingress\",\"protocol\":\"tcp\",\"client\":"
        "\"100.64.0.9:5000\",\"destination\":\"100.64.0.7:80\",\"peer\":null,\"state\":\"open\",\"to_mesh_"
        "bytes\":"
        "1536,\"to_host_bytes\":7,\"age_ms\":3725000}],\"truncated\":true}";
    static const char stats[] =
        "{\"rules\":[{\"rule\":\"tcp:80:h:90\",\"direction\":\"egress\",\"flows\":12,\"live\":1,\"to_mesh_"
        "bytes\":0,"
        "\"to_host_bytes\":18446744073709551615,\"errors\":{\"refused\":2,\"timed_out\":0,\"reset\":1},"
        "\"last_error\":null,\"last_error_unix_s\":0}]}";
    expect_listing(
        LISTING_FLOWS, flows, &(struct listing_style){.form = OUTPUT_NO_HEADER},
        "| --ingress tcp:80:h:90 | 100.64.0.9:5000 | 100.64.0.7:80 | - | open | 1.5 KiB | 7 B | 1h02m |\n",
        true);
    expect_listing(LISTING_FLOWS, flows, &(struct listing_style){.form = OUTPUT_YAML},
                   "- age_ms: 3725000\n  client: 100.64.0.9:5000\n  destination: 100.64.0.7:80\n  direction: "
                   "ingress\n  peer: null\n  protocol: tcp\n  rule: tcp:80:h:90\n  state: open\n  "
                   "to_host_bytes: 7\n  to_mesh_bytes: 1536\n\n",
                   true);
    expect_listing(
        LISTING_RULE_STATS, stats, &(struct listing_style){.form = OUTPUT_COLUMN},
        "|         RULE         | FLOWS | LIVE | TO MESH | TO HOST  |       ERRORS       | LAST ERROR |\n"
        "+----------------------+-------+------+---------+----------+--------------------+------------+\n"
        "| --egress tcp:80:h:90 |    12 |    1 |     0 B | 16.0 EiB | refused 2, reset 1 | -          |\n",
        false);
}
END_TEST

/* Of a flow of each kind: TCP with numbers, TCP that is not connected yet, UDP. */
START_TEST(tcp_of_flows)
{
    static const char flows[] =
        "{\"flows\":[{\"rule\":\"udp:53:h:53\",\"direction\":\"egress\",\"protocol\":\"udp\",\"client\":\"1."
        "2.3.4:5\",\"peer\":"
        "\"eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo=\",\"peer_name\":null,\"state\":\"open\"},"
        "{\"rule\":\"tcp:80:h:90\",\"direction\":\"egress\",\"protocol\":\"tcp\",\"client\":\"127.0.0.1:"
        "5000\",\"peer\":"
        "\"eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo=\",\"peer_name\":null,\"state\":\"open\",\"congestion_"
        "control\":"
        "\"bbr\",\"rtt_us\":80123,\"min_rtt_us\":412,\"cwnd_bytes\":14480,\"pacing_bytes_per_s\":1048576,"
        "\"delivery_bytes_per_s\":1024,\"retransmitted_bytes\":0},"
        "{\"rule\":null,\"direction\":\"ingress\",\"protocol\":\"tcp\",\"client\":\"100.64.0.9:1\",\"peer\":"
        "\"eabM\",\"peer_name\":"
        "\"web\\u009b1\",\"state\":\"connecting\"}],\"truncated\":false}";
    expect_listing(LISTING_FLOWS_TCP, flows, &(struct listing_style){.form = OUTPUT_COLUMN},
                   "|         RULE         |     CLIENT     |   PEER    |   STATE    | ALGORITHM |   RTT   | "
                   "MIN RTT |   CWND   |  PACING   | DELIVERY  | RESENT |\n"
                   "+----------------------+----------------+-----------+------------+-----------+---------+-"
                   "--------+----------+-----------+-----------+--------+\n"
                   "| --egress tcp:80:h:90 | 127.0.0.1:5000 | eabMOrJs\xe2\x80\xa6 | open       | bbr       "
                   "| 80.1 ms |  412 us | 14.1 KiB | 1.0 MiB/s | 1.0 KiB/s |    0 B |\n"
                   "| --ingress -          | 100.64.0.9:1   | web?\?1    | connecting | -         |       - "
                   "|       - |        - |         - |         - |      - |\n",
                   false);
    expect_listing(LISTING_FLOWS_TCP, "{\"flows\":[{\"protocol\":\"udp\"},{\"protocol\":\"tcp\"}]}",
                   &(struct listing_style){.form = OUTPUT_JSON_RAW}, "[{\"protocol\":\"tcp\"}]\n", false);
}
END_TEST

START_TEST(errors_have_an_age)
{
    static const char stats[] = "{\"rules\":[{\"rule\":\"tcp:80:h:90\",\"direction\":\"egress\",\"flows\":1,"
                                "\"live\":0,\"errors\":{\"refused\":1},"
                                "\"last_error\":\"h:90: refused\",\"last_error_unix_s\":1000}]}";
    expect_listing(
        LISTING_RULE_STATS, stats, &(struct listing_style){.form = OUTPUT_NO_HEADER, .unix_s = 1065},
        "| --egress tcp:80:h:90 | 1 | 0 | 0 B | 0 B | refused 1 | h:90: refused (1m05s ago) |\n", false);
}
END_TEST

START_TEST(texts_are_made_printable)
{
    char text[] = "a\tb\x1b[2J\nc\x7f\xc2\x9b\xc2\xa7\xc3\x9b\xc2";
    printable_make(text, true);
    ck_assert_str_eq(text, "a?b?[2J\nc???\xc2\xa7\xc3\x9b\xc2");
    printable_make(text, false);
    ck_assert_str_eq(text, "a?b?[2J?c???\xc2\xa7\xc3\x9b\xc2");
    printable_make(NULL, false);
}
END_TEST

START_TEST(lines_are_cut_off_at_a_width)
{
    static const char text[] = "\x1b[1m12345\x1b[0m\n\xe2\x9c\x93\xe2\x9c\x93\xe2\x9c\x93\n12\n123";
    static const struct {
        size_t width;
        const char *expected;
    } cases[] = {{0, text},
                 {9, text},
                 {2, "\x1b[1m12\x1b[0m\n\xe2\x9c\x93\xe2\x9c\x93\n12\n12"},
                 {1, "\x1b[1m1\x1b[0m\n\xe2\x9c\x93\n1\n1"}};
    char *shown = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&shown, &length);
    table_clip(out, text, cases[_i].width);
    fclose(out);
    ck_assert_str_eq(shown, cases[_i].expected);
    free(shown);
}
END_TEST

/* Names of members are the other side's too. */
START_TEST(documents_hold_no_control_characters)
{
    static const char hostile[] = "{\"flows\":[{\"a\\u001b[2J\":\"\\u009b\\u0007\",\"yes\":\"\\u00a7\"}]}";
    expect_listing(LISTING_FLOWS, hostile, &(struct listing_style){.form = OUTPUT_JSON_RAW},
                   "[{\"a\\u001b[2J\":\"\\u009b\\u0007\",\"yes\":\"\xc2\xa7\"}]\n", false);
    expect_listing(LISTING_FLOWS, hostile, &(struct listing_style){.form = OUTPUT_YAML},
                   "- \"a\\u001b[2J\": \"\\u009b\\u0007\"\n  \"yes\": \xc2\xa7\n\n", false);
}
END_TEST

START_TEST(depth_is_bounded)
{
    char text[4096];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memcpy(text + depth, "\"]]\\\"{{\"", 8);
        memset(text + depth + 8, ']', depth);
        text[depth * 2 + 8] = '\0';
        yajl_val tree = json_tree_parse(text);
        ck_assert_int_eq(tree != NULL, depth == JSON_DEPTH_MAX);
        yajl_tree_free(tree);
    }
}
END_TEST

START_TEST(answers_that_are_no_listing)
{
    static const char *const texts[] = {
        "", "{", "[]", "{}", "{\"flows\":3}", "{\"flows\":[1]}", "{\"flows\":{\"a\":[]}}"};
    bool truncated;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_int_eq(
            listing_print(stdout, LISTING_FLOWS, texts[i], &(struct listing_style){0}, &truncated),
            NX_EPROTO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listing");
    TCase *tests = tcase_create("listing");
    tcase_add_test(tests, pings);
    tcase_add_test(tests, flows_and_statistics);
    tcase_add_test(tests, tcp_of_flows);
    tcase_add_test(tests, errors_have_an_age);
    tcase_add_test(tests, texts_are_made_printable);
    tcase_add_loop_test(tests, lines_are_cut_off_at_a_width, 0, 4);
    tcase_add_test(tests, documents_hold_no_control_characters);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, answers_that_are_no_listing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
