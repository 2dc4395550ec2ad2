"""tcpdump at a vantage, and the proof that it lost nothing."""

import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from captures.lab.errors import RecordingFailed
from captures.lab.processes import Processes
from captures.lab.topology import VANTAGES, Topology

FLAGS = ["-Z", "root", "-U", "-B", "65536", "-s", "0", "-n"]


@dataclass
class Sniffer:
    """One running tcpdump."""

    vantage: str
    path: Path
    process: subprocess.Popen[bytes]
    command: str


def start(
    processes: Processes,
    topology: Topology,
    vantage: str,
    extra: Sequence[str] = (),
    expression: str = "",
) -> Sniffer:
    """Start capturing at `vantage`, and return once tcpdump listens."""
    host, interface = VANTAGES[vantage]
    path = processes.directory / f"{vantage}.pcap"
    argv = ["tcpdump", "-i", interface, *FLAGS, *extra, "-w", str(path)]
    if expression:
        argv.append(expression)
    name = f"tcpdump-{vantage}"
    process = processes.start(name, topology.inside(host, argv))
    processes.wait_for_text(name, process, "listening on")
    shown = " ".join([*argv[:-1], expression] if expression else argv)
    return Sniffer(vantage, path, process, shown.replace(f"{processes.directory}/", ""))


def stop(processes: Processes, sniffer: Sniffer) -> int:
    """Stop a capture; its number of packets. If the kernel dropped any, the run is spoilt."""
    processes.stop(sniffer.process, signal.SIGINT)
    said = processes.text(f"tcpdump-{sniffer.vantage}")
    captured = re.search(r"(\d+) packets? captured", said)
    dropped = re.search(r"(\d+) packets? dropped by kernel", said)
    if captured is None or dropped is None:
        raise RecordingFailed(f"tcpdump at {sniffer.vantage} ended oddly: {said[-400:]}")
    if int(dropped[1]):
        raise RecordingFailed(f"tcpdump at {sniffer.vantage} lost {dropped[1]} packets")
    return int(captured[1])
