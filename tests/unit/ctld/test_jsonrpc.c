/* The parser of control requests: what it makes of each form that clients send, wherever the bytes are cut,
 * and that it stops at its limits; and the writers of answers. */
#include "common/err.h"
#include "ctld/jsonrpc.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Feeds `text` in pieces of `piece` bytes. The result of the last call; *taken counts all that was consumed.
 */
static int feed(struct jsonrpc_parser *parser, const char *text, size_t length, size_t piece, size_t *taken,
                struct jsonrpc_request *out)
{
    int err = NX_EAGAIN;
    *taken = 0;
    while (*taken < length && err == NX_EAGAIN) {
        size_t chunk = length - *taken < piece ? length - *taken : piece, consumed;
        err = jsonrpc_parse(parser, text + *taken, chunk, &consumed, out);
        if (err == NX_EAGAIN)
            ck_assert_uint_eq(consumed, chunk);
        *taken += consumed;
    }
    return err;
}

static const struct {
    const char *text;
    int err;
    const char *method, *param, *id;
    enum jsonrpc_param param_kind;
    enum jsonrpc_id id_kind;
} cases[] = {
    {"{\"method\":\"NexdCtl.Version\",\"params\":[\"\"],\"id\":0}", NX_OK, "NexdCtl.Version", "", "0",
     JSONRPC_PARAM_STRING, JSONRPC_ID_NUMBER},
    {" \t\r\n{ \"id\" : -1.5e+3 , \"params\" : [ \"x\" , {} ] , \"method\" : \"m\" }", NX_OK, "m", "x",
     "-1.5e+3", JSONRPC_PARAM_STRING, JSONRPC_ID_NUMBER},
    {"{\"method\":\"m\",\"params\":[],\"id\":\"a\\u0041\\\"\"}", NX_OK, "m", "", "aA\"", JSONRPC_PARAM_STRING,
     JSONRPC_ID_STRING},
    {"{\"method\":\"m\",\"params\":[null]}", NX_OK, "m", "", "", JSONRPC_PARAM_STRING, JSONRPC_ID_NULL},
    {"{\"method\":\"m\",\"id\":null}", NX_OK, "m", "", "", JSONRPC_PARAMS_MISSING, JSONRPC_ID_NULL},
    {"{\"method\":\"m\",\"params\":null,\"id\":1}", NX_OK, "m", "", "1", JSONRPC_PARAMS_MISSING,
     JSONRPC_ID_NUMBER},
    {"{\"method\":\"m\",\"params\":[{\"a\":[1]}],\"id\":1}", NX_OK, "m", "object", "1", JSONRPC_PARAM_OTHER,
     JSONRPC_ID_NUMBER},
    {"{\"method\":\"m\",\"params\":[[\"x\"]],\"id\":1}", NX_OK, "m", "array", "1", JSONRPC_PARAM_OTHER,
     JSONRPC_ID_NUMBER},
    {"{\"method\":\"m\",\"params\":[7],\"id\":1}", NX_OK, "m", "number", "1", JSONRPC_PARAM_OTHER,
     JSONRPC_ID_NUMBER},
    {"{\"method\":\"m\",\"params\":[true],\"id\":1}", NX_OK, "m", "bool", "1", JSONRPC_PARAM_OTHER,
     JSONRPC_ID_NUMBER},
    {"{\"jsonrpc\":\"2.0\",\"x\":{\"method\":\"no\",\"id\":9,\"params\":[\"no\"]},\"method\":\"m\","
     "\"params\":[\"p\"]}",
     NX_OK, "m", "p", "", JSONRPC_PARAM_STRING, JSONRPC_ID_NULL},
    {"{}", NX_OK, "", "", "", JSONRPC_PARAMS_MISSING, JSONRPC_ID_NULL},
    /* The last of several equal members counts. */
    {"{\"method\":\"a\",\"method\":\"b\",\"params\":[\"x\"],\"params\":[]}", NX_OK, "b", "", "",
     JSONRPC_PARAM_STRING, JSONRPC_ID_NULL},
    {"not json", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"[]", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"7 ", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"\"text\"", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"method\":7}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"method\":\"a\\u0000b\"}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"params\":\"x\"}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"params\":{\"a\":1}}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"id\":[1]}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"id\":true}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"method\":\"\xff\xfe\"}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"a\" 1}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{/* comment */}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
    {"{\"method\":\"m\",}", NX_EPROTO, NULL, NULL, NULL, 0, 0},
};

START_TEST(each_form_wherever_it_is_cut)
{
    size_t length = strlen(cases[_i].text);
    for (size_t piece = 1; piece <= length; piece++) {
        struct jsonrpc_parser *parser = jsonrpc_parser_new();
        struct jsonrpc_request request = {0};
        size_t taken;
        int err = feed(parser, cases[_i].text, length, piece, &taken, &request);
        ck_assert_msg(err == cases[_i].err, "%s by %zu: %d", cases[_i].text, piece, err);
        if (err == NX_OK) {
            ck_assert_uint_eq(taken, length);
            ck_assert_str_eq(request.method, cases[_i].method);
            ck_assert_str_eq(request.param, cases[_i].param);
            ck_assert_str_eq(request.id, cases[_i].id);
            ck_assert_int_eq(request.param_kind, cases[_i].param_kind);
            ck_assert_int_eq(request.id_kind, cases[_i].id_kind);
            ck_assert(!jsonrpc_parser_busy(parser));
        }
        jsonrpc_parser_free(parser);
    }
}
END_TEST

START_TEST(several_requests_in_a_row)
{
    static const char text[] = "{\"method\":\"a\",\"id\":1}{\"method\":\"b\"}\n\n {\"method\":\"c\"";
    struct jsonrpc_parser *parser = jsonrpc_parser_new();
    struct jsonrpc_request request;
    size_t at = 0, taken;
    static const char *const expected[] = {"a", "b"};
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(jsonrpc_parse(parser, text + at, sizeof text - 1 - at, &taken, &request), NX_OK);
        ck_assert_str_eq(request.method, expected[i]);
        ck_assert_str_eq(request.id, i ? "" : "1"); /* nothing is left over from the one before */
        at += taken;
    }
    ck_assert_int_eq(jsonrpc_parse(parser, text + at, sizeof text - 1 - at, &taken, &request), NX_EAGAIN);
    ck_assert(jsonrpc_parser_busy(parser));
    jsonrpc_parser_free(parser);
}
END_TEST

