/* Egress rules through the real program: ports, clients, back-pressure, restarts. */
#include "common/err.h"
#include "dns_server.h"
#include "rig.h"
#include "unit.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct rig rig;
static char text[128];

static void set_up(void)
{
    rig_start(&rig);
}

static void tear_down(void)
{
    rig_stop(&rig);
}

static const char *rule_text(const char *protocol, uint16_t port, const char *dest)
{
    snprintf(text, sizeof(text), "%s:%u:%s", protocol, port, dest);
    return text;
}

static uint16_t add_tcp(uint32_t id, const char *dest)
{
    const uint16_t port = rig_free_port(SOCK_STREAM);
    rig_rule(&rig, id, RULE_EGRESS, rule_text("tcp", port, dest), IPC_OK);
    return port;
}

/* The client's bytes arrive at the descriptor that tunneld got, and back. */
static void pair_works(int client, int fd)
{
    char bytes[8];
    ck_assert_int_eq(send(client, "ping", 4, MSG_NOSIGNAL), 4);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert_int_eq(recv(fd, bytes, sizeof(bytes), 0), 4);
    ck_assert_int_eq(send(fd, "pong", 4, MSG_NOSIGNAL), 4);
    ck_assert_int_eq(recv(client, bytes, sizeof(bytes), 0), 4);
    ck_assert_mem_eq(bytes, "pong", 4);
}

static void dest_is(const struct netsock *dest, const char *wanted)
{
    char got[NETSOCK_TEXT_MAX];
    ck_assert_str_eq(netsock_format(dest, got), wanted);
}

static void is_reset(int client)
{
    char byte;
    ck_assert_int_eq(recv(client, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(client);
}

START_TEST(client_reaches_tunneld_with_rule_and_destination)
{
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = add_tcp(7, "100.64.0.7:443");
    static const char *const addresses[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        const int client = rig_connect(addresses[i], port);
        ck_assert_int_ge(client, 0);
        const struct ipc_message *const message = rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP);
        ck_assert_uint_eq(message->body.egress_tcp.rule_id, 7);
        dest_is(&message->body.egress_tcp.dest, "100.64.0.7:443");
        const struct netsock from = rig_sock(addresses[i], message->body.egress_tcp.client.port);
        ck_assert(netsock_equal(&message->body.egress_tcp.client, &from));
        const int fd = rig_fd(&message->body.egress_tcp.fd);
        int nodelay = 0, keepalive = 0;
        socklen_t length = sizeof(int);
        ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &length), 0);
        ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &length), 0);
        ck_assert(nodelay && keepalive);
        pair_works(client, fd);
        close(fd);
        char byte; /* nobody else holds it: the client sees the end at once */
        ck_assert_int_eq(recv(client, &byte, 1, 0), 0);
        close(client);
    }
}
END_TEST

START_TEST(rules_of_one_port_take_turns)
{
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = add_tcp(1, "100.64.0.1:80");
    rig_rule(&rig, 2, RULE_EGRESS, rule_text("tcp", port, "100.64.0.2:80"), IPC_OK);
    rig_rule(&rig, 3, RULE_EGRESS, rule_text("tcp", port, "[fd00::3]:80"), IPC_OK);
    static const uint32_t wanted[] = {2, 3, 1, 2};
    for (int i = 0; i < 4; i++) {
        const int client = rig_connect("127.0.0.1", port);
        ck_assert_uint_eq(rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.rule_id,
                          wanted[i]);
        close(client);
    }
}
END_TEST

START_TEST(port_in_use_is_named)
{
    uint16_t port = 0;
    const int other = rig_listen("127.0.0.1", &port);
    char wanted[64];
    const char *const said =
        rig_rule(&rig, 1, RULE_EGRESS, rule_text("tcp", port, "100.64.0.7:443"), IPC_IN_USE);
    snprintf(wanted, sizeof(wanted), "egress rule tcp:%u:100.64.0.7:443: port %u is in use", port, port);
    ck_assert_msg(strncmp(said, wanted, strlen(wanted)) == 0, "%s", said);
    close(other);
    rig_rule(&rig, 1, RULE_EGRESS, rule_text("tcp", port, "100.64.0.7:443"), IPC_OK);
    uint16_t udp = 0;
    const int other_udp = rig_bind_udp("0.0.0.0", &udp);
    rig_rule(&rig, 2, RULE_EGRESS, rule_text("udp", udp, "100.64.0.7:53"), IPC_IN_USE);
    close(other_udp);
}
END_TEST

