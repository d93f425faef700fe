"""Administration of apid on the command line, with and without a server that runs, as an administrator would use it."""
import concurrent.futures
import json
import os
import pathlib
import stat
import subprocess
import tempfile

import pytest

from lab import node as nodes, waiting
from lab.plane import PASSWORD, Plane

PROGRAM = nodes.BUILD / "bin" / "apid"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Admin:
    """A data folder without a server, and the command line on it."""

    def __init__(self, folder):
        self.folder, self.data = folder, os.path.join(folder, "data")
        self.password = pathlib.Path(folder, "password")
        self.password.write_text(PASSWORD + "\n", encoding="utf-8")
        self.password.chmod(0o600)

    def run(self, *words, stdin=""):
        command = [PROGRAM, "--data", self.data, *map(str, words)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    def ok(self, *words, **options):
        run = self.run(*words, **options)
        assert run.returncode == 0 and run.stderr == "", f"{words}: {run.stderr}"
        return run.stdout.rstrip("\n")

    def json(self, *words, **options):
        return json.loads(self.ok(*words, "--output", "json", **options))

    def table(self, *words):
        return [line.split() for line in self.ok(*words).splitlines()]

    def fails(self, status, *words, **options):
        run = self.run(*words, **options)
        assert run.returncode == status and run.stdout == "", f"{words}: {run.returncode} {run.stdout} {run.stderr}"
        assert run.stderr.startswith("apid: ") and run.stderr.count("\n") == 1, run.stderr
        return run.stderr

    def user(self, name):
        return self.ok("user", "add", name, "--password-file", self.password)


@pytest.fixture
def admin():
    with tempfile.TemporaryDirectory(prefix="apid-") as folder:
        yield Admin(folder)


@pytest.fixture
def plane():
    made = Plane()
    yield made
    made.close()


@pytest.fixture
def beside(plane):
    """The command line beside a server that runs."""
    made = Admin(plane.folder)
    assert made.data == plane.data
    return made


def test_the_first_user_makes_the_data_folder_for_its_owner_only(admin):
    identifier = admin.user("alice")
    assert stat.S_IMODE(os.stat(admin.data).st_mode) == 0o700
    for name in os.listdir(admin.data):
        assert stat.S_IMODE(os.stat(os.path.join(admin.data, name)).st_mode) == 0o600
    assert admin.table("user", "list") == [["ID", "NAME", "DEVICES"], [identifier, "alice", "0"]]
    assert admin.json("user", "list") == [{"id": identifier, "full_name": "alice", "picture": "", "username": "alice"}]
    assert [vpc["id"] for vpc in admin.json("vpc", "list")] == [identifier]
    assert [group["id"] for group in admin.json("security-group", "list")] == [identifier]


@pytest.mark.parametrize("words", [("user", "list"), ("reg-key", "create"), ("device", "list"), ("vpc", "list")])
def test_a_mistyped_data_folder_does_not_become_a_new_control_plane(admin, words):
    assert "no control plane has its data there" in admin.fails(2, *words)
    assert not os.path.exists(admin.data)


def test_a_data_folder_that_others_can_write_is_refused(admin):
    admin.user("alice")
    os.chmod(admin.data, 0o777)
    assert "chmod go-w" in admin.fails(1, "user", "list")
    os.chmod(admin.data, 0o700)
    os.chmod(os.path.join(admin.data, "apid.db"), 0o640)
    assert "chmod 600" in admin.fails(1, "user", "list")


def test_users(admin):
    alice = admin.user("alice")
    assert alice in admin.fails(1, "user", "add", "Alice", "--password-file", admin.password)
    assert admin.json("user", "add", "bob", "--password-file", "-", stdin=PASSWORD)["username"] == "bob"
    assert "8 to 1024 bytes" in admin.fails(2, "user", "add", "carol", "--password-file", "-", stdin="short")
    assert "first line is empty" in admin.fails(2, "user", "add", "carol", "--password-file", "-")
    assert "/nowhere" in admin.fails(2, "user", "add", "carol", "--password-file", "/nowhere")
    assert "username" in admin.fails(2, "user", "add", "a\nb", "--password-file", admin.password)
    assert "looks like an id" in admin.fails(2, "user", "add", UNKNOWN, "--password-file", admin.password)
    assert [row[1] for row in admin.table("user", "list")] == ["NAME", "alice", "bob"]
    assert admin.ok("user", "delete", "alice") == alice
    assert "user list" in admin.fails(1, "user", "delete", alice)
    assert [user["username"] for user in admin.json("user", "list")] == ["bob"]


def test_a_password_that_everybody_may_read_is_warned_of(admin):
    admin.password.chmod(0o644)
    run = admin.run("user", "add", "alice", "--password-file", admin.password)
    assert run.returncode == 0 and "mode 0600" in run.stderr and PASSWORD not in run.stderr


def test_registration_keys(admin):
    alice = admin.user("alice")
    key = admin.ok("reg-key", "create", "--description", "für alle")
    assert key.startswith("RK:") and len(key) == 47
    single = admin.json("reg-key", "create", "--single-use", "--expires", "24h")
    assert single["owner_id"] == single["vpc_id"] == alice and len(single["device_id"]) == 36
    assert single["bearer_token"].startswith("RK:") and "expires_at" in single
    admin.ok("reg-key", "create", "--expires", "2035-01-01T00:00:00Z")
    listed = admin.json("reg-key", "list")
    assert [entry["description"] for entry in listed] == ["für alle", "", ""]
    assert listed[2]["expires_at"] == "2035-01-01T00:00:00Z"
    assert "RK:" not in json.dumps(listed) + admin.ok("reg-key", "list")
    rows = admin.table("reg-key", "list")
    assert rows[1][1:5] == ["alice", alice, "many", "never"] and rows[2][3] == "one"
    assert admin.ok("reg-key", "delete", listed[0]["id"]) == listed[0]["id"]
    assert "reg-key list" in admin.fails(1, "reg-key", "delete", listed[0]["id"])
    assert len(admin.json("reg-key", "list")) == 2
    for bad in ("soon", "0s", "11y", "2001-01-01T00:00:00Z"):
        assert "--expires" in admin.fails(2, "reg-key", "create", "--expires", bad)
    assert "vpc list" in admin.fails(1, "reg-key", "create", "--vpc", UNKNOWN)
    assert "security-group list" in admin.fails(1, "reg-key", "create", "--security-group", UNKNOWN)
    assert "description" in admin.fails(2, "reg-key", "create", "--description", "a\x1b[2J")


def test_whose_it_is_has_to_be_said_where_there_is_a_choice(admin):
    assert "no control plane" in admin.fails(2, "reg-key", "create")
    alice = admin.user("alice")
    bob = admin.user("bob")
    assert "--user NAME is needed" in admin.fails(2, "reg-key", "create")
    admin.ok("reg-key", "create", "--user", "alice")
    admin.ok("reg-key", "create", "--user", bob)
    admin.ok("reg-key", "create", "--vpc", bob)  # that says it too
    assert [key["owner_id"] for key in admin.json("reg-key", "list")] == [alice, bob, bob]
    assert len(admin.json("reg-key", "list", "--user", "bob")) == 2
    assert "--user bob" in admin.fails(2, "reg-key", "create", "--user", "alice", "--vpc", bob)
    assert "there is no user \"carol\"" in admin.fails(1, "vpc", "list", "--user", "carol")
    admin.ok("user", "delete", "alice")
    admin.ok("user", "delete", "bob")
    assert "user add" in admin.fails(1, "reg-key", "create")


def test_vpcs(admin):
    alice = admin.user("alice")
    own = admin.ok("vpc", "create", "--ipv4-cidr", "10.7.1.2/16", "--description", "factory")
    private = admin.json("vpc", "create", "--private")
    shared = admin.json("vpc", "create")
    assert (private["private_cidr"], private["ipv4_cidr"]) == (True, "100.64.0.0/10") and not shared["private_cidr"]
    listed = {vpc["id"]: vpc for vpc in admin.json("vpc", "list")}
    assert (listed[own]["ipv4_cidr"], listed[own]["ipv6_cidr"], listed[own]["private_cidr"]) == ("10.7.0.0/16", "200::/64", True)
    assert [row[4] for row in admin.table("vpc", "list")] == ["ADDRESSES", "shared", "own", "own", "shared"]
    assert admin.ok("vpc", "update", own, "--description", "works") == own
    assert admin.json("vpc", "update", own, "--description", "")["description"] == ""
    assert "needs --description" in admin.fails(2, "vpc", "update", own)
    assert "--description" in admin.fails(2, "vpc", "update", own, "--description", "x" * 2000)
    assert "vpc list" in admin.fails(1, "vpc", "update", UNKNOWN, "--description", "a")
    assert "ipv4_cidr" in admin.fails(2, "vpc", "create", "--ipv4-cidr", "10.0.0.0/31")
    assert "--ipv6-cidr" in admin.fails(2, "vpc", "create", "--ipv6-cidr", "1" * 100)
    assert "default vpc" in admin.fails(1, "vpc", "delete", alice)
    assert admin.json("vpc", "delete", own)["id"] == own
    assert "vpc list" in admin.fails(1, "vpc", "delete", own)
    assert len(admin.json("vpc", "list")) == 3


def test_security_groups(admin):
    alice = admin.user("alice")
    group = admin.ok("security-group", "create", "--description", "web", "--inbound", "tcp:80-443,100.64.0.0/24,200::/64",
                     "--inbound", "icmp", "--outbound", "udp:53,1.1.1.1-1.1.1.9")
    assert admin.ok("security-group", "show", group).splitlines() == [
        "inbound tcp:80-443,100.64.0.0/24,200::/64", "inbound icmp", "outbound udp:53,1.1.1.1-1.1.1.9"]
    shown = admin.json("security-group", "show", group)
    assert shown["inbound_rules"][0] == {"ip_protocol": "tcp", "from_port": 80, "to_port": 443, "ip_ranges": ["100.64.0.0/24", "200::/64"]}
    assert admin.table("security-group", "list")[2][:5] == [group, alice, "2", "1", "web"]
    # What is not named stays as it is.
    assert admin.ok("security-group", "update", group, "--no-outbound") == group
    assert admin.ok("security-group", "show", group).splitlines()[1:] == ["inbound icmp", "outbound all"]
    admin.ok("security-group", "update", group, "--inbound", "ipv6", "--description", "")
    assert admin.ok("security-group", "show", group).splitlines() == ["inbound ipv6", "outbound all"]
    # An object as in the API, from a file or a pipe: also the one that was shown.
    admin.ok("security-group", "update", group, "--rules", "-", stdin=json.dumps(shown))
    assert admin.json("security-group", "show", group)["inbound_rules"] == shown["inbound_rules"]
    file = pathlib.Path(admin.folder, "rules.json")
    file.write_text('{"inbound_rules": []}', encoding="utf-8")
    admin.ok("security-group", "update", group, "--rules", file)
    assert "inbound_rules" not in admin.json("security-group", "show", group)
    assert admin.json("security-group", "show", group)["outbound_rules"] == shown["outbound_rules"]
    assert "default security group" in admin.fails(1, "security-group", "delete", alice)
    assert admin.ok("security-group", "delete", group) == group
    assert "security-group list" in admin.fails(1, "security-group", "delete", group)
    assert "security-group list" in admin.fails(1, "security-group", "show", "x" * 5000)
    assert "security-group list" in admin.fails(1, "security-group", "update", "x" * 5000, "--no-inbound")


@pytest.mark.parametrize("words,part", [
    (("--inbound", "tcp:99999"), "1 to 65535"),
    (("--inbound", "tcp:9-1"), "port_range"),
    (("--inbound", "sctp"), "protocol"),
    (("--outbound", "tcp,300.0.0.1"), "ip_range"),
    (("--inbound", ""), "PROTOCOL[:PORT"),
    (("--rules", "/nowhere"), "/nowhere"),
    (("--rules", "-"), "not JSON"),
    (("--rules", "-", "--inbound", "tcp"), "leave one out"),
    (("--description", "x" * 2000), "--description"),
    (("--vpc", UNKNOWN), "vpc list"),
])
def test_security_groups_that_are_refused(admin, words, part):
    admin.user("alice")
    status = 1 if words[0] == "--vpc" else 2
    assert part in admin.fails(status, "security-group", "create", *words)
    assert len(admin.json("security-group", "list")) == 1


def test_updates_that_say_nothing_or_two_things(admin):
    alice = admin.user("alice")
    assert "nothing is to be changed" in admin.fails(2, "security-group", "update", alice)
    assert "leave one out" in admin.fails(2, "security-group", "update", alice, "--inbound", "tcp", "--no-inbound")


@pytest.mark.parametrize("words,part", [
    (("usr", "list"), "did you mean user?"),
    (("user", "remove", "bob"), "there are: add, list, password, delete"),
    (("user",), "a command is missing"),
    (("user", "list", "--jsn"), "there is no flag"),
    (("user", "list", "--descriptoin", "a"), "did you mean --description?"),
    (("user", "list", "--vpc", "a"), "does not go with user list"),
    (("user", "list", "--output", "xml"), "table or json"),
    (("user", "add", "bob"), "--password-file FILE"),
    (("user", "add"), "needs --password-file"),
    (("device", "delete"), "device delete needs ID"),
    (("device", "delete", "a", "b"), "one word too many"),
    (("device", "list", "--user"), "needs a value"),
    (("us\ner", "list"), "did you mean user?"),
    (("a\nb", "--nothing"), "see apid --help"),
    (("--data", "/nowhere\n\x1b[2J", "device", "list"), "given twice"),
])
def test_mistakes_are_told_in_one_line_that_names_the_fix(admin, words, part):
    assert part in admin.fails(2, *words)


def test_what_is_repeated_of_the_command_line_cannot_forge_lines(admin):
    admin.data += "\nnothing\x1b[2J"
    assert "?nothing?[2J: no control plane" in admin.fails(2, "device", "list")
    admin.user("alice")
    assert "?nothing?[2J device list" in admin.fails(1, "device", "delete", "a\nb")


def test_without_data_folder(admin):
    run = subprocess.run([PROGRAM, "user", "list"], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (2, "") and "--data DIR is needed" in run.stderr


@pytest.mark.parametrize("words", [("user",), ("user", "add"), ("reg-key", "create"), ("security-group", "update")])
def test_help(words):
    run = subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (0, "") and " ".join(words) in run.stdout and "--data DIR" in run.stdout


def test_output_that_cannot_be_written_is_an_error(admin):
    admin.user("alice")
    with open("/dev/full", "w", encoding="ascii") as full:
        for form in ("table", "json"):
            command = [PROGRAM, "--data", admin.data, "user", "list", "--output", form]
            run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
            assert run.returncode == 1 and run.stderr.count("\n") == 1


def test_many_commands_at_once(admin):
    admin.user("alice")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: admin.ok("reg-key", "create", "--description", str(number)), range(24)))
    assert len(set(keys)) == 24
    assert sorted(int(key["description"]) for key in admin.json("reg-key", "list")) == list(range(24))


