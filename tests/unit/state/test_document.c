/* The state file's content: what is unknown stays byte by byte, what is malformed is refused without quoting
 * it, and rules come out as they went in. */
#include "common/err.h"
#include "nexd/state/rules.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the Nexodus agent writes it. */
static const char agent_file[] = "{\n"
                                 "  \"auth-token\": {\n    \"access_token\": \"a\\\"}b\"\n  },\n"
                                 "  \"public-key\": \"Q7tZ5MApECTgX8Z+2lKab+yD0P2d64/lIbZ8M6W71Fg=\",\n"
                                 "  \"private-key\": \"cPYJt0tKHgYRQ+gaHDGvH29oBYQUvFRFkvxpf65kpUo=\",\n"
                                 "  \"proxy-rules-config\": {\n"
                                 "    \"egress\": [\n      \"tcp:29081:100.64.0.7:8081\"\n    ],\n"
                                 "    \"ingress\": null\n"
                                 "  },\n"
                                 "  \"port\": 0\n"
                                 "}\n";

static char *print(const struct state_document *document)
{
    char *text;
    size_t length;
    ck_assert_int_eq(state_document_print(document, &text, &length), NX_OK);
    ck_assert_uint_eq(strlen(text), length);
    return text;
}

static struct state_document parse(const char *text)
{
    struct state_document document;
    char error[STATE_ERROR_MAX] = "";
    ck_assert_msg(state_document_parse(text, strlen(text), &document, error) == NX_OK, "%s: %s", text, error);
    return document;
}

static void expect_rules(struct state_document *document, const char *const *expected, size_t count)
{
    struct rule *rules;
    size_t found;
    char error[STATE_ERROR_MAX] = "", text[RULE_TEXT_MAX], line[RULE_TEXT_MAX + 16];
    ck_assert_msg(state_rules_read(document, &rules, &found, error) == NX_OK, "%s", error);
    ck_assert_uint_eq(found, count);
    for (size_t i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%s %s", rule_direction_name(rules[i].direction),
                 rule_format(&rules[i], text));
        ck_assert_str_eq(line, expected[i]);
    }
    free(rules);
}

static struct rule rule_of(enum rule_direction direction, const char *text)
{
    struct rule rule;
    char error[RULE_ERROR_MAX];
    ck_assert_int_eq(rule_parse(direction, text, &rule, error), NX_OK);
    return rule;
}

START_TEST(an_agents_file_comes_back_byte_by_byte)
{
    struct state_document document = parse(agent_file);
    static const char *const rules[] = {"egress tcp:29081:100.64.0.7:8081"};
    expect_rules(&document, rules, 1);
    const struct rule rule = rule_of(RULE_EGRESS, "tcp:29081:100.64.0.7:8081");
    ck_assert_int_eq(state_rules_write(&document, &rule, 1), NX_OK);
    char *text = print(&document);
    ck_assert_str_eq(text, agent_file);
    state_text_free(text);
    state_document_free(&document);
}
END_TEST

START_TEST(an_empty_state_gets_its_member_and_no_rules_are_null)
{
    struct state_document document = {0};
    const struct rule rules[] = {rule_of(RULE_INGRESS, "TCP:07000:[127.0.0.1]:+7001"),
                                 rule_of(RULE_EGRESS, "udp:53:[2001:db8::1]:53"),
                                 rule_of(RULE_INGRESS, "udp:7000:name.example:1")};
    ck_assert_int_eq(state_rules_write(&document, rules, 3), NX_OK);
    char *text = print(&document);
    ck_assert_str_eq(text, "{\n  \"proxy-rules-config\": {\n"
                           "    \"egress\": [\n      \"udp:53:[2001:db8::1]:53\"\n    ],\n"
                           "    \"ingress\": [\n      \"tcp:7000:127.0.0.1:7001\",\n"
                           "      \"udp:7000:name.example:1\"\n    ]\n  }\n}\n");
    state_text_free(text);
    ck_assert_int_eq(state_rules_write(&document, NULL, 0), NX_OK);
    text = print(&document);
    ck_assert_str_eq(
        text, "{\n  \"proxy-rules-config\": {\n    \"egress\": null,\n    \"ingress\": null\n  }\n}\n");
    state_text_free(text);
    state_document_free(&document);
}
END_TEST

START_TEST(unknown_members_stay_where_they_are)
{
    struct state_document document =
        parse("{\"x\":[1, 2 ,{\"]\":\"}\"}],\"proxy-rules-config\":{\"later\":1e400},\"y\":-0.50}");
    expect_rules(&document, NULL, 0);
    const struct rule rule = rule_of(RULE_EGRESS, "tcp:1:h:2");
    ck_assert_int_eq(state_rules_write(&document, &rule, 1), NX_OK);
    char *text = print(&document);
    ck_assert_str_eq(
        text, "{\n  \"x\": [1, 2 ,{\"]\":\"}\"}],\n  \"proxy-rules-config\": {\n    \"later\": 1e400,\n"
              "    \"egress\": [\n      \"tcp:1:h:2\"\n    ],\n    \"ingress\": null\n  },\n  \"y\": "
              "-0.50\n}\n");
    state_text_free(text);
    state_document_free(&document);
}
END_TEST

