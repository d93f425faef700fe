"""The life of the processes: readiness, stopping, what survives whose death, and being the first process."""
import os
import signal
import socket
import subprocess
import time

import pytest

from lab import node, proc, traffic, waiting
from lab.traffic import LOOPBACK, MIB

RULES = {"a_rules": ["--egress", "tcp:8000:{b4}:9000,udp:4242:{b4}:4343"],
         "b_rules": ["--ingress", "tcp:9000:127.0.0.1:80,udp:4343:127.0.0.1:53"]}


@pytest.fixture
def pair(scene):
    a, b = scene.pair(keepalive=1, **RULES)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    return a, b


def connect(a):
    return traffic.tcp_connect(a.host, LOOPBACK[4], 8000)


def a_new_connection_works(a):
    try:
        with connect(a) as client:
            client.settimeout(1)
            return traffic.exchange(client) == b"ping"
    except (OSError, EOFError):
        return False


def inodes(pid, wanted):
    """The sockets, by inode, that a process holds of those in `wanted`."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found & wanted


def bound_sockets(a, protocol, port):
    """Inodes of the sockets bound to a port in the node's namespace, whoever holds them."""
    found = set()
    for name in (protocol, protocol + "6"):
        with open(f"/proc/{a.pid}/net/{name}", encoding="ascii") as file:
            for line in list(file)[1:]:
                words = line.split()
                if int(words[1].rpartition(":")[2], 16) == port and (protocol == "udp" or words[3] == "0A"):
                    found.add(int(words[9]))
    return found


# -- Start ------------------------------------------------------------------------------------------------------------

def test_given_a_notify_socket_when_the_node_says_ready_then_rules_are_bound_and_traffic_passes_at_once(scene):
    a, b = scene.node(), scene.node()
    scene.introduce(a, b)
    a.rules, b.rules = scene.fill(RULES["a_rules"], a, b), scene.fill(RULES["b_rules"], a, b)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    b.start()
    a.start()
    with connect(a) as client:  # neither refused nor delayed by a retry
        client.settimeout(1 * node.slowness())
        assert traffic.exchange(client) == b"ping"


def test_given_a_running_node_when_looked_at_then_each_process_runs_without_rights(scene):
    a = scene.node().start()
    processes = a.processes()
    assert len(processes) == 4
    for pid in processes:
        assert proc.status_field(pid, "Uid").split() == [str(node.UID)] * 4
        assert proc.status_field(pid, "NoNewPrivs") == "1"
        assert int(proc.status_field(pid, "CapPrm"), 16) == 0
        assert proc.status_field(pid, "Seccomp") == "2"


# -- Stop -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_given_open_flows_when_the_node_is_told_to_stop_then_it_ends_within_a_second_and_flows_are_closed(pair, number):
    a, b = pair
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        begun = time.monotonic()
        a.process.signal(number)
        assert a.process.wait(5 * node.slowness()) == 0
        assert time.monotonic() - begun < 1 * node.slowness()
        client.settimeout(5)
        assert client.recv(1) == b"", "an idle flow is closed in order"


def test_given_an_idle_flow_when_the_far_node_stops_then_the_client_sees_the_end(pair):
    a, b = pair
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        b.stop()
        client.settimeout(5)
        assert client.recv(1) == b""


def test_given_a_transfer_under_way_when_the_node_stops_then_nobody_takes_the_part_for_the_whole(scene):
    a, b = scene.pair(**RULES)
    listener = scene.keep(traffic.tcp_listen(b.host, LOOPBACK[4], 80))
    client, server = connect(a), traffic.tcp_accept(listener)
    with client, server:
        sending = waiting.background(traffic.send_pattern, server, 1 << 40)
        traffic.receive_exactly(client, 4 * MIB)
        a.stop()
        with pytest.raises(ConnectionResetError):
            while client.recv(MIB):
                pass
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            sending.result(30)


def test_given_two_stop_signals_when_sent_in_a_row_then_the_node_still_ends_well(pair):
    a, _ = pair
    a.process.signal(signal.SIGTERM)
    a.process.signal(signal.SIGTERM)
    assert a.process.wait(2 * node.slowness()) in (0, 1)


