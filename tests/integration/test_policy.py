"""The operator's policy: what rules there may be, where names lead, how much is carried, and who may ask for what."""
import json
import pathlib
import re
import subprocess
import time

import pytest

from lab import dns, traffic, waiting
from lab.node import program, slowness
from lab.process import GID, UID
from lab.traffic import LOOPBACK
from test_metrics import get
from test_operator import add, listed, nexctl, refused, remove, restart, says, stored


def write(scene, text, name="policy"):
    """A policy of root's, which the node's user can read."""
    path = f"{scene.folder}/{name}"
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return path


def policed(scene, text, rules=(), **options):
    node = scene.node(rules, **options)
    node.flags += ["--policy", write(scene, text)]
    return node


def pair(scene, policy_of_a="allow any any any to any any\n", policy_of_b="allow any any any to any any\n", **options):
    """Two nodes under a policy each, and a service at port 80 of b."""
    a, b = scene.node(**options), scene.node(**options)
    a.flags += ["--policy", write(scene, policy_of_a, "policy-a")]
    b.flags += ["--policy", write(scene, policy_of_b, "policy-b")]
    scene.introduce(a, b)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    b.start()
    a.start()
    return a, b


def run(node, *words):
    """nexd with these words beside the node's own, to its end."""
    command = list(map(str, node.command()))
    at = command.index("proxy")
    command = command[:at] + list(words) + command[at + 1:]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={"HOME": str(node.folder)})


def stats(node):
    return {entry["rule"]: entry for entry in json.loads(says(node, "rules", "stats", output="json"))}


def works(node, port):
    try:
        with traffic.tcp_connect(node.host, LOOPBACK[4], port) as connection:
            return traffic.exchange(connection) == b"ping"
    except OSError:
        return False


# -- Which rules there may be --

def test_given_a_rule_of_the_command_line_that_the_policy_refuses_when_started_then_it_ends_and_names_the_line(scene):
    node = policed(scene, "# only this\nallow ingress tcp 8080 to 127.0.0.0/8 80\ndeny egress any any to any any\n",
                   ["--ingress", "tcp:8081:127.0.0.1:80"])
    node.launch()
    assert node.process.wait(10 * slowness()) == 2
    assert "line 2 would, but for the listen port" in node.process.text() and "\n" not in node.process.text().strip()
    checked = run(node, "check", "--ingress", "tcp:8080:127.0.0.1:80", "--egress", "tcp:1234:100.64.0.9:1")
    assert checked.returncode == 2 and f"egress rule tcp:1234:100.64.0.9:1: {scene.folder}/policy:3 denies it" in checked.stderr
    assert f"admitted: {scene.folder}/policy:2 admits it" in checked.stdout and checked.stdout.endswith("not ok\n")


def test_given_a_policy_when_checked_against_rules_then_each_says_its_line_and_what_it_is_granted(scene):
    node = policed(scene, "allow ingress tcp 8000-8999 to name *.internal in 10.0.0.0/8 80 flows 5 bandwidth 8Mbit\n"
                          "allow egress any any to 100.64.0.0/10 any\nlisten tcp any 127.0.0.1\nlimit rule-new-flows 9\nrun-time-rules no\n",
                   ["--ingress", "tcp:8080:db.internal:80", "--egress", "tcp:8443:100.64.0.7:443"])
    checked = run(node, "check")
    assert checked.returncode == 0, checked
    for part in ("policy, 5 lines; rules do not change at run time", "policy:1 admits it; at most 5 flows (line 1)",
                 "9 new flows a second (line 4)", "1000000 bytes a second each way (line 1)", "its addresses are judged when a flow begins",
                 "listens on tcp port 8443 of 127.0.0.1 (line 3 of the policy)", "policy:2 admits it"):
        assert part in checked.stdout, checked.stdout


def test_given_the_examples_of_the_documents_when_checked_then_they_are_policies(scene):
    root = pathlib.Path(__file__).parents[2]
    document = (root / "docs/policy.md").read_text(encoding="utf-8")
    examples = re.findall(r"(?:^    (?:#|allow|deny|listen|limit|control|run-time).*\n)+", document, re.MULTILINE)
    page = (root / "manual/nexd.policy.5.in").read_text(encoding="utf-8").replace("\\-", "-")
    examples.append(page.split(".SH EXAMPLE\n.nf\n")[1].split(".fi")[0])
    assert examples[0].count("\n") > 8 and examples[-1].count("\n") > 6
    for example in (examples[0], examples[-1]):
        node = policed(scene, example)
        checked = run(node, "check")
        assert checked.returncode == 0 and "rules do not change at run time" in checked.stdout, checked


