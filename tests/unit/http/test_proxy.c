/* Through the operator's HTTP proxy: CONNECT, its credentials, whom it is not used for, its refusals. */
#include "unit.h"

#include "certificates.h"
#include "common/err.h"
#include "ctld/http/proxy.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void answer(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_reply(connection, 200, "text/plain", "hello");
}

/* -- A proxy that connects to the rig's server, whatever it is asked for -- */

static void on_from(struct bufferevent *from, void *arg)
{
    struct rig_connection *const connection = arg;
    bufferevent_write_buffer(from == connection->stream ? connection->beyond : connection->stream,
                             bufferevent_get_input(from));
}

static void on_tunnel_end(struct bufferevent *stream, short what, void *arg)
{
    (void)stream, (void)what;
    rig_close(arg);
}

static void tunnel(struct rig_connection *connection, void *arg)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(rig.server.port)};
    (void)arg;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(syscall(SYS_connect, fd, &address, sizeof address), 0);
    evutil_make_socket_nonblocking(fd);
    connection->tunnel = true;
    connection->beyond = bufferevent_socket_new(rig.base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(connection->beyond, on_from, NULL, on_tunnel_end, connection);
    bufferevent_setcb(connection->stream, on_from, NULL, on_tunnel_end, connection);
    bufferevent_enable(connection->beyond, EV_READ | EV_WRITE);
    rig_write(connection, "HTTP/1.1 200 Connection established\r\nX-Proxy: here\r\n\r\n");
}

static void proxy_start(rig_handler handler, bool tls)
{
    static const struct rig_certificate own = {.names = {"proxy.test"}, .begins_s = -60, .ends_s = 3600};
    rig.proxy.handler = handler;
    rig.proxy.plain = !tls;
    rig_server_start(&rig.proxy, &own);
    rig.server.handler = answer;
}

static void route(const char *proxy_url, const char *no_proxy)
{
    const struct http_route route = {.proxy_url = proxy_url, .no_proxy = no_proxy};
    ck_assert_int_eq(http_client_set_route(rig.client, &route), NX_OK);
}

static void works(const char *url, const char *opened_host)
{
    struct http_request request = rig_request(url);
    request.bearer = "secret";
    rig.last_host[0] = '\0';
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_DONE && result->status == 200, "%s", result->error);
    ck_assert_str_eq(rig_text(result->body), "hello");
    ck_assert_str_eq(rig.last_host, opened_host);
    rig_result_free(result);
}

static void refused(const char *url, enum http_failure failure, const char *const *words)
{
    const struct http_request request = rig_request(url);
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == failure, "%d: %s", result->failure, result->error);
    for (; *words; words++)
        ck_assert_msg(strstr(result->error, *words) != NULL, "%s: %s", *words, result->error);
    ck_assert_uint_eq(result->status, 0);
    ck_assert_uint_eq(rig.server.accepted, 0);
    rig_result_free(result);
}

START_TEST(requests_go_through_the_proxy)
{
    proxy_start(tunnel, false);
    route("http://proxy.test:3128", "");
    works("https://api.test/x", "proxy.test");
    ck_assert_uint_eq(rig.last_port, 3128);
    ck_assert_ptr_eq(strstr(rig.proxy.last, "CONNECT api.test:443 HTTP/1.1\r\n"), rig.proxy.last);
    ck_assert_ptr_null(strcasestr(rig.proxy.last, "authorization"));
    ck_assert_ptr_nonnull(strstr(rig.server.last, "Authorization: Bearer secret\r\n"));
    works("https://api.test/y", ""); /* over the same connection */
    works("https://auth.test:8443/", "proxy.test");
    ck_assert_ptr_eq(strstr(rig.proxy.last, "CONNECT auth.test:8443 "), rig.proxy.last);
}
END_TEST

