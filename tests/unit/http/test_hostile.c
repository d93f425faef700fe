/* Servers that want to keep us, fill us, or break us. */
#include "unit.h"

#include "common/clock.h"
#include "common/err.h"
#include "ctld/http/answer.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 64 << 20 };

static const char *said; /* what a scripted server says */
static bool then_closes;

static void say(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_write(connection, said);
    if (then_closes)
        rig_close(connection);
}

static struct rig_result *ask(const char *text, bool closes)
{
    struct http_request request = rig_request("https://api.test/");
    request.answer_max_bytes = 1000;
    request.timeout_ms = 5000;
    said = text;
    then_closes = closes;
    rig.server.handler = say;
    return rig_await(rig_submit(&request));
}

static void fails(const char *text, bool closes, enum http_failure failure)
{
    struct rig_result *const result = ask(text, closes);
    ck_assert_msg(result->failure == failure, "%s: %d, status %u: %s", text, result->failure, result->status,
                  result->error);
    ck_assert_msg(strncmp(result->error, "api.test port 443: ", 19) == 0, "%s", result->error);
    rig_result_free(result);
}

/* A server that goes on with the same for as long as it may. */
struct flood {
    const char *head, *piece;
    size_t sent;
    struct rig_connection *connection;
};

static void on_drained(struct bufferevent *stream, void *arg)
{
    struct rig_connection *const connection = arg;
    struct flood *const flood = rig.server.arg;
    (void)connection;
    for (int i = 0; i < 16 && flood->sent < MANY; i++) {
        bufferevent_write(stream, flood->piece, strlen(flood->piece));
        flood->sent += strlen(flood->piece);
    }
}

static void on_flood_end(struct bufferevent *stream, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_disable(stream, EV_READ | EV_WRITE);
}

static void begin_flood(struct rig_connection *connection, void *arg)
{
    struct flood *const flood = arg;
    rig_write(connection, flood->head);
    bufferevent_setcb(connection->stream, NULL, on_drained, on_flood_end, connection);
    bufferevent_trigger(connection->stream, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

/* How much the server got rid of until it was given up. */
static size_t flooded(const char *head, const char *piece, enum http_failure failure)
{
    struct flood flood = {.head = head, .piece = piece};
    struct http_request request = rig_request("https://api.test/");
    request.timeout_ms = 15000;
    rig.server.handler = begin_flood;
    rig.server.arg = &flood;
    const size_t memory = mallinfo2().uordblks;
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == failure, "%d, status %u: %s", result->failure, result->status,
                  result->error);
    ck_assert_uint_lt(flood.sent, MANY);
    rig_result_free(result);
    rig_server_stop(&rig.server);
    rig_client_renew(NULL);
    const size_t left = mallinfo2().uordblks;
    ck_assert_msg(left < memory + (1 << 20), "%zu bytes before, %zu after", memory, left);
    rig_server_start(&rig.server, &rig_certificate_good);
    return flood.sent;
}

START_TEST(endless_headers)
{
    static char line[8193];
    memset(line, 'h', sizeof line - 1);
    ck_assert_uint_lt(flooded("HTTP/1.1 200 OK\r\n", "X-A: b\r\n", HTTP_TOO_LARGE), 8 << 20);
    memcpy(line, "X-A: ", 5);
    memcpy(line + 8190, "\r\n", 2);
    ck_assert_uint_lt(flooded("HTTP/1.1 200 OK\r\n", line, HTTP_TOO_LARGE), 8 << 20);
}
END_TEST

START_TEST(endless_line)
{
    static char line[8193];
    memset(line, 'h', sizeof line - 1);
    struct rig_result *result;
    struct flood flood = {.head = "HTTP/1.1 200 OK\r\nX-A: ", .piece = line};
    const struct http_request request = rig_request("https://api.test/");
    rig.server.handler = begin_flood;
    rig.server.arg = &flood;
    result = rig_await(rig_submit(&request));
    ck_assert_int_ne(result->failure, HTTP_DONE);
    ck_assert_uint_lt(flood.sent, 8 << 20);
    rig_result_free(result);
}
END_TEST

START_TEST(endless_interim_answers)
{
    ck_assert_uint_lt(flooded("", "HTTP/1.1 100 Continue\r\n\r\n", HTTP_TOO_LARGE), 8 << 20);
    ck_assert_uint_lt(flooded("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", HTTP_TOO_LARGE), 8 << 20);
}
END_TEST

START_TEST(endless_bodies)
{
    static char piece[8193];
    memset(piece, 'b', sizeof piece - 1);
    ck_assert_uint_lt(flooded("HTTP/1.1 200 OK\r\n\r\n", piece, HTTP_TOO_LARGE), 16 << 20);
    ck_assert_uint_lt(
        flooded("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", piece, HTTP_TOO_LARGE), 16 << 20);
    ck_assert_uint_lt(
        flooded("HTTP/1.1 500 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\nxx\r\n", HTTP_TOO_LARGE),
        16 << 20);
    static char chunk[6 + 0x1ff0 + 2 + 1];
    memcpy(chunk, "1ff0\r\n", 6);
    memset(chunk + 6, 'c', 0x1ff0);
    memcpy(chunk + 6 + 0x1ff0, "\r\n", 2);
    ck_assert_uint_lt(flooded("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, HTTP_TOO_LARGE),
                      16 << 20);
}
END_TEST

START_TEST(endless_trailers)
{
    ck_assert_uint_lt(
        flooded("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-T: u\r\n", HTTP_TOO_LARGE),
        8 << 20);
}
END_TEST

START_TEST(exactly_as_much_as_asked_for)
{
    char text[1200], body[1002];
    for (int bytes = 999; bytes <= 1001; bytes++) {
        memset(body, 'x', (size_t)bytes);
        body[bytes] = '\0';
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", bytes, body);
        struct rig_result *const result = ask(text, false);
        ck_assert_int_eq(result->failure, bytes <= 1000 ? HTTP_DONE : HTTP_TOO_LARGE);
        if (bytes <= 1000)
            ck_assert_str_eq(rig_text(result->body), body);
        else
            ck_assert_msg(strstr(result->error, "1000 bytes") != NULL, "%s", result->error);
        rig_result_free(result);
    }
}
END_TEST

START_TEST(answers_that_are_cut)
{
    fails("", true, HTTP_CUT);
    fails("HTTP/1.1 200 OK\r\nContent-Le", true, HTTP_CUT);
    fails("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", true, HTTP_CUT);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", true, HTTP_CUT);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", true, HTTP_CUT);
    fails("HTTP/1.1 100 Continue\r\n\r\n", true, HTTP_CUT);
}
END_TEST

START_TEST(what_is_not_http)
{
    fails("220 mail.test ESMTP\r\n250 HELP\r\n\r\n", true, HTTP_PROTOCOL);
    fails("<html>hello</html>\r\n\r\n", true, HTTP_PROTOCOL);
    fails("HTTP/9.9 200 OK\r\n\r\n", true, HTTP_PROTOCOL);
    fails("HTTP/1.1 abc OK\r\n\r\n", true, HTTP_PROTOCOL);
    fails("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx", true, HTTP_PROTOCOL);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n", true, HTTP_CUT);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nxx\r\n", true, HTTP_CUT);
}
END_TEST

