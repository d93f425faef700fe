"""A STUN server (RFC 8489): answers binding requests with the address that they came from.

As a program: `stun.py ADDRESS PORT... [SEEN=TOLD...]` serves these ports until it is ended, and tells a client at the address SEEN that it is
at TOLD: as if there were a NAT.
"""
import ipaddress
import socket
import struct
import sys
import threading

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS, XOR_MAPPED_ADDRESS = 0x0001, 0x0101, 0x0020


def answer(request, address, port):
    """The answer to a binding request, or None for what is none."""
    if len(request) < 20:
        return None
    kind, length, cookie = struct.unpack_from(">HHI", request)
    if kind != BINDING_REQUEST or cookie != COOKIE or length != len(request) - 20:
        return None
    transaction = request[8:20]
    packed = ipaddress.ip_address(address).packed
    mask = struct.pack(">I", COOKIE) + transaction
    mapped = bytes(byte ^ key for byte, key in zip(packed, mask))
    value = struct.pack(">BBH", 0, 1 if len(packed) == 4 else 2, port ^ COOKIE >> 16) + mapped
    attribute = struct.pack(">HH", XOR_MAPPED_ADDRESS, len(value)) + value
    return struct.pack(">HHI", BINDING_SUCCESS, len(attribute), COOKIE) + transaction + attribute


class StunServer:
    """On a host of the lab (None: here), until it is closed. `shift` is added to the ports that it tells: as if the client were behind a
    NAT that gives each destination another one. `told`: addresses that it tells in place of those which it sees."""

    def __init__(self, host, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = host.socket(family, socket.SOCK_DGRAM) if host else socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.socket.settimeout(0.2)
        self.asked = self.shift = 0
        self.told = {}
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.closing:
            try:
                request, source = self.socket.recvfrom(2048)
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return
            reply = answer(request, self.told.get(source[0], source[0]), source[1] + self.shift)
            if reply:
                self.asked += 1
                self.socket.sendto(reply, source)

    def close(self):
        self.closing = True
        self.thread.join(5)
        self.socket.close()


if __name__ == "__main__":
    servers = [StunServer(None, sys.argv[1], int(word)) for word in sys.argv[2:] if "=" not in word]
    for server in servers:
        server.told.update(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
    for server in servers:
        server.thread.join()
