"""Event streams: lists, tails, resumption, presence, and a thousand of them at once."""
import json
import os
import resource
import selectors
import ssl
import time
import urllib.parse

import pytest

from lab import node as nodes, waiting
from lab.plane import Plane, public_key


@pytest.fixture
def plane():
    made = Plane()
    made.alice = made.token(made.user("alice"))
    made.vpc = made.vpc_of(made.alice)
    made.key = made.reg_key("alice")
    yield made
    made.close()


def watches(vpc, *kinds, **more):
    return [{"kind": kind, "options": {"vpc-id": vpc}, **more} for kind in kinds]


def devices(vpc, **more):
    return watches(vpc, "device", **more)


def highest(events):
    return max(event["value"]["revision"] for event in events if "value" in event)


def of(device):
    return lambda event: event.get("value", {}).get("id") == device["id"]


def test_the_list_then_the_tail_then_changes(plane):
    first, token = plane.join(plane.key, plane.vpc, hostname="first")
    with plane.watch(token, watches(plane.vpc, "security-group", "device", "device-metadata", "vpc")) as stream:
        assert stream.status == 200 and stream.headers["Content-Type"] == "application/json;stream=watch"
        events = stream.tails(4)
        assert sorted(event["kind"] for event in events if event["type"] == "tail") == ["device", "device-metadata", "security-group", "vpc"]
        second, _ = plane.join(plane.key, plane.vpc, hostname="second")
        assert stream.until(of(second))[-1]["type"] == "change"
        plane.request("PATCH", f"/api/devices/{second['id']}", plane.alice, {"hostname": "renamed"})
        assert stream.until(of(second))[-1]["value"]["hostname"] == "renamed"
        plane.request("PUT", f"/api/devices/{second['id']}/metadata/relay", plane.alice, {"type": "derp"})
        told = stream.until(lambda event: event["kind"] == "device-metadata")[-1]["value"]
        assert (told["device_id"], told["key"], told["value"]) == (second["id"], "relay", {"type": "derp"})
        plane.request("PATCH", f"/api/vpcs/{plane.vpc}", plane.alice, {"description": "changed"})
        assert stream.until(lambda event: event["kind"] == "vpc")[-1]["value"]["description"] == "changed"
        plane.request("DELETE", f"/api/devices/{second['id']}", plane.alice)
        gone = stream.until(lambda event: event["kind"] == "device" and event["type"] == "delete")[-1]
        assert gone["value"]["id"] == second["id"] and gone["value"]["public_key"] == ""


def test_where_streams_begin(plane):
    one, _ = plane.join(plane.key, plane.vpc)
    two, _ = plane.join(plane.key, plane.vpc)
    gone, _ = plane.join(plane.key, plane.vpc)
    with plane.watch(plane.alice, devices(plane.vpc)) as stream:
        before = highest(stream.tails())
    plane.request("DELETE", f"/api/devices/{gone['id']}", plane.alice)
    renamed = plane.request("PATCH", f"/api/devices/{one['id']}", plane.alice, {"hostname": "new"}).json
    # A first list leaves out what is deleted, and goes by revision.
    with plane.watch(plane.alice, devices(plane.vpc)) as stream:
        events = stream.tails()
        assert [event["value"]["id"] for event in events[:-1]] == [two["id"], one["id"]]
        assert all(event["type"] == "change" for event in events[:-1])
    # At the tail there is no tail, and deletes are told.
    with plane.watch(plane.alice, devices(plane.vpc, at_tail=True, gt_revision=before)) as stream:
        events = stream.until(of(one))
        assert [(event["type"], event["value"]["id"]) for event in events] == [("delete", gone["id"]), ("change", one["id"])]
        assert stream.quiet(0.5) is None
    with plane.watch(plane.alice, devices(plane.vpc, gt_revision=before)) as stream:
        assert [event["type"] for event in stream.tails()] == ["change", "tail"]
    with plane.watch(plane.alice, devices(plane.vpc, gt_revision=renamed["revision"] + 1000)) as stream:
        assert [event["type"] for event in stream.tails()] == ["tail"]
        plane.join(plane.key, plane.vpc)
        assert stream.quiet(0.5) is None
    with plane.watch(plane.alice, devices(plane.vpc, at_tail=True)) as stream:
        assert len(stream.until(of(one))) == 3
    with plane.watch(plane.alice, devices(plane.vpc, gt_revision=2**64 - 1)) as stream:
        assert [event["type"] for event in stream.tails()] == ["tail"]


