/* Names of mesh devices: the table, then the program: an egress destination that names a device goes where
 * ctld says, and nowhere near a name server, until ctld says otherwise. */
#include "common/err.h"
#include "dns_server.h"
#include "proxyd/mesh_names.h"
#include "rig.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct netaddr addr(const char *text)
{
    struct netaddr out;
    ck_assert_int_eq(netaddr_parse(text, &out), NX_OK);
    return out;
}

START_TEST(the_table_keeps_the_latest)
{
    struct mesh_names names = {0};
    struct netaddr out[MESH_ADDRS_MAX];
    const struct netaddr both[] = {addr("100.64.0.2"), addr("200::2"), addr("100.64.0.3")},
                         other = addr("100.64.0.9");
    ck_assert_uint_eq(mesh_names_find(&names, "db", out), 0);
    ck_assert_int_eq(mesh_names_set(&names, "Db.", both, 3), NX_OK);
    ck_assert_int_eq(mesh_names_set(&names, "web", &other, 1), NX_OK);
    ck_assert_uint_eq(mesh_names_find(&names, "dB", out), 2);
    ck_assert(netaddr_equal(&out[0], &both[0]) && netaddr_equal(&out[1], &both[1]));
    ck_assert_msg(mesh_names_find(&names, "db.", out) == 0, "a trailing dot means the DNS");
    ck_assert_int_eq(mesh_names_set(&names, "DB", &other, 1), NX_OK);
    ck_assert_uint_eq(mesh_names_find(&names, "db", out), 1);
    ck_assert(netaddr_equal(&out[0], &other));
    ck_assert_uint_eq(names.count, 2);
    ck_assert_int_eq(mesh_names_set(&names, "db", NULL, 0), NX_OK);
    ck_assert_int_eq(mesh_names_set(&names, "db", NULL, 0), NX_OK);
    ck_assert_uint_eq(mesh_names_find(&names, "db", out), 0);
    ck_assert_int_eq(mesh_names_set(&names, "not a name", &other, 1), NX_EINVAL);
    ck_assert_int_eq(mesh_names_set(&names, "", &other, 1), NX_EINVAL);
    ck_assert_int_eq(mesh_names_set(&names, "10.0.0.1", &other, 1), NX_EINVAL);
    mesh_names_destroy(&names);
}
END_TEST

START_TEST(the_table_is_bounded_and_synced)
{
    struct mesh_names names = {0};
    struct netaddr out[MESH_ADDRS_MAX];
    const struct netaddr other = addr("100.64.0.9");
    char text[32];
    for (unsigned i = 0; i < MESH_NAMES_MAX; i++) {
        snprintf(text, sizeof(text), "host%u", i * 7919 % MESH_NAMES_MAX);
        if (mesh_names_set(&names, text, &other, 1) != NX_OK)
            ck_abort_msg("name %u", i);
    }
    ck_assert_uint_eq(names.count, MESH_NAMES_MAX);
    ck_assert_int_eq(mesh_names_set(&names, "one-more", &other, 1), NX_ENOMEM);
    ck_assert_int_eq(mesh_names_set(&names, "host5", &other, 1), NX_OK);
    mesh_names_sync(&names, true);
    ck_assert_msg(mesh_names_find(&names, "host77", out) == 1, "stale names hold until the end");
    mesh_names_set(&names, "host5", &other, 1);
    mesh_names_set(&names, "host6", &other, 1);
    mesh_names_sync(&names, false);
    ck_assert_uint_eq(names.count, 2);
    ck_assert_uint_eq(mesh_names_find(&names, "host6", out), 1);
    ck_assert_uint_eq(mesh_names_find(&names, "host77", out), 0);
    mesh_names_destroy(&names);
}
END_TEST

/* -- The program -- */

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

static void tell(const char *name, const char *first, const char *second)
{
    struct ipc_mesh_name body = {.addresses.count = 0};
    snprintf(body.name, sizeof(body.name), "%s", name);
    if (first)
        body.addresses.item[body.addresses.count++] = addr(first);
    if (second)
        body.addresses.item[body.addresses.count++] = addr(second);
    rig_send(&rig, IPC_CTLD, IPC_MSG_MESH_NAME, &body);
}

/* proxyd reads its links apart: what ctld says counts once an answer to ctld comes behind it. */
static void told(void)
{
    struct ipc_resolve body = {.host = "localhost"};
    rig_answer(&rig, IPC_CTLD, rig_send(&rig, IPC_CTLD, IPC_MSG_RESOLVE, &body));
}

