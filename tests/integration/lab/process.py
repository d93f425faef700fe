"""Programs under test: started in a namespace, watched by events, ended by their process number.

Standard error is read by a thread as it comes, so that a test can wait for a line and a failure can show all of them.
"""
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import threading
import time

# Arbitrary ids that no account has: what runs under them can rely on nothing of this machine.
UID = GID = 64987


def unprivileged(command, no_new_privs=True):
    """A command as a user without rights, without capabilities. Whatever happens to the test, it ends with it."""
    words = ["setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
             "--pdeathsig=KILL"]
    return words + (["--no-new-privs"] if no_new_privs else []) + ["--"] + list(map(str, command))


def traced(command):
    """NEXD_TRACE_POLICIES names a file: which lines of the policies are used is added to it (scripts/trace-syscalls)."""
    out = os.environ.get("NEXD_TRACE_POLICIES")
    programs = [word for word in map(str, command) if word.endswith(("/bin/nexd", "/bin/apid"))]
    if not out or not programs:
        return command
    root = pathlib.Path(__file__).resolve().parents[3]
    tool = pathlib.Path(os.environ.get("NEXD_BUILD", root / "build")).resolve() / "tests" / "policy_trace"
    return [tool, root / "seccomp", out, "--", *command]


class Process:
    """One started program. `host` None: in the namespace of the test itself."""

    def __init__(self, host, command, name, env=None, cwd="/", stdin=subprocess.DEVNULL):
        prefix = ["nsenter", f"--net={host.path}", "--"] if host else []
        self.name, self.lines, self.changed = name, [], threading.Condition()
        self.child = subprocess.Popen(
            list(map(str, traced(prefix + list(command)))), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
            env=env, start_new_session=True)
        self.pid = self.child.pid
        self.stdout_lines = []
        self.readers = [threading.Thread(target=self._read, args=(self.child.stderr, self.lines), daemon=True),
                        threading.Thread(target=self._read, args=(self.child.stdout, self.stdout_lines), daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe, lines):
        for raw in pipe:
            with self.changed:
                lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_line(self, pattern, seconds=10, after=0):
        """The first line of standard error from index `after` on that matches; fails if it does not come."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                for line in self.lines[after:]:
                    if expression.search(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or (self.child.poll() is not None and not any(r.is_alive() for r in self.readers)):
                    raise AssertionError(f"{self.name}: no line with {pattern!r} within {seconds} s:\n{self.text()}")
                self.changed.wait(min(left, 0.2))

    def text(self):
        return "\n".join(self.lines)

    def running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, seconds):
        """Exit status; fails if the program is still running after that time."""
        try:
            status = self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name}: still running after {seconds} s:\n{self.text()}") from None
        for reader in self.readers:
            reader.join(5)
        return status

    def stop(self, seconds=5):
        """SIGTERM; returns the exit status. Fails, and kills, if that does not end it."""
        if self.running():
            self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds)
        finally:
            self.kill()

    def kill(self):
        if self.running():
            self.child.kill()
            self.child.wait(10)


class NotifySocket:
    """The other side of sd_notify(3): a datagram socket in the file system that the program writes its state to."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)
        self.messages = []

    def wait(self, word, process, seconds):
        """Waits for a line such as READY=1; fails at once if the process ends before."""
        deadline = time.monotonic() + seconds
        pidfd = os.pidfd_open(process.pid)
        try:
            while not any(word in message.split("\n") for message in self.messages):
                left = deadline - time.monotonic()
                ready, _, _ = select.select([self.socket, pidfd], [], [], max(0, left))
                if self.socket in ready:
                    self.messages.append(self.socket.recv(4096).decode())
                elif pidfd in ready:
                    status = process.wait(5)
                    raise AssertionError(f"{process.name} ended with status {status} before {word}:\n{process.text()}")
                elif left <= 0:
                    raise AssertionError(f"{process.name}: no {word} within {seconds} s:\n{process.text()}")
        finally:
            os.close(pidfd)

    def close(self):
        self.socket.close()
