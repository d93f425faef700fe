/* The parent with three fake children (fake_child.c): real processes, links, signals and descriptors. Every
 * step waits for an event: a report of a child on the test's socket, a notification, or the parent's exit.
 *
 * Each test makes a tree of its own, with the parent in bin/ and the children in libexec/nexd/. */
#include "tests/unit/nexd/parent_rig.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- The tests -- */

START_TEST(starts_configures_links_and_is_ready)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *proxyd = await_child("proxyd", 0),
                  *ctld = await_child("ctld", 0);
    await_line(tunneld, "config");
    await_line(tunneld, "secret a5");
    await_line(tunneld, "link proxyd ");
    await_line(proxyd, "bind");
    await_line(ctld, "peer one.example:51820 128");
    await_line(ctld, "peer one.example:51820 128");
    await_line(ctld, "peer one.example:51820 44");
    await_line(ctld, "peer :0 0");
    await_line(ctld, "peers 2");
    await_line(ctld, "link ");
    await_line(ctld, "link ");
    await_notification("READY=1");
    await_notification("WATCHDOG=1");
    await_notification("WATCHDOG=1");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    await_notification("STOPPING=1");
    await_line(tunneld, "shutdown 700");
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
}
END_TEST

START_TEST(a_killed_child_comes_back_and_is_linked_anew)
{
    unsigned old_generation, down_generation, new_generation;
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    ck_assert_int_eq(sscanf(await_line(tunneld, "link ctld"), "link ctld %u", &old_generation), 1);
    uint64_t killed_ns = clock_now_ns();
    kill(ctld->pid, SIGKILL);
    ck_assert_int_eq(sscanf(await_line(tunneld, "down ctld"), "down ctld %u", &down_generation), 1);
    ck_assert_uint_eq(down_generation, old_generation);
    ck_assert_int_eq(sscanf(await_line(tunneld, "link ctld"), "link ctld %u", &new_generation), 1);
    ck_assert_uint_gt(new_generation, old_generation);
    struct client *second = await_child("ctld", 1);
    ck_assert_uint_ge(elapsed_ms(killed_ns), 100);
    ck_assert_int_ne(second->pid, ctld->pid);
    await_line(second, "peers 2");
    /* The second time it takes longer. */
    killed_ns = clock_now_ns();
    order(second, "crash");
    await_child("ctld", 2);
    ck_assert_uint_ge(elapsed_ms(killed_ns), 200);
    kill(parent_pid, SIGINT);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(sockets_survive_their_maker)
{
    char kept[32];
    snprintf(kept, sizeof kept, "kept %u", rule_port);
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    await_line(proxyd, "bind");
    kill(proxyd->pid, SIGKILL);
    await_line(tunneld, "down proxyd");
    /* Nobody serves the listener now; the kernel takes the connection all the same. */
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(rule_port)};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    close(client);
    /* The fake binds the port only if it was not handed back: then bind() would fail and it would end. */
    struct client *second = await_child("proxyd", 1);
    await_line(second, kept);
    await_line(second, "link ");
    for (size_t i = 0; i < second->line_count; i++)
        ck_assert_str_ne(second->lines[i], "bind");
    /* A new tunneld gets key, preshared keys and sockets again. */
    kill(tunneld->pid, SIGKILL);
    struct client *other = await_child("tunneld", 1);
    await_line(other, "config");
    await_line(other, "secret a5");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(garbage_ends_its_sender_only)
{
    static char errors[65536];
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, "garbage");
    await_line(proxyd, "down ctld");
    await_child("ctld", 1);
    ck_assert(alive(proxyd->pid));
    kill(parent_pid, SIGQUIT);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "is ended: "));
}
END_TEST

START_TEST(a_child_that_broke_the_protocol_towards_a_sibling_is_restarted)
{
    static char errors[65536];
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *proxyd = await_child("proxyd", 0);
    await_child("ctld", 0);
    await_notification("READY=1");
    order(tunneld, "accuse"); /* of whom it was linked with last */
    await_line(tunneld, "down");
    await_line(tunneld, "link");
    ck_assert(alive(tunneld->pid));
    (void)proxyd;
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "it broke the protocol towards a sibling"));
}
END_TEST

/* Stopped, so that no signal but one ends it, and nothing of it answers. */
START_TEST(a_child_that_hangs_is_killed_and_started_again)
{
    static char errors[1 << 20];
    vigil_ms = "500";
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0), *proxyd = await_child("proxyd", 0);
    await_notification("READY=1");
    order(tunneld, "freeze");
    await_line(proxyd, "down tunneld");
    await_child("tunneld", 1);
    await_line(proxyd, "link tunneld");
    ck_assert(!alive(tunneld->pid));
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "is ended: it hangs"));
}
END_TEST

