"""What a control plane can do to a running network by being away, slow, wrong or gone back in time: no member needs a restart, and
traffic between members that are still valid never stops."""
import datetime
import os
import shutil
import subprocess
import threading
import time

import pytest

from lab import node as nodes, traffic, waiting
from lab.mesh import Mesh
from lab.traffic import LOOPBACK

RULES = ["--ingress", "tcp:9000:127.0.0.1:80"]


def serve(scene, member):
    scene.keep(traffic.TcpService(member.host, LOOPBACK[4], 80))


def reaches(client, port=8000):
    try:
        with traffic.tcp_connect(client.host, LOOPBACK[4], port, seconds=5) as connection:
            connection.settimeout(5)
            return traffic.exchange(connection) == b"ping"
    except (OSError, EOFError):
        return False


def soon_reaches(client, seconds=40, port=8000):
    waiting.until(lambda: reaches(client, port), seconds * nodes.slowness(), f"traffic from {client.process.name}", every=0.2)


class Heartbeat:
    """One flow that goes on all the time: a byte each way every 50 ms; `worst` is the longest wait for one."""

    def __init__(self, client, port=8000):
        self.connection = traffic.tcp_connect(client.host, LOOPBACK[4], port)
        self.connection.settimeout(30)
        self.worst, self.beats, self.failure, self.closing = 0.0, 0, None, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.closing.wait(0.05):
                begun = time.monotonic()
                assert traffic.exchange(self.connection, b".") == b"."
                self.worst = max(self.worst, time.monotonic() - begun)
                self.beats += 1
        except (OSError, EOFError, AssertionError) as error:
            self.failure = error

    def close(self):
        self.closing.set()
        self.thread.join(35)
        self.connection.close()

    def assert_steady(self):
        assert self.failure is None and self.beats > 0, self.failure
        assert self.worst < 2 * nodes.slowness(), f"a byte took {self.worst:.1f} s"


@pytest.fixture
def mesh(scene):
    return Mesh(scene)


@pytest.fixture
def pair(scene, mesh):
    """A client whose egress leads to a service."""
    service = mesh.member(rules=RULES).start()
    serve(scene, service)
    client = mesh.member(rules=["--egress", f"tcp:8000:{service.v4}:9000"]).start()
    soon_reaches(client)
    return client, service


@pytest.fixture
def heartbeat(scene, pair):
    return scene.keep(Heartbeat(pair[0]))


def new_member_reaches(mesh, service):
    """Members learn of each other: the control plane works for both."""
    late = mesh.member(rules=["--egress", f"tcp:8000:{service.v4}:9000"]).start()
    soon_reaches(late)
    return late


def test_given_no_control_plane_at_the_first_start_when_it_comes_then_the_member_joins(scene, mesh):
    mesh.plane.stop()
    member = mesh.member(rules=RULES)
    member.launch()
    member.process.wait_line(r"control plane|api\.mesh\.test", 20 * nodes.slowness())
    mesh.plane.start()
    member.notify.wait("READY=1", member.process, 60 * nodes.slowness())
    assert member.tunnel_address(4).startswith("100.64.0.")


def test_given_no_control_plane_when_members_are_restarted_then_the_last_known_network_carries_traffic(mesh, pair):
    client, service = pair
    mesh.plane.stop()
    for member in pair:
        before = member.v4
        member.stop()
        member.start()
        assert member.v4 == before
    soon_reaches(client)
    mesh.plane.start()
    new_member_reaches(mesh, service)


def test_given_a_flow_when_the_control_plane_is_restarted_then_it_goes_on_and_news_arrive(mesh, pair, heartbeat):
    mesh.plane.stop()
    mesh.plane.start()
    new_member_reaches(mesh, pair[1])
    heartbeat.assert_steady()


def test_given_a_flow_when_the_control_plane_is_silent_for_a_while_then_it_goes_on_and_news_arrive(scene, mesh, pair, heartbeat):
    """Connections are half open: packets to and from the control plane's host vanish."""
    scene.network.unplug(mesh.plane.host)
    beats = heartbeat.beats
    waiting.until(lambda: heartbeat.beats > beats + 100, 60, "a hundred beats without a control plane")
    scene.network.plug(mesh.plane.host)
    new_member_reaches(mesh, pair[1])
    heartbeat.assert_steady()


