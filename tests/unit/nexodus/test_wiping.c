/* Tokens do not stay behind in memory: whatever is freed while one is read, written, verified or opened is
 * looked through for it first. */
#include "common/err.h"
#include "ctld/nexodus/event_stream.h"
#include "ctld/nexodus/json_write.h"
#include "ctld/nexodus/jwt.h"
#include "ctld/nexodus/reg_key.h"
#include "ctld/nexodus/sealed_token.h"
#include "tests/unit/common/unit.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* What is looked for; a whole token would miss pieces of one. */
#define SECRET "kT7vQ2xW9zL4"

#ifndef NEXD_SANITIZE /* has an allocator of its own */

void __libc_free(void *memory);

static volatile bool watching;
static volatile unsigned frees, found;

void free(void *memory)
{
    if (memory && watching) {
        frees++;
        found += memmem(memory, malloc_usable_size(memory), SECRET, sizeof SECRET - 1) != NULL;
    }
    __libc_free(memory);
}

static void watch(void)
{
    frees = found = 0;
    watching = true;
}

static void nothing_found(void)
{
    watching = false;
    ck_assert_uint_gt(frees, 0);
    ck_assert_uint_eq(found, 0);
}

START_TEST(the_watch_sees)
{
    watch();
    char *const memory = malloc(64);
    snprintf(memory, 64, "x" SECRET);
    free(memory);
    watching = false;
    ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(documents)
{
    /* With escapes, so that yajl decodes it into a buffer, and in pieces, so that it keeps it in another. */
    static const char text[] =
        "{\"access_token\":\"\\u0041" SECRET SECRET "\",\"" SECRET "\":[\"" SECRET "\"]}";
    char error[JSON_ERROR_MAX];
    size_t consumed;
    watch();
    for (size_t piece = 1; piece <= sizeof text - 1; piece++) {
        struct json_reader *const reader = json_reader_new(&json_limits_answer);
        int err = NX_EAGAIN;
        for (size_t at = 0; at < sizeof text - 1; at += consumed) {
            const size_t left = sizeof text - 1 - at;
            err = json_reader_feed(reader, text + at, left < piece ? left : piece, &consumed, error);
        }
        ck_assert_int_eq(err, NX_OK);
        if (piece % 2)
            json_reader_reset(reader);
        json_reader_free(reader);
    }
    nothing_found();
}
END_TEST

/* More than one block of the reader's memory. */
START_TEST(large_documents)
{
    static char text[40000];
    char error[JSON_ERROR_MAX], *at = text + sprintf(text, "[0");
    const struct json_value *root;
    for (unsigned i = 0; i < 2000; i++)
        at += sprintf(at, ",\"" SECRET "\"");
    sprintf(at, "]");
    watch();
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    ck_assert_int_eq(json_read(reader, text, strlen(text), &root, error), NX_OK);
    json_reader_reset(reader);
    ck_assert_int_eq(json_read(reader, text, strlen(text), &root, error), NX_OK);
    json_reader_free(reader);
    nothing_found();
}
END_TEST

START_TEST(documents_that_are_broken_off)
{
    static const char text[] = "{\"access_token\":\"" SECRET "\",\"refresh_token\":\"" SECRET;
    char error[JSON_ERROR_MAX];
    size_t consumed;
    watch();
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    ck_assert_int_eq(json_reader_feed(reader, text, sizeof text - 1, &consumed, error), NX_EAGAIN);
    json_reader_free(reader);
    struct event_stream *const stream = event_stream_new();
    struct event event;
    ck_assert_int_eq(event_stream_feed(stream, text, sizeof text - 1, &consumed, &event, error), NX_EAGAIN);
    event_stream_free(stream);
    nothing_found();
}
END_TEST

START_TEST(what_is_written)
{
    watch();
    struct json_writer *const writer = json_writer_new(1 << 20);
    json_put_array(writer, NULL);
    for (unsigned i = 0; i < 1000; i++)
        json_put_string(writer, NULL, SECRET);
    json_put_end(writer);
    json_writer_free(writer);
    nothing_found();
}
END_TEST

START_TEST(tokens_of_others)
{
    /* {"alg":"ES256","kid":SECRET}: refused for its key, after its header was read. */
    static const char header[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImtUN3ZRMnhXOXpMNCJ9.e30.AAAA";
    struct json_reader *const reader = json_reader_new(&json_limits_answer);
    static const char published[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":"
                                    "\"gobQnHFhtznh3u_FtUThzHXHt_F0Io_eenquDi_R-L0\",\"y\":"
                                    "\"ouq3BlCrtYRAGM0Cy6O-jjHN0RyOnfmerqgipbPRl4U\"}]}";
    const struct json_value *root;
    struct jwk_set *keys;
    struct jwt_claims claims;
    char error[JWT_ERROR_MAX];
    ck_assert_int_eq(json_read(reader, published, sizeof published - 1, &root, error), NX_OK);
    ck_assert_int_eq(jwk_set_decode(root, &keys, error), NX_OK);
    const struct jwt_expected expected = {.issuer = "https://a.b", .client_id = "c"};
    watch();
    ck_assert_int_eq(jwt_verify(header, sizeof header - 1, keys, &expected, &claims, error), NX_ENOENT);
    nothing_found();
    jwk_set_free(keys);
    json_reader_free(reader);
}
END_TEST

#endif

START_TEST(registration_keys)
{
    struct reg_key_service service;
    char error[REG_KEY_ERROR_MAX] = "";
    const struct reg_key_options good = {.reg_key = "https://a.b#RK:" SECRET},
                                 bad = {.reg_key = "http://a.b#RK:" SECRET};
    ck_assert_int_eq(reg_key_resolve(&good, &service, error), NX_OK);
    ck_assert_ptr_nonnull(memmem(&service, sizeof service, SECRET, sizeof SECRET - 1));
    reg_key_clear(&service);
    ck_assert_ptr_null(memmem(&service, sizeof service, SECRET, sizeof SECRET - 1));
    ck_assert_int_eq(reg_key_resolve(&bad, &service, error), NX_EINVAL);
    ck_assert_ptr_null(memmem(&service, sizeof service, SECRET, sizeof SECRET - 1));
    ck_assert_ptr_null(strstr(error, SECRET));
}
END_TEST

static void fill(TCase *tcase)
{
#ifndef NEXD_SANITIZE
    tcase_add_test(tcase, the_watch_sees);
    tcase_add_test(tcase, documents);
    tcase_add_test(tcase, large_documents);
    tcase_add_test(tcase, documents_that_are_broken_off);
    tcase_add_test(tcase, what_is_written);
    tcase_add_test(tcase, tokens_of_others);
#endif
    tcase_add_test(tcase, registration_keys);
}

int main(void)
{
    return unit_run("nexodus/wiping", fill);
}
