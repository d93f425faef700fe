"""Runs one act inside one sandboxed process and says what came of it."""
import errno
import fcntl
import os
import signal
import socket
import subprocess
from pathlib import Path

BUILD = Path(os.environ.get("NEXD_BUILD", "build")).resolve()
HERE = Path(__file__).resolve().parent
LINK_FD = 3
DEADLINE_S = 20  # for one process; it needs a few milliseconds


class Process:
    """A self-test executable with the descriptors that selftest.c expects, and its report."""

    def __init__(self, argv, act, link=False, **popen):
        report_out, report_in = os.pipe()
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        file = os.open("/etc/passwd", os.O_RDONLY)
        self.link, their_link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Out of the way of LINK_FD, where a child of nexd finds the link to its parent.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LINK_FD + 1)
               for fd in (report_in, tcp.fileno(), udp.fileno(), file, their_link.fileno())]
        if link:
            popen.update(preexec_fn=lambda: os.dup2(fds[-1], LINK_FD))
        environment = {"NEXD_SELFTEST_ACT": act, "NEXD_SELFTEST_FDS": ",".join(map(str, fds[:-1]))}
        self.popen = subprocess.Popen(argv, pass_fds=[*fds[:-1], *([LINK_FD] if link else [])], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, **popen)
        for fd in (report_in, file, *fds):
            os.close(fd)
        for one in (tcp, udp, their_link):
            one.close()
        self.report = os.fdopen(report_out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.communicate()
        self.report.close()
        self.link.close()

    def wait_begun(self):
        """The sandbox is in force and the act has been begun."""
        assert self.report.readline() == "begin\n", self.popen.communicate(timeout=DEADLINE_S)[1].decode()

    def outcome(self):
        """'kill', 'ok', the errno's name, or 'replaced' where an execve made another program of it."""
        errors = self.popen.communicate(timeout=DEADLINE_S)[1].decode()
        lines = self.report.read().splitlines()
        assert lines and lines[0] == "begin", f"the act was not reached: {errors} (status {self.popen.returncode})"
        if self.popen.returncode == -signal.SIGSYS:
            assert lines == ["begin"]
            return "kill"
        assert self.popen.returncode == 0, f"ended with {self.popen.returncode}: {errors}"
        if len(lines) == 1:
            return "replaced"
        if lines[1] == "ok":
            return "ok"
        word, number = lines[1].split()
        assert word == "errno", lines
        return errno.errorcode[int(number)]


def policy_selftest(kind, *options):
    return [str(BUILD / "tests" / "policy_selftest"), kind, *options]


def list_acts():
    """All acts that the executables know."""
    with Process(policy_selftest("open"), "list") as process:
        process.popen.communicate(timeout=DEADLINE_S)
        return process.report.read().split()


def expected_table():
    """{act: {kind: outcome}} of expected.txt."""
    kinds = ("tunneld", "proxyd", "ctld", "nexd", "apid", "open")
    table = {}
    for line in (HERE / "expected.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            act, *outcomes = line.split()
            assert act not in table and len(outcomes) == len(kinds), line
            table[act] = dict(zip(kinds, outcomes))
    return table
