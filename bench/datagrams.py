"""UDP through a pair: numbered datagrams of several sizes at rising rates, and as fast as can be."""
import json
import subprocess

from account import Window
from place import Failed

SIZES = (64, 512, 1300)
RATES = (10_000, 20_000, 40_000, 80_000, 120_000, 160_000, 240_000)
STEP_S = 2
LOSSLESS_PCT = 0.1  # up to here a rate counts as carried
HOPELESS_PCT = 30  # past it no higher rate is tried
SINK_GRACE_S = 10


def step(measures, peer, size, rate):
    """One rate. The sink counts what arrives; what opens the flow is not counted."""
    place = measures.place
    sink = place.spawn("b", [measures.probe, "sink", place.bind, place.ports["udp"], STEP_S + SINK_GRACE_S],
                       stdout=subprocess.PIPE, text=True)
    try:
        sink.stdout.readline()
        with Window(peer.roots()) as window:
            sent = measures.ask("blast", *peer.entry("udp"), size, rate, STEP_S, timeout=STEP_S + 20)
            if not sent["opened"]:
                raise Failed("no datagram came back")
            got = json.loads(sink.stdout.readline() or '{"received": 0, "late": 0}')
    finally:
        place.end(sink)
    lost = 100 * (1 - got["received"] / sent["sent"]) if sent["sent"] else 0
    figures = {"offered_per_s": round(sent["per_s"]), "received_per_s": round(got["received"] / sent["seconds"]),
               "loss_pct": round(max(0, lost), 3), "late": got["late"], **window.figures()}
    if peer.ends and got["received"]:
        figures["cpu_us_each"] = round(1e6 * window.cpu / got["received"], 2)
    return figures


def of_size(measures, peer, size):
    rates, carried, most = {}, 0, 0
    for rate in RATES:
        rates[str(rate)] = figures = step(measures, peer, size, rate)
        most = max(most, figures["received_per_s"])
        # A sender that cannot keep its rate on this machine shows nothing about a higher one.
        kept = figures["offered_per_s"] >= 0.97 * rate
        if figures["loss_pct"] <= LOSSLESS_PCT:
            carried = figures["received_per_s"]
        if not kept or figures["loss_pct"] > HOPELESS_PCT:
            break
    rates["unpaced"] = figures = step(measures, peer, size, 0)
    return {"lossless_per_s": carried, "most_per_s": max(most, figures["received_per_s"]), "rates": rates}


def measure(measures, peer):
    if "udp" not in peer.description["entry"]:
        return {}
    return {f"udp_{size}": of_size(measures, peer, size) for size in SIZES}
