"""Classic pcap: byte orders, units of time, cut-off and impossible records."""

from pathlib import Path

import numpy as np
import pytest

from analyzer.capture import files
from analyzer.capture.frames import Capture
from tests.builder import START, Conversation, Frame, pcap, request, response

FRAMES = Conversation().open().ask(request("/a")).answer(response(b"{}")).close().frames


def read(path: Path, *, block: int = 1 << 20) -> tuple[Capture, list[tuple[int, int, int, bytes]]]:
    """The capture, and number, time, wire length and bytes of its frames."""
    capture = Capture(str(path))
    found = []
    for frames in files.read(str(path), capture, block=block):
        for row in range(len(frames)):
            at, size = int(frames.offset[row]), int(frames.captured[row])
            found.append(
                (
                    int(frames.number[row]),
                    int(frames.time[row]),
                    int(frames.wire[row]),
                    frames.data[at : at + size],
                )
            )
    return capture, found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_reads_both_byte_orders_and_units(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(
        pcap(
            [Frame(START + 123_456_789, b"\x45packet", 1_500)], order=order, nanoseconds=nanoseconds
        )
    )
    capture, found = read(path)
    time = START + (123_456_789 if nanoseconds else 123_456_000)
    assert found == [(1, time, 1_514, bytes(range(12)) + b"\x08\x00\x45packet")]
    assert capture.format == ("pcap-ns" if nanoseconds else "pcap")
    assert (capture.frames, capture.first, capture.last) == (1, time, time)
    assert [i.link_type for i in capture.interfaces] == [1]
    assert not capture.anomalies


def test_upper_half_of_the_link_type_word_is_no_link_type(tmp_path: Path) -> None:
    path = tmp_path / "c"
    data = bytearray(pcap(FRAMES))
    data[20:24] = (0x4000_0001).to_bytes(4, "little")
    path.write_bytes(data)
    assert read(path)[0].interfaces[0].link_type == 1


@pytest.mark.parametrize("most", [1, 3, 10, 100])
def test_parts_of_a_block_are_the_block(tmp_path: Path, most: int) -> None:
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap([Frame(START + n, bytes([n]) * n) for n in range(1, 51)]))
    (whole,) = (f for f in files.read(str(path), Capture(str(path))) if len(f))
    parts = list(whole.parts(most))
    assert len(parts) == -(-50 // most)
    assert all(0 < len(part) <= most for part in parts)
    for name in ("number", "time", "interface", "captured", "wire", "offset"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tolist() == getattr(whole, name).tolist()


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_frames_do_not_depend_on_the_block_size(tmp_path: Path, block: int) -> None:
    path = tmp_path / "c"
    path.write_bytes(pcap(FRAMES))
    _, whole = read(path)
    _, small = read(path, block=block)
    assert small == whole
    assert [number for number, *_ in small] == list(range(1, len(FRAMES) + 1))


def test_cut_anywhere_keeps_the_whole_records_before(tmp_path: Path) -> None:
    data = pcap(FRAMES[:3])
    path = tmp_path / "c"
    path.write_bytes(data)
    _, whole = read(path)
    ends = [24]
    for _, _, _, frame in whole:
        ends.append(ends[-1] + 16 + len(frame))
    for size in range(4, len(data)):
        path.write_bytes(data[:size])
        capture, found = read(path)
        assert found == whole[: sum(end <= size for end in ends[1:])], size
        assert capture.anomalies == ({} if size in ends else {"capture-cut-short": 1}), size


def test_an_impossible_length_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(pcap(FRAMES[:2]) + bytes(8) + b"\xff\xff\xff\x7f" + bytes(100))
    capture, found = read(path)
    assert len(found) == 2
    assert capture.anomalies == {"record-invalid": 1}


def test_a_wire_length_below_the_captured_one_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(pcap([Frame(START, b"\x45abc")]))
    data[36:40] = bytes(4)
    path = tmp_path / "c"
    path.write_bytes(data)
    assert read(path)[1][0][2] == 18
