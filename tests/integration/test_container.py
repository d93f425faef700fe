"""nexd as the entrypoint of a hardened container: first process, no capabilities, read-only root, no account, a seccomp profile
around it. NEXD_TEST_SECCOMP_PROFILES names further profiles (paths, separated by colons), such as the default one of a container engine."""
import json
import os

import pytest

from lab import container, node as nodes, proc, seccomp_profile, traffic
from lab.traffic import LOOPBACK, MIB

OTHERS = [path for path in os.environ.get("NEXD_TEST_SECCOMP_PROFILES", "").split(":") if path]
PROFILES = [container.PROFILE, *OTHERS]


@pytest.fixture(scope="session")
def runc(tmp_path_factory):
    reason = container.works_here(tmp_path_factory.mktemp("probe")) if os.geteuid() == 0 else "needs root, to make containers"
    if reason:
        pytest.skip(reason)


@pytest.fixture(params=PROFILES, ids=lambda path: os.path.basename(path))
def pair(request, scene, runc):
    """Two containers: a reaches b's service."""
    a, b = scene.node(), scene.node()
    scene.introduce(a, b, 4, None, 1)
    a.rules = scene.fill(["--egress", "tcp:8000:{b4}:9000,udp:4242:{b4}:4343"], a, b)
    b.rules = ["--ingress", "tcp:9000:127.0.0.1:80,udp:4343:127.0.0.1:53"]
    for end in (a, b):
        container.Container(end, request.param)
        end.start(20)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    scene.keep(traffic.UdpService(b.host, LOOPBACK[4], 53))
    return a, b


def test_given_hardened_containers_when_traffic_flows_then_it_arrives(pair):
    a, b = pair
    for end in pair:
        assert proc.status_field(end.pid, "NSpid").split()[-1] == "1", "nexd is not the container's first process"
        assert proc.status_field(end.pid, "Uid").split() == [str(nodes.UID)] * 4
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
        data = os.urandom(MIB // 4)
        assert traffic.exchange(client, data) == data
    with traffic.udp_client(a.host, LOOPBACK[4], 4242) as client:
        assert traffic.udp_ask(client, b"ping") == b"ping"


def test_given_a_container_when_children_die_then_they_are_back_inside_it(pair):
    a, _ = pair
    for role in ("ctld", "proxyd", "tunneld"):
        pid = a.kill_child(role)
        assert proc.status_field(pid, "NSpid").split()[-1] != str(pid)
        assert proc.status_field(pid, "Seccomp").split() == ["2"]
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"


def without_calls(path, refused):
    """The exported profile without these calls; refused with ENOSYS, as by a kernel that lacks them."""
    profile = json.loads(container.PROFILE.read_text(encoding="utf-8"))
    for entry in profile["syscalls"]:
        entry["names"] = [name for name in entry["names"] if name not in refused] or ["getpid"]
    profile["syscalls"].append({"names": sorted(refused), "action": "SCMP_ACT_ERRNO", "errnoRet": 38})
    path.write_text(json.dumps(profile), encoding="utf-8")
    return path


def test_given_a_profile_without_privileged_calls_when_started_without_rights_then_it_needs_none(scene, runc, tmp_path):
    """As the unit for systemd has it."""
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:1"])
    container.Container(node, without_calls(tmp_path / "profile.json", {"capset", "setgroups", "setresgid", "setresuid", "fchownat"}))
    node.start(20)


def test_given_a_profile_that_refuses_landlock_when_started_strictly_then_it_says_which_layer_is_missing(scene, runc, tmp_path):
    profile = without_calls(tmp_path / "profile.json", {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"})
    strict = scene.node(["--egress", "tcp:8000:100.64.0.99:1"])
    container.Container(strict, profile)
    strict.deaths_expected = True
    strict.launch()
    assert strict.process.wait(10) == 1
    assert "Landlock cannot be put in force" in strict.log()
    best = scene.node(["--egress", "tcp:8000:100.64.0.99:1"], flags=["--sandbox", "best-effort"])
    container.Container(best, profile)
    best.start(20)
    assert "running without Landlock" in best.log()


def test_given_an_engines_profile_when_converted_then_what_counts_for_the_container_is_left():
    """Of the form that engines use, each condition once; the calls are any."""
    entries = [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["brk"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}, "comment": "not on others"},
        {"names": ["cacheflush"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm", "arm64"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"name": "socket", "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}],
         "excludes": {"arches": ["s390"]}},
    ]
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": entries,
               "archMap": [{"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": None},
                           {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}]}

    def names(converted):
        return [name for entry in converted["syscalls"] for name in entry["names"]]

    bare = seccomp_profile.converted(profile, machine="x86_64", kernel="4.4.0-old")
    assert names(bare) == ["read", "write", "brk", "clone3", "socket"]
    assert bare["syscalls"][-2] == {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
    assert bare["syscalls"][-1]["args"] == entries[-1]["args"]
    assert bare["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert (bare["defaultAction"], bare["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    trusted = seccomp_profile.converted(profile, {"CAP_SYS_ADMIN"}, machine="aarch64", kernel="6.1")
    assert names(trusted) == ["read", "write", "cacheflush", "mount", "ptrace", "socket"]
    assert trusted["architectures"] == ["SCMP_ARCH_AARCH64"]
    assert set().union(*(entry for entry in trusted["syscalls"])) <= {"names", "action", "errnoRet", "args"}
