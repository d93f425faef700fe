/* See rig.h. */
#include "certificates.h"

#include "common/clock.h"
#include "common/err.h"
#include "common/fd.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct rig rig;

/* -- The opener --------------------------------------------------------------------------------------------
 */

struct http_opening {
    struct event *event;
    int fd;
    http_opened_fn fn;
    void *arg;
};

static void opening_free(struct http_opening *opening)
{
    event_free(opening->event);
    fd_close(&opening->fd);
    free(opening);
    rig.openings--;
}

static void on_open_due(evutil_socket_t fd, short what, void *arg)
{
    struct http_opening *const opening = arg;
    const http_opened_fn fn = opening->fn;
    void *const fn_arg = opening->arg;
    int connected = fd_release(&opening->fd);
    (void)fd, (void)what;
    opening_free(opening);
    if (connected >= 0)
        fn(fn_arg, HTTP_OPEN_OK, connected, "");
    else
        fn(fn_arg, HTTP_OPEN_FAILED, -1, "api.test port 443: refused");
}

static struct http_opening *rig_open(struct http_opener *opener, const char *host, uint16_t port,
                                     http_opened_fn fn, void *arg)
{
    struct http_opening *const opening = calloc(1, sizeof(*opening));
    ck_assert_ptr_nonnull(opening);
    (void)opener;
    rig.opens++;
    rig.openings++;
    snprintf(rig.last_host, sizeof rig.last_host, "%s", host);
    rig.last_port = port;
    *opening = (struct http_opening){.fd = -1, .fn = fn, .arg = arg};
    opening->event = evtimer_new(rig.base, on_open_due, opening);
    if (rig.manner == RIG_HANGS)
        return opening;
    if (rig.manner == RIG_OPENS) {
        const uint16_t to =
            rig.proxy.port && strcmp(host, "proxy.test") == 0 ? rig.proxy.port : rig.server.port;
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(to)};
        opening->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(syscall(SYS_connect, opening->fd, &address, sizeof address), 0);
        ck_assert_int_eq(fcntl(opening->fd, F_SETFL, O_NONBLOCK), 0);
    }
    event_add(opening->event, &(struct timeval){0, 500});
    return opening;
}

static void rig_open_cancel(struct http_opener *opener, struct http_opening *opening)
{
    (void)opener;
    if (!opening)
        return;
    rig.cancels++;
    opening_free(opening);
}

/* -- Life --------------------------------------------------------------------------------------------------
 */

void rig_client_renew(const char *ca_file)
{
    char error[TRUST_TEXT_MAX];
    http_client_free(rig.client);
    trust_free(rig.trust);
    rig.trust = trust_new(ca_file ? ca_file : rig.ca_path, -1, error);
    ck_assert_msg(rig.trust != NULL, "%s", error);
    rig.client = http_client_new(&(struct http_client_config){
        .base = rig.base, .opener = &rig.opener, .trust = rig.trust, .user_agent = "nexd/test"});
    ck_assert_ptr_nonnull(rig.client);
    rig.http = http_client_http(rig.client);
}

