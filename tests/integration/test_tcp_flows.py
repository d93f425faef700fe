"""A TCP flow through two nodes behaves like one direct connection between the client and the server."""
import socket
import time

import pytest

from lab import node, traffic, waiting
from lab.traffic import LOOPBACK, MIB

RULES = {"a_rules": ["--egress", "tcp:8000:{b4}:9000"], "b_rules": ["--ingress", "tcp:9000:127.0.0.1:80"]}
SIZE = 16 * MIB


@pytest.fixture
def flow(scene):
    """A pair of nodes, and the two ends of a flow through them: the client's and the server's socket."""

    class Flow:
        a, b = scene.pair(**RULES)
        listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
        client = scene.keep(traffic.tcp_connect(a.host, LOOPBACK[4], 8000))
        server = scene.keep(traffic.tcp_accept(listener))

    return Flow


def expect_end(connection, seconds=5):
    connection.settimeout(seconds)
    assert connection.recv(1) == b""


def test_given_a_flow_when_both_sides_send_at_once_then_every_byte_arrives_in_order(flow):
    up = waiting.background(traffic.send_pattern, flow.client, SIZE)
    down = waiting.background(traffic.send_pattern, flow.server, SIZE)
    at_server = waiting.background(traffic.receive_all, flow.server)
    at_client = waiting.background(traffic.receive_all, flow.client)
    sent_up, sent_down = up.result(120), down.result(120)
    flow.client.shutdown(socket.SHUT_WR)
    flow.server.shutdown(socket.SHUT_WR)
    assert at_server.result(120) == (SIZE, sent_up)
    assert at_client.result(120) == (SIZE, sent_down)


def test_given_a_client_that_has_finished_sending_when_the_server_answers_then_the_whole_answer_arrives(flow):
    flow.client.sendall(b"request")
    flow.client.shutdown(socket.SHUT_WR)
    assert traffic.receive_all(flow.server)[0] == len(b"request")
    transfer = traffic.Transfer(flow.server, flow.client, SIZE)
    transfer.finish(120)


def test_given_a_server_that_has_finished_sending_when_the_client_goes_on_then_all_of_it_arrives(flow):
    flow.server.sendall(b"greeting")
    flow.server.shutdown(socket.SHUT_WR)
    assert traffic.receive_all(flow.client)[0] == len(b"greeting")
    transfer = traffic.Transfer(flow.client, flow.server, SIZE)
    transfer.finish(120)


def test_given_a_half_closed_flow_when_it_stays_idle_then_it_is_kept_open(flow):
    flow.client.shutdown(socket.SHUT_WR)
    expect_end(flow.server)
    flow.server.settimeout(2)
    flow.client.settimeout(2)
    with pytest.raises((TimeoutError, socket.timeout)):  # nothing comes, and no end either
        flow.client.recv(1)
    flow.server.sendall(b"late")
    assert traffic.receive_exactly(flow.client, 4) == b"late"


def test_given_a_flow_when_the_server_closes_then_the_client_sees_the_end(flow):
    flow.server.sendall(b"bye")
    flow.server.close()
    assert traffic.receive_exactly(flow.client, 3) == b"bye"
    expect_end(flow.client)


def test_given_a_flow_when_the_client_closes_then_the_server_sees_the_end(flow):
    flow.client.sendall(b"bye")
    flow.client.close()
    assert traffic.receive_exactly(flow.server, 3) == b"bye"
    expect_end(flow.server)


def test_given_a_flow_when_the_client_resets_it_then_the_server_sees_a_reset(flow):
    assert traffic_passes(flow)
    traffic.reset(flow.client)
    traffic.expect_reset(flow.server)


def test_given_a_flow_when_the_server_resets_it_then_the_client_sees_a_reset(flow):
    assert traffic_passes(flow)
    traffic.reset(flow.server)
    traffic.expect_reset(flow.client)


def test_given_a_half_closed_flow_when_the_reading_side_resets_then_the_other_sees_a_reset(flow):
    flow.client.shutdown(socket.SHUT_WR)
    expect_end(flow.server)
    traffic.reset(flow.client)
    flow.server.settimeout(5)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:
            flow.server.sendall(b"x" * 65536)


def traffic_passes(flow):
    flow.client.sendall(b"x")
    flow.server.sendall(b"y")
    return traffic.receive_exactly(flow.server, 1) == b"x" and traffic.receive_exactly(flow.client, 1) == b"y"


def test_given_a_destination_that_refuses_when_a_client_connects_then_it_sees_a_reset_soon(scene):
    a, b = scene.pair(**RULES)
    assert traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000) < 1 * node.slowness()


def test_given_a_destination_nobody_listens_on_when_the_kernel_gives_a_connection_that_very_port_then_it_is_still_refused(
        scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9000,udp:8000:{b4}:9000"],
                      b_rules=["--ingress", "tcp:9000:127.0.0.1:7777,udp:9000:127.0.0.1:7777"])
    b.host.sysctl("net/ipv4/ip_local_port_range", "7777 7777")  # a connection to it would be one to itself
    traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)
    with traffic.udp_client(a.host, LOOPBACK[4], 8000) as client:
        client.settimeout(0.5)
        client.send(b"anyone?")
        with pytest.raises((TimeoutError, socket.timeout, ConnectionRefusedError)):
            client.recv(100)


