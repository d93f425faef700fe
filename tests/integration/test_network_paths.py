"""A network's ways: how members reach the control plane through an HTTP proxy, and each other through a relay, by name, and at addresses
that they were told to have or that change."""
import base64
import select
import socket
import threading

import pytest

from lab import node as nodes, traffic, waiting
from lab.mesh import NAME, PORT, Mesh
from lab.plane import public_key
from lab.traffic import LOOPBACK
from test_control_plane_faults import Heartbeat, reaches, serve, soon_reaches

RULES = ["--ingress", "tcp:9000:127.0.0.1:80"]


@pytest.fixture
def mesh(scene):
    return Mesh(scene)


def soon(condition, what, seconds=30):
    return waiting.until(condition, seconds * nodes.slowness(), what, every=0.05)


def device_of(mesh, member):
    return next(device for device in mesh.plane.devices() if member.v4 in str(device["ipv4_tunnel_ips"]))


def egress_to(target):
    return ["--egress", f"tcp:8000:{target}:9000"]


class Relay:
    """A WireGuard relay, as a device of the VPC: the kernel forwards between its peers, which never hear of each other's addresses."""

    def __init__(self, scene, mesh):
        self.mesh, self.end = mesh, scene.kernel_end(host=scene.host("r"))
        outer = f"{self.end.host.v4}:{self.end.port}"
        vpc = mesh.plane.request("GET", "/api/reg-keys/me", mesh.key)["vpc_id"]
        device = mesh.plane.request("POST", "/api/devices", mesh.key, {
            "vpc_id": vpc, "public_key": self.end.key.public, "hostname": "relay", "os": "linux", "relay": True, "symmetric_nat": False,
            "endpoints": [{"source": "local", "address": outer}, {"source": "stun:", "address": outer}]})
        mesh.plane.request("PUT", f"/api/devices/{device['id']}/metadata/relay", mesh.key, {"type": "wireguard"})
        self.end.v4, self.end.v6 = (device[f"ipv{family}_tunnel_ips"][0]["address"] for family in (4, 6))
        self.end.host.sysctl("net/ipv4/ip_forward", 1)
        self.end.host.sysctl("net/ipv6/conf/all/forwarding", 1)
        self.end.start()
        self.end.host.ip("-4", "route", "add", "100.64.0.0/10", "dev", self.end.device)
        self.end.host.ip("-6", "route", "add", "200::/64", "dev", self.end.device)

    def admit(self, member):
        """Speaks first: the member's own first word was lost, as nobody knew it then, and its next one comes after 5 s."""
        device = device_of(self.mesh, member)
        self.end.wg("set", self.end.device, "peer", device["public_key"], "allowed-ips", f"{member.v4}/32,{member.v6}/128", "endpoint",
                    device["endpoints"][0]["address"], "persistent-keepalive", "1")

    def carried_bytes(self):
        return [int(line.split("\t")[1]) for line in self.end.wg("show", self.end.device, "transfer").splitlines()]


@pytest.mark.slow
def test_given_members_that_go_by_relays_only_when_there_is_one_then_it_carries_their_traffic(scene, mesh):
    relay = Relay(scene, mesh)
    b = mesh.member(rules=RULES, flags=["--relay-only"]).start()
    serve(scene, b)
    relay.admit(b)
    a = mesh.member(rules=[*egress_to(b.v4), "--egress", f"tcp:8001:[{b.v6}]:9000"], flags=["--relay-only"]).start()
    relay.admit(a)
    soon_reaches(a)
    soon_reaches(a, port=8001)
    pings = soon(lambda: (text := a.ctl("peers", "ping").stdout) and "via-relay" in text and "Unreachable" not in text and text, "pings")
    assert b.v4 in pings and "relay-node-peer" in pings, pings
    listed = a.ctl("peers", "list", "--full").stdout
    assert device_of(mesh, b)["public_key"] not in listed and relay.end.key.public in listed
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as connection:
        connection.settimeout(20)
        before = relay.carried_bytes()
        assert traffic.exchange(connection, traffic.BLOCK) == traffic.BLOCK
    assert all(now - then > len(traffic.BLOCK) for now, then in zip(relay.carried_bytes(), before))


def test_given_addresses_on_the_command_line_when_a_member_joins_then_the_network_knows_them(scene, mesh):
    host = scene.host("m")
    host.add_address("10.99.0.77", 24)
    b = mesh.member(host=host, rules=RULES, flags=["--request-ip", "100.64.3.7", "--listen-port", "41999", "--local-endpoint-ip", "10.99.0.77"])
    b.start()
    serve(scene, b)
    assert b.v4 == "100.64.3.7"
    soon(lambda: [end["address"] for end in device_of(mesh, b)["endpoints"]] == ["10.99.0.77:41999", f"{host.v4}:41999"], "both endpoints")
    a = mesh.member(rules=egress_to(b.v4)).start()
    soon_reaches(a)


