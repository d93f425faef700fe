/* Heads of requests, byte by byte and hostile; the rounds in which numbers are gathered, with processes that
 * answer, are away, die, fall silent or answer late. */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "ctld/metrics/head.h"
#include "ctld/metrics/text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* -- Heads -- */

static int parse(const char *text, struct head *head)
{
    return head_parse(text, strlen(text), head);
}

static const char good[] = "GET /metrics?a=b HTTP/1.1\r\nHost: a\r\nX: y\tz\r\n\r\n";

START_TEST(a_head_is_whole_at_its_empty_line)
{
    struct head head;
    for (size_t i = 0; i < sizeof good - 1; i++)
        ck_assert_int_eq(head_parse(good, i, &head), NX_EAGAIN);
    ck_assert_int_eq(parse(good, &head), NX_OK);
    ck_assert_int_eq((int)head.method, (int)HEAD_GET);
    ck_assert_str_eq(head.path, "/metrics");
    ck_assert_int_eq(parse("HEAD / HTTP/1.0\n\nrest \x01", &head), NX_OK);
    ck_assert_int_eq((int)head.method, (int)HEAD_HEAD);
    ck_assert_str_eq(head.path, "/");
    ck_assert_int_eq(parse("OPTIONS /x HTTP/1.1\r\n\r\n", &head), NX_OK);
    ck_assert_int_eq((int)head.method, (int)HEAD_OTHER);
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    static const char *const bad[] = {
        "\r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "get / HTTP/1.1\r\n\r\n",
        "GET\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET x HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "\x16\x03\x01",
    };
    struct head head;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(parse(bad[i], &head) == NX_EPROTO, "case %zu", i);
    ck_assert_int_eq(head_parse("GET /\0 HTTP/1.1\r\n\r\n", 19, &head), NX_EPROTO);
}
END_TEST

START_TEST(heads_and_paths_are_bounded)
{
    static char text[2 * HEAD_BYTES_MAX];
    struct head head;
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "GET /", 5);
    ck_assert_int_eq(head_parse(text, HEAD_BYTES_MAX - 1, &head), NX_EAGAIN);
    ck_assert_int_eq(head_parse(text, HEAD_BYTES_MAX, &head), NX_ERANGE);
    strcpy(text + 5 + HEAD_PATH_MAX - 2, " HTTP/1.1\r\n\r\n");
    ck_assert_int_eq(parse(text, &head), NX_OK);
    ck_assert_uint_eq(strlen(head.path), HEAD_PATH_MAX - 1);
    memset(text + 5, 'a', HEAD_PATH_MAX);
    strcpy(text + 5 + HEAD_PATH_MAX - 1, " HTTP/1.1\r\n\r\n");
    ck_assert_int_eq(parse(text, &head), NX_ERANGE);
}
END_TEST

/* -- Gathering -- */

enum { ASKED_MAX = 32 };
static struct {
    enum ipc_role to;
    enum ipc_type type;
    uint32_t request;
} asked[ASKED_MAX];
static size_t asked_count;
static bool away[IPC_CTLD + 1];
static struct peers *peers;
static struct gather *gather;
static struct gathered told; /* `rules` not to be used afterwards */
static size_t told_count;
static uint64_t told_flows;

static int send_peers(void *arg, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg, (void)type, (void)request, (void)body;
    return NX_OK;
}

static const struct peers_ops peers_ops = {.send = send_peers};

static int send_question(void *arg, enum ipc_role to, enum ipc_type type, uint32_t request, const void *body)
{
    (void)arg, (void)body;
    if (away[to])
        return NX_ECLOSED;
    ck_assert_uint_lt(asked_count, ASKED_MAX);
    ck_assert_uint_eq(request & GATHER_MASK, GATHER_REQUEST);
    asked[asked_count].to = to;
    asked[asked_count].type = type;
    asked[asked_count++].request = request;
    return NX_OK;
}

