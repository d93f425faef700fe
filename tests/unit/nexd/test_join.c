/* The parent in network mode with three fake children: what each is told and when, what is stored, and that a
 * child's death at any of these moments heals. */
#include "tests/unit/nexd/parent_rig.h"

#include "common/clock.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_up(void)
{
    rig_set_up();
    with_state = with_network = true;
}

static void start(struct client **ctld, struct client **proxyd)
{
    parent_start(0, socket_name, NULL);
    *ctld = await_child("ctld", 0);
    *proxyd = await_child("proxyd", 0);
    await_line(*ctld, "network done 2");
}

static void stop(void)
{
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(NULL, 0), 0);
}

static const char *file_get(const char *name)
{
    static char text[4096];
    FILE *file = fopen(tree_path(name), "r");
    if (!file)
        return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void file_put(const char *name, const char *text)
{
    mkdir(tree_path("state"), 0700);
    FILE *file = fopen(tree_path(name), "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(joins_and_is_ready)
{
    parent_start(0, socket_name, NULL);
    struct client *proxyd = await_child("proxyd", 0), *ctld = await_child("ctld", 0);
    await_line(proxyd, "outlet 1 api.example:443");
    await_line(proxyd, "outlet 2 proxy.example:443");
    await_line(proxyd, "bind 0");
    await_line(ctld, "network https://nexodus.example");
    await_line(ctld, "credential 1 RK:a");
    await_line(ctld, "credential 3 secret");
    await_line(ctld, "stun stun.example:3478");
    await_line(ctld, "stun stun.example:3479");
    await_line(ctld, "network done 2");
    ck_assert_uint_eq(lines_equal(ctld, "peers 0"), 0);
    order(ctld, "phase 3 asking https://api.nexodus.example");
    await_notification("STATUS=Joining the network: asking https://api.nexodus.example");
    order(ctld, "addresses 100.64.0.1 200::1");
    struct client *tunneld = await_child("tunneld", 0);
    await_line(tunneld, "sockets"); /* before anything else */
    await_line(tunneld, "config 2");
    await_line(tunneld, "rule+ 1");
    await_line(ctld, "answer 0");
    await_notification("READY=1");
    order(ctld, "phase 5");
    await_notification("STATUS=Running");
    stop();
}
END_TEST

START_TEST(the_port_is_remembered)
{
    char expected[32];
    struct client *ctld, *proxyd;
    unsigned port;
    start(&ctld, &proxyd);
    stop();
    ck_assert_int_eq(sscanf(file_get("state/state.json"), "{ \"port\": %u", &port), 1);
    snprintf(expected, sizeof expected, "bind %u", port);
    parent_start(0, socket_name, NULL);
    await_line(await_child("proxyd", 1), expected);
    stop();
}
END_TEST

START_TEST(a_remembered_port_that_is_taken_is_replaced)
{
    struct client *ctld, *proxyd;
    unsigned port = 0;
    file_put("state/state.json", "{\"port\": 1}");
    start(&ctld, &proxyd);
    await_line(proxyd, "bind 1");
    await_line(proxyd, "bind 0");
    stop();
    ck_assert_int_eq(sscanf(file_get("state/state.json"), "{ \"port\": %u", &port), 1);
    ck_assert_uint_gt(port, 1);
}
END_TEST

START_TEST(a_restarted_ctld_is_fed_again_and_the_tunnel_stays)
{
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "addresses 100.64.0.1");
    struct client *tunneld = await_child("tunneld", 0);
    await_line(tunneld, "config 1");
    await_line(ctld, "answer 0");
    order(ctld, "crash");
    struct client *second = await_child("ctld", 1);
    await_line(second, "device ");
    await_line(second, "credential 1 RK:a");
    await_line(second, "network done 2");
    order(second, "addresses 100.64.0.1");
    await_line(second, "answer 0");
    ck_assert(alive(tunneld->pid));
    ck_assert_uint_eq(lines_equal(tunneld, "config 1"), 1);
    stop();
}
END_TEST

START_TEST(a_restarted_tunneld_is_configured_without_ctld)
{
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "addresses 100.64.0.1 200::1");
    await_line(await_child("tunneld", 0), "config 2");
    await_line(ctld, "answer 0");
    order(await_child("tunneld", 0), "crash");
    struct client *second = await_child("tunneld", 1);
    await_line(second, "sockets");
    await_line(second, "config 2");
    await_line(second, "rule+ 1");
    stop();
}
END_TEST

START_TEST(other_addresses_restart_the_tunnel)
{
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "addresses 100.64.0.1");
    struct client *first = await_child("tunneld", 0);
    await_line(ctld, "answer 0");
    order(ctld, "addresses 100.64.0.2 200::2");
    struct client *second = await_child("tunneld", 1);
    ck_assert_int_ne(first->pid, second->pid);
    await_line(second, "config 2");
    await_line(ctld, "answer 0");
    order(ctld, "addresses 127.0.0.1");
    await_line(ctld, "answer 1 an address that no device can have");
    stop();
}
END_TEST

