"""The unit for systemd: how much it leaves open, in systemd's own judgement, and that its list of calls is the policies'."""
import re
import shutil
import subprocess

import pytest

from lab.node import BUILD, sanitized

UNIT = BUILD / "packaging" / "nexd.service"
CALLS = BUILD / "packaging" / "nexd.service.d" / "10-system-calls.conf"
EXPOSURE_MAX = 1.1


@pytest.fixture
def root(tmp_path):
    """A folder that stands for a host's root, with the unit as it is installed."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    shutil.copy2(UNIT, units)
    shutil.copytree(CALLS.parent, units / "nexd.service.d")
    return tmp_path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs the program systemd-analyze")
@pytest.mark.skipif(sanitized(), reason="a sanitizer build needs more calls, and is never deployed")
def test_exposure_is_small(root):
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--root={root}", "--no-pager", "nexd.service"],
                          capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for nexd.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX, done.stdout
    assert "SystemCallFilter" not in "".join(line for line in done.stdout.splitlines() if "does not filter" in line)


def test_calls_are_those_of_the_policies():
    policies = BUILD / "generated" / "seccomp" / "nexd.options"
    words = policies.read_text(encoding="utf-8").split()
    listed = subprocess.run([BUILD / "tools" / "policyc", *words[:-1], "--list", words[-1]], capture_output=True, text=True,
                            timeout=60, check=True).stdout
    needed = {line.split()[1] for line in listed.splitlines()}
    lines = re.findall(r"^SystemCallFilter=(.*)$", CALLS.read_text(encoding="utf-8"), re.M)
    assert lines[-1] == "~@privileged"
    unit = {word for line in lines[:-1] for word in line.split()}
    assert needed - unit <= {"clone3", "eventfd2"}, "a process needs what the unit refuses"  # these two are refused inside too
    assert unit - needed <= {"execve", "fstatfs", "getdents64"}, "the unit allows what no process needs"


def test_unit_names_no_place_of_the_build():
    text = UNIT.read_text(encoding="utf-8")
    assert "@" not in text and str(BUILD) not in text
    assert re.search(r"^ExecStart=/\S+/nexd ", text, re.M)
