/* The client in a process of its own, sandboxed as ctld is, whose connections come over the link to proxyd,
 * which the test plays. What its policy forgets ends that process. */
#include "unit.h"

#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"
#include "ctld/http/service.h"
#include "ipc/link.h"
#include "sandbox/sandbox.h"
#include "seccomp/ctld.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILES_MAX = 64, WAIT_S = 60 };

/* -- The sandboxed process ---------------------------------------------------------------------------------
 */

static struct event_base *base;
static struct ipc_link *client_link;
static struct http_service *service;

struct outcome {
    bool ended;
    enum http_failure failure;
    unsigned status;
    size_t bytes;
    char error[512];
};

static int to_proxyd(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg;
    return ipc_send(client_link, type, request, body);
}

static void on_client_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    (void)link, (void)arg;
    http_service_message(service, IPC_PROXYD, message);
}

static void on_client_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    (void)link, (void)err, (void)arg;
    log_error("the link ended: %s", why);
    _exit(2);
}

static void on_end(void *arg, const struct http_answer *answer)
{
    struct outcome *const outcome = arg;
    outcome->ended = true;
    outcome->failure = answer->failure;
    outcome->status = answer->status;
    outcome->bytes += answer->body_bytes;
    snprintf(outcome->error, sizeof outcome->error, "%s", answer->error);
}

static void on_data(void *arg, const char *data, size_t bytes)
{
    struct outcome *const outcome = arg;
    (void)data;
    outcome->bytes += bytes;
}

/* Ends the process unless it comes out so. */
static void expect(const struct http_request *request, enum http_failure failure, const char *text)
{
    static const struct http_events events = {.on_data = on_data, .on_end = on_end};
    struct outcome outcome = {0};
    struct http *const http = http_client_http(http_service_client(service));
    if (!http->submit(http, request, &events, &outcome))
        _exit(3);
    while (!outcome.ended)
        if (event_base_loop(base, EVLOOP_ONCE) != 0)
            _exit(4);
    if (outcome.failure == failure && strstr(outcome.error, text))
        return;
    log_error("%s: %d, status %u: %s", request->url, outcome.failure, outcome.status, outcome.error);
    _exit(5);
}

static void requests_make(void)
{
    struct http_request request = rig_request("https://api.test/x");
    request.bearer = "token";
    expect(&request, HTTP_DONE, "");
    expect(&request, HTTP_DONE, "");
    request.method = HTTP_POST;
    request.content_type = "application/json";
    request.body = "{}";
    request.body_bytes = 2;
    expect(&request, HTTP_DONE, "");
    request.stream = true;
    expect(&request, HTTP_DONE, "");
    const struct http_request wrong_name = rig_request("https://other.test/");
    expect(&wrong_name, HTTP_TLS, "other.test");
    const struct http_request refused = rig_request("https://refused.test/");
    expect(&refused, HTTP_CONNECT, "refused.test port 443: connection refused");
    struct http_request slow = rig_request("https://slow.test/");
    slow.timeout_ms = 100;
    expect(&slow, HTTP_TIMED_OUT, "slow.test");
    const struct http_request cut = rig_request("https://api.test/cut");
    expect(&cut, HTTP_CUT, "api.test");
    const struct http_request close = rig_request("https://api.test/close");
    expect(&close, HTTP_DONE, "");
    expect(&close, HTTP_DONE, "");
    const struct http_route insecure = {.skip_verify = true};
    if (http_client_set_route(http_service_client(service), &insecure) != NX_OK)
        _exit(6);
    expect(&wrong_name, HTTP_DONE, "");
    const struct http_route proxied = {.proxy_url = "http://user:word@proxy.test:3128"};
    if (http_client_set_route(http_service_client(service), &proxied) != NX_OK)
        _exit(6);
    const struct http_request behind = rig_request("https://behind.test/");
    expect(&behind, HTTP_PROXY, "proxy.test");
}

