"""The memory of a running process, as root can read it: what a core file, a debugger or a thief with a memory image would see."""
import re


class Region:
    def __init__(self, line):
        span, self.flags, _, _, _, *name = line.split(maxsplit=5)
        self.begin, self.end = (int(word, 16) for word in span.split("-"))
        self.name = name[0].strip() if name else ""
        self.vm_flags = set()

    def readable(self):
        return "r" in self.flags


def regions(pid):
    """All mappings of a process, with the kernel's VmFlags of each."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                found.append(Region(line))
            elif line.startswith("VmFlags:"):
                found[-1].vm_flags = set(line.split()[1:])
    return found


def occurrences(pid, needles):
    """[(region, name of the needle)] for each mapping that holds one of `needles`, a dictionary of byte strings. Mappings that the
    process itself may not read at the moment are read too."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for region in regions(pid):
            if region.name in ("[vvar]", "[vvar_vclock]", "[vsyscall]") or region.vm_flags & {"io", "pf"}:
                continue
            data = b""
            memory.seek(region.begin)
            try:
                while len(data) < region.end - region.begin and (part := memory.read(region.end - region.begin - len(data))):
                    data += part
            except OSError:
                pass
            found += [(region, name) for name, needle in needles.items() if needle in data]
    return found
