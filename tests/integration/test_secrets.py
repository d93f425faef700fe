"""Where secrets are while everything runs: nowhere but in the processes that need them, and there in memory that neither swap nor a
core file gets. Memory images are taken as root, whom nothing in the sandbox can stop."""
import base64
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from lab import memory, node as nodes, traffic
from lab.last_moment import LastMoment
from lab.mesh import Mesh
from lab.node import Key
from lab.traffic import LOOPBACK

pytestmark = pytest.mark.skipif(nodes.sanitized(), reason="the sanitizers keep what was freed")


def forms_of(text):
    """A key as it may stand in memory: 32 bytes, or the base64 text that it was read from."""
    raw = base64.b64decode(text)
    return {"raw": raw, "base64": text.encode()[:43], "hex": raw.hex().encode()}


def is_guarded(region):
    """Anonymous, never in a core file; locked where the limit admits it."""
    return region.name == "" and "dd" in region.vm_flags


@pytest.fixture
def pair(scene):
    a, b = scene.node(), scene.node()
    scene.preshared = Key.preshared()
    a.know(b, 4, scene.preshared, 1)
    b.know(a, 4, scene.preshared, 1)
    a.rules = scene.fill(["--egress", "tcp:8000:{b4}:9000"], a, b)
    b.rules = ["--ingress", "tcp:9000:127.0.0.1:80"]
    for end in (a, b):
        end.start()
    scene.keep(traffic.TcpService(b.host, LOOPBACK[4], 80))
    with traffic.tcp_connect(a.host, LOOPBACK[4], 8000) as client:
        assert traffic.exchange(client) == b"ping"
    return a, b


def test_the_search_finds_what_is_there(pair):
    """Else none of the tests below could fail."""
    a, _ = pair
    public = {"public": base64.b64decode(a.key.public)}
    for role in ("tunneld", "ctld"):
        assert memory.occurrences(a.child(role), public), role
    assert any(is_guarded(region) for region in memory.regions(a.child("tunneld")))


@pytest.mark.parametrize("role", ("proxyd", "ctld"))
def test_no_key_in_processes_that_need_none(scene, pair, role):
    for node in pair:
        for secret in (node.key.private, scene.preshared):
            found = memory.occurrences(node.child(role), forms_of(secret))
            assert not found, [(form, region.name, region.flags) for region, form in found]


def test_private_key_in_tunneld_is_in_guarded_memory_only(pair):
    for node in pair:
        found = memory.occurrences(node.child("tunneld"), forms_of(node.key.private))
        assert found and {form for _, form in found} == {"raw"}
        assert all(is_guarded(region) for region, _ in found), [(region.name, region.flags) for region, _ in found]


def test_keys_in_the_parent_are_in_guarded_memory_that_it_cannot_read_by_accident(scene, pair):
    for node in pair:
        for secret in (node.key.private, scene.preshared):
            found = memory.occurrences(node.pid, forms_of(secret))
            assert found, "it is kept for tunneld's next start"
            assert all(is_guarded(region) and not region.readable() for region, _ in found), [
                (form, region.name, region.flags) for region, form in found]


def test_private_key_is_wiped_before_tunneld_exits(pair):
    """An image of its last moment. nexd kills who takes too long over its exit, so that on a busy machine an image may come too late."""
    a, _ = pair
    needles = {**forms_of(a.key.private), "an image": b"\x7fELF"}

    def image_at_exit():
        pid = a.child("tunneld")
        assert "raw" in {form for _, form in memory.occurrences(pid, needles)}
        last = LastMoment(pid)
        os.kill(a.pid, signal.SIGTERM)
        found = {form for _, form in memory.occurrences(pid, needles)} if last.wait(20) else set()
        last.release()
        return found

    for _ in range(5):
        found = image_at_exit()
        a.stop()
        if found:
            break
        a.start()
    assert found == {"an image"}


