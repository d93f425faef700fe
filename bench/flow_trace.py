"""What our pair says of a stream while it goes on, in the columns of netsim's --trace (sim/main.c), for sim/plot.py."""
import csv
import json
import subprocess
import threading

from place import Failed

COLUMNS = ("s", "flow", "phase", "cwnd", "pacing_rate", "inflight", "queue", "delivered", "srtt_ms", "delivery_rate")
EVERY_S = 0.1


class Trace:
    """A context in which both ends are asked for their flows; nothing where there is no file, or where the program is not ours. `sender` is
    the end whose congestion control is told of. What only a simulator knows (phase, bytes in flight and in the queue) is left empty."""

    def __init__(self, peer, path, sender):
        self.peer, self.path, self.sender = peer, path if peer.name == "nexd" else None, sender
        self.rows, self.over = [], threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        if self.path:
            self.thread.start()

    def __exit__(self, *_):
        if not self.path:
            return
        self.over.set()
        self.thread.join()
        if self.error or not self.rows:
            raise Failed(f"no trace of the flow: {self.error or 'it was never there'}")
        with open(self.path, "w", encoding="ascii", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.stream())

    def stream(self):
        """The rows of iperf3's stream: beside it there is a connection for control, which is there before it and after it."""
        client = max(self.rows, key=lambda row: row["delivered"])["client"]
        most = 0
        for row in self.rows:
            if row["client"] == client and row["delivered"] >= most:
                most = row["delivered"]
                yield row

    def run(self):
        try:
            while not self.over.wait(EVERY_S):
                row = self.sample()
                if row:
                    self.rows.append(row)
        except (ValueError, KeyError, TypeError, OSError, subprocess.SubprocessError) as error:
            self.error = error  # told where the thread is joined

    def flow(self, end, bytes_name):
        """Of those of an end, the one that carried most."""
        command = [self.peer.values["nexctl"], "nexd", "--unix-socket", str(self.peer.folder / f"{end}.sock"), "flows", "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        flows = json.loads(done.stdout) if done.returncode == 0 else []
        return max(flows, key=lambda flow: flow[bytes_name], default=None)

    def sample(self):
        sent = self.flow(self.sender, "to_mesh_bytes")
        received = self.flow("a" if self.sender == "b" else "b", "to_host_bytes")
        if not sent or not received or "cwnd_bytes" not in sent:
            return None
        return {"client": sent["client"], "s": sent["age_ms"] / 1000, "flow": 0, "cwnd": sent["cwnd_bytes"], "pacing_rate": sent["pacing_bytes_per_s"],
                "delivered": received["to_host_bytes"], "srtt_ms": sent["rtt_us"] / 1000, "delivery_rate": sent["delivery_bytes_per_s"]}
