/* The data path of tunneld alone: one end of a tunnel in one process, without sandbox, IPC or the other
 * processes, to see what the path itself costs. End a listens on 127.0.0.1:TCP-PORT and carries each
 * connection to 10.99.0.2:80; end b carries what arrives there to 127.0.0.1:TCP-PORT.
 *
 *   datapath b 5299 127.0.0.1:7402 127.0.0.1:7401 & datapath a 5298 127.0.0.1:7401 127.0.0.1:7402 &
 *   iperf3 -s -p 5299 & iperf3 -c 127.0.0.1 -p 5298 */
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "tunneld/flow/gate.h"
#include "tunneld/flow/ports.h"
#include "tunneld/flow/tcp_flow.h"
#include "tunneld/flow/udp_flow.h"
#include "tunneld/tunnel.h"
#include "tunneld/udp/udp_io.h"
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESH_PORT = 80, SOCKET_BUFFER = 4 << 20 };

static struct netsock dest = {.addr = {.family = NETADDR_V4, .bytes = {10, 99, 0, 2}}, .port = MESH_PORT};
static struct netsock server = {.addr = {.family = NETADDR_V4, .bytes = {127, 0, 0, 1}}};
static uint32_t last_request, waiting[GATE_MAX];
static size_t waiting_count;

static uint32_t ask_connect(void *arg, enum rule_protocol protocol, const struct netsock *client,
                            const struct netsock *local)
{
    (void)arg, (void)protocol, (void)client, (void)local;
    if (waiting_count < GATE_MAX)
        waiting[waiting_count++] = ++last_request;
    return last_request;
}

static uint32_t ask_destination(void *arg, uint16_t port, const struct netsock *client)
{
    (void)arg, (void)port, (void)client;
    return 0;
}

static void ask_cancel(void *arg, uint32_t request)
{
    (void)arg, (void)request;
}

static void answer_waiting(void)
{
    for (size_t i = 0; i < waiting_count; i++) {
        struct sockaddr_storage name;
        socklen_t length = netsock_to_sockaddr(&server, &name);
        int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&name, length) != 0) {
            (void)gate_failed(waiting[i]);
            continue;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
        if (!gate_connected(waiting[i], 1, fd))
            close(fd);
    }
    waiting_count = 0;
}

static void on_client(evutil_socket_t fd, short what, void *arg)
{
    (void)what, (void)arg;
    int one = 1, client_fd = accept4((int)fd, NULL, NULL, SOCK_NONBLOCK);
    if (client_fd < 0)
        return;
    (void)setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    tcp_flow_egress(1, &server, &dest, client_fd);
}

static int bound_socket(int type, const struct netsock *at)
{
    struct sockaddr_storage name;
    socklen_t length = netsock_to_sockaddr(at, &name);
    int one = 1, size = SOCKET_BUFFER, fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, length) != 0) {
        perror("bind");
        exit(1);
    }
    if (type == SOCK_DGRAM) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof one);
    } else {
        (void)listen(fd, 512);
    }
    return fd;
}

static void keys(bool b, uint8_t own[32], uint8_t peer_public[32])
{
    uint8_t secret_a[32], secret_b[32];
    memset(secret_a, 0x41, sizeof secret_a);
    memset(secret_b, 0x42, sizeof secret_b);
    memcpy(own, b ? secret_b : secret_a, 32);
    crypto_scalarmult_base(peer_public, b ? secret_a : secret_b);
}

int main(int argc, char **argv)
{
    struct netsock own_udp, peer_udp;
    if (argc != 5 || netsock_parse(argv[3], &own_udp) != NX_OK ||
        netsock_parse(argv[4], &peer_udp) != NX_OK) {
        fprintf(stderr, "usage: datapath a|b TCP-PORT OWN-UDP PEER-UDP\n");
        return 2;
    }
    bool b = argv[1][0] == 'b';
    server.port = (uint16_t)atoi(argv[2]);
    log_init("datapath", LOG_LEVEL_INFO);
    struct event_base *base = event_base_new();
    struct broker broker = {.connect = ask_connect, .destination = ask_destination, .cancel = ask_cancel};
    struct ipc_tunnel_config config = {.mtu = 1420, .addresses.count = 1, .addresses.item[0] = dest.addr};
    config.addresses.item[0].bytes[3] = b ? 2 : 1;
    struct wg_peer_config peer = {.endpoint = peer_udp, .allowed_count = 1, .replace_allowed = true};
    keys(b, config.private_key, peer.public_key);
    struct netprefix allowed = {.addr = config.addresses.item[0], .length = 32};
    allowed.addr.bytes[3] = b ? 1 : 2;
    peer.allowed = &allowed;
    if (tunnel_setup(base, &broker, 65536) != NX_OK || tunnel_configure(&config) != NX_OK ||
        wg_peer_set(tunnel_device(), &peer, clock_now_ns()) != NX_OK ||
        udp_io_set_sockets(bound_socket(SOCK_DGRAM, &own_udp), -1) != NX_OK)
        return 1;
    if (b) {
        if (ports_rule_add(1, RULE_INGRESS, RULE_TCP, MESH_PORT) != NX_OK)
            return 1;
    } else {
        struct event *event =
            event_new(base, bound_socket(SOCK_STREAM, &server), EV_READ | EV_PERSIST, on_client, NULL);
        event_add(event, NULL);
    }
    for (bool more = false;;) {
        event_base_loop(base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
        answer_waiting();
        more = tunnel_turn();
    }
}