static unsigned unprivileged_from(void)
{
    unsigned from = 1024;
    FILE *const file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    if (file && fscanf(file, "%u", &from) != 1)
        from = 1024;
    if (file)
        fclose(file);
    return from;
}

START_TEST(port_that_needs_a_right_is_named)
{
    if (unprivileged_from() <= 79)
        return; /* this host gives the right to everybody */
    const char *const said = rig_rule(&rig, 1, RULE_EGRESS, "tcp:79:100.64.0.7:443", IPC_NOT_PERMITTED);
    ck_assert_msg(strstr(said, "egress rule tcp:79:100.64.0.7:443: port 79 needs a right") != NULL, "%s",
                  said);
    rig_rule(&rig, 1, RULE_EGRESS, "udp:79:100.64.0.7:443", IPC_NOT_PERMITTED);
}
END_TEST

START_TEST(last_rule_closes_the_port_even_while_the_parent_keeps_it)
{
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = add_tcp(1, "100.64.0.1:80");
    const struct ipc_message *const keep = rig_expect(&rig, IPC_PARENT, IPC_MSG_LISTENER_KEEP);
    ck_assert_uint_eq(keep->body.listener_keep.port, port);
    const int kept = rig_fd(&keep->body.listener_keep.fd);
    rig_rule(&rig, 2, RULE_EGRESS, rule_text("tcp", port, "100.64.0.2:80"), IPC_OK);
    rig_rule_remove(&rig, 1);
    const int client = rig_connect("127.0.0.1", port);
    ck_assert_uint_eq(rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.rule_id, 2);
    close(client);
    rig_rule_remove(&rig, 2);
    ck_assert_int_eq(rig_connect("127.0.0.1", port), -1);
    ck_assert_int_eq(errno, ECONNREFUSED);
    /* And it can be opened again, the old descriptor notwithstanding. */
    rig_rule(&rig, 3, RULE_EGRESS, rule_text("tcp", port, "100.64.0.2:80"), IPC_OK);
    close(rig_connect("127.0.0.1", port));
    close(kept);
}
END_TEST

START_TEST(clients_wait_while_tunneld_is_away)
{
    const uint16_t port = add_tcp(1, "100.64.0.1:80");
    int clients[10];
    for (int i = 0; i < 10; i++)
        ck_assert_int_ge(clients[i] = rig_connect("127.0.0.1", port), 0);
    rig_link(&rig, IPC_TUNNELD);
    for (int i = 0; i < 10; i++) {
        const int fd = rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd);
        close(fd);
    }
    rig_unlink(&rig, IPC_TUNNELD);
    const int late = rig_connect("127.0.0.1", port);
    ck_assert_int_ge(late, 0);
    rig_link(&rig, IPC_TUNNELD);
    const int fd = rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd);
    pair_works(late, fd);
    close(fd);
    close(late);
    for (int i = 0; i < 10; i++)
        close(clients[i]);
}
END_TEST

/* More than the socket and both queues hold: the rest waits in the kernel's queue, and all are served. */
START_TEST(clients_wait_while_the_link_is_full)
{
    enum { CLIENTS = 3000, BURST = 100 };
    static int clients[CLIENTS];
    rig_link_deaf(&rig, IPC_TUNNELD);
    const uint16_t port = add_tcp(1, "100.64.0.1:80");
    int opened = 0;
    for (; opened < CLIENTS; opened++) {
        clients[opened] = rig_connect("127.0.0.1", port);
        if (clients[opened] < 0)
            break;
        if (opened % BURST == 0)
            rig_sync(&rig); /* the parent's requests are served meanwhile */
    }
    ck_assert_int_gt(opened, 1500);
    rig_hear(&rig, IPC_TUNNELD);
    for (int i = 0; i < opened; i++)
        close(rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd));
    for (int i = 0; i < opened; i++)
        close(clients[i]);
    const int last = rig_connect("127.0.0.1", port);
    const int fd = rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd);
    pair_works(last, fd);
    close(fd);
    close(last);
}
END_TEST

