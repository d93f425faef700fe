"""SVG pictures of a run: bars with medians, and the least and the most of the rounds as a line over each."""
import html
import statistics

from tables import MIB, NAMES, pick

COLOURS = ("#9aa5b1", "#1b6ca8", "#c0392b", "#27805a", "#8e5bb5", "#b7791f")
WIDTH, LEFT, BAR, GAP, ROW_GAP, RIGHT, TOP = 900, 300, 14, 2, 14, 110, 64
# File, title, unit, and (row, path, factor); None: without "direct", which has no such figure or dwarfs the others.
CHARTS = (
    ("throughput", "TCP throughput", "Mbit/s", (
        ("1 stream, a to b", "tcp1_ab.mbit", 1), ("1 stream, b to a", "tcp1_ba.mbit", 1),
        ("8 streams, a to b", "tcp8_ab.mbit", 1), ("8 streams, b to a", "tcp8_ba.mbit", 1))),
    ("cpu", "CPU seconds of both nodes for a GB", "s", (
        ("1 stream, a to b", "tcp1_ab.cpu_s_per_gb", 1), ("8 streams, a to b", "tcp8_ab.cpu_s_per_gb", 1))),
    ("connections", "Connections a second", "1/s", (
        ("1 client", "connections_1.per_s", 1), ("16 clients", "connections_16.per_s", 1))),
    ("latency", "64-byte round trip, idle", "us", (
        ("p50", "ping_idle.p50_us", 1), ("p99", "ping_idle.p99_us", 1), ("p99.9", "ping_idle.p999_us", 1))),
    ("latency-loaded", "64-byte round trip under 8 streams", "ms", (
        ("p50", "ping_loaded.p50_us", 1e-3), ("p99", "ping_loaded.p99_us", 1e-3), ("p99.9", "ping_loaded.p999_us", 1e-3))),
    ("udp", "UDP datagrams a second", "1/s", tuple(
        (f"{size} B, {what}", f"udp_{size}.{key}", 1) for size in (64, 512, 1300)
        for what, key in (("at most 0.1 % lost", "lossless_per_s"), ("most received", "most_per_s")))),
    ("memory", "Memory of both nodes, PSS", "MiB", (
        ("idle", "memory_idle.pss", 1 / MIB), ("after load", "memory_after_load.pss", 1 / MIB),
        ("5 s after load", "memory_at_rest.pss", 1 / MIB))),
    ("start", "Start to first byte", "ms", (("static mode; the Go nexd joins", "start.first_byte_ms", 1),)),
)
CURVES = (("bytes_each_end", "private memory of an idle flow, an end, bytes"), ("idle_core_pct", "CPU while idle, % of a core"),
          ("cpu_us_a_round_trip", "CPU of a 64-byte round trip, us"), ("cpu_s_per_gb", "CPU s/GB, 1 stream"))


def values(rounds, path, factor):
    return [value * factor for value in (pick(figures, path) for figures in rounds) if value is not None]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def frame(height, title, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>', f'<text x="16" y="24" font-size="15">{html.escape(title)}</text>', *parts,
        "</svg>"]) + "\n"


def legend(names):
    parts, x = [], 16
    for at, name in enumerate(names):
        parts.append(f'<rect x="{x}" y="36" width="11" height="11" fill="{COLOURS[at % len(COLOURS)]}"/>'
                     f'<text x="{x + 16}" y="46">{html.escape(name)}</text>')
        x += 34 + 7 * len(name)
    return parts


def bars(results, title, unit, rows):
    names = list(results["rounds"])
    found = [(label, [values(results["rounds"][name], path, factor) for name in names]) for label, path, factor in rows]
    found = [(label, each) for label, each in found if any(each)]
    if not found:
        return None
    most = max(max(some) for _, each in found for some in each if some) or 1
    scale, y, parts = (WIDTH - LEFT - RIGHT) / most, TOP, legend([NAMES.get(name, name) for name in names])
    for label, each in found:
        parts.append(f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{html.escape(label)}</text>')
        for at, some in enumerate(each):
            if not some:
                continue
            middle = statistics.median(some)
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{max(1, middle * scale):.1f}" height="{BAR}" fill="{COLOURS[at % len(COLOURS)]}"/>'
                         f'<path d="M{LEFT + min(some) * scale:.1f} {y + BAR / 2}H{LEFT + max(some) * scale:.1f}" stroke="#222"/>'
                         f'<text x="{LEFT + max(some) * scale + 6:.1f}" y="{y + 11}">{number(middle)} {unit}</text>')
            y += BAR + GAP
        y += ROW_GAP
    return frame(y + 6, title, parts)


def curves(results):
    """What flows cost by how many are open, each curve against its own value with the fewest."""
    names = [name for name, rounds in results["rounds"].items() if any(pick(figures, "scale") for figures in rounds)]
    if not names:
        return None
    parts, y = legend(names), TOP + 10
    for key, title in CURVES:
        parts.append(f'<text x="16" y="{y}" font-weight="bold">{html.escape(title)}</text>')
        for at, name in enumerate(names):
            y += 18
            rounds = results["rounds"][name]
            counts = sorted({int(count) for figures in rounds for count in figures.get("scale", {})})
            cells = [(count, values(rounds, f"scale.{count}.{key}", 1)) for count in counts]
            text = "   ".join(f"{count:,}: {number(statistics.median(some))}" for count, some in cells if some)
            parts.append(f'<text x="32" y="{y}" fill="{COLOURS[at % len(COLOURS)]}">{html.escape(text)}</text>')
        y += 26
    return frame(y, "Cost by open flows", parts)


def draw(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: bars(results, title, unit, rows) for name, title, unit, rows in CHARTS}
    pictures["scale"] = curves(results)
    for name, picture in pictures.items():
        if picture:
            (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
