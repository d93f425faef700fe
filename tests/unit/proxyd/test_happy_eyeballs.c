/* Order and outcome of races between addresses. The timing is tested through the program, in test_ingress.c.
 */
#include "common/err.h"
#include "proxyd/happy_eyeballs.h"
#include "unit.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

static struct netaddr address(const char *text)
{
    struct netaddr addr;
    ck_assert_int_eq(netaddr_parse(text, &addr), NX_OK);
    return addr;
}

/* Both lists: addresses separated by blanks. */
static void order_is(const char *given, const char *wanted)
{
    struct netaddr in[32], out[EYEBALLS_ADDRS_MAX];
    char copy[1024], got[1024] = "", text[NETADDR_TEXT_MAX];
    size_t count = 0;
    strcpy(copy, given);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        in[count++] = address(word);
    const size_t total = eyeballs_order(in, count, out);
    for (size_t i = 0; i < total; i++) {
        strcat(got, i ? " " : "");
        strcat(got, netaddr_format(&out[i], text));
    }
    ck_assert_str_eq(got, wanted);
}

START_TEST(families_alternate_beginning_with_ipv6)
{
    order_is("1.0.0.1 1.0.0.2 1.0.0.3 2::1 2::2", "2::1 1.0.0.1 2::2 1.0.0.2 1.0.0.3");
    order_is("2::1 2::2 2::3 1.0.0.1", "2::1 1.0.0.1 2::2 2::3");
    order_is("1.0.0.1 1.0.0.2", "1.0.0.1 1.0.0.2");
    order_is("2::1", "2::1");
    order_is("", "");
}
END_TEST

START_TEST(duplicates_are_tried_once)
{
    order_is("1.0.0.1 1.0.0.1 2::1 1.0.0.2 2::1", "2::1 1.0.0.1 1.0.0.2");
}
END_TEST

START_TEST(more_than_the_maximum_is_left_out)
{
    struct netaddr in[40], out[EYEBALLS_ADDRS_MAX];
    for (size_t i = 0; i < 40; i++) {
        in[i] = address(i < 20 ? "1.0.0.0" : "2::");
        in[i].bytes[i < 20 ? 3 : 15] = (uint8_t)i;
    }
    ck_assert_uint_eq(eyeballs_order(in, 40, out), EYEBALLS_ADDRS_MAX);
    ck_assert_uint_eq(out[EYEBALLS_ADDRS_MAX - 1].family, NETADDR_V4);
    ck_assert_uint_eq(out[EYEBALLS_ADDRS_MAX - 2].family, NETADDR_V6);
}
END_TEST

static void must_not_be_called(const struct eyeballs_outcome *outcome, void *arg)
{
    (void)outcome, (void)arg;
    ck_abort_msg("a race on this host is decided at once");
}

/* Loopback connections are decided inside the call, without the loop. */
static struct eyeballs_outcome race(enum rule_protocol protocol, const char *first, const char *second,
                                    uint16_t port)
{
    struct event_base *const base = event_base_new();
    const struct netaddr addrs[] = {address(first), address(second)};
    struct eyeballs_outcome outcome;
    struct eyeballs_race *started;
    ck_assert_int_eq(
        eyeballs_start(base, protocol, addrs, 2, port, 0, must_not_be_called, NULL, &outcome, &started),
        NX_OK);
    ck_assert_ptr_null(started);
    event_base_free(base);
    return outcome;
}

static int listen_on(const char *text, uint16_t *port)
{
    const struct netsock sock = {.addr = address(text)};
    struct netsock bound;
    struct sockaddr_storage storage;
    socklen_t length = netsock_to_sockaddr(&sock, &storage);
    const int fd = socket(storage.ss_family, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&storage, length), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&storage, &length), 0);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&storage, length, &bound), NX_OK);
    *port = bound.port;
    return fd;
}

START_TEST(refused_address_gives_way_to_the_next_at_once)
{
    uint16_t port;
    const int server = listen_on("127.0.0.1", &port);
    struct eyeballs_outcome outcome = race(RULE_TCP, "127.0.0.9", "127.0.0.1", port);
    ck_assert_int_ge(outcome.fd, 0);
    ck_assert_uint_eq(outcome.dest.addr.bytes[3], 1);
    ck_assert_uint_eq(outcome.dest.port, port);
    close(outcome.fd);
    close(server);
    outcome = race(RULE_TCP, "127.0.0.9", "127.0.0.1", port);
    ck_assert_int_eq(outcome.fd, -1);
    ck_assert_int_eq(outcome.error, ECONNREFUSED);
}
END_TEST

START_TEST(refusal_counts_more_than_a_missing_route)
{
    uint16_t port;
    close(listen_on("127.0.0.1", &port));
    /* 255.255.255.255 cannot be connected to: EACCES or ENETUNREACH. */
    const struct eyeballs_outcome outcome = race(RULE_TCP, "127.0.0.1", "255.255.255.255", port);
    ck_assert_int_eq(outcome.fd, -1);
    ck_assert_int_eq(outcome.error, ECONNREFUSED);
    ck_assert_uint_eq(outcome.dest.addr.bytes[0], 127);
}
END_TEST

START_TEST(udp_takes_the_first_that_has_a_route)
{
    const struct eyeballs_outcome outcome = race(RULE_UDP, "255.255.255.255", "127.0.0.1", 9);
    ck_assert_int_ge(outcome.fd, 0);
    ck_assert_uint_eq(outcome.dest.addr.bytes[0], 127);
    close(outcome.fd);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, families_alternate_beginning_with_ipv6);
    tcase_add_test(tcase, duplicates_are_tried_once);
    tcase_add_test(tcase, more_than_the_maximum_is_left_out);
    tcase_add_test(tcase, refused_address_gives_way_to_the_next_at_once);
    tcase_add_test(tcase, refusal_counts_more_than_a_missing_route);
    tcase_add_test(tcase, udp_takes_the_first_that_has_a_route);
}

int main(void)
{
    return unit_run("happy_eyeballs", add, 20);
}