START_TEST(who_answers_what_was_not_asked_is_ended)
{
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(proxyd, "answer");
    await_line(ctld, "down proxyd");
    await_child("proxyd", 1);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_deaf_child_is_killed_within_a_second)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    order(tunneld, "deaf");
    await_line(tunneld, "done deaf");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_ge(elapsed_ms(stop_ns), 790);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
    ck_assert(!alive(tunneld->pid));
}
END_TEST

START_TEST(a_second_signal_ends_at_once)
{
    parent_start(0, socket_name, NULL);
    struct client *tunneld = await_child("tunneld", 0);
    await_notification("READY=1");
    order(tunneld, "deaf");
    await_line(tunneld, "done deaf");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    kill(parent_pid, SIGTERM); /* an echo, not a second wish: SHUTDOWN is still asked for */
    await_line(tunneld, "shutdown");
    /* Until it is no echo any more. */
    struct pollfd exit_fd = {.fd = pid_fd, .events = POLLIN};
    while (poll(&exit_fd, 1, 20) == 0)
        kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_ge(elapsed_ms(stop_ns), 100);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 700);
}
END_TEST

START_TEST(a_hang_up_is_no_reason_to_stop)
{
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    kill(parent_pid, SIGHUP);
    order(ctld, "exit 3"); /* it still supervises */
    await_child("ctld", 1);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_dead_parent_takes_its_children_along)
{
    parent_start(0, socket_name, NULL);
    struct client *children[] = {await_child("tunneld", 0), await_child("proxyd", 0), await_child("ctld", 0)};
    int fds[3];
    await_notification("READY=1");
    for (size_t i = 0; i < 3; i++) {
        order(children[i], "deaf"); /* it would not leave because of the link */
        await_line(children[i], "done deaf");
        fds[i] = (int)syscall(SYS_pidfd_open, children[i]->pid, 0);
        ck_assert_int_ge(fds[i], 0);
    }
    kill(parent_pid, SIGKILL);
    for (size_t i = 0; i < 3; i++) {
        struct pollfd fd = {.fd = fds[i], .events = POLLIN};
        ck_assert_int_eq(poll(&fd, 1, 2000), 1);
        close(fds[i]);
    }
    close(pid_fd);
    close(output_fd);
}
END_TEST

START_TEST(a_rule_that_cannot_be_had_is_fatal_at_start)
{
    static char errors[65536];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "egress rule tcp:%u:refused:80", rule_port + 1);
    uint64_t start_ns = clock_now_ns();
    parent_start(0, socket_name, "refused");
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_uint_lt(elapsed_ms(start_ns), 2000);
    ck_assert_msg(strstr(errors, wanted) && strstr(errors, "address already in use"), "%s", errors);
}
END_TEST

