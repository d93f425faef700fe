/* Requests and answers as they should be, connections and their reuse, cancelling, the opener's failures. */
#include "unit.h"

#include "common/clock.h"

#include <stdio.h>
#include <string.h>

static void answer_hello(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_printf(connection,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2023 03:04:05 "
               "GMT\r\nContent-Length: 5\r\n\r\nhello");
}

START_TEST(get_brings_the_answer)
{
    rig.server.handler = answer_hello;
    struct http_request request = rig_request("https://api.test/api/devices?a=b");
    request.bearer = "secret-token";
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
    ck_assert_uint_eq(result->status, 200);
    ck_assert_str_eq(result->content_type, "application/json");
    ck_assert_str_eq(rig_text(result->body), "hello");
    ck_assert_int_eq(result->date_unix_s, 1672628645);
    ck_assert_str_eq(result->location, "");
    ck_assert_str_eq(rig.last_host, "api.test");
    ck_assert_uint_eq(rig.last_port, 443);
    ck_assert_ptr_eq(strstr(rig.server.last, "GET /api/devices?a=b HTTP/1.1\r\nHost: api.test\r\n"),
                     rig.server.last);
    ck_assert_ptr_nonnull(strstr(rig.server.last, "\r\nAuthorization: Bearer secret-token\r\n"));
    ck_assert_ptr_nonnull(strstr(rig.server.last, "\r\nUser-Agent: nexd/test\r\n"));
    ck_assert_ptr_nonnull(strstr(rig.server.last, "\r\nAccept: application/json\r\n"));
    ck_assert_ptr_null(strcasestr(rig.server.last, "accept-encoding"));
    ck_assert_ptr_null(strcasestr(rig.server.last, "content-type"));
    rig_result_free(result);
}
END_TEST

START_TEST(methods_carry_their_bodies)
{
    static const struct {
        enum http_method method;
        const char *line, *body;
    } cases[] = {
        {HTTP_POST, "POST /x HTTP/1.1\r\n", "{\"a\":1}"}, {HTTP_PATCH, "PATCH /x HTTP/1.1\r\n", "{\"a\":2}"},
        {HTTP_PUT, "PUT /x HTTP/1.1\r\n", "{}"},          {HTTP_DELETE, "DELETE /x HTTP/1.1\r\n", NULL},
        {HTTP_POST, "POST /x HTTP/1.1\r\n", ""},
    };
    rig.server.handler = answer_hello;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_request request = rig_request("https://api.test/x");
        request.method = cases[i].method;
        request.content_type = cases[i].body ? "application/json" : NULL;
        request.body = cases[i].body;
        request.body_bytes = cases[i].body ? strlen(cases[i].body) : 0;
        request.basic = "Basic Zm9vOmJhcg==";
        struct rig_result *const result = rig_await(rig_submit(&request));
        ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
        ck_assert_ptr_eq(strstr(rig.server.last, cases[i].line), rig.server.last);
        ck_assert_ptr_nonnull(strstr(rig.server.last, "\r\nAuthorization: Basic Zm9vOmJhcg==\r\n"));
        ck_assert_ptr_null(strcasestr(rig.server.last, "expect:"));
        if (cases[i].body) {
            char end[64];
            snprintf(end, sizeof end, "\r\n\r\n%s", cases[i].body);
            ck_assert_str_eq(strstr(rig.server.last, "\r\n\r\n"), end);
            ck_assert_ptr_nonnull(strstr(rig.server.last, "\r\nContent-Type: application/json\r\n"));
        }
        rig_result_free(result);
    }
    ck_assert_uint_eq(rig.opens, 1); /* all over one connection */
    ck_assert_uint_eq(rig.server.accepted, 1);
}
END_TEST

START_TEST(large_body_goes_out_without_a_question)
{
    rig.server.handler = answer_hello;
    const size_t bytes = 3 << 20;
    char *const body = malloc(bytes);
    memset(body, 'x', bytes);
    struct http_request request = rig_request("https://api.test/x");
    request.method = HTTP_POST;
    request.content_type = "text/plain";
    request.body = body;
    request.body_bytes = bytes;
    struct rig_result *const result = rig_submit(&request);
    memset(body, 'y', bytes); /* it was copied */
    rig_await(result);
    ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
    ck_assert_ptr_null(strcasestr(rig.server.last, "expect:"));
    ck_assert_ptr_null(strstr(rig.server.last, "yyy"));
    free(body);
    rig_result_free(result);
}
END_TEST