START_TEST(absent_and_null_mean_no_rules)
{
    static const char *const texts[] = {"{}",
                                        " {\n} ",
                                        "{\"port\":0}",
                                        "{\"proxy-rules-config\":null}",
                                        "{\"proxy-rules-config\":{}}",
                                        "{\"proxy-rules-config\":{\"egress\":null,\"ingress\":[]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct state_document document = parse(texts[i]);
        expect_rules(&document, NULL, 0);
        state_document_free(&document);
    }
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    char error[STATE_ERROR_MAX];
    for (size_t length = 0; length < sizeof agent_file - 2; length++) {
        struct state_document document;
        /* Exactly so much memory, so that a read past the end is found. */
        char *text = malloc(length ? length : 1);
        memcpy(text, agent_file, length);
        error[0] = '\0';
        ck_assert_int_eq(state_document_parse(text, length, &document, error), NX_EINVAL);
        ck_assert_str_ne(error, "");
        ck_assert_ptr_null(strstr(error, "cPYJ"));
        ck_assert_ptr_null(document.members);
        free(text);
    }
}
END_TEST

START_TEST(what_is_no_state_is_refused)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"[]", "not a JSON object"},
        {"null", "not a JSON object"},
        {"\"x\"", "not a JSON object"},
        {"{\"a\":1,\"a\":2}", "\"a\" stands there twice"},
        {"{\"a\":1}{\"a\":2}", "line 1"},
        {"{\n\"a\":\x01}", "line 2"},
        {"{\"a\":\"\xff\xfe\"}", "well-formed"},
        {"{\"a\":1,}", "well-formed"},
        {"{'a':1}", "well-formed"},
        {"{\"a\":NaN}", "well-formed"},
        {"{\"a\":1 /* c */}", "well-formed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct state_document document;
        char error[STATE_ERROR_MAX] = "";
        ck_assert_int_eq(state_document_parse(cases[i].text, strlen(cases[i].text), &document, error),
                         NX_EINVAL);
        ck_assert_msg(strstr(error, cases[i].word), "%s: %s", cases[i].text, error);
    }
}
END_TEST

START_TEST(depth_and_length_are_bounded)
{
    struct state_document document;
    char error[STATE_ERROR_MAX] = "", deep[4096];
    size_t at = (size_t)sprintf(deep, "{\"a\":");
    memset(deep + at, '[', 1000);
    memset(deep + at + 1000, ']', 1000);
    strcpy(deep + at + 2000, "}");
    ck_assert_int_eq(state_document_parse(deep, strlen(deep), &document, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "deeper"));
    ck_assert_int_eq(state_document_parse(deep, (size_t)STATE_BYTES_MAX + 1, &document, error), NX_ERANGE);
}
END_TEST

START_TEST(rules_that_are_none_are_named)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{\"proxy-rules-config\":[]}", "proxy-rules-config"},
        {"{\"proxy-rules-config\":{\"egress\":{}}}", "neither a list nor null"},
        {"{\"proxy-rules-config\":{\"ingress\":[1]}}", "an ingress rule is not a string"},
        {"{\"proxy-rules-config\":{\"ingress\":[\"tcp:0:h:1\"]}}", "ingress rule \"tcp:0:h:1\""},
        {"{\"proxy-rules-config\":{\"egress\":[\"tcp:1:h:1\",\"bogus\"]}}", "egress rule \"bogus\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct state_document document = parse(cases[i].text);
        struct rule *rules;
        size_t count;
        char error[STATE_ERROR_MAX] = "";
        ck_assert_int_eq(state_rules_read(&document, &rules, &count, error), NX_EINVAL);
        ck_assert_msg(strstr(error, cases[i].word), "%s: %s", cases[i].text, error);
        ck_assert_ptr_null(rules);
        state_document_free(&document);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state document");
    TCase *tests = tcase_create("document");
    tcase_add_test(tests, an_agents_file_comes_back_byte_by_byte);
    tcase_add_test(tests, an_empty_state_gets_its_member_and_no_rules_are_null);
    tcase_add_test(tests, unknown_members_stay_where_they_are);
    tcase_add_test(tests, absent_and_null_mean_no_rules);
    tcase_add_test(tests, every_truncation_is_refused);
    tcase_add_test(tests, what_is_no_state_is_refused);
    tcase_add_test(tests, depth_and_length_are_bounded);
    tcase_add_test(tests, rules_that_are_none_are_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
