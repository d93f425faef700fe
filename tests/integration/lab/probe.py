"""The benchmark's probe as a load generator: thousands of connections are beyond a Python loop."""
import json
import subprocess

from .node import BUILD
from .process import Process

PROGRAM = BUILD / "bench" / "bin" / "probe"


class Probe(Process):
    """A probe command in a host's namespace. Results are lines of JSON on its standard output."""

    def __init__(self, host, *words):
        super().__init__(host, ["setpriv", "--pdeathsig=KILL", "--", PROGRAM, *words], f"probe {words[0]}",
                         stdin=subprocess.PIPE)
        self.taken = 0

    def result(self, seconds):
        """The next result."""
        def line_or_end():
            return len(self.stdout_lines) > self.taken or not self.running()

        with self.changed:
            self.changed.wait_for(line_or_end, seconds)
        if len(self.stdout_lines) <= self.taken and not self.running():
            self.wait(1)
        assert len(self.stdout_lines) > self.taken, f"{self.name}: no result within {seconds} s: {self.text()}"
        self.taken += 1
        return json.loads(self.stdout_lines[self.taken - 1])

    def proceed(self):
        """Lets a waiting probe go on."""
        self.child.stdin.write(b"\n")
        self.child.stdin.flush()

    def close(self):
        self.child.stdin.close()
        self.kill()


def echo_service(host, address, port):
    service = Probe(host, "echo", address, port)
    assert service.result(10)["ready"]
    return service
