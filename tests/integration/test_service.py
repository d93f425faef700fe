"""nexd as a service among others: what it logs and where, who may operate it, its configuration file."""
import json
import re
import subprocess

from lab.node import program
from lab.process import GID, UID, unprivileged

JOURNAL = 'export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec "$@"'


def lines_of(node):
    """What a node has logged; a sanitizer build says so first, in its own words."""
    return [line for line in node.runs[-1].lines if "sanitizer build" not in line]


# -- Logs --

def test_given_json_logs_when_all_processes_say_something_then_every_line_is_an_object_of_the_agents_form(scene):
    node = scene.node(["--egress", "tcp:8000:100.64.0.9:1"])
    node.flags = ["--log-format", "json", "--log-level", "debug"]
    node.start()
    node.stop()
    said = [json.loads(line) for line in lines_of(node)]
    assert {line["caller"] for line in said} == {"nexd", "tunneld", "proxyd", "ctld"}
    for line in said:
        assert list(line) == ["level", "ts", "caller", "msg"] and line["level"] in ("debug", "info", "warn", "error", "fatal")
    assert any(line["msg"].startswith("ready: ") for line in said)
    assert node.key.private not in node.log()


def test_given_the_journal_as_standard_error_when_started_then_lines_carry_priorities(scene):
    node = scene.node(wrap=lambda command: ["sh", "-c", JOURNAL, "sh", *command])
    node.start()
    node.stop()
    assert lines_of(node) and all(re.match(r"<[46]>nexd: ", line) for line in lines_of(node)), node.log()


def test_given_a_journal_that_standard_error_is_not_when_started_then_lines_are_plain(scene):
    node = scene.node(environment={"JOURNAL_STREAM": "8:1234567"})
    node.start()
    assert not any(line.startswith("<") for line in lines_of(node))


# -- Who may operate it --

def asks(node, uid, gid):
    """`nexctl nexd status` as that user."""
    command = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", program("nexctl", node.folder.parent), "nexd",
               "--unix-socket", node.folder / "nexd.sock", "status"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, check=False)


def test_given_a_group_for_the_control_socket_when_others_ask_then_its_members_are_served_and_nobody_else(scene):
    node = scene.node()
    node.flags = ["--unix-socket-group", GID]
    node.start()
    node.folder.chmod(0o711)
    assert (node.folder / "nexd.sock").stat().st_mode & 0o7777 == 0o660
    assert asks(node, UID + 1, GID).stdout == "Status: Running\n"
    assert asks(node, UID + 1, GID + 1).returncode == 1


def test_given_no_group_when_others_ask_then_only_the_owner_is_served(scene):
    node = scene.node()
    node.start()
    node.folder.chmod(0o711)
    assert asks(node, UID, GID + 1).stdout == "Status: Running\n"
    assert asks(node, UID + 1, GID).returncode == 1


def test_given_a_group_that_we_are_not_in_when_started_then_it_ends_and_says_so(scene):
    node = scene.node()
    node.flags = ["--unix-socket-group", GID + 1]
    node.launch()
    assert node.process.wait(10) == 1
    assert f"it cannot be given to group {GID + 1}: Operation not permitted" in node.process.text()
    assert not (node.folder / "nexd.sock").exists()


def test_given_a_change_when_it_is_made_then_the_log_names_its_author(scene):
    node = scene.node()
    node.start()
    command = [program("nexctl", node.folder.parent), "nexd", "--unix-socket", node.folder / "nexd.sock"]
    for words, change in ((["proxy", "add", "--egress", "tcp:08000:[h]:1"], "add egress rule tcp:8000:h:1"),
                          (["proxy", "remove", "--egress", "tcp:8000:h:1"], "remove egress rule tcp:8000:h:1"),
                          (["set", "debug", "on"], "set the log level to debug"), (["drain"], "drain")):
        client = subprocess.Popen(list(map(str, unprivileged(command + words))), stdout=subprocess.DEVNULL)
        assert client.wait(10) == 0
        node.process.wait_line(rf"control socket: uid {UID}, gid {GID}, pid {client.pid} asks: {re.escape(change)}")
