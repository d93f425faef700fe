#!/usr/bin/env python3
"""Measures single streams over long and lossy paths: our pair, the kernel's TCP through wireguard-go's TUN, and other programs.

    scripts/bench has no place for it: it needs root, three namespaces and minutes. See README.md.

    A (10.77.1.1) --- veth --- R: bench/path's relay --- veth --- (10.77.2.2) B

    R does not forward: what is between the ends goes through the relay. A control plane, for programs that join by one, is at R's own
    10.77.3.1, and its STUN servers tell each end the address at which the relay stands for it.
"""
import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys

from bench import BUILD, machine
from flow_trace import Trace
from measure import Measures
from peer import Peer
from place import PORT_NAMES, Failed, Namespaces, Place, ip

CELLS = [{"rtt_ms": rtt, "loss": loss} for rtt in (20, 80, 200) for loss in (0, 0.001, 0.01)]
CELLS.append({"rtt_ms": 20, "loss": 0.001, "jitter_ms": 2, "reorder": 1})
SOCKET_BUFFER = 32 << 20
PLANE = "10.77.3.1"


class Path(Namespaces):
    """Two ends with a relay between them, in a namespace of its own."""

    name = "path"

    def __init__(self):
        Place.__init__(self)
        self.ports = dict(zip(PORT_NAMES, (42001, 42002, 5201, 5202, 5203, 7201, 7202, 7203)))
        tag = f"nexdpath-{id(self) % 100000}"
        self.names = {end: f"{tag}-{end}" for end in "abr"}
        self.address = {"a": "10.77.2.1", "b": "10.77.1.2"}  # where the other end dials: the relay
        self.bind = "0.0.0.0"
        self.told = {"10.77.1.1": self.address["a"], "10.77.2.2": self.address["b"]}
        self.relay = None
        for end, name in self.names.items():
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            self.prefix[end] = ["nsenter", f"--net=/run/netns/{name}", "--"]
        for end, net in (("a", 1), ("b", 2)):
            ip("-n", self.names[end], "link", "add", f"{end}0", "type", "veth", "peer", "name", f"r{end}", "netns", self.names["r"])
            own, far = (1, 2) if end == "a" else (2, 1)
            ip("-n", self.names[end], "addr", "add", f"10.77.{net}.{own}/24", "dev", f"{end}0")
            ip("-n", self.names["r"], "addr", "add", f"10.77.{net}.{far}/24", "dev", f"r{end}")
            ip("-n", self.names[end], "link", "set", f"{end}0", "up")
            ip("-n", self.names["r"], "link", "set", f"r{end}", "up")
            for key, value in (("ipv4/tcp_rmem", f"4096 131072 {SOCKET_BUFFER}"), ("ipv4/tcp_wmem", f"4096 65536 {SOCKET_BUFFER}")):
                self.run(end, [sys.executable, "-c", f"open('/proc/sys/net/{key}', 'w').write('{value}')"], 10)

        ip("-n", self.names["r"], "addr", "add", f"{PLANE}/32", "dev", "lo")
        ip("-n", self.names["a"], "route", "add", PLANE, "via", "10.77.1.2")
        ip("-n", self.names["b"], "route", "add", PLANE, "via", "10.77.2.1")

    def plane(self):
        return "r", PLANE

    def impair(self, cell, seed, pairs=None):
        """`pairs`: the ports of the ends' tunnels, (a, b) for each tunnel that shares the link."""
        self.restore()
        command = [BUILD / "bench" / "bin" / "impair", "--seed", str(seed), "--delay-ms", str(cell["rtt_ms"] / 2), "--loss", str(cell["loss"])]
        for a_wg, b_wg in pairs or [(self.ports["a_wg"], self.ports["b_wg"])]:
            command += ["--side0", f"{self.address['b']}:{b_wg}", "--side1", f"{self.address['a']}:{a_wg}",
                        "--peer0", f"10.77.1.1:{a_wg}", "--peer1", f"10.77.2.2:{b_wg}"]
        for name, flag in (("jitter_ms", "--jitter-ms"), ("reorder", "--reorder"), ("rate_mbit", "--rate-mbit"), ("queue_ms", "--queue-ms")):
            if name in cell:
                command += [flag, str(cell[name])]
        self.relay = self.spawn("r", command, stdout=subprocess.PIPE, text=True)
        if self.relay.stdout.readline().strip() != "ready":
            raise Failed("the relay does not start")

    def restore(self):
        """Ends the relay; returns its counters."""
        if self.relay is None:
            return {}
        self.relay.terminate()
        out, _ = self.relay.communicate(timeout=5)
        self.relay = None
        return json.loads(out.strip().splitlines()[-1])