@pytest.mark.parametrize("mode, owner, says_so", [(0o666, 0, "others may write policy"), (0o664, 0, "others may write policy"),
                                                  (0o644, UID + 1, "belongs to user"), (0o600, 0, "Permission denied")])
def test_given_a_policy_that_others_can_write_or_own_when_started_then_nexd_does_not_start(scene, mode, owner, says_so):
    node = policed(scene, "allow any any any to any any\n")
    path = node.flags[-1]
    subprocess.run(["chown", str(owner), path], check=True)
    subprocess.run(["chmod", f"{mode:o}", path], check=True)
    node.launch()
    assert node.process.wait(10 * slowness()) == 2
    assert says_so in node.process.text()


def test_given_a_policy_when_rules_are_added_at_run_time_then_it_decides_and_the_answer_names_the_line(scene):
    node = policed(scene, "deny any any any to 169.254.0.0/16 any\nallow ingress tcp 8000-8999 to 127.0.0.0/8,169.254.0.0/16 any\n")
    node.start()
    assert "Added ingress" in add(node, "--ingress", "tcp:8080:127.0.0.1:80")
    assert "policy:1 denies it" in add(node, "--ingress", "tcp:8080:169.254.169.254:80")
    assert "line 2 would, but for the listen port" in add(node, "--ingress", "tcp:80:127.0.0.1:80")
    assert "no line of" in add(node, "--egress", "tcp:8080:100.64.0.9:80")
    assert listed(node) == ["--ingress tcp:8080:127.0.0.1:80"]
    assert stored(node) == {"egress": None, "ingress": ["tcp:8080:127.0.0.1:80"]}


def test_given_a_stored_rule_when_the_policy_turns_against_it_then_it_is_out_of_force_and_comes_back_with_the_policy(scene):
    rule = "tcp:8000:100.64.0.9:1"
    node = policed(scene, "allow egress tcp 8000 to any any\n")
    node.flags += ["--metrics-listen", "127.0.0.1:9586"]
    node.start()
    add(node, "--egress", rule)
    node.stop()
    write(scene, "allow ingress any any to any any\n")
    checked = run(node, "--state-dir", str(node.folder / ".nexodus"), "check")
    assert checked.returncode == 0 and f"the stored egress rule {rule} will not be in force" in checked.stderr, checked
    node.start()
    assert listed(node) == [f"--egress {rule}"] and refused(node, 8000)
    assert f"Not in force: --egress {rule}: no line of" in says(node, "status")
    assert "a stored rule is not in force: egress rule " + rule in node.process.text()
    assert "nexd_rules_barred 1\n" in get(node, "/metrics")[1]
    assert stored(node)["egress"] == [rule]
    add(node, "--ingress", "tcp:1:127.0.0.1:1")  # writes the file: the barred one stays in it
    assert stored(node) == {"egress": [rule], "ingress": ["tcp:1:127.0.0.1:1"]}
    node.stop()
    write(scene, "allow any any any to any any\n")
    node.start()
    assert f"--egress {rule}" in listed(node) and not refused(node, 8000) and "Not in force" not in says(node, "status")
    node.stop()
    write(scene, "allow ingress any any to any any\n")
    node.start()
    assert "Removed" in remove(node, "--egress", rule)  # what is out of force can be removed
    assert stored(node)["egress"] is None


def test_given_that_rules_do_not_change_when_somebody_tries_then_the_parent_refuses(scene):
    node = policed(scene, "allow any any any to any any\nrun-time-rules no\n", ["--egress", "tcp:8000:100.64.0.9:1"])
    node.start()
    assert "policy:2 says so" in add(node, "--egress", "tcp:8001:100.64.0.9:1")
    assert "policy:2 says so" in remove(node, "--egress", "tcp:8000:100.64.0.9:1")
    assert listed(node) == ["--egress tcp:8000:100.64.0.9:1"] and refused(node, 8001)


