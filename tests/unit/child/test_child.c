/* A child's life, from HELLO to its end, as its parent and its siblings see it. */
#include "common/clock.h"
#include "common/log.h"
#include "tests/unit/child/stage.h"
#include "tests/unit/common/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct stage stage;

/* -- Links to siblings -- */

START_TEST(links)
{
    stage_open(&stage, CHILD_USUAL);
    int tunneld = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    int ctld = stage_link(&stage, IPC_CTLD, 2);
    stage_expect(&stage, "up ctld 2");
    stage_ask(&stage, tunneld, IPC_TUNNELD, 11);
    stage_ask(&stage, ctld, IPC_CTLD, 12);
    close(ctld); /* one goes, the other stays */
    stage_expect(&stage, "down ctld");
    stage_ask(&stage, tunneld, IPC_TUNNELD, 13);
    stage_close(&stage);
    stage_expect_end(tunneld);
}
END_TEST

START_TEST(replaced_link)
{
    stage_open(&stage, CHILD_USUAL);
    int old = stage_link(&stage, IPC_TUNNELD, 4);
    stage_expect(&stage, "up tunneld 4");
    int fresh = stage_link(&stage, IPC_TUNNELD, 5);
    stage_expect(&stage, "down tunneld");
    stage_expect(&stage, "up tunneld 5");
    stage_expect_end(old);
    stage_ask(&stage, fresh, IPC_TUNNELD, 1);
    stage_link_down(&stage, IPC_TUNNELD, 4); /* the old one's end is nothing to the new one */
    stage_ask(&stage, fresh, IPC_TUNNELD, 2);
    stage_close(&stage);
}
END_TEST

/* The new link and its first message are there before the child looks: the old link ends first. */
START_TEST(replaced_while_it_sleeps)
{
    stage_open(&stage, CHILD_USUAL);
    int old = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    ck_assert_int_eq(kill(stage.pid, SIGSTOP), 0);
    int fresh = stage_link(&stage, IPC_TUNNELD, 2);
    stage_send(fresh, IPC_MSG_RESULT, 9, &(struct ipc_result){.result = IPC_OK});
    ck_assert_int_eq(kill(stage.pid, SIGCONT), 0);
    stage_expect(&stage, "down tunneld");
    stage_expect(&stage, "up tunneld 2");
    stage_expect(&stage, "RESULT from tunneld, level 3");
    ck_assert_int_lt((int)send(old, "late", 4, MSG_NOSIGNAL), 0);
    stage_close(&stage);
}
END_TEST

START_TEST(stale_generation)
{
    stage_open(&stage, CHILD_USUAL);
    int live = stage_link(&stage, IPC_TUNNELD, 7);
    stage_expect(&stage, "up tunneld 7");
    stage_expect_end(stage_link(&stage, IPC_TUNNELD, 6));
    stage_expect_end(stage_link(&stage, IPC_TUNNELD, 7));
    stage_ask(&stage, live, IPC_TUNNELD, 1);
    /* Dead or alive, it was the latest. */
    stage_link_down(&stage, IPC_TUNNELD, 7);
    stage_expect(&stage, "down tunneld");
    stage_expect_end(live);
    stage_expect_end(stage_link(&stage, IPC_TUNNELD, 7));
    int fresh = stage_link(&stage, IPC_TUNNELD, 8);
    stage_expect(&stage, "up tunneld 8");
    close(fresh);
    stage_expect(&stage, "down tunneld");
    stage_expect_end(stage_link(&stage, IPC_TUNNELD, 8));
    stage_close(&stage);
}
END_TEST

START_TEST(down_of_a_link_that_never_came)
{
    stage_open(&stage, CHILD_USUAL);
    stage_link_down(&stage, IPC_CTLD, 3);
    stage_expect_end(stage_link(&stage, IPC_CTLD, 3));
    int live = stage_link(&stage, IPC_CTLD, 4);
    stage_expect(&stage, "up ctld 4");
    stage_link_down(&stage, IPC_CTLD, 6); /* a later sibling has died, so this one has too */
    stage_expect(&stage, "down ctld");
    stage_expect_end(live);
    stage_close(&stage);
}
END_TEST

START_TEST(link_to_itself)
{
    stage_open(&stage, CHILD_USUAL);
    stage_expect_end(stage_link(&stage, IPC_PROXYD, 1));
    stage_close(&stage);
}
END_TEST

