"""A node: nexd in static mode, as a user without rights, in its own namespace."""
import os
import pathlib
import re
import shutil
import signal
import subprocess

from . import proc, waiting
from .process import GID, UID, NotifySocket, Process, unprivileged

BUILD = pathlib.Path(os.environ.get("NEXD_BUILD", pathlib.Path(__file__).parents[3] / "build")).resolve()
ROLES = ("tunneld", "proxyd", "ctld")
# A sanitizer's report, in whichever process, fails the test in whose course it came.
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "DEADLYSIGNAL", "sanitizer-ABRT")


def sanitized():
    """The programs under test are an ASan+UBSan build: correct, but slow and large."""
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and "NEXD_SANITIZE:BOOL=ON" in cache.read_text(encoding="utf-8")


def slowness():
    """What to multiply time limits of single operations with."""
    return 5 if sanitized() else 1


def program(name, scratch):
    """The path of a program of the build, one that a user without rights can reach."""
    wanted = BUILD / "bin" / name
    parents = [p for p in wanted.parents if not p.stat().st_mode & 0o001]
    if not parents:
        return wanted
    copy = pathlib.Path(scratch) / "programs"
    if not copy.exists():
        for part in ("bin", "libexec"):
            shutil.copytree(BUILD / part, copy / part)
    return copy / "bin" / name


class Key:
    """A WireGuard key pair, as text."""

    def __init__(self):
        self.private = self._wg("genkey")
        self.public = self._wg("pubkey", self.private)

    @staticmethod
    def _wg(word, text=None):
        return subprocess.run(["wg", word], input=text, check=True, capture_output=True, text=True).stdout.strip()

    @staticmethod
    def preshared():
        return Key._wg("genpsk")


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class End:
    """What both kinds of ends have in common: a host, keys, addresses in the tunnel, and the peers they know."""

    def __init__(self, host, number, port=51820):
        self.host, self.key, self.port = host, Key(), port
        self.v4, self.v6 = f"100.64.0.{number}", f"fd64::{number}"
        self.peers = []

    def tunnel(self, family):
        return self.v6 if family == 6 else self.v4

    def know(self, other, family=4, preshared=None, keepalive=None, dial=True):
        """Makes `other` a peer, dialled at its host's address of that family. `keepalive` in seconds."""
        self.peers.append({"end": other, "preshared": preshared, "keepalive": keepalive,
                           "endpoint": endpoint(other.host.outer(family), other.port) if dial else None,
                           "allowed": f"{other.v4}/32, {other.v6}/128"})

    def configuration(self, addresses=True, mtu=None):
        lines = ["[Interface]", f"PrivateKey = {self.key.private}", f"ListenPort = {self.port}"]
        if addresses:
            lines.append(f"Address = {self.v4}/32, {self.v6}/128")
        if mtu:
            lines.append(f"MTU = {mtu}")
        for peer in self.peers:
            lines += ["", "[Peer]", f"PublicKey = {peer['end'].key.public}", f"AllowedIPs = {peer['allowed']}"]
            if peer["preshared"]:
                lines.append(f"PresharedKey = {peer['preshared']}")
            if peer["endpoint"]:
                lines.append(f"Endpoint = {peer['endpoint']}")
            if peer["keepalive"]:
                lines.append(f"PersistentKeepalive = {peer['keepalive']}")
        return "\n".join(lines) + "\n"


