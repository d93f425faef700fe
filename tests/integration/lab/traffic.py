"""TCP and UDP traffic made and judged by the test's own process, with sockets in any namespace."""
import hashlib
import os
import socket
import struct
import threading
import time

from .waiting import background

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
AF = {4: socket.AF_INET, 6: socket.AF_INET6}
MIB = 1 << 20
BLOCK = os.urandom(MIB)
TIMEOUT = 60  # of any single socket operation, seconds


def family_of(address):
    return 6 if ":" in address else 4


# -- TCP --------------------------------------------------------------------------------------------------------------

def tcp_listen(host, address, port, backlog=1024):
    listener = host.socket(AF[family_of(address)], socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family_of(address) == 6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listener.bind((address, port))
    listener.listen(backlog)
    listener.settimeout(TIMEOUT)
    return listener


def tcp_accept(listener, seconds=10):
    listener.settimeout(seconds)
    connection, _ = listener.accept()
    connection.settimeout(TIMEOUT)
    return connection


def tcp_connect(host, address, port, seconds=10, source=None):
    client = host.socket(AF[family_of(address)], socket.SOCK_STREAM)
    try:
        client.settimeout(seconds)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        client.settimeout(TIMEOUT)
        return client
    except BaseException:
        client.close()
        raise


def reset(connection):
    """Closes so that the other side sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def expect_reset(connection, seconds=5):
    """Reads, perhaps some bytes, until the reset that must come."""
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return
    raise AssertionError("closed in order where a reset was due")


def expect_reset_of_client(host, address, port, seconds=5):
    """Connects where a reset must follow, be it at once or before the connection is even seen as made; returns how long it took."""
    begun = time.monotonic()
    try:
        with tcp_connect(host, address, port, seconds) as client:
            expect_reset(client, seconds)
    except ConnectionResetError:
        pass
    return time.monotonic() - begun


def send_pattern(connection, size, progress=None):
    """Sends `size` bytes that never repeat in the same place; returns their SHA-256."""
    digest, sent = hashlib.sha256(), 0
    block = bytearray(BLOCK)
    while sent < size:
        struct.pack_into("!Q", block, 0, sent)
        piece = memoryview(block)[:min(len(block), size - sent)]
        connection.sendall(piece)
        digest.update(piece)
        sent += len(piece)
        if progress:
            progress(sent)
    return digest.hexdigest()


def receive_all(connection, progress=None):
    """Reads to the end; returns (bytes, SHA-256)."""
    digest, received, buffer = hashlib.sha256(), 0, bytearray(MIB)
    view = memoryview(buffer)
    while True:
        count = connection.recv_into(buffer)
        if not count:
            return received, digest.hexdigest()
        digest.update(view[:count])
        received += count
        if progress:
            progress(received)


def receive_exactly(connection, count):
    parts = []
    while count:
        part = connection.recv(min(count, MIB))
        if not part:
            raise EOFError(f"{count} bytes short")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def exchange(connection, data=b"ping"):
    """One round through an echoing far end."""
    connection.sendall(data)
    return receive_exactly(connection, len(data))


class Meter:
    """Bytes so far of a transfer that runs in another thread."""

    def __init__(self):
        self.bytes, self.changed = 0, threading.Condition()

    def __call__(self, count):
        with self.changed:
            self.bytes = count
            self.changed.notify_all()

    def wait(self, count, seconds=60):
        with self.changed:
            assert self.changed.wait_for(lambda: self.bytes >= count, seconds), \
                f"{self.bytes} of {count} bytes within {seconds} s"


class Transfer:
    """`size` bytes from one connected socket to another, in two threads."""

    def __init__(self, sender, receiver, size):
        self.sender, self.receiver, self.size = sender, receiver, size
        self.sent, self.received = Meter(), Meter()
        self.sending = background(self._send)
        self.receiving = background(receive_all, receiver, self.received)

    def _send(self):
        digest = send_pattern(self.sender, self.size, self.sent)
        self.sender.shutdown(socket.SHUT_WR)
        return digest

    def finish(self, seconds=600):
        """Waits for the end and compares what was sent with what came."""
        sent = self.sending.result(seconds)
        count, received = self.receiving.result(seconds)
        assert count == self.size
        assert received == sent, "the bytes received are not the bytes sent"
        for connection in (self.sender, self.receiver):
            connection.close()


class TcpService:
    """Accepts connections in a thread of its own and serves each in another: by default it echoes."""

    def __init__(self, host, address, port, serve=None, backlog=4096):
        self.listener = tcp_listen(host, address, port, backlog)
        self.listener.settimeout(None)
        self.serve = serve or self.echo
        self.accepted = 0
        self.connections = set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @staticmethod
    def echo(connection):
        while data := connection.recv(65536):
            connection.sendall(data)

    def _run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            connection.settimeout(TIMEOUT)
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                pass

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def name_service(name):
    """A TcpService's function that says who it is, then closes."""
    return lambda connection: connection.sendall(name.encode())


# -- UDP --------------------------------------------------------------------------------------------------------------

def udp_bind(host, address, port):
    sock = host.socket(AF[family_of(address)], socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
    if family_of(address) == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    sock.settimeout(5)
    return sock


def udp_client(host, address, port):
    sock = host.socket(AF[family_of(address)], socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MIB)
    sock.connect((address, port))
    sock.settimeout(5)
    return sock


class UdpService:
    """Answers each datagram: by default with the same. `sources` lists where they came from."""

    def __init__(self, host, address, port, answer=lambda data: data):
        self.socket = udp_bind(host, address, port)
        self.socket.settimeout(0.2)
        self.answer, self.sources, self.received = answer, [], []
        self.open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.open:
            try:
                data, source = self.socket.recvfrom(65535)
                self.received.append(data)
                self.sources.append(source)
                self.socket.sendto(self.answer(data), source)
            except OSError:
                continue

    def close(self):
        self.open = False
        self.thread.join(5)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def udp_ask(client, data, tries=5, seconds=1.0):
    """Sends a datagram and returns the answer; asks again, as every user of UDP must, when none comes."""
    client.settimeout(seconds)
    for _ in range(tries):
        client.send(data)
        try:
            return client.recv(65535)
        except (TimeoutError, socket.timeout):
            continue
    raise AssertionError(f"no answer to {tries} datagrams of {len(data)} bytes")


# -- ICMP -------------------------------------------------------------------------------------------------------------

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(host, address, payload=b"nexd", seconds=5):
    """One ICMP echo request; returns the payload of the answer."""
    six = family_of(address) == 6
    sock = host.socket(AF[family_of(address)], socket.SOCK_RAW,
                       socket.getprotobyname("ipv6-icmp") if six else socket.IPPROTO_ICMP)
    request, reply = (128, 129) if six else (8, 0)
    identity = struct.pack("!HH", os.getpid() & 0xFFFF, 1)
    head = struct.pack("!BBH", request, 0, 0) + identity + payload
    if not six:  # for IPv6 the kernel fills in the checksum
        head = struct.pack("!BBH", request, 0, checksum(head)) + identity + payload
    with sock:
        sock.settimeout(seconds)
        sock.connect((address, 0))
        sock.send(head)
        while True:
            data = sock.recv(65535)
            if not six:
                data = data[(data[0] & 15) * 4:]
            if data[0] == reply and data[4:8] == identity:
                return data[8:]