void rig_server_set_up(void)
{
    memset(&rig, 0, sizeof rig);
    signal(SIGPIPE, SIG_IGN);
    log_init("test", getenv("NEXD_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    strcpy(rig.ca_path, "/tmp/nexd-http-test-XXXXXX");
    int fd = mkstemp(rig.ca_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    certificates_make(rig.ca_path);
    rig.base = event_base_new();
    rig_server_start(&rig.server, &rig_certificate_good);
}

void rig_set_up(void)
{
    rig_server_set_up();
    rig.opener = (struct http_opener){.open = rig_open, .cancel = rig_open_cancel};
    ck_assert_int_eq(http_library_init(), NX_OK);
    rig_client_renew(NULL);
}

void rig_tear_down(void)
{
    http_client_free(rig.client);
    ck_assert_uint_eq(rig.openings, 0);
    trust_free(rig.trust);
    rig_server_stop(&rig.server);
    rig_server_stop(&rig.proxy);
    certificates_free();
    event_base_free(rig.base);
    unlink(rig.ca_path);
}

/* -- Requests ----------------------------------------------------------------------------------------------
 */

struct http_request rig_request(const char *url)
{
    return (struct http_request){
        .method = HTTP_GET, .url = url, .answer_max_bytes = 1 << 20, .timeout_ms = 10000};
}

static void on_data(void *arg, const char *data, size_t bytes)
{
    struct rig_result *const result = arg;
    ck_assert(!result->ended && result->opened);
    result->pieces++;
    evbuffer_add(result->data, data, bytes);
    if (result->cancel_on_data) {
        rig.http->cancel(rig.http, result->exchange);
        result->ended = true;
    }
}

static void on_open(void *arg, const struct http_answer *answer)
{
    struct rig_result *const result = arg;
    ck_assert(!result->ended && !result->opened);
    ck_assert_uint_eq(answer->status / 100, 2);
    snprintf(result->content_type, sizeof result->content_type, "%s", answer->content_type);
    result->opened = true;
}

static void on_end(void *arg, const struct http_answer *answer)
{
    struct rig_result *const result = arg;
    ck_assert_msg(!result->ended && result->exchange, "an event where none may be");
    result->ended = true;
    result->exchange = NULL;
    result->failure = answer->failure;
    result->status = answer->status;
    result->date_unix_s = answer->date_unix_s;
    snprintf(result->error, sizeof result->error, "%s", answer->error);
    snprintf(result->content_type, sizeof result->content_type, "%s", answer->content_type);
    snprintf(result->location, sizeof result->location, "%s", answer->location);
    snprintf(result->retry_after, sizeof result->retry_after, "%s", answer->retry_after);
    ck_assert_int_eq(answer->body[answer->body_bytes], '\0');
    evbuffer_add(result->body, answer->body, answer->body_bytes);
    ck_assert((answer->failure == HTTP_DONE) == (answer->error[0] == '\0'));
}

struct rig_result *rig_submit(const struct http_request *request)
{
    static const struct http_events events = {.on_data = on_data, .on_open = on_open, .on_end = on_end};
    struct rig_result *const result = calloc(1, sizeof(*result));
    ck_assert_ptr_nonnull(result);
    result->body = evbuffer_new();
    result->data = evbuffer_new();
    result->exchange = rig.http->submit(rig.http, request, &events, result);
    ck_assert_ptr_nonnull(result->exchange);
    return result;
}

static void on_wait_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    *(bool *)arg = true;
}

static struct event *timer_start(unsigned ms, bool *over)
{
    struct event *const timer = evtimer_new(rig.base, on_wait_over, over);
    ck_assert_ptr_nonnull(timer);
    event_add(timer, &(struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000});
    return timer;
}

struct rig_result *rig_await(struct rig_result *result)
{
    bool over = false;
    struct event *const timer = timer_start(RIG_WAIT_S * 1000, &over);
    while (!result->ended && !over)
        event_base_loop(rig.base, EVLOOP_ONCE);
    event_free(timer);
    ck_assert_msg(result->ended, "the request does not end");
    return result;
}

void rig_until(const unsigned *what, unsigned wanted)
{
    bool over = false;
    struct event *const timer = timer_start(RIG_WAIT_S * 1000, &over);
    while (*what < wanted && !over)
        event_base_loop(rig.base, EVLOOP_ONCE);
    event_free(timer);
    ck_assert_uint_ge(*what, wanted);
}

void rig_run_ms(unsigned ms)
{
    bool over = false;
    struct event *const timer = timer_start(ms, &over);
    while (!over)
        event_base_loop(rig.base, EVLOOP_ONCE);
    event_free(timer);
}

void rig_result_free(struct rig_result *result)
{
    evbuffer_free(result->body);
    evbuffer_free(result->data);
    free(result);
}

const char *rig_text(struct evbuffer *buffer)
{
    static char text[70000];
    const ev_ssize_t length = evbuffer_copyout(buffer, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
    return text;
}

size_t rig_descriptors(void)
{
    DIR *const folder = opendir("/proc/self/fd");
    size_t count = 0;
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}
