"""Who the processes are: users of their own where nexd is started as root, an empty network for tunneld, no rights for anybody."""
import os
import shutil
import subprocess

import pytest

from lab import node as nodes, proc, traffic
from lab.process import GID, UID
from lab.traffic import LOOPBACK

FIRST = 70000
CHILDREN = ("tunneld", "proxyd", "ctld")
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
KEPT_BY_ROOT = 1 << 5 | 1 << 6 | 1 << 7  # CAP_KILL, CAP_SETGID, CAP_SETUID

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start nexd as root")


def root_node(scene, wrap=lambda command: command, flags=()):
    """A node that is started as root; its files are root's, whom no capability helps to open those of others."""
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"], flags=["--child-uids", str(FIRST), *flags])
    node.flags += ["--state-dir", node.folder / "state"]  # root's own default would be this machine's
    node.wrap = lambda _: wrap([str(word) for word in node.command()])
    os.chown(node.folder, 0, 0)
    write = node.write_configuration

    def write_as_root(text=None):
        path = write(text)
        os.chown(path, 0, 0)
        return path
    node.write_configuration = write_as_root
    return node


def status(pid, field):
    return proc.status_field(pid, field).split()


def network(pid):
    return os.readlink(f"/proc/{pid}/ns/net")


def can_make_namespaces(as_user):
    words = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", "unshare", "--user", "--net", "true"]
    return subprocess.run(words, capture_output=True, timeout=20).returncode == 0


@needs_root
def test_given_root_when_started_then_each_child_is_a_user_of_its_own_without_rights(scene):
    node = root_node(scene).start()
    for number, name in enumerate(CHILDREN):
        pid = node.child(name)
        wanted = [str(FIRST + number)] * 4
        assert status(pid, "Uid") == wanted and status(pid, "Gid") == wanted and status(pid, "Groups") == []
        assert [int(status(pid, field)[0], 16) for field in CAPABILITIES] == [0] * 5, name
    assert status(node.pid, "Uid") == ["0"] * 4
    assert int(status(node.pid, "CapPrm")[0], 16) == int(status(node.pid, "CapEff")[0], 16) == KEPT_BY_ROOT
    assert [int(status(node.pid, field)[0], 16) for field in ("CapInh", "CapBnd", "CapAmb")] == [0] * 3


@needs_root
def test_given_root_when_children_die_then_they_come_back_as_the_same_users_and_all_end_with_nexd(scene):
    node = root_node(scene).start()
    for number, name in enumerate(CHILDREN):
        assert status(node.kill_child(name), "Uid") == [str(FIRST + number)] * 4
    node.stop()


@needs_root
def test_given_root_without_the_rights_to_change_users_when_started_then_it_says_so_and_runs(scene):
    node = root_node(scene, wrap=lambda command: ["setpriv", "--bounding-set=-setuid", *command])
    node.start()
    assert "not as users of their own: CAP_SETUID" in node.log()
    for name in CHILDREN:
        assert status(node.child(name), "Uid") == ["0"] * 4


@needs_root
def test_given_root_of_a_namespace_with_one_user_when_started_then_it_says_so_and_runs(scene):
    node = root_node(scene, wrap=lambda command: ["unshare", "--map-root-user", *command])
    node.start()
    assert "do not exist in this user namespace" in node.log()


