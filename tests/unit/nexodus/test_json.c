/* The JSON reader: what it makes of sound documents however they are cut, that hostile ones end at its
 * limits, and the messages that say where; and the writer. */
#include "common/err.h"
#include "ctld/nexodus/json_write.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/nexodus/document.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static char error[JSON_ERROR_MAX];

static int feed(struct json_reader *reader, const char *text, size_t length, size_t piece, size_t *taken)
{
    int err = NX_EAGAIN;
    *taken = 0;
    while (*taken < length && err == NX_EAGAIN) {
        const size_t chunk = length - *taken < piece ? length - *taken : piece;
        size_t consumed;
        err = json_reader_feed(reader, text + *taken, chunk, &consumed, error);
        ck_assert_uint_le(consumed, chunk);
        *taken += consumed;
    }
    return err;
}

static int read_text(const char *text, size_t length)
{
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    const struct json_value *root = (const struct json_value *)1;
    error[0] = '\0';
    const int err = json_read(reader, text, length, &root, error);
    ck_assert((err == NX_OK) == (root != NULL));
    ck_assert((err == NX_OK) == (error[0] == '\0'));
    json_reader_free(reader);
    return err;
}

START_TEST(pieces_of_any_size)
{
    static const char text[] =
        " \r\n{\"a\":[1,{\"b\":\"\\u00e9\\n\"},null,true],\"c\":-2.5e3,\"d\":\"\"}\n\n[7]";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct json_reader *const reader = json_reader_new(&json_limits_answer);
        size_t taken, rest;
        ck_assert_int_eq(feed(reader, text, sizeof text - 1, piece, &taken), NX_OK);
        ck_assert_uint_eq(json_reader_pending(reader), 0);
        const struct json_value *const root = json_reader_root(reader), *const a = json_member(root, "a");
        ck_assert_uint_eq(json_count(root), 3);
        ck_assert_uint_eq(json_count(a), 4);
        size_t length;
        ck_assert_str_eq(json_text(json_member(json_next(json_first(a)), "b"), &length), "é\n");
        ck_assert_uint_eq(length, 3);
        ck_assert_str_eq(json_name(json_first(root)), "a");
        ck_assert_int_eq(json_type(json_member(root, "c")), JSON_NUMBER);
        ck_assert_ptr_null(json_member(root, "e"));
        /* What follows is another document. */
        ck_assert_int_eq(feed(reader, text + taken, sizeof text - 1 - taken, piece, &rest), NX_OK);
        ck_assert_uint_eq(taken + rest, sizeof text - 1);
        ck_assert_int_eq(json_type(json_reader_root(reader)), JSON_ARRAY);
        json_reader_free(reader);
    }
}
END_TEST

START_TEST(what_is_no_document)
{
    static const struct {
        const char *text, *error;
        int err;
    } cases[] = {
        {"", "near byte 0: empty", NX_EPROTO},
        {"  ", "near byte 0: empty", NX_EPROTO},
        {"{\"a\":1", "near byte 6: cut short", NX_EPROTO},
        {"7", "near byte 0: neither an object nor an array", NX_EPROTO},
        {"\"text\"", "near byte 0: neither an object nor an array", NX_EPROTO},
        {"null", "near byte 0: neither an object nor an array", NX_EPROTO},
        {"<html>", "near byte 0: neither an object nor an array", NX_EPROTO},
        {"{} {}", "near byte 2: more than one value", NX_EPROTO},
        {"{}x", "near byte 2: more than one value", NX_EPROTO},
        {"{,}", NULL, NX_EPROTO},
        {"[1,]", NULL, NX_EPROTO},
        {"{\"a\" 1}", NULL, NX_EPROTO},
        {"[01]", NULL, NX_EPROTO},
        {"[+1]", NULL, NX_EPROTO},
        {"[nul]", NULL, NX_EPROTO},
        {"['a']", NULL, NX_EPROTO},
        {"[/* */1]", NULL, NX_EPROTO},
        {"[\"\n\"]", NULL, NX_EPROTO},
        {"[\"\\x\"]", NULL, NX_EPROTO},
        {"[\"\\u12g4\"]", NULL, NX_EPROTO},
        {"{\"a\\u0000b\":1}", "near byte 11: a name with a NUL byte inside", NX_EPROTO},
        {"[\"\\udc00\"]", NULL, NX_EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t length = strcmp(cases[i].text, "  ") == 0 ? 0 : strlen(cases[i].text);
        ck_assert_msg(read_text(cases[i].text, length) == cases[i].err, "%s: %s", cases[i].text, error);
        if (cases[i].error)
            ck_assert_str_eq(error, cases[i].error);
    }
}
END_TEST

START_TEST(text_that_is_not_utf8)
{
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc1\x81",
                                      "\xe0\x80\xaf",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\xaf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80",
                                      "\xff",
                                      "\xc3",
                                      "\xe2\x82",
                                      "\xe2\x28\xa1"};
    static const char *const good[] = {"\xc2\x80",         "\xe0\xa0\x80",     "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "plain"};
    char text[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"a\":\"%s\"}", bad[i]);
        ck_assert_msg(read_text(text, strlen(text)) == NX_EPROTO, "value %zu", i);
        snprintf(text, sizeof text, "{\"%s\":1}", bad[i]);
        ck_assert_msg(read_text(text, strlen(text)) == NX_EPROTO, "name %zu", i);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "{\"%s\":\"%s\"}", good[i], good[i]);
        ck_assert_msg(read_text(text, strlen(text)) == NX_OK, "%zu: %s", i, error);
    }
}
END_TEST

