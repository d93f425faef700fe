/* What parent and ctld ask of the real program beside flows: the tunnel's sockets, names, odd rules. */
#include "common/err.h"
#include "dns_server.h"
#include "rig.h"
#include "unit.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

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

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    ck_assert_int_eq(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

START_TEST(tunnel_sockets_share_a_port)
{
    const struct ipc_tunnel_bind any = {.port = 0};
    const uint32_t request = rig_send(&rig, IPC_PARENT, IPC_MSG_TUNNEL_BIND, &any);
    const struct ipc_message *const message = rig_answer(&rig, IPC_PARENT, request);
    ck_assert_int_eq(message->header.type, IPC_MSG_TUNNEL_BOUND);
    const struct ipc_tunnel_bind same = {.port = message->body.tunnel_bound.port};
    const int udp4 = rig_fd(&message->body.tunnel_bound.udp4);
    const int udp6 = message->body.tunnel_bound.udp6 >= 0 ? rig_fd(&message->body.tunnel_bound.udp6) : -1;
    ck_assert_int_eq(option_of(udp4, SOL_SOCKET, SO_DOMAIN), AF_INET);
    ck_assert_int_eq(option_of(udp4, IPPROTO_UDP, UDP_GRO), 1);
    ck_assert_int_eq(option_of(udp4, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
    if (udp6 >= 0) {
        ck_assert_int_eq(option_of(udp6, SOL_SOCKET, SO_DOMAIN), AF_INET6);
        ck_assert_int_eq(option_of(udp6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    }
    const char *const said =
        rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_TUNNEL_BIND, &same), IPC_IN_USE);
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "port %u is in use", same.port);
    ck_assert_msg(strstr(said, wanted) != NULL, "%s", said);
    close(udp4);
    if (udp6 >= 0)
        close(udp6);
    const uint32_t again = rig_send(&rig, IPC_PARENT, IPC_MSG_TUNNEL_BIND, &same);
    ck_assert_uint_eq(rig_answer(&rig, IPC_PARENT, again)->body.tunnel_bound.port, same.port);
}
END_TEST

static uint32_t resolve(const char *host)
{
    struct ipc_resolve body;
    snprintf(body.host, sizeof(body.host), "%s", host);
    return rig_send(&rig, IPC_CTLD, IPC_MSG_RESOLVE, &body);
}

START_TEST(ctld_gets_addresses_of_names)
{
    dns_server_add(rig.dns, "api.example", "192.0.2.1", 300);
    dns_server_add(rig.dns, "api.example", "2001:db8::1", 200);
    const struct ipc_message *const message = rig_answer(&rig, IPC_CTLD, resolve("api.example."));
    ck_assert_int_eq(message->header.type, IPC_MSG_RESOLVED);
    ck_assert_uint_eq(message->body.resolved.addresses.count, 2);
    ck_assert_uint_eq(message->body.resolved.ttl_s, 200);
    ck_assert_uint_eq(rig_answer(&rig, IPC_CTLD, resolve("localhost"))->body.resolved.addresses.count, 2);
    rig_result(&rig, IPC_CTLD, resolve("nobody.example."), IPC_NOT_FOUND);
    rig_result(&rig, IPC_CTLD, resolve("not-a-name-"), IPC_NOT_FOUND);
    /* A ctld that dies with a question open. */
    dns_server_manner(rig.dns, "silent.example", 0, DNS_MANNER_SILENT);
    resolve("silent.example.");
    rig_unlink(&rig, IPC_CTLD);
    rig_link(&rig, IPC_CTLD);
    ck_assert_uint_eq(rig_answer(&rig, IPC_CTLD, resolve("api.example."))->body.resolved.addresses.count, 2);
}
END_TEST

START_TEST(rule_messages_are_answered_in_full)
{
    const struct ipc_rule_remove none = {.rule_id = 99};
    rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_RULE_REMOVE, &none), IPC_NOT_FOUND);
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:80:[fe80::1%nosuchif]:80", IPC_NOT_FOUND);
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:80:[fe80::1%lo]:80", IPC_OK); /* looked up inside the sandbox */
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:80:[fe80::1%lo]:80", IPC_OK); /* the same again */
    rig_rule(&rig, 1, RULE_INGRESS, "tcp:80:127.0.0.1:80", IPC_FAILED);
    rig_rule_remove(&rig, 1);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, tunnel_sockets_share_a_port);
    tcase_add_test(tcase, ctld_gets_addresses_of_names);
    tcase_add_test(tcase, rule_messages_are_answered_in_full);
}

int main(void)
{
    return unit_run("requests", add, 60);
}
