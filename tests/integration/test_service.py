"""nexd as a service among others: what it logs and where, who may operate it, its configuration file."""
import json
import os
import re
import socket
import subprocess

from lab.node import program
from lab.process import GID, UID, unprivileged
from test_operator import nexctl

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


def test_given_a_socket_that_cannot_be_used_when_asked_then_nexctl_says_why(scene):
    node = scene.node()
    absent = nexctl(node, "status")
    assert absent.returncode == 1 and absent.stdout == ""
    assert absent.stderr.startswith(f"is nexd running?: failed to connect to nexd at '{node.folder}/nexd.sock': No such file or directory\n")
    assert "--unix-socket PATH" in absent.stderr
    node.start()
    node.folder.chmod(0o711)
    barred = asks(node, UID + 1, GID + 1)
    assert barred.returncode == 1 and "no permission to use nexd's socket" in barred.stderr
    assert f"it belongs to the user with id {UID}\n" in barred.stderr and "--unix-socket-group GROUP" in barred.stderr
    node.stop()
    with socket.socket(socket.AF_UNIX) as left:  # one that nobody listens on
        left.bind(str(node.folder / "nexd.sock"))
    refused = nexctl(node, "top")
    assert refused.returncode == 1 and "Connection refused" in refused.stderr and "has ended" in refused.stderr


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


# -- Configuration file, check --

def written(node, text, name="nexd.conf", mode=0o600):
    path = node.folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    os.chown(path, UID, GID)
    return path


def checks(node, *flags):
    """`nexd FLAGS check` as the node's user; a CompletedProcess."""
    command = unprivileged([program("nexd", node.folder.parent), *flags, "check"])
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env={"HOME": str(node.folder)})


def test_given_a_configuration_file_when_started_and_operated_then_all_of_it_is_in_force(scene):
    node = scene.node()
    config = written(node, f"""
# everything that the command line could say
wireguard-config = {node.write_configuration()}
unix-socket = {node.folder / 'nexd.sock'}
log-format = json
metrics-listen = 127.0.0.1:9586
egress = tcp:8000:100.64.0.9:1, tcp:8001:100.64.0.9:1
egress = tcp:8002:100.64.0.9:1
""")
    node.command = lambda: [program("nexd", node.folder.parent), "--config", config, "proxy"]
    node.start()
    listed = nexctl(node, "proxy", "list").stdout
    assert [line.split(":")[1] for line in listed.splitlines()] == ["8000", "8001", "8002"]
    assert all(json.loads(line)["caller"] == "nexd" for line in lines_of(node))
    done = checks(node, "--config", config)
    assert done.returncode == 0 and done.stdout.endswith("ok\n"), done
    assert "http://127.0.0.1:9586/metrics" in done.stdout
    assert "egress rule:    tcp:8001:100.64.0.9:1; listens on tcp port 8001 of this host\n" in done.stdout
    assert nexctl(node, "proxy", "list").stdout == listed  # it goes on undisturbed


def test_given_a_mistake_in_the_configuration_file_when_started_or_checked_then_file_and_line_are_named(scene):
    node = scene.node()
    config = written(node, f"wireguard-config = {node.write_configuration()}\n\ningress = tcp:0:h:1\n")
    for words in (["proxy"], ["check"]):
        done = subprocess.run(list(map(str, unprivileged([program("nexd", node.folder.parent), "--config", config, *words]))),
                              capture_output=True, text=True, timeout=30, check=False, env={"HOME": str(node.folder)})
        assert done.returncode == 2 and f"{config}:3: " in done.stderr and "tcp:0:h:1" in done.stderr, done
        assert done.stdout == ""


def test_given_stored_rules_when_checked_then_they_are_told_and_a_damaged_state_is_a_failure(scene):
    node = scene.node()
    node.start()
    assert "Added" in nexctl(node, "proxy", "add", "--egress", "tcp:8000:100.64.0.9:1").stdout
    config = node.folder / "wg.conf"
    assert "in use by a running nexd" in checks(node, "--wireguard-config", config).stdout
    node.stop()
    done = checks(node, "--wireguard-config", config)
    assert done.returncode == 0 and "tcp:8000:100.64.0.9:1; listens on tcp port 8000 of this host (added at run time)" in done.stdout, done
    written(node, "{", ".nexodus/state.json")
    done = checks(node, "--wireguard-config", config)
    assert done.returncode == 1 and "state.json" in done.stderr and done.stdout.endswith("not ok\n"), done


def test_given_a_wrong_wireguard_configuration_when_checked_then_its_line_is_named(scene):
    node = scene.node()
    config = node.write_configuration("[Interface]\nPrivateKey = x\n")
    done = checks(node, "--wireguard-config", config)
    assert done.returncode == 2 and f"{config}:2: " in done.stderr and done.stdout.endswith("not ok\n"), done


def test_given_a_port_that_needs_rights_when_checked_then_it_is_no_good_and_the_rule_is_named(scene):
    node = scene.node()
    config = node.write_configuration()
    host = scene.host("c")
    for first, status in ((1024, 1), (443, 0)):
        enter = ["nsenter", f"--net={host.path}"]
        subprocess.run([*enter, "sh", "-c", f"echo {first} >/proc/sys/net/ipv4/ip_unprivileged_port_start"], check=True)
        command = [*enter, *unprivileged([program("nexd", node.folder.parent), "--wireguard-config", config, "check", "--egress", "tcp:443:h:1",
                                          "--ingress", "tcp:80:h:1"])]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=30, check=False, env={"HOME": str(node.folder)})
        assert done.returncode == status, done
        assert ("egress rule tcp:443:h:1: port 443 needs a right" in done.stderr) == (status == 1), done
        assert "tcp:80" not in done.stderr  # of the tunnel's addresses: nobody's rights are needed
