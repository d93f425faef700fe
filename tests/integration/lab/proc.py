"""What /proc says about processes. Those of a node are not dumpable: most of this needs root."""
import os
import re


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def children(pid):
    """Process numbers of the direct children, zombies left out."""
    return [child for child in _all() if parent(child) == pid and state(child) not in ("Z", "X", None)]


def zombies_of(pid):
    return [child for child in _all() if parent(child) == pid and state(child) == "Z"]


def tree(pid):
    """The process and all its descendants."""
    return [pid] + [below for child in children(pid) for below in tree(child)]


def parent(pid):
    try:
        return int(stat_fields(pid)[1])
    except (OSError, IndexError):
        return None


def _all():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def state(pid):
    try:
        return stat_fields(pid)[0]
    except (OSError, IndexError):
        return None


def status_field(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.partition(":")[2].strip()
    raise KeyError(field)


def comm(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
        return file.read().strip()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def private_bytes(pid):
    """Memory that only this process has: what it costs beside the pages of shared programs and libraries."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return 1024 * sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", file.read(), re.M))