def test_given_a_user_without_rights_when_started_then_children_are_that_user_without_rights(scene):
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"]).start()
    for name in CHILDREN:
        pid = node.child(name)
        assert status(pid, "Uid") == status(node.pid, "Uid")
        assert [int(status(pid, field)[0], 16) for field in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4, name


PROBE = """
import ctypes, os, sys
pid = sys.argv[1]
for name in ("mem", "environ", "maps", "auxv"):
    try:
        open(f"/proc/{pid}/{name}", "rb").read(1)
        print(name, "can be read")
    except PermissionError:
        pass
for name in ("ns/net", "cwd", "root"):
    try:
        os.readlink(f"/proc/{pid}/{name}")
        print(name, "can be seen")
    except PermissionError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(0x4206, int(pid), None, None) == 0 or ctypes.get_errno() != 1:
    print("it can be traced", ctypes.get_errno())
print("done")
"""


@pytest.mark.skipif(nodes.sanitized(), reason="a sanitizer build is dumpable")
def test_given_another_process_of_the_same_user_when_it_tries_to_look_into_one_of_nexds_then_it_cannot(scene):
    """In a user namespace of its own, too: its owner, who is this user, has every right over what was started in there."""
    node = scene.node(["--egress", "tcp:8000:100.64.0.99:9000"], flags=["--unix-socket", "none"]).start()
    for pid in node.processes():
        done = subprocess.run(["setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups", "/usr/bin/python3", "-c", PROBE, str(pid)],
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout == "done\n", f"{proc.comm(pid)}: {done.stdout}{done.stderr}"


def test_tunneld_carries_traffic_in_a_network_that_has_nothing(scene):
    a, b = scene.pair(keepalive=1, a_rules=["--egress", "tcp:8000:{b4}:9000"], b_rules=["--ingress", "tcp:9000:127.0.0.1:80"])
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    if not can_make_namespaces(int(status(a.pid, "Uid")[0])):
        pytest.skip("users without rights may not make namespaces here")
    pid = a.child("tunneld")
    assert network(pid) not in (network(a.pid), network(os.getpid()))
    with open(f"/proc/{pid}/net/dev", encoding="ascii") as file:
        assert [line.split(":")[0].strip() for line in file.readlines()[2:]] == ["lo"]
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"


def test_given_no_control_socket_when_started_then_ctld_has_no_network_either_and_proxyd_its_rules_ports(scene):
    """Nobody has to be named at the other end of a control socket, and nobody can change the rules."""
    unattended = {"flags": ["--unix-socket", "none", "--metrics-listen", "127.0.0.1:9586"]}
    a, b = scene.pair(keepalive=1, a_rules=["--egress", "tcp:8000:{b4}:9000"], b_rules=["--ingress", "tcp:9000:127.0.0.1:80"], **unattended)
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    for node, ports in ((a, "bind:8000,9586;connect:53"), (b, "bind:9586;connect:53,80")):
        with open(f"/proc/{node.child('proxyd')}/cmdline", "rb") as file:
            assert f"--tcp-ports={ports}".encode() in file.read().split(b"\0")
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
    if not can_make_namespaces(int(status(a.pid, "Uid")[0])):
        pytest.skip("users without rights may not make namespaces here")
    assert network(a.child("ctld")) not in (network(a.pid), network(a.child("tunneld")))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 9586) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in client.recv(100)
    for name in CHILDREN:
        a.kill_child(name)
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000, 20) as client:
        assert traffic.exchange(client) == b"ping"


@needs_root
def test_given_programs_in_a_folder_closed_to_others_when_started_as_root_then_children_start(scene, tmp_path):
    node = root_node(scene)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    command = node.command
    source = command()[0].parent.parent
    for part in ("bin", "libexec"):
        shutil.copytree(source / part, closed / part)
    node.command = lambda: [closed / "bin" / "nexd", *command()[1:]]
    node.start()
    assert status(node.child("tunneld"), "Uid") == [str(FIRST)] * 4


NO_NAMESPACES = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'


def test_given_a_user_namespace_that_allows_no_other_when_started_then_traffic_flows(scene):
    inside = ["unshare", "--user", "--map-root-user", "--", "sh", "-c", NO_NAMESPACES, "sh"]
    a, b = scene.pair(keepalive=1, a_rules=["--egress", "tcp:8000:{b4}:9000"], b_rules=["--ingress", "tcp:9000:127.0.0.1:80"],
                      wrap=lambda command: [*command[:command.index("--") + 1], *inside, *command[command.index("--") + 1:]])
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    assert network(a.child("tunneld")) == network(a.pid), "a namespace was made although none may be"
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