# -- Where they listen and lead --

def test_given_a_listen_address_when_rules_are_added_then_their_ports_are_there_and_nowhere_else(scene):
    node = policed(scene, "allow any any any to any any\nlisten any 8000-8999 127.0.0.2\n", ["--egress", "tcp:8000:100.64.0.9:1"])
    node.start()
    assert refused(node, 8000)
    with pytest.raises(ConnectionResetError):  # somebody listens there; nobody has 100.64.0.9
        with traffic.tcp_connect(node.host, "127.0.0.2", 8000) as connection:
            traffic.exchange(connection)
    node.kill_child("proxyd")  # the socket that the parent has kept is the same
    assert "Added" in waiting.until(lambda: (said := add(node, "--egress", "tcp:9000:100.64.0.9:1")) and "Error" not in said and said, 10,
                                    "proxyd to be back")
    assert refused(node, 8000) and not refused(node, 9000)


def by_name(scene, table, policy=None, hosts=None, host="web.test"):
    """a and b; b's ingress rule leads to a name, which b's name server answers; the service is at 127.0.0.1."""
    b_host = scene.host("b")
    server = scene.keep(dns.NameServer(b_host, "127.0.0.53", table, ttl=1))
    a, b = scene.node(), scene.node(["--ingress", f"tcp:9000:{host}:80"], host=b_host, wrap=server.resolver_for(scene.folder, hosts))
    if policy:
        b.flags += ["--policy", write(scene, policy)]
    scene.introduce(a, b)
    scene.keep(traffic.TcpService(b_host, "0.0.0.0", 80))
    a.rules = ["--egress", f"tcp:8000:{b.v4}:9000"]
    b.start()
    a.start()
    return a, b, server


def test_given_a_name_when_its_server_turns_it_to_this_host_then_flows_are_refused_and_counted(scene):
    a, b, server = by_name(scene, {})
    server.table["web.test"] = [b.host.outer(4)]
    assert works(a, 8000)
    server.table["web.test"] = ["127.0.0.1", "::1", "169.254.169.254"]  # rebinding
    waiting.until(lambda: not works(a, 8000), 10, "the first answer's time to be up")
    traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)
    entry, = stats(b).values()
    assert entry["errors"]["policy"] >= 2 and "of a cloud's metadata" in entry["last_error"]
    assert "policy" in says(b, "rules", "stats")


def test_given_localhost_or_the_hosts_file_when_they_say_loopback_then_flows_go_there(scene):
    a, b, _ = by_name(scene, {}, hosts={"web.test": "127.0.0.1"})
    assert works(a, 8000)
    add(b, "--ingress", "tcp:9001:localhost:80")
    add(a, "--egress", f"tcp:8001:{b.v4}:9001")
    assert works(a, 8001)


def test_given_a_policy_that_names_loopback_or_denies_it_when_a_name_leads_there_then_that_counts(scene):
    a, b, server = by_name(scene, {"web.test": ["127.0.0.1"], "bad.test": ["127.0.0.9"], "away.test": ["192.0.2.1"]},
                           "deny any any any to 127.0.0.9 any\nallow ingress tcp 9000-9099 to name *.test in 127.0.0.0/8 any\n")
    assert works(a, 8000) and server.asked["web.test"]
    for port, name, why in ((9001, "bad.test", "policy:1 denies it"), (9002, "away.test", "no line of")):
        add(b, "--ingress", f"tcp:{port}:{name}:80")
        add(a, "--egress", f"tcp:{port - 1000}:{b.v4}:{port}")
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], port - 1000)
        assert why in stats(b)[f"tcp:{port}:{name}:80"]["last_error"]


# -- How much --

