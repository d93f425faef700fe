"""A pair of a program under test, from its JSON description in peers/ (see README.md)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from control_plane import ControlPlane, learn
from place import UID, Failed, unprivileged

HERE = pathlib.Path(__file__).parent


def wg_keys():
    private = subprocess.run(["wg", "genkey"], check=True, capture_output=True, text=True).stdout.strip()
    public = subprocess.run(["wg", "pubkey"], input=private, check=True, capture_output=True, text=True).stdout.strip()
    return private, public


class Peer:
    """`described` names the description where that is not the name. `more`: words that go in where the description has "{more}"."""

    def __init__(self, name, program, place, build, described=None, more=()):
        path = HERE / "peers" / f"{described or name}.json"
        if not path.exists():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.json")))
            raise SystemExit(f"no description of {name}; there are: {known}")
        self.name, self.place, self.more = name, place, list(more)
        self.description = json.loads(path.read_text(encoding="utf-8"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nexd-bench-"))
        self.ends = {}
        keys = {end: wg_keys() for end in "ab"}
        self.values = {"program": str(program), "dir": str(self.folder), "tag": str(os.getpid()), **place.ports,
                       "a_tun": "100.64.7.1", "b_tun": "100.64.7.2", "server": place.server,
                       **{f"{end}_at": place.address[end] for end in "ab"},
                       **{f"{end}_key": keys[end][0] for end in "ab"}, **{f"{end}_pub": keys[end][1] for end in "ab"}}
        self.values["nexctl"] = str(build / "bin" / "nexctl")
        self.plane = ControlPlane(place, build, self.folder) if self.description.get("control_plane") else None
        if self.plane:
            self.values.update(self.plane.values)
        self.prepare()

    def fill(self, text):
        return re.sub(r"\{(\w+)\}", lambda found: str(self.values[found[1]]), text)

    def prepare(self):
        for name, lines in self.description.get("files", {}).items():
            file = self.folder / name
            file.write_text(self.fill("\n".join(lines) + "\n"), encoding="utf-8")
            file.chmod(0o600)
        if os.geteuid() == 0 and not self.description.get("privileged"):
            for file in [self.folder, *self.folder.iterdir()]:
                if file.name != "apid":
                    os.chown(file, UID, UID)

    def start(self):
        """Starts both ends; that they work is for the first echo to show."""
        for end in self.description["ends"]:
            self.start_end(end)

    def start_end(self, description):
        end = description["end"]
        command = [self.fill(word) for given in description["command"] for word in (self.more if given == "{more}" else [given])]
        if not self.description.get("privileged"):
            command = unprivileged(command)
        if self.plane:
            command = self.plane.wrap(command)
        with open(self.folder / f"{end}.log", "ab") as log:
            self.ends[end] = self.place.spawn(end, command, stdout=log, stderr=log, cwd=self.folder,
                                              env={**os.environ, "HOME": str(self.folder), **{
                                                  name: self.fill(text) for name, text in description.get("env", {}).items()}})
        for words in description.get("then", []):
            self.retry(end, [self.fill(word) for word in words])
        for name, words in description.get("learn", {}).items():
            self.values[name] = learn(self.place, end, [self.fill(word) for word in words])

    def retry(self, end, command, seconds=5):
        deadline = time.monotonic() + seconds
        while True:
            status, _, err = self.place.run(end, command, 10)
            if status == 0:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: {' '.join(command)}: {err.strip()[:200]}")
            time.sleep(0.02)

    def entry(self, what):
        """Address and port that a client next to end a connects to, for the server `what` (bulk or echo)."""
        entry = self.description["entry"]
        return self.fill(entry["address"]), self.fill(entry[what])

    def roots(self):
        return [process.pid for process in self.ends.values()]

    def alive(self):
        return all(process.poll() is None for process in self.ends.values())

    def tail(self):
        logs = [file.read_text(errors="replace")[-500:] for file in sorted(self.folder.glob("*.log"))]
        return " // ".join(text.replace("\n", " | ") for text in logs)

    def stop(self):
        for process in reversed(list(self.ends.values())):
            self.place.end(process)
        self.ends = {}

    def forget(self):
        self.stop()
        if self.plane:
            self.plane.close()
        shutil.rmtree(self.folder, ignore_errors=True)