def test_a_running_server_sees_every_change(plane, beside):
    plane.user("alice")
    alice = plane.token("alice")
    vpc = plane.vpc_of(alice)
    first, _ = plane.join(beside.ok("reg-key", "create"), vpc, hostname="first")
    second, _ = plane.join(beside.ok("reg-key", "create"), vpc, hostname="second")
    rows = beside.table("device", "list")
    assert [row[1] for row in rows] == ["HOSTNAME", "first", "second"]
    assert rows[1][2:6] == ["100.64.0.1", "200::1", "offline", "alice"]
    assert [device["id"] for device in beside.json("device", "list", "--vpc", vpc)] == [first["id"], second["id"]]
    assert beside.table("user", "list")[1][2] == "2"
    watches = [{"kind": kind, "options": {"vpc-id": vpc}} for kind in ("device", "security-group", "vpc")]
    with plane.watch(alice, watches) as stream:
        stream.tails(3)
        beside.ok("vpc", "update", vpc, "--description", "renamed")
        assert stream.next()["value"]["description"] == "renamed"
        group = beside.ok("security-group", "create", "--inbound", "tcp:22")
        assert stream.next()["value"]["id"] == group
        beside.ok("security-group", "update", group, "--no-inbound")
        assert "inbound_rules" not in stream.next()["value"]
        beside.ok("security-group", "delete", group)
        told = stream.next()
        assert (told["type"], told["value"]["id"]) == ("delete", group)
        gone = beside.json("device", "delete", first["id"])
        assert gone["public_key"] == "" and "bearer_token" not in gone
        told = stream.next()
        assert (told["type"], told["value"]["id"]) == ("delete", first["id"])
    assert "device list" in beside.fails(1, "device", "delete", first["id"])