def test_given_a_mesh_port_without_rule_when_a_client_connects_then_it_sees_a_reset_soon(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9999,tcp:8006:{b6}:9999"])
    for port in (8000, 8006):
        assert traffic.expect_reset_of_client(a.host, LOOPBACK[4], port) < 1 * node.slowness()


def test_given_an_address_that_no_peer_has_when_a_client_connects_then_it_sees_a_reset_soon(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:100.64.9.9:80,tcp:8006:[fd64::99]:80"])
    for port in (8000, 8006):
        assert traffic.expect_reset_of_client(a.host, LOOPBACK[4], port) < 1 * node.slowness()


def test_given_a_server_that_does_not_read_when_the_client_sends_then_it_is_stopped_and_memory_stays_bounded(flow):
    memory = {end: end.private_bytes() for end in (flow.a, flow.b)}
    limit = 256 * MIB
    progress = traffic.Meter()

    def send():
        digest = traffic.send_pattern(flow.client, limit, progress)
        flow.client.shutdown(socket.SHUT_WR)
        return digest

    flow.client.settimeout(120)
    sending = waiting.background(send)
    progress.wait(MIB)
    stopped_at = waiting.unchanged(lambda: progress.bytes, 2, 60, "what the client could send")
    assert stopped_at < 64 * MIB, "the sender was not held back"
    for end, before in memory.items():
        grown = end.private_bytes() - before
        assert grown < 16 * MIB * node.slowness(), f"{end.host.name} grew by {grown} bytes"
    assert traffic.receive_all(flow.server) == (limit, sending.result(120)), "and then nothing is lost"


def test_given_a_client_that_does_not_read_when_the_server_sends_then_another_flow_is_not_held_up(flow):
    progress = traffic.Meter()
    flow.server.settimeout(120)
    waiting.background(traffic.send_pattern, flow.server, 256 * MIB, progress)
    progress.wait(MIB)
    waiting.unchanged(lambda: progress.bytes, 1, 60, "what the server could send")
    with traffic.tcp_connect(flow.a.host, LOOPBACK[4], 8000) as other, traffic.tcp_accept(flow.listener) as server:
        begun = time.monotonic()
        other.sendall(b"ping")
        assert traffic.receive_exactly(server, 4) == b"ping"
        assert time.monotonic() - begun < 1 * node.slowness()


def test_given_an_idle_flow_when_a_second_passes_then_no_processor_time_is_used(flow):
    assert traffic_passes(flow)

    def ticks():
        return sum(sum(map(int, node.proc.stat_fields(pid)[11:13])) for end in (flow.a, flow.b)
                   for pid in end.processes())

    # Two seconds of nothing: whoever polls, or spins on a socket that stays ready, shows here.
    waiting.unchanged(ticks, 2, 20, "processor time of idle nodes")


def test_given_a_flow_when_its_two_sockets_are_closed_then_every_descriptor_is_given_back(scene):
    a, b = scene.pair(**RULES)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))

    def one_flow():
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client, traffic.tcp_accept(listener) as server:
            client.sendall(b"x")
            assert traffic.receive_exactly(server, 1) == b"x"

    one_flow()  # the first makes what is kept
    before = waiting.unchanged(lambda: (a.descriptors(), b.descriptors()), 0.5, 10, "descriptors")
    for _ in range(20):
        one_flow()
    waiting.until(lambda: (a.descriptors(), b.descriptors()) == before, 10, "all descriptors are given back")


@pytest.mark.slow
def test_given_an_idle_flow_when_the_far_end_vanishes_then_keepalives_find_it_and_both_sides_are_closed(flow, scene):
    assert traffic_passes(flow)
    scene.network.unplug(flow.b.host)
    for connection in (flow.client, flow.server):
        connection.settimeout(400)
    at_server = waiting.background(flow.server.recv, 1)
    for seen in (waiting.background(flow.client.recv, 1), at_server):
        with pytest.raises((ConnectionResetError, TimeoutError)) as error:
            seen.result(400)
        assert not isinstance(error.value, socket.timeout) or error.value.errno, "the flow was never closed"


@pytest.mark.slow
def test_given_bytes_on_the_way_when_the_far_end_vanishes_then_the_sender_is_told(flow, scene):
    assert traffic_passes(flow)
    scene.network.unplug(flow.b.host)
    flow.client.settimeout(400)
    flow.client.sendall(b"into the void")
    with pytest.raises(ConnectionResetError):
        flow.client.recv(1)


def test_given_500_connections_at_once_when_opened_then_each_carries_its_own_bytes(scene):
    a, b = scene.pair(**RULES)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))

    def open_all():
        clients = [socket.socket() for _ in range(500)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex((LOOPBACK[4], 8000))
        return clients

    clients = a.host.inside(open_all)
    try:
        for number, client in enumerate(clients):
            client.settimeout(20)
            client.sendall(number.to_bytes(4, "big"))
        for number, client in enumerate(clients):
            assert int.from_bytes(traffic.receive_exactly(client, 4), "big") == number
    finally:
        for client in clients:
            client.close()
