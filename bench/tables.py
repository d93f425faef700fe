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
    ("64-byte round trip under 8 streams, p50, ms", "ping_loaded.p50_us", 1e-3, 2),
    ("64-byte round trip under 8 streams, p99, ms", "ping_loaded.p99_us", 1e-3, 2),
    ("memory idle, PSS of both trees, MiB", "memory_idle.pss", 1 / MIB, 1),
    ("memory idle, private, both trees, MiB", "memory_idle.private", 1 / MIB, 1),
    ("memory after load, PSS of both trees, MiB", "memory_after_load.pss", 1 / MIB, 1),
    ("resident peak under load, both trees, MiB", "memory_after_load.peak", 1 / MIB, 1),
    ("private memory of an idle connection, both nodes, bytes", "idle_1000.bytes_each", 1, 0),
    ("idle connections still alive, of 1000", "idle_1000.alive", 1, 0),
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


def noise(rounds):
    """The largest share of the machine that other processes had during any measure of some rounds, in percent."""
    return max((figures["foreign_pct"] for each in rounds for figures in each.values()
                if isinstance(figures, dict) and "foreign_pct" in figures), default=0)


def markdown(results):
    machine, rounds = results["machine"], results["rounds"]
    columns = [NAMES.get(name, name) if results["place"] == "loopback" else name for name in rounds]
    lines = [f"{results['date']} · {machine['cpu']}, {machine['processors']} processors · Linux {machine['kernel']} · "
             f"{machine['system']} · nexd {results['version']} · {results['place']}",
             f"`{results['command']}` · median (least..most) of {max(map(len, rounds.values()))} rounds of {results['seconds']} s "
             f"· others used at most {max(map(noise, rounds.values())):.0f} % of the machine", "",
             "| | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for title, path, factor, decimals in ROWS:
        cells = [cell(each, path, factor, decimals) for each in rounds.values()]
        if any(text != "–" for text in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    for name, each in rounds.items():
        for error in sorted({error for figures in each for error in figures.get("errors", [])}):
            lines.append(f"\n* {name}: {error}")
    return "\n".join(lines) + "\n"
