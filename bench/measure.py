"""The measures. Each takes a started pair and returns figures by name."""
import json
import subprocess
import time

import account
import datagrams
import scale
import starts
from account import Window
from place import Failed, listening

RESTS_S = 5  # after the load, before memory is taken again
LOAD_SETTLES_S = 1.5  # slow start and buffers of the background load, before latency under it is taken


class Measures:
    def __init__(self, place, probe, seconds):
        self.place, self.probe, self.seconds = place, str(probe), seconds
        self.echo = place.spawn("b", [self.probe, "echo", place.bind, place.ports["echo"]], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL)
        listening(self.echo.pid, place.ports["echo"])

    def ask(self, command, *words, timeout):
        return self.place.json("a", [self.probe, command, *words], timeout)

    def ready(self, peer, seconds=20):
        """Waits for the first echo through the pair."""
        if self.ask("first", *peer.entry("echo"), seconds, timeout=seconds + 5)["first_ns"] is None:
            raise Failed(f"{peer.name}: no echo within {seconds} s: {peer.tail()}")

    # -- Throughput ----------------------------------------------------------------------------------------------------

    def iperf_server(self):
        server = self.place.spawn("b", ["iperf3", "-s", "-1", "-B", self.place.bind, "-p", self.place.ports["bulk"]],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        listening(server.pid, self.place.ports["bulk"])
        return server

    def transfer(self, peer, streams, reverse):
        address, port = peer.entry("bulk")
        server = self.iperf_server()
        command = ["iperf3", "-c", address, "-p", port, "-t", str(self.seconds), "-P", str(streams), "-J"]
        try:
            with Window(peer.roots()) as window:
                status, out, err = self.place.run("a", command + (["-R"] if reverse else []), self.seconds + 15)
            result = json.loads(out)
            received = result["end"]["sum_received"]
        except (ValueError, KeyError):
            raise Failed(f"iperf3: status {status}: {(err or out).strip()[:200]}") from None
        finally:
            self.place.end(server)
        if not received["bytes"]:
            raise Failed("iperf3: nothing was received")
        each = [stream["receiver"]["bits_per_second"] / 1e6 for stream in result["end"]["streams"]]
        figures = {"mbit": round(received["bits_per_second"] / 1e6, 1), "slowest_mbit": round(min(each), 1),
                   "fastest_mbit": round(max(each), 1), **window.figures()}
        if peer.ends:
            figures["cpu_s_per_gb"] = round(window.cpu / (received["bytes"] / 1e9), 2)
        return figures

    def bulk(self, peer):
        figures = {}
        account.reset_peak(peer.roots())
        for name, streams, reverse in (("tcp1_ab", 1, False), ("tcp1_ba", 1, True), ("tcp8_ab", 8, False),
                                       ("tcp8_ba", 8, True)):
            figures[name] = self.transfer(peer, streams, reverse)
        if peer.ends:
            figures["memory_after_load"] = account.memory(peer.roots())
            time.sleep(RESTS_S)
            figures["memory_at_rest"] = account.memory(peer.roots())
        return figures

    # -- Connections and latency --------------------------------------------------------------------------------------

    def connections(self, peer):
        figures = {}
        for clients in (1, 16):
            with Window(peer.roots()) as window:
                result = self.ask("crr", *peer.entry("echo"), clients, self.seconds, 10**8, timeout=self.seconds + 30)
            if peer.ends and result["count"]:
                result["cpu_us_each"] = round(1e6 * window.cpu / result["count"], 1)
            figures[f"connections_{clients}"] = {**result, **window.figures()}
        return figures

    def latency(self, peer):
        figures = {}
        with Window(peer.roots()) as window:
            figures["ping_idle"] = self.ask("ping", *peer.entry("echo"), 64, self.seconds, timeout=self.seconds + 20)
        figures["ping_idle"].update(window.figures())
        address, port = peer.entry("bulk")
        server = self.iperf_server()
        load = self.place.spawn("a", ["iperf3", "-c", address, "-p", port, "-t", str(self.seconds + 10), "-P", "8"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(LOAD_SETTLES_S)
            with Window(peer.roots()) as window:
                figures["ping_loaded"] = self.ask("ping", *peer.entry("echo"), 64, self.seconds, timeout=self.seconds + 30)
            if load.poll() is not None:
                raise Failed("the background load ended too early")
        finally:
            self.place.end(load)
            self.place.end(server)
        figures["ping_loaded"].update(window.figures())
        return figures

    # -- Memory -------------------------------------------------------------------------------------------------------

    def idle(self, peer, count=1000):
        """What idle connections cost; on a freshly started pair, because a heap that load has grown hides it."""
        if not peer.ends:
            return {}
        before = account.memory(peer.roots())
        hold = self.place.spawn("a", [self.probe, "hold", *peer.entry("echo"), count], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        try:
            result = json.loads(hold.stdout.readline())
            after = account.memory(peer.roots())
            hold.stdin.write("\n")
            hold.stdin.flush()
            result.update(json.loads(hold.stdout.readline()))
        finally:
            self.place.end(hold)
        result["bytes_each"] = round((after["private"] - before["private"]) / max(1, result["open"]))
        return {"memory_idle": before, f"idle_{count}": result}

    # -- In files of their own -----------------------------------------------------------------------------------------

    def udp(self, peer):
        return datagrams.measure(self, peer)

    def scale(self, peer):
        return scale.measure(self, peer)

    def start(self, peer):
        return starts.measure(self, peer)
