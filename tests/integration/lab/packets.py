"""WireGuard datagrams seen from outside: captured from the wire, cut, changed, sent again, and invented."""
import os
import random
import socket
import struct

from .traffic import AF, family_of

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
LENGTH = {INITIATION: 148, RESPONSE: 92, COOKIE: 64}
ETH_P_ALL = 3


class Tap:
    """Everything that passes a host's interface, from now on."""

    def __init__(self, host):
        self.socket = host.inside(self._open)

    @staticmethod
    def _open():
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        sock.bind(("eth0", ETH_P_ALL))
        sock.settimeout(5)
        return sock

    def datagrams(self, source, destination_port, count):
        """The next `count` UDP payloads over IPv4 from an address to a port. Super-packets of segmentation offload are left out."""
        found, wanted = [], socket.inet_aton(source)
        while len(found) < count:
            packet = self.socket.recv(65535)
            if len(packet) < 28 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_UDP or packet[12:16] != wanted:
                continue
            head = (packet[0] & 15) * 4
            port, length = struct.unpack_from("!HH", packet, head + 2)
            payload = packet[head + 8:head + length]
            if port == destination_port and len(payload) <= 1500:
                found.append(payload)
        return found

    def close(self):
        self.socket.close()


class Attacker:
    """Sends datagrams to a WireGuard port; from its own address, or with a forged one over IPv4."""

    def __init__(self, host, address, port):
        self.host, self.target = host, (address, port)
        self.socket = host.socket(AF[family_of(address)], socket.SOCK_DGRAM)
        self.sent = 0

    def send(self, payload):
        try:
            self.socket.sendto(payload, self.target)
            self.sent += 1
        except (ConnectionRefusedError, BlockingIOError):
            pass

    def send_all(self, payloads):
        for payload in payloads:
            self.send(payload)

    def send_as(self, source, port, payload):
        with self.host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            udp = struct.pack("!HHHH", port, self.target[1], 8 + len(payload), 0) + payload
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                             socket.inet_aton(source), socket.inet_aton(self.target[0]))
            raw.sendto(ip + udp, (self.target[0], 0))
            self.sent += 1

    def answers(self):
        """The kinds of datagrams that have come back."""
        self.socket.setblocking(False)
        kinds = set()
        try:
            while True:
                kinds.add(self.socket.recv(65535)[:1][0])
        except (BlockingIOError, ConnectionRefusedError):
            return kinds

    def close(self):
        self.socket.close()


def noise(seed, count):
    """Random bytes of all lengths; half of them begin like a WireGuard message."""
    chance = random.Random(seed)
    for _ in range(count):
        data = chance.randbytes(chance.choice([0, 1, 3, 4, 15, 16, 31, 32, 64, 92, 148, 149, chance.randrange(2000)]))
        if chance.random() < 0.5:
            data = struct.pack("<I", chance.choice([INITIATION, RESPONSE, COOKIE, DATA, 0, 5, 0x01000004])) + data
        yield data


def of_right_shape(seed, count):
    """Messages of the right type and length whose contents are random."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.choice([INITIATION, RESPONSE, COOKIE, DATA])
        length = LENGTH.get(kind) or 32 + 16 * chance.randrange(0, 80)
        yield struct.pack("<I", kind) + chance.randbytes(length - 4)


def truncated(datagrams):
    for data in datagrams:
        for length in {0, 1, 3, 4, 8, 15, 16, 17, 31, 32, 33, len(data) // 2, len(data) - 1} & set(range(len(data))):
            yield data[:length]
        yield data + b"\0"
        yield data + os.urandom(100)


def damaged(seed, datagrams):
    """Each datagram with one bit turned, once in the head and once in the body."""
    chance = random.Random(seed)
    for data in datagrams:
        for low, high in ((0, 16), (16, len(data))):
            changed = bytearray(data)
            changed[chance.randrange(low, max(low + 1, high)) % len(data)] ^= 1 << chance.randrange(8)
            yield bytes(changed)


def with_index(datagrams, index):
    """Data messages for another receiver."""
    for data in datagrams:
        if data[0] == DATA:
            yield data[:4] + struct.pack("<I", index) + data[8:]


def with_counter(datagrams, counter):
    for data in datagrams:
        if data[0] == DATA:
            yield data[:8] + struct.pack("<Q", counter) + data[16:]
