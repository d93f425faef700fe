"""A Markdown table of a run's results: one row a figure, one column a program, "median (least..most)" of the rounds."""
import statistics

MIB = 1 << 20
# (row, path in a round's figures, factor, decimals)
ROWS = (
    ("TCP, 1 stream, a to b, Mbit/s", "tcp1_ab.mbit", 1, 0),
    ("TCP, 1 stream, b to a, Mbit/s", "tcp1_ba.mbit", 1, 0),
    ("TCP, 8 streams, a to b, Mbit/s", "tcp8_ab.mbit", 1, 0),
    ("TCP, 8 streams, b to a, Mbit/s", "tcp8_ba.mbit", 1, 0),
    ("slowest of the 8, a to b, Mbit/s", "tcp8_ab.slowest_mbit", 1, 0),
    ("fastest of the 8, a to b, Mbit/s", "tcp8_ab.fastest_mbit", 1, 0),
    ("CPU s/GB of both nodes, 1 stream, a to b", "tcp1_ab.cpu_s_per_gb", 1, 2),
    ("CPU s/GB of both nodes, 1 stream, b to a", "tcp1_ba.cpu_s_per_gb", 1, 2),
    ("machine busy, 1 stream, a to b, %", "tcp1_ab.busy_pct", 1, 0),
    ("connections/s, 1 client", "connections_1.per_s", 1, 0),
    ("connections/s, 16 clients", "connections_16.per_s", 1, 0),
    ("failed connections of the 16 clients", "connections_16.errors", 1, 0),
    ("CPU of both nodes a connection, 16 clients, us", "connections_16.cpu_us_each", 1, 0),
    ("connection and first byte p99, 16 clients, ms", "connections_16.p99_us", 1e-3, 2),
    ("64-byte round trip, idle, p50, us", "ping_idle.p50_us", 1, 0),
    ("64-byte round trip, idle, p99, us", "ping_idle.p99_us", 1, 0),
    ("64-byte round trip, idle, p99.9, us", "ping_idle.p999_us", 1, 0),
    ("64-byte round trip under 8 streams, p50, ms", "ping_loaded.p50_us", 1e-3, 2),
    ("64-byte round trip under 8 streams, p99, ms", "ping_loaded.p99_us", 1e-3, 2),
    ("64-byte round trip under 8 streams, p99.9, ms", "ping_loaded.p999_us", 1e-3, 2),
    *((f"UDP, {size} B, {what}, datagrams/s", f"udp_{size}.{key}", 1, 0) for size in (64, 512, 1300)
      for what, key in (("at most 0.1 % lost", "lossless_per_s"), ("most received", "most_per_s"))),
    ("UDP, 512 B, lost at 80,000 offered a second, %", "udp_512.rates.80000.loss_pct", 1, 2),
    ("CPU of both nodes a datagram of 512 B, 40,000 a second, us", "udp_512.rates.40000.cpu_us_each", 1, 2),
    ("start to first byte, ms", "start.first_byte_ms", 1, 0),
    ("memory idle, PSS of both trees, MiB", "memory_idle.pss", 1 / MIB, 1),
    ("memory idle, private, both trees, MiB", "memory_idle.private", 1 / MIB, 1),
    ("memory after load, PSS of both trees, MiB", "memory_after_load.pss", 1 / MIB, 1),
    ("memory 5 s after load, PSS of both trees, MiB", "memory_at_rest.pss", 1 / MIB, 1),
    ("resident peak under load, both trees, MiB", "memory_after_load.peak", 1 / MIB, 1),
    ("private memory of an idle connection, both nodes, bytes", "idle_1000.bytes_each", 1, 0),
    ("idle connections still alive, of 1000", "idle_1000.alive", 1, 0),
    *((f"{what}, {flows:,} flows open", f"scale.{flows}.{key}", 1, decimals)
      for what, key, decimals in (("private memory of a flow, an end, bytes", "bytes_each_end", 0),
                                  ("CPU of both nodes while they are idle, % of a core", "idle_core_pct", 2),
                                  ("CPU of both nodes a 64-byte round trip, us", "cpu_us_a_round_trip", 2),
                                  ("CPU s/GB of both nodes, 1 stream", "cpu_s_per_gb", 2))
      for flows in (10, 100, 1_000, 10_000)),
)

NAMES = {"direct": "loopback, no proxy"}


def pick(figures, path):
    for key in path.split("."):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def cell(rounds, path, factor, decimals):
    values = [pick(figures, path) for figures in rounds]
    values = [value * factor for value in values if value is not None]
    if not values:
        return "–"
    text = [f"{value:,.{decimals}f}" for value in (statistics.median(values), min(values), max(values))]
    return f"{text[0]} ({text[1]}..{text[2]})" if len(values) > 1 else text[0]


def ratios(left, right, path):
    """What `right` has of `left`, round by round: the two of a round ran one after the other."""
    pairs = [(pick(a, path), pick(b, path)) for a, b in zip(left, right)]
    return [b / a for a, b in pairs if a and b is not None]


def comparison(results):
    """A table of two builds: medians, and the ratio of each round with its median."""
    (left, left_rounds), (right, right_rounds) = results["rounds"].items()
    lines = [f"| | {left} | {right} | ratio, median (least..most) |", "|---|---:|---:|---:|"]
    for title, path, factor, decimals in ROWS:
        found = ratios(left_rounds, right_rounds, path)
        if found:
            lines.append(f"| {title} | {cell(left_rounds, path, factor, decimals)} | {cell(right_rounds, path, factor, decimals)} | "
                         f"{statistics.median(found):.3f} ({min(found):.3f}..{max(found):.3f}) |")
    return "\n".join([*heading(results), "", *lines]) + "\n" + errors(results)


def foreign(figures):
    """Every share that others had, in figures and what lies in them."""
    if not isinstance(figures, dict):
        return []
    return [figures.get("foreign_pct", 0), *(share for inner in figures.values() for share in foreign(inner))]


def noise(rounds):
    """The largest share of the machine that other processes had during any measure of some rounds, in percent."""
    return max((share for each in rounds for share in foreign(each)), default=0)


def heading(results):
    machine, rounds = results["machine"], results["rounds"]
    return [f"{results['date']} · {machine['cpu']}, {machine['processors']} processors · Linux {machine['kernel']} · "
            f"{machine['system']} · nexd {results['version']} · {results['place']}",
            f"`{results['command']}` · median (least..most) of {max(map(len, rounds.values()))} rounds of {results['seconds']} s "
            f"· others used at most {max(map(noise, rounds.values())):.0f} % of the machine"]


def errors(results):
    return "".join(f"\n* {name}: {error}\n" for name, each in results["rounds"].items()
                   for error in sorted({error for figures in each for error in figures.get("errors", [])}))


def markdown(results):
    rounds = results["rounds"]
    columns = [NAMES.get(name, name) if results["place"] == "loopback" else name for name in rounds]
    lines = [*heading(results), "", "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for title, path, factor, decimals in ROWS:
        cells = [cell(each, path, factor, decimals) for each in rounds.values()]
        if any(text != "–" for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n" + errors(results)
