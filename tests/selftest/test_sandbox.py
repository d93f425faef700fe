"""The sandbox from inside: every act in every process, against the table in expected.txt; and from outside: what the kernel
says is in force. NEXD_BUILD names the build tree (default ./build)."""
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import selftest
from selftest import Process, policy_selftest

EXPECTED = selftest.expected_table()
NOBODY = 65534
LANDLOCK_CREATE_RULESET = 444
CHILDREN = ("tunneld", "proxyd", "ctld")
CASES = [(kind, act) for act, kinds in EXPECTED.items() for kind, outcome in kinds.items() if outcome != "."]


def check(outcome, expected, what):
    if expected == "allow":
        assert outcome != "kill", f"{what}: the filter killed what it should let through"
    else:
        assert outcome == expected, what


@pytest.fixture(scope="session")
def open_folder():
    """A copy of the test program where any user can reach it."""
    folder = tempfile.mkdtemp(prefix="nexd-selftest-")
    os.chmod(folder, 0o755)
    shutil.copy2(selftest.BUILD / "tests" / "policy_selftest", folder)
    yield Path(folder)
    shutil.rmtree(folder)


def as_nobody():
    """Arguments for Popen that give up root, where the tests run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def landlock_abi():
    return ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1)


def status_of(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def limits_of(pid):
    """{limit's name: (soft, hard)} as the kernel prints them."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): tuple(line[25:].split()[:2]) for line in lines}


def test_every_act_has_its_expectation():
    assert set(selftest.list_acts()) == set(EXPECTED) | {"wait"}


@pytest.mark.parametrize("kind,act", CASES)
def test_act_in_bare_policy(kind, act):
    with Process(policy_selftest(kind), act) as process:
        check(process.outcome(), EXPECTED[act][kind], f"{act} in {kind}")


@pytest.mark.parametrize("kind,act", [case for case in CASES if case[0] in CHILDREN])
def test_act_in_real_process(kind, act):
    """The real main(), up to and into its sandbox, with everything that it has set up."""
    with Process([str(selftest.BUILD / "tests" / f"{kind}_selftest"), "--sandbox=strict"], act, link=True) as process:
        check(process.outcome(), EXPECTED[act][kind], f"{act} in {kind}")


PORTS = (("bind:;connect:9", "bind_tcp", "EACCES"), ("bind:8000", "bind_tcp", "EACCES"), ("bind:;connect:9", "connect", "allow"),
         ("bind:;connect:53,443", "connect", "EACCES"), ("bind:8000", "connect", "allow"))


@pytest.mark.skipif(landlock_abi() < 4, reason="this kernel's Landlock knows no ports")
@pytest.mark.parametrize("ports,act,outcome", PORTS)
def test_where_rules_cannot_change_proxyd_has_their_ports_only(ports, act, outcome):
    """bind_tcp asks for any port; connect for port 9. Where it may, the answer is the network's."""
    program = [str(selftest.BUILD / "tests" / "proxyd_selftest"), "--sandbox=strict", f"--tcp-ports={ports}"]
    with Process(program, act, link=True) as process:
        found = process.outcome()
    assert found != "EACCES" and found != "kill" if outcome == "allow" else found == outcome


@pytest.mark.parametrize("user", ("starter", "nobody"))
@pytest.mark.parametrize("kind", (*CHILDREN, "nexd"))
def test_kernel_says_what_is_in_force(kind, user, open_folder):
    options = as_nobody() if user == "nobody" else {}
    with Process([str(open_folder / "policy_selftest"), kind], "wait", **options) as process:
        process.wait_begun()
        pid = process.popen.pid
        status = status_of(pid)
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        assert int(status["Seccomp_filters"]) >= 2
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0, name
        if os.geteuid() == 0 and user == "starter":
            assert int(status["CapBnd"], 16) == 0
        limits = limits_of(pid)
        assert limits["Max core file size"] == ("0", "0")
        assert limits["Max open files"][0] == "64"
        if kind in CHILDREN:
            assert limits["Max open files"][1] == "64"
            assert limits["Max file size"] == ("0", "0")
            assert limits["Max processes"] == ("0", "0")
        # The files of a process that cannot be dumped belong to root, whoever runs it.
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user to try with")
def test_same_user_cannot_look_inside(open_folder):
    """A process of the same user can neither read the memory nor the environment of a sandboxed one, nor trace it."""
    with Process([str(open_folder / "policy_selftest"), "tunneld"], "wait", **as_nobody()) as process:
        process.wait_begun()
        pid = process.popen.pid
        probe = ("import ctypes,os,sys\n"
                 "pid = int(sys.argv[1])\n"
                 "for name in ('mem', 'environ', 'maps'):\n"
                 "    try:\n"
                 "        open(f'/proc/{pid}/{name}').read(1); print(name, 'readable')\n"
                 "    except PermissionError: pass\n"
                 "libc = ctypes.CDLL(None, use_errno=True)\n"
                 "if libc.ptrace(0x4206, pid, 0, 0) == 0: print('traced')\n"
                 "elif ctypes.get_errno() != 1: print('errno', ctypes.get_errno())\n"
                 "print('done')\n")
        result = subprocess.run(["/usr/bin/python3", "-c", probe, str(pid)], capture_output=True, text=True,
                                timeout=selftest.DEADLINE_S, **as_nobody())
        assert result.stdout == "done\n", result.stdout + result.stderr


def test_no_process_may_be_made_without_filter_either(open_folder):
    """RLIMIT_NPROC holds for an unprivileged user without any help from seccomp."""
    with Process([str(open_folder / "policy_selftest"), "open"], "fork", **as_nobody()) as process:
        assert process.outcome() == "EAGAIN"


@pytest.mark.parametrize("kind", CHILDREN)
def test_child_dies_with_its_parent(kind):
    """SIGKILL to the parent alone ends the child: its report pipe closes."""
    out, report = os.pipe()
    launcher = ("import os,subprocess,sys\n"
                "subprocess.Popen(sys.argv[2:], pass_fds=[int(sys.argv[1])])\n"
                "import signal; signal.pause()\n")
    environment = {**os.environ, "NEXD_SELFTEST_ACT": "wait", "NEXD_SELFTEST_FDS": f"{report},-1,-1,-1"}
    parent = subprocess.Popen([sys.executable, "-c", launcher, str(report), *policy_selftest(kind)],
                              pass_fds=[report], env=environment, stdin=subprocess.PIPE)
    os.close(report)
    try:
        assert os.read(out, 16) == b"begin\n"
        parent.send_signal(signal.SIGKILL)
        ready, _, _ = select.select([out], [], [], selftest.DEADLINE_S)
        assert ready and os.read(out, 16) == b""
    finally:
        parent.kill()
        parent.communicate()
        os.close(out)


@pytest.mark.parametrize("kind,layer", (("without_landlock", "Landlock"), ("without_seccomp", "seccomp filter [run]")))
def test_strict_refuses_to_run_without_a_layer_and_names_it(kind, layer):
    with Process(policy_selftest(kind, "strict"), "read_nothing") as process:
        _, errors = process.popen.communicate(timeout=selftest.DEADLINE_S)
        assert process.popen.returncode == 1
        assert process.report.read() == ""
        assert errors.decode().count("\n") == 1
        assert f"sandbox of {kind}: {layer} cannot be put in force" in errors.decode()


@pytest.mark.parametrize("kind,layer", (("without_landlock", "Landlock"), ("without_seccomp", "seccomp filter [run]")))
def test_best_effort_runs_without_a_layer_and_says_so(kind, layer):
    with Process(policy_selftest(kind, "best-effort"), "clock_gettime") as process:
        process.wait_begun()
        _, errors = process.popen.communicate(timeout=selftest.DEADLINE_S)
        assert process.popen.returncode == 0
        assert process.report.read() == "ok\n"
        assert f"running without {layer}" in errors.decode()


def test_log_to_a_file_is_not_cut_off(tmp_path):
    """RLIMIT_FSIZE 0 would end a process whose standard error is a file at its first line."""
    with open(tmp_path / "log", "wb") as log:
        environment = {"NEXD_SELFTEST_ACT": "clock_gettime", "NEXD_SELFTEST_FDS": "2,-1,-1,-1"}
        result = subprocess.run(policy_selftest("tunneld"), stderr=log, stdin=subprocess.DEVNULL, env=environment,
                                timeout=selftest.DEADLINE_S)
    assert result.returncode == 0
    assert (tmp_path / "log").read_text() == "begin\nok\n"
