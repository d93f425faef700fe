/* Connections for ctld: the real program connects it to the places that the parent named, to one login
 * server, and to nothing else, whatever names resolve to. */
#include "common/err.h"
#include "dns_server.h"
#include "ipc/metrics.h"
#include "proxyd/outlet.h"
#include "rig.h"
#include "unit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig rig;

static void set_up(void)
{
    rig_start(&rig);
    rig_link(&rig, IPC_TUNNELD);
    rig_link(&rig, IPC_CTLD);
}

static void tear_down(void)
{
    rig_stop(&rig);
}

static void outlet(enum ipc_outlet_kind kind, const char *host, uint16_t port)
{
    struct ipc_outlet body = {.kind = (uint8_t)kind, .port = port};
    snprintf(body.host, sizeof(body.host), "%s", host);
    rig_send(&rig, IPC_PARENT, IPC_MSG_OUTLET, &body);
    /* Answered after it, so that ctld's questions do not overtake it. */
    const struct ipc_rule_remove barrier = {.rule_id = 77};
    rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_RULE_REMOVE, &barrier), IPC_NOT_FOUND);
}

static uint32_t ask(const char *host, uint16_t port)
{
    struct ipc_open body = {.port = port};
    snprintf(body.host, sizeof(body.host), "%s", host);
    return rig_send(&rig, IPC_CTLD, IPC_MSG_OPEN, &body);
}

static uint32_t issuer(const char *host, uint16_t port)
{
    struct ipc_outlet_issuer body = {.port = port};
    snprintf(body.host, sizeof(body.host), "%s", host);
    return rig_send(&rig, IPC_CTLD, IPC_MSG_OUTLET_ISSUER, &body);
}

/* The answer is a connection that leads to the listener. */
static void leads_to(uint32_t request, int listener)
{
    const struct ipc_message *const message = rig_answer(&rig, IPC_CTLD, request);
    ck_assert_msg(message->header.type == IPC_MSG_OPENED, "%s",
                  message->header.type == IPC_MSG_RESULT ? message->body.result.text : "another message");
    const int fd = rig_fd(&message->body.opened.fd), peer = accept(listener, NULL, NULL);
    char byte = 'x';
    ck_assert_int_ge(peer, 0);
    ck_assert_int_eq(write(peer, "y", 1), 1);
    while (read(fd, &byte, 1) < 0)
        rig_run_ms(&rig, 1);
    ck_assert_int_eq(byte, 'y');
    close(peer);
    close(fd);
}

START_TEST(only_what_the_parent_named_is_connected)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    rig_result(&rig, IPC_CTLD, ask("127.0.0.1", port), IPC_NOT_PERMITTED);
    outlet(IPC_OUTLET_SERVICE, "127.0.0.1", port);
    leads_to(ask("127.0.0.1", port), listener);
    leads_to(ask("127.0.0.1", port), listener);
    const char *said = rig_result(&rig, IPC_CTLD, ask("127.0.0.1", (uint16_t)(port + 1)), IPC_NOT_PERMITTED);
    ck_assert_ptr_nonnull(strstr(said, "127.0.0.1 port"));
    rig_result(&rig, IPC_CTLD, ask("127.0.0.2", port), IPC_NOT_PERMITTED);
    rig_result(&rig, IPC_CTLD, ask("localhost", port), IPC_NOT_PERMITTED);
    close(listener);
}
END_TEST

START_TEST(names_are_resolved_and_localhost_never_asked_for)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "api.example", "127.0.0.1", 60);
    outlet(IPC_OUTLET_SERVICE, "API.example", port);
    leads_to(ask("api.example", port), listener);
    outlet(IPC_OUTLET_SERVICE, "api.nexodus.localhost", port);
    leads_to(ask("api.nexodus.localhost", port), listener);
    outlet(IPC_OUTLET_PROXY, "nobody.example", port);
    const char *said = rig_result(&rig, IPC_CTLD, ask("nobody.example", port), IPC_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(said, "nobody.example"));
    close(listener);
}
END_TEST

