"""Joining as a user: by name and password, by a code that a person enters in a browser, and again without either."""
import http.client
import re
import socket
import ssl
import urllib.parse

import pytest

from lab import node as nodes, traffic, waiting
from lab.mesh import NAME, PORT, Mesh
from lab.traffic import LOOPBACK

PASSWORD = "correct horse battery"


@pytest.fixture
def mesh(scene):
    return Mesh(scene)


def user_member(mesh, *credentials, rules=()):
    member = mesh.member(rules=rules)
    member.credentials = list(credentials)
    return member


def password_file(mesh, member, text=PASSWORD):
    path = member.folder / "password"
    path.write_text(text + "\n", encoding="ascii")
    path.chmod(0o600)
    nodes.os.chown(path, nodes.UID, nodes.GID)
    return path


class Browser:
    """A person's, on the control plane's host."""

    def __init__(self, mesh):
        self.mesh, self.cookie = mesh, None

    def request(self, method, url, fields=None):
        parts = urllib.parse.urlsplit(url)
        context = ssl.create_default_context(cafile=self.mesh.plane.ca)
        raw = self.mesh.plane.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        raw.settimeout(20)
        raw.connect((self.mesh.plane.host.v4, PORT))
        connection = http.client.HTTPSConnection(parts.hostname, PORT, timeout=20, context=context)
        connection.sock = context.wrap_socket(raw, server_hostname=parts.hostname)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.getheader("Set-Cookie"):
            self.cookie = answer.getheader("Set-Cookie").split(";")[0]
        connection.close()
        return answer.status, text

    def decide(self, url, decision):
        """Opens the page, fills the form in as alice, and sends it."""
        status, page = self.request("GET", url)
        assert status == 200, page
        fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', page))
        status, text = self.request("POST", url.split("?")[0], {
            "token": fields["token"], "user_code": fields["user_code"], "username": "alice", "password": PASSWORD,
            "decision": decision})
        assert status == 200, text


def prompted_url(member):
    """The address that nexd asks a person to open."""
    def found():
        assert member.process.running(), member.process.text()
        return next((line for line in member.process.stdout_lines if line.startswith(f"https://auth.{NAME}")), None)
    return waiting.until(found, 20 * nodes.slowness(), "the address on standard output")


def test_given_a_name_and_a_password_when_started_then_it_joins_and_stays_the_same_device(scene, mesh):
    service = mesh.member(rules=["--ingress", "tcp:9000:127.0.0.1:80"]).start()
    scene.keep(traffic.TcpService(service.host, LOOPBACK[4], 80))
    member = user_member(mesh, rules=["--egress", f"tcp:8000:{service.v4}:9000"])
    member.credentials = ["--username", "alice", "--password-file", password_file(mesh, member)]
    member.start()
    with traffic.tcp_connect(member.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
    before = member.v4
    member.stop()
    member.start()
    assert member.v4 == before and len(mesh.plane.devices()) == 2
    assert PASSWORD not in member.log()


def test_given_a_wrong_password_when_started_then_it_says_so_and_ends(mesh):
    member = user_member(mesh)
    member.credentials = ["--username", "alice", "--password-file", password_file(mesh, member, "wrong horse")]
    member.deaths_expected = True
    member.launch()
    assert member.process.wait(30 * nodes.slowness()) == 1
    assert "password" in member.log() and "wrong horse" not in member.log()


def test_given_neither_key_nor_name_when_a_person_approves_then_it_joins(mesh):
    member = user_member(mesh)
    member.launch()
    url = prompted_url(member)
    said = member.ctl("status").stdout
    assert "WaitingForAuth" in said and url in said
    Browser(mesh).decide(url, "approve")
    member.notify.wait("READY=1", member.process, 30 * nodes.slowness())
    assert member.tunnel_address(4).startswith("100.64.0.")
    assert len(mesh.plane.devices()) == 1


def test_given_a_person_who_denies_when_started_then_it_says_so(mesh):
    member = user_member(mesh)
    member.deaths_expected = True
    member.launch()
    Browser(mesh).decide(prompted_url(member), "deny")
    member.process.wait_line(r"refused in the browser", 30 * nodes.slowness())


def test_given_a_login_that_is_kept_when_restarted_then_nobody_is_asked_again(mesh):
    member = user_member(mesh)
    member.launch()
    Browser(mesh).decide(prompted_url(member), "approve")
    member.notify.wait("READY=1", member.process, 30 * nodes.slowness())
    before = member.tunnel_address(4)
    member.stop()
    member.start()
    assert member.v4 == before
    assert not any("code" in line for line in member.process.stdout_lines)