START_TEST(odd_but_harmless)
{
    static const struct {
        const char *text, *type, *body;
        unsigned status;
    } cases[] = {
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "", "ok", 200},
        {"HTTP/1.0 200 OK\r\nContent-Type: a\r\ncontent-type:   b  \r\nContent-Length: 2\r\n\r\nok", "b",
         "ok", 200},
        {"HTTP/1.1 100 Continue\r\nContent-Type: no\r\n\r\nHTTP/1.1 201 X\r\nContent-Length: 2\r\n\r\nok", "",
         "ok", 201},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", "", "ok", 200},
        {"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n", "", "", 204},
        {"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nStrict-Transport-Security: max-age=1\r\nAlt-Svc: "
         "h3=\":1\"\r\n"
         "Refresh: 0; url=https://evil.test/\r\nContent-Length: 2\r\n\r\nok",
         "", "ok", 200},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Type: trailer\r\n\r\n",
         "", "ok", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_result *const result = ask(cases[i].text, false);
        ck_assert_msg(result->failure == HTTP_DONE, "%zu: %s", i, result->error);
        ck_assert_uint_eq(result->status, cases[i].status);
        ck_assert_str_eq(result->content_type, cases[i].type);
        ck_assert_str_eq(rig_text(result->body), cases[i].body);
        rig_result_free(result);
    }
    ck_assert_ptr_null(strcasestr(rig.server.last, "cookie"));
}
END_TEST

static void answer_unasked(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_reply(connection, 200, "a", "first");
    rig_reply(connection, 200, "b", "smuggled");
}

/* What a server says without being asked is no answer to the next question. */
START_TEST(answers_without_a_question)
{
    const struct http_request request = rig_request("https://api.test/");
    rig.server.handler = answer_unasked;
    for (int i = 0; i < 4; i++) {
        struct rig_result *const result = rig_await(rig_submit(&request));
        ck_assert_msg(result->failure != HTTP_DONE || strcmp(rig_text(result->body), "first") == 0, "%s",
                      rig_text(result->body));
        rig_result_free(result);
        rig_run_ms(5);
    }
}
END_TEST

/* A deflated megabyte of zeros in 1 KiB, over and over; nobody asked for compression. */
START_TEST(bombs_stay_packed_or_are_cut)
{
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n", true,
          HTTP_PROTOCOL);
    fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, gzip, gzip, gzip, gzip, gzip, gzip, chunked\r\n\r\n",
          true, HTTP_PROTOCOL);
}
END_TEST