class Node(End):
    """`folder` is readable by the node's user only; `rules` are the words after `proxy`."""

    def __init__(self, host, number, folder, rules=(), mtu=None, environment=None, wrap=None, flags=()):
        super().__init__(host, number)
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o700)
        os.chown(self.folder, UID, GID)
        self.rules, self.mtu, self.environment, self.flags = list(rules), mtu, dict(environment or {}), list(flags)
        self.wrap = wrap or (lambda command: command)
        self.executable = None  # in place of the build's
        self.process = None
        self.runs = []
        self.deaths_expected = False

    def write_configuration(self, text=None):
        path = self.folder / "wg.conf"
        path.write_text(text or self.configuration(mtu=self.mtu), encoding="utf-8")
        path.chmod(0o600)
        os.chown(path, UID, GID)
        return path

    def command(self):
        config = self.write_configuration()
        return [self.executable or program("nexd", self.folder.parent), "--wireguard-config", config, "--unix-socket",
                self.folder / "nexd.sock", *self.flags, "proxy", *self.rules]

    def launch(self):
        """Starts without waiting."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "NOTIFY_SOCKET": str(self.folder / "notify"),
                       "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0", "UBSAN_OPTIONS": "print_stacktrace=1",
                       **self.environment}
        (self.folder / "notify").unlink(missing_ok=True)
        self.notify = NotifySocket(str(self.folder / "notify"))
        self.process = Process(self.host, self.wrap(unprivileged(self.command())), f"nexd on {self.host.name}",
                               env=environment, cwd=str(self.folder))
        self.runs.append(self.process)
        return self

    def start(self, seconds=10):
        """Starts and returns once the node says that it is ready."""
        self.launch()
        self.notify.wait("READY=1", self.process, seconds * slowness())
        return self

    @property
    def pid(self):
        """Process number of the nexd parent, also where it was started through other programs."""
        return self.pid_of(self.process)

    @staticmethod
    def pid_of(process):
        pid = process.pid
        while proc.comm(pid) != "nexd":
            pid = waiting.until(lambda: proc.children(pid), 5, "nexd's start")[0]
        return pid

    def child(self, role):
        """Process number of a child; None while it is not there."""
        for pid in proc.children(self.pid):
            try:
                if proc.comm(pid) == role:
                    return pid
            except OSError:
                continue
        return None

    def processes(self):
        return [self.pid] + [pid for pid in map(self.child, ROLES) if pid]

    def private_bytes(self):
        return sum(proc.private_bytes(pid) for pid in self.processes())

    def descriptors(self):
        return {role: proc.descriptors(pid) for role in ROLES if (pid := self.child(role))}

    def kill_child(self, role):
        """Kills a child and returns the process number of the one that the parent starts in its place."""
        self.deaths_expected = True
        old = self.child(role)
        assert old, f"{role} does not run"
        os.kill(old, signal.SIGKILL)
        return waiting.until(lambda: (new := self.child(role)) and new != old and new, 10, f"{role} is started again")

    def stop(self, seconds=2):
        """SIGTERM, and what a clean end means: status 0, in time, nothing left behind, no complaint."""
        if not self.process:
            return
        process, self.process = self.process, None
        left = [process.pid]
        try:
            if process.running():
                left = proc.tree(process.pid)
                os.kill(self.pid_of(process), signal.SIGTERM)
                status = process.wait(seconds * slowness())
                assert status == 0, f"{process.name} ended with status {status}:\n{process.text()}"
        finally:
            process.kill()
            self.notify.close()
        survivors = [pid for pid in left if proc.state(pid) not in (None, "Z", "X")]
        for pid in survivors:
            os.kill(pid, signal.SIGKILL)
        assert not survivors, f"processes {survivors} of {process.name} outlive it"
        self.check_output(process)

    def check_output(self, process):
        text = process.text()
        assert not any(report in text for report in REPORTS), f"sanitizer report from {process.name}:\n{text}"
        if not self.deaths_expected:
            died = [line for line in process.lines if re.search(r"is started again|is ended:|did not end well|assertion", line)]
            assert not died, f"a child of {process.name} died:\n{text}"

    def discard(self):
        """The end after a failure: no questions asked."""
        if self.process:
            for pid in reversed(proc.tree(self.process.pid)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.kill()
            self.notify.close()
            self.process = None

    def log(self):
        return "\n--- started again ---\n".join(run.text() for run in self.runs)
