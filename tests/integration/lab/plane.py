"""apid by itself, on loopback, and a client that speaks HTTP to it: for tests of the control plane without any node."""
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import urllib.parse

from . import node as nodes, waiting
from .process import Process
from .sealed import open_token

HOST = "nexodus.localhost"
REALM = "/realms/nexodus"
SCOPES = ("openid profile email offline_access read:organizations write:organizations read:users write:users"
          " read:devices write:devices")
PASSWORD = "correct horse battery staple"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def public_key():
    return base64.b64encode(os.urandom(32)).decode()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.text = body.decode()

    @property
    def json(self):
        return json.loads(self.text)

    def __repr__(self):
        return f"{self.status} {self.text[:300]}"


class Stream:
    """An event stream; events are read one by one. Chunks are undone here, so that a time without any can be waited for."""

    def __init__(self, plane, path, watches, token, seconds=10):
        self.seconds, self.sock = seconds, plane.connect(seconds).sock
        body = json.dumps(watches)
        self.sock.sendall((f"POST {path} HTTP/1.1\r\nHost: api.{HOST}\r\nAuthorization: Bearer {token}\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        self.raw, self.text, self.ended, self.decoder = b"", "", False, json.JSONDecoder()
        while b"\r\n\r\n" not in self.raw:
            self._more(seconds)
        head, _, self.raw = self.raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status, self.headers = int(first.split()[1]), dict(line.split(": ", 1) for line in lines)
        self.chunked = self.headers.get("Transfer-Encoding") == "chunked"

    def _more(self, seconds):
        self.sock.settimeout(seconds)
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("cut")
        self.raw += data

    def _unchunk(self):
        """Moves whole chunks into the text."""
        while self.chunked and b"\r\n" in self.raw:
            size, _, rest = self.raw.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                return
            assert rest[length:length + 2] == b"\r\n"
            self.text += rest[:length].decode()
            self.raw, self.ended = rest[length + 2:], length == 0

    def next(self, seconds=None):
        """The next event; EOFError where the stream ends in order, ConnectionError where it is cut."""
        while True:
            self.text = self.text.lstrip()
            try:
                event, end = self.decoder.raw_decode(self.text)
            except ValueError:
                if self.ended:
                    raise EOFError(self.text) from None
                self._unchunk()
                if not self.ended and not self.text.strip():
                    self._more(seconds or self.seconds)
                continue
            self.text = self.text[end:]
            return event

    def until(self, wanted):
        """Reads up to the first event that `wanted` says yes to; returns all."""
        events = []
        while not events or not wanted(events[-1]):
            events.append(self.next())
        return events

    def tails(self, count=1):
        events = []
        while sum(event["type"] == "tail" for event in events) < count:
            events.append(self.next())
        return events

    def quiet(self, seconds):
        """None if nothing comes for so long; what came otherwise."""
        try:
            return f"came: {self.next(seconds)}"
        except TimeoutError:
            return None

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Plane:
    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="apid-")
        self.data = os.path.join(self.folder, "data")
        self.port, self.options, self.process, self.runs = free_port(), options, None, []
        self.start()

    # The program.

    def start(self):
        command = [nodes.BUILD / "bin" / "apid", "--data", self.data, "--host", HOST, "--listen", f"127.0.0.1:{self.port}", *self.options]
        self.process = Process(None, ["setpriv", "--pdeathsig=KILL", "--", *command], "apid",
                               env={"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"})
        self.runs.append(self.process)
        waiting.until(lambda: self.process.stdout_lines or not self.process.running(), 30 * nodes.slowness(), "apid's line")
        assert self.process.stdout_lines == [f"apid is ready: https://api.{HOST}:{self.port}"], self.process.text()
        self.tls = ssl.create_default_context(cafile=os.path.join(self.data, "ca.crt"))

    def stop(self, number=signal.SIGTERM):
        process, self.process = self.process, None
        process.signal(number)
        assert process.wait(20) == (0 if number == signal.SIGTERM else -number), process.text()

    def close(self):
        if self.process:
            self.stop()
        reports = [run.text() for run in self.runs if any(report in run.text() for report in nodes.REPORTS)]
        shutil.rmtree(self.folder)
        assert not reports, reports

    def admin(self, *words):
        run = subprocess.run([nodes.BUILD / "bin" / "apid", "--data", self.data, *words], capture_output=True, text=True, timeout=60,
                             check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def user(self, name):
        path = pathlib.Path(self.folder, "password")
        path.write_text(PASSWORD, encoding="utf-8")
        self.admin("user", "add", name, "--password-file", str(path))
        return name

    def reg_key(self, user, *options):
        return self.admin("reg-key", "create", "--user", user, *options)

    # Requests.

    def connect(self, seconds=10, prefix="api"):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPSConnection(f"{prefix}.{HOST}", self.port, timeout=seconds, context=self.tls)
        connection.sock = self.tls.wrap_socket(sock, server_hostname=f"{prefix}.{HOST}")
        return connection

    def request(self, method, path, token=None, body=None, headers=(), prefix="api"):
        """`body`: text as it is, anything else as JSON. `token` goes into a Bearer header."""
        headers = dict(headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = self.connect(20 * nodes.slowness(), prefix)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def form(self, path, fields, headers=()):
        return self.request("POST", REALM + path, body=urllib.parse.urlencode(fields), prefix="auth",
                            headers={"Content-Type": "application/x-www-form-urlencoded", **dict(headers)})

    def login(self, name, scope=SCOPES, password=PASSWORD):
        return self.form("/protocol/openid-connect/token", {"client_id": "nexodus-cli", "grant_type": "password", "username": name,
                                                            "password": password, "scope": scope})

    def token(self, name):
        answer = self.login(name)
        assert answer.status == 200, answer
        return answer.json["access_token"]

    def vpc_of(self, token):
        return self.request("GET", "/api/users/me", token).json["id"]

    def join(self, token, vpc, hostname="node", **more):
        """A device and its opened token."""
        body = {"vpc_id": vpc, "public_key": public_key(), "hostname": hostname, "os": "linux", "relay": False, "symmetric_nat": False,
                "endpoints": [{"source": "local", "address": "192.0.2.1:1"}, {"source": "stun:", "address": "192.0.2.1:1"}], **more}
        answer = self.request("POST", "/api/devices", token, body)
        assert answer.status == 201, answer
        return answer.json, open_token(answer.json["bearer_token"], body["public_key"])

    def watch(self, token, watches, path="/api/events", seconds=10):
        return Stream(self, path, watches, token, seconds * nodes.slowness())

    def memory_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
