"""A node as the first process of an OCI container, under runc: nothing of the host but its namespace's network and its own folder."""
import json
import os
import shutil
import subprocess
from pathlib import Path

from . import node as nodes
from . import seccomp_profile

RUNC = shutil.which("runc") or shutil.which("runc", path="/usr/sbin:/usr/local/sbin")
PROFILE = nodes.BUILD / "packaging" / "seccomp.json"


def libraries(program):
    """The shared libraries that a program needs, the loader included."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, timeout=60).stdout
    return {Path(word) for line in said.splitlines() for word in line.split() if word.startswith("/")}


def root_folder(place):
    """A root file system that has nexd, what it needs, and nothing else: no shell, no account, no resolver configuration."""
    root = Path(place)
    programs = [nodes.BUILD / "bin" / "nexd", *(nodes.BUILD / "libexec" / "nexd").iterdir()]
    for program in programs:
        target = root / "usr" / ("bin" if program.name == "nexd" else "libexec/nexd")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(program, target)
        for library in libraries(program):
            (root / str(library.parent).lstrip("/")).mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, root / str(library).lstrip("/"))
    for name in ("proc", "dev", "etc"):
        (root / name).mkdir()
    return root


class Container:
    """Makes a node's process a container's. `uid` is any number; there is no account."""

    def __init__(self, node, profile=PROFILE, uid=nodes.UID):
        self.node, self.profile, self.uid = node, profile, uid
        self.bundle = node.folder.parent / f"{node.folder.name}-bundle"
        self.name = self.bundle.parent.name + "-" + node.folder.name
        node.wrap = self.command

    def command(self, _):
        self.bundle.mkdir(exist_ok=True)
        if not (self.bundle / "rootfs").exists():
            root_folder(self.bundle / "rootfs")
        words = [str(word) for word in self.node.command()]
        (self.bundle / "config.json").write_text(json.dumps(self.configuration(["/usr/bin/nexd", *words[1:]])), encoding="utf-8")
        # runc would put a socket of its own in the place of the one that the test listens on.
        return ["env", "-u", "NOTIFY_SOCKET", RUNC, "--root", self.bundle / "runc", "run", "--bundle", self.bundle, self.name]

    def configuration(self, words):
        folder = str(self.node.folder)
        none = {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")}
        return {
            "ociVersion": "1.0.2",
            "process": {"terminal": False, "user": {"uid": self.uid, "gid": self.uid}, "args": words, "cwd": "/",
                        "env": [f"NOTIFY_SOCKET={folder}/notify", f"HOME={folder}", "ASAN_OPTIONS=detect_leaks=0:abort_on_error=0"],
                        "capabilities": none, "noNewPrivileges": True,
                        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 4096, "soft": 1024}]},
            "root": {"path": "rootfs", "readonly": True},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                       {"destination": folder, "type": "bind", "source": folder, "options": ["bind", "rw", "nosuid", "nodev", "noexec"]}],
            # No network namespace of its own: it runs in the node's, which the test has made.
            "linux": {"namespaces": [{"type": name} for name in ("pid", "ipc", "uts", "mount")],
                      "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                      "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"],
                      "seccomp": seccomp_profile.for_runc(self.profile)},
        }


def works_here(folder):
    """None, or why no container can be made on this host."""
    if RUNC is None:
        return "needs the program runc"
    bundle = Path(folder)
    (bundle / "rootfs" / "proc").mkdir(parents=True)
    for file in {Path("/bin/true"), *libraries("/bin/true")}:
        target = bundle / "rootfs" / str(file).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    (bundle / "config.json").write_text(json.dumps({
        "ociVersion": "1.0.2", "root": {"path": "rootfs", "readonly": True},
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/", "noNewPrivileges": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]}}), encoding="utf-8")
    done = subprocess.run([RUNC, "--root", bundle / "runc", "run", "--bundle", bundle, f"nexd-probe-{os.getpid()}"],
                          capture_output=True, text=True, timeout=60)
    return None if done.returncode == 0 else f"runc cannot make containers here: {done.stderr.strip()}"
