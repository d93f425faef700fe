"""The Go nexd as an end of the lab."""
import os
import signal
import subprocess
from pathlib import Path

from lab import waiting
from lab.mesh import with_names
from lab.process import GID, UID, Process, unprivileged


class GoMember:
    """Joins like lab.mesh.Member; rules are the same words."""

    def __init__(self, mesh, program, ctl=None, rules=(), flags=()):
        self.scene, self.plane, self.program, self.ctl_program = mesh.scene, mesh.plane, program, ctl
        self.host = self.scene.host("g")
        # It finds its own address by the default route; nothing has to be there.
        self.host.ip("route", "add", "default", "via", self.plane.host.v4)
        self.folder = Path(self.scene.folder) / f"go{len(self.scene.ends)}"
        self.folder.mkdir(mode=0o711)
        os.chown(self.folder, UID, GID)
        self.key, self.rules, self.flags = mesh.key, list(rules), list(flags)
        self.process, self.runs = None, []
        self.v4 = self.v6 = None
        self.scene.ends.append(self)

    @property
    def socket(self):
        return self.folder / "nexd.sock"

    def start(self, seconds=60):
        command = [self.program, "--unix-socket", self.socket, "--service-url", self.plane.service_url, "--reg-key", self.key,
                   "--state-dir", self.folder / "state", *self.plane.stun_flags, *self.flags, "proxy", *self.rules]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "SSL_CERT_FILE": self.plane.public_ca}
        self.process = Process(self.host, with_names(self.plane.hosts_file, unprivileged(command)), f"Go nexd on {self.host.name}",
                               env=environment, cwd=str(self.folder))
        self.runs.append(self.process)
        self.v4, self.v6 = self.tunnel_address(4, seconds), self.tunnel_address(6, seconds)
        return self

    def ctl(self, *words, program=None):
        """`nexctl nexd WORDS` with this node; by default the Go nexctl."""
        command = [str(program or self.ctl_program), "nexd", "--unix-socket", str(self.socket)]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=60)

    def tunnel_address(self, family, seconds):
        words = ["get", "tunnelip"] + (["--ipv6"] if family == 6 else [])

        def asked():
            assert self.process.running(), self.process.text()
            run = self.ctl(*words)
            return run.returncode == 0 and run.stdout.strip()
        return waiting.until(asked, seconds, f"tunnel address of {self.process.name}", every=0.2)

    def stop(self):
        if self.process:
            process, self.process = self.process, None
            process.signal(signal.SIGTERM)
            try:
                process.wait(5)
            except AssertionError:  # with live flows it does not end
                process.kill()

    def discard(self):
        if self.process:
            self.process.kill()
            self.process = None

    def log(self):
        return "\n--- started again ---\n".join(run.text() for run in self.runs)
