"""The command line and the configuration file: every mistake ends with status 2, soon, and one line that names the wrong part."""
import base64
import os
import re
import subprocess
import time

import pytest

from lab import node

KEY = base64.b64encode(bytes([0x40] * 31 + [0x41])).decode()
PEER_KEY = base64.b64encode(bytes(range(32))).decode()
GOOD = f"[Interface]\nPrivateKey = {KEY}\nAddress = 100.64.0.1/32\n[Peer]\nPublicKey = {PEER_KEY}\nAllowedIPs = 100.64.0.2/32\n"
LIMIT_S = 0.1


@pytest.fixture
def nexd(tmp_path):
    """Runs nexd with arguments and a configuration; returns status, standard output, lines of standard error, seconds."""

    def run(*arguments, config=GOOD, environment=None, raw=False, timeout=10):
        path = tmp_path / "wg.conf"
        path.write_bytes(config if isinstance(config, bytes) else config.encode())
        path.chmod(0o600)
        command = [node.BUILD / "bin" / "nexd"] + ([] if raw else ["--wireguard-config", path]) + list(arguments)
        begun = time.monotonic()
        # Mistakes must be found before anything is opened: the time is taken from start to end, the program's loading included.
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=timeout, cwd=tmp_path,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **(environment or {})}, check=False)
        # A build with sanitizers says so first.
        errors = [line for line in done.stderr.splitlines() if not (node.sanitized() and "sanitizer build" in line)]
        return done.returncode, done.stdout, errors, time.monotonic() - begun

    return run


def expect_mistake(result, *named):
    status, out, errors, seconds = result
    assert status == 2, f"status {status}: {errors}"
    assert len(errors) == 1, f"one line, not {errors}"
    for part in named:
        assert part in errors[0], f"{part!r} is not named in: {errors[0]}"
    assert out == ""
    assert seconds < LIMIT_S * node.slowness()
    assert errors[0].isprintable(), f"control characters in an error line: {errors[0]!r}"
    return errors[0]


# -- Rules ------------------------------------------------------------------------------------------------------------

LONG_LABEL = "a" * 64
BAD_RULES = [
    # (rule, what the line must name)
    ("", "empty"),
    ("tcp", "tcp"),
    ("tcp:80", "tcp:80"),
    ("tcp:80:h", "tcp:80:h"),
    (":::", "protocol"),
    ("sctp:1:h:2", "sctp"),
    ("tcpa:80:h:90", "tcpa"),
    ("tc:80:h:90", "tc"),
    (" tcp :80:h:90", "tcp "),
    (":80:h:90", "protocol"),
    ("tcp::h:90", "listen port"),
    ("tcp:0:h:1", "listen port"),
    ("tcp:65536:h:1", "65536"),
    ("tcp:90000:h:1", "90000"),
    ("tcp:-1:h:1", "-1"),
    ("tcp:80x:h:1", "80x"),
    ("tcp:0x50:h:1", "0x50"),
    ("tcp: 80:h:90", "listen port"),
    ("tcp:80 :h:90", "listen port"),
    ("tcp:1-2:h:3", "1-2"),
    ("tcp:http:h:3", "http"),
    ("tcp:99999999999999999999999:h:1", "listen port"),
    ("tcp:1e3:h:1", "1e3"),
    ("tcp:++80:h:1", "++80"),
    ("tcp:80:h:0", "destination port"),
    ("tcp:80:h:65536", "65536"),
    ("tcp:80:h:90000", "90000"),
    ("tcp:80:h:-1", "-1"),
    ("tcp:80:h:http", "http"),
    ("tcp:80:h:", "destination port"),
    ("tcp:80:h:90:", "h:90:"),
    ("tcp:80:h: 90", "destination port"),
    ("tcp:80::90", "host"),
    ("tcp:80:[]:90", "host"),
    ("tcp:80:::1:90", "brackets"),
    ("tcp:80:fd00::1:90", "brackets"),
    ("tcp:80:[::1]90", "[::1]90"),
    ("tcp:80:[::1:90", "[::1"),
    ("tcp:80:::1]:90", "::1]:90"),
    ("tcp:80:[::1]]:90", "::1]"),
    ("tcp:80:[::g]:90", "::g"),
    ("tcp:80:[1:2:3:4:5:6:7:8:9]:90", "1:2:3:4:5:6:7:8:9"),
    ("tcp:80:[fe80::1%]:90", "fe80::1%"),
    ("tcp:80:999.1.1.1:9", "999.1.1.1"),
    ("tcp:80:1.2.3:9", "1.2.3"),
    ("tcp:80:1.2.3.4.5:9", "1.2.3.4.5"),
    ("tcp:80:1.2.3.04:9", "1.2.3.04"),
    ("tcp:80:256.0.0.1:9", "256.0.0.1"),
    ("tcp:80:host name:9", "host name"),
    ("tcp:80:-host:9", "-host"),
    ("tcp:80:host-:9", "host-"),
    ("tcp:80:a..b:9", "a..b"),
    ("tcp:80:.a:9", ".a"),
    ("tcp:80:höst:9", "host"),
    ("tcp:80:a/b:9", "a/b"),
    ("tcp:80:a\tb:9", "host"),
    ("tcp:80:a\nb:9", "host"),
    ("tcp:80:a\x1b[31mb:9", "host"),
    (f"tcp:80:{LONG_LABEL}:9", "host"),
    ("tcp:80:" + ".".join(["a" * 50] * 6) + ":9", "host"),
    ("tcp:80:" + "a" * 100000 + ":9", "host"),
    ("x" * 100000, "rule"),
]


