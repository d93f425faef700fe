/* The opener over messages: ids, cancelling, a link that is full, dead or slow, and answers nobody waits for.
 */
#include "unit.h"

#include "common/err.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct {
    bool full;
    unsigned sent, opens, cancels;
    uint32_t last_id, cancelled_id;
    char host[256];
    uint16_t port;
} wire;

static struct {
    unsigned calls;
    enum http_open_outcome outcome;
    int fd;
    char text[1024];
} got;

static int send_message(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    ck_assert_ptr_eq(arg, &wire);
    if (wire.full)
        return NX_EAGAIN;
    wire.sent++;
    if (type == IPC_MSG_OPEN) {
        const struct ipc_open *const open = body;
        wire.opens++;
        wire.last_id = request;
        wire.port = open->port;
        strcpy(wire.host, open->host);
    } else {
        ck_assert_int_eq(type, IPC_MSG_CONNECT_CANCEL);
        wire.cancels++;
        wire.cancelled_id = ((const struct ipc_connect_cancel *)body)->request;
    }
    return NX_OK;
}

static void on_opened(void *arg, enum http_open_outcome outcome, int fd, const char *text)
{
    ck_assert_ptr_eq(arg, &got);
    got.calls++;
    got.outcome = outcome;
    got.fd = fd;
    snprintf(got.text, sizeof got.text, "%s", text);
}

static struct proxyd_opener *opener;
static struct http_opener *base;

static void set_up(void)
{
    static const struct proxyd_opener_ops ops = {.send = send_message};
    memset(&wire, 0, sizeof wire);
    memset(&got, 0, sizeof got);
    opener = proxyd_opener_new(&ops, &wire);
    base = proxyd_opener_base(opener);
}

static void tear_down(void)
{
    proxyd_opener_free(opener);
}

static struct http_opening *open_one(void)
{
    return base->open(base, "api.test", 443, on_opened, &got);
}

static bool result_comes(uint32_t id, enum ipc_outcome outcome, const char *text)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = id}};
    message.body.result.result = (uint8_t)outcome;
    snprintf(message.body.result.text, sizeof message.body.result.text, "%s", text);
    return proxyd_opener_message(opener, &message);
}

/* True: the descriptor was taken. */
static bool opened_comes(uint32_t id)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct ipc_message message = {.header = {.type = IPC_MSG_OPENED, .request = id}};
    message.body.opened.fd = fds[0];
    ck_assert(proxyd_opener_message(opener, &message));
    const bool taken = message.body.opened.fd == -1;
    close(fds[1]);
    close(fds[0]);
    return taken;
}

START_TEST(answers_find_their_requests)
{
    ck_assert_ptr_nonnull(open_one());
    const uint32_t first = wire.last_id;
    ck_assert_ptr_nonnull(base->open(base, "::1", 8443, on_opened, &got));
    ck_assert_str_eq(wire.host, "::1");
    ck_assert_uint_eq(wire.port, 8443);
    ck_assert_uint_ne(wire.last_id, first);
    ck_assert_uint_eq(first & HTTP_REQUEST_MASK, HTTP_REQUEST);
    ck_assert(opened_comes(wire.last_id));
    ck_assert_uint_eq(got.calls, 1);
    ck_assert_int_eq(got.outcome, HTTP_OPEN_OK);
    ck_assert(result_comes(first, IPC_REFUSED, "api.test (192.0.2.7:443): Connection refused"));
    ck_assert_uint_eq(got.calls, 2);
    ck_assert_int_eq(got.outcome, HTTP_OPEN_FAILED);
    ck_assert_int_eq(got.fd, -1);
    ck_assert_str_eq(got.text, "api.test (192.0.2.7:443): Connection refused");
}
END_TEST

START_TEST(failures_are_told_apart)
{
    open_one();
    ck_assert(result_comes(wire.last_id, IPC_TIMED_OUT, ""));
    ck_assert_int_eq(got.outcome, HTTP_OPEN_TIMED_OUT);
    ck_assert_msg(strstr(got.text, "api.test port 443") != NULL, "%s", got.text);
    open_one();
    ck_assert(result_comes(wire.last_id, IPC_OK, "")); /* no answer to an OPEN, but it must not hang */
    ck_assert_int_eq(got.outcome, HTTP_OPEN_FAILED);
}
END_TEST

START_TEST(others_messages_are_left_alone)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESOLVED, .request = HTTP_REQUEST | 1}};
    ck_assert(!proxyd_opener_message(opener, &message));
    ck_assert(!result_comes(1, IPC_OK, ""));
    ck_assert(!result_comes(UINT32_C(0x40000001), IPC_OK, ""));
    ck_assert(!result_comes(UINT32_C(0x20000001), IPC_OK, ""));
    ck_assert(!result_comes(UINT32_C(0x80000001), IPC_OK, ""));
}
END_TEST

START_TEST(what_was_cancelled_is_not_called_back)
{
    struct http_opening *const opening = open_one();
    const uint32_t id = wire.last_id;
    base->cancel(base, opening);
    base->cancel(base, NULL);
    ck_assert_uint_eq(wire.cancels, 1);
    ck_assert_uint_eq(wire.cancelled_id, id);
    ck_assert(!opened_comes(id)); /* it crossed: left to whoever got the message, who closes it */
    ck_assert(result_comes(id, IPC_REFUSED, ""));
    ck_assert_uint_eq(got.calls, 0);
}
END_TEST

START_TEST(it_waits_for_a_link_and_asks_again_after_a_restart)
{
    wire.full = true;
    ck_assert_ptr_nonnull(open_one());
    struct http_opening *const given_up = open_one();
    proxyd_opener_flush(opener);
    base->cancel(base, given_up); /* nobody has to be told */
    ck_assert_uint_eq(wire.sent, 0);
    wire.full = false;
    proxyd_opener_flush(opener);
    proxyd_opener_flush(opener);
    ck_assert_uint_eq(wire.opens, 1);
    proxyd_opener_link_down(opener);
    ck_assert(!opened_comes(wire.last_id)); /* nothing can come of the dead one */
    proxyd_opener_flush(opener);
    ck_assert_uint_eq(wire.opens, 2);
    ck_assert(opened_comes(wire.last_id));
    ck_assert_uint_eq(got.calls, 1);
}
END_TEST

START_TEST(openings_are_bounded)
{
    char host[300];
    memset(host, 'h', sizeof host);
    host[299] = '\0';
    ck_assert_ptr_null(base->open(base, host, 443, on_opened, &got));
    for (int i = 0; i < PROXYD_OPENER_MAX; i++)
        ck_assert_ptr_nonnull(open_one());
    ck_assert_ptr_null(open_one());
    ck_assert(result_comes(wire.last_id, IPC_REFUSED, ""));
    ck_assert_ptr_nonnull(open_one());
}
END_TEST

int main(void)
{
    Suite *const suite = suite_create("opener");
    TCase *const tcase = tcase_create("opener");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, answers_find_their_requests);
    tcase_add_test(tcase, failures_are_told_apart);
    tcase_add_test(tcase, others_messages_are_left_alone);
    tcase_add_test(tcase, what_was_cancelled_is_not_called_back);
    tcase_add_test(tcase, it_waits_for_a_link_and_asks_again_after_a_restart);
    tcase_add_test(tcase, openings_are_bounded);
    suite_add_tcase(suite, tcase);
    SRunner *const runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
