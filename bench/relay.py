#!/usr/bin/env python3
"""What the relay of long and lossy paths carries by itself: batches of datagrams from one socket through it into another."""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

BUILD = pathlib.Path(os.environ.get("NEXD_BUILD", pathlib.Path(__file__).resolve().parents[1] / "build")).resolve()
UDP_SEGMENT, UDP_GRO = 103, 104
DATAGRAM, BATCH = 1452, 44
PORTS = (47001, 47002)


def open_socket(option, value):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    for name in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        end.setsockopt(socket.SOL_SOCKET, name, 32 << 20)
    end.setsockopt(socket.IPPROTO_UDP, option, value)
    return end


class Receiver(threading.Thread):
    def __init__(self, end):
        super().__init__()
        self.end, self.bytes, self.first, self.last = end, 0, None, None
        end.settimeout(1)

    def run(self):
        buffer = bytearray(65536)
        try:
            while True:
                size = self.end.recv_into(buffer)
                self.last = time.monotonic()
                self.first = self.first or self.last
                self.bytes += size
        except TimeoutError:
            pass


def send(end, rate, seconds):
    """Bytes a second, evenly."""
    data, sent, begin = bytes(DATAGRAM * BATCH), 0, time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        if sent < passed * rate:
            end.sendto(data, ("127.0.0.1", PORTS[0]))
            sent += len(data)
        else:
            time.sleep(0.0001)
    return sent


def measure(gbit, seconds):
    receiving, sending = open_socket(UDP_GRO, 1), open_socket(UDP_SEGMENT, DATAGRAM)
    relay = subprocess.Popen([BUILD / "bench" / "bin" / "impair", "--side0", f"127.0.0.1:{PORTS[0]}", "--side1", f"127.0.0.1:{PORTS[1]}",
                              "--peer0", f"127.0.0.1:{sending.getsockname()[1]}", "--peer1", f"127.0.0.1:{receiving.getsockname()[1]}",
                              "--delay-ms", "10"], stdout=subprocess.PIPE, text=True)
    try:
        if relay.stdout.readline().strip() != "ready":
            raise SystemExit("the relay does not start")
        receiver = Receiver(receiving)
        receiver.start()
        sent = send(sending, gbit * 1e9 / 8, seconds)
        receiver.join()
        relay.terminate()
        counters = json.loads(relay.communicate(timeout=10)[0].strip().splitlines()[-1])["ab"]
    finally:
        relay.kill()
        receiving.close()
        sending.close()
    spent = (receiver.last or 1) - (receiver.first or 0)
    return {"offered_gbit": round(sent * 8 / seconds / 1e9, 2), "carried_gbit": round(receiver.bytes * 8 / spent / 1e9, 2),
            "received": round(receiver.bytes / sent, 4), "late_mean_us": counters["late_mean_us"], "late_max_us": counters["late_max_us"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gbit", type=float, action="append", help="offered; 2.2, 4 and 8 by default")
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    for gbit in options.gbit or (2.2, 4, 8):
        print(json.dumps(measure(gbit, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
