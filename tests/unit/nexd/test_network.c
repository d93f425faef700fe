/* network.c alone: what is done, and what ctld is answered, whatever happens in whatever order. The
 * operations write down what they are asked for. */
#include "common/err.h"
#include "nexd/network.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct network network;
static char done[1024]; /* since it was looked at last */
static int renew_err;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    size_t used = strlen(done);
    va_list args;
    va_start(args, format);
    vsnprintf(done + used, sizeof done - used, format, args);
    va_end(args);
}

static void on_configure(void *arg, const struct ipc_mesh_addresses *addresses)
{
    char text[NETADDR_TEXT_MAX];
    (void)arg;
    note("configure %u %s;", addresses->addresses.count, netaddr_format(&addresses->addresses.item[0], text));
}

static void on_restart(void *arg, const char *why)
{
    (void)arg, (void)why;
    note("restart;");
}

static void on_answer(void *arg, uint32_t request, enum ipc_outcome outcome, const char *text)
{
    (void)arg;
    note("answer %u %s;", request, outcome == IPC_OK ? "ok" : text[0] ? "failed" : "failed silently");
}

static int on_renew(void *arg, char *error)
{
    (void)arg;
    note("renew;");
    snprintf(error, NETWORK_TEXT_MAX, "%s", renew_err ? "disk full" : "");
    return renew_err;
}

static void on_announce(void *arg)
{
    (void)arg;
    note("announce;");
}

static const struct network_ops ops = {.configure = on_configure,
                                       .restart = on_restart,
                                       .answer = on_answer,
                                       .renew = on_renew,
                                       .announce = on_announce};

static void set_up(void)
{
    network_init(&network, &ops, NULL);
    done[0] = '\0';
    renew_err = NX_OK;
}

#define expect(text)                                                                                         \
    do {                                                                                                     \
        ck_assert_str_eq(done, text);                                                                        \
        done[0] = '\0';                                                                                      \
    } while (0)

static struct ipc_mesh_addresses set_of(const char *first, const char *second)
{
    struct ipc_mesh_addresses set = {0};
    const char *const texts[] = {first, second};
    for (size_t i = 0; i < 2 && texts[i]; i++)
        ck_assert_int_eq(netaddr_parse(texts[i], &set.addresses.item[set.addresses.count++]), NX_OK);
    return set;
}

static void addresses(uint32_t request, const char *first, const char *second)
{
    const struct ipc_mesh_addresses set = set_of(first, second);
    network_addresses(&network, request, &set);
}

static void run_with(const char *first, const char *second)
{
    network_tunnel_up(&network);
    addresses(1, first, second);
    ck_assert(network_tunnel_result(&network, NULL));
    done[0] = '\0';
}

START_TEST(addresses_after_the_tunnel_is_up)
{
    network_tunnel_up(&network);
    expect("");
    addresses(7, "100.64.0.1", "200::1");
    expect("configure 2 100.64.0.1;");
    ck_assert(network_tunnel_result(&network, NULL));
    expect("answer 7 ok;");
    ck_assert(!network_tunnel_result(&network, NULL)); /* not asked for */
    expect("");
}
END_TEST

START_TEST(addresses_before_the_tunnel_is_up)
{
    addresses(7, "100.64.0.1", NULL);
    expect("");
    network_tunnel_up(&network);
    expect("configure 1 100.64.0.1;");
    network_tunnel_result(&network, NULL);
    expect("answer 7 ok;");
}
END_TEST

START_TEST(the_same_addresses_change_nothing)
{
    run_with("100.64.0.1", "200::1");
    addresses(8, "200::1", "100.64.0.1");
    expect("answer 8 ok;");
    network_ctld_gone(&network);
    addresses(9, "100.64.0.1", "200::1");
    expect("answer 9 ok;");
}
END_TEST

START_TEST(the_same_addresses_while_the_first_answer_is_awaited)
{
    network_tunnel_up(&network);
    addresses(1, "100.64.0.1", NULL);
    expect("configure 1 100.64.0.1;");
    addresses(2, "100.64.0.1", NULL);
    expect("answer 1 failed;");
    network_tunnel_result(&network, NULL);
    expect("answer 2 ok;");
}
END_TEST

