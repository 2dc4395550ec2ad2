"""Which files are read and how: compression, folders, rotated sets, standard input, no captures."""

import bz2
import gzip
import io
import lzma
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import lz4.frame
import pytest
import zstandard

import analyzer
from analyzer.capture import files
from analyzer.capture.frames import Capture
from analyzer.errors import InputError
from tests.builder import SECOND, START, Conversation, Frame, pcap, pcapng, request, response
from tests.capture.test_pcap import FRAMES, read
from tests.tools import exchanges

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
    "xz": lzma.compress,
    "bzip2": lambda data: bz2.compress(data, 1),
}


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("make", [pcap, pcapng])
def test_compression_is_told_by_content(
    tmp_path: Path, name: str, make: Callable[[list[Frame]], bytes]
) -> None:
    plain, packed = tmp_path / "a.gz", tmp_path / "b.pcap"
    plain.write_bytes(make(FRAMES))
    packed.write_bytes(PACK[name](make(FRAMES)))
    capture, found = read(packed)
    assert found == read(plain)[1]
    assert capture.format == f"{read(plain)[0].format}+{name}"


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4", "xz", "bzip2"])
def test_several_compressed_members_are_one_stream(tmp_path: Path, name: str) -> None:
    data = pcap(FRAMES)
    path = tmp_path / "c"
    path.write_bytes(PACK[name](data[:200]) + PACK[name](data[200:]))
    assert len(read(path)[1]) == len(FRAMES)


@pytest.mark.parametrize("name", PACK)
def test_cut_compression_keeps_what_can_be_read(tmp_path: Path, name: str) -> None:
    data = random.Random(2).randbytes(4_000_000)
    frames = [Frame(START + at, data[at : at + 1_400]) for at in range(0, len(data), 1_400)]
    packed = PACK[name](pcap(frames))
    path = tmp_path / "c"
    path.write_bytes(packed[: int(len(packed) * 0.6)])
    capture, found = read(path)
    assert 0.5 * len(frames) < len(found) <= 0.6 * len(frames)
    assert set(capture.anomalies) <= {"compression-damaged", "capture-cut-short"}
    assert capture.anomalies


@pytest.mark.parametrize("name", ["gzip", "zstd", "lz4", "xz"])
def test_compression_cut_at_its_end_loses_the_end_only(tmp_path: Path, name: str) -> None:
    data = random.Random(3).randbytes(800_000)
    frames = [Frame(START + at, data[at : at + 1_000]) for at in range(0, len(data), 1_000)]
    path = tmp_path / "c"
    path.write_bytes(PACK[name](pcap(frames))[:-12])
    capture, found = read(path)
    assert len(found) > 0.7 * len(frames)
    assert capture.anomalies


@pytest.mark.parametrize("name", ["gzip", "xz", "bzip2"])
def test_damage_that_a_checksum_shows_is_an_anomaly(tmp_path: Path, name: str) -> None:
    data = random.Random(4).randbytes(4_000_000)
    frames = [Frame(START + at, data[at : at + 1_400]) for at in range(0, len(data), 1_400)]
    packed = bytearray(PACK[name](pcap(frames)))
    middle = len(packed) // 2
    packed[middle : middle + 8] = b"\xff\x00\xff\x00\xff\x00\xff\x00"
    path = tmp_path / "c"
    path.write_bytes(packed)
    # What the damaged bytes decode to may be an impossible record before the checksum shows it.
    assert read(path)[0].anomalies.keys() & {"compression-damaged", "record-invalid"}


@pytest.mark.parametrize(
    "content",
    [
        b"\xa1",
        b"PK\x03\x04 a zip file",
        b"GET / HTTP/1.1\r\n\r\n",
        gzip.compress(b"text"),
        bytes(99),
    ],
    ids=["one byte", "zip", "text", "text in gzip", "zeros"],
)
def test_what_is_no_capture_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        analyzer.scan(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file_is_a_capture_of_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.pcap").write_bytes(content)
    (tmp_path / "d.pcap").write_bytes(pcap(FRAMES))
    report = analyzer.scan(tmp_path / "c.pcap")
    assert report.captures[0].format.startswith("empty")
    assert (report.totals["frames"], report.captures[0].anomalies) == (0, {})
    both = analyzer.scan([tmp_path / "c.pcap", tmp_path / "d.pcap"])
    assert both.totals == analyzer.scan(tmp_path / "d.pcap").totals


def test_missing_files_and_empty_folders_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        analyzer.scan(tmp_path / "nowhere.pcap")
    (tmp_path / "notes.txt").write_text("no capture")
    with pytest.raises(InputError, match="no capture in this folder"):
        analyzer.scan(tmp_path)


def test_a_folder_stands_for_the_captures_below_it(tmp_path: Path) -> None:
    inner = tmp_path / "day" / "hour"
    inner.mkdir(parents=True)
    (inner / "b.dat").write_bytes(gzip.compress(pcap(FRAMES)))
    (tmp_path / "a.dat").write_bytes(pcapng(FRAMES))
    (tmp_path / "readme.txt").write_text("about")
    assert files.expand([str(tmp_path)]) == [str(tmp_path / "a.dat"), str(inner / "b.dat")]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(FRAMES))
    report = analyzer.scan([path, path])
    assert report.totals["frames"] == len(FRAMES)


