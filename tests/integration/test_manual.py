"""Manual pages and shell completions: what they say is what --help says, and the shells understand them."""
import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from lab.node import BUILD, slowness

SHARE = BUILD / "share"
GROUPS = [[], ["nexd"], ["nexd", "get"], ["nexd", "set"], ["nexd", "set", "debug"], ["nexd", "proxy"], ["nexd", "peers"], ["nexd", "rules"]]


def told(program, *words):
    return subprocess.run([BUILD / "bin" / program, *words], capture_output=True, text=True, check=True).stdout


def page(name):
    return (SHARE / "man" / name).read_text(encoding="utf-8").replace("\\-", "-")


def flags_of_help(text):
    """Long flags, each at the beginning of its line."""
    return set(re.findall(r"^ +(--[a-z0-9-]+)", text, re.MULTILINE))


def nexd_flags():
    return flags_of_help(told("nexd", "help", "proxy"))


def nexctl_commands():
    """{words: long options} of every command, from the program's own help."""
    found = {}
    for group in GROUPS:
        text = told("nexctl", *group, "--help")
        listed = text.split("COMMANDS:")[1].split("OPTIONS:")[0]
        for name in re.findall(r"^ +([a-z0-9]+) ", listed, re.MULTILINE):
            if group + [name] not in GROUPS:
                found[" ".join(group + [name])] = flags_of_help(told("nexctl", *group, name, "--help"))
    return found


def test_nexd_help_knows_groups_that_this_test_knows():
    for group in GROUPS[1:]:
        assert f"nexctl {' '.join(group)} - " in told("nexctl", *group)
    assert len(nexctl_commands()) >= 16


def test_nexd_page_has_the_flags_variables_and_commands_of_help():
    text, help_text = page("nexd.1"), told("nexd", "help", "proxy")
    assert set(re.findall(r"^\\fB(--[a-z0-9-]+)\\fR", text, re.MULTILINE)) == nexd_flags()
    assert set(re.findall(r"\[\$(\w+)\]", help_text)) == set(re.findall(r"^Variable:\n\.BR (\w+) \.", text, re.MULTILINE))
    for command in re.findall(r"^  ([a-z-]+) ", told("nexd", "help").split("Commands:")[1].split("Flags")[0], re.MULTILINE):
        assert f".TP\n.B {command}\n" in text


def test_nexd_conf_page_has_every_flag_that_a_file_may_have(tmp_path):
    names = set(re.findall(r"^\\fB([a-z0-9-]+)\\fR", page("nexd.conf.5"), re.MULTILINE))
    flags = {flag[2:] for flag in nexd_flags()}
    secrets = {name for name in flags if name + "-file" in flags}
    assert names == flags - secrets - {"config", "output", "pid"}
    for name in names:  # and the program knows each of them
        path = tmp_path / "nexd.conf"
        path.write_text(f"{name} = \x7f\n", encoding="utf-8")
        done = subprocess.run([BUILD / "bin" / "nexd", "--config", path, "check"], capture_output=True, text=True, check=False, env={})
        assert "unknown name" not in done.stderr, done.stderr
    for name in secrets:
        path.write_text(f"{name} = hunter2\n", encoding="utf-8")
        done = subprocess.run([BUILD / "bin" / "nexd", "--config", path, "check"], capture_output=True, text=True, check=False, env={})
        assert done.returncode == 2 and "a secret does not stand here" in done.stderr and "hunter2" not in done.stderr


def test_nexctl_page_has_the_commands_and_options_of_help():
    text = page("nexctl.1")
    commands = nexctl_commands()
    sections = dict(re.findall(r"^\.SS nexctl (.+)\n((?:(?!\.S[SH]).*\n)*)", text, re.MULTILINE))
    assert set(sections) == set(commands)
    common = set(re.findall(r"^\\fB(--[a-z0-9-]+)", text.split(".SH OPTIONS")[1], re.MULTILINE))
    for words, options in commands.items():
        assert set(re.findall(r"^\\fB(--[a-z0-9-]+)", sections[words], re.MULTILINE)) == options - common, words


@pytest.mark.parametrize("name", ["nexd.1", "nexctl.1", "nexd.conf.5", "nexd.policy.5"])
@pytest.mark.skipif(not shutil.which("groff"), reason="needs the program groff")
def test_pages_are_without_fault_for_groff(name):
    done = subprocess.run(["groff", "-K", "utf8", "-man", "-Tutf8", "-ww", "-z", SHARE / "man" / name], capture_output=True, text=True,
                          check=True)
    assert done.stderr == ""


# -- Completions --