START_TEST(other_addresses_restart_the_tunnel)
{
    static const char *const others[][2] = {
        {"100.64.0.2", "200::1"}, {"100.64.0.1", NULL}, {"100.64.0.1", "200::2"}};
    for (size_t i = 0; i < 3; i++) {
        set_up();
        run_with("100.64.0.1", "200::1");
        addresses(8, others[i][0], others[i][1]);
        expect("restart;");
        network_tunnel_gone(&network);
        network_tunnel_up(&network);
        ck_assert_ptr_nonnull(strstr(done, "configure"));
        done[0] = '\0';
        network_tunnel_result(&network, NULL);
        expect("answer 8 ok;");
    }
}
END_TEST

START_TEST(other_addresses_while_it_is_configured)
{
    network_tunnel_up(&network);
    addresses(1, "100.64.0.1", NULL);
    expect("configure 1 100.64.0.1;");
    addresses(2, "100.64.0.2", NULL);
    expect("answer 1 failed;restart;");
    addresses(3, "100.64.0.3", NULL); /* it is on its way down already */
    expect("answer 2 failed;");
    network_tunnel_gone(&network);
    network_tunnel_up(&network);
    expect("configure 1 100.64.0.3;");
    network_tunnel_result(&network, NULL);
    expect("answer 3 ok;");
}
END_TEST

START_TEST(a_tunnel_that_dies_is_configured_again)
{
    run_with("100.64.0.1", NULL);
    network_tunnel_gone(&network);
    network_tunnel_up(&network);
    expect("configure 1 100.64.0.1;");
    /* Once more, before it has answered, while ctld asks again. */
    addresses(5, "100.64.0.1", NULL);
    network_tunnel_gone(&network);
    expect("");
    network_tunnel_up(&network);
    expect("configure 1 100.64.0.1;");
    network_tunnel_result(&network, NULL);
    expect("answer 5 ok;");
}
END_TEST

START_TEST(ctld_dies_while_it_waits)
{
    network_tunnel_up(&network);
    addresses(1, "100.64.0.1", NULL);
    network_ctld_gone(&network);
    expect("configure 1 100.64.0.1;");
    network_tunnel_result(&network, NULL);
    expect(""); /* the new process's request 1 is another one */
    addresses(1, "100.64.0.1", NULL);
    expect("answer 1 ok;");
}
END_TEST

START_TEST(a_tunnel_that_refuses)
{
    network_tunnel_up(&network);
    addresses(1, "100.64.0.1", NULL);
    expect("configure 1 100.64.0.1;");
    ck_assert(network_tunnel_result(&network, "no memory"));
    expect("answer 1 failed;restart;");
    network_tunnel_gone(&network);
    network_tunnel_up(&network);
    expect("configure 1 100.64.0.1;");
    network_tunnel_result(&network, NULL);
    expect("");
}
END_TEST

START_TEST(addresses_that_no_device_has)
{
    static const char *const wrong[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255",
                                        "::",      "::1",     "fe80::1",   "ff02::1",   "febf::1"};
    run_with("100.64.0.1", NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        addresses(4, "100.64.0.1", wrong[i]);
        ck_assert_msg(strcmp(done, "answer 4 failed;") == 0, "%s: %s", wrong[i], done);
        done[0] = '\0';
    }
    addresses(5, NULL, NULL);
    expect("answer 5 failed;");
    addresses(6, "100.64.0.2", "100.64.0.2");
    expect("answer 6 failed;");
    addresses(0, NULL, NULL); /* who does not ask gets no answer */
    expect("");
    addresses(7, "100.64.0.1", NULL); /* and nothing has changed */
    expect("answer 7 ok;");
}
END_TEST

START_TEST(a_key_is_renewed)
{
    run_with("100.64.0.1", NULL);
    network_key_renew(&network, 3, true);
    expect("renew;restart;announce;answer 3 ok;");
    network_tunnel_gone(&network);
    network_tunnel_up(&network);
    expect(""); /* the addresses were the old key's */
    addresses(4, "100.64.0.1", NULL);
    expect("configure 1 100.64.0.1;");
    network_tunnel_result(&network, NULL);
    expect("answer 4 ok;");
}
END_TEST

