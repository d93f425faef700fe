/* The tunnel's sockets on loopback: STUN answers leave the batch, whatever they arrive amid, and what only
 * looks a little like one stays in it; requests go out of the very socket that WireGuard uses. */
#include "common/err.h"
#include "tests/unit/common/stun_answer.h"
#include "tests/unit/common/unit.h"
#include "tunneld/udp/udp_io.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 5000 };

static struct event_base *base;
static int server; /* a socket of the test's */
static struct netsock tunnel, server_addr;
static size_t wireguard, stun, expected;
static struct netsock stun_from;
static uint8_t last[256];

static void arrived(void)
{
    if (wireguard + stun >= expected)
        event_base_loopbreak(base);
}

static void on_datagrams(void *arg, struct wg_datagram *datagrams, size_t count)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(!stun_is_answer(datagrams[i].data, datagrams[i].length), "WireGuard was given STUN's");
        memcpy(last, datagrams[i].data,
               datagrams[i].length < sizeof last ? datagrams[i].length : sizeof last);
    }
    wireguard += count;
    arrived();
}

static void on_stun(void *arg, const uint8_t *data, size_t length, const struct netsock *from)
{
    (void)arg;
    ck_assert(stun_is_answer(data, length));
    stun_from = *from;
    stun++;
    arrived();
}

static int udp_socket(struct netsock *bound)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0 &&
              getsockname(fd, (struct sockaddr *)&name, &length) == 0);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&name, length, bound), NX_OK);
    return fd;
}

static void set_up(void)
{
    base = event_base_new();
    wireguard = stun = expected = 0;
    server = udp_socket(&server_addr);
    udp_io_init(base, on_datagrams, NULL);
    udp_io_set_stun(on_stun, NULL);
    ck_assert_int_eq(udp_io_set_sockets(udp_socket(&tunnel), -1), NX_OK);
}

static void tear_down(void)
{
    udp_io_close();
    udp_io_set_stun(NULL, NULL);
    close(server);
    event_base_free(base);
}

static void send_to_tunnel(const void *data, size_t length)
{
    struct sockaddr_storage name;
    const socklen_t size = netsock_to_sockaddr(&tunnel, &name);
    ck_assert_int_eq(sendto(server, data, length, 0, (struct sockaddr *)&name, size), (ssize_t)length);
    expected++;
}

static void await(void)
{
    const struct timeval limit = {WAIT_MS / 1000, 0};
    event_base_loopexit(base, &limit);
    event_base_dispatch(base);
    ck_assert_uint_eq(wireguard + stun, expected);
}

START_TEST(stun_leaves_the_batch)
{
    static const uint8_t txid[STUN_TXID_BYTES] = {1};
    uint8_t initiation[148] = {1}, data[32] = {4}, nearly[20] = {1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43};
    struct stun_answer answer;
    stun_answer_begin(&answer, STUN_BINDING_SUCCESS, txid);
    stun_answer_address(&answer, 0x0020, true, &tunnel);
    memcpy(initiation + 4, "\x21\x12\xa4\x42", 4); /* an index like the cookie */
    send_to_tunnel(initiation, sizeof initiation);
    send_to_tunnel(answer.bytes, answer.length);
    send_to_tunnel(data, sizeof data);
    send_to_tunnel(answer.bytes, answer.length);
    send_to_tunnel(nearly, sizeof nearly);
    send_to_tunnel(answer.bytes, 19);
    await();
    ck_assert_uint_eq(wireguard, 4);
    ck_assert_uint_eq(stun, 2);
    ck_assert(netsock_equal(&stun_from, &server_addr));
    ck_assert_mem_eq(last, answer.bytes, 19);
}
END_TEST

START_TEST(requests_leave_from_the_tunnels_port)
{
    uint8_t request[STUN_REQUEST_BYTES], got[64];
    static const uint8_t txid[STUN_TXID_BYTES] = {7};
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    struct netsock from;
    stun_request_write(txid, request);
    const struct iovec iov = {.iov_base = request, .iov_len = sizeof request};
    const struct wg_out out = {
        .to = server_addr, .iov = &iov, .iov_count = 1, .datagrams = 1, .segment = sizeof request};
    udp_io_transmit(&out, 1);
    const struct timeval limit = {WAIT_MS / 1000, 0};
    ck_assert_int_eq(setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    ck_assert_int_eq(recvfrom(server, got, sizeof got, 0, (struct sockaddr *)&name, &size), sizeof request);
    ck_assert_mem_eq(got, request, sizeof request);
    ck_assert_int_eq(netsock_from_sockaddr((struct sockaddr *)&name, size, &from), NX_OK);
    ck_assert(netsock_equal(&from, &tunnel));
}
END_TEST

static void fill(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, stun_leaves_the_batch);
    tcase_add_test(tcase, requests_leave_from_the_tunnels_port);
}

int main(void)
{
    return unit_run("udp_stun", fill);
}