/* `count` times `unit` after `before`. */
static char *repeated(const char *before, const char *unit, size_t count, size_t *length)
{
    size_t unit_length = strlen(unit), at = strlen(before);
    char *text = malloc(at + unit_length * count);
    ck_assert_ptr_nonnull(text);
    memcpy(text, before, at);
    for (size_t i = 0; i < count; i++, at += unit_length)
        memcpy(text + at, unit, unit_length);
    *length = at;
    return text;
}

static void expect_limit(const char *before, const char *unit, size_t count)
{
    static const size_t pieces[] = {1, 4096, SIZE_MAX};
    size_t length, taken;
    char *text = repeated(before, unit, count, &length);
    for (size_t i = 0; i < 3; i++) {
        struct jsonrpc_parser *parser = jsonrpc_parser_new();
        struct jsonrpc_request request;
        ck_assert_int_eq(feed(parser, text, length, pieces[i], &taken, &request), NX_ERANGE);
        ck_assert_uint_le(taken, JSONRPC_REQUEST_MAX);
        jsonrpc_parser_free(parser);
    }
    free(text);
}

START_TEST(limits_hold)
{
    expect_limit("{\"x\":", "[", 100);
    expect_limit("{\"x\":", "{\"x\":", 100);
    expect_limit("{\"x\":\"", "a", JSONRPC_REQUEST_MAX * 2);
    expect_limit("{\"x\":1", "1", JSONRPC_REQUEST_MAX * 2);
    expect_limit("{", " ", JSONRPC_REQUEST_MAX * 2);
    expect_limit("{\"x\":[0", ",0", JSONRPC_REQUEST_MAX);
}
END_TEST

