"""Our nexd, nexctl and apid with the Go nexd and nexctl: joined by apid, traffic both ways, each one's control socket."""
import json
import re
import os
import subprocess

import pytest

from golang import GoMember
from lab import node as nodes, traffic, waiting
from lab.mesh import with_names
from lab.traffic import LOOPBACK, MIB

SERVICE = ["--ingress", "tcp:9000:127.0.0.1:80", "--ingress", "udp:4343:127.0.0.1:53"]


def serve(scene, host):
    scene.keep(traffic.TcpService(host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(host, LOOPBACK[4], 53))


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def egress_rules(service):
    return [word for family, port in ((4, 8000), (6, 8001)) for word in (
        "--egress", f"tcp:{port}:{bracketed(service.v4 if family == 4 else service.v6)}:9000",
        "--egress", f"udp:{port}:{bracketed(service.v4 if family == 4 else service.v6)}:4343")]


def reaches(client, port, size=MIB // 4, seconds=60):
    """TCP both ways and a UDP round trip through a client's egress rules."""
    data = os.urandom(size)

    def tcp():
        try:
            with traffic.tcp_connect(client.host, LOOPBACK[4], port) as connection:
                connection.settimeout(20)
                return traffic.exchange(connection, data) == data
        except (OSError, EOFError):
            return False
    waiting.until(tcp, seconds, f"TCP through {client.process.name}, port {port}", every=0.5)
    with traffic.udp_client(client.host, LOOPBACK[4], port) as connection:
        assert traffic.udp_ask(connection, b"ping") == b"ping"


def test_go_and_go_through_apid(scene, mesh, go_nexd, go_nexctl):
    """Upstream's programs among themselves: the embedded control plane is all that they need."""
    service = GoMember(mesh, go_nexd, go_nexctl, rules=SERVICE).start()
    serve(scene, service.host)
    client = GoMember(mesh, go_nexd, go_nexctl, rules=egress_rules(service)).start()
    for port in (8000, 8001):
        reaches(client, port)


def test_our_egress_to_go_ingress(scene, mesh, go_nexd, go_nexctl):
    service = GoMember(mesh, go_nexd, go_nexctl, rules=SERVICE).start()
    serve(scene, service.host)
    client = mesh.member(rules=egress_rules(service)).start()
    for port in (8000, 8001):
        reaches(client, port)


def test_go_egress_to_our_ingress(scene, mesh, go_nexd, go_nexctl):
    service = mesh.member(rules=SERVICE).start()
    serve(scene, service.host)
    client = GoMember(mesh, go_nexd, go_nexctl, rules=egress_rules(service)).start()
    for port in (8000, 8001):
        reaches(client, port)


def test_each_restarts_and_is_the_same_device(scene, mesh, go_nexd, go_nexctl):
    service = GoMember(mesh, go_nexd, go_nexctl, rules=SERVICE).start()
    serve(scene, service.host)
    client = mesh.member(rules=egress_rules(service)).start()
    reaches(client, 8000)
    for end in (service, client):
        before = (end.v4, end.v6)
        end.stop()
        end.start()
        assert (end.v4, end.v6) == before
        reaches(client, 8000)
    assert len(mesh.plane.devices()) == 2


def test_go_nexctl_operates_our_nexd(scene, mesh, go_nexd, go_nexctl):
    ours = mesh.member(flags=["--report-version", go_version(go_nexctl)]).start()
    theirs = GoMember(mesh, go_nexd, go_nexctl).start()
    command = [str(go_nexctl), "nexd", "--unix-socket", str(ours.folder / "nexd.sock")]

    def ctl(*words):
        run = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, f"{words}: {run.stdout} {run.stderr}"
        return run.stdout

    assert "Running" in ctl("status")
    assert ctl("get", "tunnelip").strip() == ours.v4
    assert ctl("get", "tunnelip", "--ipv6").strip() == ours.v6
    ctl("proxy", "add", "--ingress", "tcp:9000:127.0.0.1:80")
    assert "tcp:9000:127.0.0.1:80" in ctl("proxy", "list")
    ctl("proxy", "remove", "--ingress", "tcp:9000:127.0.0.1:80")
    assert "tcp:9000" not in ctl("proxy", "list")
    waiting.until(lambda: theirs.v4 in ctl("peers", "list"), 30, "the Go peer in the list", every=0.5)
    waiting.until(lambda: "Unreachable" not in (said := ctl("peers", "ping")) and "Reachable" in said, 60, "pings", every=0.5)


def go_version(go_nexctl):
    """What the Go nexctl insists that a nexd says."""
    run = subprocess.run([str(go_nexctl), "version"], capture_output=True, text=True, timeout=20)
    return run.stdout.split()[-1]


def test_our_nexctl_operates_a_go_nexd(scene, mesh, go_nexd, go_nexctl):
    theirs = GoMember(mesh, go_nexd, go_nexctl).start()
    ours = mesh.member().start()
    program = nodes.program("nexctl", scene.folder)

    def ctl(*words):
        run = theirs.ctl(*words, program=program)
        assert run.returncode == 0, f"{words}: {run.stdout} {run.stderr}"
        return run.stdout

    assert "Running" in ctl("status")
    assert ctl("get", "tunnelip").strip() == theirs.v4
    ctl("proxy", "add", "--egress", "tcp:8123:100.64.0.99:80")
    assert "tcp:8123:100.64.0.99:80" in ctl("proxy", "list")
    ctl("proxy", "remove", "--egress", "tcp:8123:100.64.0.99:80")
    waiting.until(lambda: ours.v4 in ctl("peers", "list"), 30, "our peer in the list", every=0.5)
    waiting.until(lambda: re.search(rf"{ours.v4} .*\u2713 Reachable", ctl("peers", "ping")), 30, "our peer to be reachable", every=0.5)
    assert ctl("set", "debug", "on") == "Debug logging enabled\n" and ctl("get", "debug") == "on\n"
    for words in (("flows",), ("rules", "stats"), ("top",), ("drain",)):  # which it does not have
        run = theirs.ctl(*words, program=program)
        assert run.returncode == 1 and "can't find method" in run.stderr, (words, run)


@pytest.mark.parametrize("words,wanted", (
    (("user", "get-current"), "alice"), (("organization", "list"), "alice"), (("vpc", "list"), "100.64.0.0/10"),
    (("device", "list"), "100.64.0."), (("security-group", "list"), "vpc"), (("reg-key", "list"), "RK:")))
def test_go_nexctl_asks_apid(scene, mesh, go_nexctl, words, wanted):
    mesh.member().start()
    run = api(mesh, go_nexctl, *words)
    assert run.returncode == 0 and wanted in run.stdout, run.stdout + run.stderr


def api(mesh, go_nexctl, *words):
    command = [go_nexctl, "--service-url", mesh.plane.service_url, "--username", "alice", "--password", "correct horse battery",
               "--output", "json", *words]
    environment = {"PATH": "/usr/bin:/bin", "HOME": mesh.scene.folder, "SSL_CERT_FILE": mesh.plane.public_ca}
    return subprocess.run(["nsenter", f"--net={mesh.plane.host.path}", "--", *with_names(mesh.plane.hosts_file, command)],
                          capture_output=True, text=True, timeout=60, env=environment)


def test_go_nexctl_makes_a_key_with_which_ours_joins(scene, mesh, go_nexctl):
    run = api(mesh, go_nexctl, "reg-key", "create", "--description", "from outside")
    assert run.returncode == 0, run.stdout + run.stderr
    made = json.loads(run.stdout)
    member = mesh.member(key=made["bearer_token"]).start()
    assert member.v4.startswith("100.64.0.")


def test_a_state_folder_is_taken_over_and_handed_back(scene, mesh, go_nexd, go_nexctl):
    """One device, whichever program runs it: key pair, addresses and the rules that were added at run time."""
    theirs = GoMember(mesh, go_nexd, go_nexctl).start()
    assert theirs.ctl("proxy", "add", "--ingress", "tcp:9000:127.0.0.1:80").returncode == 0
    theirs.stop()
    ours = mesh.member(flags=["--state-dir", theirs.folder / "state"], host=theirs.host).start()
    assert (ours.v4, ours.v6) == (theirs.v4, theirs.v6)
    assert "tcp:9000:127.0.0.1:80" in ours.ctl("proxy", "list").stdout
    ours.run_time_rule("egress", "tcp:8000:100.64.0.99:443")
    ours.stop()
    before = theirs.v4
    theirs.start()
    assert theirs.v4 == before
    listed = theirs.ctl("proxy", "list").stdout
    assert "tcp:9000:127.0.0.1:80" in listed and "tcp:8000:100.64.0.99:443" in listed
    assert len(mesh.plane.devices()) == 1