static void client_process(int fd)
{
    static const struct sandbox_spec spec = {
        .name = "ctld",
        .start = ctld_start_filter,
        .start_count = sizeof ctld_start_filter / sizeof *ctld_start_filter,
        .run = ctld_run_filter,
        .run_count = sizeof ctld_run_filter / sizeof *ctld_run_filter,
        .max_files = FILES_MAX,
        .no_tcp = true,
    };
    static const struct proxyd_opener_ops opener_ops = {.send = to_proxyd};
    static const struct ipc_link_ops link_ops = {.on_message = on_client_message,
                                                 .on_close = on_client_close};
    log_init("ctld", LOG_LEVEL_WARN);
    /* Best effort: layers that this kernel lacks are no matter here; the filters are always there. */
    (void)sandbox_start(&spec, SANDBOX_BEST_EFFORT);
    base = event_base_new();
    service = http_service_new(base, rig.ca_path, -1, &opener_ops, NULL);
    client_link = ipc_link_new(base, fd, IPC_CTLD, IPC_PROXYD, 1, 64, &link_ops, NULL);
    if (!base || !service || !client_link)
        _exit(1);
    (void)sandbox_enter(&spec, SANDBOX_BEST_EFFORT);
    requests_make();
    http_service_free(service);
    ipc_link_free(client_link);
    event_base_free(base);
    _exit(0);
}

/* -- proxyd and the servers --------------------------------------------------------------------------------
 */

static void open_send(struct ipc_link *link, uint32_t request, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct ipc_opened body = {.remote.port = port};
    FD_AUTO int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(netaddr_parse("127.0.0.1", &body.remote.addr), NX_OK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    body.fd = fd;
    ck_assert_int_eq(ipc_send(link, IPC_MSG_OPENED, request, &body), NX_OK);
}

static void on_proxyd_message(struct ipc_link *link, struct ipc_message *message, void *arg)
{
    const uint32_t request = message->header.request;
    const char *const host = message->body.open.host;
    (void)arg;
    if (message->header.type == IPC_MSG_CONNECT_CANCEL)
        return;
    ck_assert_int_eq(message->header.type, IPC_MSG_OPEN);
    rig.opens++;
    if (strcmp(host, "refused.test") == 0) {
        const struct ipc_result body = {.result = IPC_REFUSED,
                                        .text = "refused.test port 443: connection refused"};
        ck_assert_int_eq(ipc_send(link, IPC_MSG_RESULT, request, &body), NX_OK);
    } else if (strcmp(host, "slow.test") != 0) {
        open_send(link, request, strcmp(host, "proxy.test") == 0 ? rig.proxy.port : rig.server.port);
    }
}

static void on_proxyd_close(struct ipc_link *link, int err, const char *why, void *arg)
{
    (void)link, (void)why;
    ck_assert_int_eq(err, NX_ECLOSED);
    *(bool *)arg = true;
}

static void answer(struct rig_connection *connection, void *arg)
{
    (void)arg;
    if (strstr(connection->request, " /cut ")) {
        rig_write(connection, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx");
        rig_cut(connection);
    } else if (strstr(connection->request, " /close ")) {
        rig_write(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nx");
        rig_close(connection);
    } else if (strncmp(connection->request, "CONNECT ", 8) == 0) {
        rig_reply(connection, 407, "text/plain", "no");
    } else {
        rig_reply(connection, 200, "text/plain", "hello");
    }
}

static void on_time(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    kill(*(pid_t *)arg, SIGKILL);
}

START_TEST(all_of_it_works_in_the_sandbox)
{
    static const struct ipc_link_ops link_ops = {.on_message = on_proxyd_message,
                                                 .on_close = on_proxyd_close};
    int fds[2], status = 0;
    bool closed = false;
    rig.server.handler = rig.proxy.handler = answer;
    rig.proxy.plain = true;
    rig_server_start(&rig.proxy, &rig_certificate_good);
    ck_assert_int_eq(ipc_socketpair(fds), NX_OK);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        close(fds[0]);
        client_process(fds[1]);
    }
    close(fds[1]);
    struct ipc_link *const link =
        ipc_link_new(rig.base, fds[0], IPC_PROXYD, IPC_CTLD, 1, 64, &link_ops, &closed);
    struct event *const timer = evtimer_new(rig.base, on_time, &pid);
    event_add(timer, &(struct timeval){WAIT_S, 0});
    while (!closed)
        event_base_loop(rig.base, EVLOOP_ONCE);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    ck_assert_uint_ge(rig.opens, 7);
    event_free(timer);
    ipc_link_free(link);
}
END_TEST

static void tear_down(void)
{
    rig_tear_down();
}

int main(void)
{
    Suite *const suite = suite_create("sandbox");
    TCase *const tcase = tcase_create("sandbox");
    tcase_set_timeout(tcase, WAIT_S + 20);
    tcase_add_checked_fixture(tcase, rig_server_set_up, tear_down);
    tcase_add_test(tcase, all_of_it_works_in_the_sandbox);
    suite_add_tcase(suite, tcase);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