START_TEST(listener_outlives_proxyd)
{
    const uint16_t port = add_tcp(1, "100.64.0.1:80");
    const int kept = rig_fd(&rig_expect(&rig, IPC_PARENT, IPC_MSG_LISTENER_KEEP)->body.listener_keep.fd);
    const int before = rig_connect("127.0.0.1", port);
    ck_assert_int_ge(before, 0);
    rig_restart(&rig);
    const int between = rig_connect("127.0.0.1", port);
    ck_assert_int_ge(between, 0);
    const struct ipc_listener_keep body = {.port = port, .fd = kept};
    rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_LISTENER_KEEP, &body), IPC_OK);
    close(kept);
    rig_link(&rig, IPC_TUNNELD);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)); /* no rule yet */
    rig_rule(&rig, 1, RULE_EGRESS, rule_text("tcp", port, "100.64.0.1:80"), IPC_OK);
    for (int i = 0; i < 2; i++) {
        const int fd = rig_fd(&rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.fd);
        pair_works(i == 0 ? before : between, fd);
        close(fd);
    }
    ck_assert(!rig_has(&rig, IPC_PARENT, IPC_MSG_LISTENER_KEEP)); /* it has it */
    close(before);
    close(between);
}
END_TEST

START_TEST(kept_listener_of_another_port_is_refused)
{
    uint16_t port = 0;
    const int other = rig_listen("127.0.0.1", &port);
    const struct ipc_listener_keep body = {.port = (uint16_t)(port ^ 1), .fd = other};
    rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_LISTENER_KEEP, &body), IPC_FAILED);
    close(other);
}
END_TEST

START_TEST(destination_names_are_resolved)
{
    rig_link(&rig, IPC_TUNNELD);
    dns_server_add(rig.dns, "peer.example", "fd00::7", 60);
    dns_server_add(rig.dns, "peer.example", "100.64.0.7", 60);
    const uint16_t port = add_tcp(1, "peer.example.:443");
    const int client = rig_connect("127.0.0.1", port);
    const struct ipc_message *const message = rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP);
    dest_is(&message->body.egress_tcp.dest, "100.64.0.7:443");
    const int fd = rig_fd(&message->body.egress_tcp.fd);
    pair_works(client, fd);
    close(fd);
    close(client);
}
END_TEST

START_TEST(client_of_an_unknown_name_is_reset)
{
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = add_tcp(1, "nobody.example.:443");
    for (int i = 0; i < 2; i++) { /* asked for, then out of the cache */
        const int client = rig_connect("127.0.0.1", port);
        rig_sync(&rig);
        rig_run_ms(&rig, 20);
        is_reset(client);
    }
    /* With a second destination the first is passed over. */
    rig_rule(&rig, 2, RULE_EGRESS, rule_text("tcp", port, "100.64.0.2:80"), IPC_OK);
    for (int i = 0; i < 4; i++) {
        const int client = rig_connect("127.0.0.1", port);
        ck_assert_uint_eq(rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP)->body.egress_tcp.rule_id, 2);
        close(client);
    }
}
END_TEST

START_TEST(client_whose_rule_goes_while_its_name_is_resolved_is_reset)
{
    rig_link(&rig, IPC_TUNNELD);
    dns_server_manner(rig.dns, "slow.example", 0, DNS_MANNER_SILENT);
    const uint16_t port = add_tcp(1, "slow.example.:443");
    const int client = rig_connect("127.0.0.1", port);
    rig_sync(&rig);
    rig_rule_remove(&rig, 1);
    dns_server_clear(rig.dns);
    dns_server_add(rig.dns, "slow.example", "100.64.0.7", 60);
    rig_run_ms(&rig, 2500); /* c-ares repeats its question after 2 s */
    is_reset(client);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP));
}
END_TEST

