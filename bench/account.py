"""What processes cost: CPU seconds and memory of trees, and how busy the rest of the machine was meanwhile."""
import os
import re
import time

TICK = os.sysconf("SC_CLK_TCK")
PROCESSORS = len(os.sched_getaffinity(0))
KIB = 1024


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def all_processes():
    """{process number: fields of its stat file}"""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = stat_fields(name)
            except OSError:
                pass
    return found


def tree(pid):
    """A process and all its descendants."""
    children = {}
    for child, fields in all_processes().items():
        children.setdefault(int(fields[1]), []).append(child)
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def trees(roots):
    return [pid for root in roots for pid in tree(root)]


def cpu_s(roots):
    """User and system time of whole trees, their reaped children included."""
    total = 0
    for pid in trees(roots):
        try:
            total += sum(int(word) for word in stat_fields(pid)[11:15])
        except OSError:
            pass
    return total / TICK


def memory(roots):
    """Bytes, summed over whole trees: `pss` shares common pages fairly, `private` leaves them out, `peak` is the sum of the
    processes' own peaks of resident memory since reset_peak()."""
    total = {"pss": 0, "private": 0, "peak": 0}
    for pid in trees(roots):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                rollup = file.read()
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                status = file.read()
        except OSError:
            continue
        total["pss"] += KIB * int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])
        total["private"] += KIB * sum(map(int, re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", rollup, re.M)))
        total["peak"] += KIB * int(re.search(r"^VmHWM:\s+(\d+)", status, re.M)[1])
    return total


def reset_peak(roots):
    for pid in trees(roots):
        try:
            with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
                file.write("5")
        except OSError:
            pass


def machine():
    """(busy, stolen) CPU seconds of the whole machine since it started."""
    with open("/proc/stat", encoding="ascii") as file:
        words = [int(word) for word in file.readline().split()[1:]]
    return (words[0] + words[1] + words[2] + words[5] + words[6]) / TICK, words[7] / TICK


def foreign(own_root):
    """CPU seconds of user-space processes outside our own tree, by process number."""
    own = set(tree(own_root))
    return {pid: (int(fields[11]) + int(fields[12])) / TICK for pid, fields in all_processes().items()
            if pid not in own and pid != 2 and fields[1] != "2"}


class Window:
    """The cost of trees, and of everything else, between two moments."""

    def __init__(self, roots):
        self.roots = roots

    def __enter__(self):
        self.others = foreign(os.getpid())
        self.begun, self.cpu_before, self.machine_before = time.monotonic(), cpu_s(self.roots), machine()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.begun
        self.cpu = cpu_s(self.roots) - self.cpu_before
        busy, stolen = machine()
        others = sum(max(0, seconds - self.others.get(pid, 0)) for pid, seconds in foreign(os.getpid()).items())
        share = 100 / (self.seconds * PROCESSORS)
        self.busy_pct = share * (busy - self.machine_before[0])
        self.stolen_pct = share * (stolen - self.machine_before[1])
        self.foreign_pct = share * others

    def figures(self):
        return {"cpu_s": round(self.cpu, 3), "busy_pct": round(self.busy_pct, 1),
                "foreign_pct": round(self.foreign_pct, 1), "stolen_pct": round(self.stolen_pct, 1)}


def wait_quiet(limit_s, foreign_max_pct=10.0):
    """Waits until others leave the machine alone, at most so long; returns the share they last had, in percent."""
    deadline = time.monotonic() + limit_s
    while True:
        with Window([]) as window:
            time.sleep(0.5)
        if window.foreign_pct <= foreign_max_pct or time.monotonic() >= deadline:
            return round(window.foreign_pct, 1)
