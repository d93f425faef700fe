"""The policies' lines, as seccomp/exercised.txt and unexercised.txt have them."""
from pathlib import Path

SECCOMP = Path(__file__).resolve().parents[2] / "seccomp"
NAMES = ("nexd", "tunneld", "proxyd", "ctld", "apid")


def rules(name):
    """["NAME STAGE RULE"]: without the reason, and with single blanks."""
    stage, found = None, []
    for line in (SECCOMP / f"{name}.policy").read_text(encoding="utf-8").splitlines():
        rule = " ".join(line.split("#")[0].split())
        if rule.startswith("["):
            stage = rule.strip("[]")
        elif rule:
            found.append(f"{name} {stage} {rule}")
    return found


def all_rules():
    return [rule for name in NAMES for rule in rules(name)]