START_TEST(udp_port_goes_to_tunneld_and_parent)
{
    rig_link(&rig, IPC_TUNNELD);
    const uint16_t port = rig_free_port(SOCK_DGRAM);
    rig_rule(&rig, 5, RULE_EGRESS, rule_text("udp", port, "100.64.0.7:53"), IPC_OK);
    const int kept = rig_fd(&rig_expect(&rig, IPC_PARENT, IPC_MSG_UDP_KEEP)->body.udp_keep.fd);
    const struct ipc_message *message = rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP);
    ck_assert_uint_eq(message->body.egress_udp.port, port);
    const int fd = rig_fd(&message->body.egress_udp.fd);
    /* It tells at which address a datagram came in. */
    struct netsock to = rig_sock("127.0.0.1", port);
    struct sockaddr_storage address;
    socklen_t length = netsock_to_sockaddr(&to, &address);
    const int client = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(sendto(client, "?", 1, 0, (struct sockaddr *)&address, length), 1);
    char byte, control[128];
    struct iovec iov = {&byte, 1};
    struct msghdr header = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
    ck_assert_int_eq(recvmsg(fd, &header, 0), 1);
    const struct cmsghdr *const info = CMSG_FIRSTHDR(&header);
    ck_assert_ptr_nonnull(info);
    ck_assert(info->cmsg_type == IPV6_PKTINFO || info->cmsg_type == IP_PKTINFO);
    close(fd);
    close(client);
    /* A new tunneld gets it again; the last rule takes it away. */
    rig_unlink(&rig, IPC_TUNNELD);
    rig_link(&rig, IPC_TUNNELD);
    ck_assert_uint_eq(rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP)->body.egress_udp.port, port);
    rig_rule_remove(&rig, 5);
    message = rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP_STOP);
    ck_assert_uint_eq(message->body.egress_udp_stop.port, port);
    ck_assert(!rig_has(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP));
    /* A new proxyd takes over the kept one. */
    rig_restart(&rig);
    const struct ipc_udp_keep body = {.port = port, .fd = kept};
    rig_result(&rig, IPC_PARENT, rig_send(&rig, IPC_PARENT, IPC_MSG_UDP_KEEP, &body), IPC_OK);
    rig_link(&rig, IPC_TUNNELD);
    rig_rule(&rig, 5, RULE_EGRESS, rule_text("udp", port, "100.64.0.7:53"), IPC_OK);
    ck_assert_uint_eq(rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_UDP)->body.egress_udp.port, port);
    close(kept);
}
END_TEST

START_TEST(udp_destinations_take_turns_and_are_resolved)
{
    rig_link(&rig, IPC_TUNNELD);
    dns_server_add(rig.dns, "dns.example", "100.64.0.9", 60);
    const uint16_t port = rig_free_port(SOCK_DGRAM);
    rig_rule(&rig, 1, RULE_EGRESS, rule_text("udp", port, "100.64.0.1:53"), IPC_OK);
    rig_rule(&rig, 2, RULE_EGRESS, rule_text("udp", port, "dns.example.:53"), IPC_OK);
    const struct ipc_dest_query query = {.port = port, .client = rig_sock("127.0.0.1", 4000)};
    static const char *const wanted[] = {"100.64.0.9:53", "100.64.0.1:53", "100.64.0.9:53"};
    for (int i = 0; i < 3; i++) {
        const uint32_t request = rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query);
        const struct ipc_message *const message = rig_answer(&rig, IPC_TUNNELD, request);
        ck_assert_int_eq(message->header.type, IPC_MSG_DEST);
        dest_is(&message->body.dest.dest, wanted[i]);
        ck_assert_uint_eq(message->body.dest.rule_id, i == 1 ? 1 : 2);
    }
    rig_rule_remove(&rig, 1);
    rig_rule_remove(&rig, 2);
    rig_result(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query), IPC_NOT_FOUND);
    rig_rule(&rig, 3, RULE_EGRESS, rule_text("udp", port, "nobody.example.:53"), IPC_OK);
    rig_result(&rig, IPC_TUNNELD, rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query), IPC_NOT_FOUND);
}
END_TEST

static void add(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, client_reaches_tunneld_with_rule_and_destination);
    tcase_add_test(tcase, rules_of_one_port_take_turns);
    tcase_add_test(tcase, port_in_use_is_named);
    tcase_add_test(tcase, port_that_needs_a_right_is_named);
    tcase_add_test(tcase, last_rule_closes_the_port_even_while_the_parent_keeps_it);
    tcase_add_test(tcase, clients_wait_while_tunneld_is_away);
    tcase_add_test(tcase, clients_wait_while_the_link_is_full);
    tcase_add_test(tcase, listener_outlives_proxyd);
    tcase_add_test(tcase, kept_listener_of_another_port_is_refused);
    tcase_add_test(tcase, destination_names_are_resolved);
    tcase_add_test(tcase, client_of_an_unknown_name_is_reset);
    tcase_add_test(tcase, client_whose_rule_goes_while_its_name_is_resolved_is_reset);
    tcase_add_test(tcase, udp_port_goes_to_tunneld_and_parent);
    tcase_add_test(tcase, udp_destinations_take_turns_and_are_resolved);
}

int main(void)
{
    return unit_run("egress", add, 60);
}