START_TEST(a_refusal_names_host_and_cause)
{
    const uint16_t port = rig_free_port(SOCK_STREAM);
    outlet(IPC_OUTLET_SERVICE, "127.0.0.1", port);
    const char *said = rig_result(&rig, IPC_CTLD, ask("127.0.0.1", port), IPC_REFUSED);
    ck_assert_msg(strstr(said, "127.0.0.1") && strstr(said, "refused"), "%s", said);
}
END_TEST

START_TEST(one_login_server_and_not_on_this_host)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "auth.example", "127.0.0.1", 60);
    outlet(IPC_OUTLET_SERVICE, "api.example", port);
    rig_result(&rig, IPC_CTLD, issuer("127.0.0.1", port), IPC_NOT_PERMITTED);
    rig_result(&rig, IPC_CTLD, issuer("auth.localhost", port), IPC_NOT_PERMITTED);
    rig_result(&rig, IPC_CTLD, issuer("169.254.169.254", 80), IPC_NOT_PERMITTED);
    rig_result(&rig, IPC_CTLD, ask("auth.example", port), IPC_NOT_PERMITTED);
    rig_result(&rig, IPC_CTLD, issuer("auth.example", port), IPC_OK);
    rig_result(&rig, IPC_CTLD, issuer("Auth.Example", port), IPC_OK);
    const char *said = rig_result(&rig, IPC_CTLD, issuer("other.example", port), IPC_NOT_PERMITTED);
    ck_assert_msg(strstr(said, "auth.example") != NULL, "%s", said);
    /* Its name leads to this host: it is not followed. */
    said = rig_result(&rig, IPC_CTLD, ask("auth.example", port), IPC_NOT_PERMITTED);
    ck_assert_msg(strstr(said, "auth.example") != NULL, "%s", said);
    /* It outlives ctld. */
    rig_unlink(&rig, IPC_CTLD);
    rig_link(&rig, IPC_CTLD);
    rig_result(&rig, IPC_CTLD, issuer("other.example", port), IPC_NOT_PERMITTED);
    close(listener);
}
END_TEST

START_TEST(a_control_plane_on_this_host_has_its_login_server_here)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    outlet(IPC_OUTLET_SERVICE, "api.nexodus.localhost", port);
    rig_result(&rig, IPC_CTLD, issuer("auth.nexodus.localhost", port), IPC_OK);
    leads_to(ask("auth.nexodus.localhost", port), listener);
    close(listener);
}
END_TEST

START_TEST(a_control_plane_that_is_here_by_its_address_is_found_out)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    dns_server_add(rig.dns, "api.example", "127.0.0.1", 60);
    dns_server_add(rig.dns, "auth.example", "127.0.0.1", 60);
    outlet(IPC_OUTLET_SERVICE, "api.example", port);
    rig_result(&rig, IPC_CTLD, issuer("auth.example", port), IPC_OK);
    leads_to(ask("auth.example", port), listener);
    close(listener);
}
END_TEST

START_TEST(a_server_that_vanishes_is_noticed)
{
    uint16_t port = 0;
    const int listener = rig_listen("127.0.0.1", &port);
    outlet(IPC_OUTLET_SERVICE, "127.0.0.1", port);
    const struct ipc_message *const message = rig_answer(&rig, IPC_CTLD, ask("127.0.0.1", port));
    ck_assert_int_eq(message->header.type, IPC_MSG_OPENED);
    const int fd = rig_fd(&message->body.opened.fd);
    unsigned after_ms = 0;
    int keepalive = 0;
    socklen_t length = sizeof(int);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &after_ms, &length), 0);
    ck_assert_uint_eq(after_ms, OUTLET_DEAD_AFTER_MS);
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &length), 0);
    ck_assert_int_ne(keepalive, 0);
    close(fd);
    close(listener);
}
END_TEST

/* The present value of proxyd's counter of refusals. */
static uint64_t refusals(void)
{
    const struct ipc_metrics_query body = {.version = 1};
    const uint32_t request = rig_send(&rig, IPC_CTLD, IPC_MSG_METRICS_QUERY, &body);
    for (;;) {
        const struct ipc_message *const message = rig_answer(&rig, IPC_CTLD, request);
        ck_assert_int_eq(message->header.type, IPC_MSG_METRIC);
        if (message->body.metric.metric == METRIC_OUTLET_REFUSED)
            return message->body.metric.value;
    }
}