def bash(program, line):
    """What bash offers for the last word of a command line."""
    words = line.split(" ")
    script = (f"source {SHARE}/bash/{program}; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
              f"COMP_CWORD={len(words) - 1}; _{program}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_offers_the_flags_of_nexd_where_they_may_stand():
    before, after = bash("nexd", "nexd --"), bash("nexd", "nexd proxy --")
    assert before | after == nexd_flags() | {"--help", "--version"}
    assert "--unix-socket" in before - after and "--ingress" in after - before
    assert bash("nexd", "nexd ") == {"proxy", "check", "sandbox-report", "version", "help"}
    assert bash("nexd", "nexd --log-level ") == {"debug", "info", "warn", "error", "fatal"}
    assert bash("nexd", "nexd --log-format = j") == {"json"}
    assert bash("nexd", "nexd proxy --ingress t") == set()


def test_bash_offers_the_commands_and_options_of_nexctl():
    for words, options in nexctl_commands().items():
        assert bash("nexctl", f"nexctl --output json {words} --") == options, words
        above, _, name = words.rpartition(" ")
        assert name in bash("nexctl", f"nexctl {above} ".replace("  ", " ")), words
    assert bash("nexctl", "nexctl --output y") == {"yaml"}
    assert bash("nexctl", "nexctl nexd --unix-socket /tmp/x p") == {"proxy", "peers"}


def test_bash_offers_files_for_paths(tmp_path):
    (tmp_path / "nexd.conf").touch()
    assert bash("nexd", f"nexd --config {tmp_path}/ne") == {f"{tmp_path}/nexd.conf"}


@pytest.mark.parametrize("shell, name", [("zsh", "_{}"), ("fish", "{}.fish")])
def test_other_shells_are_offered_the_same(shell, name):
    nexd = (SHARE / shell / name.format("nexd")).read_text(encoding="utf-8")
    nexctl = (SHARE / shell / name.format("nexctl")).read_text(encoding="utf-8")
    pattern = r"'\*?(--[a-z0-9-]+)\[" if shell == "zsh" else r"^complete .* -l ([a-z0-9-]+)"
    plain = {flag.lstrip("-") for flag in nexd_flags()} | {"help", "version"}
    assert {flag.lstrip("-") for flag in re.findall(pattern, nexd, re.MULTILINE)} == plain
    options = {flag.lstrip("-") for flags in nexctl_commands().values() for flag in flags}
    assert {flag.lstrip("-") for flag in re.findall(pattern, nexctl, re.MULTILINE)} == options
    for words in nexctl_commands():
        above, _, name = words.rpartition(" ")
        assert re.search(rf"'{name}:" if shell == "zsh" else rf"__nexctl_at {above}' -a {name} ", nexctl), words


@pytest.mark.parametrize("shell, check", [("zsh", ["-n"]), ("fish", ["--no-execute"]), ("bash", ["-n"])])
def test_shells_can_read_them(shell, check):
    if not shutil.which(shell):
        pytest.skip(f"needs the program {shell}")
    for file in os.listdir(SHARE / shell):
        subprocess.run([shell, *check, SHARE / shell / file], check=True)


# -- What a user sees who presses the tabulator key --

SHELLS = {
    "bash": (["bash", "--noprofile", "--norc", "-i"], "source {share}/bash/nexctl; source {share}/bash/nexd"),
    "zsh": (["zsh", "-f", "-i"], "fpath=({share}/zsh $fpath); autoload -Uz compinit; compinit -u -D"),
    "fish": (["fish", "--no-config", "-i"], "source {share}/fish/nexctl.fish; source {share}/fish/nexd.fish"),
}


def shown_until(terminal, words, shown=""):
    """What a terminal shows, read until all of these are among it."""
    while not all(word in shown for word in words):
        assert select.select([terminal], [], [], 20 * slowness())[0], (words, shown)
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("typed, words", [("nexctl nexd pro", ["nexctl nexd proxy "]), ("nexctl nexd set debug of", ["nexctl nexd set debug off"]),
                                          ("nexctl nexd flows --tc", ["nexctl nexd flows --tcp "]), ("nexd --log-format j", ["json"])])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_what_is_typed(shell, typed, words, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"needs the program {shell}")
    command, setup = SHELLS[shell]
    terminal, other = pty.openpty()
    environment = {"PATH": f"{BUILD}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    running = subprocess.Popen(["setsid", "--ctty", *command], stdin=other, stdout=other, stderr=other, env=environment, cwd=tmp_path)
    os.close(other)
    try:
        os.write(terminal, f"{setup.format(share=SHARE)}; echo rea''dy\n".encode())
        shown_until(terminal, ["ready\r\n"])
        os.write(terminal, f"{typed}\t\t".encode())
        shown_until(terminal, words)
    finally:
        running.kill()
        running.wait(10)
        os.close(terminal)
