"""From starting end a, end b running, to the first byte back from the echo server behind end b."""
import json
import statistics
import subprocess
import time

import account
from place import Failed

STARTS = 3
LIMIT_S = 20
SETTLED_S = 0.3


def settle(peer, seconds=10):
    """Waits until the processes of a pair rest."""
    deadline, before = time.monotonic() + seconds, -1.0
    while time.monotonic() < deadline:
        now = account.cpu_s(peer.roots())
        if now == before:
            return
        before = now
        time.sleep(SETTLED_S)


def one_start(measures, peer):
    first, last = peer.description["ends"]
    peer.stop()
    peer.start_end(first)
    settle(peer)
    watch = measures.place.spawn("a", [measures.probe, "first", *peer.entry("echo"), LIMIT_S], stdout=subprocess.PIPE, text=True)
    begun = time.monotonic_ns()
    try:
        peer.start_end({**last, "learn": {}})
        found = json.loads(watch.stdout.readline())["first_ns"]
    finally:
        measures.place.end(watch)
    if found is None:
        raise Failed(f"no echo within {LIMIT_S} s of a start: {peer.tail()}")
    return (found - begun) / 1e6


def measure(measures, peer):
    if not peer.ends:
        return {}
    each = [round(one_start(measures, peer), 2) for _ in range(STARTS)]
    return {"start": {"first_byte_ms": statistics.median(each), "each_ms": each}}