def test_given_a_device_that_is_deleted_remotely_when_it_notices_then_it_is_back_with_another_key(mesh, pair):
    client, service = pair
    before = {device["id"]: device for device in mesh.plane.devices()}
    gone = next(device for device in before.values() if client.v4 in str(device))
    mesh.plane.admin("device", "delete", gone["id"])
    after = waiting.until(lambda: len(found := mesh.plane.devices()) == 2 and found, 60 * nodes.slowness(), "a new device", every=0.2)
    new = next(device for device in after if device["id"] not in before)
    assert new["public_key"] != gone["public_key"]
    soon_reaches(client, 60)


def test_given_a_key_that_was_revoked_when_its_member_is_restarted_then_its_device_token_is_enough(mesh, pair):
    client, _ = pair
    for key in mesh.plane.reg_keys():
        mesh.plane.admin("reg-key", "delete", key["id"])
    before = client.v4
    client.stop()
    client.start()
    assert client.v4 == before
    soon_reaches(client)


def test_given_a_revoked_key_when_a_new_member_wants_to_join_then_it_says_what_to_do_and_ends(mesh):
    key = mesh.plane.reg_key()
    for known in mesh.plane.reg_keys():
        mesh.plane.admin("reg-key", "delete", known["id"])
    member = mesh.member(key=key)
    member.deaths_expected = True
    member.launch()
    assert member.process.wait(30 * nodes.slowness()) == 1
    assert "reg" in member.log() and "key" in member.log()


def test_given_a_backup_from_before_when_it_is_restored_then_members_that_it_knows_go_on_and_others_come_back(mesh, pair, heartbeat):
    client, service = pair
    mesh.plane.stop()
    backup = mesh.plane.folder + "-backup"
    shutil.copytree(mesh.plane.folder, backup)
    mesh.plane.start()
    late = new_member_reaches(mesh, service)
    mesh.plane.stop()
    shutil.rmtree(mesh.plane.folder)
    shutil.copytree(backup, mesh.plane.folder)
    mesh.plane.start()
    waiting.until(lambda: len(mesh.plane.devices()) == 3, 90 * nodes.slowness(), "the late member is registered again", every=0.2)
    soon_reaches(late, 60)
    heartbeat.assert_steady()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl, to make an expired certificate")
def test_given_a_certificate_that_has_expired_when_members_notice_then_they_say_so_and_traffic_goes_on(mesh, pair, heartbeat):
    client, service = pair
    folder = mesh.plane.folder
    certificate, key = expired_certificate(mesh.scene.folder, folder)
    mesh.plane.stop()
    mesh.plane.start("--tls-cert", certificate, "--tls-key", key)
    client.process.wait_line(r"expired", 60 * nodes.slowness())
    heartbeat.assert_steady()
    mesh.plane.stop()
    mesh.plane.start()
    new_member_reaches(mesh, service)
    heartbeat.assert_steady()


def expired_certificate(folder, data):
    """Of the data folder's own authority, and yesterday its last day."""
    def run(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, cwd=folder)
    names = "subjectAltName=DNS:mesh.test,DNS:api.mesh.test,DNS:auth.mesh.test"
    with open(os.path.join(folder, "names.ext"), "w", encoding="ascii") as file:
        file.write(names + "\n")
    run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "old.key")
    run("req", "-new", "-key", "old.key", "-subj", "/CN=api.mesh.test", "-out", "old.csr")
    run("x509", "-req", "-in", "old.csr", "-CA", os.path.join(data, "ca.crt"), "-CAkey", os.path.join(data, "ca.key"),
        "-CAcreateserial", "-CAserial", "old.srl", "-extfile", "names.ext", "-days", "-1", "-out", "old.crt")
    return os.path.join(folder, "old.crt"), os.path.join(folder, "old.key")


@pytest.mark.parametrize("seconds", [600, -600])
def test_given_a_control_plane_whose_clock_is_ten_minutes_off_when_members_log_in_then_all_is_as_ever(scene, seconds):
    """Certificates, tokens and the Date header are of that clock."""
    mesh = Mesh(scene, clock_shift=seconds)
    told = mesh.plane.request("POST", "/device/login/start", "")["server_time"]
    assert abs(datetime.datetime.fromisoformat(told[:19] + "+00:00").timestamp() - time.time() - seconds) < 60
    service = mesh.member(rules=RULES).start()
    serve(scene, service)
    client = mesh.member(rules=["--egress", f"tcp:8000:{service.v4}:9000"])
    path = client.folder / "password"
    path.write_text("correct horse battery\n", encoding="ascii")
    path.chmod(0o600)
    os.chown(path, nodes.UID, nodes.GID)
    client.credentials = ["--username", "alice", "--password-file", path]
    client.start()
    soon_reaches(client)
    client.stop()
    client.start()
    soon_reaches(client)
