/* The HTTPS server with real connections over loopback, client and server in one event loop: requests and
 * replies, keep-alive, hostile requests, every limit and deadline, streams. */
#include "apid/http/connection.h"
#include "apid/http/server.h"
#include "apid/tls/server.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_MS = 10000 };

static struct event_base *base;
static struct tls_server *tls;
static struct http_server *server;
static SSL_CTX *client_context;
static char folder[] = "/tmp/apid-test-XXXXXX";
static uint16_t port;
static struct http_limits limits;

/* What the handler saw last. */
static struct {
    unsigned requests;
    enum http_method method;
    char host[HTTP_HOST_MAX], path[HTTP_PATH_MAX], query[256], body[64], client[HTTP_CLIENT_MAX], agent[64];
    size_t body_length;
    struct http_stream *stream;
    unsigned drained, closed;
} seen;

static void on_drained(void *arg)
{
    (void)arg;
    seen.drained++;
}

static void on_closed(void *arg)
{
    (void)arg;
    seen.closed++;
    seen.stream = NULL;
}

static void handle(struct http_request *request, void *arg)
{
    static const struct http_stream_events events = {on_drained, on_closed};
    ck_assert_ptr_eq(arg, &seen);
    seen.requests++;
    seen.method = request->method;
    snprintf(seen.host, sizeof(seen.host), "%s", request->host);
    snprintf(seen.path, sizeof(seen.path), "%s", request->path);
    snprintf(seen.query, sizeof(seen.query), "%s", request->query);
    snprintf(seen.body, sizeof(seen.body), "%.*s",
             (int)(request->body_length < 60 ? request->body_length : 60), request->body);
    snprintf(seen.client, sizeof(seen.client), "%s", request->client);
    snprintf(seen.agent, sizeof(seen.agent), "%s",
             http_header(request, "user-agent") ? http_header(request, "user-agent") : "none");
    seen.body_length = request->body_length;
    if (strcmp(request->path, "/stream") == 0)
        seen.stream = http_stream_start(request, "application/json;stream=watch", &events, NULL);
    else if (strcmp(request->path, "/empty") == 0)
        http_reply(request, 204, NULL, NULL, 0);
    else if (strcmp(request->path, "/422") == 0)
        http_reply(request, 422, "text/plain", "x", 1);
    else {
        http_reply_header(request, "X-Test", "yes");
        http_reply_header(request, "X-Bad", "no\r\nX-Injected: 1");
        http_reply(request, 200, "text/plain", "hello", 5);
    }
}

static SSL *connection(void *arg)
{
    return tls_server_connection(arg);
}

static void server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fd, 64), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    port = ntohs(address.sin_port);
    server = http_server_new(&(struct http_server_config){.base = base,
                                                          .listen_fd = fd,
                                                          .limits = limits,
                                                          .connection = connection,
                                                          .connection_arg = tls,
                                                          .handle = handle,
                                                          .handle_arg = &seen});
    ck_assert_ptr_nonnull(server);
}

