"""The API: recorded requests of Nexodus's clients answered in the same words, registration, rights, defects that are not there."""
import json
import pathlib
import re

import pytest

from lab.plane import Plane, public_key
from lab.sealed import open_token

RECORDED = json.loads((pathlib.Path(__file__).parent / "recorded" / "api.json").read_text(encoding="utf-8"))

# Where this control plane means to answer otherwise than the recorded one: status, and the start of the error.
BETTER = {
    "POST device: bad public key": (400, None),
    "POST device: bad advertise_cidrs": (400, None),
}
# Names of members whose values differ from run to run.
VALUES_VARY = {"id", "owner_id", "vpc_id", "organization_id", "public_key", "allowed_ips", "ipv4_tunnel_ips", "ipv6_tunnel_ips", "revision",
               "security_group_id", "device_id", "full_name", "username", "name", "description", "hostname", "bearer_token", "endpoints",
               "ca", "sites", "key", "value", "os", "online_at", "settings"}


@pytest.fixture(scope="module")
def plane():
    made = Plane()
    yield made
    made.close()


@pytest.fixture(scope="module")
def people(plane):
    return {name: plane.token(plane.user(name)) for name in ("alice", "bob")}


def same_meaning(ours, theirs, what):
    """Members, types, and values where they do not depend on the run."""
    if isinstance(theirs, str):
        assert ours == theirs, what
        return
    if isinstance(theirs, list):
        assert isinstance(ours, list), what
        if theirs and isinstance(theirs[0], dict) and ours:
            same_meaning(ours[0], theirs[0], what)
        return
    if str(theirs.get("error", "")).startswith("request json is invalid"):
        assert ours["error"].startswith("request json is invalid"), what
        return
    optional = {"bearer_token", "description"}
    assert set(ours) - optional == set(theirs) - optional, what
    for name, value in theirs.items():
        if name in ours and name not in VALUES_VARY:
            if name == "error" and ": " in str(value):
                assert ours[name].split(":")[0] == value.split(":")[0], what
            elif name != "trace_id":
                assert ours[name] == value, f"{what}: {name}"


@pytest.mark.parametrize("file", RECORDED)
def test_recorded_requests_are_answered_alike(plane, people, file):
    alice, bob = people["alice"], people["bob"]
    names = {"{vpc}": plane.vpc_of(alice), "{other_vpc}": plane.vpc_of(bob), "{device}": "00000000-0000-0000-0000-00000000dead"}
    tokens = {"user": alice, "other": bob, "broken": alice[:-8] + "AAAAAAAA", "reg-key": plane.reg_key("alice")}
    plane.join(tokens["reg-key"], names["{vpc}"], hostname="present")
    for one in RECORDED[file]:
        path, body = one["path"], one["body"]
        for name, value in names.items():
            path, body = path.replace(name, value), body.replace(name, value)
        if one["type"].endswith("stream=watch"):
            with plane.watch(tokens[one["auth"]], json.loads(body)) as stream:
                assert stream.status == 200 and stream.headers["Content-Type"] == "application/json;stream=watch"
            continue
        if one["auth"] in tokens:
            headers = {"Authorization": f"Bearer {tokens[one['auth']]}"}
        else:
            headers = {"Authorization": one["auth"]} if one["auth"] else {}
        answer = plane.request(one["method"], path, body=body or None, headers=headers)
        what = f"{one['what']}: {answer}"
        if one["what"] in BETTER:
            assert answer.status == BETTER[one["what"]][0], what
            continue
        assert answer.status == one["status"], what
        assert ("WWW-Authenticate" in answer.headers) == one["challenge"], what
        if one["answer"] == "":
            assert answer.text == "", what
        elif isinstance(one["answer"], str):
            assert answer.text == one["answer"] and answer.headers["Content-Type"].startswith("text/plain"), what
        else:
            assert answer.headers["Content-Type"].startswith("application/json"), what
            same_meaning(answer.json, one["answer"], what)
        if one["what"] == "POST device ok":
            names["{device}"] = answer.json["id"]


def test_a_key_registers_a_device_and_its_token_works(plane, people):
    vpc = plane.vpc_of(people["alice"])
    key = plane.reg_key("alice")
    me = plane.request("GET", "/api/reg-keys/me", key).json
    assert me["vpc_id"] == vpc and me["bearer_token"] == key
    device, token = plane.join(key, vpc, hostname="first")
    assert re.fullmatch(r"DT:[A-Za-z0-9+/]{43}=", token)
    assert device["allowed_ips"] == [device["ipv4_tunnel_ips"][0]["address"] + "/32", device["ipv6_tunnel_ips"][0]["address"] + "/128"]
    seen = plane.request("GET", f"/api/devices/{device['id']}", token).json
    assert seen["hostname"] == "first" and open_token(seen["bearer_token"], seen["public_key"]) == token
    # The same key pair again: conflict, then an update by id; sealed anew, the token stays.
    again = plane.request("POST", "/api/devices", key, {"vpc_id": vpc, "public_key": device["public_key"]})
    assert (again.status, again.json) == (409, {"id": device["id"], "error": "resource already exists"})
    patched = plane.request("PATCH", f"/api/devices/{device['id']}", key, {"hostname": "renamed", "vpc_id": vpc})
    assert patched.status == 200 and patched.json["hostname"] == "renamed" and patched.json["revision"] > device["revision"]
    assert patched.json["bearer_token"] != device["bearer_token"]
    assert open_token(patched.json["bearer_token"], device["public_key"]) == token


