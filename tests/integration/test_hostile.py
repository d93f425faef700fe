"""Hostile packets at the tunnel's UDP port: dropped, answered with nothing, and no harm to what goes on meanwhile."""
import random
import socket

import pytest

from lab import node, packets, traffic, waiting
from lab.packets import Attacker, Tap
from lab.traffic import LOOPBACK, MIB

SIZE = (32 if node.sanitized() else 256) * MIB
RULES = {"a_rules": ["--egress", "tcp:8000:{b4}:9000"], "b_rules": ["--ingress", "tcp:9000:127.0.0.1:80"]}


class Siege:
    """Two nodes with a transfer from a to b under way, a third host that attacks b, and what it has captured."""

    def __init__(self, scene):
        self.a, self.b = scene.pair(**RULES)
        self.attacker_host = scene.host("x")
        tap = scene.keep(Tap(self.a.host))
        listener = scene.keep(traffic.tcp_listen(self.b.host, LOOPBACK[4], 80))
        self.client = traffic.tcp_connect(self.a.host, LOOPBACK[4], 8000)
        self.server = traffic.tcp_accept(listener)
        # Handshake, and the first small data messages: a ping-pong, so that there is no large batch yet.
        for _ in range(20):
            self.client.sendall(b"x" * 500)
            traffic.receive_exactly(self.server, 500)
        self.captured = tap.datagrams(self.a.host.v4, self.b.port, 20)
        kinds = [data[0] for data in self.captured]
        assert packets.DATA in kinds
        self.attacker = scene.keep(Attacker(self.attacker_host, self.b.host.v4, self.b.port))
        self.transfer = traffic.Transfer(self.client, self.server, SIZE)

    def attack_until_the_transfer_ends(self, rounds):
        """`rounds(n)` gives the datagrams of round n."""
        number = 0
        while not self.transfer.receiving.done() or number < 3:
            assert number < 100000
            self.attacker.send_all(rounds(number))
            number += 1
        self.transfer.finish(300)


@pytest.fixture
def siege(scene):
    return Siege(scene)


def all_processes(siege):
    return siege.a.processes() + siege.b.processes()


def check_unharmed(siege, before):
    assert all_processes(siege) == before, "a process died"
    assert siege.attacker.sent > 100
    with traffic.tcp_connect(siege.a.host, LOOPBACK[4], 8000):
        pass


def test_given_a_transfer_when_random_bytes_arrive_then_it_goes_on_and_nothing_is_answered(siege):
    before = all_processes(siege)
    siege.attack_until_the_transfer_ends(lambda n: packets.noise(n, 200))
    assert not siege.attacker.answers()
    check_unharmed(siege, before)


def test_given_a_transfer_when_messages_of_the_right_shape_arrive_then_it_goes_on_and_nothing_is_answered(siege):
    before = all_processes(siege)
    siege.attack_until_the_transfer_ends(lambda n: packets.of_right_shape(n, 200))
    assert not siege.attacker.answers(), "without a valid MAC1 there is no answer"
    check_unharmed(siege, before)


def test_given_a_transfer_when_captured_datagrams_arrive_truncated_then_it_goes_on(siege):
    before = all_processes(siege)
    siege.attack_until_the_transfer_ends(lambda n: packets.truncated(siege.captured))
    assert not siege.attacker.answers()
    check_unharmed(siege, before)


def test_given_a_transfer_when_captured_datagrams_arrive_damaged_then_it_goes_on(siege):
    before = all_processes(siege)
    siege.attack_until_the_transfer_ends(lambda n: packets.damaged(n, siege.captured))
    assert not siege.attacker.answers()
    check_unharmed(siege, before)


def test_given_a_transfer_when_captured_datagrams_are_replayed_then_the_endpoint_does_not_move(siege):
    before = all_processes(siege)
    siege.attack_until_the_transfer_ends(lambda n: siege.captured)
    # An old initiation gets no response and replayed data moves no endpoint. That its MAC1 is right gets it a cookie, under load.
    assert siege.attacker.answers() <= {packets.COOKIE}
    check_unharmed(siege, before)


def test_given_a_transfer_when_data_comes_for_a_wrong_index_or_counter_then_it_goes_on(siege):
    before, chance = all_processes(siege), random.Random(7)

    def one_round(number):
        yield from packets.with_index(siege.captured, chance.getrandbits(32))
        yield from packets.with_counter(siege.captured, chance.choice([0, 1, 2**60, 2**64 - 1, chance.getrandbits(64)]))

    siege.attack_until_the_transfer_ends(one_round)
    assert not siege.attacker.answers()
    check_unharmed(siege, before)


def test_given_a_transfer_when_datagrams_come_under_the_peers_own_address_then_it_goes_on(siege):
    before = all_processes(siege)
    number = 0
    while not siege.transfer.receiving.done() or number < 3:
        for data in [*packets.of_right_shape(number, 20), *packets.damaged(number, siege.captured), *siege.captured]:
            siege.attacker.send_as(siege.a.host.v4, siege.a.port, data)
        number += 1
    siege.transfer.finish(300)
    check_unharmed(siege, before)


