"""A name server for one namespace, and the mount namespace that makes a program use it."""
import collections
import ipaddress
import os
import socket
import struct
import threading

from . import traffic

A, AAAA, IN = 1, 28, 1
NXDOMAIN = 3


class NameServer:
    """Answers A and AAAA from `table` ({name: [addresses]}); `asked` counts the questions for each name."""

    def __init__(self, host, address, table, ttl=5):
        self.address, self.table, self.ttl = address, dict(table), ttl
        self.asked = collections.Counter()
        self.socket = traffic.udp_bind(host, address, 53)
        self.socket.settimeout(0.2)
        self.open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.open:
            try:
                query, source = self.socket.recvfrom(4096)
            except (TimeoutError, socket.timeout):
                continue
            self.socket.sendto(self._answer(query), source)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, question = ".".join(labels).lower(), query[12:at + 5]
        kind = struct.unpack_from("!H", query, at + 1)[0]
        self.asked[name] += 1
        found = [ipaddress.ip_address(text) for text in self.table.get(name, [])]
        records = [address.packed for address in found if kind == (A if address.version == 4 else AAAA)]
        code = 0 if name in self.table else NXDOMAIN
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return head + question + b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, IN, self.ttl, len(data)) + data for data in records)

    def resolver_for(self, folder, hosts=None):
        """A wrapper for a node's command: there, this server is the resolver and `hosts` the hosts file."""
        path = os.path.join(folder, f"etc{len(os.listdir(folder))}")
        os.mkdir(path)
        with open(f"{path}/resolv.conf", "w", encoding="ascii") as file:
            file.write(f"nameserver {self.address}\n")
        with open(f"{path}/hosts", "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n::1 localhost\n")
            file.writelines(f"{address} {name}\n" for name, address in (hosts or {}).items())
        script = ('for file in resolv.conf hosts; do mount --bind "$0/$file" "/etc/$file" || exit 111; done; '
                  'exec "$@"')
        return lambda command: ["unshare", "--mount", "--propagation=private", "sh", "-c", script, path, *command]

    def close(self):
        self.open = False
        self.thread.join(5)
        self.socket.close()