static const struct gather_ops gather_ops = {.send = send_question};

static void done(void *arg, void *token, const struct gathered *gathered)
{
    (void)arg, (void)token;
    told = *gathered;
    told_count++;
    told_flows = gathered->rule_count ? gathered->rules[0].flows : 0;
}

static void answer(size_t index, uint64_t now_ns)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_METRIC, .request = asked[index].request}};
    if (asked[index].type == IPC_MSG_METRICS_QUERY) {
        message.body.metric = (struct ipc_metric){
            .metric = asked[index].to == IPC_PARENT ? METRIC_READY : METRIC_LISTENERS, .value = 7};
        ck_assert(gather_message(gather, asked[index].to, &message, now_ns));
        message.body.metric.metric = IPC_METRICS_MAX; /* of a newer build, say */
    } else {
        message.header.type = IPC_MSG_RULE_STATS;
        message.body.rule_stats = (struct ipc_rule_stats){.rule_id = 5, .flows = 2};
    }
    ck_assert(gather_message(gather, asked[index].to, &message, now_ns));
    message.header.type = IPC_MSG_RESULT;
    message.body.result = (struct ipc_result){.result = IPC_OK};
    ck_assert(gather_message(gather, asked[index].to, &message, now_ns));
}

static void set_up(void)
{
    log_init("test", LOG_LEVEL_ERROR);
    memset(away, 0, sizeof away);
    asked_count = told_count = 0;
    peers = peers_new(&peers_ops, NULL);
    gather = gather_new(peers, &gather_ops, NULL);
}

static void tear_down(void)
{
    gather_free(gather);
    peers_free(peers);
}

START_TEST(a_round_ends_when_all_have_answered)
{
    int tokens[2];
    ck_assert_int_eq(gather_request(gather, done, NULL, &tokens[0], NS_PER_S), NX_OK);
    ck_assert_uint_eq(asked_count, 5);
    ck_assert_int_eq(gather_request(gather, done, NULL, &tokens[1], NS_PER_S), NX_OK);
    ck_assert_uint_eq(asked_count, 5); /* the same round */
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(told_count, 0);
        answer(i, NS_PER_S);
    }
    ck_assert_uint_eq(told_count, 2);
    ck_assert(told.answered[IPC_PARENT] && told.answered[IPC_TUNNELD] && told.answered[IPC_PROXYD]);
    ck_assert(told.numbers[METRIC_READY].known && told.numbers[METRIC_READY].value == 7);
    ck_assert(!told.numbers[METRIC_DRAINING].known);
    ck_assert_uint_eq(told_flows, 4); /* of two processes */
    ck_assert_uint_eq(gather_next_ns(gather), UINT64_MAX);
    /* Fresh: nobody is asked again. Not fresh: they are. */
    gather_request(gather, done, NULL, NULL, NS_PER_S + GATHER_FRESH_MS * NS_PER_MS - 1);
    ck_assert_uint_eq(told_count, 3);
    gather_request(gather, done, NULL, NULL, NS_PER_S + GATHER_FRESH_MS * NS_PER_MS);
    ck_assert_uint_eq(asked_count, 10);
    answer(0, NS_PER_S); /* the last round's: too late */
    ck_assert_uint_eq(told_count, 3);
    for (size_t i = 5; i < 10; i++)
        answer(i, NS_PER_S);
    ck_assert_uint_eq(told_count, 4);
    ck_assert_uint_eq(told_flows, 4);
}
END_TEST

START_TEST(nobody_is_waited_for_that_is_away_or_dies)
{
    away[IPC_PROXYD] = true;
    gather_request(gather, done, NULL, NULL, 1);
    ck_assert_uint_eq(asked_count, 3);
    answer(0, 1);
    gather_link_down(gather, IPC_TUNNELD, 1);
    ck_assert_uint_eq(told_count, 1);
    ck_assert(told.answered[IPC_PARENT] && !told.answered[IPC_TUNNELD] && !told.answered[IPC_PROXYD]);
    away[IPC_PARENT] = away[IPC_TUNNELD] = true; /* what was told before a death is of the past */
    gather_link_down(gather, IPC_PROXYD, 2);
    gather_request(gather, done, NULL, NULL, 3);
    ck_assert_uint_eq(told_count, 2);
    ck_assert(!told.answered[IPC_PARENT]);
}
END_TEST

