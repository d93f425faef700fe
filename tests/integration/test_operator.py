"""The operator's side: nexctl against a running node. Rules that come and go, what survives a restart, what the socket tells."""
import base64
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import types

import pytest

from lab import traffic, waiting
from lab.node import program, slowness
from lab.traffic import LOOPBACK


def nexctl(node, *words, output=None, seconds=30, binary=None):
    """Runs `nexctl nexd WORDS` against a node; a CompletedProcess."""
    options = ["--output", output] if output else []
    command = [binary or program("nexctl", node.folder.parent), *options, "nexd", "--unix-socket", node.folder / "nexd.sock",
               *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=seconds * slowness())


def says(node, *words, **options):
    """The output of a nexctl command that must succeed."""
    done = nexctl(node, *words, **options)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


def add(node, *rules):
    return says(node, "proxy", "add", *rules)


def remove(node, *rules):
    return says(node, "proxy", "remove", *rules)


def listed(node):
    return says(node, "proxy", "list").splitlines()


def state_path(node):
    return node.folder / ".nexodus" / "state.json"


def stored(node):
    return json.loads(state_path(node).read_text(encoding="utf-8"))["proxy-rules-config"]


def refused(node, port):
    try:
        traffic.tcp_connect(node.host, LOOPBACK[4], port, seconds=2).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # somebody listens, and the far end is not there
        return False
    return False


def restart(node):
    """SIGKILL, with no chance to say or write anything, and a new start."""
    os.kill(node.pid, signal.SIGKILL)
    node.process.wait(5)
    node.notify.close()
    node.start()


@pytest.fixture
def pair(scene):
    """Two nodes without rules; a service behind port 80 of b."""
    a, b = scene.pair()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    return a, b


# -- Rules at run time --

def test_given_a_node_without_rules_when_rules_are_added_killed_and_removed_then_it_goes_as_with_the_nexodus_agent(scene):
    node = scene.node()
    node.start()
    service = scene.keep(traffic.TcpService(node.host, LOOPBACK[4], 8080))
    rules = ("--ingress", "tcp:4242:127.0.0.1:8080", "--egress", f"tcp:8081:{node.v4}:4242")
    assert listed(node) == [] and refused(node, 8081)
    assert not state_path(node).exists()
    assert add(node, *rules) == (f"Added ingress proxy rule: {rules[1]}\nAdded egress proxy rule: {rules[3]}\n")
    assert stored(node) == {"egress": [rules[3]], "ingress": [rules[1]]}
    assert state_path(node).read_text(encoding="utf-8").startswith('{\n  "proxy-rules-config": {\n    "egress": [\n      "tcp')
    assert state_path(node).stat().st_mode & 0o7777 == 0o600
    assert listed(node) == [f"--ingress {rules[1]}", f"--egress {rules[3]}"]
    restart(node)
    assert sorted(listed(node)) == sorted([f"--ingress {rules[1]}", f"--egress {rules[3]}"])
    with traffic.tcp_connect(node.host, LOOPBACK[4], 8081) as connection:
        assert traffic.exchange(connection) == b"ping"
    assert remove(node, *rules) == (f"Removed ingress proxy rule: {rules[1]}\nRemoved ingress proxy rule: {rules[3]}\n")
    assert listed(node) == []
    assert stored(node) == {"egress": None, "ingress": None}
    assert refused(node, 8081)
    assert service