def test_given_the_parent_is_killed_when_it_is_gone_then_no_child_outlives_it(pair):
    a, _ = pair
    a.deaths_expected = True
    family = a.processes()
    os.kill(a.pid, signal.SIGKILL)
    waiting.until(lambda: all(proc.state(pid) in (None, "Z", "X") for pid in family), 2, "the children's end")
    a.discard()


# -- Death of a child -------------------------------------------------------------------------------------------------

def test_given_open_flows_when_ctld_is_killed_then_nothing_is_disturbed_and_it_is_back_within_a_second(pair):
    a, b = pair
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        others = (a.child("tunneld"), a.child("proxyd"))
        begun = time.monotonic()
        a.kill_child("ctld")
        assert time.monotonic() - begun < 1 * node.slowness()
        assert traffic.exchange(client) == b"ping"
        assert a_new_connection_works(a)
        assert others == (a.child("tunneld"), a.child("proxyd"))


def test_given_open_flows_when_proxyd_is_killed_then_they_go_on_and_new_clients_wait_instead_of_being_refused(pair):
    a, b = pair
    listeners = bound_sockets(a, "tcp", 8000)
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        old = a.child("proxyd")
        a.deaths_expected = True
        os.kill(old, signal.SIGKILL)
        waiting.until(lambda: a.child("proxyd") != old, 5, "proxyd's end")
        with connect(a) as queued:  # perhaps nobody accepts yet: the kernel's queue does
            queued.settimeout(5 * node.slowness())
            assert traffic.exchange(queued) == b"ping"
        assert traffic.exchange(client) == b"ping", "the old flow goes on"
        with traffic.udp_client(a.host, LOOPBACK[4], 4242) as udp:
            assert traffic.udp_ask(udp, b"ping") == b"ping"
    assert bound_sockets(a, "tcp", 8000) == listeners, "the very same listener"


def test_given_open_flows_when_the_far_proxyd_is_killed_then_they_go_on_and_new_ones_wait(pair):
    a, b = pair
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        b.kill_child("proxyd")
        assert traffic.exchange(client) == b"ping"
        with connect(a) as new:
            new.settimeout(5 * node.slowness())
            assert traffic.exchange(new) == b"ping"


def test_given_open_flows_when_tunneld_is_killed_then_they_are_reset_and_new_ones_work_on_the_same_udp_port(pair):
    a, b = pair
    tunnel_sockets = bound_sockets(a, "udp", a.port)
    listeners = bound_sockets(a, "tcp", 8000)
    with connect(a) as client:
        assert traffic.exchange(client) == b"ping"
        begun = time.monotonic()
        a.kill_child("tunneld")
        client.settimeout(5)
        try:
            assert client.recv(1) == b"", "bytes from nowhere"
        except ConnectionResetError:
            pass
        waiting.until(lambda: a_new_connection_works(a), 10, "a new connection works")
        assert time.monotonic() - begun < 3 * node.slowness()
    assert bound_sockets(a, "udp", a.port) == tunnel_sockets, "the very same UDP socket"
    assert bound_sockets(a, "tcp", 8000) == listeners
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as udp:
        assert traffic.udp_ask(udp, b"ping") == b"ping"


def test_given_the_far_tunneld_is_killed_when_a_client_connects_then_new_flows_work_soon(pair):
    a, b = pair
    assert a_new_connection_works(a)
    b.kill_child("tunneld")
    waiting.until(lambda: a_new_connection_works(a), 10, "a new connection works")


def test_given_the_parents_sockets_when_children_run_then_the_parent_holds_duplicates_of_them(pair):
    a, _ = pair
    for protocol, port in (("tcp", 8000), ("udp", 4242), ("udp", a.port)):
        sockets = bound_sockets(a, protocol, port)
        assert sockets and inodes(a.pid, sockets) == sockets, f"{protocol} port {port}"


def test_given_a_child_that_keeps_dying_when_it_is_killed_again_and_again_then_restarts_slow_down(scene):
    a = scene.node().start()
    waits = []
    for _ in range(4):
        begun = time.monotonic()
        a.kill_child("ctld")
        waits.append(time.monotonic() - begun)
    assert waits[-1] >= 2 * waits[0] and waits[-1] >= 0.5, f"seconds between death and restart: {waits}"


