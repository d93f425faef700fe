#!/usr/bin/env python3
"""What is left of a transfer while a node is flooded with handshake initiations, each from another, forged address. See README.md.

    A (10.77.0.1) --- veth --- (10.77.0.2) B (10.78.0.2) --- veth --- (10.78.0.1) X, which floods B's WireGuard port

    Every initiation has the right mac1: who floods knows B's public key. B answers with cookies, which nobody takes.
"""
import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import account
from bench import BUILD, machine
from measure import Measures
from peer import Peer
from place import Failed, Namespaces, ip

INITIATION_LEN = 148
DISTINCT = 8192
SPOOFED = "198.18.0.0/15"  # of probe's `spoof`
METRICS_PORT = 9101
FLOOD_MAX_S = 600  # it is ended when the transfer is over


class Besieged(Namespaces):
    """Two ends, and a third party beside end b."""

    def __init__(self):
        super().__init__()
        self.names["x"] = f"nexdbench-{os.getpid()}-x"
        self.prefix["x"] = ["nsenter", f"--net=/run/netns/{self.names['x']}", "--"]
        ip("netns", "add", self.names["x"])
        ip("-n", self.names["x"], "link", "set", "lo", "up")
        ip("-n", self.names["x"], "link", "add", "x0", "type", "veth", "peer", "name", "bx", "netns", self.names["b"])
        for end, device, address in (("x", "x0", "10.78.0.1"), ("b", "bx", "10.78.0.2")):
            ip("-n", self.names[end], "addr", "add", f"{address}/24", "dev", device)
            ip("-n", self.names[end], "link", "set", device, "up")
        ip("-n", self.names["b"], "route", "add", SPOOFED, "via", "10.78.0.99")
        # Answers leave b and go no further: what a real network would do with them costs b nothing.
        ip("-n", self.names["b"], "neigh", "add", "10.78.0.99", "lladdr", "02:00:00:00:00:99", "dev", "bx")
        ip("-n", self.names["x"], "route", "add", f"{self.address['b']}/32", "via", "10.78.0.2")

    def pin_receiving(self, processor):
        """The kernel's receiving work for b's interfaces is done there, not on the sender's processor."""
        for device in ("b0", "bx"):
            self.run("b", [sys.executable, "-c",
                           f"open('/sys/class/net/{device}/queues/rx-0/rps_cpus', 'w').write('{1 << processor:x}')"], 10)


def initiations(public_key, count=DISTINCT):
    """Handshake initiations of nobody: random, but with the first MAC, which proves that the sender knows the key."""
    mac_key = hashlib.blake2s(b"mac1----" + base64.b64decode(public_key)).digest()
    for _ in range(count):
        body = b"\x01\0\0\0" + os.urandom(INITIATION_LEN - 4 - 32)
        yield body + hashlib.blake2s(body, key=mac_key, digest_size=16).digest() + bytes(16)


def counters(place):
    """Metrics of end b, by name and labels."""
    asking = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{METRICS_PORT}/metrics', timeout=10).read().decode())"
    status, out, err = place.run("b", [sys.executable, "-c", asking], 20)
    if status:
        raise Failed(f"metrics: {err.strip()[-200:]}")
    return {name: float(value) for name, value in re.findall(r"^(nexd_\S+) (\S+)$", out, re.M)}


def dropped(place):
    """Datagrams that b's kernel had no room for."""
    _, out, _ = place.run("b", ["cat", "/proc/net/snmp"], 10)
    names, values = [line.split()[1:] for line in out.splitlines() if line.startswith("Udp:")]
    return int(dict(zip(names, values))["RcvbufErrors"])


def transfer(measures, place, peer, reverse, seconds=None):
    address, port = peer.entry("bulk")
    server = measures.iperf_server()
    try:
        _, out, err = place.run("a", ["iperf3", "-c", address, "-p", port, "-t", str(seconds or measures.seconds), "-J"]
                                + (["-R"] if reverse else []), measures.seconds + 30)
        return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e6
    except (ValueError, KeyError):
        raise Failed(f"iperf3: {(err or out).strip()[:200]}") from None
    finally:
        place.end(server)