START_TEST(refusals_are_counted)
{
    dns_server_add(rig.dns, "auth.example", "127.0.0.1", 60);
    dns_server_add(rig.dns, "api.example", "192.0.2.9", 60);
    ck_assert_uint_eq(refusals(), 0);
    rig_result(&rig, IPC_CTLD, ask("nobody.example", 443), IPC_NOT_PERMITTED);
    ck_assert_uint_eq(refusals(), 1);
    outlet(IPC_OUTLET_SERVICE, "api.example", 443);
    rig_result(&rig, IPC_CTLD, issuer("auth.example", 443), IPC_OK);
    rig_result(&rig, IPC_CTLD, ask("auth.example", 443), IPC_NOT_PERMITTED);
    ck_assert_uint_eq(refusals(), 2);
}
END_TEST

START_TEST(what_is_given_up_is_not_answered)
{
    dns_server_manner(rig.dns, "silent.example", 0, DNS_MANNER_SILENT);
    outlet(IPC_OUTLET_SERVICE, "silent.example", 443);
    const uint32_t request = ask("silent.example", 443);
    const struct ipc_connect_cancel cancel = {.request = request}, unknown = {.request = request + 1000};
    rig_send(&rig, IPC_CTLD, IPC_MSG_CONNECT_CANCEL, &unknown);
    rig_send(&rig, IPC_CTLD, IPC_MSG_CONNECT_CANCEL, &cancel);
    rig_result(&rig, IPC_CTLD, ask("other.example", 443), IPC_NOT_PERMITTED);
    ck_assert(!rig_has(&rig, IPC_CTLD, IPC_MSG_RESULT));
    /* Nor what a ctld asked for that is gone. */
    ask("silent.example", 443);
    rig_unlink(&rig, IPC_CTLD);
    rig_link(&rig, IPC_CTLD);
    rig_result(&rig, IPC_CTLD, ask("other.example", 443), IPC_NOT_PERMITTED);
    ck_assert(!rig_has(&rig, IPC_CTLD, IPC_MSG_RESULT));
}
END_TEST

START_TEST(there_is_a_limit_at_once)
{
    dns_server_manner(rig.dns, "silent.example", 0, DNS_MANNER_SILENT);
    outlet(IPC_OUTLET_SERVICE, "silent.example", 443);
    for (int i = 0; i < OUTLET_PENDING_MAX; i++)
        ask("silent.example", 443);
    rig_result(&rig, IPC_CTLD, ask("silent.example", 443), IPC_LIMIT);
}
END_TEST

START_TEST(inside_and_outside)
{
    static const char *const inside[] = {
        "127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1",        "255.255.255.255", "::1",
        "::",        "fe80::1", "ff02::1",         "::ffff:127.0.0.1", "fd00:ec2::254"};
    static const char *const outside[] = {"10.0.0.1", "192.168.1.1", "100.64.0.1",
                                          "8.8.8.8",  "fd00::1",     "2001:db8::1"};
    struct netaddr address;
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++) {
        ck_assert_int_eq(netaddr_parse(inside[i], &address), NX_OK);
        ck_assert_msg(outlet_address_is_inside(&address), "%s", inside[i]);
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++) {
        ck_assert_int_eq(netaddr_parse(outside[i], &address), NX_OK);
        ck_assert_msg(!outlet_address_is_inside(&address), "%s", outside[i]);
    }
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, only_what_the_parent_named_is_connected);
    tcase_add_test(tcase, names_are_resolved_and_localhost_never_asked_for);
    tcase_add_test(tcase, a_refusal_names_host_and_cause);
    tcase_add_test(tcase, one_login_server_and_not_on_this_host);
    tcase_add_test(tcase, a_control_plane_on_this_host_has_its_login_server_here);
    tcase_add_test(tcase, a_control_plane_that_is_here_by_its_address_is_found_out);
    tcase_add_test(tcase, a_server_that_vanishes_is_noticed);
    tcase_add_test(tcase, refusals_are_counted);
    tcase_add_test(tcase, what_is_given_up_is_not_answered);
    tcase_add_test(tcase, there_is_a_limit_at_once);
    tcase_add_test(tcase, inside_and_outside);
}

int main(void)
{
    return unit_run("outlet", add, 60);
}
