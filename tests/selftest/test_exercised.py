"""Each line of the policies is used by some test (seccomp/exercised.txt, which scripts/trace-syscalls records), or
seccomp/unexercised.txt says why none can use it here. What the tests need and no policy lists needs no record: the kernel kills the
process, and its test fails."""
import platform
import re

import pytest

from policies import NAMES, SECCOMP, all_rules, rules


def record(file):
    """{"NAME STAGE RULE": reason}."""
    lines = [line for line in (SECCOMP / file).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    split = [re.split(r"\s+#\s+", line, maxsplit=1) for line in lines]
    assert len({part[0] for part in split}) == len(split), f"{file}: a line stands there twice"
    return {" ".join(part[0].split()): part[1] if len(part) > 1 else "" for part in split}


EXERCISED, UNEXERCISED = record("exercised.txt"), record("unexercised.txt")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the record is of another machine")
@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_exercised_or_says_why_not(name):
    left = [rule for rule in rules(name) if rule not in EXERCISED and rule not in UNEXERCISED]
    assert not left, f"no test uses these; run scripts/trace-syscalls, or take them out of seccomp/{name}.policy: {left}"


def test_the_record_is_of_these_policies():
    known = set(all_rules())
    for file, lines in (("exercised.txt", EXERCISED), ("unexercised.txt", UNEXERCISED)):
        stale = [line for line in lines if line not in known]
        assert not stale, f"seccomp/{file} names what no policy has: {stale}"


def test_no_line_is_excused_that_is_exercised():
    assert not set(EXERCISED) & set(UNEXERCISED)


def test_every_excuse_has_its_reason():
    assert not [line for line, reason in UNEXERCISED.items() if not re.search(r"\w+ \w+", reason)]


def test_the_check_notices_a_line_that_nobody_uses():
    """Else none of the above could fail."""
    assert "tunneld run sendmsg" in EXERCISED and "tunneld run sendmsg" not in UNEXERCISED
    assert "tunneld run socket if int0 == AF_INET" not in EXERCISED
    assert len(rules("tunneld")) > 30 and rules("tunneld")[0] == "tunneld start epoll_create1"
