#!/usr/bin/env python3
"""Measures how two flows share one bottleneck: ours beside the kernel's BBR and CUBIC, and these two beside each other.

    A == tunnel of nexd ========== relay: one rate, one queue ========== B
      == tunnel of wireguard-go ==                             ==

Each flow is an upload by iperf3; both begin together and both are measured at the receiver over the same seconds. See README.md.
"""
import argparse
import concurrent.futures
import datetime
import json
import pathlib
import statistics
import subprocess
import sys

from bench import BUILD, machine
from measure import Measures
from paths import Path, cell_name, path_cell
from peer import Peer
from place import Failed, listening

DEFAULT = [path_cell(f"rtt_ms=40,rate_mbit=40,queue_ms={depth}") for depth in (40, 160)]
PORTS = {"nexd": {}, "kernel": {"a_wg": 42011, "b_wg": 42012, "bulk": 5211}}  # where they differ from the place's
SECOND_BULK = 5221
CASES = (("nexd", "bbr"), ("nexd", "cubic"), ("bbr", "cubic"))
NAMES = {"nexd": "nexd", "bbr": "kernel BBR", "cubic": "kernel CUBIC"}


class Flow:
    """One upload: `word` is nexd, or the kernel's algorithm."""

    def __init__(self, place, peers, word, port=None):
        self.place, self.word = place, word
        peer = peers["nexd" if word == "nexd" else "kernel"]
        self.address, entry = peer.entry("bulk")
        self.port = str(port or entry)
        self.served = int(port or peer.values["bulk"])
        self.server = None

    def listen(self):
        self.server = self.place.spawn("b", ["iperf3", "-s", "-1", "-J", "-B", self.place.bind, "-p", self.served], stdout=subprocess.DEVNULL)
        listening(self.server.pid, self.served)

    def run(self, seconds, begin):
        """Mbit/s at the receiver from second `begin` on."""
        command = ["iperf3", "-c", self.address, "-p", self.port, "-t", str(seconds), "-J", "--get-server-output"]
        command += ["-C", self.word] if self.word != "nexd" else []
        _, out, err = self.place.run("a", command, seconds + 30)
        try:
            intervals = json.loads(out)["server_output_json"]["intervals"]
            rates = [interval["sum"]["bits_per_second"] / 1e6 for interval in intervals
                     if interval["sum"]["start"] >= begin and interval["sum"]["end"] <= seconds + 0.5]
            return round(statistics.fmean(rates), 2)
        except (ValueError, KeyError, statistics.StatisticsError):
            raise Failed(f"iperf3: {(err or out).strip()[:200]}") from None


def measure(place, measures, peers, case, cell, options, seed):
    pairs = [tuple(int(peer.values[name]) for name in ("a_wg", "b_wg")) for peer in peers.values()]
    place.impair(cell, seed, pairs)
    flows = [Flow(place, peers, case[0]), Flow(place, peers, case[1], port=None if "nexd" in case else SECOND_BULK)]
    try:
        for peer in peers.values():
            peer.start()
            measures.ready(peer)
        for flow in flows:
            flow.listen()
        with concurrent.futures.ThreadPoolExecutor(len(flows)) as pool:
            waits = [pool.submit(flow.run, options.seconds, options.begin) for flow in flows]
            figures = {"mbit": [wait.result() for wait in waits]}
    finally:
        for flow in flows:
            if flow.server:
                place.end(flow.server)
        for peer in peers.values():
            peer.stop()
        side = place.restore().get("ab", {})
    figures["jain"] = round(sum(figures["mbit"]) ** 2 / (2 * sum(rate * rate for rate in figures["mbit"])), 3)
    figures["dropped"] = round(side["queue_drop"] / side["in"], 4)
    return figures


def span(values, digits):
    text = f"{statistics.median(values):.{digits}f}"
    return text + (f" ({min(values):.{digits}f}..{max(values):.{digits}f})" if len(values) > 1 else "")


def table(results):
    lines = ["| path | first | second | first, Mbit/s | second, Mbit/s | Jain's index | dropped |", "|---|---|---|---|---|---|---|"]
    for entry in results["entries"]:
        runs = entry["runs"]
        if runs:
            lines.append(f"| {cell_name(entry['cell'])} | {NAMES[entry['case'][0]]} | {NAMES[entry['case'][1]]} | "
                         + " | ".join(span([run["mbit"][i] for run in runs], 1) for i in range(2))
                         + f" | {span([run['jain'] for run in runs], 2)} | {statistics.median(run['dropped'] for run in runs) * 100:.2f} % |")
    return "\n".join(lines) + "\n"


def case(text):
    words = tuple(text.split(","))
    if len(words) != 2 or len(set(words)) != 2 or any(word not in NAMES for word in words):
        raise argparse.ArgumentTypeError(f"not two of {', '.join(NAMES)}: {text}")
    return words


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", required=True, metavar="PATH", help="wireguard-go")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--from", dest="begin", type=int, default=10, help="the first seconds, which do not count")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--path", action="append", type=path_cell, metavar="NAME=VALUE,...", help="as of paths.py; 40 ms and 40 Mbit/s with two queues by default")
    parser.add_argument("--case", action="append", type=case, metavar="FIRST,SECOND", help="two of nexd, bbr, cubic; every two by default")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    return parser.parse_args()


def main():
    options = arguments()
    place = Path()
    plain, peers = place.ports, {}
    try:
        measures = Measures(place, BUILD / "bench" / "bin" / "probe", options.seconds)
        for name, described, program in (("nexd", "nexd", BUILD / "bin" / "nexd"), ("kernel", "wireguard-go", options.kernel)):
            place.ports = {**plain, **PORTS[name]}
            peers[name] = Peer(name, program, place, BUILD, described)
        place.ports = plain
        results = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **machine(), "seconds": options.seconds,
                   "from": options.begin, "entries": [{"cell": cell, "case": case, "runs": []} for cell in options.path or DEFAULT for case in options.case or CASES]}
        for repeat in range(options.repeats):
            for entry in results["entries"]:
                try:
                    run = measure(place, measures, peers, entry["case"], entry["cell"], options, repeat + 1)
                except Failed as error:
                    print(f"{entry['case']}: {error}", file=sys.stderr)
                    continue
                entry["runs"].append(run)
                print(f"{cell_name(entry['cell'])}: {' and '.join(entry['case'])}: {run}", file=sys.stderr, flush=True)
    finally:
        for peer in peers.values():
            peer.forget()
        place.close()
    text = table(results)
    print(text)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
