/* Who asks, as the parent finds out: with a control socket, a client and a policy, and without processes. */
#include "common/err.h"
#include "common/fd.h"
#include "nexd/guard.h"
#include "nexd/parent.h"
#include "tests/unit/common/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST = 77 };

static char folder[64];
static struct control_socket control;
static struct policy *policy;
static struct parent_config config;
static struct parent parent;
static struct parent_child *ctld;
static int client, accepted;

static void client_connect(int *near, int *far)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, control.path);
    *near = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(*near, (const struct sockaddr *)&address, sizeof address), 0);
    *far = accept(control.fd, NULL, NULL);
    ck_assert_int_ge(*far, 0);
}

static void set_up(void)
{
    char path[96], error[CONTROL_SOCKET_ERROR_MAX], text[64];
    strcpy(folder, "/tmp/nexd-guard-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control", folder);
    ck_assert_int_eq(control_socket_open(path, false, &control, error), NX_OK);
    policy = policy_new("P");
    snprintf(text, sizeof text, "control uid %u Drain", (unsigned)getuid());
    ck_assert_int_eq(policy_read_line(policy, 1, text, strlen(text), error), NX_OK);
    config = (struct parent_config){.policy = policy, .control = &control};
    parent = (struct parent){.config = &config};
    guard_init(&parent.guard);
    ctld = parent_child_of(&parent, IPC_CTLD);
    *ctld = (struct parent_child){.parent = &parent, .role = IPC_CTLD, .name = "ctld"};
    client_connect(&client, &accepted);
}

static void tear_down(void)
{
    guard_forget(&parent.guard);
    fd_close(&client);
    fd_close(&accepted);
    policy_free(policy);
    control_socket_close(&control);
    rmdir(folder);
}

static void vouch(int fd)
{
    int handed_up = dup(fd);
    ck_assert_int_ge(handed_up, 0);
    guard_caller(ctld, REQUEST, &handed_up);
    fd_close(&handed_up);
}

START_TEST(who_is_connected_may_do_what_the_policy_says_once)
{
    vouch(accepted);
    ck_assert(guard_permits(ctld, REQUEST, "Drain"));
    ck_assert(!guard_permits(ctld, REQUEST, "Drain"));
    vouch(accepted);
    ck_assert(!guard_permits(ctld, REQUEST, "SetDebugOn"));
    ck_assert(!guard_permits(ctld, REQUEST, "Drain")); /* a refusal ends it, too */
    vouch(accepted);
    ck_assert(!guard_permits(ctld, REQUEST + 1, "Drain"));
    ck_assert_uint_eq(parent.guard.refused, 4);
}
END_TEST

/* Handed up while its client was there, and used when it is not any more. */
START_TEST(who_has_gone_since_then_asks_for_nothing)
{
    vouch(accepted);
    fd_close(&client);
    ck_assert(!guard_permits(ctld, REQUEST, "Drain"));
}
END_TEST

START_TEST(what_a_client_proved_is_forgotten)
{
    vouch(accepted);
    guard_forget(&parent.guard);
    ck_assert(!guard_permits(ctld, REQUEST, "Drain"));
}
END_TEST

/* The client is to see the end of its connection when ctld closes it. */
START_TEST(no_connection_is_kept)
{
    char byte;
    vouch(accepted);
    vouch(accepted);
    (void)guard_permits(ctld, REQUEST, "Drain");
    fd_close(&accepted);
    ck_assert_int_eq(recv(client, &byte, 1, MSG_DONTWAIT), 0);
}
END_TEST

/* The client's end has no name; the listener has, and would speak for whoever runs nexd, but is not let
 * through by the message's declaration. */
START_TEST(only_the_control_sockets_own_connections_count)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const int others[] = {client, pair[0]};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        vouch(accepted); /* also: what stood before is gone */
        vouch(others[i]);
        ck_assert_int_eq(parent.guard.client, -1);
        ck_assert(!guard_permits(ctld, REQUEST, "Drain"));
    }
    close(pair[0]);
    close(pair[1]);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, who_is_connected_may_do_what_the_policy_says_once);
    tcase_add_test(tcase, who_has_gone_since_then_asks_for_nothing);
    tcase_add_test(tcase, what_a_client_proved_is_forgotten);
    tcase_add_test(tcase, no_connection_is_kept);
    tcase_add_test(tcase, only_the_control_sockets_own_connections_count);
}

int main(void)
{
    return unit_run("guard", fill);
}