START_TEST(silence_ends_a_round)
{
    gather_request(gather, done, NULL, NULL, NS_PER_S);
    ck_assert_uint_eq(gather_next_ns(gather), NS_PER_S + GATHER_TIMEOUT_MS * NS_PER_MS);
    gather_run(gather, NS_PER_S + GATHER_TIMEOUT_MS * NS_PER_MS - 1);
    ck_assert_uint_eq(told_count, 0);
    gather_run(gather, NS_PER_S + GATHER_TIMEOUT_MS * NS_PER_MS);
    ck_assert_uint_eq(told_count, 1);
    ck_assert(!told.answered[IPC_PARENT]);
}
END_TEST

START_TEST(who_leaves_is_not_told_and_the_line_is_bounded)
{
    int tokens[GATHER_WAITERS_MAX + 1];
    for (size_t i = 0; i < GATHER_WAITERS_MAX; i++)
        ck_assert_int_eq(gather_request(gather, done, NULL, &tokens[i], 1), NX_OK);
    ck_assert_int_eq(gather_request(gather, done, NULL, &tokens[GATHER_WAITERS_MAX], 1), NX_EAGAIN);
    gather_cancel(gather, &tokens[0]);
    gather_cancel(gather, &tokens[GATHER_WAITERS_MAX - 1]);
    gather_run(gather, 1 + GATHER_TIMEOUT_MS * NS_PER_MS);
    ck_assert_uint_eq(told_count, GATHER_WAITERS_MAX - 2);
}
END_TEST

START_TEST(other_answers_are_left_to_others)
{
    struct ipc_message message = {.header = {.type = IPC_MSG_RESULT, .request = 7}};
    ck_assert(!gather_message(gather, IPC_TUNNELD, &message, 1));
    message.header.request = GATHER_REQUEST << 1 | GATHER_REQUEST;
    ck_assert(!gather_message(gather, IPC_TUNNELD, &message, 1));
    message.header.request = GATHER_REQUEST | 9;
    ck_assert(gather_message(gather, IPC_TUNNELD, &message, 1));
}
END_TEST

/* -- Readiness -- */

START_TEST(readiness_wants_everything)
{
    struct gathered gathered = {0};
    static struct device device;
    struct metrics_view view = {.device = &device, .peers = peers, .gathered = &gathered, .version = "v"};
    static const char *const missing[] = {"nexd does not", "tunneld does not", "proxyd does not",
                                          "has not got its peers"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_nonnull(strstr(metrics_not_ready(&view), missing[i]));
        if (i < 3)
            gathered.answered[IPC_PARENT + i] = true;
    }
    view.api = METRICS_API_JOINING;
    ck_assert_ptr_nonnull(strstr(metrics_not_ready(&view), "control plane"));
    device.draining = true;
    ck_assert_ptr_nonnull(strstr(metrics_not_ready(&view), "draining"));
    device.draining = false;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_head_is_whole_at_its_empty_line);
    tcase_add_test(tests, what_is_no_request_is_refused);
    tcase_add_test(tests, heads_and_paths_are_bounded);
    tcase_add_test(tests, a_round_ends_when_all_have_answered);
    tcase_add_test(tests, nobody_is_waited_for_that_is_away_or_dies);
    tcase_add_test(tests, silence_ends_a_round);
    tcase_add_test(tests, who_leaves_is_not_told_and_the_line_is_bounded);
    tcase_add_test(tests, other_answers_are_left_to_others);
    tcase_add_test(tests, readiness_wants_everything);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
