/* The real tunneld, sandbox and all, between a parent and a ctld that the test plays: its own address can be
 * asked for before it has any configuration, from the very socket that the tunnel will use. */
#include "common/err.h"
#include "tests/unit/common/stun_answer.h"
#include "tests/unit/common/unit.h"
#include "tests/unit/proxyd/rig.h"

#include <poll.h>
#include <unistd.h>

enum { XOR_MAPPED = 0x0020, WAIT_MS = 5000, MANY = 40 };

static struct rig rig;
static int server;
static uint16_t tunnel_port, server_port;
static uint8_t request[64];
static struct sockaddr_storage asker;
static socklen_t asker_length;

static void set_up(void)
{
    rig_start(&rig);
    rig_link(&rig, IPC_CTLD);
    tunnel_port = server_port = 0;
    server = rig_bind_udp("127.0.0.1", &server_port);
}

static void tear_down(void)
{
    rig_stop(&rig);
    close(server);
}

static void sockets_give(void)
{
    const struct ipc_tunnel_sockets sockets = {.udp4 = rig_bind_udp("127.0.0.1", &tunnel_port), .udp6 = -1};
    rig_send(&rig, IPC_PARENT, IPC_MSG_TUNNEL_SOCKETS, &sockets);
    close(sockets.udp4);
}

static uint32_t ask(const char *address, uint16_t port)
{
    const struct ipc_stun_send body = {.server = rig_sock(address, port)};
    return rig_send(&rig, IPC_CTLD, IPC_MSG_STUN_SEND, &body);
}

static void request_receive(void)
{
    struct netsock from;
    const struct netsock tunnel = rig_sock("127.0.0.1", tunnel_port);
    struct pollfd poller = {.fd = server, .events = POLLIN};
    for (unsigned waited = 0; waited < WAIT_MS / 10 && poll(&poller, 1, 0) == 0; waited++)
        rig_run_ms(&rig, 10);
    asker_length = sizeof asker;
    ck_assert_int_eq(
        recvfrom(server, request, sizeof request, MSG_DONTWAIT, (struct sockaddr *)&asker, &asker_length),
        STUN_REQUEST_BYTES);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&asker, asker_length, &from), NX_OK);
    ck_assert_msg(netsock_equal(&from, &tunnel), "not from the tunnel's socket");
}

static void answer_send(uint16_t type, const struct netsock *mapped)
{
    struct stun_answer answer;
    stun_answer_begin(&answer, type, request + 8);
    if (mapped)
        stun_answer_address(&answer, XOR_MAPPED, true, mapped);
    ck_assert_int_eq(sendto(server, answer.bytes, answer.length, 0, (struct sockaddr *)&asker, asker_length),
                     (ssize_t)answer.length);
}

START_TEST(the_tunnel_learns_its_address)
{
    const struct netsock mapped = rig_sock("203.0.113.9", 777), to = rig_sock("127.0.0.1", server_port);
    const uint32_t first = ask("127.0.0.1", server_port); /* waits for the socket */
    sockets_give();
    request_receive();
    answer_send(STUN_BINDING_SUCCESS, &mapped);
    const struct ipc_message *message = rig_answer(&rig, IPC_CTLD, first);
    ck_assert_int_eq(message->header.type, IPC_MSG_STUN_ANSWER);
    ck_assert(netsock_equal(&message->body.stun_answer.mapped, &mapped) &&
              netsock_equal(&message->body.stun_answer.server, &to));
    const uint32_t second = ask("127.0.0.1", server_port);
    request_receive();
    answer_send(STUN_BINDING_ERROR, NULL);
    rig_result(&rig, IPC_CTLD, second, IPC_REFUSED);
}
END_TEST

START_TEST(ctld_cannot_make_it_send_more)
{
    uint32_t last = 0;
    sockets_give();
    rig_result(&rig, IPC_CTLD, ask("224.0.0.1", server_port), IPC_FAILED);
    for (unsigned i = 0; i < MANY; i++)
        last = ask("127.0.0.1", server_port);
    rig_result(&rig, IPC_CTLD, last, IPC_LIMIT);
    unsigned sent = 0;
    while (recv(server, request, sizeof request, MSG_DONTWAIT) > 0)
        sent++;
    ck_assert_uint_lt(sent, MANY / 2);
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, the_tunnel_learns_its_address);
    tcase_add_test(tcase, ctld_cannot_make_it_send_more);
}

int main(void)
{
    return unit_run("stun_program", fill);
}