START_TEST(sibling_breaks_the_protocol)
{
    stage_open(&stage, CHILD_USUAL);
    int tunneld = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    ck_assert_int_eq((int)send(tunneld, "garbage", 7, MSG_NOSIGNAL), 7);
    struct ipc_message broken;
    ck_assert(stage_receive(stage.parent, IPC_PARENT, &broken));
    ck_assert_uint_eq(broken.header.type, IPC_MSG_LINK_BROKEN);
    ck_assert_uint_eq(broken.body.link_broken.peer, IPC_TUNNELD);
    ck_assert_uint_eq(broken.body.link_broken.generation, 1);
    stage_expect(&stage, "down tunneld");
    stage_expect_end(tunneld);
    close(stage_link(&stage, IPC_TUNNELD, 2)); /* a new one is welcome, if only for a moment */
    stage_expect(&stage, "up tunneld 2");
    stage_expect(&stage, "down tunneld");
    stage_close(&stage);
}
END_TEST

START_TEST(sibling_reads_slowly)
{
    enum { QUEUE_MAX = 1024 };
    unsigned sent, queued;
    struct ipc_message message;
    stage_open(&stage, CHILD_FLOODS);
    int tunneld = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    ck_assert(stage_receive(stage.parent, IPC_PARENT, &message));
    ck_assert_int_eq(sscanf(message.body.result.text, "sent %u, queued %u", &sent, &queued), 2);
    ck_assert_uint_eq(queued, QUEUE_MAX);
    ck_assert_uint_gt(sent, queued);
    for (uint32_t i = 1; i <= sent; i++) {
        ck_assert(stage_receive(tunneld, IPC_TUNNELD, &message));
        ck_assert_uint_eq(message.header.request, i);
    }
    stage_expect(&stage, "writable tunneld");
    stage_close(&stage);
    close(tunneld);
}
END_TEST

/* -- Turns of the loop -- */

START_TEST(turns)
{
    stage_open(&stage, CHILD_TURNS);
    stage_send(stage.parent, IPC_MSG_RESULT, 0, &(struct ipc_result){.result = IPC_OK});
    stage_expect(&stage, "RESULT from nexd, level 3");
    stage_expect(&stage, "1000 turns");   /* as many as it wants, though nothing happens */
    stage_expect(&stage, "0 turns more"); /* none that it does not want */
    stage_close(&stage);
}
END_TEST

/* -- The parent -- */

START_TEST(log_level)
{
    stage_open(&stage, CHILD_USUAL);
    stage_send(stage.parent, IPC_MSG_LOG_LEVEL, 0, &(struct ipc_log_level){.level = LOG_LEVEL_FATAL});
    stage_send(stage.parent, IPC_MSG_RESULT, 0, &(struct ipc_result){.result = IPC_OK});
    stage_expect(&stage, "RESULT from nexd, level 4");
    stage_close(&stage);
}
END_TEST

/* From the event loop, whatever the child is made for. */
START_TEST(alive_when_asked)
{
    struct ipc_message answer;
    stage_open(&stage, CHILD_USUAL);
    for (uint32_t number = 7; number < 10; number++) {
        stage_send(stage.parent, IPC_MSG_ALIVE_QUERY, 0, &(struct ipc_alive_query){.number = number});
        ck_assert(stage_receive(stage.parent, IPC_PARENT, &answer));
        ck_assert_int_eq(answer.header.type, IPC_MSG_ALIVE);
        ck_assert_uint_eq(answer.body.alive.number, number);
    }
    stage_close(&stage);
}
END_TEST

START_TEST(parent_dies)
{
    stage_open(&stage, CHILD_USUAL);
    int tunneld = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    close(stage.parent);
    stage.parent = -1;
    ck_assert_int_eq(stage_wait(&stage), 1);
    stage_expect_end(tunneld);
}
END_TEST

START_TEST(parent_breaks_the_protocol)
{
    stage_open(&stage, CHILD_USUAL);
    ck_assert_int_eq((int)send(stage.parent, "garbage", 7, MSG_NOSIGNAL), 7);
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 1);
}
END_TEST

START_TEST(parent_sends_what_only_a_child_may)
{
    stage_open(&stage, CHILD_USUAL);
    const struct ipc_hello hello = {.version = IPC_VERSION, .role = IPC_PROXYD, .pid = 1};
    stage_send(stage.parent, IPC_MSG_HELLO, 0, &hello);
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 1);
}
END_TEST