@pytest.mark.parametrize("flag", ("--ingress", "--egress"))
@pytest.mark.parametrize("rule, named", BAD_RULES, ids=[repr(rule[:30]) for rule, _ in BAD_RULES])
def test_given_a_malformed_rule_when_started_then_one_line_names_its_part_and_shows_a_right_one(nexd, flag, rule, named):
    line = expect_mistake(nexd("proxy", flag, rule), flag[2:], named)
    assert re.search(r"(tcp|udp):\d+:[\w.]+:\d+", line), f"no right rule is shown: {line}"


def test_given_an_egress_rule_to_an_address_with_a_zone_when_started_then_the_zone_is_named(nexd):
    expect_mistake(nexd("proxy", "--egress", "tcp:8000:[fe80::1%lo]:90"), "egress", "zone", "fe80::1%lo")


@pytest.mark.parametrize("flag", ("--ingress", "--egress"))
def test_given_a_bad_rule_in_a_list_of_good_ones_when_started_then_it_is_the_one_that_is_named(nexd, flag):
    expect_mistake(nexd("proxy", flag, "tcp:80:h:90,tcp:81:h:0,tcp:82:h:90"), "tcp:81:h:0")


@pytest.mark.parametrize("flag", ("--ingress", "--egress"))
@pytest.mark.parametrize("second", ("tcp:80:h:90", "TCP:080:[h]:0090", "tcp:80:H:90"))
def test_given_the_same_rule_twice_when_started_then_it_is_named(nexd, flag, second):
    expect_mistake(nexd("proxy", flag, "tcp:80:h:90", flag, second), flag[2:], "tcp:80:")


# -- Flags ------------------------------------------------------------------------------------------------------------

BAD_COMMANDS = [
    (["proxy", "--ingress"], "--ingress"),
    (["proxy", "--bogus"], "--bogus"),
    (["proxy", "-x"], "-x"),
    (["--bogus", "proxy"], "--bogus"),
    (["proxy", "word"], "word"),
    (["bogus"], "bogus"),
    (["--ingress", "tcp:80:h:90", "proxy"], "--ingress"),
    (["proxy", "--unix-socket", "/tmp/x"], "--unix-socket"),
    (["--unix-socket", "", "proxy"], "--unix-socket"),
    (["--unix-socket", "x" * 200, "proxy"], "--unix-socket"),
    (["--sandbox=loose", "proxy"], "loose"),
    (["--log-level=loud", "proxy"], "loud"),
    ([], "proxy"),
]


@pytest.mark.parametrize("words, named", BAD_COMMANDS, ids=[" ".join(words)[:40] or "nothing" for words, _ in BAD_COMMANDS])
def test_given_a_wrong_command_line_when_started_then_one_line_names_the_word(nexd, words, named):
    expect_mistake(nexd(*words), named)


BAD_SERVICES = [
    # (words without a WireGuard configuration, what must be named)
    (["--service-url", "http://x", "proxy"], "--service-url=http://x"),
    (["--service-url", "https://", "proxy"], "--service-url=https://"),
    (["--service-url", "https://a b", "proxy"], "--service-url=https://a b"),
    (["--service-url", "https://a:99999", "proxy"], "port"),
    (["--service-url", "https://user@a", "proxy"], "'@'"),
    (["--reg-key", "", "proxy"], "--reg-key"),
    (["--reg-key", "ftp://x#RK:1", "proxy"], "--reg-key=ftp://x"),
    (["--reg-key", "RK:a", "--reg-key-file", "f", "proxy"], "--reg-key-file"),
    (["--password", "p", "proxy"], "password"),
    (["--stun-server", "a:1", "proxy"], "stun"),
    (["--request-ip", "::1", "--reg-key", "RK:x", "proxy"], "::1"),
]