static void answer_by_path(struct rig_connection *connection, void *arg)
{
    const unsigned status = (unsigned)strtoul(connection->request + strlen("GET /"), NULL, 10);
    (void)arg;
    rig_printf(
        connection,
        "HTTP/1.1 %u X\r\nContent-Length: %d\r\nLocation: https://evil.test/\r\nRetry-After: 17\r\n\r\n%s",
        status, status == 204 || status == 304 ? 0 : 2, status == 204 || status == 304 ? "" : "{}");
}

START_TEST(every_status_is_an_answer_and_redirects_are_not_followed)
{
    static const unsigned statuses[] = {201, 204, 301, 302, 304, 307, 308, 400,
                                        401, 403, 404, 407, 409, 429, 500, 503};
    rig.server.handler = answer_by_path;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char url[64];
        snprintf(url, sizeof url, "https://api.test/%u", statuses[i]);
        const struct http_request request = rig_request(url);
        struct rig_result *const result = rig_await(rig_submit(&request));
        ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
        ck_assert_uint_eq(result->status, statuses[i]);
        ck_assert_str_eq(result->location, "https://evil.test/");
        ck_assert_str_eq(result->retry_after, "17");
        rig_result_free(result);
    }
    ck_assert_uint_eq(rig.opens, 1);
    ck_assert_uint_eq(rig.server.connections->requests, sizeof statuses / sizeof *statuses);
}
END_TEST

START_TEST(hosts_and_ports_lead_where_they_should)
{
    static const struct {
        const char *url, *host, *line;
        uint16_t port;
    } cases[] = {
        {"https://auth.test:8443/realms/x", "auth.test", "\r\nHost: auth.test:8443\r\n", 8443},
        {"https://localhost/", "localhost", "\r\nHost: localhost\r\n", 443},
        {"https://127.0.0.1:444/", "127.0.0.1", "\r\nHost: 127.0.0.1:444\r\n", 444},
        {"https://[::1]:444/", "::1", "\r\nHost: [::1]:444\r\n", 444},
    };
    rig.server.handler = answer_hello;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct http_request request = rig_request(cases[i].url);
        struct rig_result *const result = rig_await(rig_submit(&request));
        ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
        ck_assert_str_eq(rig.last_host, cases[i].host);
        ck_assert_uint_eq(rig.last_port, cases[i].port);
        ck_assert_ptr_nonnull(strstr(rig.server.last, cases[i].line));
        rig_result_free(result);
    }
    ck_assert_uint_eq(rig.opens, sizeof cases / sizeof *cases);
}
END_TEST

START_TEST(what_is_no_request_is_not_taken)
{
    static const char *const urls[] = {"http://api.test/",
                                       "https://",
                                       "",
                                       "ftp://api.test/",
                                       "HTTPS//api.test/",
                                       "https://a@api.test/",
                                       "https://api.test:0/",
                                       "https:///x",
                                       "https://api.test/\r\nX: y",
                                       "https://[fe80::1%25eth0]/",
                                       "https://api.test:99999/",
                                       "file:///etc/passwd"};
    static const struct http_events events = {0};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const struct http_request request = rig_request(urls[i]);
        ck_assert_msg(rig.http->submit(rig.http, &request, &events, NULL) == NULL, "%s", urls[i]);
    }
    struct http_request request = rig_request("https://api.test/");
    request.bearer = "a\r\nX-Injected: b";
    ck_assert_ptr_null(rig.http->submit(rig.http, &request, &events, NULL));
    request.bearer = NULL;
    request.content_type = "a\nb";
    ck_assert_ptr_null(rig.http->submit(rig.http, &request, &events, NULL));
    ck_assert_uint_eq(http_client_pending(rig.client), 0);
    ck_assert_uint_eq(rig.opens, 0);
}
END_TEST

START_TEST(no_connection_is_told_with_its_cause)
{
    rig.manner = RIG_REFUSES;
    const struct http_request request = rig_request("https://api.test/");
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_int_eq(result->failure, HTTP_CONNECT);
    ck_assert_str_eq(result->error, "api.test port 443: refused");
    ck_assert_uint_eq(result->status, 0);
    rig_result_free(result);
}
END_TEST

START_TEST(connection_that_never_comes_times_out)
{
    rig.manner = RIG_HANGS;
    struct http_request request = rig_request("https://api.test/");
    request.timeout_ms = 200;
    const uint64_t begin_ns = clock_now_ns();
    struct rig_result *const result = rig_await(rig_submit(&request));
    const uint64_t took_ms = (clock_now_ns() - begin_ns) / NS_PER_MS;
    ck_assert_int_eq(result->failure, HTTP_TIMED_OUT);
    ck_assert_msg(strstr(result->error, "api.test port 443: no connection in time"), "%s", result->error);
    ck_assert(took_ms >= 190 && took_ms < 3000);
    ck_assert_uint_eq(rig.cancels, 1);
    rig_result_free(result);
}
END_TEST

