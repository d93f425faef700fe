"""Network mode without a network: the command line, secrets, and what the state folder holds from the first start on.

nexd runs in a network namespace that has nothing, as a user without rights; what it does with a control plane is told elsewhere."""
import base64
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

from lab import netns, node, waiting
from lab.process import traced

LIMIT_S = 0.1
UUID = "1756da01-fd11-4fce-900c-52dd8a4ceaaa"
SERVICE = ["--service-url", "https://nexodus.invalid"]
# As a Nexodus agent left it, with a key that was made for this test.
AGENT_STATE = {"public-key": "eabMOrJswSWBTlQzQw9qr33DYJgSbTjaDYziwo52ezo=",
               "private-key": "kDyda/bEi62aGfS192NKUy06PsBeaHUU2T3YrqMvn24=",
               "proxy-rules-config": {"egress": None, "ingress": ["tcp:8081:127.0.0.1:20081"]}, "port": 0}


class Bare:
    """nexd without a network, and its folder."""

    def __init__(self, folder):
        self.folder = folder
        self.state = folder / "state"
        self.running = []
        folder.chmod(0o755)
        os.chown(folder, node.UID, node.GID)

    def command(self, *arguments):
        flags = ["--unix-socket", self.folder / "nexd.sock", "--state-dir", self.state]
        words = ["unshare", "--net", "--", "setpriv", f"--reuid={node.UID}", f"--regid={node.GID}", "--clear-groups", "--",
                 node.program("nexd", self.folder), *flags, *arguments]
        return list(map(str, words))

    def environment(self, more):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder), "ASAN_OPTIONS": "detect_leaks=0", **(more or {})}

    def run(self, *arguments, environment=None):
        """Until its end: status, standard output, lines of standard error, seconds."""
        begun = time.monotonic()
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=30, check=False,
                              stdin=subprocess.DEVNULL, start_new_session=True, env=self.environment(environment))
        errors = [line for line in done.stderr.splitlines() if not (node.sanitized() and "sanitizer build" in line)]
        return done.returncode, done.stdout, errors, time.monotonic() - begun

    def start(self, *arguments, environment=None):
        """Until it runs, and has stored its key pair and its UDP port unless that was given."""
        port_given = "--listen-port" in arguments
        log = open(self.folder / f"log-{len(self.running)}", "w+", encoding="utf-8")
        process = subprocess.Popen(list(map(str, traced(self.command(*arguments)))), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   env=self.environment(environment))
        process.log = log
        self.running.append(process)
        waiting.until(lambda: process.poll() is not None or self.settled(process, port_given), 10 * node.slowness(), "a stored port")
        assert process.poll() is None, self.text(process)
        return process

    def settled(self, process, port_given=False):
        """All three children are there, and the port is stored, as it was before or by this start."""
        children = subprocess.run(["ps", "--ppid", str(process.pid), "-o", "comm="], capture_output=True, text=True, check=False).stdout.split()
        return len(children) == 3 and (port_given or self.stored().get("port"))

    @staticmethod
    def text(process):
        process.log.flush()
        return pathlib.Path(process.log.name).read_text(encoding="utf-8")

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, self.text(process)
        return self.text(process)

    def stored(self):
        path = self.state / "state.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def put(self, name, content, mode=0o600):
        self.state.mkdir(mode=0o700, exist_ok=True)
        path = self.state / name
        path.write_text(content, encoding="utf-8")
        for each in (self.state, path):
            os.chown(each, node.UID, node.GID)
        path.chmod(mode)
        return path

    def secret(self, text, mode=0o600):
        path = self.folder / "secret"
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        os.chown(path, node.UID, node.GID)
        return path