@pytest.mark.parametrize("words, named", BAD_SERVICES, ids=[" ".join(words)[:40] for words, _ in BAD_SERVICES])
def test_given_a_malformed_service_when_started_then_one_line_names_it_and_shows_a_right_one(nexd, words, named):
    line = expect_mistake(nexd(*words, raw=True), named)
    assert "; example: --" in line


def test_given_a_configuration_and_a_registration_key_when_started_then_the_line_says_which_of_them_to_choose(nexd):
    assert "example" in expect_mistake(nexd("--reg-key", "RK:x", "proxy"), "--wireguard-config", "--reg-key")


def test_given_the_configuration_flag_without_a_value_when_started_then_it_is_named(nexd):
    expect_mistake(nexd("--wireguard-config", raw=True), "--wireguard-config")


def test_given_help_when_asked_then_it_is_printed_and_the_status_is_0(nexd):
    for words in (["--help"], ["-h"], ["help"], ["proxy", "--help"]):
        status, out, errors, _ = nexd(*words, raw=True)
        assert status == 0 and not errors, (words, errors)
        assert "--ingress" in out and "--egress" in out
    assert "--wireguard-config" in nexd("--help", raw=True)[1]


def test_given_version_when_asked_then_it_is_printed_and_the_status_is_0(nexd):
    status, out, errors, _ = nexd("version", raw=True)
    assert (status, errors) == (0, []) and re.fullmatch(r"version: \d+\.\d+\.\d+\S*\n", out)


# -- Configuration ----------------------------------------------------------------------------------------------------

