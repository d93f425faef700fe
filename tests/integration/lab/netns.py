"""Network namespaces, joined by one switch, made and removed by the test that needs them.

    host A (10.99.0.1, fd99::1) --- veth --- [ switch: bridge ] --- veth --- (10.99.0.2, fd99::2) host B --- ...

A socket belongs to the namespace in which its creator was at that moment, and a thread can move between namespaces. So the test's
own process opens sockets anywhere (`Host.socket`), and only programs under test run as processes of their own.
"""
import ctypes
import os
import shutil
import socket
import subprocess
import tempfile

from . import waiting

CLONE_NEWNET = 0x40000000
MARK = "nexdit-"  # prefix of every namespace and folder made here; the process number follows
libc = ctypes.CDLL(None, use_errno=True)


def ip(*words, check=True):
    return subprocess.run(["ip", *map(str, words)], check=check, capture_output=True, text=True)


def remove_leftovers():
    """Removes namespaces and folders of test runs that were killed before they could clean up."""
    def is_left(name):
        return name.startswith(MARK) and not os.path.exists(f"/proc/{name[len(MARK):].split('-')[0]}")

    for line in ip("netns", "list", check=False).stdout.splitlines():
        if is_left(line.split()[0]):
            ip("netns", "del", line.split()[0], check=False)
    for name in filter(is_left, os.listdir(tempfile.gettempdir())):
        shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)


class Namespace:
    count = 0

    def __init__(self, label):
        Namespace.count += 1
        self.name = f"{MARK}{os.getpid()}-{Namespace.count}{label}"
        ip("netns", "add", self.name)
        self.path = f"/run/netns/{self.name}"
        self.fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words, check=True):
        return ip("-n", self.name, *words, check=check)

    def inside(self, function, *args):
        """Calls a function in a thread that has entered the namespace; returns its value."""

        def enter():
            if libc.setns(self.fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {self.name}")
            return function(*args)

        return waiting.background(enter).result(30)

    def sysctl(self, key, value):
        def write():
            with open("/proc/sys/" + key, "w", encoding="ascii") as file:
                file.write(str(value))

        self.inside(write)

    def delete(self):
        os.close(self.fd)
        ip("netns", "del", self.name, check=False)


class Host(Namespace):
    """A namespace attached to the switch. `number` is the last part of its addresses."""

    def __init__(self, network, number, label):
        super().__init__(label)
        self.network, self.number = network, number
        self.v4, self.v6 = f"10.99.0.{number}", f"fd99::{number}"
        port = f"p{number}"
        network.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        network.ip("link", "set", port, "master", "switch", "up")
        self.ip("link", "set", "eth0", "up")
        self.add_address(self.v4, 24)
        self.add_address(self.v6, 64)
        waiting.until(lambda: "LOWER_UP" in self.ip("link", "show", "eth0").stdout, 5, f"link of {self.name}")

    def add_address(self, address, length):
        self.ip("addr", "add", f"{address}/{length}", "dev", "eth0", *(["nodad"] if ":" in address else []))

    def remove_address(self, address, length):
        self.ip("addr", "del", f"{address}/{length}", "dev", "eth0")

    def outer(self, family):
        return self.v6 if family == 6 else self.v4

    def socket(self, family, kind, protocol=0):
        return self.inside(socket.socket, family, kind, protocol)


class Network(Namespace):
    """The switch, and the hosts attached to it."""

    def __init__(self):
        super().__init__("sw")
        self.ip("link", "add", "switch", "type", "bridge")
        self.ip("link", "set", "switch", "up")
        self.hosts = []

    def host(self, label):
        host = Host(self, len(self.hosts) + 1, label)
        self.hosts.append(host)
        return host

    def unplug(self, host):
        """Everything to and from the host is lost from now on, silently."""
        self.ip("link", "set", f"p{host.number}", "down")

    def plug(self, host):
        self.ip("link", "set", f"p{host.number}", "up")

    def delete(self):
        for host in self.hosts:
            host.delete()
        super().delete()