static void setup(void)
{
    char error[TLS_SERVER_ERROR_MAX], ca[128];
    strcpy(folder, "/tmp/apid-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    base = event_base_new();
    const struct tls_server_config config = {.folder = folder, .host = "t.localhost"};
    ck_assert_msg(tls_server_new(&config, (int64_t)(clock_wall_ns() / NS_PER_S), &tls, error) == NX_OK, "%s",
                  error);
    client_context = SSL_CTX_new(TLS_client_method());
    snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
    ck_assert_int_eq(SSL_CTX_load_verify_locations(client_context, ca, NULL), 1);
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
    memset(&seen, 0, sizeof(seen));
    limits = http_limits_default;
}

static void teardown(void)
{
    char path[128];
    http_server_free(server);
    server = NULL;
    tls_server_free(tls);
    SSL_CTX_free(client_context);
    event_base_free(base);
    static const char *const names[] = {"ca.crt", "ca.key"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A client: what it received, and whether the connection has ended. */
struct peer {
    struct bufferevent *bev;
    char text[262144];
    size_t length;
    bool connected, ended;
};

static void peer_read(struct bufferevent *bev, void *arg)
{
    struct peer *const peer = arg;
    const size_t room = sizeof(peer->text) - 1 - peer->length;
    peer->length += bufferevent_read(bev, peer->text + peer->length, room);
    peer->text[peer->length] = '\0';
}

static void peer_event(struct bufferevent *bev, short what, void *arg)
{
    struct peer *const peer = arg;
    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        peer->connected = true;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        peer->ended = true;
}

/* `name` NULL: plain TCP. */
static struct peer *peer_new(const char *name)
{
    struct peer *const peer = calloc(1, sizeof(*peer));
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (name) {
        SSL *const ssl = SSL_new(client_context);
        SSL_set_tlsext_host_name(ssl, name);
        SSL_set1_host(ssl, name);
        peer->bev =
            bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_openssl_set_allow_dirty_shutdown(peer->bev, 1);
    } else {
        peer->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    }
    bufferevent_setcb(peer->bev, peer_read, NULL, peer_event, peer);
    bufferevent_enable(peer->bev, EV_READ | EV_WRITE);
    ck_assert_int_eq(
        bufferevent_socket_connect(peer->bev, (const struct sockaddr *)&address, sizeof(address)), 0);
    return peer;
}

static void peer_free(struct peer *peer)
{
    bufferevent_free(peer->bev);
    free(peer);
}

static void peer_say(struct peer *peer, const char *text)
{
    ck_assert_int_eq(bufferevent_write(peer->bev, text, strlen(text)), 0);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

/* Runs the loop until the condition holds; fails after WAIT_MS. */
#define wait_for(condition)                                                                                  \
    do {                                                                                                     \
        bool late = false;                                                                                   \
        const struct timeval deadline = {WAIT_MS / 1000, 0};                                                 \
        struct event *const timer = evtimer_new(base, on_late, &late);                                       \
        event_add(timer, &deadline);                                                                         \
        while (!(condition) && !late)                                                                        \
            event_base_loop(base, EVLOOP_ONCE);                                                              \
        event_free(timer);                                                                                   \
        ck_assert_msg(!late, "in vain waited for " #condition);                                              \
    } while (0)

START_TEST(test_request)
{
    server_start();
    struct peer *const peer = peer_new("api.t.localhost");
    peer_say(peer, "POST /api/x%20y?a=1&b=2 HTTP/1.1\r\nHost: API.T.localhost:99\r\nUser-Agent: tester\r\n"
                   "Content-Length: 4\r\n\r\nbody");
    wait_for(strstr(peer->text, "hello"));
    ck_assert_int_eq(seen.method, HTTP_POST);
    ck_assert_str_eq(seen.host, "api.t.localhost");
    ck_assert_str_eq(seen.path, "/api/x%20y");
    ck_assert_str_eq(seen.query, "a=1&b=2");
    ck_assert_str_eq(seen.body, "body");
    ck_assert_str_eq(seen.client, "::ffff:127.0.0.1");
    ck_assert_str_eq(seen.agent, "tester");
    ck_assert_ptr_nonnull(strstr(peer->text, "HTTP/1.1 200 OK\r\n"));
    ck_assert_ptr_nonnull(strstr(peer->text, "X-Test: yes\r\n"));
    ck_assert_ptr_null(strstr(peer->text, "X-Injected"));
    ck_assert_ptr_nonnull(strstr(peer->text, "Content-Length: 5\r\n"));
    /* The same connection goes on. */
    static const char *const methods[] = {"GET", "PUT", "PATCH", "DELETE"};
    static const enum http_method values[] = {HTTP_GET, HTTP_PUT, HTTP_PATCH, HTTP_DELETE};
    for (unsigned i = 0; i < 4; i++) {
        char text[128];
        snprintf(text, sizeof(text), "%s /empty HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
        peer_say(peer, text);
        wait_for(seen.requests == i + 2);
        ck_assert_int_eq(seen.method, values[i]);
    }
    peer->length = 0;
    peer_say(peer, "GET /422 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    wait_for(peer->ended);
    ck_assert_ptr_nonnull(strstr(peer->text, "422 Unprocessable Entity"));
    peer_free(peer);
    wait_for(http_server_connections(server) == 0);
}
END_TEST

START_TEST(test_names)
{
    static const char *const names[] = {"t.localhost", "api.t.localhost", "auth.t.localhost"};
    server_start();
    for (size_t i = 0; i < 3; i++) {
        struct peer *const peer = peer_new(names[i]);
        wait_for(peer->connected);
        peer_free(peer);
    }
    struct peer *const peer = peer_new("other.localhost");
    wait_for(peer->ended);
    ck_assert(!peer->connected);
    peer_free(peer);
}
END_TEST

static const struct {
    const char *request, *answer; /* NULL: the connection just ends */
} hostile[] = {
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "HTTP/1.1 413 "},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 400 "},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 413 "},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", "HTTP/1.1 413 "},
    {"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 "},
    {"BOGUS / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 501 "},
    {"rubbish\r\n\r\n", "HTTP/1.1 400 "},
    {"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
    {"GET / HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400 "},
};

START_TEST(test_hostile)
{
    server_start();
    struct peer *const peer = peer_new("t.localhost");
    peer_say(peer, hostile[_i].request);
    wait_for(peer->length > 12 || peer->ended);
    ck_assert_msg(strncmp(peer->text, hostile[_i].answer, strlen(hostile[_i].answer)) == 0, "%s: %.40s",
                  hostile[_i].request, peer->text);
    ck_assert_uint_eq(seen.requests, 0);
    peer_free(peer);
    wait_for(http_server_connections(server) == 0);
}
END_TEST

START_TEST(test_long_texts)
{
    server_start();
    char *const text = malloc(70000);
    struct peer *peer = peer_new("t.localhost");
    memset(text, 'a', 70000);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    text[69999] = '\0';
    peer_say(peer, text);
    wait_for(peer->length > 12 || peer->ended); /* headers that never end */
    ck_assert_uint_eq(seen.requests, 0);
    peer_free(peer);
    peer = peer_new("t.localhost");
    snprintf(text, 70000, "GET /%01200d HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    peer_say(peer, text);
    wait_for(peer->length > 12);
    ck_assert(strncmp(peer->text, "HTTP/1.1 400 ", 13) == 0);
    ck_assert_uint_eq(seen.requests, 0);
    peer_free(peer);
    free(text);
}
END_TEST

/* Neither silence, nor a handshake that never comes, nor a drip of bytes keeps a connection. */
START_TEST(test_slow_clients)
{
    limits.request_ms = 300;
    server_start();
    struct peer *const silent = peer_new(NULL), *const idle = peer_new("t.localhost"),
                       *const drip = peer_new("t.localhost");
    wait_for(drip->connected && idle->connected);
    while (!drip->ended) {
        const struct timeval pause = {0, 20000};
        bufferevent_write(drip->bev, "G", 1);
        event_base_loopexit(base, &pause);
        event_base_dispatch(base);
    }
    wait_for(silent->ended && idle->ended);
    ck_assert_uint_eq(seen.requests, 0);
    peer_free(silent);
    peer_free(idle);
    peer_free(drip);
    wait_for(http_server_connections(server) == 0);
}
END_TEST

START_TEST(test_idle_deadline)
{
    limits.idle_ms = 200;
    server_start();
    struct peer *const peer = peer_new("t.localhost");
    peer_say(peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(peer->ended);
    ck_assert_uint_eq(seen.requests, 1);
    ck_assert_ptr_nonnull(strstr(peer->text, "hello"));
    peer_free(peer);
}
END_TEST

START_TEST(test_connections_per_client)
{
    limits.connections_per_client = 2;
    server_start();
    struct peer *const first = peer_new("t.localhost"), *const second = peer_new("t.localhost");
    wait_for(first->connected && second->connected);
    struct peer *const third = peer_new("t.localhost");
    wait_for(third->ended);
    ck_assert_uint_eq(http_server_connections(server), 2);
    peer_free(first);
    wait_for(http_server_connections(server) == 1);
    struct peer *const fourth = peer_new("t.localhost");
    wait_for(fourth->connected);
    peer_free(second);
    peer_free(third);
    peer_free(fourth);
}
END_TEST

/* With all places taken a newcomer waits in the kernel's queue, and is served when one leaves. */
START_TEST(test_connections_in_all)
{
    limits.connections = 2;
    server_start();
    struct peer *const first = peer_new("t.localhost"), *const second = peer_new("t.localhost");
    wait_for(first->connected && second->connected);
    struct peer *const third = peer_new("t.localhost");
    const struct timeval pause = {0, 100000};
    event_base_loopexit(base, &pause);
    event_base_dispatch(base);
    ck_assert(!third->connected && !third->ended);
    ck_assert_uint_eq(http_server_connections(server), 2);
    peer_free(first);
    wait_for(third->connected);
    peer_free(second);
    peer_free(third);
}
END_TEST

static struct peer *stream_open(void)
{
    struct peer *const peer = peer_new("t.localhost");
    peer_say(peer, "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    wait_for(strstr(peer->text, "\r\n\r\n"));
    ck_assert_ptr_nonnull(seen.stream);
    ck_assert_ptr_nonnull(strstr(peer->text, "Transfer-Encoding: chunked\r\n"));
    ck_assert_ptr_nonnull(strstr(peer->text, "Content-Type: application/json;stream=watch\r\n"));
    peer->length = 0;
    peer->text[0] = '\0';
    return peer;
}

START_TEST(test_stream)
{
    limits.request_ms = limits.idle_ms = 200; /* streams have no deadline */
    server_start();
    struct peer *const peer = stream_open();
    const struct http_part parts[] = {{"one", 3}, {"", 0}, {"two", 3}};
    ck_assert_int_eq(http_stream_write(seen.stream, parts, 3), NX_OK);
    ck_assert_uint_gt(http_stream_pending(seen.stream), 0);
    wait_for(strstr(peer->text, "two"));
    ck_assert_str_eq(peer->text, "6\r\nonetwo\r\n");
    wait_for(seen.drained > 0 && http_stream_pending(seen.stream) == 0);
    const struct timeval longer = {0, 500000};
    event_base_loopexit(base, &longer);
    event_base_dispatch(base);
    ck_assert(!peer->ended);
    ck_assert_int_eq(http_stream_write(seen.stream, parts, 0), NX_OK);
    http_stream_end(seen.stream);
    wait_for(peer->ended);
    ck_assert_str_eq(peer->text, "6\r\nonetwo\r\n0\r\n\r\n");
    ck_assert_uint_eq(seen.closed, 0);
    peer_free(peer);
    wait_for(http_server_connections(server) == 0);
}
END_TEST

START_TEST(test_stream_reader_leaves)
{
    server_start();
    struct peer *peer = stream_open();
    peer_free(peer);
    wait_for(seen.closed == 1);
    wait_for(http_server_connections(server) == 0);
    /* A client that talks where it should listen is cut. */
    peer = stream_open();
    peer_say(peer, "GET / HTTP/1.1\r\n\r\n");
    wait_for(peer->ended);
    ck_assert_uint_eq(seen.closed, 2);
    ck_assert_uint_eq(seen.requests, 2);
    peer_free(peer);
}
END_TEST

START_TEST(test_stream_slow_reader)
{
    limits.write_ms = 300;
    server_start();
    struct peer *const peer = stream_open();
    bufferevent_disable(peer->bev, EV_READ);
    char *const block = calloc(1, 1 << 20);
    const struct http_part part = {block, 1 << 20};
    for (unsigned i = 0; i < 16; i++) /* more than the kernel's buffers take */
        ck_assert_int_eq(http_stream_write(seen.stream, &part, 1), NX_OK);
    wait_for(seen.closed == 1);
    free(block);
    peer_free(peer);
}
END_TEST

START_TEST(test_stream_old_client)
{
    server_start();
    struct peer *const peer = peer_new("t.localhost");
    peer_say(peer, "POST /stream HTTP/1.0\r\n\r\n");
    wait_for(strstr(peer->text, "streams need"));
    ck_assert_ptr_null(seen.stream);
    peer_free(peer);
}
END_TEST

START_TEST(test_server_ends)
{
    server_start();
    struct peer *const peer = stream_open(), *const other = peer_new("t.localhost");
    wait_for(other->connected);
    http_server_free(server);
    server = NULL;
    ck_assert_uint_eq(seen.closed, 1);
    wait_for(peer->ended && other->ended);
    peer_free(peer);
    peer_free(other);
}
END_TEST

START_TEST(test_certificates)
{
    char error[TLS_SERVER_ERROR_MAX], path[128];
    struct stat status;
    struct tls_server *other;
    server_start();
    snprintf(path, sizeof(path), "%s/ca.key", folder);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    const int64_t now_s = (int64_t)(clock_wall_ns() / NS_PER_S), day_s = 24 * 3600;
    const struct tls_server_config config = {.folder = folder, .host = "t.localhost"};
    /* Nothing to renew today; due when two thirds of the life are over. */
    SSL *ssl = tls_server_connection(tls);
    X509 *const before = X509_dup(SSL_get_certificate(ssl));
    SSL_free(ssl);
    ck_assert_int_eq(tls_server_renew(tls, now_s + 59 * day_s, error), NX_OK);
    ssl = tls_server_connection(tls);
    ck_assert_int_eq(X509_cmp(before, SSL_get_certificate(ssl)), 0);
    SSL_free(ssl);
    ck_assert_int_eq(tls_server_renew(tls, now_s + 61 * day_s, error), NX_OK);
    ssl = tls_server_connection(tls);
    ck_assert_int_ne(X509_cmp(before, SSL_get_certificate(ssl)), 0);
    SSL_free(ssl);
    X509_free(before);
    /* A second start keeps the authority; ten years later it has expired. */
    ck_assert_int_eq(tls_server_new(&config, now_s, &other, error), NX_OK);
    tls_server_free(other);
    ck_assert_int_eq(tls_server_new(&config, now_s + 3660 * day_s, &other, error), NX_ERANGE);
    ck_assert_ptr_nonnull(strstr(error, "has expired"));
    ck_assert_int_eq(tls_server_renew(tls, now_s + 3660 * day_s, error), NX_ERANGE);
    /* A key that is not the certificate's, and no key at all. */
    FILE *const file = fopen(path, "w");
    ck_assert_int_ge(fputs("rubbish", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(tls_server_new(&config, now_s, &other, error), NX_EINVAL);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(tls_server_new(&config, now_s, &other, error), NX_EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "do not belong together"));
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(test_operators_certificate)
{
    char error[TLS_SERVER_ERROR_MAX], chain[128], key[128];
    struct tls_server *other;
    server_start();
    snprintf(chain, sizeof(chain), "%s/ca.crt", folder);
    snprintf(key, sizeof(key), "%s/ca.key", folder);
    struct tls_server_config config = {.host = "t.localhost", .chain_path = chain, .key_path = key};
    ck_assert_msg(tls_server_new(&config, 0, &other, error) == NX_OK, "%s", error);
    ck_assert_int_eq(tls_server_renew(other, INT64_C(1) << 40, error), NX_OK);
    tls_server_free(other);
    config.key_path = chain;
    ck_assert_int_eq(tls_server_new(&config, 0, &other, error), NX_ECRYPTO);
    config.chain_path = "/nonexistent";
    ck_assert_int_eq(tls_server_new(&config, 0, &other, error), NX_ECRYPTO);
    ck_assert_ptr_nonnull(strstr(error, "/nonexistent"));
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("apid_http");
    TCase *const cases = tcase_create("http");
    signal(SIGPIPE, SIG_IGN);
    log_init("test", LOG_LEVEL_FATAL);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, test_request);
    tcase_add_test(cases, test_names);
    tcase_add_loop_test(cases, test_hostile, 0, sizeof(hostile) / sizeof(hostile[0]));
    tcase_add_test(cases, test_long_texts);
    tcase_add_test(cases, test_slow_clients);
    tcase_add_test(cases, test_idle_deadline);
    tcase_add_test(cases, test_connections_per_client);
    tcase_add_test(cases, test_connections_in_all);
    tcase_add_test(cases, test_stream);
    tcase_add_test(cases, test_stream_reader_leaves);
    tcase_add_test(cases, test_stream_slow_reader);
    tcase_add_test(cases, test_stream_old_client);
    tcase_add_test(cases, test_server_ends);
    tcase_add_test(cases, test_certificates);
    tcase_add_test(cases, test_operators_certificate);
    suite_add_tcase(suite, cases);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