def test_standard_input(tmp_path: Path) -> None:
    data = pcap(FRAMES)
    code = (
        "import analyzer; r = analyzer.scan('-'); print(r.totals['answered'], r.captures[0].path)"
    )
    for content in (data, gzip.compress(data)):
        done = subprocess.run(
            [sys.executable, "-c", code], input=content, capture_output=True, check=True
        )
        assert done.stdout.split() == [b"1", b"-"]


def test_standard_input_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(FRAMES))
    with pytest.raises(InputError, match="standard input cannot be combined"):
        analyzer.scan(["-", path])


def test_a_pipe_that_gives_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dribble(io.RawIOBase):
        """Gives three bytes at most."""

        def __init__(self, data: bytes) -> None:
            self._inner = io.BytesIO(data)

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            piece = self._inner.read(min(len(buffer), 3))
            buffer[: len(piece)] = piece
            return len(piece)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Dribble(pcap(FRAMES))))
    capture = Capture("-")
    assert sum(len(frames) for frames in files.read("-", capture)) == len(FRAMES)
    assert not capture.anomalies


def cut(frames: list[Frame], folder: Path, size: int) -> list[Path]:
    """The frames as a rotated set of `size` frames a file."""
    paths = []
    for number, at in enumerate(range(0, len(frames), size)):
        paths.append(folder / f"part{number:03}.pcap")
        paths[-1].write_bytes(pcap(frames[at : at + size]))
    return paths


def test_connections_go_on_over_the_files_of_a_rotated_set(tmp_path: Path) -> None:
    talk = Conversation().open()
    for number in range(20):
        talk.ask(request(f"/items/{number}")).answer(response(b'{"id": 1}'), 20)
    talk.close()
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(pcap(talk.frames))
    (tmp_path / "set").mkdir()
    paths = cut(talk.frames, tmp_path / "set", 7)
    report = analyzer.scan(list(reversed(paths)))
    assert [Path(c.path) for c in report.captures] == paths
    assert {c.series for c in report.captures} == {0}
    assert report.totals == analyzer.scan(whole).totals
    assert report.totals["answered"] == 20
    assert not report.anomalies


def test_files_that_overlap_in_time_are_two_vantages(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/a")).answer(response(b"{}"))
    one = talk.close().frames
    two = [Frame(frame.time + 100_000, frame.packet) for frame in one]
    for name, frames in (("one", one), ("two", two)):
        (tmp_path / f"{name}.pcap").write_bytes(pcap(frames))
    report = analyzer.scan([tmp_path / "one.pcap", tmp_path / "two.pcap"])
    assert sorted(c.series for c in report.captures) == [0, 1]
    assert report.totals["answered"] == 1


def test_frames_are_numbered_in_their_file(tmp_path: Path) -> None:
    talk = Conversation().open().ask(request("/a")).answer(response(b"{}"))
    talk.wait(SECOND).ask(request("/b")).answer(response(b"{}")).close()
    paths = cut(talk.frames, tmp_path, 7)
    rows = analyzer.scan(paths).exchanges
    assert rows["request_capture"].tolist() == [0, 1]
    assert rows["request_frame"].tolist() == [4, 1]


def test_progress_counts_the_bytes_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(gzip.compress(pcap(FRAMES)))
    steps: list[int] = []
    analyzer.scan(path, progress=steps.append)
    assert sum(steps) == path.stat().st_size


def test_an_empty_capture_has_no_exchange(tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap([]))
    assert exchanges(path) == []
    assert analyzer.scan(path).totals["frames"] == 0
