/* The control socket's clients, those that mean harm among them: who dribbles, floods, falls silent, leaves
 * or does not read hurts nobody else. */
#include "tests/unit/ctld/control_rig.h"

#include "common/clock.h"
#include "common/err.h"

#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(a_probe_that_closes_at_once_is_no_trouble)
{
    for (unsigned i = 0; i < 1000; i++) {
        close(client_connect());
        turn();
    }
    expect_served();
}
END_TEST

START_TEST(nonsense_closes_that_client_only)
{
    int good = client_connect(), bad = client_connect();
    client_send(bad, "not json\n");
    expect_end(bad);
    exchange(good, "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":1}",
             "{\"id\":1,\"result\":\"off\",\"error\":null}\n");
    close(good);
}
END_TEST

START_TEST(a_half_closed_client_gets_its_answers)
{
    bool closed;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}"
                    "{\"method\":\"NexdCtl.GetDebug\",\"params\":[\"\"],\"id\":2}");
    shutdown(fd, SHUT_WR);
    const char *text = client_read(fd, SIZE_MAX, &closed);
    ck_assert(closed);
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":1,"));
    ck_assert_ptr_nonnull(strstr(text, "{\"id\":2,"));
    close(fd);
}
END_TEST

START_TEST(dribbling_does_not_keep_a_request_open)
{
    int fd = client_connect();
    client_send(fd, "{\"x\":[");
    while (control_server_clients(server) == 0)
        event_base_loop(base, EVLOOP_ONCE);
    const uint64_t start_ns = clock_now_ns(), gap_ns = limits.request_ms * NS_PER_MS / 20;
    /* A byte now and then, so the client is never quiet for long. */
    for (uint64_t next_ns = start_ns; control_server_clients(server) > 0; turn()) {
        if (clock_now_ns() < next_ns)
            continue;
        next_ns += gap_ns;
        (void)!send(fd, " ", 1, MSG_NOSIGNAL);
        ck_assert_uint_lt(clock_now_ns() - start_ns, WAIT_MS * NS_PER_MS);
    }
    ck_assert_uint_ge(clock_now_ns() - start_ns + 20 * NS_PER_MS, limits.request_ms * NS_PER_MS);
    close(fd);
}
END_TEST

START_TEST(idle_clients_go)
{
    int fd = client_connect();
    uint64_t start_ns = clock_now_ns();
    expect_end(fd);
    /* libevent counts from the loop's cached, coarse time. */
    ck_assert_uint_ge(clock_now_ns() - start_ns + 20 * NS_PER_MS, limits.idle_ms * NS_PER_MS);
}
END_TEST

START_TEST(a_crowd_does_not_shut_others_out)
{
    int crowd[CONTROL_CLIENTS_MAX * 3];
    for (size_t i = 0; i < sizeof crowd / sizeof *crowd; i++) {
        crowd[i] = client_connect();
        if (i % 2)
            client_send(crowd[i], "{\"method\":");
        turn();
        ck_assert_uint_le(control_server_clients(server), CONTROL_CLIENTS_MAX);
    }
    expect_served();
    for (size_t i = 0; i < sizeof crowd / sizeof *crowd; i++)
        close(crowd[i]);
}
END_TEST

/* Requests without end, and never a look at the answers. */
START_TEST(who_does_not_read_is_not_read)
{
    static const char request[] = "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}";
    int fd = client_connect();
    size_t sent = 0;
    uint64_t start_ns = clock_now_ns();
    while (control_server_clients(server) > 0 || sent == 0) {
        ck_assert_uint_lt(clock_now_ns() - start_ns, WAIT_MS * NS_PER_MS);
        ssize_t got = send(fd, request, sizeof request - 1, MSG_NOSIGNAL);
        sent += got > 0 ? (size_t)got : 0;
        turn();
    }
    ck_assert_uint_lt(sent, 4 << 20); /* what the kernel's buffers hold, not more */
    close(fd);
    expect_served();
}
END_TEST

