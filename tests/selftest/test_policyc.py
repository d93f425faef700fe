"""The policy compiler's command line: errors with file and line, lists for scripts, headers never half written."""
import re
import subprocess

import pytest

from policies import NAMES, rules
from selftest import BUILD, DEADLINE_S

GOOD = "[start]\nopenat # files\n[run]\nread # bytes\nerrno EPERM kill # no\n"


def policyc(*arguments):
    return subprocess.run([str(BUILD / "tools" / "policyc"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=DEADLINE_S)


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "good.policy"
    path.write_text(GOOD)
    return path


def test_list_and_count_include_run_in_start(policy):
    assert policyc("--list", policy).stdout == "start kill\nstart openat\nstart read\nrun kill\nrun read\n"
    assert policyc("--count", policy).stdout == (
        "start x86-64 3\nstart aarch64 3\nrun x86-64 2\nrun aarch64 2\n")


def test_contained_policy_is_allowed_in_every_stage(policy, tmp_path):
    child = tmp_path / "child.policy"
    child.write_text("[start]\nsocket # s\n[run]\nwrite # w\n")
    listed = policyc("--contain", child, "--list", policy).stdout.splitlines()
    assert {"start socket", "start write", "run socket", "run write"} <= set(listed)


def test_error_names_file_and_line(policy, tmp_path):
    bad = tmp_path / "bad.policy"
    bad.write_text("[start]\n[run]\nraed # typo\n")
    for arguments in (("--list", bad), ("--append", bad, "--list", policy), ("--header", tmp_path / "out.h", bad)):
        result = policyc(*arguments)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"{bad}:3: unknown system call raed\n"
    assert not list(tmp_path.glob("out.h*"))


@pytest.mark.parametrize("name", ("Bad.policy", "bad.txt", "a-b.policy", ".policy", "a.policy.policy"))
def test_names_that_make_no_identifier(tmp_path, name):
    path = tmp_path / name
    path.write_text(GOOD)
    assert policyc("--list", path).returncode == 1


@pytest.mark.parametrize("arguments", ((), ("--list",), ("--header",), ("--list", "--count", "x.policy"),
                                       ("--nonsense", "x.policy"), ("--list", "a.policy", "b.policy")))
def test_wrong_use(arguments):
    result = policyc(*arguments)
    assert result.returncode == 2 and result.stderr.startswith("usage:")


def test_header_compiles_for_both_machines(policy, tmp_path):
    header = tmp_path / "good.h"
    assert policyc("--header", header, policy).returncode == 0
    text = header.read_text()
    for machine in ("__x86_64__", "__aarch64__"):
        assert f"defined({machine})" in text
    assert text.count("good_start_filter[]") == text.count("good_run_filter[]") == 2


def test_unwritable_header(policy, tmp_path):
    result = policyc("--header", tmp_path / "missing" / "good.h", policy)
    assert result.returncode == 1 and "missing" in result.stderr


def test_shipped_policies_keep_within_their_bounds():
    """Calls in the running phase; 25, 40 and 40 are the most that may ever be. A policy that has to grow changes its bound here,
    where it is seen."""
    bounds = {"tunneld": 24, "proxyd": 31, "ctld": 28}
    for name, bound in bounds.items():
        options = (BUILD / "generated" / "seccomp" / f"{name}.options").read_text().split("\n")
        counts = [line.split() for line in policyc("--count", *filter(None, options)).stdout.splitlines()]
        assert len(counts) == 4
        for stage, machine, count in counts:
            assert stage == "start" or int(count) <= bound, (name, machine)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_policies_are_compiled_for_both_machines(name):
    """Each with both stages; the machine's number is what a filter looks at first, and another machine's call kills."""
    halves = (BUILD / "generated" / "seccomp" / f"{name}.h").read_text().split("#elif defined(__aarch64__)")
    assert len(halves) == 2 and "defined(__x86_64__)" in halves[0]
    for half, machine in zip(halves, (0xC000003E, 0xC00000B7)):
        programs = re.findall(r"filter\[\] = \{\n(.*?)\};", half, re.S)
        assert len(programs) == 2
        for program in programs:
            lines = program.splitlines()
            assert len(lines) > 20
            assert "0x20, 0, 0, 0x00000004" in lines[0], "the machine is not loaded first"
            assert f"0x{machine:08x}" in lines[1], "or not compared"


def test_sockets_of_other_families_are_named_by_no_policy():
    """Whatever families a kernel may have, a policy names the ones that its process may make, each with its type."""
    allowed = {"nexd": {"AF_UNIX"}, "tunneld": set(), "proxyd": {"AF_INET", "AF_INET6"}, "ctld": set(), "apid": {"AF_INET", "AF_INET6"}}
    for name in NAMES:
        for rule in rules(name):
            words = rule.split()
            if words[2] == "socket":
                assert words[4:6] == ["int0", "=="] and words[6] in allowed[name], rule
                assert words[6] == "AF_UNIX" or "SOCK_TYPE_MASK" in rule, rule
