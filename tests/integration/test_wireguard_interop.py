"""Against an independent implementation: wireguard-go with a TUN device, where the far end's TCP, UDP and ICMP are the kernel's."""
import itertools
import os
import time

import pytest

from lab import node, traffic, waiting
from lab.dns import NameServer
from lab.traffic import LOOPBACK, MIB

pytestmark = pytest.mark.usefixtures("kernel")

SIZE = int(os.environ.get("NEXD_TEST_TRANSFER_MB", "64" if node.sanitized() else "1000")) * 1000 * 1000
UDP_SIZES = (0, 1, 1372, 8000, 65507)
# In `a` an egress rule to the kernel's port 80 and an ingress rule on port 9000 to a local port 80.
RULES = ["--egress", "tcp:8000:{b4}:80,tcp:8006:{b6}:80,udp:8000:{b4}:80,udp:8006:{b6}:80",
         "--ingress", "tcp:9000:127.0.0.1:80,tcp:9006:[::1]:80,udp:9000:127.0.0.1:80,udp:9006:[::1]:80"]
EGRESS_PORT, INGRESS_PORT = {4: 8000, 6: 8006}, {4: 9000, 6: 9006}


def egress_flow(scene, a, b, family=4):
    """(client's socket at the node, server's socket at the kernel end)"""
    listener = scene.keep(traffic.tcp_listen(b.host, b.tunnel(family), 80))
    client = traffic.tcp_connect(a.host, LOOPBACK[family], EGRESS_PORT[family])
    return client, traffic.tcp_accept(listener)


def ingress_flow(scene, a, b, family=4):
    """(client's socket at the kernel end, server's socket at the node)"""
    listener = scene.keep(traffic.tcp_listen(a.host, LOOPBACK[family], 80))
    client = traffic.tcp_connect(b.host, a.tunnel(family), INGRESS_PORT[family])
    return client, traffic.tcp_accept(listener)


# -- Transfers --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("outer", (4, 6))
@pytest.mark.parametrize("direction", ("from node to kernel", "from kernel to node"))
@pytest.mark.parametrize("kind", ("egress", "ingress"))
def test_given_a_flow_when_a_large_transfer_runs_then_the_hashes_are_equal(scene, kind, direction, outer):
    a, b = scene.node_and_kernel(RULES, family=outer)
    client, server = (egress_flow if kind == "egress" else ingress_flow)(scene, a, b, family=outer)
    at_node, at_kernel = (client, server) if kind == "egress" else (server, client)
    ways = (at_node, at_kernel) if direction == "from node to kernel" else (at_kernel, at_node)
    # The full size once for each direction; the other ways are told apart by less.
    size = SIZE if (kind, outer) == ("egress", 4) else SIZE // 10
    traffic.Transfer(*ways, size).finish(600)


def test_given_a_preshared_key_when_both_ends_have_it_then_traffic_passes(scene):
    a, b = scene.node_and_kernel(RULES, preshared=True)
    traffic.Transfer(*egress_flow(scene, a, b), 4 * MIB).finish()


def test_given_different_preshared_keys_when_a_client_connects_then_no_handshake_completes(scene):
    a, b = scene.node(rules=[]), scene.kernel_end()
    a.know(b, preshared=node.Key.preshared())
    b.know(a, preshared=node.Key.preshared(), keepalive=1)
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    waiting.until(lambda: int(b.status(a, "transfer")[1]) >= 2 * 148, 30, "the kernel end has tried twice")
    assert b.last_handshake(a) == 0


def test_given_the_kernel_end_does_not_know_our_endpoint_when_it_is_called_then_it_learns_it(scene):
    a, b = scene.node(), scene.kernel_end()
    a.know(b)
    b.know(a, dial=False)
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    traffic.Transfer(*egress_flow(scene, a, b), MIB).finish()


def test_given_we_do_not_know_the_kernel_ends_endpoint_when_it_calls_then_we_learn_it(scene):
    a, b = scene.node(), scene.kernel_end()
    a.know(b, dial=False)
    b.know(a)
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    traffic.Transfer(*ingress_flow(scene, a, b), MIB).finish()
    traffic.Transfer(*egress_flow(scene, a, b), MIB).finish()


def test_given_an_endpoint_that_is_a_name_when_started_then_it_is_looked_up(scene):
    host = scene.host("n")
    b = scene.kernel_end()
    names = scene.keep(NameServer(host, LOOPBACK[4], {"far.example": [b.host.v4]}))
    a = scene.node(host=host, wrap=names.resolver_for(scene.folder))
    scene.introduce(a, b)
    a.peers[0]["endpoint"] = f"far.example:{b.port}"
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    traffic.Transfer(*egress_flow(scene, a, b), MIB).finish()