START_TEST(a_rule_added_at_run_time_is_kept_and_removed_as_the_others_are)
{
    char added[32], kept[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    snprintf(kept, sizeof kept, "kept %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0),
                  *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", port, "other.example");
    await_line(proxyd, added);
    await_line(tunneld, added);
    await_line(ctld, added);
    await_line(ctld, "answer 0 ");
    ck_assert_int_eq(access(tree_path("state/state.json"), F_OK), 0);
    ck_assert(port_connects(port));
    kill(proxyd->pid, SIGKILL);
    struct client *second = await_child("proxyd", 1);
    await_line(second, added);
    ck_assert_uint_eq(lines_equal(second, kept), 1);
    order_wish(ctld, "remove", port, "other.example");
    await_line(second, "rule- 2");
    await_line(tunneld, "rule- 2");
    await_line(ctld, "rule- 2");
    await_line(ctld, "answer 0 ");
    ck_assert(!port_connects(port));
    ck_assert(port_connects(rule_port));
    /* And nothing of it is handed to the next one. */
    kill(second->pid, SIGKILL);
    struct client *third = await_child("proxyd", 2);
    await_line(third, "link ");
    ck_assert_uint_eq(lines_equal(third, kept), 0);
    ck_assert_uint_eq(lines_equal(third, added), 0);
    order_wish(ctld, "remove", rule_port, socket_name);
    await_line(ctld, "answer 5 no matching egress proxy rule found: ");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_child_that_dies_while_a_rule_is_added_neither_loses_nor_doubles_it)
{
    char added[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0),
                  *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(proxyd, "mute");
    await_line(proxyd, "done mute");
    order(tunneld, "mute");
    await_line(tunneld, "done mute");
    order_wish(ctld, "add", port, "other.example");
    await_line(proxyd, added);
    kill(proxyd->pid, SIGKILL);
    await_line(await_child("proxyd", 1), added);
    await_line(tunneld, added);
    kill(tunneld->pid, SIGKILL);
    struct client *second = await_child("tunneld", 1);
    await_line(second, added);
    await_line(ctld, "answer 0 ");
    ck_assert_uint_eq(lines_equal(second, added), 1);
    ck_assert_uint_eq(lines_equal(ctld, added), 1);
    ck_assert(port_connects(port));
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(stored_rules_come_back_and_one_that_cannot_be_had_is_no_reason_to_stop)
{
    static char errors[65536];
    char added[32];
    uint16_t port = (uint16_t)(rule_port + 1);
    snprintf(added, sizeof added, "rule+ 2 %u", port);
    with_state = true;
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", port, "other.example");
    await_line(ctld, "answer 0 ");
    kill(parent_pid, SIGKILL); /* right after the answer */
    ck_assert_int_eq(waitpid(parent_pid, NULL, 0), parent_pid);
    close(pid_fd);
    close(output_fd);
    char state[512] = "";
    FILE *file = fopen(tree_path("state/state.json"), "r+");
    ck_assert_uint_gt(fread(state, 1, sizeof state - 1, file), 0);
    char *host = strstr(state, "other.example");
    ck_assert_ptr_nonnull(host);
    parent_start(0, socket_name, NULL);
    await_line(await_child("proxyd", 1), added);
    await_notification("READY=1");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    /* By now its port is somebody else's. */
    memcpy(host, "refused.xmple", strlen("refused.xmple"));
    rewind(file);
    ck_assert_uint_eq(fwrite(state, 1, strlen(state), file), strlen(state));
    fclose(file);
    parent_start(0, socket_name, NULL);
    await_notification("READY=1");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_msg(strstr(errors, "refused.xmple:80: tcp port"), "%s", errors);
}
END_TEST

/* -- The operator's policy -- */

static void caller(struct client *ctld, const char *who)
{
    char text[32], done[48];
    snprintf(text, sizeof text, "caller %s", who);
    snprintf(done, sizeof done, "done caller %s", who);
    order(ctld, text);
    await_line(ctld, done);
}

static int control_connect(struct client *ctld)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", tree_path("control"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    order(ctld, "accept");
    await_line(ctld, "done accept");
    return fd;
}

START_TEST(each_process_is_told_its_part_of_the_policy)
{
    with_state = true;
    with_policy = "allow any any any to any any\nlimit flows 7\ncontrol any all\nlimit flows-per-peer 5\n";
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *tunneld = await_child("tunneld", 0),
                  *ctld = await_child("ctld", 0);
    await_line(proxyd, "policy P 4");
    await_line(proxyd, "line 1 allow any any any to any any");
    await_line(proxyd, "line 4 limit flows-per-peer 5");
    await_line(tunneld, "limits 7 5");
    await_line(ctld, "policy P 1");
    await_line(ctld, "line 3 control any all");
    await_notification("READY=1");
    ck_assert_uint_eq(lines_equal(ctld, "line 1 allow any any any to any any"), 0);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(the_parent_judges_rules_whatever_ctld_says)
{
    with_state = true;
    with_policy = "deny any any any to name bad.example any\nallow any any any to any any\n";
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", rule_port + 1u, "bad.example");
    await_line(ctld, "answer 9 egress rule ");
    order_wish(ctld, "add", rule_port + 1u, "good.example");
    await_line(ctld, "answer 0 ");
    char refused[32];
    snprintf(refused, sizeof refused, "rule+ 2 %u", rule_port + 1u);
    await_line(proxyd, refused); /* the id of the first that was admitted */
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(rules_do_not_change_at_run_time_whatever_ctld_says)
{
    with_state = true;
    with_policy = "run-time-rules no\nallow any any any to any any\n";
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", rule_port + 1u, "other.example");
    await_line(ctld, "answer 9 rules do not change at run time: P:1 says so");
    order_wish(ctld, "remove", rule_port, socket_name);
    await_line(ctld, "answer 9 rules do not change at run time: P:1 says so");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

/* ctld has a client that may add rules, and claims more than that. */
/* So that Landlock holds it to the ports of the rules; a name server is asked by TCP, too. */
START_TEST(where_the_policy_fixes_rules_proxyd_is_told_their_ports)
{
    char option[64];
    with_state = true;
    with_policy = "allow any any any to any any\nrun-time-rules no\n";
    snprintf(option, sizeof option, "option --tcp-ports=bind:%u;connect:53", rule_port);
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0);
    await_line(proxyd, option);
    await_notification("READY=1");
    kill(proxyd->pid, SIGKILL);
    await_line(await_child("proxyd", 1), option);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(where_rules_may_change_proxyd_is_told_no_ports)
{
    with_state = true;
    with_policy = "allow any any any to any any\nrun-time-rules yes\n";
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0);
    await_notification("READY=1");
    for (size_t i = 0; i < proxyd->line_count; i++)
        ck_assert(strncmp(proxyd->lines[i], "option", 6) != 0);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

/* Nobody can have asked ctld for it: it is not merely refused. */
START_TEST(a_ctld_that_nobody_talks_to_and_that_wants_rules_changed_is_ended)
{
    static char errors[65536];
    unattended = true;
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", rule_port + 1U, socket_name);
    await_line(proxyd, "down ctld");
    await_child("ctld", 1);
    ck_assert(port_is_free((uint16_t)(rule_port + 1)));
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_ptr_nonnull(strstr(errors, "it wants to change rules, and nobody can have asked it to"));
}
END_TEST

START_TEST(the_parent_asks_the_kernel_who_calls_and_believes_no_ctld)
{
    char policy[128];
    snprintf(policy, sizeof policy, "allow any any any to any any\ncontrol uid %u ProxyAddEgress\n",
             (unsigned)getuid());
    with_state = true;
    with_policy = policy;
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    await_line(ctld, "control");
    order_wish(ctld, "add", rule_port + 1u, "other.example"); /* says nobody */
    await_line(ctld, "answer 9 P says who may call ProxyAddEgress, and who calls has gone");
    caller(ctld, "forged"); /* a socket that ctld has made itself, as a user who would have the right */
    order_wish(ctld, "add", rule_port + 1u, "other.example");
    await_line(ctld, "answer 9 P says who may call ProxyAddEgress, and who calls has gone");
    int client = control_connect(ctld);
    caller(ctld, "client");
    order_wish(ctld, "remove", rule_port, socket_name); /* the client may not */
    await_line(ctld, "answer 9 no control line of P lets uid ");
    order_wish(ctld, "add", rule_port + 1u, "other.example");
    await_line(ctld, "answer 0 ");
    caller(ctld, "none"); /* what was proven once counts once */
    order_wish(ctld, "add", rule_port + 2u, "other.example");
    await_line(ctld, "answer 9 P says who may call ProxyAddEgress, and who calls has gone");
    caller(ctld, "client");
    order(ctld, "vouch"); /* nor is it kept for later */
    await_line(ctld, "answer 0 ");
    caller(ctld, "none");
    order_wish(ctld, "add", rule_port + 2u, "other.example");
    await_line(ctld, "answer 9 P says who may call ProxyAddEgress, and who calls has gone");
    close(client); /* and a client that has gone asks for nothing any more */
    caller(ctld, "client");
    order_wish(ctld, "add", rule_port + 2u, "other.example");
    await_line(ctld, "answer 9 P says who may call ProxyAddEgress, and who calls has gone");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

/* Debugging is switched on and off; the rest of the log stays. */
START_TEST(a_ctld_that_would_silence_the_log_is_ended)
{
    static char errors[65536];
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, "level 0");
    await_line(ctld, "answer 0 ");
    order(ctld, "level 1");
    await_line(ctld, "answer 0 ");
    order(ctld, "level 2");
    ctld = await_child("ctld", 1);
    order(ctld, "level 4");
    await_child("ctld", 2);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 0);
    ck_assert_msg(strstr(errors, "it wants to silence the log"), "%s", errors);
}
END_TEST

START_TEST(without_a_state_folder_nothing_changes_at_run_time)
{
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order_wish(ctld, "add", rule_port + 1u, "other.example");
    await_line(proxyd, "rule- 2");
    await_line(ctld, "answer 1 no state folder");
    ck_assert(!port_connects((uint16_t)(rule_port + 1)));
    order_wish(ctld, "add", rule_port + 1u, "refused.example");
    await_line(ctld, "answer 6 address already in use");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}
END_TEST

START_TEST(a_child_that_cannot_start_is_fatal)
{
    static char errors[65536];
    unlink(tree_path("libexec/nexd/ctld"));
    ck_assert_int_eq(symlink("/bin/false", tree_path("libexec/nexd/ctld")), 0);
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "ctld could not start (exit status 1)"), "%s", errors);
}
END_TEST

START_TEST(a_missing_or_broken_program_is_named)
{
    static char errors[65536];
    unlink(tree_path("libexec/nexd/proxyd"));
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "\"proxyd\" is missing"), "%s", errors);
    int fd = open(tree_path("libexec/nexd/proxyd"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ck_assert_int_eq(write(fd, "no program\n", 11), 11);
    close(fd);
    parent_start(0, socket_name, NULL);
    ck_assert_int_eq(await_exit(errors, sizeof errors), 1);
    ck_assert_msg(strstr(errors, "proxyd does not start") && strstr(errors, "Exec format error"), "%s",
                  errors);
}
END_TEST

/* As process 1 of a PID namespace. */
START_TEST(process_1_reaps_orphans_and_stops_on_a_signal)
{
    int flags = CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0);
    pid_t probe = fork();
    ck_assert_int_ge(probe, 0);
    if (probe == 0)
        _exit(unshare(flags) ? 1 : 0);
    int status;
    waitpid(probe, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        fprintf(stderr, "skipped: PID namespaces are not permitted here\n");
        return;
    }
    parent_start(flags, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, "orphan");
    await_line(ctld, "done orphan");
    struct client *orphan = NULL;
    uint64_t deadline_ns = clock_now_ns() + WAIT_MS * NS_PER_MS;
    while (!orphan && clock_now_ns() < deadline_ns) {
        for (size_t i = 0; i < client_count; i++)
            if (clients[i]->line_count && strcmp(clients[i]->lines[0], "orphan") == 0)
                orphan = clients[i];
        if (!orphan)
            pump(deadline_ns);
    }
    ck_assert_ptr_nonnull(orphan);
    /* It ends; and then it goes away for good, which only its adoptive parent can do. There is no event for
     * that. */
    order(orphan, "x");
    while (alive(orphan->pid) && clock_now_ns() < deadline_ns)
        sched_yield();
    ck_assert_msg(!alive(orphan->pid), "the orphan was not reaped");
    uint64_t stop_ns = clock_now_ns();
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
    ck_assert_uint_lt(elapsed_ms(stop_ns), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parent");
    TCase *tests = tcase_create("parent");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, rig_set_up, rig_tear_down);
    tcase_add_test(tests, starts_configures_links_and_is_ready);
    tcase_add_test(tests, a_killed_child_comes_back_and_is_linked_anew);
    tcase_add_test(tests, sockets_survive_their_maker);
    tcase_add_test(tests, garbage_ends_its_sender_only);
    tcase_add_test(tests, a_child_that_broke_the_protocol_towards_a_sibling_is_restarted);
    tcase_add_test(tests, a_child_that_hangs_is_killed_and_started_again);
    tcase_add_test(tests, who_answers_what_was_not_asked_is_ended);
    tcase_add_test(tests, a_deaf_child_is_killed_within_a_second);
    tcase_add_test(tests, a_second_signal_ends_at_once);
    tcase_add_test(tests, a_hang_up_is_no_reason_to_stop);
    tcase_add_test(tests, a_dead_parent_takes_its_children_along);
    tcase_add_test(tests, a_rule_that_cannot_be_had_is_fatal_at_start);
    tcase_add_test(tests, a_rule_added_at_run_time_is_kept_and_removed_as_the_others_are);
    tcase_add_test(tests, a_child_that_dies_while_a_rule_is_added_neither_loses_nor_doubles_it);
    tcase_add_test(tests, stored_rules_come_back_and_one_that_cannot_be_had_is_no_reason_to_stop);
    tcase_add_test(tests, a_ctld_that_would_silence_the_log_is_ended);
    tcase_add_test(tests, without_a_state_folder_nothing_changes_at_run_time);
    tcase_add_test(tests, each_process_is_told_its_part_of_the_policy);
    tcase_add_test(tests, the_parent_judges_rules_whatever_ctld_says);
    tcase_add_test(tests, rules_do_not_change_at_run_time_whatever_ctld_says);
    tcase_add_test(tests, where_the_policy_fixes_rules_proxyd_is_told_their_ports);
    tcase_add_test(tests, where_rules_may_change_proxyd_is_told_no_ports);
    tcase_add_test(tests, a_ctld_that_nobody_talks_to_and_that_wants_rules_changed_is_ended);
    tcase_add_test(tests, the_parent_asks_the_kernel_who_calls_and_believes_no_ctld);
    tcase_add_test(tests, a_child_that_cannot_start_is_fatal);
    tcase_add_test(tests, a_missing_or_broken_program_is_named);
    tcase_add_test(tests, process_1_reaps_orphans_and_stops_on_a_signal);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
