"""`nexd sandbox-report`: what holds the processes of a running nexd. What it says is compared with what /proc says to the test."""
import json
import os
import subprocess

import pytest

from lab import node as nodes, proc, waiting
from lab.process import GID, UID, unprivileged

ROLES = ("nexd", "tunneld", "proxyd", "ctld")
pytestmark = pytest.mark.skipif(nodes.sanitized(), reason="a sanitizer build is dumpable, and allows itself more")


def report(node, *words, as_user=False, status=0, socket=True):
    command = [nodes.program("nexd", node.folder.parent), *(["--unix-socket", node.folder / "nexd.sock"] if socket else []),
               "sandbox-report", *words]
    command = unprivileged(command) if as_user else [str(word) for word in command]
    done = subprocess.run(["nsenter", f"--net={node.host.path}", "--", *command], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def as_object(node, *words, **options):
    return {one["process"]: one for one in json.loads(report(node, "--output", "json", *words, **options).stdout)["processes"]}


@pytest.fixture
def node(scene):
    return scene.node(["--egress", "tcp:8000:100.64.0.99:9000,udp:8001:100.64.0.99:9000"]).start()


def pid_of(node, role):
    return node.pid if role == "nexd" else node.child(role)


def test_given_root_when_it_asks_then_the_report_is_what_the_kernel_says(node):
    processes = as_object(node)
    assert set(processes) == set(ROLES)
    for role in ROLES:
        found, pid = processes[role], pid_of(node, role)
        assert found["pid"] == pid
        assert found["uids"] == [UID] * 4 and found["gids"] == [GID] * 4 and found["groups"] == []
        for name, field in (("permitted", "CapPrm"), ("effective", "CapEff"), ("inheritable", "CapInh"), ("bounding", "CapBnd"),
                            ("ambient", "CapAmb")):
            assert int(found["capabilities"][name], 16) == int(proc.status_field(pid, field), 16)
        assert found["no_new_privs"] == int(proc.status_field(pid, "NoNewPrivs")) == 1
        assert found["seccomp_mode"] == int(proc.status_field(pid, "Seccomp")) == 2
        assert found["seccomp_filters"] == int(proc.status_field(pid, "Seccomp_filters")) >= 2
        assert found["dumpable"] is False
        assert found["limits"]["core file size"] == {"soft": "0", "hard": "0"}
        for name, what in found["namespaces"].items():
            assert os.readlink(f"/proc/{pid}/ns/{name}") == f"{name}:[{what['id']}]"
        # Those who ask have a connection to ctld, which it closes when it notices that they have gone.
        count = sum(number for kind, number in found["descriptors"].items() if kind != "unix stream connected")
        waiting.until(lambda: proc.descriptors(pid) == count, 5, f"{count} descriptors of {role}")
    assert processes["proxyd"]["limits"]["processes"] == {"soft": "0", "hard": "0"}


def test_given_root_when_it_asks_then_descriptors_are_named_by_kind(node):
    processes = as_object(node)
    assert processes["tunneld"]["descriptors"]["udp"] >= 2
    assert "tcp listening" not in processes["tunneld"]["descriptors"]
    assert processes["proxyd"]["descriptors"]["tcp listening"] == 1
    assert processes["ctld"]["descriptors"]["unix stream listening"] == 1
    assert not {"udp", "tcp listening", "tcp connected"} & set(processes["ctld"]["descriptors"])
    for role in ROLES:
        kinds = processes[role]["descriptors"]
        assert kinds["[eventpoll]"] == 1 and kinds["unix seqpacket connected"] >= 1
        assert not [kind for kind in kinds if kind.startswith("file ") and kind != "file /dev/null"]


def test_given_the_user_itself_when_it_asks_then_what_it_may_not_see_is_said_to_be_so(node):
    processes = as_object(node, as_user=True)
    assert set(processes) == set(ROLES)
    for found in processes.values():
        assert found["descriptors"] is None and found["namespaces"] is None
        assert found["seccomp_mode"] == 2 and found["dumpable"] is False
        assert found["limits"]["core file size"]["hard"] == "0"
    text = report(node, as_user=True).stdout
    assert text.count("not visible to this user") == 2 * len(ROLES)
    assert text.endswith("in order, as far as can be seen\n")


def test_landlock_is_reported_as_the_processes_said(node):
    processes = as_object(node)
    assert processes["nexd"]["landlock"]["file_system"] & 0b111 == 0b010, "its children have to be read and executed"
    for role in ROLES[1:]:
        assert processes[role]["landlock"]["abi"] >= 1, "this host has no Landlock"
        assert processes[role]["landlock"]["file_system"] & 0b111 == 0b111
        assert processes[role]["sandbox"] == "strict" and processes[role]["missing"] == ""
    if processes["tunneld"]["landlock"]["abi"] >= 6:
        assert processes["tunneld"]["landlock"]["network"] == processes["tunneld"]["landlock"]["scoped"] == 3


def test_given_no_control_socket_when_a_process_number_is_given_then_the_kernels_part_is_reported(scene):
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"], flags=["--unix-socket", "none"]).start()
    processes = as_object(node, "--pid", str(node.pid), socket=False)
    assert set(processes) == set(ROLES)
    for found in processes.values():
        assert found["landlock"] is None and found["seccomp_mode"] == 2
    assert "not known: this nexd is not behind the control socket" in report(node, "--pid", str(node.pid), socket=False).stdout


def test_given_a_child_that_died_when_asked_again_then_its_successor_is_reported(node):
    pid = node.kill_child("proxyd")
    assert as_object(node)["proxyd"]["pid"] == pid


def test_given_no_nexd_when_asked_then_it_says_what_is_missing(node, tmp_path):
    done = subprocess.run([nodes.BUILD / "bin" / "nexd", "--unix-socket", tmp_path / "none.sock", "sandbox-report"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "no nexd answers at" in done.stderr and "--pid" in done.stderr
    assert "is no nexd" in report(node, "--pid", str(os.getpid()), status=1).stderr


def test_given_a_layer_is_missing_when_asked_then_the_report_fails_and_names_it(scene):
    """Under a filter that refuses Landlock, as a kernel without it does."""
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"], flags=["--sandbox", "best-effort"],
                      wrap=lambda command: [nodes.BUILD / "tests" / "without_landlock", *command])
    node.start()
    assert "running without Landlock" in node.log()
    done = report(node, status=1)
    assert "NOT IN ORDER: tunneld: it runs without a layer of its sandbox: Landlock" in done.stdout
    assert as_object(node, status=1)["ctld"]["landlock"]["abi"] == 0


def test_given_a_kernel_without_landlock_when_started_strictly_then_it_refuses_and_names_the_layer(scene):
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"],
                      wrap=lambda command: [nodes.BUILD / "tests" / "without_landlock", *command])
    node.deaths_expected = True
    node.launch()
    assert node.process.wait(10) == 1
    assert "Landlock cannot be put in force: " in node.log()