def test_given_limits_of_flows_when_they_are_reached_then_further_flows_are_reset_and_the_line_is_told(scene):
    a, b = pair(scene, policy_of_b="allow ingress tcp 9000 to any any flows 2\nallow ingress tcp any to any any\nlimit flows-per-peer 4\n")
    b.flags += ["--metrics-listen", "127.0.0.1:9586"]
    b.stop()
    b.start()
    add(b, "--ingress", "tcp:9000:127.0.0.1:80,tcp:9001:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000,tcp:8001:{b.v4}:9001")
    waiting.until(lambda: works(a, 8001), 20, "the tunnel")
    waiting.until(lambda: stats(b)["tcp:9001:127.0.0.1:80"]["live"] == 0, 10, "that flow to end")
    held = []
    try:
        for port in (8000, 8000, 8001, 8001):
            held.append(scene.keep(traffic.tcp_connect(a.host, LOOPBACK[4], port)))
            assert traffic.exchange(held[-1]) == b"ping"
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8001)  # the peer has its four
        assert "line 3 of the operator's policy" in stats(b)["tcp:9001:127.0.0.1:80"]["last_error"]
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)  # and the rule its two
        assert "line 1 of the operator's policy" in stats(b)["tcp:9000:127.0.0.1:80"]["last_error"]
        assert stats(b)["tcp:9000:127.0.0.1:80"]["errors"]["policy"] == 1
        page = get(b, "/metrics")[1]
        assert 'nexd_flow_failures_total{cause="policy"} 2\n' in page
        assert 'nexd_rule_errors_total{rule="tcp:9000:127.0.0.1:80",type="ingress",cause="policy"} 1\n' in page
        assert all(traffic.exchange(connection) == b"ping" for connection in held)
    finally:
        for connection in held:
            connection.close()
    waiting.until(lambda: works(a, 8000), 10, "room again")


def test_given_a_limit_of_all_flows_when_egress_reaches_it_then_clients_are_reset(scene):
    a, b = pair(scene, policy_of_a="allow any any any to any any\nlimit flows 1\n")
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8000)
    waiting.until(lambda: works(a, 8000), 10, "room again")


def test_given_a_limit_of_new_flows_when_a_burst_comes_then_the_rest_is_reset_and_later_ones_are_served(scene):
    a, b = pair(scene, policy_of_a="allow any any any to any any new-flows 2\n")
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000")
    rule = f"tcp:8000:{b.v4}:9000"

    def burst():
        """Flows as fast as they come, until one was refused."""
        works(a, 8000)
        return stats(a)[rule]["errors"]["policy"] > 0 if rule in stats(a) else False
    attempts = [waiting.background(works, a, 8000) for _ in range(12)]
    done = [attempt.result(60) for attempt in attempts]
    assert any(done) and not all(done)
    assert "more than 2 new flows in a second" in stats(a)[rule]["last_error"] and burst()
    waiting.until(lambda: works(a, 8000), 20, "another second")


def test_given_a_bandwidth_when_a_transfer_runs_then_it_takes_its_time_and_another_rule_does_not(scene):
    a, b = pair(scene, policy_of_a="allow egress tcp 8000 to any any bandwidth 8Mbit\nallow any any any to any any\n")
    add(b, "--ingress", "tcp:9000:127.0.0.1:80")
    add(a, "--egress", f"tcp:8000:{b.v4}:9000,tcp:8001:{b.v4}:9000")
    size = 1_000_000  # a second at a megabyte a second, but for the burst
    waiting.until(lambda: works(a, 8001), 20, "the tunnel")

    def transfer(port):
        begun = time.monotonic()
        with traffic.tcp_connect(a.host, LOOPBACK[4], port, seconds=60) as connection:
            sent = waiting.background(traffic.send_pattern, connection, size)
            received = traffic.receive_exactly(connection, size)
            sent.result(60)
        assert len(received) == size
        return time.monotonic() - begun
    slow = transfer(8000)
    assert slow > 0.8  # a bound from below: no load makes it quicker
    flows = [waiting.background(transfer, 8000), waiting.background(transfer, 8000)]
    meanwhile = 0
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8001) as other:  # while they wait
        while not all(flow.done() for flow in flows):
            assert traffic.exchange(other) == b"ping"
            meanwhile += 1
    both = [flow.result(120) for flow in flows]
    assert meanwhile > 0 and max(both) > 1.7 and min(both) > 0.5 * max(both)  # they share it as equals


