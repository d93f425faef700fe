#!/usr/bin/env python3
"""Where tunneld's time goes while bulk crosses a pair in two namespaces: shares by perf (linux-perf, root). See README.md."""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import account
from measure import Measures
from peer import HERE, Peer
from place import Failed, Namespaces

BUILD = pathlib.Path(os.environ.get("NEXD_BUILD", HERE.parent / "build" / "release")).resolve()
# The first whose pattern is found in "object symbol" gets a sample's share.
PARTS = (
    ("AEAD", r"libIPSec|imb_|ipsec_mb|chacha|poly1305|submit_job|sodium_memcmp|jobs_open|tx_batch_seal"),
    ("checksums", r"sum_words|checksum"),
    ("copies in user space", r"memmove|memcpy|pbuf_copy|memset"),
    ("memory allocation", r"malloc|_int_free|unlink_chunk|cfree|calloc|mem_trim"),
    ("lwIP", r"tunneld (tcp_|ip4?6?_|ip_|pbuf_|raw_|lwip_|memp_|mem_|inet_|udp_|netif_|icmp)"),
    ("transport", r"sender_|scoreboard|bbr_|cubic|rack_|prr_|rate_|rtt_|cc_|netstack_tcp|tcp_conn|pace_|reassembly"),
    ("kernel: copies", r"_copy_to_iter|_copy_from_iter|copy_(from|to)_user|rep_movs|check_object_size|skb_copy"),
    ("kernel: the rest (UDP, host TCP, veth, wake-ups)", r"\[k\]|\[kernel"),
    ("WireGuard, flows, loop", r""),
)


def part_of(text):
    return next(name for name, pattern in PARTS if re.search(pattern, text))


def shares(data):
    out = subprocess.run(["perf", "report", "-i", data, "--no-children", "--sort", "dso,sym", "--stdio", "-g", "none"], check=True,
                         capture_output=True, text=True).stdout
    found = dict.fromkeys((name for name, _ in PARTS), 0.0)
    for line in out.splitlines():
        words = re.match(r"\s*([\d.]+)%\s+(\S+)\s+(\[[.k]\])\s+(.*)", line)
        if words:
            # Kernel functions only in the kernel's parts, and the other way round.
            text = f"{words[3]} {words[4]}" if words[3] == "[k]" else f"{words[2]} {words[4]}"
            name = part_of(text) if words[3] == "[.]" else next(
                name for name, pattern in PARTS if name.startswith("kernel") and re.search(pattern, text))
            found[name] += float(words[1])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--reverse", action="store_true", help="from end b to end a")
    parser.add_argument("--seconds", type=int, default=8)
    args = parser.parse_args()
    place, peer = Namespaces(), None
    try:
        measures = Measures(place, BUILD / "bench" / "bin" / "probe", args.seconds)
        peer = Peer("nexd", BUILD / "bin" / "nexd", place, BUILD)
        peer.start()
        measures.ready(peer)
        for end in "ab":
            pid = next(pid for pid in account.tree(peer.ends[end].pid)
                       if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "tunneld")
            with tempfile.NamedTemporaryFile(suffix=".perf") as data:
                perf = subprocess.Popen(["perf", "record", "-q", "-o", data.name, "-F", "1999", "-p", str(pid)], stderr=subprocess.DEVNULL)
                figures = measures.transfer(peer, args.streams, args.reverse)
                perf.send_signal(signal.SIGINT)
                perf.wait()
                found = shares(data.name)
            print(f"end {end}, {args.streams} stream(s) {'b to a' if args.reverse else 'a to b'}: {figures['mbit']:,.0f} Mbit/s, "
                  f"{figures['cpu_s_per_gb']} CPU s/GB both ends, others {figures['foreign_pct']} % of the machine")
            for name, share in sorted(found.items(), key=lambda item: -item[1]):
                print(f"    {share:5.1f} %  {name}")
    except Failed as error:
        raise SystemExit(str(error)) from None
    finally:
        if peer:
            peer.forget()
        place.close()


if __name__ == "__main__":
    sys.exit(main())
