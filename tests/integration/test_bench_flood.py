"""bench/flood.py, which floods a node with forged handshakes beside a transfer: that it works, not what it finds."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lab import node

BENCH = pathlib.Path(__file__).parents[2] / "bench"


@pytest.mark.scale
def test_given_a_flood_from_forged_addresses_when_a_transfer_goes_on_beside_it_then_both_are_measured(scene):
    results = pathlib.Path(scene.folder) / "results.json"
    done = subprocess.run([sys.executable, BENCH / "flood.py", "--rate", "20000", "--seconds", "1", "--repeats", "1", "--quiet-limit", "0",
                           "--json", results], env={**os.environ, "NEXD_BUILD": str(node.BUILD)}, capture_output=True, text=True, timeout=90,
                          check=False)
    assert done.returncode == 0, done.stderr
    figures, = json.loads(results.read_text(encoding="utf-8"))["rounds"]
    assert figures["alone_mbit"] > 0 and figures["mbit"] > 0 and figures["offered"] > 0, figures
    # Each initiation is forged; a cookie is all that any of them gets, and only some do.
    assert 0 < figures["cookies"] <= figures["offered"], figures