def test_given_a_pair_when_rules_are_added_at_both_ends_then_traffic_passes_at_once(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"


def test_given_udp_rules_when_added_and_removed_then_the_port_answers_and_is_free_again(scene):
    a, b = scene.pair()
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    add(b, "--ingress", "udp:9000:127.0.0.1:53")
    add(a, "--egress", f"udp:8000:{b.v4}:9000")
    with traffic.udp_client(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.udp_ask(client, b"ping") == b"ping"
    remove(a, "--egress", f"udp:8000:{b.v4}:9000")

    def bindable():
        try:
            traffic.udp_bind(a.host, "::", 8000).close()
            return True
        except OSError:
            return False
    waiting.until(bindable, 5, "the port to be given back")


def test_given_a_live_flow_when_its_rule_is_removed_then_it_goes_on_and_new_ones_are_refused(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        remove(a, "--egress", f"tcp:8000:{b.v4}:9000")
        remove(b, "--ingress", "tcp:9000:127.0.0.1:80")
        assert refused(a, 8000)
        assert traffic.exchange(connection, b"still here") == b"still here"


def test_given_a_live_flow_when_its_rule_is_removed_with_its_flows_then_it_ends(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    for node, direction, rule in ((a, "--egress", f"tcp:8000:{b.v4}:9000"), (b, "--ingress", "tcp:9000:127.0.0.1:80")):
        add(a, "--egress", f"tcp:8000:{b.v4}:9000")
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
            assert traffic.exchange(connection) == b"ping"
            assert says(node, "proxy", "remove", "--kill-flows", direction, rule) == f"Removed ingress proxy rule: {rule}\n"
            with pytest.raises(ConnectionResetError):
                traffic.exchange(connection)


def test_given_several_destinations_on_one_port_when_one_is_removed_then_the_others_serve(pair, scene):
    a, b = pair
    for number in (81, 82):
        scene.keep(traffic.TcpService(b.host, LOOPBACK[4], number, traffic.name_service(str(number))))
    add(b, "--ingress", "tcp:9001:127.0.0.1:81,tcp:9001:127.0.0.1:82")
    add(a, "--egress", f"tcp:8000:{b.v4}:9001")

    def answers():
        found = set()
        for _ in range(4):
            with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
                found.add(traffic.receive_exactly(connection, 2))
        return found
    assert answers() == {b"81", b"82"}
    remove(b, "--ingress", "tcp:9001:127.0.0.1:81")
    assert answers() == {b"82"}


@pytest.mark.parametrize("role", ["proxyd", "tunneld", "ctld"])
def test_given_rules_of_run_time_when_a_child_dies_then_all_of_them_are_still_in_force(pair, role):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000", "--egress", f"tcp:8001:{b.v4}:9000")
    remove(a, "--egress", f"tcp:8001:{b.v4}:9000")
    a.kill_child(role)
    waiting.until(lambda: nexctl(a, "status").stdout == "Status: Running\n", 10, "the node to be back")
    assert listed(a) == [f"--egress tcp:8000:{b.v4}:9000"]
    assert refused(a, 8001)

    def works():
        try:
            with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
                return traffic.exchange(connection) == b"ping"
        except OSError:
            return False
    waiting.until(works, 10, "a flow")


def test_given_flag_rules_when_equal_ones_are_added_and_removed_then_the_flags_stay(scene):
    node = scene.node(["--egress", "tcp:8000:100.64.0.9:1"])
    node.start()
    rule = "tcp:8000:100.64.0.9:1"
    failure = "Error {} egress rule ({}): Failed to execute method (Proxy{}Egress): {}\n\n"
    missing = f"no matching egress proxy rule found: {rule}"
    assert remove(node, "--egress", rule) == failure.format("removing", rule, "Remove", missing)
    assert add(node, "--egress", rule) == f"Added egress proxy rule: {rule}\n"
    taken = "port already in use by another proxy rule"
    assert add(node, "--egress", rule) == failure.format("adding", rule, "Add", taken)
    assert listed(node) == [f"--egress {rule}"] * 2
    assert remove(node, "--egress", rule) == f"Removed ingress proxy rule: {rule}\n"
    assert listed(node) == [f"--egress {rule}"]
    assert not refused(node, 8000)


def test_given_rules_that_cannot_be_when_added_then_each_is_refused_with_a_reason_and_the_node_lives(scene):
    node = scene.node()
    node.start()
    taken = scene.keep(traffic.tcp_listen(node.host, "0.0.0.0", 8000))
    cases = {
        "bogus": "invalid proxy rule format, must specify 4 colon-separated values (bogus)",
        "tcp:0:h:1": "invalid port (0): out of range 0-65535",
        "icmp:1:h:1": "invalid protocol (icmp)",
        "tcp:80:999.1.1.1:9": "999.1.1.1",
        "tcp:8000:100.64.0.9:1": "8000",
        "tcp:80:100.64.0.9:1": "80",
    }
    for rule, reason in cases.items():
        answer = add(node, "--egress", rule)
        assert answer.startswith(f"Error adding egress rule ({rule}): ") and reason in answer.split("): ", 1)[1], answer
    assert listed(node) == [] and taken
    assert not state_path(node).exists()
    assert nexctl(node, "proxy", "add").stderr == "No rules provided\n"


def test_given_a_stored_rule_whose_port_is_taken_when_started_then_status_says_so_until_it_is_free(scene):
    node = scene.node()
    node.start()
    add(node, "--egress", "tcp:8000:100.64.0.9:1", "--egress", "tcp:8001:100.64.0.9:1")
    node.stop()
    taken = traffic.tcp_listen(node.host, "0.0.0.0", 8000)
    node.start()
    problem = "Not in force: --egress tcp:8000:100.64.0.9:1: port 8000 is in use by another program"
    status = waiting.until(lambda: (text := says(node, "status")) != "Status: Running\n" and text, 10, "the problem to be told")
    assert status.startswith(f"Status: Running\n{problem}") and status.count("\n") == 2
    bad, good = json.loads(says(node, "rules", "stats", output="json"))
    assert "port 8000 is in use" in bad["problem"] and good["problem"] is None
    assert "--egress tcp:8000:100.64.0.9:1 (not in force) |" in says(node, "rules", "stats")
    node.kill_child("ctld")
    waiting.until(lambda: nexctl(node, "status").stdout.startswith(f"Status: Running\n{problem}"), 10, "the new ctld to know it")
    taken.close()
    waiting.until(lambda: says(node, "status") == "Status: Running\n", 20, "the rule to be in force")
    assert json.loads(says(node, "rules", "stats", output="json"))[0]["problem"] is None and not refused(node, 8000)


def test_given_many_operators_at_once_when_they_add_and_remove_then_every_answer_holds(scene):
    node = scene.node()
    node.start()
    rules = [f"tcp:{8000 + i}:100.64.0.9:1" for i in range(12)]
    for word in ("add", "remove"):
        running = [waiting.background(nexctl, node, "proxy", word, "--egress", rule) for rule in rules]
        for rule, done in zip(rules, running):
            assert rule in done.result(30).stdout and "Error" not in done.result().stdout
        assert sorted(listed(node)) == sorted(f"--egress {rule}" for rule in rules if word == "add")


# -- Pings, flows, statistics --

@pytest.mark.parametrize("family, word", [(4, "ping"), (6, "ping6")])
def test_given_a_pair_when_one_pings_then_the_other_is_reachable_with_a_latency(scene, family, word):
    a, b = scene.pair()
    answer = says(a, "peers", word)
    assert "\u2713 Reachable" in answer and "Unreachable" not in answer and b.tunnel(family) in answer
    peer, = json.loads(says(a, "peers", word, output="json"))
    assert list(peer) == ["wg_ip", "is_reachable", "hostname", "Latency", "method"]
    assert peer["is_reachable"] is True and 0 < float(peer["Latency"].removesuffix("ms")) < 1000
    b.stop()
    begun = time.monotonic()
    peer, = json.loads(says(a, "peers", word, output="json"))
    assert time.monotonic() - begun < 4 * slowness()  # two tries of 1.2 s
    assert peer["is_reachable"] is False and peer["Latency"] == "-"


def test_given_live_flows_when_listed_then_each_has_its_rule_peer_and_bytes(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    assert json.loads(says(a, "flows", output="json")) == []
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection, b"x" * 1000) == b"x" * 1000
        flow, = json.loads(says(a, "flows", output="json"))
        assert flow["rule"] == f"tcp:8000:{b.v4}:9000" and flow["direction"] == "egress" and flow["state"] == "open"
        assert flow["peer"] == b.key.public and flow["destination"] == f"{b.v4}:9000"
        assert (flow["to_mesh_bytes"], flow["to_host_bytes"]) == (1000, 1000)
        far, = json.loads(says(b, "flows", output="json"))
        assert far["peer"] == a.key.public and far["rule"] == "tcp:9000:127.0.0.1:80"
        assert far["client"].startswith(a.v4 + ":")
        assert flow["peer_name"] is None and flow["congestion_control"] in ("bbr", "cubic")
        assert 0 < flow["min_rtt_us"] <= flow["rtt_us"] and flow["cwnd_bytes"] > 1000 and flow["retransmitted_bytes"] >= 0
        assert flow["pacing_bytes_per_s"] > 0 and flow["delivery_bytes_per_s"] > 0
        header, _, row = says(a, "flows", "--tcp").splitlines()
        columns = dict(zip(*[[cell.strip() for cell in text.split("|")[1:-1]] for text in (header, row)]))
        assert columns["ALGORITHM"] == flow["congestion_control"] and columns["PEER"] == b.key.public[:8] + "\u2026"
        assert re.fullmatch(r"\d+ us|\d+\.\d ms", columns["RTT"]) and columns["MIN RTT"] != "-"
        assert all(re.fullmatch(r"\d+(\.\d)? [KMGT]?i?B", columns[name]) for name in ("CWND", "RESENT"))
        assert all(re.fullmatch(r"\d+(\.\d)? [KMGT]?i?B/s", columns[name]) for name in ("PACING", "DELIVERY"))
        with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as other:
            assert traffic.exchange(other) == b"ping"
            cut = nexctl(a, "flows", "--limit", "1")
            assert cut.stdout.count("--egress") == 1 and "There are more flows" in cut.stderr
    waiting.until(lambda: json.loads(says(a, "flows", output="json")) == [], 10, "the flows to end")


def test_given_flows_that_work_and_flows_that_fail_when_statistics_are_asked_for_then_they_are_counted_by_rule(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80,tcp:9001:127.0.0.1:81")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000,tcp:8001:{b.v4}:9001,tcp:8002:100.64.9.9:1")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
    for port in (8001, 8002):
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], port)

    def stats(node):
        return {entry["rule"]: entry for entry in json.loads(says(node, "rules", "stats", output="json"))}
    waiting.until(lambda: stats(a)[f"tcp:8000:{b.v4}:9000"]["live"] == 0, 10, "the flow to end")
    near, far = stats(a), stats(b)
    works = near[f"tcp:8000:{b.v4}:9000"]
    assert (works["flows"], works["to_mesh_bytes"], works["to_host_bytes"], works["last_error"]) == (1, 4, 4, None)
    assert near[f"tcp:8001:{b.v4}:9001"]["errors"]["refused"] == 1
    assert near["tcp:8002:100.64.9.9:1"]["errors"]["unreachable"] == 1
    assert far["tcp:9001:127.0.0.1:81"]["errors"]["refused"] == 1
    assert "127.0.0.1:81" in far["tcp:9001:127.0.0.1:81"]["last_error"]
    assert "refused 1" in says(b, "rules", "stats")


def test_given_a_removed_rule_with_a_live_flow_when_asked_then_its_name_and_numbers_are_there_until_the_flow_ends(pair):
    a, b = pair
    rule = f"tcp:8000:{b.v4}:9000"
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", rule)
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        remove(a, "--egress", rule)
        assert traffic.exchange(connection) == b"ping"
        flow, = json.loads(says(a, "flows", output="json"))
        entry, = json.loads(says(a, "rules", "stats", output="json"))
        assert (flow["rule"], flow["removed"]) == (entry["rule"], entry["removed"]) == (rule, True)
        assert (entry["flows"], entry["live"], entry["to_mesh_bytes"]) == (1, 1, 8)
        assert f"--egress {rule} (removed)" in says(a, "rules", "stats")
    waiting.until(lambda: json.loads(says(a, "rules", "stats", output="json")) == [], 10, "the flow to end")


def test_given_a_transfer_when_top_is_asked_without_a_terminal_then_it_shows_the_throughput_once(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        asked = waiting.background(says, a, "top", output="json")
        while not asked.done():
            traffic.exchange(connection, b"x" * 10000)
        shown = json.loads(asked.result())
    (rule,), (peer,) = shown["rules"], shown["peers"]
    assert rule["rule"] == f"--egress tcp:8000:{b.v4}:9000" and rule["live"] == 1
    assert rule["to_mesh_bytes_per_s"] > 10000 and rule["to_host_bytes_per_s"] > 10000
    assert peer["peer"] == b.key.public and peer["to_mesh_bytes_per_s"] > 10000
    table = says(a, "top", "--interval", "1")
    assert "1 rule, 1 peer, " in table and "\x1b" not in table and table.count("\n") == 7


@pytest.mark.parametrize("no_color", [False, True])
def test_given_a_terminal_when_top_runs_then_it_is_refreshed_and_coloured_unless_that_is_unwanted(scene, no_color):
    node = scene.node(["--egress", "tcp:8000:100.64.0.9:1"])
    node.start()
    terminal, other = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", **({"NO_COLOR": "1"} if no_color else {})}
    command = [program("nexctl", node.folder.parent), "nexd", "--unix-socket", node.folder / "nexd.sock", "top"]
    running = subprocess.Popen(list(map(str, command)), stdin=other, stdout=other, stderr=other, env=environment)
    os.close(other)
    shown = b""
    try:
        while shown.count(b"\x1b[H\x1b[2J") < 3:
            assert select.select([terminal], [], [], 10 * slowness())[0], shown
            shown += os.read(terminal, 65536)
    finally:
        running.terminate()
        running.wait(10)
        os.close(terminal)
    picture = shown.split(b"\x1b[H\x1b[2J")[1]
    assert b"1 rule, 0 peers, 0 live flows" in picture and b"--egress tcp:8000:100.64.0.9:1" in picture
    assert (b"\x1b[1m" in picture) != no_color and (b"\x1b" in picture) != no_color


def test_given_a_live_flow_when_drained_then_it_goes_on_and_no_new_one_comes(pair, scene):
    a, b = pair
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    add(b, "--ingress", "tcp:9000:127.0.0.1:80,udp:9000:127.0.0.1:53")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000,udp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection, traffic.udp_client(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(connection) == b"ping"
        assert traffic.udp_ask(client, b"ping") == b"ping"
        for node in (a, b):
            assert says(node, "drain") == "Draining: no new flows are accepted; live ones go on\n"
        assert traffic.exchange(connection) == b"ping" and traffic.udp_ask(client, b"ping") == b"ping"
        assert refused(a, 8000)
        with traffic.udp_client(a.host, LOOPBACK[4], 8000) as late, pytest.raises(AssertionError):
            traffic.udp_ask(late, b"ping", tries=1, seconds=0.5)
        assert says(a, "status") == "Status: Running\nDraining: no new flows are accepted; live ones go on\n"
        assert "nexd is draining" in add(a, "--egress", f"tcp:8001:{b.v4}:9000")
        a.kill_child("proxyd")
        waiting.until(lambda: "Running" in nexctl(a, "status").stdout, 10, "the node to be back")
        says(a, "drain")  # answered when the new proxyd drains too
        assert refused(a, 8000) and traffic.exchange(connection) == b"ping"
        a.kill_child("ctld")
        waiting.until(lambda: "Draining" in nexctl(a, "status").stdout, 10, "ctld to be back")
        late = nexctl(a, "drain", "--wait", "1")
        assert late.returncode == 1 and "live flows left after 1 s" in late.stderr


def test_given_a_live_flow_when_draining_is_waited_for_then_it_is_over_when_the_flow_is(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        waits = waiting.background(nexctl, a, "drain", "--wait", "20")
        waiting.until(lambda: "Draining" in nexctl(a, "status").stdout, 10, "draining")
        assert not waits.done()
    done = waits.result(20)
    assert done.returncode == 0 and done.stdout.endswith("1 live flow\n0 live flows\n"), done


def test_given_a_draining_end_when_a_peer_connects_then_it_is_refused(pair):
    a, b = pair
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    says(b, "drain")
    traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)


def test_given_three_thousand_peers_when_started_then_all_are_there_and_listed(scene):
    a, b = scene.node(), scene.node()
    scene.introduce(a, b)
    for number in range(3000):
        key = base64.b64encode(hashlib.sha256(str(number).encode()).digest()).decode()
        a.peers.append({"end": types.SimpleNamespace(key=types.SimpleNamespace(public=key)), "preshared": None,
                        "keepalive": None, "endpoint": None, "allowed": f"100.65.{number // 250}.{number % 250}/32"})
    b.start()
    a.start(30)
    peers = json.loads(says(a, "peers", "list", output="json"))
    assert len(peers) == 3001
    a.kill_child("tunneld")
    waiting.until(lambda: "Running" in nexctl(a, "status").stdout, 10, "the node to be back")
    waiting.until(lambda: len(json.loads(says(a, "peers", "list", output="json"))) == 3001, 10, "the peers to be back")
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
    reached = [peer["wg_ip"] for peer in json.loads(says(a, "peers", "ping", output="json", seconds=60)) if peer["is_reachable"]]
    assert reached == [b.v4]


# -- The Nexodus client --

def test_given_a_version_to_report_when_asked_then_it_is_that_one_after_a_restart_of_ctld_too(scene):
    node = scene.node()
    node.flags = ["--report-version", "2024.07.01-abcdef"]
    node.start()
    assert "nexd version: 2024.07.01-abcdef\n" in says(node, "version")
    node.kill_child("ctld")
    waiting.until(lambda: "nexd version: 2024.07.01-abcdef" in nexctl(node, "version").stdout, 10, "ctld's return")


@pytest.mark.skipif(not os.environ.get("NEXD_TEST_NEXCTL"), reason="NEXD_TEST_NEXCTL does not name a Nexodus client")
def test_given_the_nexodus_client_when_it_operates_a_node_then_it_gets_what_it_knows(pair):
    a, b = pair
    binary = os.environ["NEXD_TEST_NEXCTL"]
    version = subprocess.run([binary, "version"], capture_output=True, text=True, check=False).stdout.split()[-1:]
    b.stop()
    b.environment["NEXD_REPORT_VERSION"] = version[0] if version else "dev"
    b.start()
    rule = "tcp:9000:127.0.0.1:80"
    assert nexctl(b, "status", binary=binary).stdout == "Status: Running\n"
    assert nexctl(b, "get", "tunnelip", binary=binary).stdout == b.v4 + "\n"
    assert nexctl(b, "proxy", "add", "--ingress", rule, binary=binary).stdout == f"Added ingress proxy rule: {rule}\n"
    assert nexctl(b, "proxy", "list", binary=binary).stdout == f"--ingress {rule}\n"
    assert nexctl(b, "proxy", "add", "--ingress", rule, binary=binary).stdout == nexctl(b, "proxy", "add", "--ingress", rule).stdout
    assert nexctl(b, "proxy", "remove", "--ingress", rule, binary=binary).stdout == f"Removed ingress proxy rule: {rule}\n"
    assert a.key.public in nexctl(b, "peers", "list", binary=binary).stdout


# -- The state folder --

def test_given_a_state_folder_of_the_nexodus_agent_when_taken_over_then_its_rules_work_and_the_rest_stays(scene):
    node = scene.node()
    found = {"auth-token": {"access_token": "t", "expiry": "2024-07-01T00:00:00.123456789Z"}, "public-key": "a",
             "private-key": "b", "proxy-rules-config": {"egress": ["tcp:8000:100.64.0.9:1"], "ingress": None},
             "port": 41641, "later": [1, {"x": None}]}
    state_path(node).parent.mkdir(mode=0o700)
    state_path(node).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for path in (state_path(node).parent, state_path(node)):
        os.chown(path, *[node.folder.stat().st_uid] * 2)
    node.start()
    assert listed(node) == ["--egress tcp:8000:100.64.0.9:1"]
    add(node, "--ingress", "udp:53:[::1]:53")
    found["proxy-rules-config"]["ingress"] = ["udp:53:[::1]:53"]
    assert json.loads(state_path(node).read_text(encoding="utf-8")) == found
    assert list(json.loads(state_path(node).read_text(encoding="utf-8"))) == list(found)


def test_given_a_damaged_state_file_when_started_then_it_ends_with_file_and_reason(scene):
    node = scene.node()
    node.folder.joinpath("state").mkdir()
    node.folder.joinpath("state", "state.json").write_text('{"proxy-rules-config": {"egress": ["tcp:0:h:1"]}}', encoding="utf-8")
    for path in (node.folder / "state", node.folder / "state" / "state.json"):
        os.chown(path, *[node.folder.stat().st_uid] * 2)
    node.flags = ["--state-dir", node.folder / "state"]
    node.launch()
    assert node.process.wait(10) == 1
    assert "state/state.json" in node.process.text() and "tcp:0:h:1" in node.process.text()


def test_given_one_state_folder_when_a_second_node_starts_on_it_then_it_ends_and_the_first_goes_on(scene):
    first, second = scene.node(), scene.node()
    first.start()
    add(first, "--egress", "tcp:8000:100.64.0.9:1")
    second.flags = ["--state-dir", state_path(first).parent]
    os.chmod(first.folder, 0o755)
    second.launch()
    assert second.process.wait(10) == 1
    assert f"another nexd (pid {first.pid}) uses this state folder" in second.process.text()
    assert listed(first) == ["--egress tcp:8000:100.64.0.9:1"]


def test_given_a_state_folder_that_cannot_be_written_when_a_rule_is_added_then_the_file_is_named_and_nothing_changes(scene):
    node = scene.node()
    node.start()
    add(node, "--egress", "tcp:8000:100.64.0.9:1")
    state_path(node).parent.chmod(0o500)
    before = state_path(node).read_text(encoding="utf-8")
    answer = add(node, "--egress", "tcp:8001:100.64.0.9:1")
    assert str(state_path(node)) in answer and "Permission denied" in answer
    assert refused(node, 8001) and not refused(node, 8000)
    answer = remove(node, "--egress", "tcp:8000:100.64.0.9:1")
    assert str(state_path(node)) in answer
    assert listed(node) == ["--egress tcp:8000:100.64.0.9:1"] and not refused(node, 8000)
    assert state_path(node).read_text(encoding="utf-8") == before
    state_path(node).parent.chmod(0o700)
    assert "Added" in add(node, "--egress", "tcp:8001:100.64.0.9:1")


def test_given_a_rule_just_added_when_the_node_is_killed_at_once_then_it_is_there_again(scene):
    node = scene.node()
    node.start()
    for number in range(5):
        add(node, "--egress", f"tcp:{8000 + number}:100.64.0.9:1")
        restart(node)
        assert len(listed(node)) == number + 1