START_TEST(it_is_told_user_and_password_and_nothing_else)
{
    proxy_start(tunnel, false);
    route("http://us%65r:p%40ss@proxy.test:3128/", NULL);
    works("https://api.test/", "proxy.test");
    /* base64("user:p@ss") */
    ck_assert_ptr_nonnull(strstr(rig.proxy.last, "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n"));
    ck_assert_ptr_null(strstr(rig.proxy.last, "secret"));
    ck_assert_ptr_null(strstr(rig.server.last, "Proxy-Authorization"));
    ck_assert_ptr_null(strstr(rig.server.last, "dXNlcjpwQHNz"));
}
END_TEST

START_TEST(proxy_over_tls)
{
    proxy_start(tunnel, true);
    route("https://proxy.test:3129", NULL);
    works("https://api.test/", "proxy.test");
    ck_assert_uint_eq(rig.last_port, 3129);
    ck_assert_ptr_eq(strstr(rig.proxy.last, "CONNECT api.test:443 "), rig.proxy.last);
}
END_TEST

START_TEST(certificates_behind_it_and_its_own_are_verified)
{
    static const struct rig_certificate old = {.names = {"api.test"}, .begins_s = -90000, .ends_s = -3600};
    proxy_start(tunnel, true);
    route("https://proxy.test:3129", NULL);
    rig_server_stop(&rig.server);
    rig_server_start(&rig.server, &old);
    const struct http_request request = rig_request("https://api.test/");
    struct rig_result *result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_TLS && strncmp(result->error, "api.test: ", 10) == 0 &&
                      strstr(result->error, "expired"),
                  "%d %s", result->failure, result->error);
    rig_result_free(result);
    rig_server_stop(&rig.proxy);
    static const struct rig_certificate own = {
        .names = {"proxy.test"}, .begins_s = -60, .ends_s = 3600, .self_signed = true};
    rig_server_start(&rig.proxy, &own);
    result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_TLS && strncmp(result->error, "proxy.test: ", 12) == 0, "%d %s",
                  result->failure, result->error);
    rig_result_free(result);
}
END_TEST

START_TEST(some_hosts_are_reached_without_it)
{
    static const struct {
        const char *no_proxy, *url, *host;
    } cases[] = {
        {"api.test", "https://api.test/", "api.test"},
        {"other.test, .test", "https://api.test/", "api.test"},
        {"other.test", "https://api.test/", "proxy.test"},
        {"*", "https://auth.test/", "auth.test"},
        {"127.0.0.0/8", "https://127.0.0.1/", "127.0.0.1"},
        {"::1", "https://[::1]/", "::1"},
    };
    proxy_start(tunnel, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_client_renew(NULL);
        route("http://proxy.test:3128", cases[i].no_proxy);
        works(cases[i].url, cases[i].host);
    }
}
END_TEST

static void refuse(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_write(connection, arg);
}

START_TEST(refusals_are_told_as_the_proxys)
{
    proxy_start(refuse, false);
    route("http://proxy.test:3128", NULL);
    rig.proxy.arg = "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nevil";
    refused("https://api.test/", HTTP_PROXY,
            (const char *[]){"api.test port 443: ", "proxy.test port 3128", "refuses", "403", NULL});
    rig.proxy.arg = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
    refused("https://api.test/", HTTP_PROXY,
            (const char *[]){"wants a user and a password", "none is set", "HTTPS_PROXY", NULL});
    route("http://user:wrong@proxy.test:3128", NULL);
    refused("https://api.test/", HTTP_PROXY, (const char *[]){"not these", NULL});
    ck_assert_uint_lt(rig.proxy.accepted, 6); /* and it is not asked again and again */
    rig.proxy.arg = "SSH-2.0-OpenSSH\r\n\r\n";
    refused("https://api.test/", HTTP_PROXY, (const char *[]){"proxy.test port 3128", NULL});
}
END_TEST

static void hang_up(struct rig_connection *connection, void *arg)
{
    (void)arg;
    rig_close(connection);
}

