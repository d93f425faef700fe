"""A Nexodus network in the lab: apid on a host of its own, two STUN servers beside it, and members that join by a registration key."""
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess

from . import node as nodes, waiting
from .node import Node
from .process import Process
from .stun import StunServer

NAME, PORT = "mesh.test", 8443
STUN_PORTS = (3478, 3479)
# Names in namespaces of the program's own; what the host knows stays as it is.
WITH_NAMES = 'mount --bind "$1" /etc/hosts && echo "$0" >/proc/sys/kernel/hostname && shift && exec "$@"'


def with_names(hosts_file, command, hostname="member"):
    return ["unshare", "--mount", "--uts", "--propagation", "private", "--", "sh", "-c", WITH_NAMES, hostname, str(hosts_file),
            *map(str, command)]


class ControlPlane:
    """apid. `folder` is its data folder; everything is on one host of the scene. Its wall clock is off by `clock_shift` seconds."""

    def __init__(self, scene, clock_shift=0):
        self.scene, self.host = scene, scene.host("api")
        self.environment = {"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"}
        if clock_shift:
            self.shift_clock(clock_shift)
        self.folder = os.path.join(scene.folder, "apid")
        self.service_url = f"https://{NAME}:{PORT}"
        self.hosts_file = os.path.join(scene.folder, "hosts")
        with open(self.hosts_file, "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n::1 localhost\n")
            file.write(f"{self.host.v4} {NAME} api.{NAME} auth.{NAME}\n")
        self.process = None
        self.runs = []
        self.stun = [scene.keep(StunServer(self.host, self.host.v4, port)) for port in STUN_PORTS]
        scene.keep(self)

    def shift_clock(self, seconds):
        library = os.path.join(self.scene.folder, "clock_shift.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-O1", "-o", library, pathlib.Path(__file__).with_name("clock_shift.c"), "-ldl"],
                       check=True)
        self.environment.update(LD_PRELOAD=library, NEXD_TEST_CLOCK_SHIFT=str(seconds), ASAN_OPTIONS="detect_leaks=0:verify_asan_link_order=0")

    @property
    def ca(self):
        return os.path.join(self.folder, "ca.crt")

    @property
    def stun_flags(self):
        return [word for port in STUN_PORTS for word in ("--stun-server", f"{self.host.v4}:{port}")]

    def start(self, *options):
        command = [nodes.program("apid", self.scene.folder), "--listen", f"0.0.0.0:{PORT}", "--host", NAME, "--data", self.folder]
        self.process = Process(self.host, ["setpriv", "--pdeathsig=KILL", "--", *command, *options], "apid",
                               env=self.environment)
        self.runs.append(self.process)
        waiting.until(lambda: self.process.stdout_lines or not self.process.running(), 20 * nodes.slowness(), "apid's line")
        assert self.process.running(), self.process.text()
        # Members run as another user, who may not enter the data folder.
        public = os.path.join(self.scene.folder, "ca.crt")
        with open(self.ca, "rb") as source, open(public, "wb") as target:
            target.write(source.read())
        os.chmod(public, 0o644)
        self.public_ca = public
        return self

    def stop(self, number=signal.SIGTERM):
        process, self.process = self.process, None
        process.signal(number)
        process.wait(10)

    def close(self):
        if self.process:
            self.stop()
        for run in self.runs:
            assert not any(report in run.text() for report in nodes.REPORTS), run.text()

    def admin(self, *words):
        command = [str(nodes.program("apid", self.scene.folder)), "--data", self.folder, *map(str, words)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment)
        assert run.returncode == 0, f"apid {' '.join(map(str, words))}: {run.stderr}"
        return run.stdout.strip()

    def request(self, method, path, token, body=None):
        """A request to the API, from its own host; what it answers."""
        sock = self.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(20)
        sock.connect((self.host.v4, PORT))
        trusting = ssl.create_default_context(cafile=self.public_ca)
        connection = http.client.HTTPSConnection(f"api.{NAME}", PORT, timeout=20, context=trusting)
        connection.sock = trusting.wrap_socket(sock, server_hostname=f"api.{NAME}")
        try:
            connection.request(method, path, body and json.dumps(body), {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            text = answer.read().decode()
            assert 200 <= answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return json.loads(text)
        finally:
            connection.close()

    def user(self, name="alice", password="correct horse battery"):
        path = os.path.join(self.scene.folder, f"password-{name}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(password + "\n")
        os.chmod(path, 0o644)
        self.admin("user", "add", name, "--password-file", path)
        return path

    def reg_key(self, *words):
        return self.admin("reg-key", "create", *words)

    def reg_keys(self):
        return json.loads(self.admin("reg-key", "list", "--output", "json"))

    def devices(self):
        return json.loads(self.admin("device", "list", "--output", "json"))


class Member(Node):
    """Our nexd, joined to a control plane. Its tunnel addresses are known once it is ready."""

    def __init__(self, host, number, folder, plane, credentials=(), rules=(), flags=(), **options):
        super().__init__(host, number, folder, rules, flags=flags, **options)
        self.plane, self.credentials = plane, list(credentials)
        self.hostname = f"member{number}"
        self.wrap = lambda command: with_names(plane.hosts_file, command, self.hostname)

    def key_file(self, text):
        path = self.folder / "reg-key"
        path.write_text(text + "\n", encoding="ascii")
        path.chmod(0o600)
        os.chown(path, nodes.UID, nodes.GID)
        self.credentials = ["--reg-key-file", path]
        return self

    def command(self):
        state = [] if "--state-dir" in self.flags else ["--state-dir", self.folder / "state"]
        return [nodes.program("nexd", self.folder.parent), "--unix-socket", self.folder / "nexd.sock", *state, "--service-url", self.plane.service_url, "--ca-file", self.plane.public_ca,
                *self.plane.stun_flags, *self.credentials, *self.flags, "proxy", *self.rules]

    def ctl(self, *words):
        """`nexctl nexd WORDS`, with this node."""
        command = [str(nodes.program("nexctl", self.folder.parent)), "nexd", "--unix-socket", str(self.folder / "nexd.sock")]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)

    def tunnel_address(self, family, seconds=20):
        words = ["get", "tunnelip"] + (["--ipv6"] if family == 6 else [])
        return waiting.until(lambda: (run := self.ctl(*words)).returncode == 0 and run.stdout.strip(), seconds * nodes.slowness(),
                             f"tunnel address of {self.process.name}")

    def start(self, seconds=20):
        super().start(seconds)
        self.v4, self.v6 = self.tunnel_address(4), self.tunnel_address(6)
        return self

    def run_time_rule(self, direction, rule):
        run = self.ctl("proxy", "add", f"--{direction}", rule)
        assert run.returncode == 0, run.stderr


class Mesh:
    """apid with one user, and what joins it."""

    def __init__(self, scene, *apid_options, clock_shift=0):
        self.scene = scene
        self.plane = ControlPlane(scene, clock_shift).start(*apid_options)
        self.plane.user()
        self.key = self.plane.reg_key()

    def member(self, rules=(), flags=(), key=None, host=None, **options):
        number = len(self.scene.ends) + 1
        member = Member(host or self.scene.host("m"), number, os.path.join(self.scene.folder, f"node{number}"), self.plane, rules=rules,
                        flags=flags, **options)
        self.scene.ends.append(member)
        return member.key_file(key or self.key)