def test_keys_are_wiped_before_the_parent_exits(scene, pair):
    a, _ = pair
    needles = {"private": base64.b64decode(a.key.private), "preshared": base64.b64decode(scene.preshared), "an image": b"\x7fELF"}
    pid = a.pid
    assert {name for _, name in memory.occurrences(pid, needles)} == set(needles)
    last = LastMoment(pid)
    os.kill(pid, signal.SIGTERM)
    assert last.wait(20)
    found = {name for _, name in memory.occurrences(pid, needles)}
    last.release()
    a.stop()
    assert found == {"an image"}


@pytest.mark.skipif(shutil.which("gcore") is None, reason="needs gdb's gcore")
def test_no_key_in_a_core_file_that_root_takes_of_a_running_process(scene, pair, tmp_path):
    """gcore leaves out what the kernel would: guarded memory. That the file is a process's memory is shown by the peer's public key. Preshared keys
    that tunneld works with are not in guarded memory."""
    a, b = pair
    private, preshared = ([*forms_of(secret).values()] for secret in (a.key.private, scene.preshared))
    for role, pid in {"nexd": a.pid, **{role: a.child(role) for role in nodes.ROLES}}.items():
        subprocess.run(["gcore", "-o", tmp_path / role, str(pid)], check=True, capture_output=True, timeout=120)
        core = (tmp_path / f"{role}.{pid}").read_bytes()
        assert not any(needle in core for needle in private), role
        assert role == "tunneld" or not any(needle in core for needle in preshared), role
        if role in ("tunneld", "ctld"):
            assert base64.b64decode(b.key.public) in core, role


def test_no_key_in_arguments_environment_or_log(scene, pair):
    for node in pair:
        texts = [node.log().encode()]
        for pid in node.processes():
            for name in ("cmdline", "environ", "status", "comm"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    texts.append(file.read())
        for secret in (node.key.private, scene.preshared):
            for form in forms_of(secret).values():
                assert not any(form in text for text in texts)


def test_no_descriptor_leads_to_the_configuration(pair):
    for node in pair:
        for pid in node.processes():
            for name in os.listdir(f"/proc/{pid}/fd"):
                assert not os.readlink(f"/proc/{pid}/fd/{name}").endswith(".conf")


# -- A member of a network: what it joined with, and what it was given -------------------------------------------------

TOKENS = re.compile(rb'"[a-z_-]*token"\s*:\s*"([^"]{20,})"')


@pytest.fixture
def member(scene):
    """Joined; `secrets`: its registration key and the tokens that it keeps, by name."""
    mesh = Mesh(scene)
    key = mesh.plane.reg_key()
    node = mesh.member(key=key).start()
    node.tunnel_address(4)
    kept = b"".join(path.read_bytes() for path in pathlib.Path(node.folder).rglob("*.json"))
    tokens = {f"token {number}": token for number, token in enumerate(sorted(set(TOKENS.findall(kept))))}
    assert tokens, "no token is kept"
    node.secrets = {"registration key": key.rpartition("RK:")[2].encode(), **tokens}
    assert len(node.secrets["registration key"]) > 8
    return node


def test_given_a_member_when_memory_is_searched_then_its_tokens_are_in_ctld_and_in_nobody_who_parses_packets_or_opens_sockets(member):
    assert memory.occurrences(member.child("ctld"), member.secrets), "else the search could not fail"
    for role in ("tunneld", "proxyd"):
        found = memory.occurrences(member.child(role), member.secrets)
        assert not found, [(role, name, region.name) for region, name in found]


def test_given_a_member_when_the_parents_memory_is_searched_then_its_secrets_are_in_guarded_memory_only(member):
    found = memory.occurrences(member.pid, member.secrets)
    assert all(is_guarded(region) for region, _ in found), [(name, region.name, region.flags) for region, name in found]


def test_given_a_member_when_arguments_environment_and_log_are_searched_then_no_secret_is_there(member):
    texts = [member.log().encode()]
    for pid in member.processes():
        for name in ("cmdline", "environ"):
            texts.append(pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
    assert not [name for name, secret in member.secrets.items() for text in texts if secret in text]
