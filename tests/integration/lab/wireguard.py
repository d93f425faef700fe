"""The independent implementation: Debian's wireguard-go with a TUN device, so that the far end's TCP, UDP and ICMP are the kernel's."""
import os
import signal
import socket
import subprocess

from . import waiting
from .node import End
from .process import Process


class KernelEnd(End):
    count = 0

    def __init__(self, host, number, mtu=1420):
        super().__init__(host, number)
        KernelEnd.count += 1
        # The control socket of a device is named after it and seen from every namespace: so are its names unique.
        self.device, self.mtu = f"nx{os.getpid()}x{KernelEnd.count}", mtu
        self.process = None

    def wg(self, *words, text=None):
        run = subprocess.run(["wg", *map(str, words)], input=text, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"wg {' '.join(map(str, words))}: {run.stderr}"
        return run.stdout

    @staticmethod
    def _listens(control):
        # wg removes a socket that is there and refuses, as it is between bind and listen.
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(control)
            except OSError:
                return False
        return True

    def start(self):
        environment = {"PATH": os.environ["PATH"], "WG_PROCESS_FOREGROUND": "1", "LOG_LEVEL": "error"}
        self.process = Process(self.host, ["setpriv", "--pdeathsig=KILL", "--", "wireguard-go", "-f", self.device],
                               f"wireguard-go on {self.host.name}", env=environment)
        control = f"/var/run/wireguard/{self.device}.sock"
        waiting.until(lambda: self._listens(control) or not self.process.running(), 10, "wireguard-go's control socket")
        assert self.process.running(), self.process.text()
        self.wg("setconf", self.device, "/dev/stdin", text=self.configuration(addresses=False))
        self.host.ip("addr", "add", f"{self.v4}/32", "dev", self.device)
        self.host.ip("addr", "add", f"{self.v6}/128", "dev", self.device, "nodad")
        self.host.ip("link", "set", self.device, "mtu", self.mtu, "up")
        for peer in self.peers:
            for family, address in (("-4", f"{peer['end'].v4}/32"), ("-6", f"{peer['end'].v6}/128")):
                self.host.ip(family, "route", "add", address, "dev", self.device)
        return self

    def status(self, other, field):
        """A column of `wg show`: "endpoints", "latest-handshakes" or "transfer" of a peer."""
        for line in self.wg("show", self.device, field).splitlines():
            words = line.split("\t")
            if words[0] == other.key.public:
                return words[1] if len(words) == 2 else tuple(words[1:])
        return None

    def last_handshake(self, other):
        """Unix time in seconds; 0 before the first."""
        return int(self.status(other, "latest-handshakes") or 0)

    def stop(self):
        if self.process:
            process, self.process = self.process, None
            if process.running():
                process.signal(signal.SIGTERM)
                try:
                    process.wait(5)
                finally:
                    process.kill()

    discard = stop

    def log(self):
        return self.process.text() if self.process else ""
