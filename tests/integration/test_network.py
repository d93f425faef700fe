"""A Nexodus network end to end: members that join apid with a registration key, and what goes between them."""
import http.client
import http.cookies
import itertools
import json
import os
import re
import socket
import ssl
import time
import urllib.parse

import pytest

from lab import node as nodes, traffic, waiting
from lab.mesh import NAME, PORT, Mesh
from lab.traffic import LOOPBACK

FAMILIES = list(itertools.product((4, 6), (4, 6)))


@pytest.fixture
def mesh(scene):
    return Mesh(scene)


def tcp_answers(client, port, address=LOOPBACK[4]):
    try:
        with traffic.tcp_connect(client.host, address, port, seconds=5) as connection:
            connection.settimeout(5)
            return traffic.exchange(connection) == b"ping"
    except (OSError, EOFError):
        return False


def soon(condition, what, seconds=30):
    return waiting.until(condition, seconds * nodes.slowness(), what, every=0.02)


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def address_of(member, family):
    return member.v4 if family == 4 else member.v6


def with_password(mesh, member, password="correct horse battery"):
    """The member logs in as alice."""
    path = member.folder / "password"
    path.write_text(password + "\n", encoding="ascii")
    path.chmod(0o600)
    os.chown(path, nodes.UID, nodes.GID)
    member.credentials = ["--username", "alice", "--password-file", path]
    return member


class Person:
    """Somebody with a browser on the control plane's host."""

    def __init__(self, mesh):
        self.plane, self.cookies = mesh.plane, {}
        self.tls = ssl.create_default_context(cafile=mesh.plane.public_ca)

    def _request(self, method, target, body=None):
        sock = self.plane.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(20)
        sock.connect((self.plane.host.v4, PORT))
        connection = http.client.HTTPSConnection(f"auth.{NAME}", PORT, timeout=20, context=self.tls)
        connection.sock = self.tls.wrap_socket(sock, server_hostname=f"auth.{NAME}")
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            for name, morsel in http.cookies.SimpleCookie(answer.headers.get("Set-Cookie", "")).items():
                self.cookies[name] = morsel.value
            return answer.read().decode()
        finally:
            connection.close()

    def decide(self, url, decision, password="correct horse battery"):
        parts = urllib.parse.urlsplit(url)
        page = self._request("GET", f"{parts.path}?{parts.query}")
        fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', page))
        fields.update(username="alice", password=password, decision=decision)
        return self._request("POST", parts.path, urllib.parse.urlencode(fields))


@pytest.mark.parametrize("through, destination", FAMILIES)
def test_given_two_members_when_tcp_and_udp_are_sent_by_rules_then_both_arrive_in_both_families(scene, mesh, through, destination):
    target = bracketed(LOOPBACK[destination])
    b = mesh.member(rules=["--ingress", f"tcp:9000:{target}:80", "--ingress", f"udp:9001:{target}:53"]).start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[destination], 80))
    scene.keep(traffic.UdpService(b.host, LOOPBACK[destination], 53))
    far = bracketed(address_of(b, through))
    a = mesh.member(rules=["--egress", f"tcp:8000:{far}:9000", "--egress", f"udp:8001:{far}:9001"]).start()
    soon(lambda: tcp_answers(a, 8000), "TCP from a to b")
    with traffic.udp_client(a.host, LOOPBACK[4], 8001) as sock:
        assert traffic.udp_ask(sock, b"one") == b"one"
        assert traffic.udp_ask(sock, traffic.BLOCK[:8000]) == traffic.BLOCK[:8000]


def test_given_a_service_in_the_mesh_when_a_member_starts_then_the_first_traffic_takes_less_than_two_seconds(scene, mesh):
    b = mesh.member(rules=["--ingress", "tcp:9000:127.0.0.1:80"]).start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    a = mesh.member(rules=["--egress", f"tcp:8000:{b.v4}:9000"])
    begun = time.monotonic()
    a.launch()
    waiting.until(lambda: tcp_answers(a, 8000), 20 * nodes.slowness(), "traffic", every=0.01)
    took = time.monotonic() - begun
    assert took < 2 * nodes.slowness(), f"{took:.2f} s"


def test_given_a_member_that_is_restarted_when_it_is_back_then_it_is_the_same_device_at_the_same_addresses(mesh):
    member = mesh.member().start()
    before, devices = (member.v4, member.v6), mesh.plane.devices()
    member.stop()
    member.start()
    assert (member.v4, member.v6) == before
    assert [device["id"] for device in mesh.plane.devices()] == [device["id"] for device in devices]