/* The last line so far that begins with `start`. */
static const char *last_line(const struct client *client, const char *start)
{
    const char *found = "";
    for (size_t i = 0; i < client->line_count; i++)
        if (strncmp(client->lines[i], start, strlen(start)) == 0)
            found = client->lines[i];
    return found;
}

START_TEST(a_key_is_renewed)
{
    char first_device[LINE_BYTES];
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    snprintf(first_device, sizeof first_device, "%s", last_line(ctld, "device "));
    order(ctld, "addresses 100.64.0.1");
    await_line(ctld, "answer 0");
    order(ctld, "renew-old"); /* of another key than ours: it was done already */
    await_line(ctld, "device ");
    await_line(ctld, "answer 0");
    ck_assert_ptr_null(strstr(file_get("state/state.json"), "private-key"));
    order(ctld, "renew");
    const char *second_device = await_line(ctld, "device ");
    ck_assert_str_ne(second_device, first_device);
    ck_assert_ptr_nonnull(strstr(second_device, " 0")); /* without addresses */
    await_line(ctld, "answer 0");
    ck_assert_ptr_nonnull(strstr(file_get("state/state.json"), "private-key"));
    /* The tunnel has only its sockets, until there are addresses again. */
    order(ctld, "addresses 100.64.0.9");
    await_line(ctld, "answer 0");
    struct client *tunneld = await_child("tunneld", 1);
    await_line(tunneld, "sockets");
    await_line(tunneld, "config 1");
    stop();
}
END_TEST

START_TEST(documents_are_kept)
{
    static const char *const kept[] = {"stored 1 1000 ", "stored 2 60000 ", "stored 3 3000000 "};
    struct client *ctld, *proxyd;
    struct stat status;
    start(&ctld, &proxyd);
    order(ctld, "store 1 1000");
    await_line(ctld, "answer 0");
    order(ctld, "store 2 60000");
    await_line(ctld, "answer 0");
    order(ctld, "store 3 3000000");
    await_line(ctld, "answer 0");
    ck_assert_int_eq(stat(tree_path("state/network.json"), &status), 0);
    ck_assert_int_eq(status.st_size, 3000000);
    ck_assert_uint_eq(status.st_mode & 07777, 0600);
    order(ctld, "crash");
    struct client *second = await_child("ctld", 1);
    for (size_t i = 0; i < 3; i++)
        await_line(second, kept[i]);
    await_line(second, "network done 2");
    order(second, "store 3 0");
    await_line(second, "answer 0");
    ck_assert_ptr_null(file_get("state/network.json"));
    stop();
}
END_TEST

START_TEST(what_is_no_document_is_not_kept)
{
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "store 2 100");
    await_line(ctld, "answer 0");
    order(ctld, "store-bad");
    await_line(ctld, "answer 1 device.json");
    order(ctld, "store 2 65537");
    await_line(ctld, "answer 8 device.json for the state folder: too long");
    ck_assert_uint_eq(strlen(file_get("state/device.json")), 100);
    order(ctld, "continue"); /* which only a broken ctld does */
    await_line(await_child("ctld", 1), "stored 2 100 ");
    stop();
}
END_TEST

START_TEST(without_a_state_folder_nothing_is_kept)
{
    struct client *ctld, *proxyd;
    with_state = false;
    start(&ctld, &proxyd);
    order(ctld, "store 2 100");
    await_line(ctld, "answer 7");
    order(ctld, "renew");
    await_line(ctld, "answer 1 there is no state folder");
    stop();
}
END_TEST

