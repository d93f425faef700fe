"""A bad path between two ends: the benchmark's relay on a host of its own, which both dial instead of each other."""
import json

from .node import BUILD, endpoint
from .process import Process

PROGRAM = BUILD / "bench" / "bin" / "impair"


class Path(Process):
    """`words`: the relay's flags, as in bench/path/impair.c. Give it before the ends start."""

    PORTS = {"a": 7000, "b": 7001}  # where each end dials

    def __init__(self, scene, a, b, *words):
        self.relay = scene.host("r")
        super().__init__(self.relay, ["setpriv", "--pdeathsig=KILL", "--", PROGRAM,
                                      "--side0", endpoint(self.relay.v4, self.PORTS["a"]), "--peer0", endpoint(a.host.v4, a.port),
                                      "--side1", endpoint(self.relay.v4, self.PORTS["b"]), "--peer1", endpoint(b.host.v4, b.port),
                                      *words], "impair")
        with self.changed:
            self.changed.wait_for(lambda: self.stdout_lines or not self.running(), 10)
        assert self.stdout_lines == ["ready"], self.text()
        a.peers[0]["endpoint"] = endpoint(self.relay.v4, self.PORTS["a"])
        b.peers[0]["endpoint"] = endpoint(self.relay.v4, self.PORTS["b"])

    def close(self):
        """Ends it; returns its counters by direction, "ab" and "ba"."""
        if self.running():
            self.child.terminate()
            self.wait(5)
        for reader in self.readers:
            reader.join(5)
        return json.loads(self.stdout_lines[-1])
