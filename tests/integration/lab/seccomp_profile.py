"""Seccomp profiles: from the form that container engines write, as a file, to the form that an OCI runtime reads.

An engine's entry may say for which machines, capabilities and kernels it counts ("includes"), and for which it does not ("excludes");
and a profile which smaller machines come with which ("archMap"). The engine decides that when it starts a container. An OCI profile
has only what then counts.
"""
import json
import platform
import re
from pathlib import Path

# As engines name a machine in an entry, and as libseccomp names it.
MACHINES = {"x86_64": ("amd64", "SCMP_ARCH_X86_64"), "aarch64": ("arm64", "SCMP_ARCH_AARCH64")}
KEPT = ("names", "action", "errnoRet", "args")


def kernel_version(text):
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", text).groups())


def counts(entry, capabilities, machine, kernel):
    """Whether an entry is in force for a container with these capabilities."""
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if includes.get("arches") and machine not in includes["arches"] or machine in (excludes.get("arches") or []):
        return False
    if not set(includes.get("caps") or []) <= capabilities or capabilities & set(excludes.get("caps") or []):
        return False
    if includes.get("minKernel") and kernel < kernel_version(includes["minKernel"]):
        return False
    return not (excludes.get("minKernel") and kernel >= kernel_version(excludes["minKernel"]))


def converted(profile, capabilities=frozenset(), machine=None, kernel=None):
    """An engine's profile, or an OCI one, as an OCI profile."""
    machine, architecture = MACHINES[machine or platform.machine()]
    kernel = kernel_version(kernel or platform.release())
    entries = []
    for entry in profile["syscalls"]:
        if counts(entry, set(capabilities), machine, kernel):
            kept = {word: entry[word] for word in KEPT if entry.get(word) is not None}
            if "name" in entry:
                kept["names"] = [entry["name"]]
            entries.append(kept)
    architectures = profile.get("architectures")
    for mapped in profile.get("archMap") or []:
        if mapped["architecture"] == architecture:
            architectures = [architecture, *(mapped.get("subArchitectures") or [])]
    return {**{word: profile[word] for word in ("defaultAction", "defaultErrnoRet") if word in profile},
            "architectures": architectures or [architecture], "syscalls": entries}


def for_runc(path):
    """The profile in a file, for a container without capabilities on this machine."""
    return converted(json.loads(Path(path).read_text(encoding="utf-8")))
