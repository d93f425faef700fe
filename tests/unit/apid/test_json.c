/* Documents of clients: what is taken, what is refused and in which words, the limits; and what the writer
 * makes of hostile texts. */
#include "apid/json/json.h"
#include "common/err.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error[JSON_ERROR_MAX];

static struct json_document *parsed(const char *text)
{
    struct json_document *document = NULL;
    const int err = json_parse(text, strlen(text), &document, error);
    ck_assert_msg(err == NX_OK, "%s: %s", text, error);
    return document;
}

static const struct {
    const char *text, *rewritten;
} round_trips[] = {
    {"null", "null"},
    {" [ true , false , null ] ", "[true,false,null]"},
    {"{\"a\":{\"b\":[1,-2.5e+3,\"x\"]},\"c\":\"\"}", "{\"a\":{\"b\":[1,-2.5e+3,\"x\"]},\"c\":\"\"}"},
    {"{}", "{}"},
    {"[[],{},[[]]]", "[[],{},[[]]]"},
    {"\"\\u00e9\\n\\\"\\\\\"", "\"é\\u000a\\\"\\\\\""},
    {"[\"{\",\"[\",\":\"]", "[\"{\",\"[\",\":\"]"},
    {"12345678901234567890123", "12345678901234567890123"},
};

START_TEST(test_round_trip)
{
    struct json_document *document = parsed(round_trips[_i].text);
    struct json_out out = {0};
    json_value_write(&out, json_root(document));
    ck_assert(!out.failed);
    ck_assert_uint_eq(out.length, strlen(round_trips[_i].rewritten));
    ck_assert_mem_eq(out.data, round_trips[_i].rewritten, out.length);
    json_out_free(&out);
    json_free(document);
}
END_TEST

static const struct {
    const char *text;
    int err;
    const char *error;
} refusals[] = {
    {"", NX_EINVAL, "EOF"},
    {"{", NX_EINVAL, "unexpected EOF"},
    {"{\"a\":1} {}", NX_EINVAL, NULL},
    {"{bad", NX_EINVAL, NULL},
    {"nul", NX_EINVAL, "unexpected EOF"},
    {"[1,]", NX_EINVAL, NULL},
    {"{\"a\"}", NX_EINVAL, NULL},
    {"\"\xff\xfe\"", NX_EINVAL, NULL},
    {"\"\\ud800\"x", NX_EINVAL, NULL},
    {"\"a\\u0000b\"", NX_EINVAL, "NUL in a string"},
    {"{\"a\\u0000b\":1}", NX_EINVAL, "NUL in a string"},
    {"'a'", NX_EINVAL, "invalid character ''' at offset 0"},
    {"\x01", NX_EINVAL, "invalid character at offset 0"},
};

START_TEST(test_refusal)
{
    struct json_document *document = (struct json_document *)1;
    const char *const text = refusals[_i].text;
    ck_assert_int_eq(json_parse(text, strlen(text), &document, error), refusals[_i].err);
    ck_assert_ptr_null(document);
    ck_assert_uint_gt(strlen(error), 0);
    if (refusals[_i].error)
        ck_assert_str_eq(error, refusals[_i].error);
}
END_TEST

START_TEST(test_depth)
{
    char text[2 * JSON_DEPTH_MAX + 4] = "";
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    json_free(parsed(text));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    struct json_document *document;
    ck_assert_int_eq(json_parse(text, strlen(text), &document, error), NX_ERANGE);
    ck_assert_str_eq(error, "nested too deeply");
}
END_TEST

START_TEST(test_sizes)
{
    const size_t length = JSON_BODY_MAX + 1;
    char *const text = malloc(length);
    struct json_document *document;
    memset(text, ' ', length);
    ck_assert_int_eq(json_parse(text, length, &document, error), NX_ERANGE);
    text[0] = '[';
    for (size_t i = 1; i + 2 < length; i += 2)
        memcpy(text + i, "1,", 2);
    memcpy(text + length - 3, "1]", 2);
    ck_assert_int_eq(json_parse(text, length - 1, &document, error), NX_ERANGE);
    ck_assert_str_eq(error, "too many values");
    text[0] = '"';
    memset(text + 1, 'a', length - 3);
    text[length - 2] = '"';
    ck_assert_int_eq(json_parse(text, length - 1, &document, error), NX_OK);
    ck_assert_uint_eq(json_root(document)->length, length - 3);
    json_free(document);
    free(text);
}
END_TEST

