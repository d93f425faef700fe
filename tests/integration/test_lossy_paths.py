"""Long, lossy and disorderly paths, against the kernel's TCP through wireguard-go and between two nodes: what arrives is what was sent."""
import select
import socket
import time

import pytest

from lab import node, traffic, waiting
from lab.path import Path
from lab.traffic import LOOPBACK, MIB

pytestmark = pytest.mark.usefixtures("kernel")

SIZE = (2 if node.sanitized() else 8) * MIB
RULES = ["--egress", "tcp:8000:{b4}:80", "--ingress", "tcp:9000:127.0.0.1:80"]
IMPAIRMENTS = {
    "loss": ["--delay-ms", "10", "--loss", "0.01"],
    "heavy loss": ["--delay-ms", "5", "--loss", "0.05"],
    "reordering": ["--delay-ms", "10", "--jitter-ms", "4", "--reorder", "1"],
    "duplication": ["--delay-ms", "5", "--duplicate", "0.1"],
    "a narrow link with a short queue": ["--delay-ms", "10", "--rate-mbit", "50", "--queue-ms", "20"],
    "everything": ["--delay-ms", "20", "--loss", "0.01", "--jitter-ms", "5", "--reorder", "0.5", "--duplicate", "0.02"],
}
KERNELS = {
    "SACK off": {"tcp_sack": "0"},
    "timestamps off": {"tcp_timestamps": "0"},
    "window scaling off": {"tcp_window_scaling": "0"},
    "congestion notification asked for": {"tcp_ecn": "1"},
    "congestion notification off": {"tcp_ecn": "0"},
    "tiny windows": {"tcp_rmem": "2304 2304 4608", "tcp_wmem": "4608 4608 8192"},
}


def world(scene, words, kernel=None, flags=(), mtu=1420):
    """A node, a kernel end (of that MTU) and the path between them."""
    a, b = scene.node(flags=flags), scene.kernel_end(mtu=mtu)
    scene.introduce(a, b)
    for key, value in (kernel or {}).items():
        b.host.sysctl(f"net/ipv4/{key}", value)
    path = scene.keep(Path(scene, a, b, *words))
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    return a, b, path


def flow(scene, a, b, upward):
    """(sender, receiver): upward from the node to the kernel end."""
    if upward:
        listener = scene.keep(traffic.tcp_listen(b.host, b.v4, 80))
        client = traffic.tcp_connect(a.host, LOOPBACK[4], 8000)
    else:
        listener = scene.keep(traffic.tcp_listen(a.host, LOOPBACK[4], 80))
        client = traffic.tcp_connect(b.host, a.v4, 9000, seconds=20)
    return client, traffic.tcp_accept(listener, 20)


@pytest.mark.parametrize("upward", (True, False), ids=("to the kernel", "from the kernel"))
@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_given_a_bad_path_when_a_transfer_runs_then_the_hashes_are_equal(scene, name, upward):
    a, b, _ = world(scene, IMPAIRMENTS[name])
    traffic.Transfer(*flow(scene, a, b, upward), SIZE).finish(120 * node.slowness())


