"""What many open flows cost: memory and CPU while they are idle, and what one busy flow costs beside them."""
import json
import subprocess
import time

import account
from account import Window
from place import Failed

FLOWS = (10, 100, 1_000, 10_000)
IDLE_S = 10
BUSY_S = 3


def beside(measures, peer, count, before):
    """Figures with `count` idle connections open."""
    hold = measures.place.spawn("a", [measures.probe, "hold", *peer.entry("echo"), count], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
    try:
        result = json.loads(hold.stdout.readline())
        time.sleep(1)  # acknowledgements that are under way
        after = account.memory(peer.roots())
        figures = {"open": result["open"], "bytes_each_end": round((after["private"] - before["private"]) / 2 / max(1, result["open"]))}
        with Window(peer.roots()) as window:
            time.sleep(IDLE_S)
        figures["idle_core_pct"] = round(100 * window.cpu / window.seconds, 2)
        with Window(peer.roots()) as window:
            ping = measures.ask("ping", *peer.entry("echo"), 64, BUSY_S, timeout=BUSY_S + 20)
        figures["cpu_us_a_round_trip"] = round(1e6 * window.cpu / max(1, ping["count"]), 2)
        figures["ping_p50_us"] = ping["p50_us"]
        bulk = measures.transfer(peer, 1, False)
        figures.update({key: bulk[key] for key in ("mbit", "cpu_s_per_gb", "foreign_pct")})
        hold.stdin.write("\n")
        hold.stdin.flush()
        figures["alive"] = json.loads(hold.stdout.readline())["alive"]
    finally:
        measures.place.end(hold)
    return figures


def measure(measures, peer):
    """Each count from a fresh start: a heap that has grown hides what flows cost."""
    if not peer.ends:
        return {}
    found = {}
    for count in FLOWS:
        peer.stop()
        peer.start()
        measures.ready(peer)
        found[str(count)] = beside(measures, peer, count, account.memory(peer.roots()))
    least = found[str(FLOWS[0])]
    if not least["open"]:
        raise Failed("no connection could be opened")
    return {"scale": found}
