"""Metrics, health and readiness over HTTP, and clients of that socket that mean harm."""
import pathlib
import re
import socket
import time

import pytest

from lab import promlint, traffic, waiting
from lab.mesh import Mesh
from lab.traffic import LOOPBACK
from test_operator import nexctl, says

PORT = 9586


def request(node, text, seconds=5):
    """Sends bytes and returns everything that comes until the end, as text."""
    with traffic.tcp_connect(node.host, LOOPBACK[4], PORT) as client:
        client.settimeout(seconds)
        client.sendall(text if isinstance(text, bytes) else text.encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
    return answer.decode()


def get(node, path, method="GET"):
    """Status and body."""
    head, body = request(node, f"{method} {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n\r\n").split("\r\n\r\n", 1)
    lines = head.split("\r\n")
    fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
    if method == "GET":
        assert int(fields["content-length"]) == len(body.encode())
    return int(lines[0].split(" ")[1]), body


def metrics(node):
    status, text = get(node, "/metrics")
    assert status == 200
    assert promlint.lint(text) == []
    return promlint.parse(text)[1]


def value(found, name, **labels):
    return found[name][frozenset(labels.items())]


def documented():
    """{name: {label: values}} of docs/metrics.md; values only where the text lists them."""
    found = {}
    text = (pathlib.Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    for names, labels in re.findall(r"^\| (`nexd_[^|]*)\|([^|]*)\|", text, re.MULTILINE):
        for name in re.findall(r"`(nexd_\w+)`", names):
            found[name] = set(re.findall(r"`(\w+)`", labels))
    return found


@pytest.fixture
def pair(scene):
    a, b = scene.node(), scene.node()
    scene.introduce(a, b)
    a.flags = ["--metrics-listen", f"{LOOPBACK[4]}:{PORT}"]
    a.rules = ["--egress", f"tcp:8000:{b.v4}:9000", "--egress", "tcp:8001:100.64.9.9:1"]
    b.rules = ["--ingress", "tcp:9000:127.0.0.1:80"]
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    b.start()
    a.start()
    return a, b


def test_given_flows_when_metrics_are_read_then_they_are_counted_and_pass_the_linter(pair):
    a, b = pair
    rule = f"tcp:8000:{b.v4}:9000"
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection, b"x" * 1000) == b"x" * 1000
        traffic.expect_reset_of_client(a.host, LOOPBACK[4], 8001)
        says(a, "proxy", "add", "--egress", rule)  # the same as that of the command line: one series
        found = metrics(a)
    assert value(found, "nexd_rule_flows", rule=rule, type="egress") == 1
    assert value(found, "nexd_rule_flows_total", rule=rule, type="egress") == 1
    assert value(found, "nexd_rule_payload_bytes_total", rule=rule, type="egress", direction="to_mesh") == 1000
    assert value(found, "nexd_rule_errors_total", rule="tcp:8001:100.64.9.9:1", type="egress", cause="unreachable") == 1
    assert value(found, "nexd_rules") == 3 and value(found, "nexd_peers") == 1
    assert value(found, "nexd_flows", protocol="tcp") == 1 and value(found, "nexd_ready") == 1
    assert value(found, "nexd_payload_bytes_total", protocol="tcp", direction="to_host") == 1000
    assert value(found, "nexd_peer_bytes_total", peer=b.key.public, direction="sent") > 1000
    assert abs(value(found, "nexd_peer_last_handshake_timestamp_seconds", peer=b.key.public) - time.time()) < 60
    assert value(found, "nexd_tunnel_handshakes_total", event="completed") >= 1
    assert value(found, "nexd_tunnel_dropped_packets_total", reason="replay") == 0
    assert value(found, "nexd_egress_listeners") == 2
    assert value(found, "nexd_control_plane_state", state="static") == 1
    assert all(value(found, "nexd_process_up", process=name) == 1 for name in ("nexd", "tunneld", "proxyd"))
    assert a.key.private not in get(a, "/metrics")[1]
    assert documented() == {name: {label for labels in series for label, _ in labels} for name, series in found.items()}


def test_given_a_child_that_dies_when_metrics_are_read_then_its_start_is_counted_and_the_address_stays(pair):
    a, _ = pair
    assert value(metrics(a), "nexd_process_starts_total", process="proxyd") == 1
    for role in ("proxyd", "ctld", "tunneld"):
        a.kill_child(role)
        waiting.until(lambda: get(a, "/readyz")[0] == 200, 20, f"readiness after {role}'s death")
    found = metrics(a)
    assert all(value(found, "nexd_process_starts_total", process=role) == 2 for role in ("tunneld", "proxyd", "ctld"))


def test_given_a_node_when_health_and_readiness_are_asked_for_then_they_say_what_is(pair):
    a, _ = pair
    assert get(a, "/healthz") == (200, "ok\n") and get(a, "/readyz") == (200, "ready\n")
    assert get(a, "/readyz?verbose=1")[0] == 200
    assert get(a, "/readyz", "HEAD") == (200, "")
    assert get(a, "/")[0] == 404 and get(a, "/metrics/")[0] == 404
    assert get(a, "/metrics", "POST")[0] == 405
    says(a, "drain")
    status, why = get(a, "/readyz")
    assert status == 503 and "draining" in why
    assert get(a, "/healthz")[0] == 200
    assert waiting.until(lambda: value(metrics(a), "nexd_draining") == 1, 5, "the metric")


def test_given_a_network_when_its_control_plane_goes_and_comes_then_the_state_says_so_and_the_node_stays_ready(scene):
    mesh = Mesh(scene)
    a = mesh.member(flags=["--metrics-listen", f"{LOOPBACK[4]}:{PORT}"]).start()

    def is_in(state):
        found = metrics(a)["nexd_control_plane_state"]
        return found == {frozenset({("state", name)}): float(name == state)
                         for name in ("static", "starting", "login", "joining", "cached", "joined")}
    waiting.until(lambda: is_in("joined"), 20, "the node to have joined")
    assert get(a, "/readyz") == (200, "ready\n")
    mesh.plane.stop()
    waiting.until(lambda: is_in("cached"), 20, "the loss to be noticed")
    assert get(a, "/readyz") == (200, "ready\n") and get(a, "/healthz")[0] == 200
    status = a.ctl("status").stdout
    assert status.startswith("Status: Running\nWith the network as it was known last: ") and status.count("\n") == 2
    a.stop()
    a.start()  # from what it had stored, while nobody answers
    assert is_in("cached") and get(a, "/readyz") == (200, "ready\n")
    mesh.plane.start()
    waiting.until(lambda: is_in("joined"), 40, "the control plane's return to be noticed")
    assert a.ctl("status").stdout == "Status: Running\n"


def test_given_an_address_that_cannot_be_had_when_started_then_it_ends_and_names_it(scene):
    node = scene.node()
    node.flags = ["--metrics-listen", "192.0.2.1:9586"]
    node.launch()
    assert node.process.wait(10) == 1
    assert "metrics: 192.0.2.1:9586 cannot be listened on" in node.process.text()


HOSTILE = [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"get /metrics HTTP/1.1\r\n\r\n", b"GET metrics HTTP/1.1\r\n\r\n",
           b"GET /metrics HTTP/2.0\r\n\r\n", b"GET /me\x00trics HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
           b"GET / HTTP/1.1\r\nX: " + b"a" * 10000 + b"\r\n\r\n", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n"]


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_given_a_request_that_is_none_when_sent_then_it_is_refused_and_others_are_served(pair, bad):
    a, _ = pair
    try:
        answer = request(a, bad)
        assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 431 ")), answer
    except (ConnectionResetError, BrokenPipeError):
        pass  # more came than was read
    assert get(a, "/healthz")[0] == 200


def test_given_a_thousand_idle_clients_when_others_ask_then_they_are_served(pair):
    a, _ = pair
    idle = []
    try:
        for number in range(1000):
            idle.append(traffic.tcp_connect(a.host, LOOPBACK[4], PORT))
            if number % 100 == 50:
                idle[-1].sendall(b"GET /met")
        assert get(a, "/readyz")[0] == 200
        assert nexctl(a, "status").stdout == "Status: Running\n"
        assert promlint.lint(get(a, "/metrics")[1]) == []
    finally:
        for client in idle:
            client.close()


def test_given_clients_that_ask_and_do_not_read_when_others_ask_then_they_are_served(pair):
    a, _ = pair
    deaf = []
    try:
        for _ in range(64):
            client = a.host.socket(socket.AF_INET, socket.SOCK_STREAM)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            client.connect((LOOPBACK[4], PORT))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            deaf.append(client)
        assert promlint.lint(get(a, "/metrics")[1]) == []
    finally:
        for client in deaf:
            client.close()


# -- The linter itself --

@pytest.mark.parametrize("text, problem", [
    ("# HELP a_total x\n# TYPE a_total gauge\na_total 1\n", "_total"),
    ("# HELP a x\n# TYPE a counter\na 1\n", "_total"),
    ("# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n", "base unit"),
    ("# HELP A x\n# TYPE A gauge\nA 1\n", "lower case"),
    ("# HELP a  \n# TYPE a gauge\na 1\n", "no help"),
    ("# HELP a_seconds_x x\n# TYPE a_seconds_x gauge\na_seconds_x 1\n", "last part"),
    ("# HELP a x\n# TYPE a gauge\na{b=\"1\"} 1\na{c=\"1\"} 1\n", "different labels"),
])
def test_given_a_bad_name_when_linted_then_it_is_a_problem(text, problem):
    assert any(problem in found for found in promlint.lint(text))


@pytest.mark.parametrize("text", ["a 1\n", "# HELP a x\n# TYPE a gauge\na 1", "# HELP a x\n# TYPE a gauge\na 1\na 2\n", "# HELP a x\n# TYPE a gauge\n",
                                  "# HELP a x\n# TYPE a gauge\na{b=c} 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"\"\"} 1\n"])
def test_given_a_text_that_is_none_when_parsed_then_it_is_refused(text):
    with pytest.raises(AssertionError):
        promlint.parse(text)
