"""bench/paths.py, which measures long and lossy paths: that it works, not what it finds."""
import csv
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lab import node

BENCH = pathlib.Path(__file__).parents[2] / "bench"
PATH = "rtt_ms=20,loss=0.01,rate_mbit=50,queue_ms=20"


@pytest.mark.scale
def test_given_a_lossy_path_when_paths_measures_it_then_it_tells_a_rate_and_a_trace_that_can_be_drawn(scene):
    folder = pathlib.Path(scene.folder)
    trace, results = folder / "trace.csv", folder / "results.json"
    done = subprocess.run([sys.executable, BENCH / "paths.py", "--path", PATH, "--directions", "down", "--seconds", "2", "--trace", trace,
                           "--json", results], env={**os.environ, "NEXD_BUILD": str(node.BUILD)}, capture_output=True, text=True, timeout=90,
                          check=False)
    assert done.returncode == 0, done.stderr
    run, = json.loads(results.read_text(encoding="utf-8"))["cells"][0]["runs"]["nexd"]
    assert 0 < run["down"] <= 50, run
    assert run["down_lost"] > 0, "it did not go through the relay"
    with open(trace, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    delivered = [int(row["delivered"]) for row in rows]
    assert delivered == sorted(delivered) and delivered[-1] > 100_000, delivered
    assert all(float(row["srtt_ms"]) >= 19 and int(row["cwnd"]) > 0 and int(row["pacing_rate"]) > 0 for row in rows), rows
    drawn = subprocess.run([sys.executable, BENCH / "sim" / "plot.py", trace, "a <path>"], capture_output=True, text=True, timeout=30, check=False)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.count("<polyline") == 5 and "a &lt;path&gt;" in drawn.stdout  # no panel for the queue, which only a simulator knows