def test_a_single_use_key_is_good_for_one_device(plane, beside):
    plane.user("alice")
    vpc = plane.vpc_of(plane.token("alice"))
    key = beside.ok("reg-key", "create", "--single-use")
    plane.join(key, vpc)
    refused = plane.request("POST", "/api/devices", key, {"vpc_id": vpc, "public_key": "43EthRoOXXm4McXjSrIrQaGYFx3iCbi4+sojoRxiSFk="})
    assert (refused.status, refused.json["error"]) == (400, "single use reg key exhausted")


def test_a_key_expires_and_can_be_revoked(plane, beside):
    plane.user("alice")
    short = beside.ok("reg-key", "create", "--expires", "2s")
    lasting = beside.ok("reg-key", "create", "--description", "lasting")
    assert plane.request("GET", "/api/reg-keys/me", lasting).status == 200
    waiting.until(lambda: plane.request("GET", "/api/reg-keys/me", short).status == 401, 20, "its expiry")
    assert "(over)" in beside.ok("reg-key", "list")
    identifier = next(key["id"] for key in beside.json("reg-key", "list") if key["description"] == "lasting")
    beside.ok("reg-key", "delete", identifier)
    assert plane.request("GET", "/api/reg-keys/me", lasting).status == 401


def test_another_password_ends_what_the_old_one_began(plane, beside):
    plane.user("alice")
    login = plane.login("alice").json
    beside.ok("user", "password", "alice", "--password-file", "-", stdin="an entirely new one")
    assert plane.login("alice").status == 401
    assert plane.login("alice", password="an entirely new one").status == 200
    refreshed = plane.form("/protocol/openid-connect/token", {"client_id": "nexodus-cli", "grant_type": "refresh_token",
                                                             "refresh_token": login["refresh_token"]})
    assert (refreshed.status, refreshed.json["error"]) == (400, "invalid_grant")


def test_a_deleted_user_is_out(plane, beside):
    plane.user("alice")
    alice = plane.token("alice")
    _, token = plane.join(beside.ok("reg-key", "create"), plane.vpc_of(alice))
    beside.ok("user", "delete", "alice")
    assert plane.request("GET", "/api/users/me", alice).status == 401
    assert plane.request("GET", "/api/devices", token).status == 401
    assert plane.login("alice").status == 401
