#!/usr/bin/env python3
"""Measures a pair of nodes on this machine, with the machine's own loopback beside it in the same run. See README.md."""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shlex
import signal
import subprocess
import sys

import account
import plots
import tables
from measure import Measures
from peer import HERE, Peer
from place import Failed, Loopback, Namespaces

BUILD = pathlib.Path(os.environ.get("NEXD_BUILD", HERE.parent / "build" / "release")).resolve()
MEASURES = ("idle", "latency", "connections", "udp", "bulk", "start")
ALL_MEASURES = (*MEASURES, "scale")
DISTURBED_PCT = 10  # share of the machine that others may have during a measure
RETRIES = 2


def undisturbed(measure, quiet_limit_s):
    """A measure's figures, taken when the machine is quiet; again, a few times at most, if others took much of it meanwhile."""
    for attempt in range(1 + RETRIES):
        account.wait_quiet(quiet_limit_s)
        figures = measure()
        if attempt == RETRIES or tables.noise([figures]) <= DISTURBED_PCT:
            return figures


def one_round(peer, measures, chosen, quiet_limit_s):
    """Every chosen measure of one program, from a fresh start."""
    figures = {}
    peer.start()
    try:
        measures.ready(peer)
        for name in chosen:
            try:
                figures.update(undisturbed(lambda name=name: getattr(measures, name)(peer), quiet_limit_s))
            except Failed as error:
                figures.setdefault("errors", []).append(f"{name}: {error}")
                if not peer.alive():
                    raise Failed(f"an end has died: {peer.tail()}") from None
    except Failed as error:
        figures.setdefault("errors", []).append(str(error))
    finally:
        peer.stop()
    return figures


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return {"cpu": models[0] if models else platform.machine(), "processors": account.PROCESSORS,
            "kernel": platform.release(), "system": os_release()}


def os_release():
    try:
        lines = pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.system()
    return next((line[13:-1] for line in lines if line.startswith("PRETTY_NAME=")), platform.system())


def version(program):
    """What is measured: the program's own word for it, and the source's commit."""
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.strip()
    commit = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return f"{said.removeprefix('version: ')} ({commit})" if commit else said


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH",
                        help="another program to measure beside, described by peers/NAME.json; PATH is its executable")
    parser.add_argument("--compare", nargs=2, metavar="BUILD",
                        help="two builds of nexd in place of peers, pairwise: each round takes one after the other, in turned order, and "
                             "the ratios of the rounds are told. A build folder, or in quotes one with flags for its nexd")
    parser.add_argument("--place", choices=("loopback", "namespaces"), default="loopback")
    parser.add_argument("--repeats", type=int, default=3, help="rounds, the programs taking turns in each (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="length of each measure (default: 5)")
    parser.add_argument("--measures", nargs="+", choices=ALL_MEASURES, default=MEASURES,
                        help="all but scale by default, which takes minutes for each program")
    parser.add_argument("--quiet-limit", type=float, default=30, metavar="S",
                        help="how long to wait for other processes to leave the machine alone before each measure")
    parser.add_argument("--svg", type=pathlib.Path, metavar="FOLDER", help="draw the results into this folder")
    parser.add_argument("--json", type=pathlib.Path, help="write the results here")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table here (it is printed in any case)")
    return parser.parse_args()


def main():
    args = arguments()
    if args.place == "namespaces" and os.geteuid() != 0:
        raise SystemExit("network namespaces need root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.umask(0o022)
    nexd, probe = BUILD / "bin" / "nexd", BUILD / "bench" / "bin" / "probe"
    if not nexd.exists() or not probe.exists():
        raise SystemExit(f"{nexd} or {probe} is not there: run scripts/bench, or build and set NEXD_BUILD")
    results = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="minutes"), "machine": machine(),
               "place": args.place, "seconds": args.seconds, "version": version(nexd),
               "command": shlex.join(["scripts/bench", *sys.argv[1:]]), "rounds": {}}
    place = Namespaces() if args.place == "namespaces" else Loopback()
    peers = []
    try:
        measures = Measures(place, probe, args.seconds)
        for made in builds(args.compare, place) if args.compare else programs(args.peer, nexd, place):
            peers.append(made)
            results["rounds"][made.name] = []
        for number in range(args.repeats):
            for peer in reversed(peers) if args.compare and number % 2 else peers:
                print(f"round {number + 1} of {args.repeats}: {peer.name}", file=sys.stderr, flush=True)
                figures = one_round(peer, measures, args.measures, args.quiet_limit)
                for error in figures.get("errors", []):
                    print(f"  {error}", file=sys.stderr, flush=True)
                results["rounds"][peer.name].append(figures)
    finally:
        for peer in peers:
            peer.forget()
        place.close()
    report(args, results)
    return 1 if any("errors" in figures for rounds in results["rounds"].values() for figures in rounds) else 0


def programs(peers, nexd, place):
    """Nothing at all, our nexd, and the peers that were asked for."""
    for name, program in {"direct": "", "nexd": nexd, **dict(peer.split("=", 1) for peer in peers)}.items():
        yield Peer(name, program, place, BUILD)


def builds(given, place):
    for letter, text in zip("AB", given):
        folder, *more = shlex.split(text)
        program = pathlib.Path(folder).resolve() / "bin" / "nexd"
        if not program.exists():
            raise SystemExit(f"{program} is not there: {folder} is no build")
        yield Peer(f"{letter}: {text}", program, place, BUILD, described="nexd", more=more)


def report(args, results):
    text = tables.comparison(results) if args.compare else tables.markdown(results)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text(text, encoding="utf-8")
    if args.svg:
        plots.draw(results, args.svg)


if __name__ == "__main__":
    sys.exit(main())