def test_tokens_of_other_devices_are_never_told(plane, people):
    vpc = plane.vpc_of(people["alice"])
    key = plane.reg_key("alice")
    one, token = plane.join(key, vpc)
    other, _ = plane.join(key, vpc)
    for asked in (token, people["alice"]):
        lists = plane.request("GET", "/api/devices", asked).json + plane.request("GET", f"/api/vpcs/{vpc}/devices", asked).json
        assert len(lists) > 2 and not any("bearer_token" in device for device in lists)
        assert "bearer_token" not in plane.request("GET", f"/api/devices/{other['id']}", asked).json
    with plane.watch(token, [{"kind": "device", "options": {"vpc-id": vpc}}]) as stream:
        events = stream.tails()
    assert {one["id"], other["id"]} <= {event["value"]["id"] for event in events if event["type"] == "change"}
    assert "bearer_token" not in json.dumps(events)


def test_a_device_changes_itself_only(plane, people):
    vpc = plane.vpc_of(people["alice"])
    key, other_key = plane.reg_key("alice"), plane.reg_key("alice")
    mine, token = plane.join(key, vpc)
    other, _ = plane.join(other_key, vpc)
    assert plane.request("PATCH", f"/api/devices/{mine['id']}", token, {"hostname": "me"}).status == 200
    refused = plane.request("PATCH", f"/api/devices/{other['id']}", token, {"hostname": "me"})
    assert (refused.status, refused.json) == (403, {"error": "reg key does not have access"})
    assert plane.request("PATCH", f"/api/devices/{other['id']}", key, {"hostname": "me"}).status == 403
    assert plane.request("DELETE", f"/api/devices/{mine['id']}", token).status == 403
    assert plane.request("GET", "/api/reg-keys", token).status == 403
    assert plane.request("GET", "/api/users/me", token).status == 403
    assert plane.request("PUT", f"/api/devices/{other['id']}/metadata/relay", key, {"type": "wireguard"}).status == 403


def test_other_peoples_things_are_unknown(plane, people):
    alice, bob = people["alice"], people["bob"]
    vpc = plane.vpc_of(alice)
    device, token = plane.join(plane.reg_key("alice"), vpc)
    for method, path in (("GET", f"/api/devices/{device['id']}"), ("DELETE", f"/api/devices/{device['id']}"),
                         ("GET", f"/api/vpcs/{vpc}"), ("GET", f"/api/vpcs/{vpc}/devices"), ("GET", f"/api/organizations/{vpc}"),
                         ("GET", f"/api/security-groups/{vpc}"), ("DELETE", f"/api/security-groups/{vpc}"),
                         ("GET", f"/api/devices/{device['id']}/metadata"), ("GET", f"/api/users/{vpc}"), ("DELETE", f"/api/vpcs/{vpc}"),
                         ("DELETE", f"/api/organizations/{vpc}")):
        assert plane.request(method, path, bob).status == 404, path
    assert plane.request("PATCH", f"/api/devices/{device['id']}", bob, {"hostname": "x"}).status == 404
    key = plane.reg_key("bob")
    assert plane.request("POST", "/api/devices", key, {"vpc_id": vpc, "public_key": public_key()}).status == 404
    assert plane.request("POST", "/api/security-groups", bob, {"vpc_id": vpc}).status == 404
    assert plane.request("POST", "/api/reg-keys", bob, {"vpc_id": vpc}).status == 404
    with plane.watch(token, [{"kind": "device", "options": {"vpc-id": plane.vpc_of(bob)}}]) as stream:
        assert stream.status == 404


def test_a_single_use_key_is_used_up(plane, people):
    vpc = plane.vpc_of(people["alice"])
    key = plane.reg_key("alice", "--single-use")
    promised = plane.request("GET", "/api/reg-keys/me", key).json["device_id"]
    device, _ = plane.join(key, vpc)
    assert device["id"] == promised
    refused = plane.request("POST", "/api/devices", key, {"vpc_id": vpc, "public_key": public_key()})
    assert (refused.status, refused.json) == (400, {"error": "single use reg key exhausted"})
    assert plane.request("POST", "/api/devices", key, {"vpc_id": vpc, "public_key": device["public_key"]}).status == 409
    assert plane.request("PATCH", f"/api/devices/{device['id']}", key, {"hostname": "again"}).status == 200


