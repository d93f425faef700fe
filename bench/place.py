"""Where a pair runs, and how programs are started and ended there.

    Loopback:    both ends, client and servers in the machine's own namespace, on free ports of 127.0.0.1
    Namespaces:  A (10.77.0.1) --- veth --- (10.77.0.2) B, made for the run and removed after it; needs root
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import account

UID = 65534  # as root, programs under test are started as this user
PORT_NAMES = ("a_wg", "b_wg", "bulk", "echo", "udp", "a_bulk", "a_echo", "a_udp")


class Failed(Exception):
    """A measure or a start that did not work; the run goes on without it."""


def unprivileged(command):
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
            "--no-new-privs", "--pdeathsig=KILL", "--", *command]


class Place:
    """`address[end]` is where the other end dials; `prefix[end]` enters the end's namespace."""

    def __init__(self):
        self.processes = []
        self.prefix = {"a": [], "b": []}
        self.address = {"a": "127.0.0.1", "b": "127.0.0.1"}
        self.server = "127.0.0.1"  # where end b finds the servers beside it
        self.bind = "127.0.0.1"  # where they listen
        self.told = {}  # what STUN servers tell an address in place of itself

    def plane(self):
        """Where a control plane runs, and its address there."""
        return "b", self.address["b"]

    def spawn(self, end, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([*self.prefix[end], *map(str, command)], start_new_session=True, **options)
        self.processes.append(process)
        return process

    def run(self, end, command, timeout):
        """Status, standard output and standard error of a command that must end in time."""
        process = self.spawn(end, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"{command[0]} did not end within {timeout} s") from None
        finally:
            self.end(process)
        return process.returncode, out, err

    def json(self, end, command, timeout):
        """The last line of a command's output, read as JSON."""
        status, out, err = self.run(end, command, timeout)
        try:
            return json.loads(out.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise Failed(f"{command[0]} {command[1]}: status {status}: {err.strip()[:200]}") from None

    def end(self, process, seconds=5):
        """Ends a process that was started here, and what it has started."""
        if process.poll() is None:
            below = account.tree(process.pid)[1:]
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(seconds)
                for pid in below:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
        if process in self.processes:
            self.processes.remove(process)

    def close(self):
        for process in list(self.processes):
            self.end(process)


class Loopback(Place):
    name = "loopback"

    def __init__(self):
        super().__init__()
        self.ports = dict(zip(PORT_NAMES, free_ports(len(PORT_NAMES))))


class Namespaces(Place):
    name = "namespaces"

    def __init__(self):
        super().__init__()
        self.ports = dict(zip(PORT_NAMES, (42001, 42002, 5201, 5202, 5203, 7201, 7202, 7203)))
        self.names = {end: f"nexdbench-{os.getpid()}-{end}" for end in "ab"}
        self.address = {"a": "10.77.0.1", "b": "10.77.0.2"}
        self.bind = "0.0.0.0"
        for end, name in self.names.items():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            self.prefix[end] = ["nsenter", f"--net=/run/netns/{name}", "--"]
        ip("-n", self.names["a"], "link", "add", "a0", "type", "veth", "peer", "name", "b0", "netns", self.names["b"])
        for end, name in self.names.items():
            ip("-n", name, "addr", "add", f"{self.address[end]}/24", "dev", f"{end}0")
            ip("-n", name, "link", "set", f"{end}0", "up")
            for key, value in (("ipv4/ip_local_port_range", "10000 65000"), ("ipv4/tcp_tw_reuse", "1"), ("core/somaxconn", "8192")):
                self.run(end, [sys.executable, "-c", f"open('/proc/sys/net/{key}', 'w').write('{value}')"], 10)

    def close(self):
        super().close()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def free_ports(count):
    """Ports that neither TCP nor UDP uses now."""
    held, found = [], []
    while len(found) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        held += [tcp, udp]
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(("0.0.0.0", tcp.getsockname()[1]))
        except OSError:
            continue
        found.append(tcp.getsockname()[1])
    for sock in held:
        sock.close()
    return found


def listening(pid, port, seconds=10):
    """Waits until a TCP port is listened on in the namespace of a process."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in ("tcp", "tcp6"):
            for line in pathlib.Path(f"/proc/{pid}/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                    return
        time.sleep(0.005)
    raise Failed(f"nobody listens on port {port}")