static const char *destination_of(uint16_t port)
{
    static char text[NETSOCK_TEXT_MAX];
    const int client = rig_connect("127.0.0.1", port);
    ck_assert_int_ge(client, 0);
    const struct ipc_message *const message = rig_expect(&rig, IPC_TUNNELD, IPC_MSG_EGRESS_TCP);
    netsock_format(&message->body.egress_tcp.dest, text);
    close(rig_fd(&message->body.egress_tcp.fd));
    close(client);
    return text;
}

static uint16_t rule_add(uint32_t id, const char *destination)
{
    char text[128];
    const uint16_t port = rig_free_port(SOCK_STREAM);
    snprintf(text, sizeof(text), "tcp:%u:%s", port, destination);
    rig_rule(&rig, id, RULE_EGRESS, text, IPC_OK);
    return port;
}

START_TEST(an_egress_destination_may_be_a_device)
{
    dns_server_add(rig.dns, "db.example", "192.0.2.1", 300);
    const uint16_t port = rule_add(1, "db.example:5432"), absolute = rule_add(2, "db.example.:5432");
    ck_assert_str_eq(destination_of(port), "192.0.2.1:5432");
    tell("DB.example", "100.64.0.2", "200::2");
    told();
    ck_assert_str_eq(destination_of(port), "100.64.0.2:5432");
    ck_assert_str_eq(destination_of(absolute), "192.0.2.1:5432");
    tell("db.example", "100.64.0.9", NULL); /* it has moved */
    told();
    ck_assert_str_eq(destination_of(port), "100.64.0.9:5432");
    tell("db.example", "200::9", NULL);
    told();
    ck_assert_str_eq(destination_of(port), "[200::9]:5432");
    tell("db.example", NULL, NULL);
    told();
    ck_assert_str_eq(destination_of(port), "192.0.2.1:5432");
}
END_TEST

START_TEST(names_outlive_ctld_until_it_has_told_all_again)
{
    const struct ipc_mesh_sync begin = {.begin = true}, end = {.begin = false};
    const uint16_t port = rule_add(1, "db:5432");
    tell("db", "100.64.0.2", NULL);
    told();
    rig_unlink(&rig, IPC_CTLD);
    rig_link(&rig, IPC_CTLD);
    ck_assert_str_eq(destination_of(port), "100.64.0.2:5432");
    rig_send(&rig, IPC_CTLD, IPC_MSG_MESH_SYNC, &begin);
    tell("web", "100.64.0.3", NULL);
    told();
    ck_assert_str_eq(destination_of(port), "100.64.0.2:5432");
    tell("db", "100.64.0.4", NULL);
    rig_send(&rig, IPC_CTLD, IPC_MSG_MESH_SYNC, &end);
    told();
    ck_assert_str_eq(destination_of(port), "100.64.0.4:5432");
}
END_TEST

START_TEST(udp_flows_go_to_devices_too)
{
    char text[64];
    const uint16_t port = rig_free_port(SOCK_DGRAM);
    snprintf(text, sizeof(text), "udp:%u:db:53", port);
    rig_rule(&rig, 1, RULE_EGRESS, text, IPC_OK);
    tell("db", "100.64.0.2", NULL);
    told();
    const struct ipc_dest_query query = {.port = port, .client = rig_sock("127.0.0.1", 9)};
    const uint32_t request = rig_send(&rig, IPC_TUNNELD, IPC_MSG_DEST_QUERY, &query);
    const struct ipc_message *const message = rig_answer(&rig, IPC_TUNNELD, request);
    ck_assert_int_eq(message->header.type, IPC_MSG_DEST);
    ck_assert_str_eq(netsock_format(&message->body.dest.dest, text), "100.64.0.2:53");
}
END_TEST

static void add_table(TCase *tcase)
{
    tcase_add_test(tcase, the_table_keeps_the_latest);
    tcase_add_test(tcase, the_table_is_bounded_and_synced);
}

static void add_program(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_egress_destination_may_be_a_device);
    tcase_add_test(tcase, names_outlive_ctld_until_it_has_told_all_again);
    tcase_add_test(tcase, udp_flows_go_to_devices_too);
}

int main(void)
{
    const int table = unit_run("mesh_names", add_table, 60),
              program = unit_run("mesh_names_proxyd", add_program, 60);
    return table != EXIT_SUCCESS ? table : program;
}
