"""Transfers between our nexd and the Go nexd over bad paths: what arrives is what was sent, whoever opens the connection, both ways."""
import hashlib
import os
import select

import pytest

from golang import GoMember
from lab import traffic, waiting
from lab.node import BUILD, endpoint
from lab.process import Process
from lab.traffic import LOOPBACK, MIB

SIZE = 2 * MIB
WG_PORT = 51820
RELAY = ["setpriv", "--pdeathsig=KILL", "--", BUILD / "bench" / "bin" / "impair"]
IMPAIRMENTS = {
    "loss": ["--delay-ms", "10", "--loss", "0.01"],
    "heavy loss": ["--delay-ms", "5", "--loss", "0.05"],
    "reordering": ["--delay-ms", "10", "--jitter-ms", "4", "--reorder", "1"],
    "jitter": ["--delay-ms", "10", "--jitter-ms", "8"],
    "duplication": ["--delay-ms", "5", "--duplicate", "0.1"],
    "a narrow link with a short queue": ["--delay-ms", "10", "--rate-mbit", "20", "--queue-ms", "20"],
    "everything": ["--delay-ms", "20", "--loss", "0.01", "--jitter-ms", "5", "--reorder", "0.5", "--duplicate", "0.02"],
}


class Path(Process):
    """A relay that has an address for each end. The STUN servers tell each end the one at which the other finds it, as a NAT would, so that
    no way leads around the relay."""

    def __init__(self, scene, mesh, a, b, words):
        relay = scene.host("r")
        stands_for = {}
        for end in (a, b):
            stands_for[end] = f"10.99.0.{200 + end.host.number}"
            relay.add_address(stands_for[end], 24)
            end.flags += ["--listen-port", str(WG_PORT), "--local-endpoint-ip", stands_for[end]]
            for server in mesh.plane.stun:
                server.told[end.host.v4] = stands_for[end]
        self.hosts = [relay, a.host, b.host]
        super().__init__(relay, [*RELAY, "--side0", endpoint(stands_for[b], WG_PORT), "--peer0", endpoint(a.host.v4, WG_PORT),
                                 "--side1", endpoint(stands_for[a], WG_PORT), "--peer1", endpoint(b.host.v4, WG_PORT), *words], "impair")
        waiting.until(lambda: self.stdout_lines == ["ready"], 10, "the relay")

    def mtu(self, size):
        """No link on the way carries more."""
        for host in self.hosts:
            host.ip("link", "set", "eth0", "mtu", str(size))

    def close(self):
        if self.running():
            self.child.terminate()
            self.wait(5)


@pytest.fixture(params=("ours to Go", "Go to ours"))
def pair(request, scene, mesh, go_nexd, go_nexctl):
    """The end with the service, the end with clients, and a way to start them over a path that the test chooses."""
    def start(words, mtu=None):
        theirs, ours = GoMember(mesh, go_nexd, go_nexctl), mesh.member()
        service, client = (theirs, ours) if request.param == "ours to Go" else (ours, theirs)
        path = scene.keep(Path(scene, mesh, ours, theirs, words))
        if mtu:
            path.mtu(mtu)
        service.rules = ["--ingress", "tcp:9000:127.0.0.1:80"]
        service.start()
        client.rules = ["--egress", f"tcp:8000:{service.v4}:9000"]
        client.start()
        return connections(scene, service, client)
    return start


def connections(scene, service, client):
    """Function that opens a connection: its client's end and its server's. The first one waits until the ends know each other."""
    listener = scene.keep(traffic.tcp_listen(service.host, LOOPBACK[4], 80))

    def accept(token):
        """The connection over which the token comes; others are left from attempts before."""
        while True:
            far = traffic.tcp_accept(listener, 20)
            try:
                if traffic.receive_exactly(far, len(token)) == token:
                    return far
            except (OSError, EOFError):
                pass
            far.close()

    def attempt():
        token = os.urandom(16)
        try:
            near = traffic.tcp_connect(client.host, LOOPBACK[4], 8000, seconds=30)
            try:
                near.sendall(token)
                return near, accept(token)
            except OSError:
                near.close()
        except OSError:
            pass
        return None
    return lambda: waiting.until(attempt, 120, "a connection between the ends", every=0.5)


def received(connection, size):
    """SHA-256 of what comes. The Go nexd carries no half-close, so it is the size that ends a transfer."""
    digest = hashlib.sha256()
    while size:
        piece = connection.recv(min(size, MIB))
        assert piece, f"the end came {size} bytes early"
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def both_ways(connect):
    """Two connections at once, one for each direction."""
    near, far = connect(), connect()
    waits = [(waiting.background(received, receiver, SIZE), waiting.background(traffic.send_pattern, sender, SIZE))
             for sender, receiver in (near, far[::-1])]
    for receiving, sending in waits:
        assert receiving.result(300) == sending.result(300)
    for connection in (*near, *far):
        connection.close()


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_given_a_bad_path_when_transfers_run_both_ways_then_the_hashes_are_equal(pair, name):
    both_ways(pair(IMPAIRMENTS[name]))


def test_given_links_with_a_smaller_mtu_when_transfers_run_over_losses_then_the_hashes_are_equal(pair):
    both_ways(pair(["--delay-ms", "5", "--loss", "0.005"], mtu=1300))


@pytest.mark.parametrize("downward", (False, True), ids=("to the service", "to the client"))
def test_given_a_reader_that_stops_and_takes_little_when_it_goes_on_then_the_hashes_are_equal(pair, downward):
    """A window that closes, opens by a little many times, and opens again, over losses that take probes and updates too."""
    sender, receiver = pair(["--delay-ms", "5", "--loss", "0.02"])()[::-1 if downward else 1]
    sender.setblocking(False)
    sent, got = hashlib.sha256(), hashlib.sha256()
    sent_bytes = 0

    def send_until_full(seconds):
        """Until nothing went in for so long."""
        nonlocal sent_bytes
        while select.select([], [sender], [], seconds)[1]:
            piece = traffic.BLOCK[sent_bytes % 65536:][:65536]
            count = sender.send(piece)
            sent.update(piece[:count])
            sent_bytes += count

    send_until_full(2)
    for _ in range(60):
        got.update(traffic.receive_exactly(receiver, 3000))
        send_until_full(0.02)
    assert sent_bytes > 256 << 10
    rest = sent_bytes - 60 * 3000
    while rest:
        piece = receiver.recv(min(rest, MIB))
        assert piece, f"the end came {rest} bytes early"
        got.update(piece)
        rest -= len(piece)
    assert got.hexdigest() == sent.hexdigest()
