"""nexd as a service among others: what it logs and where, who may operate it, its configuration file."""
import json
import re

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