def test_more_than_a_page_in_the_first_list(plane):
    ids = [plane.request("POST", "/api/devices", plane.key, {"vpc_id": plane.vpc, "public_key": public_key()}).json["id"] for _ in range(130)]
    with plane.watch(plane.alice, devices(plane.vpc)) as stream:
        assert [event["value"]["id"] for event in stream.tails()[:-1]] == ids


def test_metadata_by_key_prefix_and_device(plane):
    one, token = plane.join(plane.key, plane.vpc)
    two, _ = plane.join(plane.key, plane.vpc)
    for device in (one, two):
        for key in ("relay", "note-a", "note-b"):
            plane.request("PUT", f"/api/devices/{device['id']}/metadata/{key}", plane.alice, json.dumps(key))

    def seen(**options):
        with plane.watch(token, [{"kind": "device-metadata", "options": options}]) as stream:
            return sorted((event["value"]["device_id"] == one["id"], event["value"]["key"]) for event in stream.tails()[:-1])
    everything = sorted((mine, key) for mine in (True, False) for key in ("relay", "note-a", "note-b"))
    vpc = {"vpc-id": plane.vpc}
    assert seen(**vpc) == everything
    assert seen(**vpc, prefixes=None) == everything
    assert seen(**vpc, key="relay") == [(False, "relay"), (True, "relay")]
    assert seen(**vpc, prefix=["note"]) == sorted((mine, key) for mine in (True, False) for key in ("note-a", "note-b"))
    assert seen(**{"device-id": one["id"]}) == sorted((True, key) for key in ("relay", "note-a", "note-b"))
    assert seen(**{"device-id": one["id"]}, key="note-a") == [(True, "note-a")]


def test_a_device_is_online_while_it_listens(plane):
    device, token = plane.join(plane.key, plane.vpc)
    state = lambda: plane.request("GET", f"/api/devices/{device['id']}", plane.alice).json["online"]
    assert state() is False
    with plane.watch(plane.alice, devices(plane.vpc)) as observer:
        observer.tails()
        stream = plane.watch(token, devices(plane.vpc))
        assert stream.until(lambda event: of(device)(event) and event["value"]["online"])
        assert observer.until(of(device))[-1]["value"]["online"] is True
        # A stream that is made anew within the grace is no news.
        stream.close()
        again = plane.watch(token, devices(plane.vpc))
        again.tails()
        assert observer.quiet(6) is None and state() is True
        again.close()
        assert observer.until(of(device))[-1]["value"]["online"] is False
    assert state() is False
    # The older route, where a user's stream stands for a device.
    path = f"/api/vpcs/{plane.vpc}/events?" + urllib.parse.urlencode({"public_key": device["public_key"]})
    with plane.watch(plane.alice, [{"kind": "device"}, {"kind": "security-group"}], path) as stream:
        stream.tails(2)
        assert state() is True
    with plane.watch(plane.alice, [{"kind": "device"}], f"/api/vpcs/{plane.vpc}/events?public_key=nobody") as stream:
        assert stream.status == 404


def test_presence_after_a_restart(plane):
    device, token = plane.join(plane.key, plane.vpc)
    stream = plane.watch(token, devices(plane.vpc))
    stream.tails()
    revision = plane.request("GET", f"/api/devices/{device['id']}", plane.alice).json["revision"]
    plane.stop()
    with pytest.raises((EOFError, ConnectionError)):
        while True:
            stream.next()
    plane.start()
    with plane.watch(token, devices(plane.vpc)) as stream:  # back in time: nothing has changed
        stream.tails()
        assert plane.request("GET", f"/api/devices/{device['id']}", plane.alice).json["revision"] == revision


def test_a_deleted_devices_streams_end(plane):
    device, token = plane.join(plane.key, plane.vpc)
    with plane.watch(token, devices(plane.vpc)) as stream:
        stream.tails()
        plane.request("DELETE", f"/api/devices/{device['id']}", plane.alice)
        assert stream.until(lambda event: event["type"] == "delete")[-1]["value"]["id"] == device["id"]
        with pytest.raises(EOFError):
            stream.next()


def test_changes_by_administration_are_told(plane):
    device, token = plane.join(plane.key, plane.vpc)
    with plane.watch(plane.alice, devices(plane.vpc)) as stream, plane.watch(token, devices(plane.vpc)) as own:
        stream.tails()
        own.tails()
        plane.admin("device", "delete", device["id"])
        assert stream.until(lambda event: event["type"] == "delete")[-1]["value"]["id"] == device["id"]
        own.until(lambda event: event["type"] == "delete")
        with pytest.raises(EOFError):
            own.next()


