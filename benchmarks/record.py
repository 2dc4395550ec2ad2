"""Recording the benchmark's capture: a real Node server, real clients, two network namespaces."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGINT, SIGTERM

LOAD = Path(__file__).parent / "load"
SERVER, CLIENT, PREFIX, PORT = "10.88.0.1", "10.88.0.2", 16, 8080
TOOLS = ("ip", "tcpdump", "wrk", "node")
SHORT = 0.05  # the portion of exchanges on connections of their own


class RecordingError(Exception):
    """What keeps a capture from being recorded, in one line for a person."""


@dataclass(frozen=True)
class Recording:
    """A recorded capture and what its clients and its server counted."""

    path: str
    size: int
    frames: int
    answered: int
    short: int


def record(target: Path, exchanges: int, log: Callable[[str], None]) -> Recording:
    """Records `exchanges` to `target`, slower each time that the kernel could not keep up."""
    if os.geteuid() != 0:
        raise RecordingError("recording needs root, for network namespaces and tcpdump")
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise RecordingError(f"recording needs {', '.join(lacking)}: not found on PATH")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    for pause_ms in (0, 2, 5):
        log(f"recording {exchanges:,} exchanges, each client pausing {pause_ms} ms")
        dropped, frames, answered, short = _attempt(part, exchanges, pause_ms, log)
        if dropped == 0:
            part.rename(target)
            made = Recording(str(target), target.stat().st_size, frames, answered, short)
            sidecar(target).write_text(json.dumps(asdict(made), indent=2) + "\n")
            return made
        log(f"the kernel dropped {dropped:,} packets: once more, slower")
    part.unlink()
    raise RecordingError("the kernel dropped packets at every pace: is something else running?")


def sidecar(capture: Path) -> Path:
    """Where the counts of a recorded capture are kept."""
    return capture.with_suffix(".json")


def recorded(capture: Path) -> Recording | None:
    """The counts of an earlier recording, or None where there is none to reuse."""
    if not (capture.exists() and sidecar(capture).exists()):
        return None
    made = Recording(**json.loads(sidecar(capture).read_text()))
    return made if made.size == capture.stat().st_size else None


def _attempt(
    part: Path, exchanges: int, pause_ms: int, log: Callable[[str], None]
) -> tuple[int, int, int, int]:
    """One recording: (packets dropped, frames, exchanges answered, of them on short ones)."""
    short = round(exchanges * SHORT)
    with namespaces() as (server_ns, client_ns), ExitStack() as stack:
        server = stack.enter_context(_server(server_ns))
        tcpdump = stack.enter_context(_tcpdump(server_ns, part))
        counts = [part.with_suffix(f".{name}") for name in ("kept", "short")]
        kept = _wrk(client_ns, counts[0], 60, exchanges - short, 1, pause_ms, "keep-alive")
        stack.callback(_end, kept)
        brief = _wrk(client_ns, counts[1], 3, short, 2, pause_ms, "close")
        stack.callback(_end, brief)
        _until_quiet(part, (server, tcpdump, kept, brief), log)
        for load in (kept, brief):
            load.send_signal(SIGINT)
            load.wait(30)
        time.sleep(1.5)  # the last FINs
        tcpdump.send_signal(SIGINT)
        said = tcpdump.communicate(timeout=60)[1]
        server.send_signal(SIGTERM)
        served = int(json.loads(server.communicate(timeout=30)[0])["answered"])
    logged = [json.loads(count.read_text()) for count in counts]
    for count in counts:
        count.unlink()
    answered = sum(each["answered"] for each in logged)
    if answered != served or any(each["errors"] for each in logged):
        raise RecordingError(f"clients and server disagree: {logged}, server answered {served}")
    return (
        _said(said, "dropped by kernel"),
        _said(said, "captured"),
        answered,
        logged[1]["answered"],
    )


def _said(text: str, what: str) -> int:
    """The number before `packets WHAT` in tcpdump's last words."""
    found = re.search(rf"(\d+) packets? {what}", text)
    if found is None:
        raise RecordingError(f"tcpdump did not say how many packets were {what}: {text.strip()}")
    return int(found[1])


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """Two network namespaces joined by a veth pair, gone again at the end."""
    server, client = (f"wfbench-{os.getpid()}-{side}" for side in ("server", "client"))
    try:
        for name in (server, client):
            _ip("netns", "add", name)
        _ip("link", "add", "eth0", "netns", server, "type", "veth", "peer", "eth0", "netns", client)
        for name, address in ((server, SERVER), (client, CLIENT)):
            _ip("-n", name, "addr", "add", f"{address}/{PREFIX}", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", name, "link", "set", device, "up")
        yield server, client
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RecordingError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _inside(namespace: str, *words: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, *words]


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a child that is still there, so that none outlives a failure."""
    if process.poll() is None:
        process.kill()
        process.wait()


@contextmanager
def _server(namespace: str) -> Iterator[subprocess.Popen[str]]:
    words = _inside(namespace, "node", str(LOAD / "server.js"), SERVER, str(PORT))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            if server.stdout is None or server.stdout.readline() != "listening\n":
                raise RecordingError("the server did not start")
            yield server
        finally:
            _end(server)


@contextmanager
def _tcpdump(namespace: str, part: Path) -> Iterator[subprocess.Popen[str]]:
    words = ["tcpdump", "-i", "eth0", "-n", "-B", "262144", "-s", "0", "-Z", "root", "-w"]
    command = _inside(namespace, *words, str(part), "tcp")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tcpdump:
        try:
            if tcpdump.stderr is None or "listening on" not in tcpdump.stderr.readline():
                raise RecordingError("tcpdump did not start")
            yield tcpdump
        finally:
            _end(tcpdump)


def _wrk(
    namespace: str, counts: Path, connections: int, limit: int, seed: int, pause: int, kind: str
) -> subprocess.Popen[str]:
    words = f"wrk -t1 -c{connections} -d3600s --timeout 30s -s {LOAD / 'load.lua'}".split()
    arguments = [f"http://{SERVER}:{PORT}", "--", str(limit), str(seed), str(pause), kind]
    environment = {**os.environ, "WRK_RESULT": str(counts)}
    return subprocess.Popen(
        _inside(namespace, *words, *arguments),
        stdout=subprocess.DEVNULL,
        env=environment,
        text=True,
    )


def _until_quiet(
    part: Path, running: tuple[subprocess.Popen[str], ...], log: Callable[[str], None]
) -> None:
    """Waits until the capture has grown no more for some seconds: the load has run dry."""
    size, still = -1, 0
    while still < 4:
        time.sleep(1)
        if any(process.poll() is not None for process in running):
            raise RecordingError("the server, tcpdump or a client ended early")
        before, size = size, part.stat().st_size
        still = still + 1 if size == before else 0
        if not still and size:
            log(f"  {size / 1e6:,.0f} MB")
