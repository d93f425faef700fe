#!/usr/bin/env python3
"""Draws a trace of netsim or of bench/paths.py (--trace) as one SVG: throughput, window, pacing and delivery rate, round trip and queue over time.

    netsim --rate-mbit 50 --rtt-ms 40 --queue-ms 80 --seconds 30 --flow bbr --flow bbr@10 --trace t.csv && plot.py t.csv "Two flows" > two.svg
"""
import csv
import html
import sys

WIDTH, HEIGHT, LEFT, TOP, GAP, RIGHT = 760, 130, 70, 40, 34, 20
COLOURS = ("#1b6ca8", "#c0392b", "#27805a", "#8e5bb5", "#b7791f", "#3a3a3a", "#d35f8d", "#2aa1a1")
PANELS = (("throughput, Mbit/s", "mbit"), ("window, KiB", "cwnd"), ("pacing rate, Mbit/s", "pace"), ("delivery rate, Mbit/s", "rate"),
          ("round trip, ms", "rtt"), ("queue before the link, KiB", "queue"))


def scaled(text, factor):
    return int(text) * factor if text else None


def read(path):
    """{flow: [row of numbers]}; throughput over half a second. What a trace does not tell is None."""
    flows = {}
    with open(path, encoding="ascii") as file:
        for row in csv.DictReader(file):
            rows = flows.setdefault(int(row["flow"]), [])
            time, delivered = float(row["s"]), int(row["delivered"])
            past = next((old for old in reversed(rows) if time - old["s"] >= 0.499), None)
            rate = (delivered - past["delivered"]) * 8e-6 / (time - past["s"]) if past else 0
            rows.append({"s": time, "delivered": delivered, "mbit": rate, "cwnd": int(row["cwnd"]) / 1024, "queue": scaled(row["queue"], 1 / 1024),
                         "pace": int(row["pacing_rate"]) * 8e-6, "rate": scaled(row.get("delivery_rate"), 8e-6), "rtt": float(row["srtt_ms"])})
    return flows


def nice(value):
    """The next round number."""
    step = 1
    while step * 10 <= value:
        step *= 10
    return next(step * k for k in (1, 2, 3, 5, 8, 10, 20) if step * k >= value)


def panel(number, title, key, flows, end):
    top = TOP + number * (HEIGHT + GAP)
    shown = {0: flows[min(flows)]} if key == "queue" else flows
    # Startup's pacing rate would flatten all that follows.
    values = sorted(row[key] for rows in shown.values() for row in rows if row["s"] > end * 0.05 or key != "pace")
    most = nice(max(values[int(len(values) * 0.999)] if values else 1, 1))
    parts = [f'<text x="{LEFT}" y="{top - 6}" font-weight="bold">{html.escape(title)}</text>']
    for share in (0, 0.5, 1):
        y = top + HEIGHT * (1 - share)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#ddd"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:g}</text>')
    for flow, rows in shown.items():
        points = " ".join(f"{LEFT + WIDTH * row['s'] / end:.1f},{top + HEIGHT * (1 - min(row[key] / most, 1)):.1f}" for row in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[flow % len(COLOURS)]}" stroke-width="1.2"/>')
    return parts


def main():
    flows = read(sys.argv[1])
    title = sys.argv[2] if len(sys.argv) > 2 else sys.argv[1]
    end = max(rows[-1]["s"] for rows in flows.values())
    panels = [(name, key) for name, key in PANELS if all(row[key] is not None for rows in flows.values() for row in rows)]
    height = TOP + len(panels) * (HEIGHT + GAP) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" font-family="sans-serif" font-size="11">',
             f'<rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="18" font-size="14">{html.escape(title)}</text>']
    for number, (name, key) in enumerate(panels):
        parts += panel(number, name, key, flows, end)
    for second in range(0, int(end) + 1, max(1, int(end) // 10)):
        parts.append(f'<text x="{LEFT + WIDTH * second / end:.1f}" y="{height - 18}" text-anchor="middle">{second} s</text>')
    print("\n".join(parts + ["</svg>"]))


if __name__ == "__main__":
    main()