def test_a_stream_lives_on_beyond_all_deadlines(plane):
    device, token = plane.join(plane.key, plane.vpc)
    with plane.watch(token, devices(plane.vpc)) as stream:
        stream.tails()
        assert stream.quiet(13) is None  # past the ten seconds after which the original can no longer write
        plane.request("PATCH", f"/api/devices/{device['id']}", plane.alice, {"hostname": "late"})
        assert stream.until(of(device))[-1]["value"]["hostname"] == "late"


@pytest.mark.parametrize("body,error", [
    ([{"kind": "device", "options": {"vpc-id": 5}}], "request[0].options.vpc-id"),
    ([{"kind": "device", "options": {"vpc-id": "zzzzzzzz-2222-3333-4444-555555555555"}}], "request[0].options.vpc-id"),
    ([{"kind": "device", "gt_revision": -1, "options": {}}], "request[0].gt_revision"),
    ([{"kind": "device", "at_tail": "yes", "options": {}}], "request[0].at_tail"),
    ([5], "request[0]"),
    ([{"kind": 5}], "request[0].kind"),
])
def test_wrong_watches(plane, body, error):
    answer = plane.request("POST", "/api/events", plane.alice, body)
    assert answer.status == 400 and answer.json["field"] == error, answer
    many = plane.request("POST", "/api/events", plane.alice, devices(plane.vpc) * 17)
    assert (many.status, many.json) == (400, {"error": "too many watches"})
    sites = plane.request("POST", "/api/events", plane.alice, [{"kind": "site", "options": {}}])
    assert (sites.status, sites.json["reason"]) == (405, "sites support is disabled")


class Crowd:
    """Many streams read in one thread, which looks for one text in each."""

    def __init__(self, plane):
        self.plane, self.selector, self.marks, self.ended = plane, selectors.DefaultSelector(), {}, 0
        self.wanted, self.reached = None, set()

    def add(self, device):
        """A stream that makes the device online."""
        connection = self.plane.connect(60)
        query = urllib.parse.urlencode({"public_key": device["public_key"]})
        connection.request("POST", f"/api/vpcs/{self.plane.vpc}/events?{query}", '[{"kind":"device"},{"kind":"security-group"}]',
                           {"Authorization": f"Bearer {self.plane.alice}"})
        sock = connection.sock
        sock.setblocking(False)
        self.marks[sock] = b""
        self.selector.register(sock, selectors.EVENT_READ, connection)
        self.read(0)

    def read(self, seconds):
        ready = self.selector.select(seconds)
        for key, _ in ready:
            try:
                while True:
                    data = key.fileobj.recv(1 << 16)
                    if not data:
                        self.ended += 1
                        self.selector.unregister(key.fileobj)
                        break
                    text = self.marks[key.fileobj] + data
                    if self.wanted and self.wanted in text:
                        self.reached.add(key.fileobj)
                    self.marks[key.fileobj] = text[-64:]
            except ssl.SSLWantReadError:
                pass
        return ready

    def settle(self):
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 1:
            if self.read(0.2):
                quiet_since = time.monotonic()

    def time_to_reach(self, text, act):
        self.wanted, self.reached = text, set()
        begin = time.monotonic()
        act()
        while len(self.reached) < len(self.marks) and time.monotonic() - begin < 10:
            self.read(0.05)
        assert len(self.reached) == len(self.marks) and not self.ended
        return time.monotonic() - begin

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.data.close()


@pytest.mark.scale
def test_a_thousand_streams(plane):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    crowd, count = Crowd(plane), 1000
    try:
        connection = plane.connect(60)
        for number in range(count):
            connection.request("POST", "/api/devices", json.dumps(
                {"vpc_id": plane.vpc, "public_key": public_key(), "hostname": f"n{number}", "os": "linux",
                 "endpoints": [{"source": "local", "address": "192.0.2.1:1"}, {"source": "stun:", "address": "192.0.2.1:1"}]}),
                {"Authorization": f"Bearer {plane.key}"})
            answer = connection.getresponse()
            assert answer.status == 201
            device = json.loads(answer.read())
            crowd.add(device)
        crowd.settle()
        assert len(crowd.marks) == count and not crowd.ended
        times = [crowd.time_to_reach(f"joiner{i}".encode(), lambda i=i: plane.join(plane.key, plane.vpc, hostname=f"joiner{i}"))
                 for i in range(3)]
        assert min(times) < 1, times
        assert plane.memory_kb() < 100 << 10
    finally:
        crowd.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    waiting.until(lambda: len(os.listdir(f"/proc/{plane.process.pid}/fd")) < 50, 20 * nodes.slowness(), "all connections closed")
