"""The capturing program is kept running, and what it could not capture is said."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from analyzer.errors import InputError
from analyzer.watch import recorder
from analyzer.watch.recorder import Recorder
from analyzer.watch.ring import Bounds, Losses, Ring
from tests.watch.test_ring import times

capturing = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to capture")
BOTH = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"needs {name}"))
    for name in recorder.PROGRAMS
]


def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


class Made:
    """A recorder at the loopback interface, for one port of UDP."""

    def __init__(self, folder: Path, program: str | None, interface: str = "lo") -> None:
        self.said: list[str] = []
        self.losses = Losses()
        self.ring = Ring(folder, Bounds(16 << 20, 1e6), self.losses, self.said.append)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind(("127.0.0.1", 0))
            self.port = own.getsockname()[1]
        expression = f"udp and dst port {self.port}"
        self.feed = Recorder(
            interface, expression, program, self.ring, self.losses, self.said.append
        )

    def send(self, count: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            for _ in range(count):
                own.sendto(b"x" * 100, ("127.0.0.1", self.port))

    def packets(self) -> int:
        return sum(len(times(one.path)) for one in self.ring.files())


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """A program called tcpdump that does what a script says."""

    def make(script: str) -> str:
        path = tmp_path / "bin" / "tcpdump"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    yield make


@capturing
@pytest.mark.parametrize("program", BOTH)
def test_what_passes_is_in_the_ring(tmp_path: Path, program: str) -> None:
    made = Made(tmp_path, program)
    made.feed.begin()
    try:
        made.send(50)
        until(lambda: made.packets() == 50)
    finally:
        made.feed.stop()
    assert made.feed.ended.is_set()
    assert made.feed.process is not None and made.feed.process.poll() == 0
    assert made.packets() == 50
    assert made.losses.all == []


@capturing
@pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump")
def test_one_that_is_killed_is_started_again(tmp_path: Path) -> None:
    made = Made(tmp_path, "tcpdump")
    made.feed.begin()
    try:
        made.send(5)
        until(lambda: made.packets() == 5)
        assert made.feed.process is not None
        made.feed.process.send_signal(signal.SIGKILL)
        until(lambda: any("captures again" in line for line in made.said))
        made.send(7)
        until(lambda: made.packets() == 12)
    finally:
        made.feed.stop()
    assert any("ended (by SIGKILL)" in line for line in made.said)
    assert [one.why for one in made.losses.all] == ["tcpdump was not running"]
    assert made.losses.between(time.time_ns() - 15 * 10**9, time.time_ns()) is not None


@capturing
@pytest.mark.parametrize("program", BOTH)
def test_an_interface_that_is_not_there_is_one_clear_line(tmp_path: Path, program: str) -> None:
    made = Made(tmp_path, program, "nosuch0")
    with pytest.raises(InputError, match=r"nosuch0.*No such device|no device named"):
        made.feed.begin()


@capturing
@pytest.mark.skipif(not shutil.which("ip"), reason="needs ip")
@pytest.mark.skipif(not shutil.which("tcpdump"), reason="needs tcpdump")
def test_an_interface_that_vanishes_is_waited_for(tmp_path: Path) -> None:
    name = f"wt-{os.getpid() % 1_000_000}"
    make = ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"]
    if subprocess.run(make, check=False, capture_output=True).returncode:
        pytest.skip("no interface can be made here")
    made = Made(tmp_path, "tcpdump", name)
    try:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        made.feed.begin()
        subprocess.run(["ip", "link", "del", name], check=True)
        until(lambda: any("ended" in line for line in made.said))
        subprocess.run(make, check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        until(lambda: any("captures again" in line for line in made.said))
    finally:
        made.feed.stop()
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def test_what_was_dropped_becomes_a_time(tmp_path: Path, fake: Callable[[str], str]) -> None:
    script = """
echo 'tcpdump: listening on lo' >&2
trap 'echo "9 packets captured, 11 packets dropped by kernel" >&2' USR1
trap 'exit 0' INT
while :; do sleep 0.05; done
"""
    before = time.time_ns()
    made = Made(tmp_path / "ring", fake(script))

    def ticked() -> bool:
        made.feed.tick()
        return bool(made.losses.all)

    made.feed.begin()
    try:
        until(ticked)
        made.feed.tick()
        time.sleep(0.2)
    finally:
        made.feed.stop()
    assert made.feed.dropped == 11  # as often as it says so, it is the same
    assert made.losses.all[0].why == "the kernel dropped packets"
    assert made.losses.between(before, time.time_ns()) is not None
    assert made.losses.between(before - 10**10, before - 5 * 10**9) is None


def test_want_of_permission_is_one_line_that_says_what_to_do(
    tmp_path: Path, fake: Callable[[str], str]
) -> None:
    script = (
        """echo "tcpdump: any: You don't have permission to perform this capture" >&2; exit 1"""
    )
    made = Made(tmp_path / "ring", fake(script))
    with pytest.raises(InputError, match="run this as root, or once setcap cap_net_raw"):
        made.feed.begin()


def test_a_program_of_another_name_or_none_is_refused() -> None:
    with pytest.raises(InputError, match="tcpdump or dumpcap"):
        recorder.found("/bin/cat")
    with pytest.raises(InputError, match="no such program"):
        recorder.found("/nowhere/tcpdump")
