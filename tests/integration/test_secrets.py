"""Where secrets are while everything runs: nowhere but in the processes that need them, and there in memory that neither swap nor a
core file gets. Memory images are taken as root, whom nothing in the sandbox can stop."""
import base64
import os

import pytest

from lab import memory, node as nodes, traffic
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