START_TEST(a_key_is_renewed_before_the_tunnel_has_it)
{
    network_tunnel_up(&network);
    network_key_renew(&network, 3, true);
    expect("renew;announce;answer 3 ok;");
    addresses(4, "100.64.0.1", NULL);
    expect("configure 1 100.64.0.1;");
    network_key_renew(&network, 5, true);
    expect("renew;answer 4 failed;restart;announce;answer 5 ok;");
}
END_TEST

START_TEST(a_key_that_was_renewed_already)
{
    run_with("100.64.0.1", NULL);
    network_key_renew(&network, 3, false);
    expect("announce;answer 3 ok;");
    addresses(4, "100.64.0.1", NULL);
    expect("answer 4 ok;");
}
END_TEST

START_TEST(a_key_that_cannot_be_stored_stays)
{
    run_with("100.64.0.1", NULL);
    renew_err = NX_ESYS;
    network_key_renew(&network, 3, true);
    expect("renew;answer 3 failed;");
    addresses(4, "100.64.0.1", NULL);
    expect("answer 4 ok;");
}
END_TEST

/* Any order of events: no request is answered twice, none is forgotten once the tunnel has been configured
 * undisturbed, and nothing is configured without addresses. */
START_TEST(any_order)
{
    static const char *const texts[] = {"100.64.0.1", "100.64.0.2", "200::1"};
    unsigned seed = 12345 + (unsigned)_i;
    uint32_t request = 0;
    bool up = false;
    for (int i = 0; i < 3000; i++) {
        char pending[32], before = network.tunnel == NETWORK_TUNNEL_CONFIGURING;
        snprintf(pending, sizeof pending, "answer %u ", request);
        done[0] = '\0';
        switch (rand_r(&seed) % 7) {
        case 0:
        case 1:
            addresses(++request, texts[rand_r(&seed) % 3], NULL);
            break;
        case 2:
            if (!up)
                network_tunnel_up(&network);
            up = true;
            break;
        case 3:
            network_tunnel_gone(&network);
            up = false;
            break;
        case 4:
            ck_assert_int_eq(network_tunnel_result(&network, NULL), before);
            break;
        case 5:
            network_ctld_gone(&network);
            break;
        default:
            network_key_renew(&network, 0, rand_r(&seed) % 2);
            break;
        }
        if (strstr(done, "restart;"))
            up = false; /* it is killed */
        ck_assert_ptr_null(strstr(done, "configure 0"));
        const char *first = strstr(done, pending);
        ck_assert_ptr_null(first ? strstr(first + 1, pending) : NULL);
        ck_assert(network.tunnel != NETWORK_TUNNEL_WAITING || network.addresses.addresses.count == 0);
        ck_assert(network.tunnel != NETWORK_TUNNEL_CONFIGURED || network.request == 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("network");
    TCase *tests = tcase_create("network");
    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, addresses_after_the_tunnel_is_up);
    tcase_add_test(tests, addresses_before_the_tunnel_is_up);
    tcase_add_test(tests, the_same_addresses_change_nothing);
    tcase_add_test(tests, the_same_addresses_while_the_first_answer_is_awaited);
    tcase_add_test(tests, other_addresses_restart_the_tunnel);
    tcase_add_test(tests, other_addresses_while_it_is_configured);
    tcase_add_test(tests, a_tunnel_that_dies_is_configured_again);
    tcase_add_test(tests, ctld_dies_while_it_waits);
    tcase_add_test(tests, a_tunnel_that_refuses);
    tcase_add_test(tests, addresses_that_no_device_has);
    tcase_add_test(tests, a_key_is_renewed);
    tcase_add_test(tests, a_key_is_renewed_before_the_tunnel_has_it);
    tcase_add_test(tests, a_key_that_was_renewed_already);
    tcase_add_test(tests, a_key_that_cannot_be_stored_stays);
    tcase_add_loop_test(tests, any_order, 0, 20);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