@pytest.fixture
def bare():
    missing = [tool for tool in ("unshare", "setpriv", "ps") if not shutil.which(tool)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root, to make a network namespace{', and ' + ', '.join(missing) if missing else ''}")
    # Not pytest's own folder: whichever pytest starts next closes that one to other users again.
    with tempfile.TemporaryDirectory(prefix=f"{netns.MARK}{os.getpid()}-") as folder:
        made = Bare(pathlib.Path(folder))
        yield made
        for process in made.running:
            if process.poll() is None:
                process.kill()
                process.wait(10)
            process.log.close()


def expect_mistake(result, *named):
    status, out, errors, seconds = result
    assert status == 2 and len(errors) == 1, (status, errors)
    for part in named:
        assert part in errors[0], f"{part!r} is not named in: {errors[0]}"
    assert out == ""
    assert seconds < LIMIT_S * node.slowness() + 0.05  # unshare and setpriv take their time too
    return errors[0]


# -- Mistakes ---------------------------------------------------------------------------------------------------------

MISTAKES = [
    (["--service-url", "https://a.invalid", "proxy", "https://a.invalid"], "please remove the service URL positional argument"),
    (["proxy", "https://a.invalid", "https://b.invalid"], "nexd only takes one positional argument"),
    (["--service-url", "http://a.invalid", "proxy"], "'https://' URL scheme is required"),
    (["--service-url", "nexodus.invalid", "proxy"], "'https://' URL scheme is required"),
    (["--service-url", "https://%zz", "proxy"], "invalid URL escape"),
    (["--reg-key", "RK:a", "--security-group-id", UUID, "proxy"], "--security-group-id flags are mutually exclusive"),
    (["--reg-key", "RK:a", "--vpc-id", UUID, "proxy"], "--vpc-id flags are mutually exclusive"),
    (["--service-url", "https://a.invalid", "--reg-key", "https://a.invalid/#RK:a", "proxy"], "--service-url flags are mutually exclusive"),
    (["--vpc-id", "xyz", "proxy"], "--vpc-id"),
    (["--security-group-id", "xyz", "proxy"], "--security-group-id"),
    (["--stun-server", "127.0.0.1:13478", "proxy"], "at least two stun servers are required"),
    (["--stun-server", "127.0.0.1,127.0.0.1:13478", "proxy"], "--stun-server"),
    (["--request-ip", "x", "proxy"], "--request-ip"),
    (["--request-ip", "2001:db8::1", "proxy"], "only IPv4"),
    (["--local-endpoint-ip", "x", "proxy"], "--local-endpoint-ip"),
    (["--listen-port", "70000", "proxy"], "--listen-port"),
    (["--relay-only=maybe", "proxy"], "--relay-only"),
    (["--exit-node-client", "proxy"], "--exit-node-client"),
    (["--reg-kee", "RK:a", "proxy"], "did you mean --reg-key?"),
    (["--reg-key-file", "/nowhere", "proxy"], "/nowhere"),
    ([*SERVICE, "--username", "u", "proxy"], "no terminal to ask at"),
    (["--wireguard-config", "wg.conf", "--reg-key", "RK:a", "proxy"], "--wireguard-config and --reg-key"),
]


@pytest.mark.parametrize("words, named", MISTAKES, ids=[" ".join(words)[:60] for words, _ in MISTAKES])
def test_given_options_that_make_no_sense_when_started_then_one_line_names_them_and_nothing_is_made(bare, words, named):
    expect_mistake(bare.run(*words), named)
    assert not bare.state.exists()


def test_given_a_bad_variable_when_started_then_it_is_named(bare):
    expect_mistake(bare.run("proxy", environment={"NEXD_VPC_ID": "x"}), "NEXD_VPC_ID")
    expect_mistake(bare.run("proxy", environment={"HTTPS_PROXY": "socks5://a:1"}), "HTTPS_PROXY")
    expect_mistake(bare.run("proxy", environment={"NEXD_REG_KEY": "https://a.invalid#RK:s", "NEXD_SERVICE_URL": "https://a.invalid"}),
                   "mutually exclusive")


def test_given_a_secret_in_a_wrong_place_when_refused_then_the_line_does_not_show_it(bare):
    path = bare.secret("to\x1bpsy")
    line = expect_mistake(bare.run("--reg-key-file", path, "proxy"), str(path))
    assert "psy" not in line


def test_given_help_when_asked_then_flags_stand_in_groups_in_the_agents_order(bare):
    out = bare.run("--help")[1]
    places = [out.index(word) for word in ("--security-group-id", "Agent options", "--relay-only", "Nexodus service options", "--password ",
                                           "--service-url", "--stun-server", "--username", "--vpc-id", "WireGuard options", "--listen-port",
                                           "--local-endpoint-ip", "--request-ip")]
    assert places == sorted(places)


# -- First start and later ones ---------------------------------------------------------------------------------------

def test_given_no_state_when_started_then_a_key_pair_and_a_port_are_made_and_stay(bare):
    path = bare.secret("RK:a\n")
    process = bare.start(*SERVICE, "--reg-key-file", path, "proxy")
    first = bare.stored()
    bare.stop(process)
    assert len(base64.b64decode(first["private-key"])) == 32 and 1024 <= first["port"] <= 65535
    assert stat.S_IMODE(bare.state.stat().st_mode) == 0o700
    assert stat.S_IMODE((bare.state / "state.json").stat().st_mode) == 0o600
    public = subprocess.run(["wg", "pubkey"], input=first["private-key"], capture_output=True, text=True, check=True).stdout.strip() \
        if shutil.which("wg") else first["public-key"]
    assert public == first["public-key"]
    process = bare.start(*SERVICE, "--reg-key-file", path, "proxy")
    bare.stop(process)
    assert bare.stored() == first


def test_given_an_agents_state_folder_when_started_then_it_is_taken_over_in_place(bare):
    bare.put("state.json", json.dumps(AGENT_STATE, indent=2) + "\n")
    process = bare.start(*SERVICE, "--reg-key", "RK:a", "proxy")
    bare.stop(process)
    stored = bare.stored()
    assert stored.pop("port") > 0
    assert stored == {name: value for name, value in AGENT_STATE.items() if name != "port"}


def test_given_files_of_an_older_agent_when_started_then_state_json_has_them(bare):
    bare.put("apitoken.json", json.dumps({"access_token": "a", "token_type": "Bearer"}))
    bare.put("proxy-rules.json", json.dumps({"egress": [], "ingress": ["tcp:8081:127.0.0.1:80"]}))
    process = bare.start(*SERVICE, "proxy")
    bare.stop(process)
    stored = bare.stored()
    assert stored["auth-token"]["access_token"] == "a"
    assert stored["proxy-rules-config"]["ingress"] == ["tcp:8081:127.0.0.1:80"]
    assert sorted(path.name for path in bare.state.iterdir() if path.name not in ("device.json", "network.json")) == ["state.json"]


@pytest.mark.parametrize("name, content", [("state.json", "{bad"), ("state.json", '{"private-key": "AAAA"}'),
                                           ("apitoken.json", "[]"), ("proxy-rules.json", '{"egress": ["bogus"]}')])
def test_given_a_file_that_makes_no_sense_when_started_then_it_is_named_and_left_alone(bare, name, content):
    path = bare.put(name, content)
    status, _, errors, _ = bare.run(*SERVICE, "proxy")
    assert status == 1 and any(str(path) in line for line in errors), errors
    assert path.read_text(encoding="utf-8") == content


def test_given_a_state_folder_that_cannot_be_written_when_started_then_it_is_named(bare):
    bare.put("x", "")
    bare.state.chmod(0o500)
    status, _, errors, _ = bare.run(*SERVICE, "proxy")
    assert status == 1 and any(str(bare.state) in line for line in errors), errors


def test_given_a_key_pair_in_a_folder_that_cannot_be_written_when_started_then_it_runs(bare):
    bare.put("state.json", json.dumps({**AGENT_STATE, "port": 0}))
    bare.state.chmod(0o500)
    process = bare.start(*SERVICE, "--reg-key", "RK:a", "--listen-port", "41071", "proxy")
    bare.stop(process)
    assert bare.stored()["port"] == 0


def test_given_a_running_nexd_when_another_is_started_with_its_state_then_the_first_ones_pid_is_named(bare):
    process = bare.start(*SERVICE, "--reg-key", "RK:a", "proxy")
    status, _, errors, _ = bare.run(*SERVICE, "--reg-key", "RK:a", "proxy")
    assert status == 1
    assert any("another nexd" in line and str(bare.state) in line for line in errors), errors
    if any(f":{bare.state.stat().st_ino} " in line for line in open("/proc/locks", encoding="ascii")):
        assert any(f"(pid {process.pid})" in line for line in errors), errors
    bare.stop(process)


# -- Secrets ----------------------------------------------------------------------------------------------------------

def test_given_secrets_when_running_then_no_argument_list_or_environment_of_a_child_has_them(bare):
    path = bare.secret("RK:c2VjcmV0LW9mLXRoaXMtdGVzdA==\n")
    process = bare.start(*SERVICE, "--reg-key-file", path, "proxy", environment={"HTTPS_PROXY": "http://u:proxysecret@192.0.2.1:1"})
    pids = [process.pid, *map(int, subprocess.run(["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True,
                                                  check=True).stdout.split())]
    for pid in pids:
        said = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        if pid != process.pid:
            said += pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert b"c2VjcmV0" not in said and b"proxysecret" not in said
    assert "c2VjcmV0" not in bare.stop(process)


def test_given_a_secret_argument_when_started_then_a_warning_says_who_can_read_it(bare):
    process = bare.start(*SERVICE, "--reg-key", "RK:a", "--insecure-skip-tls-verify", "proxy")
    text = bare.stop(process)
    assert "--reg-key-file" in text and "CERTIFICATES ARE NOT CHECKED" in text


def prompt(bare, answer):
    """Starts nexd on a terminal and types; returns what the terminal showed, and the process."""
    leader, follower = pty.openpty()
    log = open(bare.folder / "log-pty", "w+", encoding="utf-8")
    process = subprocess.Popen(["setsid", "--ctty", *bare.command(*SERVICE, "--username", "kitteh1", "proxy")], stdin=follower, stdout=log,
                               stderr=log, env=bare.environment(None))
    process.log = log
    bare.running.append(process)
    os.close(follower)
    shown = b""

    def read():
        nonlocal shown
        if select.select([leader], [], [], 0)[0]:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # it has closed the terminal
                pass
        return shown

    waiting.until(lambda: b"Enter nexodus account password: " in read(), 10 * node.slowness(), "the question")
    os.write(leader, answer)
    return process, read, leader


def test_given_a_user_without_a_password_when_on_a_terminal_then_it_is_asked_for_without_echo(bare):
    process, read, leader = prompt(bare, b"correct horse\n")
    waiting.until(lambda: bare.settled(process), 10 * node.slowness(), "nexd to go on")
    assert b"correct" not in read()
    os.close(leader)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert "correct horse" not in bare.text(process)


def test_given_the_question_for_a_password_when_interrupted_then_nothing_is_left(bare):
    process, _, leader = prompt(bare, b"\x03")
    assert process.wait(10) == 1
    os.close(leader)
    assert not bare.state.exists()


# -- Warnings ---------------------------------------------------------------------------------------------------------

def test_given_a_mistyped_variable_when_started_then_the_right_one_is_named(bare):
    process = bare.start(*SERVICE, "proxy", environment={"NEXD_RELAY_OLNY": "true"})
    assert "did you mean NEXD_RELAY_ONLY?" in bare.stop(process)
