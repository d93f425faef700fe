"""Figures of the release build: what flows cost in memory, many at once, and nothing that grows with use."""
import pytest

from lab import traffic, waiting
from lab.probe import PROGRAM, Probe, echo_service
from lab.traffic import LOOPBACK

pytestmark = [pytest.mark.scale,
              pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is not there: build the target probe")]

RULES = {"a_rules": ["--egress", "tcp:8000:{b4}:9000,udp:4242:{b4}:4343"],
         "b_rules": ["--ingress", "tcp:9000:127.0.0.1:80,udp:4343:127.0.0.1:53"]}
IDLE_FLOWS = 10000
BYTES_PER_FLOW = 3072
SHORT_FLOWS = 100000
BULK_FLOWS, BULK_BYTES = 4, 48 * traffic.MIB


@pytest.fixture
def pair(scene):
    a, b = scene.pair(**RULES)
    scene.keep(echo_service(b.host, LOOPBACK[4], 80))
    for end in (a, b):
        end.host.sysctl("net/ipv4/ip_local_port_range", "10000 65000")
        end.host.sysctl("net/core/somaxconn", 8192)
    assert short_flows(a, 16, 64)["errors"] == 0
    return a, b


def short_flows(a, clients, count, seconds=300):
    probe = Probe(a.host, "crr", LOOPBACK[4], 8000, clients, seconds, count)
    try:
        return probe.result(seconds + 10)
    finally:
        probe.close()


def memory(a, b):
    """Private bytes of each side, once they no longer change by more than a page or two."""
    return waiting.unchanged(lambda: tuple(end.private_bytes() >> 14 for end in (a, b)), 0.5, 20, "memory"), \
        tuple(end.private_bytes() for end in (a, b))


@pytest.mark.parametrize("flows", (1000, IDLE_FLOWS))
def test_given_open_idle_flows_when_memory_is_compared_then_each_side_uses_at_most_3_kb_a_flow(pair, scene, flows):
    a, b = pair
    before = memory(a, b)[1]
    probe = scene.keep(Probe(a.host, "hold", LOOPBACK[4], 8000, flows))
    assert probe.result(120)["open"] == flows
    after = memory(a, b)[1]
    for side, low, high in zip("ab", before, after):
        print(f"side {side}: {(high - low) / flows:.0f} bytes a flow")
        assert (high - low) / flows <= BYTES_PER_FLOW, f"side {side}: {(high - low) / flows:.0f} bytes a flow"
    probe.proceed()
    assert probe.result(90)["alive"] == flows, "every one of them still carries bytes"


def test_given_500_flows_at_once_when_opened_again_and_again_then_none_fails(pair):
    a, b = pair
    for _ in range(5):
        probe = Probe(a.host, "hold", LOOPBACK[4], 8000, 500)
        assert probe.result(30)["open"] == 500
        probe.proceed()
        assert probe.result(30)["alive"] == 500
        probe.close()


def test_given_100000_short_flows_when_they_are_over_then_neither_descriptors_nor_memory_have_grown(pair):
    a, b = pair
    descriptors = waiting.unchanged(lambda: (a.descriptors(), b.descriptors()), 0.5, 20, "descriptors")
    assert short_flows(a, 16, SHORT_FLOWS // 10)["errors"] == 0  # the heap finds its working size
    before = memory(a, b)[1]
    result = short_flows(a, 16, SHORT_FLOWS - SHORT_FLOWS // 10)
    print(f"{result['per_s']:.0f} flows a second")
    assert result["errors"] == 0, result
    assert result["count"] == SHORT_FLOWS - SHORT_FLOWS // 10
    waiting.until(lambda: (a.descriptors(), b.descriptors()) == descriptors, 90, "descriptors are given back")
    # What TIME-WAIT holds, and the heap's free pages, are given back soon after.
    waiting.until(lambda: all(high - low < 2 * traffic.MIB for low, high in zip(before, memory(a, b)[1])), 30,
                  f"memory is no more than before {SHORT_FLOWS} flows")


def test_given_5000_flows_that_were_closed_when_as_many_are_opened_again_then_their_memory_is_used_again(pair):
    a, b = pair
    descriptors = waiting.unchanged(lambda: (a.descriptors(), b.descriptors()), 0.5, 20, "descriptors")
    peaks = []
    for _ in range(3):
        probe = Probe(a.host, "hold", LOOPBACK[4], 8000, 5000)
        assert probe.result(120)["open"] == 5000
        peaks.append(memory(a, b)[1])
        probe.close()
        waiting.until(lambda: (a.descriptors(), b.descriptors()) == descriptors, 90, "descriptors are given back")
    print("bytes with 5000 flows open:", peaks)
    for side in (0, 1):  # closed connections of the stack stay in TIME-WAIT for a while, at some hundred bytes each
        assert peaks[2][side] - peaks[0][side] < 10000 * 512


def test_given_bulk_when_it_is_over_then_its_memory_goes_back_to_the_system(scene):
    a, b = scene.pair(**RULES)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    before = memory(a, b)[1]
    transfers = []
    for _ in range(BULK_FLOWS):
        client = scene.keep(traffic.tcp_connect(a.host, LOOPBACK[4], 8000))
        transfers.append(traffic.Transfer(client, scene.keep(traffic.tcp_accept(listener)), BULK_BYTES))
    for transfer in transfers:
        transfer.finish(120)
    print("grown by", [end.private_bytes() - low for end, low in zip((a, b), before)])
    waiting.until(lambda: all(end.private_bytes() - low < traffic.MIB for end, low in zip((a, b), before)), 60,
                  "memory is no more than before")