def test_given_a_rule_with_a_members_host_name_when_used_then_it_leads_to_that_member(scene, mesh):
    b = mesh.member(rules=["--ingress", "tcp:9000:127.0.0.1:80"]).start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    assert [device["hostname"] for device in mesh.plane.devices()] == [b.hostname]
    a = mesh.member(rules=["--egress", f"tcp:8000:{b.hostname}:9000"]).start()
    soon(lambda: tcp_answers(a, 8000), "TCP to the member by its name")


def test_given_two_members_when_operators_ask_then_status_peers_and_pings_tell_of_the_network(mesh):
    b = mesh.member(rules=["--ingress", "tcp:9000:127.0.0.1:80"]).start()
    a = mesh.member(rules=["--egress", f"tcp:8000:{b.v4}:9000"]).start()
    mesh.scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    status = soon(lambda: (run := a.ctl("status")).returncode == 0 and "Running" in run.stdout and run.stdout, "status")
    assert status.startswith("Status: Running\n")
    pings = soon(lambda: (text := a.ctl("peers", "ping").stdout) and "Reachable" in text and "Unreachable" not in text and text,
                 "a reachable peer")
    assert b.v4 in pings and b.hostname in pings
    assert any(method in pings for method in ("direct-local", "reflexive", "local-unproven")), pings
    assert b.v4 + "/32" in a.ctl("peers", "list", "--full").stdout
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        assert f"| {b.hostname} " in a.ctl("flows").stdout


def test_given_a_member_that_leaves_when_its_device_is_deleted_then_the_others_forget_it(mesh):
    b = mesh.member().start()
    a = mesh.member().start()
    soon(lambda: b.v4 + "/32" in a.ctl("peers", "list", "--full").stdout, "the peer")
    b.stop()
    mine = [device["id"] for device in mesh.plane.devices() if b.v4 in json.dumps(device)]
    mesh.plane.admin("device", "delete", mine[0])
    soon(lambda: b.v4 + "/32" not in a.ctl("peers", "list", "--full").stdout, "the peer is gone")


def test_given_a_single_use_key_when_a_second_member_uses_it_then_it_says_what_to_do_and_ends(mesh):
    key = mesh.plane.reg_key("--single-use")
    mesh.member(key=key).start()
    second = mesh.member(key=key)
    second.launch()
    assert second.process.wait(20 * nodes.slowness()) == 1
    assert "create a new key" in second.process.text()
    second.process = None
    second.notify.close()


@pytest.mark.parametrize("role", ["ctld", "proxyd", "tunneld"])
def test_given_a_flow_when_a_process_of_a_member_dies_then_traffic_is_back_and_only_tunneld_costs_the_flow(scene, mesh, role):
    b = mesh.member(rules=["--ingress", "tcp:9000:127.0.0.1:80"]).start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    a = mesh.member(rules=["--egress", f"tcp:8000:{b.v4}:9000"]).start()
    soon(lambda: tcp_answers(a, 8000), "TCP from a to b")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        assert traffic.exchange(connection) == b"ping"
        a.kill_child(role)
        if role != "tunneld":
            assert traffic.exchange(connection) == b"ping"
    soon(lambda: tcp_answers(a, 8000), f"traffic after the death of {role}")
    assert a.tunnel_address(4) == a.v4
    assert len(mesh.plane.devices()) == 2


def test_given_a_user_and_a_password_when_started_then_the_member_joins_and_a_restart_needs_no_login(mesh):
    member = with_password(mesh, mesh.member()).start()
    before = member.v4
    member.stop()
    member.start()
    assert member.v4 == before
    assert len(mesh.plane.devices()) == 1


def test_given_a_wrong_password_when_started_then_it_says_so_and_ends(mesh):
    member = with_password(mesh, mesh.member(), "wrong horse battery")
    member.launch()
    assert member.process.wait(20 * nodes.slowness()) == 1
    assert "--password" in member.process.text()
    member.process = None
    member.notify.close()


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_no_credentials_when_started_then_a_person_decides_in_a_browser(mesh, decision):
    member = mesh.member()
    member.credentials = []
    member.launch()
    prompt = soon(lambda: re.search(r"https://auth\S+user_code=\S+", "\n".join(member.process.stdout_lines)), "the prompt")
    status = member.ctl("status").stdout
    assert status.startswith("Status: WaitingForAuth\nYour device must be registered with Nexodus.\nYour one-time code is: ")
    assert prompt.group(0) in status
    Person(mesh).decide(prompt.group(0), decision)
    if decision == "approve":
        member.notify.wait("READY=1", member.process, 30 * nodes.slowness())
        assert member.tunnel_address(4)
        soon(lambda: "Authentication succeeded." in member.process.stdout_lines, "the word of it")
    else:
        soon(lambda: "refused in the browser" in member.process.text(), "what came of it")
        assert not mesh.plane.devices()
