"""bench/fairness.py, which measures two flows over one bottleneck: that it works, not what it finds."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lab import node

BENCH = pathlib.Path(__file__).parents[2] / "bench"
PATH = "rtt_ms=10,loss=0,rate_mbit=20,queue_ms=20"


@pytest.mark.scale
def test_given_a_bottleneck_when_two_flows_share_it_then_both_are_measured_and_together_fill_it(scene, kernel):
    results = pathlib.Path(scene.folder) / "results.json"
    done = subprocess.run([sys.executable, BENCH / "fairness.py", "--kernel", "wireguard-go", "--path", PATH, "--case", "nexd,cubic", "--seconds", "4",
                           "--from", "1", "--json", results], env={**os.environ, "NEXD_BUILD": str(node.BUILD)}, capture_output=True, text=True,
                          timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    run, = json.loads(results.read_text(encoding="utf-8"))["entries"][0]["runs"]
    assert min(run["mbit"]) > 0 and 5 < sum(run["mbit"]) <= 20, f"{run}: each would have 20 of its own if they did not share"