/* One byte each time, for ever. */
static struct event *drip;
static size_t dripped;

static void on_drip(evutil_socket_t fd, short what, void *arg)
{
    struct rig_connection *const connection = arg;
    const char byte[2] = {said[dripped % strlen(said)], '\0'};
    (void)fd, (void)what;
    rig_write(connection, byte);
    dripped++;
}

static void begin_drip(struct rig_connection *connection, void *arg)
{
    (void)arg;
    dripped = 0;
    drip = event_new(rig.base, -1, EV_PERSIST, on_drip, connection);
    event_add(drip, &(struct timeval){0, 10000});
}

START_TEST(slow_bytes_are_bounded_in_time)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nX-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n...................."};
    for (size_t i = 0; i < 2; i++) {
        struct http_request request = rig_request("https://api.test/");
        request.timeout_ms = 600;
        said = texts[i];
        rig.server.handler = begin_drip;
        const uint64_t begin_ns = clock_now_ns();
        struct rig_result *const result = rig_await(rig_submit(&request));
        const uint64_t took_ms = (clock_now_ns() - begin_ns) / NS_PER_MS;
        event_free(drip);
        ck_assert_msg(result->failure == HTTP_TIMED_OUT, "%d: %s", result->failure, result->error);
        ck_assert_msg(took_ms >= 590 && took_ms < 2000, "%llu ms", (unsigned long long)took_ms);
        ck_assert_uint_gt(dripped, 10);
        rig_result_free(result);
        rig_run_ms(20);
    }
}
END_TEST

/* Every prefix of an answer, cut there. */
START_TEST(cut_anywhere)
{
    static const char whole[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello";
    char part[sizeof whole];
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        memcpy(part, whole, length);
        part[length] = '\0';
        struct rig_result *const result = ask(part, true);
        ck_assert_msg(result->failure == HTTP_CUT || result->failure == HTTP_PROTOCOL, "%zu: %d %s", length,
                      result->failure, result->error);
        rig_result_free(result);
    }
}
END_TEST

/* The parser of header lines by itself. */
START_TEST(header_lines)
{
    struct answer answer = {0};
    static const char *const lines[] = {"HTTP/2 200\r\n",
                                        "content-type: x\r\n",
                                        "retry-after:120\r\n",
                                        "location:\r\n",
                                        ":\r\n",
                                        "nonsense\r\n",
                                        "date: garbage\r\n",
                                        "HTTP/1.1 500 inside\r\n",
                                        "content-type: \x01\xff\r\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_int_eq(answer_header(&answer, lines[i], strlen(lines[i])), NX_OK);
    ck_assert(!answer.header_whole);
    ck_assert_int_eq(answer_header(&answer, "\r\n", 2), NX_OK);
    ck_assert(answer.header_whole);
    ck_assert_uint_eq(answer.status, 200);
    ck_assert_str_eq(answer.content_type, "\x01\xff");
    ck_assert_str_eq(answer.retry_after, "120");
    ck_assert_int_eq(answer.date_unix_s, 0);
    ck_assert_int_eq(answer_header(&answer, "HTTP/1.1 500 trailer\r\n", 22), NX_OK);
    ck_assert_uint_eq(answer.status, 200);
    char long_line[ANSWER_LOCATION_MAX + 100];
    memset(long_line, 'l', sizeof long_line);
    memcpy(long_line, "location: ", 10);
    answer_clear(&answer);
    ck_assert_int_eq(answer_header(&answer, "HTTP/1.1 302 x\r\n", 16), NX_OK);
    ck_assert_int_eq(answer_header(&answer, long_line, sizeof long_line), NX_OK);
    ck_assert_str_eq(answer.location, "");
    answer_clear(&answer);
    ck_assert_int_eq(answer_header(&answer, "HTTP/1.1 ", 9), NX_OK);
    ck_assert_uint_eq(answer.status, 0);
    answer_clear(&answer);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, endless_headers);
    tcase_add_test(tcase, endless_line);
    tcase_add_test(tcase, endless_interim_answers);
    tcase_add_test(tcase, endless_bodies);
    tcase_add_test(tcase, endless_trailers);
    tcase_add_test(tcase, exactly_as_much_as_asked_for);
    tcase_add_test(tcase, answers_that_are_cut);
    tcase_add_test(tcase, what_is_not_http);
    tcase_add_test(tcase, odd_but_harmless);
    tcase_add_test(tcase, answers_without_a_question);
    tcase_add_test(tcase, bombs_stay_packed_or_are_cut);
    tcase_add_test(tcase, slow_bytes_are_bounded_in_time);
    tcase_add_test(tcase, cut_anywhere);
    tcase_add_test(tcase, header_lines);
}

int main(void)
{
    return unit_run("hostile", add, 90);
}