/* Feeds `unit` again and again until the reader has had enough; how many bytes it took, and what it cost. */
static int feed_endlessly(const char *head, const char *unit, size_t *taken, size_t *heap)
{
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd, length = strlen(unit);
    size_t consumed;
    int err = json_reader_feed(reader, head, strlen(head), &consumed, error);
    *taken = consumed;
    *heap = 0;
    while (err == NX_EAGAIN && *taken < 64 << 20) {
        err = json_reader_feed(reader, unit, length, &consumed, error);
        *taken += consumed;
        const size_t now = mallinfo2().uordblks + mallinfo2().hblkhd;
        if (now > before && now - before > *heap)
            *heap = now - before;
    }
    /* It stays so until it is told otherwise. */
    ck_assert_int_eq(json_reader_feed(reader, "{}", 2, &consumed, error), err);
    ck_assert_uint_eq(consumed, 0);
    ck_assert_ptr_null(json_reader_root(reader));
    json_reader_reset(reader);
    ck_assert_int_eq(json_reader_feed(reader, "{}", 2, &consumed, error), NX_OK);
    json_reader_free(reader);
    return err;
}

START_TEST(endless_documents_cost_a_bound)
{
    static const struct {
        const char *head, *unit, *what;
    } cases[] = {
        {"{\"a\":\"", "0123456789abcdef0123456789abcdef", "larger than an answer may be"},
        {"{\"", "0123456789abcdef0123456789abcdef", "larger than an answer may be"},
        {"[", "1234567890123456789012345678901", "larger than an answer may be"},
        {"[", "[", "nested too deeply"},
        {"[", "{\"a\":", "nested too deeply"},
        {"[1", ",1", "too many values"},
        {"{\"a\":1", ",\"a\":1", "too many values"},
        {"[", "          ", "larger than an answer may be"},
        {"[\"x\"", ",\"0123456789abcdef0123456789abcdef0123456789abcdef\"", "larger than an answer may be"},
        {"[\"x\"", ",\"\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\\u0041\"", "larger than an answer may be"},
    };
    const size_t bound = 6 * json_limits_answer.bytes_max + 96 * json_limits_answer.values_max;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t taken, heap;
        ck_assert_msg(feed_endlessly(cases[i].head, cases[i].unit, &taken, &heap) == NX_ERANGE, "%zu: %s", i,
                      error);
        ck_assert_msg(strstr(error, cases[i].what) != NULL, "%zu: %s", i, error);
        ck_assert_uint_le(taken, json_limits_answer.bytes_max);
        ck_assert_msg(heap <= bound, "%zu costs %zu bytes", i, heap);
#ifndef NEXD_SANITIZE /* whose heap tells nothing */
        ck_assert_uint_gt(heap, 0);
#endif
    }
}
END_TEST

/* A string of which little comes at a time is not read anew each time: with pieces of a byte that took
 * seconds. */
START_TEST(small_pieces_cost_no_more_than_large_ones)
{
    const clock_t begin = clock();
    for (unsigned i = 0; i < 8; i++) {
        struct json_reader *const reader = json_reader_new(&json_limits_answer);
        size_t consumed;
        int err = json_reader_feed(reader, "{\"a\":\"", 6, &consumed, error);
        while (err == NX_EAGAIN)
            err = json_reader_feed(reader, "}", 1, &consumed, error);
        ck_assert_int_eq(err, NX_ERANGE);
        json_reader_free(reader);
    }
    ck_assert_int_lt((clock() - begin) / CLOCKS_PER_SEC, 10);
}
END_TEST