def test_given_persistent_keepalive_when_nothing_is_sent_then_keepalives_go_out(scene):
    a, b = scene.node(), scene.kernel_end()
    a.know(b, keepalive=1)
    b.know(a, dial=False)
    b.start(), a.start()
    waiting.until(lambda: b.last_handshake(a), 10, "a handshake without any traffic")
    before = int(b.status(a, "transfer")[0])
    waiting.until(lambda: int(b.status(a, "transfer")[0]) >= before + 3 * 32, 15, "three keepalives")


def test_given_a_small_mtu_when_large_transfers_run_then_they_pass(scene):
    a, b = scene.node(mtu=1280), scene.kernel_end(mtu=1280)
    scene.introduce(a, b)
    a.rules = scene.fill(RULES, a, b)
    b.start(), a.start()
    traffic.Transfer(*egress_flow(scene, a, b), 4 * MIB).finish()
    traffic.Transfer(*ingress_flow(scene, a, b, 6), 4 * MIB).finish()


# -- Keys and sessions under way --------------------------------------------------------------------------------------

@pytest.mark.slow
def test_given_a_transfer_that_outlasts_a_session_when_keys_are_renewed_then_no_byte_is_lost(scene):
    # Small exchanges both ways without a pause longer than a tenth of a second: no gap in which a lost byte could hide.
    a, b = scene.node_and_kernel(RULES)
    flows = [egress_flow(scene, a, b), ingress_flow(scene, a, b)]
    handshakes, rounds = set(), 0

    def exchange_until_renewed_twice():
        nonlocal rounds
        for flow in flows:
            for sender, receiver in (flow, flow[::-1]):
                stamp = rounds.to_bytes(8, "big") + traffic.BLOCK[:60000]
                sender.sendall(stamp)
                assert traffic.receive_exactly(receiver, len(stamp)) == stamp
        rounds += 1
        handshakes.add(b.last_handshake(a))
        return len(handshakes) == 3

    waiting.until(exchange_until_renewed_twice, 300, "two renewals of the session", every=0.1)