def test_given_udp_under_limits_when_flows_and_datagrams_are_too_many_then_they_are_dropped_and_counted(scene):
    a, b = scene.node(), policed(scene, "allow ingress udp 9000 to any any flows 1\nallow ingress udp 9001 to any any bandwidth 8kbit\n",
                                 ["--ingress", "udp:9000:127.0.0.1:53,udp:9001:127.0.0.1:53"])
    b.flags += ["--metrics-listen", "127.0.0.1:9586"]
    a.rules = ["--egress", f"udp:8000:{b.v4}:9000,udp:8001:{b.v4}:9001"]
    scene.introduce(a, b)
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    b.start()
    a.start()
    with traffic.udp_client(a.host, LOOPBACK[4], 8000) as first, traffic.udp_client(a.host, LOOPBACK[4], 8000) as second:
        assert traffic.udp_ask(first, b"ping") == b"ping"
        second.send(b"ping")
        waiting.until(lambda: stats(b)["udp:9000:127.0.0.1:53"]["errors"]["policy"] > 0, 10, "the second flow to be refused")
        assert "line 1 of the operator's policy" in stats(b)["udp:9000:127.0.0.1:53"]["last_error"]
        assert traffic.udp_ask(first, b"ping") == b"ping"
    with traffic.udp_client(a.host, LOOPBACK[4], 8001) as client:
        assert traffic.udp_ask(client, b"ping") == b"ping"
        for _ in range(60):
            client.send(b"x" * 1000)

        def policed_datagrams():
            name = "nexd_udp_policed_datagrams_total "
            return [int(line[len(name):]) for line in get(b, "/metrics")[1].splitlines() if line.startswith(name)] > [0]
        waiting.until(policed_datagrams, 10, "datagrams beyond the rate")


# -- Who may ask for what --

def ask_as(node, uid, gid, *words, groups=()):
    command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
               program("nexctl", node.folder.parent), "nexd", "--unix-socket", node.folder / "nexd.sock", *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, check=False)


def test_given_control_lines_when_users_call_then_each_may_what_its_lines_say(scene):
    node = policed(scene, f"allow any any any to any any\ncontrol uid {UID} all\ncontrol any Status\ncontrol gid 4243 Proxy*,List*\n")
    node.flags += ["--unix-socket-group", GID]
    node.start()
    node.folder.chmod(0o711)
    rule = ("proxy", "add", "--egress", "tcp:8000:100.64.0.9:1")
    assert "Running" in ask_as(node, 4242, GID, "status").stdout
    denied = ask_as(node, 4242, GID, *rule)
    assert "lets uid 4242 call ProxyAddEgress" in denied.stdout
    assert "lets uid 4242 call ProxyList" in ask_as(node, 4242, GID, "proxy", "list").stderr
    assert "Added" in ask_as(node, 4242, GID, *rule, groups=(4243,)).stdout  # by a supplementary group
    assert "lets uid 4242 call Drain" in ask_as(node, 4242, GID, "drain", groups=(4243,)).stderr
    assert "lets uid 4242 call SetDebugOn" in ask_as(node, 4242, GID, "set", "debug", "on", groups=(4243,)).stderr
    assert "enabled" in ask_as(node, UID, GID, "set", "debug", "on").stdout
    assert "lets uid 0 call ProxyAddEgress" in add(node, "--egress", "tcp:8001:100.64.0.9:1")  # root has no line of its own
    assert listed_by_owner(node) == ["--egress tcp:8000:100.64.0.9:1"]
    restart(node)
    assert listed_by_owner(node) == ["--egress tcp:8000:100.64.0.9:1"]


def listed_by_owner(node):
    return ask_as(node, UID, GID, "proxy", "list").stdout.splitlines()


def test_given_a_policy_when_children_die_then_it_is_in_force_in_the_next_ones(scene):
    node = policed(scene, "allow egress tcp 8000 to any any\ncontrol uid 0 Status,Proxy*\n", ["--egress", "tcp:8000:100.64.0.9:1"])
    node.start()
    for role in ("ctld", "proxyd", "tunneld"):
        node.kill_child(role)
        waiting.until(lambda: nexctl(node, "status").stdout == "Status: Running\n", 10, f"{role} to be back")
        assert "no line of" in add(node, "--egress", "tcp:8001:100.64.0.9:1")
        assert "lets uid 0 call Drain" in nexctl(node, "drain").stderr
    assert listed(node) == ["--egress tcp:8000:100.64.0.9:1"]