def test_given_a_nat_with_a_port_for_each_destination_when_a_member_joins_then_everybody_is_told(mesh):
    mesh.plane.stun[1].shift = 1
    member = mesh.member().start()
    soon(lambda: device_of(mesh, member)["symmetric_nat"], "word of the symmetric NAT")
    assert "relay node is required but not present" in member.ctl("peers", "list").stderr


def test_given_a_rule_with_a_host_name_when_that_member_comes_back_at_another_address_then_the_rule_follows(scene, mesh):
    b = mesh.member(rules=RULES)
    b.hostname = "service-b"
    b.start()
    serve(scene, b)
    a = mesh.member(rules=egress_to("service-b")).start()
    soon_reaches(a)
    before, device = b.v4, device_of(mesh, b)
    assert device["hostname"] == "service-b"
    b.stop()
    mesh.plane.admin("device", "delete", device["id"])
    stranger = mesh.plane.request("POST", "/api/devices", mesh.key, {
        "vpc_id": device["vpc_id"], "public_key": public_key(), "hostname": "stranger", "os": "linux",
        "ipv4_tunnel_ips": [{"address": before, "cidr": "100.64.0.0/10"}],
        "endpoints": [{"source": "local", "address": "10.99.0.250:1"}, {"source": "stun:", "address": "10.99.0.250:1"}]})
    assert stranger["ipv4_tunnel_ips"][0]["address"] == before
    b.start()
    soon(lambda: b.tunnel_address(4) != before, "another address")
    soon_reaches(a, 60)


def test_given_a_key_that_names_its_service_when_it_is_all_there_is_then_the_member_joins(mesh):
    member = mesh.member(key=f"{mesh.plane.service_url}/#{mesh.key}")
    words = member.command()
    at = words.index("--service-url")
    member.command = lambda: words[:at] + words[at + 2:]
    assert member.start().v4


class HttpProxy:
    """Connects to whatever is asked for with a user and a password, by way of its own table of names."""

    def __init__(self, host, names, user="user:secret"):
        self.host, self.names, self.asked = host, names, []
        self.wanted = "Basic " + base64.b64encode(user.encode()).decode()
        self.listener = host.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.bind((host.v4, 3128))
        self.listener.listen()
        self.open = [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(4096)
                if not data:
                    return
                head += data
            first, *lines = head.decode("ascii").split("\r\n")
            method, target, _ = first.split()
            headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            self.asked.append((method, target, headers.get("proxy-authorization") == self.wanted.lower()))
            name, port = target.rsplit(":", 1)
            server = self.host.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.open.append(server)
            server.connect((self.names[name], int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while True:
                for sock in select.select([client, server], [], [])[0]:
                    data = sock.recv(65536)
                    if not data:
                        return
                    (server if sock is client else client).sendall(data)
        except OSError:
            pass
        finally:
            client.close()

    def close(self):
        for sock in self.open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


def test_given_an_http_proxy_when_it_is_the_only_way_to_the_control_plane_then_the_member_joins_through_it(scene, mesh):
    names = {f"{part}.{NAME}": mesh.plane.host.v4 for part in ("api", "auth")}
    proxy = scene.keep(HttpProxy(scene.host("p"), names))
    member = mesh.member(rules=RULES, environment={"HTTPS_PROXY": f"http://user:secret@{proxy.host.v4}:3128"})
    member.host.ip("route", "add", "blackhole", f"{mesh.plane.host.v4}/32")
    serve(scene, member.start())
    assert set(proxy.asked) == {("CONNECT", f"api.{NAME}:{PORT}", True)}
    assert "secret" not in member.log()
    a = mesh.member(rules=egress_to(member.v4)).start()
    soon_reaches(a)


def test_given_a_host_that_needs_no_proxy_when_there_is_one_then_the_member_joins_without_it(scene, mesh):
    member = mesh.member(environment={"HTTPS_PROXY": "http://192.0.2.1:3128", "NO_PROXY": f"localhost,.{NAME}"})
    assert member.start().v4


@pytest.mark.slow
def test_given_a_flow_when_a_members_host_gets_another_address_then_it_goes_on_and_the_network_learns_the_address(scene, mesh):
    b = mesh.member(rules=RULES).start()
    serve(scene, b)
    a = mesh.member(rules=egress_to(b.v4)).start()
    soon_reaches(a)
    heartbeat = scene.keep(Heartbeat(a))
    waiting.until(lambda: heartbeat.beats > 5, 20, "beats")
    a.host.sysctl("net/ipv4/conf/all/promote_secondaries", 1)  # the second address stays when the first one goes
    a.host.add_address("10.99.0.200", 24)
    a.host.remove_address(a.host.v4, 24)
    waiting.until(lambda: "10.99.0.200:" in str(device_of(mesh, a)["endpoints"]), 90 * nodes.slowness(), "the new address at the control plane", every=0.5)
    beats = heartbeat.beats
    waiting.until(lambda: heartbeat.beats > beats + 5, 20, "more beats")
    heartbeat.assert_steady()
    assert reaches(a)