@pytest.mark.parametrize("direction", ("from node to kernel", "from kernel to node"))
def test_given_a_transfer_when_the_far_end_forgets_the_session_then_a_new_one_is_made_and_no_byte_is_lost(
        scene, direction):
    a, b = scene.node_and_kernel(RULES)
    client, server = egress_flow(scene, a, b)
    ways = (client, server) if direction == "from node to kernel" else (server, client)
    transfer = traffic.Transfer(*ways, SIZE // 4)
    transfer.received.wait(SIZE // 16)
    peer = b.peers[0]
    b.wg("set", b.device, "peer", a.key.public, "remove")
    b.wg("set", b.device, "peer", a.key.public, "endpoint", peer["endpoint"], "allowed-ips", peer["allowed"].replace(" ", ""),
         "persistent-keepalive", 1)
    transfer.finish()


@pytest.mark.parametrize("direction", ("from node to kernel", "from kernel to node"))
def test_given_a_transfer_when_the_far_end_is_restarted_then_it_goes_on_and_no_byte_is_lost(scene, direction):
    a, b = scene.node_and_kernel(RULES, keepalive=1)
    client, server = egress_flow(scene, a, b)
    ways = (client, server) if direction == "from node to kernel" else (server, client)
    transfer = traffic.Transfer(*ways, SIZE // 4)
    transfer.received.wait(SIZE // 16)
    b.stop()
    b.start()
    transfer.finish()


def test_given_a_transfer_when_our_node_is_restarted_then_the_far_end_sees_a_reset_and_new_flows_work(scene):
    a, b = scene.node_and_kernel(RULES, keepalive=1)
    client, server = egress_flow(scene, a, b)
    transfer = traffic.Transfer(server, client, SIZE)
    transfer.received.wait(MIB)
    a.stop()
    a.start()
    with pytest.raises(ConnectionError):
        transfer.sending.result(30)
    traffic.Transfer(*ingress_flow(scene, a, b), MIB).finish()


# -- Roaming ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("direction", ("from node to kernel", "from kernel to node"))
def test_given_a_transfer_when_the_far_ends_address_changes_then_it_follows(scene, direction):
    a, b = scene.node_and_kernel(RULES, keepalive=1)
    client, server = egress_flow(scene, a, b)
    ways = (client, server) if direction == "from node to kernel" else (server, client)
    transfer = traffic.Transfer(*ways, SIZE // 4)
    transfer.received.wait(SIZE // 16)
    b.host.remove_address(b.host.v4, 24)
    b.host.add_address("10.99.0.77", 24)
    # wireguard-go holds on to its old source address until the next handshake; a peer set anew has none.
    b.wg("set", b.device, "peer", a.key.public, "endpoint", b.peers[0]["endpoint"])
    transfer.finish()


@pytest.mark.parametrize("direction", ("from node to kernel", "from kernel to node"))
def test_given_a_transfer_when_the_far_ends_port_changes_then_it_follows(scene, direction):
    a, b = scene.node_and_kernel(RULES, keepalive=1)
    client, server = egress_flow(scene, a, b)
    ways = (client, server) if direction == "from node to kernel" else (server, client)
    transfer = traffic.Transfer(*ways, SIZE // 4)
    transfer.received.wait(SIZE // 16)
    b.wg("set", b.device, "listen-port", 51999)
    transfer.finish()


def test_given_a_transfer_when_our_own_address_changes_then_the_far_end_follows(scene):
    a, b = scene.node_and_kernel(RULES, keepalive=1)
    transfer = traffic.Transfer(*egress_flow(scene, a, b), SIZE // 4)
    transfer.received.wait(SIZE // 16)
    a.host.remove_address(a.host.v4, 24)
    a.host.add_address("10.99.0.77", 24)
    transfer.finish()
    assert b.status(a, "endpoints") == f"10.99.0.77:{a.port}"


def test_given_the_far_end_roams_between_families_when_it_sends_then_answers_go_to_its_new_address(scene):
    a, b = scene.node_and_kernel(RULES, family=4, keepalive=1)
    traffic.Transfer(*egress_flow(scene, a, b), MIB).finish()
    b.wg("set", b.device, "peer", a.key.public, "endpoint", node.endpoint(a.host.v6, a.port))
    assert traffic.ping(b.host, a.v4) == b"nexd"
    b.host.remove_address(b.host.v4, 24)  # an answer to the old address would be lost
    assert traffic.ping(b.host, a.v4) == b"nexd"


# -- Datagrams --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("client, through", list(itertools.product((4, 6), (4, 6))))
def test_given_an_egress_udp_rule_when_payloads_of_every_size_are_sent_to_the_kernel_then_each_comes_back(
        scene, client, through):
    a, b = scene.node_and_kernel(RULES)
    scene.keep(traffic.UdpService(b.host, b.tunnel(through), 80))
    with traffic.udp_client(a.host, LOOPBACK[client], EGRESS_PORT[through]) as sock:
        assert traffic.udp_ask(sock, b"first") == b"first"
        for size in UDP_SIZES:
            assert traffic.udp_ask(sock, traffic.BLOCK[:size]) == traffic.BLOCK[:size], f"{size} bytes"


@pytest.mark.parametrize("through, destination", list(itertools.product((4, 6), (4, 6))))
def test_given_an_ingress_udp_rule_when_payloads_of_every_size_come_from_the_kernel_then_each_goes_back(
        scene, through, destination):
    a, b = scene.node_and_kernel(RULES)
    scene.keep(traffic.UdpService(a.host, LOOPBACK[destination], 80))
    with traffic.udp_client(b.host, a.tunnel(through), INGRESS_PORT[destination]) as sock:
        assert traffic.udp_ask(sock, b"first") == b"first"
        for size in UDP_SIZES:
            assert traffic.udp_ask(sock, traffic.BLOCK[:size]) == traffic.BLOCK[:size], f"{size} bytes"


# -- What the tunnel address itself answers ---------------------------------------------------------------------------

@pytest.mark.parametrize("family", (4, 6))
@pytest.mark.parametrize("size", (0, 56, 1372, 8000))
def test_given_a_node_when_its_tunnel_address_is_pinged_then_it_answers_with_the_payload(scene, family, size):
    a, b = scene.node_and_kernel()
    assert traffic.ping(b.host, a.tunnel(family), traffic.BLOCK[:size]) == traffic.BLOCK[:size]


@pytest.mark.parametrize("family", (4, 6))
def test_given_a_tcp_port_without_rule_when_the_kernel_connects_then_it_is_refused_at_once(scene, family):
    a, b = scene.node_and_kernel(RULES)
    assert traffic.ping(b.host, a.tunnel(family)) == b"nexd"
    begun = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        traffic.tcp_connect(b.host, a.tunnel(family), 9999)
    assert time.monotonic() - begun < 0.2 * node.slowness()


@pytest.mark.parametrize("family", (4, 6))
def test_given_a_udp_port_without_rule_when_the_kernel_sends_then_icmp_says_so(scene, family):
    a, b = scene.node_and_kernel(RULES)
    assert traffic.ping(b.host, a.tunnel(family)) == b"nexd"
    with traffic.udp_client(b.host, a.tunnel(family), 9999) as client:
        client.send(b"anyone?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_given_an_ingress_rule_whose_destination_refuses_when_the_kernel_connects_then_it_sees_a_reset(scene):
    a, b = scene.node_and_kernel(RULES)
    with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
        with traffic.tcp_connect(b.host, a.v4, 9000) as client:
            client.recv(1)


def test_given_a_kernel_port_nobody_listens_on_when_a_local_client_connects_then_it_sees_a_reset(scene):
    a, b = scene.node_and_kernel(RULES)
    traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)


def test_given_an_egress_flow_when_the_kernel_accepts_it_then_its_source_is_our_tunnel_address(scene):
    a, b = scene.node_and_kernel(RULES)
    for family in (4, 6):
        client, server = egress_flow(scene, a, b, family)
        with client, server:
            assert server.getpeername()[0] == a.tunnel(family)
