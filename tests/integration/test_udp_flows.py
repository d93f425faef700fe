"""UDP through nodes: every payload, every family, flows that keep apart and that end."""
import itertools
import socket
import time

import pytest

from lab import traffic, waiting
from lab.traffic import LOOPBACK

SIZES = (0, 1, 1372, 8000, 65507)
RULES = {"a_rules": ["--egress", "udp:4242:{b4}:4343"], "b_rules": ["--ingress", "udp:4343:127.0.0.1:53"]}


@pytest.mark.parametrize("client, through, destination", list(itertools.product((4, 6), (4, 6), (4, 6))))
def test_given_two_nodes_when_datagrams_of_every_size_are_sent_then_each_comes_back_unchanged(
        scene, client, through, destination):
    target = f"[{LOOPBACK[6]}]" if destination == 6 else LOOPBACK[4]
    a, b = scene.pair(a_rules=["--egress", "udp:4242:{b%d}:4343" % through],
                      b_rules=["--ingress", f"udp:4343:{target}:53"])
    service = scene.keep(traffic.UdpService(b.host, LOOPBACK[destination], 53))
    with traffic.udp_client(a.host, LOOPBACK[client], 4242) as sock:
        assert traffic.udp_ask(sock, b"first") == b"first"
        for size in SIZES:
            data = traffic.BLOCK[:size]
            assert traffic.udp_ask(sock, data) == data, f"{size} bytes"
    assert len(set(service.sources)) == 1, "one client is one flow"


def test_given_two_clients_of_one_rule_when_both_send_then_answers_go_to_the_one_who_asked(scene):
    a, b = scene.pair(**RULES)
    service = scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as one, traffic.udp_client(a.host, LOOPBACK[4], 4242) as two:
        for number in range(20):
            assert traffic.udp_ask(one, b"one %d" % number) == b"one %d" % number
            assert traffic.udp_ask(two, b"two %d" % number) == b"two %d" % number
    assert len(set(service.sources)) == 2


def test_given_a_flow_when_someone_else_sends_to_its_socket_then_the_client_does_not_get_it(scene):
    a, b = scene.pair(**RULES)
    service = scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as client:
        assert traffic.udp_ask(client, b"ping") == b"ping"
        stranger = traffic.udp_bind(b.host, LOOPBACK[4], 54)
        with stranger:
            stranger.sendto(b"forged", service.sources[0])
        client.send(b"again")
        assert client.recv(100) == b"again"


def test_given_a_service_that_sends_many_answers_when_asked_once_then_all_arrive(scene):
    a, b = scene.pair(**RULES)
    server = scene.keep(traffic.udp_bind(b.host, LOOPBACK[4], 53))
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as client:
        client.send(b"go")
        _, source = server.recvfrom(100)
        for number in range(50):
            server.sendto(b"%d" % number, source)
        assert sorted(int(client.recv(100)) for _ in range(50)) == list(range(50))


def test_given_a_destination_that_refuses_when_it_opens_later_then_datagrams_reach_it(scene):
    a, b = scene.pair(**RULES)
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as client:
        client.settimeout(0.5)
        client.send(b"too early")
        try:
            client.recv(100)
            pytest.fail("an answer from nobody")
        except (TimeoutError, socket.timeout, ConnectionRefusedError):
            pass
        scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
        assert traffic.udp_ask(client, b"now") == b"now"


def test_given_a_thousand_clients_when_each_sends_then_each_gets_its_own_answer(scene):
    a, b = scene.pair(**RULES)
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))

    def open_all():
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(1000)]
        for client in clients:
            client.connect((LOOPBACK[4], 4242))
        return clients

    clients = a.host.inside(open_all)
    try:
        for number, client in enumerate(clients):
            data = number.to_bytes(4, "big")
            assert traffic.udp_ask(client, data) == data
    finally:
        for client in clients:
            client.close()


@pytest.mark.slow
def test_given_an_idle_udp_flow_when_60_seconds_have_passed_then_it_is_gone_and_a_busy_one_is_not(scene):
    a, b = scene.pair(**RULES)
    service = scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as idle, traffic.udp_client(a.host, LOOPBACK[4], 4242) as busy:
        traffic.udp_ask(busy, b"busy")
        sockets_of_one = b.descriptors()["tunneld"]
        traffic.udp_ask(idle, b"idle")
        begun = time.monotonic()
        assert b.descriptors()["tunneld"] == sockets_of_one + 1

        def expired():
            traffic.udp_ask(busy, b"busy")
            return b.descriptors()["tunneld"] == sockets_of_one

        waiting.until(expired, 75, "the idle flow's socket is closed", every=1)
        assert time.monotonic() - begun >= 59, "closed too early"
        sources = [source for source, data in zip(service.sources, service.received) if data == b"busy"]
        assert len(set(sources)) == 1, "the busy flow kept its socket"
        assert traffic.udp_ask(idle, b"idle again") == b"idle again"
        assert service.sources[-1] not in sources[:1]