INTERFACE = f"[Interface]\nPrivateKey = {KEY}\nAddress = 100.64.0.1/32\n"
PEER = f"[Peer]\nPublicKey = {PEER_KEY}\n"
BAD_CONFIGS = [
    # (text, line number of the mistake or None, what must be named)
    ("", None, "Interface"),
    ("\n# nothing\n", None, "Interface"),
    ("[Peer]\n" + f"PublicKey = {PEER_KEY}\n", None, "Interface"),
    ("[Interface]\nAddress = 100.64.0.1/32\n", None, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {KEY}\n", None, "Address"),
    (f"PrivateKey = {KEY}\n", 1, "PrivateKey"),
    ("[Interfaces]\n", 1, "Interfaces"),
    ("[Interface\n", 1, "Interface"),
    ("Interface]\n", 1, "Interface]"),
    ("[Interface]\nPrivateKey\n", 2, "PrivateKey"),
    ("[Interface]\n= value\n", 2, "value"),
    ("[Interface]\nPrivateKey =\n", 2, "PrivateKey"),
    ("[Interface]\nPrivateKey = tooshort\n", 2, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {KEY[:-1]}\n", 2, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {KEY}A\n", 2, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {KEY[:-2]}!=\n", 2, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {KEY[:20]} {KEY[21:]}\n", 2, "PrivateKey"),
    (f"[Interface]\nPrivateKey = {base64.b64encode(bytes(32)).decode()}\n", 2, "PrivateKey"),
    (INTERFACE + "ListenPort = 65536\n", 4, "ListenPort"),
    (INTERFACE + "ListenPort = -1\n", 4, "ListenPort"),
    (INTERFACE + "ListenPort = many\n", 4, "many"),
    (INTERFACE + "MTU = 100\n", 4, "MTU"),
    (INTERFACE + "MTU = 100000\n", 4, "MTU"),
    (INTERFACE + "MTU = 1420x\n", 4, "1420x"),
    (INTERFACE + "Address = 100.64.0.1/33\n", 4, "100.64.0.1/33"),
    (INTERFACE + "Address = 100.64.0.256\n", 4, "100.64.0.256"),
    (INTERFACE + "Address = fd00::1/129\n", 4, "fd00::1/129"),
    (INTERFACE + "Address = name\n", 4, "name"),
    (INTERFACE + "Address = 100.64.0.9,,100.64.0.8\n", 4, "Address"),
    (INTERFACE + "Adress = 100.64.0.1\n", 4, "Adress"),
    (INTERFACE + "PublicKey = x\n", 4, "PublicKey"),
    (INTERFACE + "Endpoint = a:1\n", 4, "Endpoint"),
    (INTERFACE + "[Peer]\nAllowedIPs = 100.64.0.2/32\n", 4, "PublicKey"),
    (INTERFACE + "[Peer]\nPublicKey = short\n", 5, "PublicKey"),
    (INTERFACE + "[Peer]\nPublicKey = AQ" + "A" * 41 + "=\n", 5, "PublicKey"),
    (INTERFACE + PEER + "PresharedKey = short\n", 6, "PresharedKey"),
    (INTERFACE + PEER + "AllowedIPs = 100.64.0.0/33\n", 6, "100.64.0.0/33"),
    (INTERFACE + PEER + "AllowedIPs = everything\n", 6, "everything"),
    (INTERFACE + PEER + "AllowedIPs = 100.64.0.2/-1\n", 6, "100.64.0.2/-1"),
    (INTERFACE + PEER + "Endpoint = host\n", 6, "Endpoint"),
    (INTERFACE + PEER + "Endpoint = host:\n", 6, "Endpoint"),
    (INTERFACE + PEER + "Endpoint = host:0\n", 6, "Endpoint"),
    (INTERFACE + PEER + "Endpoint = host:65536\n", 6, "65536"),
    (INTERFACE + PEER + "Endpoint = :51820\n", 6, "Endpoint"),
    (INTERFACE + PEER + "Endpoint = fd00::1:51820\n", 6, "fd00::1:51820"),
    (INTERFACE + PEER + "Endpoint = [fd00::g]:51820\n", 6, "fd00::g"),
    (INTERFACE + PEER + "Endpoint = 1.2.3.456:51820\n", 6, "1.2.3.456"),
    (INTERFACE + PEER + "PersistentKeepalive = 65536\n", 6, "PersistentKeepalive"),
    (INTERFACE + PEER + "PersistentKeepalive = sometimes\n", 6, "sometimes"),
    (INTERFACE + PEER + "ListenPort = 1\n", 6, "ListenPort"),
    (INTERFACE + PEER + "Bogus = 1\n", 6, "Bogus"),
    (INTERFACE + "\x00\n", 4, "plain text"),
]


@pytest.mark.parametrize("text, number, named", BAD_CONFIGS,
                         ids=[repr(text[-40:].strip().replace(KEY, "KEY")) for text, _, _ in BAD_CONFIGS])
def test_given_a_malformed_configuration_when_started_then_one_line_names_file_line_and_part(nexd, text, number, named):
    line = expect_mistake(nexd("proxy", config=text), f"wg.conf:{number}:" if number else "wg.conf", named)
    assert KEY[:-2] not in line, "a key in an error message"


def test_given_a_configuration_that_is_not_text_when_started_then_the_file_is_named(nexd):
    expect_mistake(nexd("proxy", config=os.urandom(4096)), "wg.conf")


def test_given_no_such_configuration_when_started_then_the_file_is_named(nexd):
    expect_mistake(nexd("--wireguard-config", "nowhere.conf", "proxy", raw=True), "nowhere.conf", "No such file")


def test_given_a_folder_as_configuration_when_started_then_it_is_named(nexd, tmp_path):
    expect_mistake(nexd("--wireguard-config", tmp_path, "proxy", raw=True), str(tmp_path.name))


# -- What is accepted -------------------------------------------------------------------------------------------------

ACCEPTED = [
    ("comments, blanks and case", f"""
      # a comment
      [interface]   # another
        privatekey={KEY}#at once
      ADDRESS = 100.64.0.1 , fd64::1/128
      Address=100.64.0.9/24
      listenport = 0
      MTU = 1280
      [PEER]
      PUBLICKEY = {PEER_KEY}
      allowedips = 100.64.0.2/32, fd64::2/128
      AllowedIPs = 10.0.0.0/8
      AllowedIPs =
      Endpoint = [fd99::1]:51820
      PersistentKeepalive = off
     """),
    ("Windows line ends", INTERFACE.replace("\n", "\r\n")),
    ("no newline at the end", INTERFACE + PEER + "AllowedIPs = 0.0.0.0/0, ::/0"),
    ("an interface in two parts", f"[Interface]\nPrivateKey = {KEY}\n[Interface]\nAddress = 100.64.0.1/32\n"),
]


@pytest.mark.parametrize("text", [text for _, text in ACCEPTED], ids=[name for name, _ in ACCEPTED])
def test_given_what_wg_quick_accepts_when_started_then_the_node_is_ready(scene, text):
    end = scene.node()
    end.configuration = lambda mtu=None: text
    end.start()


def test_given_keys_of_wg_quick_that_mean_nothing_here_when_started_then_each_is_named_in_a_warning(scene):
    end = scene.node()
    text = end.configuration().replace("[Interface]", "[Interface]\nDNS = 1.1.1.1\nPostUp = true\nTable = off")
    end.configuration = lambda mtu=None: text
    end.start()
    for key in ("DNS", "PostUp", "Table"):
        end.process.wait_line(rf"(?i)warn.*wg\.conf:\d+:.*{key}")


def test_given_rules_with_unusual_spelling_when_started_then_the_node_is_ready(scene):
    end = scene.node()
    end.rules = ["--ingress", "TCP:08080:127.0.0.1:0080,udp:+5353:[::1]:53, tcp:8081:host_name.example.:90",
                 "--egress=tcp:8000:[100.64.0.7]:443", "-egress", "Udp:8000:[fd64::7]:53"]
    end.start()