START_TEST(closed_idle_connection_is_replaced)
{
    rig.server.handler = answer_hello;
    const struct http_request request = rig_request("https://api.test/");
    for (unsigned i = 0; i < 3; i++) {
        struct rig_result *const result = rig_await(rig_submit(&request));
        ck_assert_msg(result->failure == HTTP_DONE, "%s", result->error);
        rig_result_free(result);
        rig_close(rig.server.connections);
        rig_run_ms(20);
        ck_assert_uint_eq(rig.server.open, 0);
        ck_assert_uint_eq(rig.opens, i + 1);
    }
}
END_TEST

static void answer_never(struct rig_connection *connection, void *arg)
{
    (void)connection;
    (*(unsigned *)arg)++;
}

START_TEST(cancelling_is_possible_at_any_time)
{
    static unsigned asked;
    asked = 0;
    rig.server.handler = answer_never;
    rig.server.arg = &asked;
    const struct http_request request = rig_request("https://api.test/");
    struct rig_result *result = rig_submit(&request);
    rig.http->cancel(rig.http, result->exchange); /* before anything happened */
    ck_assert_uint_eq(http_client_pending(rig.client), 0);
    rig_run_ms(10);
    ck_assert_uint_eq(rig.opens, 0);
    rig_result_free(result);

    rig.manner = RIG_HANGS;
    result = rig_submit(&request);
    rig_until(&rig.opens, 1);
    rig.http->cancel(rig.http, result->exchange); /* while the connection is made */
    ck_assert_uint_eq(rig.cancels, 1);
    rig_result_free(result);
    rig_run_ms(10);

    rig.manner = RIG_OPENS;
    result = rig_submit(&request);
    rig_until(&rig.server.accepted, 1);
    rig.http->cancel(rig.http, result->exchange); /* during the handshake */
    rig_result_free(result);
    rig_run_ms(20);
    ck_assert_uint_eq(rig.server.open, 0);

    result = rig_submit(&request);
    rig_until(&asked, 1);
    rig.http->cancel(rig.http, result->exchange); /* while the answer is awaited */
    rig.http->cancel(rig.http, NULL);
    rig_result_free(result);
    rig_run_ms(20);
    ck_assert_uint_eq(rig.server.open, 0);
}
END_TEST

START_TEST(requests_at_once_are_bounded_and_all_answered)
{
    rig.server.handler = answer_hello;
    struct rig_result *results[HTTP_EXCHANGES_MAX];
    const struct http_request request = rig_request("https://api.test/");
    static const struct http_events events = {0};
    for (int i = 0; i < HTTP_EXCHANGES_MAX; i++)
        results[i] = rig_submit(&request);
    ck_assert_ptr_null(rig.http->submit(rig.http, &request, &events, NULL));
    for (int i = 0; i < HTTP_EXCHANGES_MAX; i++) {
        rig_await(results[i]);
        ck_assert_msg(results[i]->failure == HTTP_DONE, "%s", results[i]->error);
        rig_result_free(results[i]);
    }
}
END_TEST

START_TEST(client_ends_with_requests_under_way)
{
    static unsigned asked;
    asked = 0;
    rig.server.handler = answer_never;
    rig.server.arg = &asked;
    const struct http_request request = rig_request("https://api.test/");
    struct rig_result *const waiting = rig_submit(&request);
    rig_until(&asked, 1);
    rig.manner = RIG_HANGS;
    const struct http_request other = rig_request("https://auth.test/");
    struct rig_result *const opening = rig_submit(&other);
    rig_until(&rig.opens, 2);
    struct rig_result *const queued = rig_submit(&request);
    rig_client_renew(NULL);
    ck_assert(!waiting->ended && !opening->ended && !queued->ended);
    rig_result_free(waiting);
    rig_result_free(opening);
    rig_result_free(queued);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, get_brings_the_answer);
    tcase_add_test(tcase, methods_carry_their_bodies);
    tcase_add_test(tcase, large_body_goes_out_without_a_question);
    tcase_add_test(tcase, every_status_is_an_answer_and_redirects_are_not_followed);
    tcase_add_test(tcase, hosts_and_ports_lead_where_they_should);
    tcase_add_test(tcase, what_is_no_request_is_not_taken);
    tcase_add_test(tcase, no_connection_is_told_with_its_cause);
    tcase_add_test(tcase, connection_that_never_comes_times_out);
    tcase_add_test(tcase, closed_idle_connection_is_replaced);
    tcase_add_test(tcase, cancelling_is_possible_at_any_time);
    tcase_add_test(tcase, requests_at_once_are_bounded_and_all_answered);
    tcase_add_test(tcase, client_ends_with_requests_under_way);
}

int main(void)
{
    return unit_run("requests", add, 60);
}
