"""Rules: protocols, families, names and balancing, as a user meets them. Grammar errors are in test_cli.py."""
import collections
import itertools

import pytest

from lab import traffic
from lab.dns import NameServer
from lab.traffic import LOOPBACK

FAMILIES = [4, 6]
COMBINATIONS = list(itertools.product(FAMILIES, FAMILIES))


def bracket(address):
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("client, through", COMBINATIONS)
@pytest.mark.parametrize("destination", FAMILIES)
def test_given_tcp_rules_at_both_ends_when_a_client_connects_then_it_reaches_the_destination_in_every_family_combination(
        scene, client, through, destination):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b%d}:9000" % through],
                      b_rules=["--ingress", f"tcp:9000:{bracket(LOOPBACK[destination])}:80"])
    scene.keep(traffic.TcpService(b.host, LOOPBACK[destination], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[client], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"


@pytest.mark.parametrize("client, through", COMBINATIONS)
@pytest.mark.parametrize("destination", FAMILIES)
def test_given_udp_rules_at_both_ends_when_a_client_sends_then_the_answer_comes_back_in_every_family_combination(
        scene, client, through, destination):
    a, b = scene.pair(a_rules=["--egress", "udp:4242:{b%d}:4343" % through],
                      b_rules=["--ingress", f"udp:4343:{bracket(LOOPBACK[destination])}:53"])
    scene.keep(traffic.UdpService(b.host, LOOPBACK[destination], 53))
    with traffic.udp_client(a.host, LOOPBACK[client], 4242) as connection:
        assert traffic.udp_ask(connection, b"ping") == b"ping"


def test_given_many_rules_in_one_comma_list_and_repeated_flags_when_used_then_each_leads_to_its_own_destination(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8001:{b4}:9001,TCP:08002:{b6}:9002", "--egress=tcp:8003:{b4}:9003"],
                      b_rules=["--ingress", "tcp:9001:127.0.0.1:81, tcp:9002:127.0.0.1:82",
                               "--ingress", "tcp:9003:[127.0.0.1]:83"])
    for number in (81, 82, 83):
        scene.keep(traffic.TcpService(b.host, LOOPBACK[4], number, traffic.name_service(str(number))))
    for port, answer in ((8001, b"81"), (8002, b"82"), (8003, b"83")):
        with traffic.tcp_connect(a.host, LOOPBACK[4], port) as connection:
            assert traffic.receive_exactly(connection, 2) == answer


def test_given_no_rules_at_all_when_started_then_the_node_is_ready_and_ends_well(scene):
    scene.pair()


def test_given_tcp_and_udp_rules_on_one_port_when_both_are_used_then_they_do_not_disturb_each_other(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9000,udp:8000:{b4}:9000"],
                      b_rules=["--ingress", "tcp:9000:127.0.0.1:80,udp:9000:127.0.0.1:80"])
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as tcp, traffic.udp_client(a.host, LOOPBACK[4], 8000) as udp:
        assert traffic.exchange(tcp) == b"ping"
        assert traffic.udp_ask(udp, b"pong") == b"pong"


def test_given_an_egress_rule_to_the_own_tunnel_address_when_used_then_it_is_delivered_locally(scene):
    node = scene.node()
    node.rules = ["--ingress", "tcp:4242:127.0.0.1:80,udp:4242:127.0.0.1:80",
                  "--egress", f"tcp:8000:{node.v4}:4242,tcp:8006:[{node.v6}]:4242,udp:8000:{node.v4}:4242"]
    node.start()
    scene.keep(traffic.TcpService(node.host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(node.host, LOOPBACK[4], 80))
    for port in (8000, 8006):
        with traffic.tcp_connect(node.host, LOOPBACK[4], port) as connection:
            assert traffic.exchange(connection) == b"ping"
    with traffic.udp_client(node.host, LOOPBACK[4], 8000) as connection:
        assert traffic.udp_ask(connection, b"ping") == b"ping"


# -- Balancing --------------------------------------------------------------------------------------------------------

def ask_tcp(host, port, times):
    answers = collections.Counter()
    for _ in range(times):
        with traffic.tcp_connect(host, LOOPBACK[4], port) as connection:
            answers[traffic.receive_exactly(connection, 1).decode()] += 1
    return answers


def test_given_three_ingress_rules_on_one_port_when_nine_connections_come_then_each_destination_gets_three(scene):
    rules = ",".join(f"tcp:9000:127.0.0.1:{port}" for port in (81, 82, 83))
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9000"], b_rules=["--ingress", rules])
    for name, port in (("x", 81), ("y", 82), ("z", 83)):
        scene.keep(traffic.TcpService(b.host, LOOPBACK[4], port, traffic.name_service(name)))
    assert ask_tcp(a.host, 8000, 9) == {"x": 3, "y": 3, "z": 3}


def test_given_two_egress_rules_on_one_port_when_ten_connections_come_then_each_destination_gets_five(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9001,tcp:8000:{b6}:9002"],
                      b_rules=["--ingress", "tcp:9001:127.0.0.1:81,tcp:9002:127.0.0.1:82"])
    for name, port in (("x", 81), ("y", 82)):
        scene.keep(traffic.TcpService(b.host, LOOPBACK[4], port, traffic.name_service(name)))
    assert ask_tcp(a.host, 8000, 10) == {"x": 5, "y": 5}


def test_given_two_udp_rules_on_one_port_when_ten_clients_send_then_each_keeps_its_destination_and_each_destination_gets_five(
        scene):
    a, b = scene.pair(a_rules=["--egress", "udp:4242:{b4}:4243"],
                      b_rules=["--ingress", "udp:4243:127.0.0.1:81,udp:4243:127.0.0.1:82"])
    for name, port in ((b"x", 81), (b"y", 82)):
        scene.keep(traffic.UdpService(b.host, LOOPBACK[4], port, lambda data, name=name: name))
    answers = collections.Counter()
    for _ in range(10):
        with traffic.udp_client(a.host, LOOPBACK[4], 4242) as client:
            replies = {traffic.udp_ask(client, b"?") for _ in range(4)}
            assert len(replies) == 1, "one flow, one destination"
            answers[replies.pop()] += 1
    assert answers == {b"x": 5, b"y": 5}


def test_given_one_of_two_destinations_refuses_when_connections_come_then_all_are_served_by_the_other(scene):
    a, b = scene.pair(a_rules=["--egress", "tcp:8000:{b4}:9000"],
                      b_rules=["--ingress", "tcp:9000:127.0.0.1:81,tcp:9000:127.0.0.1:82"])
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 82, traffic.name_service("y")))
    assert ask_tcp(a.host, 8000, 6) == {"y": 6}


# -- Names ------------------------------------------------------------------------------------------------------------

def test_given_a_destination_name_when_a_flow_comes_then_it_is_looked_up_and_reached(scene):
    host = scene.host("n")
    names = scene.keep(NameServer(host, LOOPBACK[4], {"web.example": [host.outer(4)], "six.example": [host.outer(6)]}))
    a, b = scene.node(), scene.node(host=host, wrap=names.resolver_for(scene.folder))
    scene.introduce(a, b)
    a.rules = ["--egress", f"tcp:8000:{b.v4}:9000,tcp:8006:{b.v4}:9006,udp:8000:{b.v4}:9000"]
    b.rules = ["--ingress", "tcp:9000:web.example:80,tcp:9006:six.example:80,udp:9000:web.example:80"]
    a.start(), b.start()
    scene.keep(traffic.TcpService(host, host.outer(4), 80, traffic.name_service("4")))
    scene.keep(traffic.TcpService(host, host.outer(6), 80, traffic.name_service("6")))
    scene.keep(traffic.UdpService(host, host.outer(4), 80))
    for port, answer in ((8000, b"4"), (8006, b"6")):
        with traffic.tcp_connect(a.host, LOOPBACK[4], port) as connection:
            assert traffic.receive_exactly(connection, 1) == answer
    with traffic.udp_client(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.udp_ask(client, b"ping") == b"ping"
    assert names.asked["web.example"] >= 1


def test_given_an_egress_destination_name_when_a_client_connects_then_it_reaches_that_tunnel_address(scene):
    host = scene.host("n")
    names = scene.keep(NameServer(host, LOOPBACK[4], {}))
    a, b = scene.node(host=host, wrap=names.resolver_for(scene.folder)), scene.node()
    names.table["peer.mesh.example"] = [b.v4, b.v6]
    scene.introduce(a, b)
    a.rules = ["--egress", "tcp:8000:peer.mesh.example:9000,udp:8000:peer.mesh.example:9000"]
    b.rules = ["--ingress", "tcp:9000:127.0.0.1:80,udp:9000:127.0.0.1:80"]
    a.start(), b.start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as tcp, traffic.udp_client(a.host, LOOPBACK[4], 8000) as udp:
        assert traffic.exchange(tcp) == b"ping"
        assert traffic.udp_ask(udp, b"ping") == b"ping"


def test_given_a_name_of_the_hosts_file_when_a_flow_comes_then_no_name_server_is_asked(scene):
    host = scene.host("n")
    names = scene.keep(NameServer(host, LOOPBACK[4], {}))
    a, b = scene.node(), scene.node(host=host, wrap=names.resolver_for(scene.folder, hosts={"backend": LOOPBACK[4]}))
    scene.introduce(a, b)
    a.rules, b.rules = ["--egress", f"tcp:8000:{b.v4}:9000"], ["--ingress", "tcp:9000:backend:80"]
    a.start(), b.start()
    scene.keep(traffic.TcpService(host, LOOPBACK[4], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
    assert not names.asked


def test_given_a_name_that_does_not_exist_when_a_flow_comes_then_it_is_reset(scene):
    host = scene.host("n")
    names = scene.keep(NameServer(host, LOOPBACK[4], {}))
    a, b = scene.node(), scene.node(host=host, wrap=names.resolver_for(scene.folder))
    scene.introduce(a, b)
    a.rules, b.rules = ["--egress", f"tcp:8000:{b.v4}:9000"], ["--ingress", "tcp:9000:nobody.example:80"]
    a.start(), b.start()
    traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)