def flooded(place, measures, peer, args, messages):
    """The same transfer while the flood goes on; and what the flood cost."""
    probe = [measures.probe, "spoof", place.address["b"], place.ports["b_wg"], messages, INITIATION_LEN, args.rate, FLOOD_MAX_S]
    before, full = counters(place), dropped(place)
    flood = place.spawn("x", probe, stdout=subprocess.PIPE, text=True)
    try:
        wait_for_cookies(place, before)
        transfer(measures, place, peer, args.reverse, 1)  # memory that both together take is taken
        attacked = [peer.ends["b"].pid]
        memory = account.memory(attacked)["private"]
        mbit = transfer(measures, place, peer, args.reverse)
        grown = account.memory(attacked)["private"] - memory
        flood.terminate()
        sent = json.loads(flood.communicate(timeout=30)[0])
    finally:
        place.end(flood)
    after = counters(place)
    cookies = next(name for name in after if name.startswith("nexd_tunnel_cookies_total") and "sent" in name)
    return {"mbit": round(mbit, 1), "offered_per_s": round(sent["per_s"]), "offered": sent["sent"],
            "cookies": round(after[cookies] - before[cookies]), "kernel_dropped": dropped(place) - full, "grown_bytes": grown}


def wait_for_cookies(place, before, tries=100):
    for _ in range(tries):
        if any(value > before.get(name, 0) for name, value in counters(place).items() if "cookies" in name and "sent" in name):
            return
    raise Failed("no cookie is sent")


def one_round(place, measures, peer, args, messages):
    peer.start()
    try:
        measures.ready(peer)
        transfer(measures, place, peer, args.reverse)  # memory that load takes is taken
        account.wait_quiet(args.quiet_limit)
        alone = transfer(measures, place, peer, args.reverse)
        figures = {"alone_mbit": round(alone, 1), **flooded(place, measures, peer, args, messages)}
        figures["kept_pct"] = round(100 * figures["mbit"] / alone, 1)
        return figures
    finally:
        peer.stop()


def pinned(place, args):
    """End b's processes alone on the last processor, the kernel's receiving for them too; everything else on the others."""
    last = account.PROCESSORS - 1
    others = ",".join(str(number) for number in range(last)) if last else "0"
    place.pin_receiving(last)
    for end in "ax":
        place.prefix[end] = [*place.prefix[end], "taskset", "-c", others]
    place.prefix["b"] = [*place.prefix["b"], "taskset", "-c", str(last)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=100000, help="initiations a second (default: 100000)")
    parser.add_argument("--seconds", type=int, default=5, help="length of each transfer (default: 5)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, each from a fresh start (default: 3)")
    parser.add_argument("--reverse", action="store_true", help="the flooded end sends, in place of receiving")
    parser.add_argument("--one-core", action="store_true", help="the flooded end and its server have one processor, with the kernel's work for them")
    parser.add_argument("--quiet-limit", type=float, default=30, metavar="S")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    args = arguments()
    if os.geteuid() != 0:
        raise SystemExit("network namespaces need root")
    place, peer, rounds = Besieged(), None, []
    try:
        if args.one_core:
            pinned(place, args)
        measures = Measures(place, BUILD / "bench" / "bin" / "probe", args.seconds)
        peer = Peer("nexd", BUILD / "bin" / "nexd", place, BUILD, more=["--metrics-listen", f"127.0.0.1:{METRICS_PORT}"])
        messages = peer.folder / "initiations"
        messages.write_bytes(b"".join(initiations(peer.values["b_pub"])))
        for _ in range(args.repeats):
            rounds.append(one_round(place, measures, peer, args, messages))
            print(json.dumps(rounds[-1]), file=sys.stderr, flush=True)
    finally:
        if peer:
            peer.forget()
        place.close()
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rate": args.rate, "rounds": rounds}, indent=1), encoding="utf-8")
    print(f"kept: {statistics.median(figures['kept_pct'] for figures in rounds):.0f} % of the throughput, median of {len(rounds)} rounds")


if __name__ == "__main__":
    main()