START_TEST(test_members)
{
    struct json_document *document = parsed(
        "{\"a\":\"first\",\"n\":18446744073709551615,\"a\":\"last\",\"f\":1.5,\"neg\":-1,\"o\":{\"a\":1}}");
    const struct json_value *const root = json_root(document);
    uint64_t number = 7;
    ck_assert_str_eq(json_member_text(root, "a"), "last");
    ck_assert_ptr_null(json_member_text(root, "n"));
    ck_assert_ptr_null(json_member(root, "absent"));
    ck_assert_ptr_null(json_member(NULL, "a"));
    ck_assert_ptr_null(json_member(json_member(root, "a"), "a"));
    ck_assert_int_eq(json_to_u64(json_member(root, "n"), UINT64_MAX, &number), NX_OK);
    ck_assert(number == UINT64_MAX);
    ck_assert_int_eq(json_to_u64(json_member(root, "n"), 100, &number), NX_EINVAL);
    ck_assert_int_eq(json_to_u64(json_member(root, "f"), 100, &number), NX_EINVAL);
    ck_assert_int_eq(json_to_u64(json_member(root, "neg"), 100, &number), NX_EINVAL);
    ck_assert_int_eq(json_to_u64(json_member(root, "a"), 100, &number), NX_EINVAL);
    ck_assert_int_eq(json_to_u64(NULL, 100, &number), NX_EINVAL);
    ck_assert_str_eq(json_type_name(json_member(root, "o")->type), "object");
    json_free(document);
}
END_TEST

START_TEST(test_writer)
{
    struct json_out out = {0};
    json_object_begin(&out);
    json_put_string(&out, "s", "a\"b\\c\n\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91");
    json_put_string(&out, "bad", "\xff\xc0\x80\xed\xa0\x80\xe2\x82");
    json_put_string(&out, "none", NULL);
    json_put_u64(&out, "n", UINT64_MAX);
    json_put_bool(&out, "b", false);
    json_key(&out, "l");
    json_array_begin(&out);
    json_null(&out);
    json_bool(&out, true);
    json_verbatim(&out, "{\"v\":1}", 7);
    json_array_end(&out);
    json_object_end(&out);
    const char *const expected =
        "{\"s\":\"a\\\"b\\\\c\\u000a\\u007fé€🔑\",\"bad\":"
        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"none\":null,\"n\":18446744073709551615,\"b\":false,"
        "\"l\":[null,true,{\"v\":1}]}";
    ck_assert(!out.failed);
    ck_assert_uint_eq(out.length, strlen(expected));
    ck_assert_mem_eq(out.data, expected, out.length);
    json_out_free(&out);
}
END_TEST

START_TEST(test_writer_bound)
{
    struct json_out out = {.max = 16};
    json_array_begin(&out);
    json_string(&out, "0123456789");
    ck_assert(!out.failed);
    json_string(&out, "0123456789");
    ck_assert(out.failed);
    ck_assert_uint_le(out.length, 16);
    json_array_end(&out);
    ck_assert(out.failed);
    json_out_free(&out);
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_json");
    TCase *const cases = tcase_create("json");
    tcase_add_loop_test(cases, test_round_trip, 0, sizeof(round_trips) / sizeof(round_trips[0]));
    tcase_add_loop_test(cases, test_refusal, 0, sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(cases, test_depth);
    tcase_add_test(cases, test_sizes);
    tcase_add_test(cases, test_members);
    tcase_add_test(cases, test_writer);
    tcase_add_test(cases, test_writer_bound);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