/* Sends requests until the server reads no more of them: an answer waits. */
static void answers_pile_up(int fd)
{
    static const char request[] = "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}";
    const uint64_t start_ns = clock_now_ns();
    for (unsigned idle = 0; idle < 8;) {
        ck_assert_uint_lt(clock_now_ns() - start_ns, WAIT_MS * NS_PER_MS);
        idle = send(fd, request, sizeof request - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0 ? 0 : idle + 1;
        turn();
    }
}

/* Each of them would be patient enough; together they are more than there may be. */
START_TEST(of_many_who_do_not_read_the_slowest_go)
{
    limits.write_ms = 60000;
    int slow = client_connect();
    answers_pile_up(slow);
    ck_assert_uint_eq(control_server_clients(server), 1);
    limits.unread_bytes = 1; /* one answer past it is let be, two are not */
    int other = client_connect();
    answers_pile_up(other);
    ck_assert_uint_eq(control_server_clients(server), 1);
    char byte;
    while (recv(other, &byte, 1, MSG_DONTWAIT) > 0) /* it is the second that stayed, and now it reads */
        turn();
    ck_assert_uint_eq(control_server_clients(server), 1);
    ck_assert_int_lt(send(slow, "x", 1, MSG_NOSIGNAL), 0);
    close(slow);
    close(other);
    expect_served();
}
END_TEST

START_TEST(a_client_that_leaves_while_it_waits_is_forgotten)
{
    int waiting[8];
    tunneld_answers = false;
    for (size_t i = 0; i < 8; i++) {
        waiting[i] = client_connect();
        client_send(waiting[i], "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
    }
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (query == 0 && clock_now_ns() < deadline_ns)
        turn();
    expect_served(); /* others are not held up */
    for (size_t i = 0; i < 8; i++)
        close(waiting[i]);
    for (unsigned i = 0; i < 10; i++)
        turn();
    tunneld_answers = true;
    turn();
    expect_served();
    deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (control_server_clients(server) > 0 && clock_now_ns() < deadline_ns)
        turn();
    ck_assert_uint_eq(control_server_clients(server), 0);
}
END_TEST

/* tunneld has got the question and says nothing. */
START_TEST(who_is_not_answered_is_told_so_and_can_ask_again)
{
    bool closed;
    limits.call_ms = 200;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListFlows\",\"params\":[\"\"],\"id\":1}");
    until_asked(IPC_MSG_FLOWS_QUERY);
    uint32_t request = asked.request;
    asked.request = 0;
    ck_assert_str_eq(
        client_read(fd, 1, &closed),
        "{\"id\":1,\"result\":null,\"error\":\"nexd did not come to an answer in time; try again\"}\n");
    tunneld_says(IPC_MSG_RESULT, request, NULL); /* too late for anybody */
    exchange(fd, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":2}",
             "{\"id\":2,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(fd);
}
END_TEST

START_TEST(where_all_are_being_worked_for_others_wait_and_are_served)
{
    bool closed;
    int working[CONTROL_CLIENTS_MAX];
    tunneld_answers = false;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        working[i] = client_connect();
        client_send(working[i], "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
        turn();
    }
    int late = client_connect();
    client_send(late, "{\"method\":\"NexdCtl.GetTunnelIPv4\",\"params\":[\"\"],\"id\":0}");
    for (unsigned i = 0; i < 10; i++)
        turn();
    char byte;
    ck_assert(recv(late, &byte, 1, 0) < 0 && errno == EAGAIN); /* neither closed nor served */
    ck_assert_uint_eq(control_server_clients(server), CONTROL_CLIENTS_MAX);
    tunneld_answers = true;
    ck_assert_str_eq(client_read(late, 1, &closed), "{\"id\":0,\"result\":\"100.64.0.7\",\"error\":null}\n");
    close(late);
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
        close(working[i]);
}
END_TEST

START_TEST(the_end_comes_while_clients_wait)
{
    tunneld_answers = false;
    int fd = client_connect();
    client_send(fd, "{\"method\":\"NexdCtl.ListPeers\",\"params\":[\"\"],\"id\":1}");
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (query == 0 && clock_now_ns() < deadline_ns)
        turn();
    control_server_free(server);
    server = NULL;
    peers_link_down(peers); /* would call whoever still waited */
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control_server");
    TCase *tests = tcase_create("control_server");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_probe_that_closes_at_once_is_no_trouble);
    tcase_add_test(tests, nonsense_closes_that_client_only);
    tcase_add_test(tests, a_half_closed_client_gets_its_answers);
    tcase_add_test(tests, dribbling_does_not_keep_a_request_open);
    tcase_add_test(tests, idle_clients_go);
    tcase_add_test(tests, a_crowd_does_not_shut_others_out);
    tcase_add_test(tests, who_does_not_read_is_not_read);
    tcase_add_test(tests, of_many_who_do_not_read_the_slowest_go);
    tcase_add_test(tests, a_client_that_leaves_while_it_waits_is_forgotten);
    tcase_add_test(tests, who_is_not_answered_is_told_so_and_can_ask_again);
    tcase_add_test(tests, where_all_are_being_worked_for_others_wait_and_are_served);
    tcase_add_test(tests, the_end_comes_while_clients_wait);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
