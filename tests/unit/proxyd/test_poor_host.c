/* The real program on hosts that lack something: descriptors, IPv6. */
#include "common/err.h"
#include "dns_server.h"
#include "rig.h"
#include "unit.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

static struct rig rig;

START_TEST(clients_wait_while_descriptors_are_short)
{
    enum { CLIENTS = 100 };
    int clients[CLIENTS];
    char text[64];
    rig_start_on(&rig, &(struct rig_host){.files_max = 32});
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = rig_free_port(SOCK_STREAM);
    dns_server_manner(rig.dns, "slow.example", 0, DNS_MANNER_SILENT);
    snprintf(text, sizeof(text), "tcp:%u:slow.example.:80", port);
    rig_rule(&rig, 1, RULE_EGRESS, text, IPC_OK);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_ge(clients[i] = rig_connect("127.0.0.1", port), 0);
    rig_run_ms(&rig, 300); /* some hold all descriptors while the name is waited for; the parent is served */
    rig_sync(&rig);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP));
    dns_server_clear(rig.dns);
    dns_server_add(rig.dns, "slow.example", "100.64.0.7", 60);
    for (int i = 0; i < CLIENTS; i++) /* the question is repeated after 2 s */
        close(rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd));
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    rig_stop(&rig);
}
END_TEST

START_TEST(connect_without_descriptors_is_a_limit)
{
    uint16_t ports[2] = {0};
    char text[64];
    rig_start_on(&rig, &(struct rig_host){.files_max = 16});
    rig_link(&rig, IPC_TUNNELD);
    const int server = rig_listen("127.0.0.1", &ports[0]);
    snprintf(text, sizeof(text), "tcp:80:127.0.0.1:%u", ports[0]);
    rig_rule(&rig, 1, RULE_INGRESS, text, IPC_OK);
    uint32_t id = 2;
    for (; id < 20; id++) { /* listeners eat up the descriptors */
        const uint16_t port = rig_free_port(SOCK_STREAM);
        struct ipc_rule_add body = {.rule_id = id,
                                    .direction = RULE_EGRESS,
                                    .protocol = RULE_TCP,
                                    .listen_port = port,
                                    .host = "100.64.0.7",
                                    .dest_port = 80};
        const uint32_t request = rig_send(&rig, IPC_PARENT, IPC_MSG_RULE_ADD, &body);
        if (rig_answer(&rig, IPC_PARENT, request)->body.result.result == IPC_OK)
            continue;
        snprintf(text, sizeof(text), "tcp:%u:100.64.0.7:80", port);
        rig_rule(&rig, id, RULE_EGRESS, text, IPC_LIMIT);
        break;
    }
    ck_assert_uint_lt(id, 20);
    const struct ipc_connect body = {.protocol = RULE_TCP,
                                     .port = 80,
                                     .client = rig_sock("100.64.0.9", 1234),
                                     .local = rig_sock("100.64.0.1", 80)};
    rig_result(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT, &body), IPC_LIMIT);
    rig_rule_remove(&rig, 2);
    ck_assert_int_eq(
        rig_answer(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_CONNECT, &body))->header.type,
        IPC_MSG_CONNECTED);
    close(server);
    rig_stop(&rig);
}
END_TEST

START_TEST(host_without_ipv6)
{
    char text[64];
    rig_start_on(&rig, &(struct rig_host){.no_ipv6 = true});
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t tcp = rig_free_port(SOCK_STREAM), udp = rig_free_port(SOCK_DGRAM);
    snprintf(text, sizeof(text), "tcp:%u:100.64.0.7:80", tcp);
    rig_rule(&rig, 1, RULE_EGRESS, text, IPC_OK);
    const int client = rig_connect("127.0.0.1", tcp);
    ck_assert_int_ge(client, 0);
    close(rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd));
    close(client);
    snprintf(text, sizeof(text), "udp:%u:100.64.0.7:80", udp);
    rig_rule(&rig, 2, RULE_EGRESS, text, IPC_OK);
    const int fd = rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP)->body.egress_udp.fd);
    int family = 0, on = 0;
    socklen_t length = sizeof(int);
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length), 0);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, &length), 0);
    ck_assert(family == AF_INET && on == 1);
    close(fd);
    const struct ipc_tunnel_bind bind = {.port = 0};
    const struct ipc_message *const bound =
        rig_answer(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_TUNNEL_BIND, &bind));
    ck_assert_int_eq(bound->header.type, IPC_MSG_TUNNEL_BOUND);
    ck_assert_int_eq(bound->body.tunnel_bound.udp6, -1);
    rig_stop(&rig);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_test(tcase, clients_wait_while_descriptors_are_short);
    tcase_add_test(tcase, connect_without_descriptors_is_a_limit);
    tcase_add_test(tcase, host_without_ipv6);
}

int main(void)
{
    return unit_run("poor_host", add, 60);
}
