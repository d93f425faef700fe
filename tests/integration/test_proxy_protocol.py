"""The PROXY protocol: a destination is told first who called, and everything after that is the flow."""
import json
import socket
import struct

import pytest

from lab import traffic, waiting
from lab.traffic import LOOPBACK, MIB
from test_operator import add, listed, nexctl, restart, says, stored
from test_policy import run, write

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def read_header(connection):
    """What a receiver is told: (command, source, destination), each an address and a port. Strict."""
    head = traffic.receive_exactly(connection, 16)
    assert head[:12] == SIGNATURE and head[12] >> 4 == 2, head
    family = {0x11: socket.AF_INET, 0x21: socket.AF_INET6}[head[13]]
    size = {socket.AF_INET: 4, socket.AF_INET6: 16}[family]
    assert struct.unpack("!H", head[14:])[0] == 2 * size + 4
    body = traffic.receive_exactly(connection, 2 * size + 4)
    source, destination = (socket.inet_ntop(family, body[at:at + size]) for at in (0, size))
    source_port, destination_port = struct.unpack("!HH", body[2 * size:])
    return head[12] & 15, (source, source_port), (destination, destination_port)


def accept(listener):
    return traffic.tcp_accept(listener, 30)


def bracket(address):
    return f"[{address}]" if ":" in address else address


def pair(scene, ingress, *flags, through=4):
    """A node whose port 8000 leads to port 9000 of another, and that one, which introduces its callers there."""
    a, b = scene.node(), scene.node()
    scene.introduce(a, b)
    a.rules = scene.fill(["--egress", "tcp:8000:{b%d}:9000" % through], a, b)
    b.rules = ["--ingress", ingress]
    b.flags += ["--proxy-protocol", "9000", *flags]
    b.start()
    a.start()
    return a, b


def told(server, caller, called):
    """Who called is `caller`'s tunnel address and the port that its flow has there."""
    command, source, destination = read_header(server)
    assert command == 1 and source[0] == caller and source[1] > 0 and destination == (called, 9000)
    return source[1]


@pytest.mark.parametrize("through", [4, 6])
@pytest.mark.parametrize("destination", [4, 6])
def test_given_a_port_of_the_proxy_protocol_when_peers_connect_then_each_is_told_by_its_tunnel_address_before_its_bytes(
        scene, through, destination):
    a, b = pair(scene, f"tcp:9000:{bracket(LOOPBACK[destination])}:80", through=through)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[destination], 80))
    caller, called = (a.v4, b.v4) if through == 4 else (a.v6, b.v6)
    ports = set()
    for _ in range(3):
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
            client.sendall(b"request")
            client.shutdown(socket.SHUT_WR)  # the end follows at once
            with accept(listener) as server:
                ports.add(told(server, caller, called))
                assert traffic.receive_exactly(server, 7) == b"request" and server.recv(1) == b""
                server.sendall(b"answer")
                assert traffic.receive_exactly(client, 6) == b"answer"
    assert len(ports) == 3, "each flow has its own port"


def test_given_a_destination_that_speaks_first_when_a_peer_connects_then_both_ways_are_whole(scene):
    a, b = pair(scene, "tcp:9000:127.0.0.1:80")
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    client = scene.keep(traffic.tcp_connect(a.host, LOOPBACK[4], 8000))
    server = scene.keep(accept(listener))
    server.sendall(b"220 hello")
    assert traffic.receive_exactly(client, 9) == b"220 hello"
    told(server, a.v4, b.v4)
    sent = waiting.background(traffic.send_pattern, client, 4 * MIB)
    received = waiting.background(traffic.receive_all, server)
    digest = sent.result(120)
    client.shutdown(socket.SHUT_WR)
    assert received.result(120) == (4 * MIB, digest)


def test_given_a_destination_that_refuses_when_another_shares_its_port_then_that_one_is_told(scene):
    a, b = pair(scene, "tcp:9000:127.0.0.1:80,tcp:9000:127.0.0.1:81")
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 81))
    for _ in range(3):
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000), accept(listener) as server:
            told(server, a.v4, b.v4)


def test_given_a_rule_of_run_time_at_such_a_port_when_added_stored_and_restarted_then_it_is_told_and_the_formats_are_as_ever(
        scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9000,tcp:8001:{b4}:9001"], b_rules=[])
    b.flags += ["--proxy-protocol", "9000,9002"]
    restart(b)
    waiting.until(lambda: "--proxy-protocol 9002: there is no TCP ingress rule of that port yet" in b.log(), 10, "the warning")
    add(b, "--ingress", "tcp:9000:127.0.0.1:80", "--ingress", "tcp:9001:127.0.0.1:81")
    listeners = [scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], port)) for port in (80, 81)]

    def both():
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000), accept(listeners[0]) as server:
            told(server, a.v4, b.v4)
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8001) as client, accept(listeners[1]) as server:
            client.sendall(b"plain")
            assert traffic.receive_exactly(server, 5) == b"plain"

    both()
    assert "--ingress tcp:9000:127.0.0.1:80" in "\n".join(listed(b))
    rules = {rule["rule"]: rule["proxy_protocol"] for rule in json.loads(says(b, "rules", "stats", output="json"))}
    assert rules == {"tcp:9000:127.0.0.1:80": True, "tcp:9001:127.0.0.1:81": False}
    assert "--ingress tcp:9000:127.0.0.1:80 (PROXY)" in nexctl(b, "rules", "stats").stdout
    b.kill_child("proxyd")
    waiting.until(lambda: b.child("proxyd"), 10, "another proxyd")
    both()
    assert stored(b) == {"egress": None, "ingress": ["tcp:9000:127.0.0.1:80", "tcp:9001:127.0.0.1:81"]}
    restart(b)
    says(b, "peers", "ping")  # a session of the new tunneld's
    both()


def test_given_such_a_port_when_checked_then_its_rules_say_so_and_mistakes_are_named(scene):
    node = scene.node()
    config = write(scene, "proxy-protocol = 9000\nproxy-protocol = 9001\n", "nexd.conf")
    node.flags += ["--config", config]
    checked = run(node, "check", "--ingress", "tcp:9000:127.0.0.1:80,udp:9000:127.0.0.1:53")
    assert checked.returncode == 0, checked.stderr
    assert ("tcp:9000:127.0.0.1:80; listens on tcp port 9000 of the tunnel's addresses; sends PROXY protocol headers\n"
            in checked.stdout) and checked.stdout.count("PROXY") == 1
    assert "warning: --proxy-protocol 9001: there is no TCP ingress rule of that port yet" in checked.stderr
    refused = run(node, "check", "--ingress", "tcp:9000:127.0.0.1:80,udp:9001:127.0.0.1:53")
    assert refused.returncode == 2 and 'the ingress rule "udp:9001:127.0.0.1:53" is UDP' in refused.stderr


def test_given_a_policy_that_grants_one_flow_when_two_peers_connect_then_the_first_is_told_and_of_the_second_nobody_hears(scene):
    a, b = pair(scene, "tcp:9000:127.0.0.1:80", "--policy", write(scene, "allow ingress tcp 9000 to 127.0.0.0/8 80 flows 1\n"))
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client, accept(listener) as server:
        told(server, a.v4, b.v4)
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000, seconds=30)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
        client.sendall(b"still here")
        assert traffic.receive_exactly(server, 10) == b"still here"