def test_keys_by_the_api(plane, people):
    alice = people["alice"]
    vpc = plane.vpc_of(alice)
    group = plane.request("POST", "/api/security-groups", alice, {"vpc_id": vpc, "description": "g"}).json["id"]
    made = plane.request("POST", "/api/reg-keys", alice, {"vpc_id": vpc, "description": "d", "security_group_id": group,
                                                          "settings": {"a": [1, None]}, "expires_at": "2999-01-01T01:00:00+01:00"})
    assert made.status == 201 and made.json["expires_at"] == "2999-01-01T00:00:00Z" and made.json["settings"] == {"a": [1, None]}
    device, _ = plane.join(made.json["bearer_token"], vpc)
    assert device["security_group_id"] == group  # at once, not only after a reconnection
    changed = plane.request("PATCH", f"/api/reg-keys/{made.json['id']}", alice, {"expires_at": "2001-01-01T00:00:00Z"})
    assert changed.status == 200 and changed.json["description"] == "d"
    expired = plane.request("GET", "/api/reg-keys/me", made.json["bearer_token"])
    assert (expired.status, expired.json) == (401, {"error": "reg key has expired"})
    assert plane.request("DELETE", f"/api/reg-keys/{made.json['id']}", alice).status == 200
    assert plane.request("GET", "/api/reg-keys/me", made.json["bearer_token"]).json == {"error": "invalid reg key"}
    for wrong in ({"expires_at": "tomorrow"}, {"expires_at": 5}, {"settings": []}, {"settings": {"x": "y" * 2000}}, {"single_use": 1}):
        assert plane.request("POST", "/api/reg-keys", alice, {"vpc_id": vpc, **wrong}).status == 400, wrong


def test_a_deleted_devices_token_is_void(plane, people):
    vpc = plane.vpc_of(people["alice"])
    device, token = plane.join(plane.reg_key("alice"), vpc)
    gone = plane.request("DELETE", f"/api/devices/{device['id']}", people["alice"])
    assert gone.status == 200 and gone.json["public_key"] == "" and "bearer_token" not in gone.json
    assert plane.request("GET", f"/api/devices/{device['id']}", token).json == {"error": "invalid device token"}


def test_security_groups(plane, people):
    alice = people["alice"]
    vpc = plane.vpc_of(alice)
    rule = {"ip_protocol": "tcp", "from_port": 9, "to_port": 9, "ip_ranges": ["100.64.0.0/10"]}
    made = plane.request("POST", "/api/security-groups", alice, {"vpc_id": vpc, "description": "discard", "inbound_rules": [rule],
                                                                 "outbound_rules": []})
    assert made.status == 201 and made.json["inbound_rules"] == [rule] and "outbound_rules" not in made.json
    path = f"/api/security-groups/{made.json['id']}"
    device, _ = plane.join(plane.reg_key("alice"), vpc, security_group_id=made.json["id"])
    assert device["security_group_id"] == made.json["id"]
    refused = plane.request("DELETE", path, alice)
    assert refused.status == 400 and refused.json["error"] == "operation not allowed" and "still using it" in refused.json["reason"]
    assert "inbound_rules" not in plane.request("PATCH", path, alice, {"inbound_rules": []}).json
    plane.request("DELETE", f"/api/devices/{device['id']}", alice)
    assert plane.request("DELETE", path, alice).status == 200
    assert plane.request("GET", path, alice).status == 404
    for rule, field in (({"ip_protocol": "nonsense-long"}, "protocol"), ({"ip_protocol": "tcp", "from_port": 70000}, "port_range"),
                        ({"ip_protocol": "tcp", "from_port": 5, "to_port": 4}, "port_range"),
                        ({"ip_protocol": "tcp", "ip_ranges": ["bad"]}, "ip_range")):
        answer = plane.request("POST", "/api/security-groups", alice, {"vpc_id": vpc, "inbound_rules": [rule]})
        assert answer.status == 422 and answer.json["field"] == field, answer


def test_metadata(plane, people):
    vpc = plane.vpc_of(people["alice"])
    key = plane.reg_key("alice")
    device, token = plane.join(key, vpc)
    path = f"/api/devices/{device['id']}/metadata"
    value = {"type": "wireguard", "n": [1.5, None, {"é": "\"x\""}]}
    put = plane.request("PUT", f"{path}/re%2Flay%20x", key, value)
    assert put.status == 200 and put.json["value"] == value and put.json["key"] == "re/lay x"
    assert plane.request("GET", f"{path}/re%2Flay%20x", token).json == put.json
    everything = plane.request("GET", f"/api/vpcs/{vpc}/metadata", people["alice"])
    assert put.json in everything.json and everything.headers["X-Total-Count"] == str(len(everything.json))
    assert plane.request("DELETE", f"{path}/nothing", people["alice"]).status == 404
    assert plane.request("DELETE", path, people["alice"]).status == 204
    assert plane.request("GET", path, token).json == []


