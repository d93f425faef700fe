"""A scene: one test's network with its ends. Closing it checks that every node ended well; discarding it just clears up."""
import os
import shutil
import tempfile

from .netns import MARK, Network
from .node import Key, Node
from .wireguard import KernelEnd


class Scene:
    def __init__(self):
        # Not below pytest's own folder, which only its user may enter.
        self.folder = tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-")
        os.chmod(self.folder, 0o711)
        self.network = Network()
        self.ends, self.closing = [], []

    def host(self, label="h"):
        return self.network.host(label)

    def node(self, rules=(), host=None, **options):
        """A node that knows nobody yet and is not started. `rules`: words after `proxy`."""
        number = len(self.ends) + 1
        node = Node(host or self.host("n"), number, os.path.join(self.folder, f"node{number}"), rules, **options)
        self.ends.append(node)
        return node

    def kernel_end(self, host=None, **options):
        end = KernelEnd(host or self.host("k"), len(self.ends) + 1, **options)
        self.ends.append(end)
        return end

    def pair(self, a_rules=(), b_rules=(), family=4, keepalive=None, preshared=False, **options):
        """Two nodes that know each other, started. In rules, {a4} {a6} {b4} {b6} stand for the tunnel addresses."""
        a, b = self.node(**options), self.node(**options)
        self.introduce(a, b, family, keepalive, preshared)
        for node, rules in ((a, a_rules), (b, b_rules)):
            node.rules = self.fill(rules, a, b)
            node.start()
        return a, b

    def node_and_kernel(self, rules=(), family=4, keepalive=None, preshared=False, **options):
        """A node (a) and a wireguard-go end (b) that know each other, started."""
        a, b = self.node(**options), self.kernel_end()
        self.introduce(a, b, family, keepalive, preshared)
        a.rules = self.fill(rules, a, b)
        b.start()
        a.start()
        return a, b

    @staticmethod
    def introduce(a, b, family=4, keepalive=None, preshared=False):
        secret = Key.preshared() if preshared else None
        a.know(b, family, secret, keepalive)
        b.know(a, family, secret, keepalive)

    @staticmethod
    def fill(rules, a, b):
        return [rule.format(a4=a.v4, a6=f"[{a.v6}]", b4=b.v4, b6=f"[{b.v6}]") for rule in rules]

    def keep(self, thing):
        """Closes `thing` with the scene."""
        self.closing.append(thing)
        return thing

    def _clear(self):
        for thing in reversed(self.closing):
            thing.close()
        for end in self.ends:
            end.discard()
        self.network.delete()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self):
        try:
            for end in self.ends:
                end.stop()
        finally:
            self._clear()

    def discard(self):
        self._clear()

    def logs(self):
        return "\n".join(f"=== {type(end).__name__} {end.v4} on {end.host.name}\n{end.log()}" for end in self.ends)
