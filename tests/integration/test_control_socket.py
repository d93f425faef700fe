"""The control socket byte by byte: what the Nexodus client sends, as it was recorded, and clients that mean harm."""
import json
import os
import re
import socket
import subprocess

import pytest

from lab import waiting
from test_operator import nexctl, says

# What the Nexodus client sends for each of its commands, and what the Nexodus agent in proxy mode answered.
RECORDED = [
    ('{"method":"NexdCtl.Version","params":[""],"id":0}\n', '{"id":0,"result":"dev","error":null}\n'),
    ('{"method":"NexdCtl.Status","params":[""],"id":0}\n', '{"id":0,"result":"Status: Running\\n","error":null}\n'),
    ('{"method":"NexdCtl.GetTunnelIPv4","params":[""],"id":0}\n', '{"id":0,"result":"100.64.0.1","error":null}\n'),
    ('{"method":"NexdCtl.GetTunnelIPv6","params":[""],"id":0}\n', '{"id":0,"result":"fd64::1","error":null}\n'),
    ('{"method":"NexdCtl.SetDebugOff","params":[""],"id":0}\n', '{"id":0,"result":"Debug logging disabled","error":null}\n'),
    ('{"method":"NexdCtl.SetDebugOn","params":[""],"id":0}\n', '{"id":0,"result":"Debug logging enabled","error":null}\n'),
    ('{"method":"NexdCtl.GetDebug","params":[""],"id":0}\n', '{"id":0,"result":"on","error":null}\n'),
    ('{"method":"NexdCtl.ListExitNodes","params":[""],"id":0}\n', '{"id":0,"result":"null","error":null}\n'),
    ('{"method":"NexdCtl.EnableExitNodeClient","params":[""],"id":0}\n', '{"id":0,"result":"{}","error":null}\n'),
    ('{"method":"NexdCtl.DisableExitNodeClient","params":[""],"id":0}\n', '{"id":0,"result":"{}","error":null}\n'),
    ('{"method":"NexdCtl.ProxyAddIngress","params":["tcp:8080:127.0.0.1:20080"],"id":0}\n',
     '{"id":0,"result":"Added ingress proxy rule: tcp:8080:127.0.0.1:20080\\n","error":null}\n'),
    ('{"method":"NexdCtl.ProxyAddIngress","params":["udp:5353:127.0.0.1:25353"],"id":0}\n',
     '{"id":0,"result":"Added ingress proxy rule: udp:5353:127.0.0.1:25353\\n","error":null}\n'),
    ('{"method":"NexdCtl.ProxyList","params":[""],"id":0}\n',
     '{"id":0,"result":"--ingress tcp:8080:127.0.0.1:20080\\n--ingress udp:5353:127.0.0.1:25353\\n","error":null}\n'),
    ('{"method":"NexdCtl.ProxyAddEgress","params":["tcp:29081:100.64.0.7:8082"],"id":0}\n',
     '{"id":0,"result":"Added egress proxy rule: tcp:29081:100.64.0.7:8082\\n","error":null}\n'),
    ('{"method":"NexdCtl.ProxyAddEgress","params":["tcp:29081:100.64.0.7:8082"],"id":0}\n',
     '{"id":0,"result":null,"error":"port already in use by another proxy rule"}\n'),
    ('{"method":"NexdCtl.ProxyRemoveEgress","params":["tcp:29081:100.64.0.7:8082"],"id":0}\n',
     '{"id":0,"result":"Removed ingress proxy rule: tcp:29081:100.64.0.7:8082\\n","error":null}\n'),
    ('{"method":"NexdCtl.ProxyRemoveEgress","params":["tcp:29080:100.64.0.7:8080"],"id":0}\n',
     '{"id":0,"result":null,"error":"no matching egress proxy rule found: tcp:29080:100.64.0.7:8080"}\n'),
]
# Answers that hold what differs from run to run.
PEERS = (r'\{"id":0,"result":"\{\\"relay-present\\":false,\\"relay-required\\":false,\\"peers\\":\{\\"([^"\\]+)\\":\{\\"PublicKey\\":\\"\1\\",'
         r'\\"Endpoint\\":\\"[0-9.:]+\\",\\"AllowedIPs\\":\[\\"100\.64\.0\.2/32\\",\\"fd64::2/128\\"\],\\"LatestHandshake\\":\\"\d+\\",'
         r'\\"Tx\\":\d+,\\"Rx\\":\d+,\\"Healthy\\":true\}\}\}","error":null\}\n')
PINGS = (r'\{"id":0,"result":"\{\\"relay-present\\":false,\\"relay-required\\":false,\\"peers\\":\{\\"(ADDRESS)\\":\{\\"wg_ip\\":\\"\1\\",'
         r'\\"is_reachable\\":true,\\"hostname\\":\\"[^"\\]+\\",\\"Latency\\":\\"\d+\.\d\dms\\",\\"method\\":\\"[a-z-]+\\"\}\}\}","error":null\}\n')
RECORDED_FORMS = [
    ('{"method":"NexdCtl.ConnectivityV4","params":[""],"id":0}\n', PINGS.replace("ADDRESS", r"100\.64\.0\.2")),
    ('{"method":"NexdCtl.ConnectivityV6","params":[""],"id":0}\n', PINGS.replace("ADDRESS", "fd64::2")),
    ('{"method":"NexdCtl.ListPeers","params":[""],"id":0}\n', PEERS),
]


def connect(node, seconds=10):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(seconds)
    client.connect(str(node.folder / "nexd.sock"))
    return client


