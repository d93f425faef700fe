/* Streams: pieces as they come, their regular end, silence, cancelling from within, refusals. */
#include "unit.h"

#include "common/clock.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

static struct rig_connection *streaming;
static unsigned asked;

static void begin_stream(struct rig_connection *connection, void *arg)
{
    (void)arg;
    streaming = connection;
    asked++;
    rig_write(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/json;stream=watch\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
}

static void chunk(const char *text)
{
    rig_printf(streaming, "%zx\r\n%s\r\n", strlen(text), text);
}

static struct http_request stream_request(void)
{
    struct http_request request = rig_request("https://api.test/api/events");
    request.method = HTTP_POST;
    request.content_type = "application/json";
    request.body = "[]";
    request.body_bytes = 2;
    request.stream = true;
    request.answer_max_bytes = 100;
    return request;
}

static struct rig_result *stream_open(const struct http_request *request)
{
    asked = 0;
    rig.server.handler = begin_stream;
    struct rig_result *const result = rig_submit(request);
    rig_until(&asked, 1);
    return result;
}

START_TEST(pieces_come_as_they_are_sent)
{
    const struct http_request request = stream_request();
    struct rig_result *const result = stream_open(&request);
    for (unsigned i = 1; i <= 5; i++) {
        chunk("{\"type\":\"change\"}\n");
        rig_until(&result->pieces, i);
        ck_assert_uint_eq(evbuffer_get_length(result->data), i * 18);
    }
    ck_assert(result->opened && !result->ended);
    ck_assert_str_eq(result->content_type, "application/json;stream=watch");
    rig_write(streaming, "0\r\n\r\n");
    rig_await(result);
    ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
    ck_assert_uint_eq(result->status, 200);
    ck_assert_uint_eq(evbuffer_get_length(result->body), 0);
    rig_result_free(result);
}
END_TEST

START_TEST(requests_go_on_beside_a_stream)
{
    const struct http_request request = stream_request();
    struct rig_result *const result = stream_open(&request);
    rig_write(streaming, "2\r\n{}\r\n");
    rig_until(&result->pieces, 1);
    for (int i = 0; i < 3; i++) {
        asked = 0;
        struct rig_result *const other = stream_open(&request);
        rig_write(streaming, "0\r\n\r\n");
        rig_await(other);
        ck_assert_msg(other->failure == HTTP_DONE, "%s", other->error);
        rig_result_free(other);
    }
    ck_assert_uint_eq(rig.opens, 2); /* the stream's, and one for all the others */
    rig.http->cancel(rig.http, result->exchange);
    rig_result_free(result);
}
END_TEST

START_TEST(a_cut_is_told_from_the_end)
{
    const struct http_request request = stream_request();
    struct rig_result *const result = stream_open(&request);
    chunk("{}");
    rig_until(&result->pieces, 1);
    rig_cut(streaming);
    rig_await(result);
    ck_assert_int_eq(result->failure, HTTP_CUT);
    ck_assert_uint_eq(result->status, 200);
    ck_assert_msg(strstr(result->error, "api.test port 443: ") == result->error, "%s", result->error);
    rig_result_free(result);
}
END_TEST

START_TEST(silence_ends_a_stream_and_a_byte_keeps_it)
{
    struct http_request request = stream_request();
    request.timeout_ms = 1000; /* of the header only */
    request.silence_ms = 800;
    struct rig_result *const result = stream_open(&request);
    for (unsigned i = 1; i <= 4; i++) {
        rig_run_ms(300);
        ck_assert(!result->ended);
        chunk(" ");
        rig_until(&result->pieces, i);
    }
    const uint64_t begin_ns = clock_now_ns();
    rig_await(result);
    const uint64_t took_ms = (clock_now_ns() - begin_ns) / NS_PER_MS;
    ck_assert_int_eq(result->failure, HTTP_TIMED_OUT);
    ck_assert_msg(strstr(result->error, "not a byte") != NULL, "%s", result->error);
    ck_assert_msg(took_ms >= 790 && took_ms < 4000, "%llu ms", (unsigned long long)took_ms);
    rig_result_free(result);
}
END_TEST

START_TEST(without_a_limit_silence_is_fine)
{
    struct http_request request = stream_request();
    request.timeout_ms = 1000;
    struct rig_result *const result = stream_open(&request);
    rig_run_ms(1300);
    ck_assert(result->opened && !result->ended);
    rig.http->cancel(rig.http, result->exchange);
    rig_result_free(result);
}
END_TEST

static void never(struct rig_connection *connection, void *arg)
{
    (void)connection, (void)arg;
    asked++;
}

START_TEST(header_that_does_not_come_ends_it)
{
    struct http_request request = stream_request();
    request.timeout_ms = 200;
    rig.server.handler = never;
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_int_eq(result->failure, HTTP_TIMED_OUT);
    ck_assert_msg(strstr(result->error, "no answer in time") != NULL, "%s", result->error);
    ck_assert(!result->opened);
    rig_result_free(result);
}
END_TEST

START_TEST(cancelling_from_within_a_piece)
{
    const struct http_request request = stream_request();
    struct rig_result *const result = stream_open(&request);
    result->cancel_on_data = true;
    chunk("{}");
    chunk("{}");
    rig_until(&result->pieces, 1);
    rig_run_ms(50);
    ck_assert_uint_eq(result->pieces, 1);
    ck_assert_uint_eq(http_client_pending(rig.client), 0);
    ck_assert_uint_eq(rig.server.open, 0); /* the connection is no good for others */
    rig_result_free(result);
}
END_TEST

static void refuse_long(struct rig_connection *connection, void *arg)
{
    char body[1001];
    (void)arg;
    memset(body, 'e', 1000);
    body[1000] = '\0';
    rig_reply(connection, 500, "text/plain", body);
}

START_TEST(a_refusal_has_its_body_cut)
{
    const struct http_request request = stream_request();
    rig.server.handler = refuse_long;
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
    ck_assert_uint_eq(result->status, 500);
    ck_assert_uint_eq(evbuffer_get_length(result->body), 100);
    ck_assert(!result->opened);
    rig_result_free(result);
}
END_TEST

START_TEST(a_large_stream_takes_no_memory)
{
    enum { PIECES = 3000 };
    char piece[8001];
    memset(piece, 'x', 8000);
    piece[8000] = '\0';
    const struct http_request request = stream_request();
    struct rig_result *const result = stream_open(&request);
    size_t total = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        chunk(piece);
        while (evbuffer_get_length(result->data) < 8000)
            event_base_loop(rig.base, EVLOOP_ONCE);
        total += evbuffer_get_length(result->data);
        evbuffer_drain(result->data, 8000);
    }
    ck_assert_uint_eq(total, 8000u * PIECES);
    rig.http->cancel(rig.http, result->exchange);
    rig_result_free(result);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, pieces_come_as_they_are_sent);
    tcase_add_test(tcase, requests_go_on_beside_a_stream);
    tcase_add_test(tcase, a_cut_is_told_from_the_end);
    tcase_add_test(tcase, silence_ends_a_stream_and_a_byte_keeps_it);
    tcase_add_test(tcase, without_a_limit_silence_is_fine);
    tcase_add_test(tcase, header_that_does_not_come_ends_it);
    tcase_add_test(tcase, cancelling_from_within_a_piece);
    tcase_add_test(tcase, a_refusal_has_its_body_cut);
    tcase_add_test(tcase, a_large_stream_takes_no_memory);
}

int main(void)
{
    return unit_run("streams", add, 60);
}
