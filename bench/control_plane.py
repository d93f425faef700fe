"""For programs that join by a control plane: apid beside end b (on bench/paths.py's path: beside the relay), two STUN servers, a registration key, and names in a mount namespace
of the program's own (so it needs root). The measures do not touch any of it."""
import os
import pathlib
import subprocess
import sys
import time

from place import Failed, free_ports

NAME = "bench.test"
WITH_NAMES = 'mount --bind "$0" /etc/hosts && exec "$@"'


class ControlPlane:
    """`values` are placeholders for descriptions: {service_url} {reg_key} {ca} {stun_1} {stun_2}."""

    def __init__(self, place, build, folder):
        if os.geteuid() != 0:
            raise Failed("a program that joins by a control plane needs root, for names of its own")
        self.place, self.folder = place, folder / "apid"
        self.apid = build / "bin" / "apid"
        port, *stun = free_ports(3)
        end, address = place.plane()
        self.hosts = folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost\n{address} {NAME} api.{NAME} auth.{NAME}\n", encoding="ascii")
        self.hosts.chmod(0o644)
        folder.chmod(0o755)
        stun_program = pathlib.Path(__file__).parents[1] / "tests" / "integration" / "lab" / "stun.py"
        self.processes = [
            place.spawn(end, [sys.executable, stun_program, address, *stun, *(f"{seen}={told}" for seen, told in place.told.items())]),
            place.spawn(end, [self.apid, "--listen", f"{address}:{port}", "--host", NAME, "--data", self.folder],
                        stdout=subprocess.PIPE, text=True)]
        if "ready" not in self.processes[1].stdout.readline():
            raise Failed("apid did not start")
        public = folder / "ca.crt"
        public.write_bytes((self.folder / "ca.crt").read_bytes())
        public.chmod(0o644)
        password = self.folder / "password"
        password.write_text("a password for a benchmark\n", encoding="ascii")
        self.admin("user", "add", "bench", "--password-file", password)
        self.values = {"service_url": f"https://{NAME}:{port}", "reg_key": self.admin("reg-key", "create"), "ca": str(public),
                       "stun_1": f"{address}:{stun[0]}", "stun_2": f"{address}:{stun[1]}"}

    def admin(self, *words):
        done = subprocess.run([self.apid, "--data", self.folder, *words], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"apid {words[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def wrap(self, command):
        """The command, with the control plane's names."""
        return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", WITH_NAMES, str(self.hosts), *command]

    def close(self):
        for process in self.processes:
            self.place.end(process)


def learn(place, end, command, seconds=60):
    """What a command says once it says something."""
    deadline = time.monotonic() + seconds
    while True:
        status, out, err = place.run(end, command, 30)
        if status == 0 and out.strip():
            return out.strip()
        if time.monotonic() > deadline:
            raise Failed(f"{' '.join(command)}: {err.strip()[:200]}")
        time.sleep(0.1)