@pytest.mark.parametrize("upward", (True, False), ids=("to the kernel", "from the kernel"))
@pytest.mark.parametrize("name", KERNELS)
def test_given_a_kernel_with_other_options_when_a_transfer_runs_over_losses_then_the_hashes_are_equal(scene, name, upward):
    a, b, _ = world(scene, ["--delay-ms", "5", "--loss", "0.005"], KERNELS[name])
    traffic.Transfer(*flow(scene, a, b, upward), SIZE // 4).finish(180 * node.slowness())


@pytest.mark.parametrize("upward", (True, False), ids=("to the kernel", "from the kernel"))
def test_given_a_far_end_with_a_smaller_mtu_when_a_transfer_runs_over_losses_then_the_hashes_are_equal(scene, upward):
    a, b, _ = world(scene, ["--delay-ms", "5", "--loss", "0.005"], mtu=1280)
    traffic.Transfer(*flow(scene, a, b, upward), SIZE // 4).finish(120 * node.slowness())


@pytest.mark.parametrize("pause_ends", ("kernel", "node"))
def test_given_a_reader_that_stops_when_it_goes_on_then_the_window_opens_again_over_losses(scene, pause_ends):
    a, b, _ = world(scene, ["--delay-ms", "5", "--loss", "0.02"])
    sender, receiver = flow(scene, a, b, pause_ends == "kernel")
    sender.setblocking(False)
    sent, idle_since = 0, time.monotonic()
    while time.monotonic() - idle_since < 1:  # nothing more goes in: buffers are full, the window is closed
        try:
            sent += sender.send(bytes(65536))
            idle_since = time.monotonic()
        except BlockingIOError:
            select.select([], [sender], [], 0.2)
    sender.shutdown(socket.SHUT_WR)
    receiver.settimeout(60)
    got = 0
    while piece := receiver.recv(1 << 20):
        got += len(piece)
    assert got == sent > 256 << 10


@pytest.mark.parametrize("algorithm", ("bbr", "cubic"))
def test_given_losses_when_a_node_uploads_then_only_what_was_lost_goes_again(scene, algorithm):
    words = ["--delay-ms", "10", "--loss", "0.01", "--rate-mbit", "100", "--queue-ms", "50"]  # a rate that both ends bear: all losses are the relay's
    a, b, path = world(scene, words, flags=["--congestion-control", algorithm])
    traffic.Transfer(*flow(scene, a, b, True), SIZE).finish(120 * node.slowness())
    counters = path.close()["ab"]
    # Each datagram carries a segment, or an ACK in the other direction of which there are few here.
    needed = SIZE / 1380
    assert counters["in"] < needed * (1 + 0.02) + counters["lost"] + counters["queue_drop"] + 400


def test_given_two_nodes_when_both_directions_run_over_a_bad_path_then_the_hashes_are_equal(scene):
    a, b = scene.node(), scene.node()
    scene.introduce(a, b)
    scene.keep(Path(scene, a, b, *IMPAIRMENTS["everything"]))
    a.rules, b.rules = scene.fill(["--egress", "tcp:8000:{b4}:9000"], a, b), scene.fill(["--ingress", "tcp:9000:127.0.0.1:80"], a, b)
    b.start(), a.start()
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    ends = []
    for _ in range(4):
        client = traffic.tcp_connect(a.host, LOOPBACK[4], 8000)
        ends.append((client, traffic.tcp_accept(listener, 20)))
    transfers = [traffic.Transfer(*(pair if i % 2 else pair[::-1]), SIZE // 2) for i, pair in enumerate(ends)]
    for transfer in transfers:
        transfer.finish(120 * node.slowness())


@pytest.mark.slow
def test_given_a_minute_without_a_path_when_it_is_back_then_the_flow_resumes_within_two_seconds(scene):
    a, b, _ = world(scene, ["--delay-ms", "20", "--rate-mbit", "20", "--queue-ms", "50", "--dark-from", "5", "--dark-for", "60"])
    ends = flow(scene, a, b, True)
    for end in ends:
        end.settimeout(120)
    transfer = traffic.Transfer(*ends, 40 * MIB)
    waiting.until(lambda: transfer.received.bytes > MIB, 5, "the transfer is under way")
    stalled, last, longest = time.monotonic(), 0, 0
    while transfer.received.bytes < transfer.size and time.monotonic() - stalled < 90:
        with transfer.received.changed:
            transfer.received.changed.wait_for(lambda: transfer.received.bytes != last, 90)
        longest = max(longest, time.monotonic() - stalled)
        stalled, last = time.monotonic(), transfer.received.bytes
    transfer.finish(60)
    assert 55 < longest < 63, f"nothing came for {longest:.1f} s"