@pytest.mark.slow
def test_given_children_that_hang_when_half_a_minute_has_passed_then_they_are_started_again_and_traffic_is_back(pair):
    a, _ = pair
    a.deaths_expected = True
    hanging = {role: a.child(role) for role in node.ROLES}
    for pid in hanging.values():
        os.kill(pid, signal.SIGSTOP)
    waiting.until(lambda: all(a.child(role) not in (None, pid) for role, pid in hanging.items()), 180, "all are started again")
    assert a.log().count("is ended: it hangs") == len(hanging)
    waiting.until(lambda: a_new_connection_works(a), 60, "traffic passes")


def test_given_a_stopped_child_when_the_node_is_told_to_stop_then_it_does_not_wait_for_it(pair):
    a, _ = pair
    a.deaths_expected = True
    os.kill(a.child("ctld"), signal.SIGSTOP)
    begun = time.monotonic()
    a.process.signal(signal.SIGTERM)
    assert a.process.wait(5) == 0
    assert time.monotonic() - begun < 1.2 * node.slowness()


# -- As the first process ---------------------------------------------------------------------------------------------

@pytest.fixture
def first_process(scene):
    """A node that is process 1 of its own PID namespace."""
    a = scene.node(wrap=lambda command: ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *command])
    a.rules = ["--egress", f"tcp:8000:{a.v4}:9000", "--ingress", "tcp:9000:127.0.0.1:80"]
    scene.keep(traffic.TcpService(a.host, LOOPBACK[4], 80))
    a.start()
    assert proc.status_field(a.pid, "NSpid").split()[-1] == "1"
    return a


def test_given_the_node_is_process_1_when_used_then_it_works_and_ends_on_sigterm(first_process):
    with connect(first_process) as client:
        assert traffic.exchange(client) == b"ping"
    family = first_process.processes()
    os.kill(first_process.pid, signal.SIGTERM)
    assert first_process.process.wait(2 * node.slowness()) == 0
    assert all(proc.state(pid) in (None, "Z", "X") for pid in family)


def test_given_the_node_is_process_1_when_orphans_end_then_it_reaps_them(first_process):
    # A process enters the namespace and leaves children behind: they become the first process's.
    subprocess.run(["nsenter", "--pid", f"--target={first_process.pid}", "sh", "-c", "for i in 1 2 3; do (true &) ; done"],
                   check=True)
    waiting.until(lambda: not proc.zombies_of(first_process.pid), 5, "orphans are reaped")
    assert len(first_process.processes()) == 4


def test_given_the_node_is_process_1_when_a_child_dies_then_it_is_started_again(first_process):
    first_process.kill_child("proxyd")
    waiting.until(lambda: a_new_connection_works(first_process), 10, "a new connection works")


# -- Ports ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("protocol", ("tcp", "udp"))
def test_given_a_port_in_use_when_started_then_the_error_names_port_and_rule(scene, protocol):
    a = scene.node()
    a.rules = ["--egress", f"{protocol}:8000:100.64.0.9:80"]
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
    with a.host.socket(socket.AF_INET6, kind) as taken:
        taken.bind(("::", 8000))
        if protocol == "tcp":
            taken.listen()
        a.launch()
        assert a.process.wait(5 * node.slowness()) == 1
    assert any("8000" in line and f"{protocol}:8000:100.64.0.9:80" in line and "in use" in line
               for line in a.process.lines), a.process.text()


def test_given_the_tunnels_port_in_use_when_started_then_the_error_names_it(scene):
    a = scene.node()
    with a.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", a.port))
        a.launch()
        assert a.process.wait(5 * node.slowness()) == 1
    assert any(str(a.port) in line and "in use" in line for line in a.process.lines), a.process.text()


def test_given_a_port_that_needs_a_right_when_started_then_the_error_names_port_and_rule(scene):
    a = scene.node()
    a.rules = ["--egress", "tcp:80:100.64.0.9:80"]
    a.launch()
    assert a.process.wait(5 * node.slowness()) == 1
    assert any("80" in line and "tcp:80:100.64.0.9:80" in line and ("ermi" in line or "right" in line)
               for line in a.process.lines), a.process.text()