def test_given_a_flood_of_initiations_when_it_lasts_then_memory_stays_and_a_peer_still_gets_through(scene):
    a, b = scene.pair(**RULES)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    attacker = scene.keep(Attacker(scene.host("x"), b.host.v4, b.port))
    memory = b.private_bytes()
    for number in range(200):
        attacker.send_all(packets.of_right_shape(number, 500))
    assert b.private_bytes() - memory < 4 * MIB * node.slowness()
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client, traffic.tcp_accept(listener, 20) as server:
        client.sendall(b"ping")
        assert traffic.receive_exactly(server, 4) == b"ping"


def test_given_an_ipv6_outside_when_random_bytes_arrive_there_then_a_transfer_goes_on(scene):
    a, b = scene.pair(family=6, **RULES)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    attacker = scene.keep(Attacker(scene.host("x"), b.host.v6, b.port))
    client = traffic.tcp_connect(a.host, LOOPBACK[4], 8000)
    transfer = traffic.Transfer(client, traffic.tcp_accept(listener), SIZE)
    number = 0
    while not transfer.receiving.done():
        attacker.send_all(packets.noise(number, 200))
        attacker.send_all(packets.of_right_shape(number, 200))
        number += 1
    transfer.finish(300)


# -- A peer that is let in, and lies ----------------------------------------------------------------------------------

@pytest.fixture
def liar(scene, kernel):
    """A node with a UDP rule, and a kernel end that may use addresses it has no right to."""

    class Liar:
        a, b = scene.node_and_kernel(["--ingress", "udp:4343:127.0.0.1:53,udp:4346:[::1]:53,tcp:9000:127.0.0.1:80"])
        service = {4: scene.keep(traffic.UdpService(a.host, LOOPBACK[4], 53)),
                   6: scene.keep(traffic.UdpService(a.host, LOOPBACK[6], 53))}

    return Liar


@pytest.mark.parametrize("family, forged", ((4, "100.64.0.77"), (4, "192.0.2.7"), (6, "fd64::77"), (6, "2001:db8::77")))
def test_given_a_peer_when_it_sends_under_an_address_it_may_not_use_then_the_packet_is_dropped(liar, family, forged):
    liar.b.host.ip("addr", "add", f"{forged}/{32 if family == 4 else 128}", "dev", liar.b.device,
                   *(["nodad"] if family == 6 else []))
    port = {4: 4343, 6: 4346}[family]
    sock = liar.b.host.socket(traffic.AF[family], socket.SOCK_DGRAM)
    with sock:
        sock.bind((forged, 0))
        for _ in range(10):
            sock.sendto(b"forged", (liar.a.tunnel(family), port))
    with traffic.udp_client(liar.b.host, liar.a.tunnel(family), port) as honest:
        assert traffic.udp_ask(honest, b"honest") == b"honest"
    assert b"forged" not in liar.service[family].received


def raw_packets(liar, family, make, count):
    """Sends inner packets that no kernel would make, through the peer's own tunnel device."""

    def send():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        with sock:
            for number in range(count):
                sock.sendto(make(number), (liar.b.device, 0x0800 if family == 4 else 0x86DD))

    liar.b.host.inside(send)


@pytest.mark.parametrize("family", (4, 6))
def test_given_a_peer_when_it_sends_inner_packets_of_nonsense_then_the_node_goes_on(liar, family):
    before = liar.a.processes()
    source = socket.inet_pton(traffic.AF[family], liar.b.tunnel(family))
    target = socket.inet_pton(traffic.AF[family], liar.a.tunnel(family))

    def make(number):
        chance = random.Random(number)
        body = chance.randbytes(chance.choice([0, 1, 4, 8, 20, 40, chance.randrange(1300)]))
        # The addresses are right, so that cryptokey routing lets it pass; everything else is left to chance.
        if family == 4:
            head = bytearray(chance.randbytes(20))
            head[0] = 0x40 | chance.choice([5, 5, 5, 6, 15, 0])
            length = chance.choice([20 + len(body), chance.randrange(65536)])
            head[2:4] = length.to_bytes(2, "big")
            head[6:8] = chance.choice([b"\0\0", b"\x20\0", chance.randbytes(2)])
            head[9] = chance.choice([1, 6, 17, 17, 6, chance.randrange(256)])
            head[12:16], head[16:20] = source, target
            head[10:12] = b"\0\0"
            head[10:12] = traffic.checksum(bytes(head)).to_bytes(2, "big")
        else:
            head = bytearray(chance.randbytes(40))
            head[0] = 0x60
            head[4:6] = chance.choice([len(body), chance.randrange(65536)]).to_bytes(2, "big")
            head[6] = chance.choice([0, 6, 17, 43, 44, 58, 59, 60, chance.randrange(256)])
            head[8:24], head[24:40] = source, target
        return bytes(head) + body

    raw_packets(liar, family, make, 3000)
    with traffic.udp_client(liar.b.host, liar.a.tunnel(family), {4: 4343, 6: 4346}[family]) as honest:
        assert waiting.until(lambda: traffic.udp_ask(honest, b"honest"), 10, "an honest answer") == b"honest"
    assert liar.a.processes() == before, "a process died"