/* Values just inside and just outside of a member's bound. */
START_TEST(bounds_of_members)
{
    static const struct {
        const char *before, *after;
        size_t max;
    } members[] = {{"{\"method\":\"", "\"}", JSONRPC_METHOD_MAX - 1},
                   {"{\"params\":[\"", "\"]}", JSONRPC_PARAM_MAX - 1},
                   {"{\"id\":\"", "\"}", JSONRPC_ID_MAX}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t extra = 0; extra < 2; extra++) {
            size_t length, taken;
            char *text = repeated(members[i].before, "a", members[i].max + extra, &length);
            struct jsonrpc_parser *parser = jsonrpc_parser_new();
            struct jsonrpc_request request;
            int err = feed(parser, text, length, SIZE_MAX, &taken, &request);
            if (err == NX_EAGAIN)
                err = feed(parser, members[i].after, strlen(members[i].after), SIZE_MAX, &taken, &request);
            ck_assert_int_eq(err, extra ? NX_ERANGE : NX_OK);
            jsonrpc_parser_free(parser);
            free(text);
        }
    }
}
END_TEST

START_TEST(endless_blanks_cost_nothing)
{
    struct jsonrpc_parser *parser = jsonrpc_parser_new();
    struct jsonrpc_request request;
    size_t taken;
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_int_eq(jsonrpc_parse(parser, " \n", 2, &taken, &request), NX_EAGAIN);
    ck_assert(!jsonrpc_parser_busy(parser));
    jsonrpc_parser_free(parser);
}
END_TEST

static void expect_text(struct jsonrpc_text *text, const char *expected)
{
    ck_assert(!text->failed);
    jsonrpc_put(text, "", 1);
    ck_assert_str_eq(text->data, expected);
    jsonrpc_text_free(text);
}

START_TEST(answers)
{
    struct jsonrpc_request request = {.id_kind = JSONRPC_ID_NUMBER, .id = "7"};
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, 4096);
    jsonrpc_put_result(&text, &request, "dev", 3);
    expect_text(&text, "{\"id\":7,\"result\":\"dev\",\"error\":null}\n");
    request = (struct jsonrpc_request){.id_kind = JSONRPC_ID_STRING, .id = "a\"\\b"};
    jsonrpc_put_error(&text, &request, "no\n\t\x01");
    expect_text(&text, "{\"id\":\"a\\\"\\\\b\",\"result\":null,\"error\":\"no\\n\\t\\u0001\"}\n");
    request = (struct jsonrpc_request){0};
    jsonrpc_put_result(&text, &request, "", 0);
    expect_text(&text, "{\"id\":null,\"result\":\"\",\"error\":null}\n");
}
END_TEST

START_TEST(text_stops_at_its_bound)
{
    struct jsonrpc_text text;
    jsonrpc_text_init(&text, 10);
    jsonrpc_put(&text, "0123456789", 10);
    ck_assert(!text.failed);
    jsonrpc_put(&text, "x", 1);
    ck_assert(text.failed);
    ck_assert_uint_eq(text.length, 10);
    jsonrpc_put(&text, "", 0);
    ck_assert_uint_eq(text.length, 10);
    jsonrpc_text_free(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jsonrpc");
    TCase *tests = tcase_create("jsonrpc");
    tcase_add_loop_test(tests, each_form_wherever_it_is_cut, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, several_requests_in_a_row);
    tcase_add_test(tests, limits_hold);
    tcase_add_test(tests, bounds_of_members);
    tcase_add_test(tests, endless_blanks_cost_nothing);
    tcase_add_test(tests, answers);
    tcase_add_test(tests, text_stops_at_its_bound);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