def stream(place, measures, peer, options, reverse, algorithm):
    address, port = peer.entry("bulk")
    server = measures.iperf_server()
    command = ["iperf3", "-c", address, "-p", str(port), "-t", str(options.seconds), "-J"]
    command += (["-R"] if reverse else []) + (["-C", algorithm] if algorithm else [])
    try:
        with Trace(peer, options.trace, "b" if reverse else "a"):
            _, out, err = place.run("a", command, options.seconds + 30)
        result = json.loads(out)
        return round(result["end"]["sum_received"]["bits_per_second"] / 1e6, 1)
    except (ValueError, KeyError):
        raise Failed(f"iperf3: {(err or out).strip()[:200]}") from None
    finally:
        place.end(server)


def measure(place, measures, peer, cell, options, algorithm, seed):
    figures = {}
    for direction in options.directions:
        place.impair(cell, seed)
        try:
            peer.start()
            measures.ready(peer)
            figures[direction] = stream(place, measures, peer, options, direction == "down", algorithm)
        except Failed as error:
            figures[direction] = None
            print(f"{peer.name}: {error}", file=sys.stderr)
        finally:
            peer.stop()
            side = place.restore().get("ab" if direction == "up" else "ba", {})
            figures[f"{direction}_sent"], figures[f"{direction}_lost"] = side.get("in"), side.get("lost")
    return figures


def cell_name(cell):
    text = f"{cell['rtt_ms']:g} ms, {cell['loss'] * 100:g} %"
    if "rate_mbit" in cell:
        text += f", {cell['rate_mbit']:g} Mbit/s, a queue of {cell.get('queue_ms', 100):g} ms"
    return text + (f", {cell['jitter_ms']:g} ms jitter with reordering" if "jitter_ms" in cell else "")


def table(results, names, directions):
    lines = ["| path | " + " | ".join(f"{name} {d}" for name in names for d in directions) + " |", "|---|" + "---|" * (len(names) * len(directions))]
    for cell in results["cells"]:
        row = []
        for name in names:
            for direction in directions:
                values = [run[direction] for run in cell["runs"].get(name, []) if run[direction] is not None]
                row.append(f"{statistics.median(values):,.0f}" + (f" ({min(values):,.0f}..{max(values):,.0f})" if len(values) > 1 else "") if values else "-")
        lines.append(f"| {cell_name(cell['cell'])} | " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def path_cell(text):
    """rtt_ms=80,loss=0.01,rate_mbit=100,queue_ms=50"""
    cell = {"rtt_ms": 0.0, "loss": 0.0}
    for word in text.split(","):
        name, _, value = word.partition("=")
        if name not in ("rtt_ms", "loss", "rate_mbit", "queue_ms", "jitter_ms", "reorder"):
            raise argparse.ArgumentTypeError(f"{name} is nothing that a path has")
        cell[name] = float(value)
    return cell


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH", help="another program, described by peers/NAME.json")
    parser.add_argument("--kernel", metavar="PATH", help="wireguard-go: measures the kernel's BBR and CUBIC through its TUN device")
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--cells", default="", help="numbers of cells, as 0,4,8; all by default")
    parser.add_argument("--path", action="append", type=path_cell, metavar="NAME=VALUE,...",
                        help="such a path in place of the cells: rtt_ms, loss, rate_mbit, queue_ms, jitter_ms, reorder")
    parser.add_argument("--trace", metavar="FILE.csv", help="nexd's own figures every 100 ms, as netsim's --trace; of the last run, for sim/plot.py")
    parser.add_argument("--directions", default="up,down", type=lambda text: text.split(","))
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = options.path or ([CELLS[int(n)] for n in options.cells.split(",")] if options.cells else CELLS)
    place = Path()
    try:
        measures = Measures(place, BUILD / "bench" / "bin" / "probe", options.seconds)
        stacks = [("nexd", Peer("nexd", BUILD / "bin" / "nexd", place, BUILD), None)]
        if options.kernel:
            kernel = Peer("wireguard-go", options.kernel, place, BUILD)
            stacks += [("kernel BBR", kernel, "bbr"), ("kernel CUBIC", kernel, "cubic")]
        for item in options.peer:
            name, _, path = item.partition("=")
            stacks.append((name, Peer(name, pathlib.Path(path).resolve(), place, BUILD), None))
        results = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **machine(),
                   "seconds": options.seconds, "cells": [{"cell": cell, "runs": {}} for cell in chosen]}
        for repeat in range(options.repeats):
            for entry in results["cells"]:
                for name, peer, algorithm in stacks:
                    run = measure(place, measures, peer, entry["cell"], options, algorithm, repeat + 1)
                    entry["runs"].setdefault(name, []).append(run)
                    print(f"{cell_name(entry['cell'])}: {name}: {run}", file=sys.stderr, flush=True)
        for _, peer, _ in stacks:
            peer.forget()
    finally:
        place.close()
    text = table(results, [name for name, _, _ in stacks], options.directions)
    print(text)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