/* Brackets, quotes and backslashes in strings are text, wherever the pieces are cut. */
START_TEST(brackets_in_strings)
{
    static const char text[] = "{\"a}]\":\"}\\\"]\\\\\",\"b\":[\"]\",{\"c\":\"\\u005d\\\\\\\"}\"}]} {";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct json_reader *const reader = json_reader_new(&json_limits_answer);
        size_t taken;
        ck_assert_msg(feed(reader, text, sizeof text - 1, piece, &taken) == NX_OK, "%s", error);
        ck_assert_uint_eq(taken, sizeof text - 3);
        ck_assert_str_eq(json_text(json_member(json_reader_root(reader), "a}]"), NULL), "}\"]\\");
        json_reader_free(reader);
    }
}
END_TEST

/* Around the size at which pieces are gathered. */
START_TEST(pieces_around_the_buffer)
{
    static char text[20000];
    for (size_t length = 4080; length < 4112; length++)
        for (size_t piece = 1; piece < 9000; piece += piece < 5 ? 1 : 1361) {
            struct json_reader *const reader = json_reader_new(&json_limits_answer);
            size_t taken, size;
            memset(text, 'x', sizeof text);
            memcpy(text, "[\"", 2);
            memcpy(text + 2 + length, "\",[1],\"}\"]", 10);
            ck_assert_msg(feed(reader, text, length + 12, piece, &taken) == NX_OK, "%s", error);
            ck_assert_uint_eq(taken, length + 12);
            ck_assert_ptr_nonnull(json_text(json_first(json_reader_root(reader)), &size));
            ck_assert_uint_eq(size, length);
            json_reader_free(reader);
        }
}
END_TEST

START_TEST(limits_are_exact)
{
    const struct json_limits limits = {.bytes_max = 40, .string_max = 4, .values_max = 4, .depth_max = 2};
    static const struct {
        const char *text;
        int err;
    } cases[] = {
        {"[[1,2]]", NX_OK},
        {"[[1,2,3]]", NX_ERANGE},
        {"[[[]]]", NX_ERANGE},
        {"[\"abcd\"]", NX_OK},
        {"[\"abcde\"]", NX_ERANGE},
        {"{\"abcde\":1}", NX_ERANGE},
        {"[12345]", NX_ERANGE},
        {"[1                                    ]", NX_OK},
        {"[1                                     ]", NX_OK},
        {"[1                                      ]", NX_ERANGE},
    };
    struct json_reader *const reader = json_reader_new(&limits);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct json_value *root;
        ck_assert_msg(json_read(reader, cases[i].text, strlen(cases[i].text), &root, error) == cases[i].err,
                      "%s: %s", cases[i].text, error);
    }
    json_reader_free(reader);
    json_reader_free(NULL);
    const struct json_limits greedy = {
        .bytes_max = 1 << 20, .string_max = 9, .values_max = 99999, .depth_max = 9999};
    struct json_reader *const deep = json_reader_new(&greedy);
    const struct json_value *root;
    char text[100];
    memset(text, '[', sizeof text);
    ck_assert_int_eq(json_read(deep, text, sizeof text, &root, error), NX_ERANGE);
    ck_assert_str_eq(error, "near byte 33: nested too deeply");
    json_reader_free(deep);
}
END_TEST