/* A folder in place of the file that is to be written: nobody, root included, can write it. */
START_TEST(a_disk_that_fails_does_not_end_anything)
{
    static char written[65536];
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "addresses 100.64.0.1");
    await_line(ctld, "answer 0");
    ck_assert_int_eq(mkdir(tree_path("state/network.json.new"), 0700), 0);
    order(ctld, "store 3 100");
    const char *answer = await_line(ctld, "answer 1 ");
    ck_assert_ptr_nonnull(strstr(answer, "state/network.json.new"));
    order(ctld, "store 3 100");
    await_line(ctld, "answer 1 ");
    rmdir(tree_path("state/network.json.new"));
    order(ctld, "store 3 100");
    await_line(ctld, "answer 0");
    ck_assert_uint_eq(strlen(file_get("state/network.json")), 100);
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(written, sizeof written), 0);
    const char *said = strstr(written, "is not stored:");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_null(strstr(said + 1, "is not stored:")); /* once */
    ck_assert_ptr_nonnull(strstr(said, "is stored again"));
}
END_TEST

START_TEST(a_user_is_asked_to_log_in)
{
    static char written[65536];
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "phase 2");
    order(ctld, "prompt");
    order(ctld, "phase 3");
    await_notification("STATUS=Waiting for a login");
    await_notification("STATUS=Joining");
    kill(parent_pid, SIGTERM);
    ck_assert_int_eq(await_exit(written, sizeof written), 0);
    ck_assert_ptr_nonnull(strstr(written, "Your device must be registered with Nexodus.\n"
                                          "Your one-time code is: ABCD-EFGH\n"
                                          "Please open the following URL in your browser to sign in:\n"
                                          "https://login.example/?code=ABCD-EFGH\n"));
    ck_assert_ptr_nonnull(strstr(written, "Authentication succeeded.\n"));
}
END_TEST

START_TEST(giving_up_ends_with_the_reason)
{
    static char written[65536];
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "give-up");
    ck_assert_int_eq(await_exit(written, sizeof written), 1);
    ck_assert_ptr_nonnull(strstr(written, "the key is not known; ask for another"));
}
END_TEST

START_TEST(giving_up_later_ends_nothing)
{
    struct client *ctld, *proxyd;
    start(&ctld, &proxyd);
    order(ctld, "addresses 100.64.0.1");
    await_notification("READY=1");
    order(ctld, "give-up");
    await_line(await_child("ctld", 1), "network done 2");
    stop();
}
END_TEST

START_TEST(in_static_mode_ctld_asks_for_nothing_of_this)
{
    static const char *const asked[] = {
        "addresses 100.64.0.1", "renew", "store 2 100", "phase 3", "prompt", "give-up"};
    with_network = false;
    parent_start(0, socket_name, NULL);
    struct client *ctld = await_child("ctld", 0);
    await_notification("READY=1");
    order(ctld, asked[_i]);
    await_line(await_child("ctld", 1), "peers 2");
    ck_assert_ptr_null(file_get("state/device.json"));
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("join");
    TCase *tests = tcase_create("join");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, rig_tear_down);
    tcase_add_test(tests, joins_and_is_ready);
    tcase_add_test(tests, the_port_is_remembered);
    tcase_add_test(tests, a_remembered_port_that_is_taken_is_replaced);
    tcase_add_test(tests, a_restarted_ctld_is_fed_again_and_the_tunnel_stays);
    tcase_add_test(tests, a_restarted_tunneld_is_configured_without_ctld);
    tcase_add_test(tests, other_addresses_restart_the_tunnel);
    tcase_add_test(tests, a_key_is_renewed);
    tcase_add_test(tests, documents_are_kept);
    tcase_add_test(tests, what_is_no_document_is_not_kept);
    tcase_add_test(tests, without_a_state_folder_nothing_is_kept);
    tcase_add_test(tests, a_disk_that_fails_does_not_end_anything);
    tcase_add_test(tests, a_user_is_asked_to_log_in);
    tcase_add_test(tests, giving_up_ends_with_the_reason);
    tcase_add_test(tests, giving_up_later_ends_nothing);
    tcase_add_loop_test(tests, in_static_mode_ctld_asks_for_nothing_of_this, 0, 6);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
