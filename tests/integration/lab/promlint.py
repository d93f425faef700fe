"""Checks of Prometheus' text format and of its naming conventions: what promtool's linter checks, and that it can be read at all.

https://prometheus.io/docs/instrumenting/exposition_formats/ and .../practices/naming/
"""
import re

NAME = re.compile(r"[a-z_:][a-z0-9_:]*\Z")
LABEL = re.compile(r'([a-z_][a-z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|\Z)')
SERIES = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
KINDS = ("counter", "gauge", "histogram", "summary", "untyped")
# Words that are no base unit: what they measure is told in seconds, bytes, meters, ratios …
NOT_BASE_UNITS = ("milliseconds", "microseconds", "nanoseconds", "minutes", "hours", "days", "weeks", "bits", "kilobytes", "megabytes",
                  "gigabytes", "kibibytes", "mebibytes", "gibibytes", "percent", "fahrenheit", "celsius", "grams", "ms", "us", "ns", "kb",
                  "mb", "sec", "secs")


def parse(text):
    """{name: {frozenset of labels: value}}, after the format's own rules have been checked."""
    assert text.endswith("\n"), "the last line has no end"
    families, values, current = {}, {}, None
    for number, line in enumerate(text[:-1].split("\n"), 1):
        where = f"line {number}: {line}"
        if line.startswith("# "):
            word, name, rest = line[2:].split(" ", 2)
            assert word in ("HELP", "TYPE"), where
            if word == "HELP":
                assert name not in families, f"a family that is not in one piece: {where}"
                families[name] = {"help": rest}
            else:
                assert rest in KINDS and name == current, where
                families[name]["type"] = rest
            current = name
            continue
        match = SERIES.match(line)
        assert match, where
        name, labels, value = match.groups()
        assert name == current and "type" in families[name], f"before HELP and TYPE of it: {where}"
        pairs, rest = [], labels or ""
        while rest:
            label = LABEL.match(rest)
            assert label, where
            pairs.append(label.group(1, 2))
            rest = rest[label.end():]
        assert len({pair[0] for pair in pairs}) == len(pairs), f"a label twice: {where}"
        key = frozenset(pairs)
        assert key not in values.setdefault(name, {}), f"a series twice: {where}"
        values[name][key] = float(value)
    for name in families:
        assert name in values, f"{name} has no series"
    return families, values


def lint(text):
    """Problems, one string each; [] for a text that is as it should be."""
    problems = []
    families, values = parse(text)
    for name, family in families.items():
        words = name.split("_")
        if not NAME.match(name):
            problems.append(f"{name}: not in lower case with underscores")
        if not family["help"].strip():
            problems.append(f"{name}: no help")
        if (family["type"] == "counter") != name.endswith("_total"):
            problems.append(f"{name}: counters, and they alone, end with _total")
        if family["type"] in words:
            problems.append(f"{name}: its type in its name")
        if any(word in NOT_BASE_UNITS for word in words):
            problems.append(f"{name}: no base unit")
        if any(unit in words and words[-1] not in (unit, "total") for unit in ("seconds", "bytes")):
            problems.append(f"{name}: the unit is not its last part")
        if any(name.endswith(end) for end in ("_count", "_sum", "_bucket", "_info")) and not name.endswith("_build_info"):
            problems.append(f"{name}: an end that other types of metrics have")
        for labels in values[name]:
            for label, _ in labels:
                if label in ("le", "quantile") or label.startswith("__"):
                    problems.append(f"{name}: label {label} is reserved")
        label_names = {frozenset(label for label, _ in labels) for labels in values[name]}
        if len(label_names) != 1:
            problems.append(f"{name}: series with different labels")
    return problems
