"""The ring is bounded, adopts what was left and says what it lost; records stay whole."""

import errno
import os
import shutil
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.capture import files
from analyzer.capture.frames import Capture
from analyzer.errors import InputError
from analyzer.report.evidence import Interface, Packet, pcapng
from analyzer.watch import ring as rings
from analyzer.watch.ring import Bounds, Loss, Losses, Ring
from analyzer.watch.splitting import Piece, Splitter
from tests.builder import Frame, pcap

FRAMES = [Frame(n * 1_000_000, bytes([n]) * (40 + 7 * n)) for n in range(1, 30)]
DAY = 86_400.0


def blocks(names: list[str]) -> bytes:
    """A pcapng of a packet on each interface, and one more."""
    interfaces = [Interface(name, "", 1) for name in names]
    packets = [
        Packet(n % len(names), n * 1_000, 60, bytes([n]) * 60, ()) for n in range(len(names) + 1)
    ]
    return b"".join(pcapng("", "test", interfaces, packets))


def times(path: Path) -> list[int]:
    """The times of a file's frames; it must be whole."""
    capture = Capture(str(path))
    found = [int(t) for frames in files.read(str(path), capture) for t in frames.time]
    assert not capture.anomalies
    return found


@given(cuts=st.lists(st.integers(0, 4_000), max_size=12), big=st.booleans())
def test_pieces_are_the_capture_whatever_the_reads(cuts: list[int], big: bool) -> None:
    whole = blocks(["a", "b"]) if big else pcap(FRAMES)
    bounds = [0, *sorted(min(c, len(whole)) for c in cuts), len(whole)]
    splitter = Splitter("it")
    pieces = [p for a, b in pairwise(bounds) for p in splitter.feed(whole[a:b])]
    assert pieces[-1].preface + b"".join(p.records for p in pieces) == whole
    assert all(p.preface for p in pieces)


def test_an_interface_that_comes_later_is_in_the_next_preface() -> None:
    first, second = blocks(["a"]), blocks(["b", "c"])
    one, two = Splitter("it").feed(first + second)
    assert (one.preface + one.records, two.preface + two.records) == (first, second)
    assert two.anew


@pytest.mark.parametrize("bad", [b"hello world", b"\x28\xb5\x2f\xfd" + b"0" * 40])
def test_what_is_no_capture_is_one_clear_line(bad: bytes) -> None:
    with pytest.raises(InputError, match="it: not a pcap"):
        Splitter("it").feed(bad)


def test_a_record_that_cannot_be_true_is_said() -> None:
    broken = pcap(FRAMES[:1]) + b"\xff" * 32
    with pytest.raises(InputError, match="cannot be true"):
        Splitter("it").feed(broken)


def piece(n: int, size: int = 100_000) -> Piece:
    content = pcap([Frame(n * 1_000_000, bytes(size - 16))])
    return Piece(content[:24], content[24:], ".pcap")


def made(folder: Path, size: int, seconds: float = DAY) -> tuple[Ring, list[str]]:
    said: list[str] = []
    return Ring(folder, Bounds(size, seconds), Losses(), said.append), said


def there(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_it_never_holds_more_than_its_bound_and_one_file(tmp_path: Path) -> None:
    ring, said = made(tmp_path, 4 << 20)
    for n in range(1, 120):
        ring.write(piece(n))
        assert there(tmp_path) == ring.size <= (4 << 20) + ring.bounds.file
    ring.close()
    found = [t for one in ring.files() for t in times(one.path)]
    assert found == [n * 1_000_000 for n in range(120 - len(found), 120)]
    assert len(found) > 30
    assert ring.forgotten > 0
    assert said == []


def test_it_adopts_what_was_left_and_nothing_else(tmp_path: Path) -> None:
    ring, _ = made(tmp_path, 4 << 20)
    for n in range(1, 30):
        ring.write(piece(n))
    other = tmp_path / "ring-notes.txt"
    other.write_text("mine")
    (tmp_path / "capture.pcap").write_bytes(pcap(FRAMES))
    # The run is killed here; the next one may keep less.
    again, _ = made(tmp_path, 2 << 20)
    assert sum(one.size for one in again.files()) <= 2 << 20
    before = again.files()[-1].number
    again.write(piece(31))
    assert again.files()[-1].number == before + 1
    assert other.read_text() == "mine"
    assert (tmp_path / "capture.pcap").exists()


def test_time_is_a_bound_too_and_setting_the_clock_is_no_time(tmp_path: Path) -> None:
    ring, _ = made(tmp_path, 4 << 20, seconds=0.05)
    ring.write(piece(1))
    ring.close()
    assert len(ring.files()) == 1
    time.sleep(0.1)
    ring.forget()
    assert ring.files() == []
    ring.write(piece(2))
    ring.close()
    (left,) = ring.files()
    os.utime(left.path, (4e9, 4e9))  # in the year 2096
    assert len(made(tmp_path, 4 << 20)[0].files()) == 1


def test_a_file_is_not_written_to_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "LONGEST_FILE", 0.0)
    ring, _ = made(tmp_path, 4 << 20)
    ring.write(piece(1))
    time.sleep(0.01)
    ring.write(piece(2))
    assert [times(one.path) for one in ring.files()] == [[1_000_000], [2_000_000]]


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="needs root, for a tmpfs"
)
def test_a_full_disk_is_survived_and_said(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small)], check=False
    )
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        ring, said = made(small / "ring", 64 << 20)
        for n in range(1, 60):
            ring.write(piece(n))
        # The oldest went for the new, and room was left for evidence: nothing was lost.
        assert [line.partition(": ")[2][:23] for line in said] == ["the disk is nearly full"]
        assert ring.losses.all == []
        disk = os.statvfs(small)
        assert disk.f_bavail * disk.f_frsize > 256 << 10
        newest = [t for one in ring.files() for t in times(one.path)][-1]
        assert newest == 59 * 1_000_000
        (small / "other").write_bytes(bytes(1 << 20))
        filler = os.open(small / "rest", os.O_WRONLY | os.O_CREAT)
        ring.close()
        for one in ring.files():
            one.path.unlink()
        with pytest.raises(OSError) as full:
            while True:
                os.write(filler, bytes(4096))
        assert full.value.errno == errno.ENOSPC
        ring.write(piece(60))
        ring.write(piece(61))
        assert "No space" in said[1]
        assert len(said) == 2
        os.close(filler)
        (small / "rest").unlink()
        ring.write(piece(62))
        assert "room again" in said[2]
        assert times(ring.files()[-1].path) == [62_000_000]
        assert ring.losses.all[0].why.startswith("the ring could not be written")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_losses_that_go_on_are_one() -> None:
    losses = Losses()
    second = 1_000_000_000
    losses.add(Loss(10 * second, 11 * second, "full", 2))
    losses.add(Loss(11 * second, 12 * second, "full", 3))
    losses.add(Loss(20 * second, 21 * second, "full", 1))
    losses.add(Loss(21 * second, 22 * second, "another", 1))
    assert [(one.since // second, one.until // second, one.packets) for one in losses.all] == [
        (10, 12, 5), (20, 21, 1), (21, 22, 1),
    ]  # fmt: skip
    assert losses.between(0, 9 * second) is None
    assert losses.between(9 * second, 10 * second) is losses.all[0]
    assert losses.between(13 * second, 19 * second) is None