def line(client):
    """One answer; what has come when the connection ends."""
    answer = b""
    while not answer.endswith(b"\n"):
        part = client.recv(65536)
        if not part:
            break
        answer += part
    return answer.decode()


@pytest.fixture
def node(scene):
    a, b = scene.node(flags=["--report-version", "dev"]), scene.node()
    scene.introduce(a, b)
    b.start()
    a.start()
    return a


def exchange_as_client(node, sent):
    """As the Nexodus client does it: a connection that says nothing, then one for the call."""
    connect(node).close()
    with connect(node) as client:
        client.sendall(sent.encode())
        return line(client)


def test_given_recorded_requests_when_sent_then_the_answers_are_those_of_the_agent(node):
    for sent, received in RECORDED:
        assert exchange_as_client(node, sent) == received
    for sent, form in RECORDED_FORMS:
        answer = exchange_as_client(node, sent)
        assert re.fullmatch(form, answer), answer


def test_given_recorded_requests_when_they_come_in_pieces_on_one_connection_then_the_answers_are_the_same(node):
    with connect(node) as client:
        for sent, received in RECORDED:
            for at in range(0, len(sent), 7):
                client.sendall(sent[at:at + 7].encode())
            assert line(client) == received


BINARY = os.environ.get("NEXD_TEST_NEXCTL")


@pytest.mark.skipif(not BINARY, reason="NEXD_TEST_NEXCTL does not name a Nexodus client")
def test_given_the_nexodus_client_when_it_asks_what_ours_asks_then_it_says_the_same(scene):
    version = subprocess.run([BINARY, "nexd", "version", "--unix-socket", "/nonexistent"], capture_output=True, text=True, check=False)
    version = re.search(r"nexctl version: (\S+)", version.stdout)
    a, b = scene.node(flags=["--report-version", version.group(1) if version else "dev"]), scene.node()
    scene.introduce(a, b)
    b.start()
    a.start()
    says(a, "proxy", "add", "--ingress", "tcp:8080:127.0.0.1:80", "--egress", "tcp:8000:100.64.0.2:8080")
    says(a, "peers", "ping")

    def same(*words, output=None, volatile=r"(?!)"):
        """Both clients' output, but for what changes between two calls."""
        ours, theirs = (nexctl(a, *words, output=output, binary=binary) for binary in (None, BINARY))
        assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr), (ours, theirs)
        shown = re.sub(r"\A[\r\n] [\r\n]", "", theirs.stdout)  # what its spinner leaves behind, no terminal or not
        assert re.sub(volatile, "#", ours.stdout) == re.sub(volatile, "#", shown)

    for words in (["status"], ["get", "tunnelip"], ["get", "tunnelip", "--ipv6"], ["get", "debug"], ["set", "debug", "on"],
                  ["set", "debug", "off"], ["proxy", "list"], ["proxy", "add", "--ingress", "tcp:8080:127.0.0.1:80"],
                  ["proxy", "add", "--egress", "bogus"], ["proxy", "add"], ["proxy", "remove", "--ingress", "tcp:1:h:2"]):
        same(*words)
    for output in (None, "column", "no-header", "json", "json-raw", "yaml"):
        same("peers", "list", output=output, volatile=r"\d+ seconds ago|(?<=[Tt]x\": )\d+|(?<=[Rr]x\": )\d+|(?<=Tx\":)\d+|(?<=Rx\":)\d+"
                                                      r"|(?<=Tx: )\d+|(?<=Rx: )\d+|(?<=\| ) *\d+(?= \|)")
        for word in ("ping", "ping6"):
            same("peers", word, output=output, volatile=r"\d+\.\d\dms *")
    b.stop()
    same("peers", "ping", output="yaml")
    same("peers", "ping6")
    assert nexctl(a, "bogus").returncode == nexctl(a, "bogus", binary=BINARY).returncode == 3
    assert nexctl(a, "peers", "list", output="bogus").returncode == nexctl(a, "peers", "list", output="bogus", binary=BINARY).returncode == 1


# -- Clients that mean harm --

def test_given_a_thousand_idle_clients_when_an_operator_asks_then_it_is_answered(node):
    idle = []
    try:
        for number in range(1000):
            idle.append(connect(node))
            if number % 3 == 0:
                idle[-1].sendall(b'{"method":')
        assert nexctl(node, "status").stdout == "Status: Running\n"
        assert len(json.loads(says(node, "peers", "list", output="json"))) == 1
    finally:
        for client in idle:
            client.close()
    assert nexctl(node, "status").stdout == "Status: Running\n"


HUGE = [b'{"method":"' + b"x" * (8 << 20), b"[" * (4 << 20), b'{"params":[' + b'"a",' * (2 << 20), b" " * (8 << 20) + b"x",
        b'{"a":' * (1 << 20), b"\x00" * (1 << 20)]


@pytest.mark.parametrize("request_bytes", HUGE, ids=range(len(HUGE)))
def test_given_a_huge_request_when_sent_then_its_client_is_closed_and_others_are_answered(node, request_bytes):
    with connect(node) as client:
        try:
            client.sendall(request_bytes)
            assert line(client) == ""
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert nexctl(node, "status").stdout == "Status: Running\n"


def test_given_many_who_ask_and_do_not_read_when_an_operator_asks_then_it_is_answered(node):
    deaf = [connect(node) for _ in range(40)]
    try:
        for client in deaf:
            client.setblocking(False)
            try:
                while True:
                    client.send(b'{"method":"NexdCtl.ListPeers","params":[""],"id":0}' * 50)
            except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                pass
        waiting.until(lambda: nexctl(node, "status").stdout == "Status: Running\n", 10, "an answer")
    finally:
        for client in deaf:
            client.close()