static void keep_waiting(struct rig_connection *connection, void *arg)
{
    (void)connection, (void)arg;
}

START_TEST(a_proxy_that_hangs_up_or_waits)
{
    proxy_start(hang_up, false);
    route("http://proxy.test:3128", NULL);
    refused("https://api.test/", HTTP_PROXY, (const char *[]){"proxy.test port 3128", NULL});
    rig.proxy.handler = keep_waiting;
    struct http_request request = rig_request("https://api.test/");
    request.timeout_ms = 200;
    struct rig_result *result = rig_await(rig_submit(&request));
    ck_assert_int_eq(result->failure, HTTP_TIMED_OUT);
    rig_result_free(result);
    rig.manner = RIG_REFUSES;
    result = rig_await(rig_submit(&request));
    ck_assert_int_eq(result->failure, HTTP_CONNECT);
    ck_assert_msg(strstr(result->error, "HTTP proxy") != NULL, "%s", result->error);
    rig_result_free(result);
}
END_TEST

START_TEST(endless_header_of_a_proxy)
{
    static char text[400000];
    memset(text, 'p', sizeof text - 1);
    memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
    proxy_start(refuse, false);
    route("http://proxy.test:3128", NULL);
    rig.proxy.arg = text;
    struct http_request request = rig_request("https://api.test/");
    request.timeout_ms = 3000;
    struct rig_result *const result = rig_await(rig_submit(&request));
    ck_assert_msg(result->failure == HTTP_PROXY || result->failure == HTTP_CUT, "%d: %s", result->failure,
                  result->error);
    rig_result_free(result);
}
END_TEST

START_TEST(urls_of_proxies)
{
    static const struct {
        const char *url, *host, *user, *password;
        uint16_t port;
        bool tls;
    } good[] = {
        {"http://p.test:3128", "p.test", "", "", 3128, false},
        {"http://p.test:80/", "p.test", "", "", 80, false},
        {"https://u:p@p.test:444", "p.test", "u", "p", 444, true},
        {"http://[::1]:8080", "::1", "", "", 8080, false},
        {"http://10.0.0.1:8080", "10.0.0.1", "", "", 8080, false},
    };
    static const char *const bad[] = {"",
                                      "p.test",
                                      "ftp://p.test",
                                      "socks5://p.test:1",
                                      "http://",
                                      "http://p.test:0",
                                      "http://p.test:70000",
                                      "http://p.test/path",
                                      "http://p.test/?q"};
    struct proxy proxy;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(proxy_parse(good[i].url, &proxy) == NX_OK, "%s", good[i].url);
        ck_assert_str_eq(proxy.host, good[i].host);
        ck_assert_str_eq(proxy.user, good[i].user);
        ck_assert_str_eq(proxy.password, good[i].password);
        ck_assert_uint_eq(proxy.port, good[i].port);
        ck_assert(proxy.tls == good[i].tls);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct http_route route = {.proxy_url = bad[i]};
        ck_assert_msg(proxy_parse(bad[i], &proxy) != NX_OK, "%s", bad[i]);
        ck_assert(!bad[i][0] || http_client_set_route(rig.client, &route) == NX_EINVAL);
    }
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, requests_go_through_the_proxy);
    tcase_add_test(tcase, it_is_told_user_and_password_and_nothing_else);
    tcase_add_test(tcase, proxy_over_tls);
    tcase_add_test(tcase, certificates_behind_it_and_its_own_are_verified);
    tcase_add_test(tcase, some_hosts_are_reached_without_it);
    tcase_add_test(tcase, refusals_are_told_as_the_proxys);
    tcase_add_test(tcase, a_proxy_that_hangs_up_or_waits);
    tcase_add_test(tcase, endless_header_of_a_proxy);
    tcase_add_test(tcase, urls_of_proxies);
}

int main(void)
{
    return unit_run("proxy", add, 60);
}
