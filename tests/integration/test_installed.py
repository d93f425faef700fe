"""The installed programs: found, with their parts, wherever the installed tree stands."""
import os
import pathlib
import shutil
import subprocess

from lab import node, traffic
from lab.traffic import LOOPBACK


def test_given_an_installed_tree_when_it_is_moved_and_used_then_nexd_finds_its_parts_there_and_traffic_passes(scene):
    first, then = pathlib.Path(scene.folder) / "first", pathlib.Path(scene.folder) / "then"
    subprocess.run(["cmake", "--install", node.BUILD, "--prefix", first], check=True, capture_output=True, timeout=60)
    first.rename(then)
    a = scene.node()
    a.executable = then / "bin" / "nexd"
    a.rules = ["--egress", f"tcp:8000:{a.v4}:9000", "--ingress", "tcp:9000:127.0.0.1:80"]
    scene.keep(traffic.TcpService(a.host, LOOPBACK[4], 80))
    a.start()
    for role in node.ROLES:
        assert os.readlink(f"/proc/{a.child(role)}/exe") == str(then / "libexec" / "nexd" / role)
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
    status = subprocess.run([then / "bin" / "nexctl", "nexd", "--unix-socket", a.folder / "nexd.sock", "status"],
                            capture_output=True, text=True, timeout=10, check=False)
    assert status.returncode == 0 and "Running" in status.stdout, status


def test_given_an_installation_that_lacks_a_part_when_started_then_the_error_names_it(scene):
    tree = pathlib.Path(scene.folder) / "tree"
    for part in ("bin", "libexec"):
        shutil.copytree(node.BUILD / part, tree / part)
    (tree / "libexec" / "nexd" / "proxyd").unlink()
    a = scene.node()
    a.executable = tree / "bin" / "nexd"
    a.launch()
    assert a.process.wait(5 * node.slowness()) == 1
    assert any("proxyd" in line and "No such file" in line for line in a.process.lines), a.process.text()