def test_vpcs_and_organizations(plane, people):
    alice = people["alice"]
    made = plane.request("POST", "/api/organizations", alice, {"name": "second", "description": "d"})
    assert made.status == 201
    vpc = plane.request("POST", "/api/vpcs", alice, {"organization_id": made.json["id"], "description": "private", "private_cidr": True,
                                                     "ipv4_cidr": "10.90.0.0/16", "ipv6_cidr": "fc00::/20"})
    assert vpc.status == 201 and vpc.json["ipv4_cidr"] == "10.90.0.0/16"
    device, _ = plane.join(alice, vpc.json["id"], ipv4_tunnel_ips=[{"address": "10.90.1.2", "cidr": "10.90.0.0/16"}])
    assert device["allowed_ips"][0] == "10.90.1.2/32"
    assert plane.request("DELETE", f"/api/vpcs/{vpc.json['id']}", alice).status == 400
    plane.request("DELETE", f"/api/devices/{device['id']}", alice)
    assert plane.request("PATCH", f"/api/vpcs/{vpc.json['id']}", alice, {"description": "new"}).json["description"] == "new"
    assert plane.request("DELETE", f"/api/vpcs/{vpc.json['id']}", alice).status == 200
    assert plane.request("DELETE", f"/api/organizations/{made.json['id']}", alice).status == 200
    users = plane.request("GET", f"/api/organizations/{plane.vpc_of(alice)}/users", alice).json
    assert [user["username"] for user in users] == ["alice"]


def test_lists_in_parts(plane, people):
    alice = people["alice"]
    vpc = plane.vpc_of(alice)
    everything = plane.request("GET", f"/api/vpcs/{vpc}/devices", alice)
    part = plane.request("GET", f"/api/vpcs/{vpc}/devices?range=%5B1%2C2%5D", alice)
    assert part.json == everything.json[1:3] and part.headers["X-Total-Count"] == str(len(everything.json))
    for wrong in ("x", "%5B1%5D", "%5B1%2C2%2C3%5D", "%5B-1%2C2%5D", "%zz"):
        assert plane.request("GET", f"/api/vpcs/{vpc}/devices?range={wrong}", alice).status == 400


def test_scopes_are_kept(plane):
    few = plane.login("alice", scope="openid read:devices").json["access_token"]
    assert plane.request("GET", "/api/devices", few).status == 200
    assert plane.request("POST", "/api/devices", few, {}).status == 403
    assert plane.request("GET", "/api/vpcs", few).status == 403
    assert plane.request("GET", "/api/users/me", few).status == 403


@pytest.mark.parametrize("body", [
    '{"vpc_id":5}', '{"vpc_id":"x"}', '{"public_key":"a","vpc_id":"zzzzzzzz-2222-3333-4444-555555555555"}', '[]', '"text"', "null",
    '{"public_key":"k","hostname":7}', '{"public_key":"k","endpoints":{}}', '{"public_key":"k","endpoints":[1]}',
    '{"public_key":"k","endpoints":[{"source":1}]}', '{"public_key":"k","relay":"yes"}', '{"public_key":"k","advertise_cidrs":[1]}',
    '{"public_key":"k","hostname":"' + "h" * 300 + '"}', '{"public_key":"k","hostname":"a\\u0000b"}', "[" * 100 + "]" * 100,
    '{"public_key":"k","endpoints":[' + ",".join(['{"source":"a","address":"b"}'] * 9) + "]}", "{" + '"a":1,' * 20000 + '"b":2}',
])
def test_wrong_bodies_are_refused(plane, people, body):
    answer = plane.request("POST", "/api/devices", people["alice"], body)
    assert answer.status == 400 and "error" in answer.json, answer


def test_everything_is_still_there_after_a_restart(plane, people):
    vpc = plane.vpc_of(people["alice"])
    device, token = plane.join(plane.reg_key("alice"), vpc)
    plane.stop()
    plane.start()
    assert plane.request("GET", f"/api/devices/{device['id']}", token).json["public_key"] == device["public_key"]
    assert plane.request("GET", "/api/users/me", people["alice"]).status == 200  # the issuer's key is kept too


def test_other_hosts_and_paths(plane):
    assert plane.request("GET", "/nothing").status == 404
    assert plane.request("GET", "/api/nothing").status == 401
    assert plane.request("GET", "/device/certs").json["keys"][0]["alg"] == "RS256"
    assert plane.request("GET", "/api/users/me", headers={"Host": "elsewhere.example"}).status == 404