START_TEST(members_and_their_messages)
{
    const struct json_value *root =
        document("{\"s\":\"text\",\"t\":true,\"n\":42,\"big\":18446744073709551616,\"f\":1.5,\"e\":1e3,"
                 "\"neg\":-1,\"z\":\"a\\u0000b\","
                 "\"null\":null,\"list\":[{\"x\":[{\"y\":1},{\"y\":\"ok\"}]},7],\"s2\":1,\"s2\":\"last\"}");
    const char *text = "before";
    bool truth = false;
    uint64_t number = 7;
    const struct json_value *list = root;
    ck_assert_int_eq(json_get_string(root, "s", 4, &text, error), NX_OK);
    ck_assert_str_eq(text, "text");
    ck_assert_int_eq(json_get_string(root, "s", 3, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "s: longer than 3 bytes");
    ck_assert_int_eq(json_get_string(root, "s2", 9, &text, error), NX_OK);
    ck_assert_str_eq(text, "last");
    ck_assert_int_eq(json_get_string(root, "none", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "none: missing");
    ck_assert_int_eq(json_get_string(root, "null", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "null: missing");
    ck_assert_int_eq(json_get_string(root, "z", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "z: has a NUL byte inside");
    ck_assert_int_eq(json_get_string_optional(root, "null", 9, &text, error), NX_OK);
    ck_assert_str_eq(text, "last");
    ck_assert_int_eq(json_get_string_optional(root, "n", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "n: not a string");
    ck_assert_int_eq(json_get_bool_optional(root, "t", &truth, error), NX_OK);
    ck_assert(truth);
    ck_assert_int_eq(json_get_bool_optional(root, "n", &truth, error), NX_EINVAL);
    ck_assert_str_eq(error, "n: neither true nor false");
    ck_assert_int_eq(json_get_u64(root, "n", 1, 42, &number, error), NX_OK);
    ck_assert_uint_eq(number, 42);
    ck_assert_int_eq(json_get_u64(root, "n", 1, 41, &number, error), NX_EINVAL);
    ck_assert_str_eq(error, "n: not within 1..41");
    ck_assert_int_eq(json_get_u64(root, "big", 0, UINT64_MAX, &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_u64(root, "f", 0, 9, &number, error), NX_EINVAL);
    ck_assert_str_eq(error, "f: not a whole number");
    ck_assert_int_eq(json_get_u64(root, "e", 0, 9, &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_u64(root, "neg", 0, 9, &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_u64(root, "s", 0, 9, &number, error), NX_EINVAL);
    ck_assert_str_eq(error, "s: not a number");
    ck_assert_int_eq(json_get_u64(root, "none", 0, 9, &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_u64_optional(root, "none", 0, 9, &number, error), NX_OK);
    ck_assert_uint_eq(number, 42);
    ck_assert_int_eq(json_get_time_optional(root, "f", &number, error), NX_OK);
    ck_assert_uint_eq(number, 1);
    ck_assert_int_eq(json_get_time_optional(root, "e", &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_time_optional(root, "neg", &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_time_optional(root, "s", &number, error), NX_EINVAL);
    ck_assert_int_eq(json_get_time_optional(root, "none", &number, error), NX_OK);
    ck_assert_int_eq(json_get_array_optional(root, "none", &list, error), NX_OK);
    ck_assert_ptr_null(list);
    ck_assert_int_eq(json_get_array_optional(root, "s", &list, error), NX_EINVAL);
    ck_assert_str_eq(error, "s: not an array");
    ck_assert_int_eq(json_get_array_optional(root, "list", &list, error), NX_OK);
    const struct json_value *const inner = json_member(json_first(list), "x");
    ck_assert_int_eq(json_get_string(json_first(inner), "y", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "list[0].x[0].y: not a string");
    ck_assert_int_eq(json_get_string(json_next(json_first(inner)), "nope", 9, &text, error), NX_EINVAL);
    ck_assert_str_eq(error, "list[0].x[1].nope: missing");
    ck_assert_int_eq(json_require_object(json_next(json_first(list)), error), NX_EINVAL);
    ck_assert_str_eq(error, "list[1]: not an object");
    ck_assert_int_eq(json_require_object(root, error), NX_OK);
    ck_assert_int_eq(json_require_object(NULL, error), NX_EINVAL);
    ck_assert_str_eq(error, "not an object");
    ck_assert_ptr_null(json_text(root, NULL));
    ck_assert_ptr_null(json_first(NULL));
    ck_assert_ptr_null(json_next(NULL));
    ck_assert_uint_eq(json_count(NULL), 0);
    ck_assert_str_eq(json_name(root), "");
    ck_assert_ptr_null(json_member(json_member(root, "s"), "x"));
    document_end();
}
END_TEST

START_TEST(messages_are_one_short_line)
{
    char text[20000], *at = text;
    at += sprintf(at, "{\"a\\n\\u001b\":{");
    for (unsigned i = 0; i < 3; i++) {
        at += sprintf(at, "\"");
        at = memset(at, 'x', 3000);
        at += sprintf(at + 3000, "\":{") + 3000;
    }
    sprintf(at, "}}}}}");
    const struct json_value *value = document(text);
    while (json_first(value))
        value = json_first(value);
    ck_assert_int_eq(json_fail(value, "member", "what", error), NX_EINVAL);
    ck_assert_uint_eq(strlen(error), JSON_ERROR_MAX - 1);
    ck_assert_int_eq(strncmp(error, "a??.xxx", 7), 0);
    document_end();
}
END_TEST

START_TEST(writes_what_it_is_told)
{
    struct json_writer *const writer = json_writer_new(4096);
    const char *text;
    size_t length;
    static const char copied[] =
        "{\"a\":[{},[],[1,[2]],\"x\\ny\"],\"b\":{\"c\":null},\"d\":-1.5e9,\"e\":true}";
    json_put_object(writer, NULL);
    json_put_string(writer, "s", "a\"\\\n\x01é/");
    json_put_bool(writer, "t", true);
    json_put_u64(writer, "n", UINT64_MAX);
    json_put_null(writer, "z");
    json_put_array(writer, "list");
    json_put_string(writer, NULL, "x");
    json_put_object(writer, NULL);
    json_put_end(writer);
    json_put_end(writer);
    json_put_value(writer, "copy", document(copied));
    json_put_value(writer, "leaf", json_member(document(copied), "e"));
    json_put_value(writer, "nothing", NULL);
    json_put_end(writer);
    ck_assert_int_eq(json_writer_end(writer, &text, &length), NX_OK);
    ck_assert_str_eq(text,
                     "{\"s\":\"a\\\"\\\\\\n\\u0001é/\",\"t\":true,\"n\":18446744073709551615,\"z\":null,"
                     "\"list\":[\"x\",{}],\"copy\":{\"a\":[{},[],[1,[2]],\"x\\ny\"],\"b\":{\"c\":null},"
                     "\"d\":-1.5e9,\"e\":true},\"leaf\":true,\"nothing\":null}\n");
    ck_assert_uint_eq(length, strlen(text));
    ck_assert_int_eq(json_writer_end(writer, &text, &length), NX_OK);
    ck_assert_uint_eq(length, strlen(text));
    json_writer_free(writer);
    json_writer_free(NULL);
    document_end();
}
END_TEST

static int written(void (*fill)(struct json_writer *writer), size_t max)
{
    struct json_writer *const writer = json_writer_new(max);
    const char *text;
    size_t length;
    fill(writer);
    const int err = json_writer_end(writer, &text, &length);
    json_writer_free(writer);
    return err;
}

static void fill_nothing(struct json_writer *writer)
{
    (void)writer;
}
static void fill_open(struct json_writer *writer)
{
    json_put_object(writer, NULL);
}
static void fill_too_many_ends(struct json_writer *writer)
{
    json_put_object(writer, NULL);
    json_put_end(writer);
    json_put_end(writer);
}
static void fill_not_utf8(struct json_writer *writer)
{
    json_put_object(writer, NULL);
    json_put_string(writer, "a", "\xc0\xaf");
    json_put_end(writer);
}
static void fill_nameless_member(struct json_writer *writer)
{
    json_put_object(writer, NULL);
    json_put_bool(writer, NULL, true);
    json_put_end(writer);
}
static void fill_named_element(struct json_writer *writer)
{
    json_put_array(writer, NULL);
    json_put_bool(writer, "a", true);
    json_put_end(writer);
}
static void fill_deep(struct json_writer *writer)
{
    for (unsigned i = 0; i < 100; i++)
        json_put_array(writer, NULL);
    for (unsigned i = 0; i < 100; i++)
        json_put_end(writer);
}
static void fill_eight_bytes(struct json_writer *writer)
{
    json_put_array(writer, NULL);
    json_put_string(writer, NULL, "abc");
    json_put_end(writer);
}

START_TEST(writes_nothing_unsound)
{
    ck_assert_int_eq(written(fill_nothing, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_open, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_too_many_ends, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_not_utf8, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_nameless_member, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_named_element, 99), NX_EINVAL);
    ck_assert_int_eq(written(fill_deep, 9999), NX_EINVAL);
    ck_assert_int_eq(written(fill_eight_bytes, 8), NX_OK);
    ck_assert_int_eq(written(fill_eight_bytes, 7), NX_ENOMEM);
    ck_assert_int_eq(written(fill_eight_bytes, 4), NX_ENOMEM);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, pieces_of_any_size);
    tcase_add_test(tcase, what_is_no_document);
    tcase_add_test(tcase, text_that_is_not_utf8);
    tcase_add_test(tcase, endless_documents_cost_a_bound);
    tcase_add_test(tcase, small_pieces_cost_no_more_than_large_ones);
    tcase_add_test(tcase, brackets_in_strings);
    tcase_add_test(tcase, pieces_around_the_buffer);
    tcase_add_test(tcase, limits_are_exact);
    tcase_add_test(tcase, members_and_their_messages);
    tcase_add_test(tcase, messages_are_one_short_line);
    tcase_add_test(tcase, writes_what_it_is_told);
    tcase_add_test(tcase, writes_nothing_unsound);
}

int main(void)
{
    return unit_run("nexodus/json", fill);
}