START_TEST(no_parent)
{
    int fds[2];
    ck_assert_int_eq(_i == 0 ? pipe(fds) : socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    close(fds[1]);
    stage.parent = -1;
    stage_start(&stage, CHILD_USUAL, fds[0]);
    ck_assert_int_eq(stage_wait(&stage), 1);
}
END_TEST

/* -- The end -- */

static void shutdown_send(uint32_t grace_ms)
{
    stage_send(stage.parent, IPC_MSG_SHUTDOWN, 0, &(struct ipc_shutdown){.grace_ms = grace_ms});
}

START_TEST(shutdown_without_a_handler)
{
    stage_open(&stage, CHILD_PLAIN);
    shutdown_send(3600000);
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 0);
}
END_TEST

START_TEST(shutdown_after_its_grace)
{
    enum { GRACE_MS = 150 };
    stage_open(&stage, CHILD_SLOW);
    uint64_t begun_ns = clock_now_ns();
    shutdown_send(GRACE_MS);
    stage_expect(&stage, "shutdown 150");
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 0);
    uint64_t took_ms = (clock_now_ns() - begun_ns) / NS_PER_MS;
    ck_assert_uint_ge(took_ms, GRACE_MS - 1); /* the loop's clock is coarse */
    ck_assert_uint_lt(took_ms, STAGE_TIMEOUT_MS);
}
END_TEST

START_TEST(no_grace_at_all)
{
    stage_open(&stage, CHILD_SLOW);
    shutdown_send(0);
    stage_expect(&stage, "shutdown 0");
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 0);
}
END_TEST

START_TEST(second_shutdown_hurries)
{
    stage_open(&stage, CHILD_SLOW);
    shutdown_send(3600000);
    stage_expect(&stage, "shutdown 3600000");
    shutdown_send(1);
    stage_expect(&stage, "shutdown 1");
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 0);
}
END_TEST

/* What is queued when the child leaves is still sent. */
START_TEST(last_words)
{
    char text[IPC_TEXT_MAX];
    stage_open(&stage, CHILD_TALKS);
    shutdown_send(STAGE_TIMEOUT_MS);
    stage_expect(&stage, "shutdown 10000");
    for (int i = 0; i < TALKS_COUNT; i++) {
        snprintf(text, sizeof text, "%d %0400d", i, i);
        stage_expect(&stage, text);
    }
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 0);
}
END_TEST

START_TEST(setup_fails)
{
    stage_open(&stage, CHILD_SETUP_FAILS);
    stage_expect_end(stage.parent); /* no HELLO */
    ck_assert_int_eq(stage_wait(&stage), 1);
}
END_TEST

START_TEST(setup_leaves)
{
    stage_open(&stage, CHILD_SETUP_LEAVES);
    stage_expect_end(stage.parent);
    ck_assert_int_eq(stage_wait(&stage), 7);
}
END_TEST

/* The parent says when to end; what a terminal or an init system sends to the whole group does not count. */
START_TEST(signals_are_ignored)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};
    stage_open(&stage, CHILD_USUAL);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        ck_assert_int_eq(kill(stage.pid, signals[i]), 0);
    int tunneld = stage_link(&stage, IPC_TUNNELD, 1);
    stage_expect(&stage, "up tunneld 1");
    stage_ask(&stage, tunneld, IPC_TUNNELD, 1);
    stage_close(&stage);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_test(tcase, links);
    tcase_add_test(tcase, replaced_link);
    tcase_add_test(tcase, replaced_while_it_sleeps);
    tcase_add_test(tcase, stale_generation);
    tcase_add_test(tcase, down_of_a_link_that_never_came);
    tcase_add_test(tcase, link_to_itself);
    tcase_add_test(tcase, sibling_breaks_the_protocol);
    tcase_add_test(tcase, sibling_reads_slowly);
    tcase_add_test(tcase, turns);
    tcase_add_test(tcase, log_level);
    tcase_add_test(tcase, alive_when_asked);
    tcase_add_test(tcase, parent_dies);
    tcase_add_test(tcase, parent_breaks_the_protocol);
    tcase_add_test(tcase, parent_sends_what_only_a_child_may);
    tcase_add_loop_test(tcase, no_parent, 0, 2);
    tcase_add_test(tcase, shutdown_without_a_handler);
    tcase_add_test(tcase, shutdown_after_its_grace);
    tcase_add_test(tcase, no_grace_at_all);
    tcase_add_test(tcase, second_shutdown_hurries);
    tcase_add_test(tcase, last_words);
    tcase_add_test(tcase, setup_fails);
    tcase_add_test(tcase, setup_leaves);
    tcase_add_test(tcase, signals_are_ignored);
}

int main(void)
{
    return unit_run("child", fill);
}
