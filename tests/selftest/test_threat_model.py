"""The matrix of docs/threat-model.md is whole, and what it names as proof exists: an act with its outcome for every kind of process,
or a test."""
import re
from pathlib import Path

import pytest

import selftest

ROOT = Path(__file__).resolve().parents[2]
ATTACKERS = ("tunneld", "proxyd", "ctld", "the parent", "the control plane", "a peer, or who sends packets", "a local user")
ASSETS = ("keys", "token", "bytes of flows", "files", "network position", "processes")
KINDS = {"the parent": "nexd"}


def rows():
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    section = text.split("## The matrix")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def existing_tests():
    """Names of tests in Python and in C."""
    names = set()
    for path in (*ROOT.glob("tests/integration/test_*.py"), *ROOT.glob("tests/selftest/test_*.py")):
        names |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M))
    for path in ROOT.glob("tests/unit/*/*.c"):
        names |= set(re.findall(r"^START_TEST\((\w+)\)", path.read_text(encoding="utf-8"), re.M))
    return names


ROWS, TESTS, ACTS = rows(), existing_tests(), selftest.expected_table()


def test_each_attacker_and_each_asset_has_its_cell():
    assert [(row[0], row[1]) for row in ROWS] == [(attacker, asset) for attacker in ATTACKERS for asset in ASSETS]
    assert all(len(row) == 4 and row[2] for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_what_is_named_exists(row):
    named = re.findall(r"`(\w+)`", row[3])
    assert named
    for name in named:
        assert name in ACTS or name in TESTS, f"there is neither an act nor a test {name}"


@pytest.mark.parametrize("row", [row for row in ROWS if KINDS.get(row[0], row[0]) in ("tunneld", "proxyd", "ctld", "nexd")],
                         ids=lambda row: f"{row[0]}-{row[1]}")
def test_acts_are_refused_in_that_process(row):
    """An act is named as proof where it is killed or refused, never where it is allowed."""
    kind = KINDS.get(row[0], row[0])
    for name in re.findall(r"`(\w+)`", row[3]):
        if name in ACTS:
            assert ACTS[name][kind] not in ("ok", "allow", "."), f"{name} is allowed in {kind}"
