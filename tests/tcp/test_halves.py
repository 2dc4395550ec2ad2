"""Mirrors that put each direction into a tunnel of its own, and what only looks like them."""

import struct
from pathlib import Path

import pytest

from tests.builder import CLIENT, SERVER, Conversation, Frame, in_time, pcap, request, response
from tests.tools import Row, connections_of, extracted, rows_of


def mirrored(frame: Frame, key: int) -> Frame:
    """The packet in GRE with a key (RFC 2890), as a mirror sends it."""
    inner = struct.pack(">HHI", 0x2000, 0x0800, key) + frame.packet
    ends = bytes([10, 9, 0, 1, 10, 9, 0, 2])
    outer = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(inner), 1, 0, 64, 47, 0) + ends
    return frame._replace(packet=outer + inner)


def side_of(frame: Frame) -> int:
    """Who sent a packet of the builder's default conversation."""
    return CLIENT if frame.packet[15] == 1 else SERVER


def talk(**how: object) -> Conversation:
    one = Conversation(**how).open()  # type: ignore[arg-type]
    for target in ("/a", "/b", "/c"):
        one.ask(request(target)).answer(response(b"{}"))
    return one.close()


def by_direction(frames: list[Frame], keys: tuple[int, int]) -> list[Frame]:
    return [mirrored(frame, keys[side_of(frame)]) for frame in frames]


def read(folder: Path, frames: list[Frame], *, block: int = 1 << 24) -> tuple[list[Row], list[Row]]:
    path = folder / "c.pcap"
    path.write_bytes(pcap(frames))
    found = extracted(path, block=block)
    for parts in (2, 3):
        assert rows_of(extracted(path, block=block, parts=parts)) == rows_of(found)
    return rows_of(found), connections_of(found)


@pytest.mark.parametrize("start", [0, 4])
def test_a_key_for_each_direction_is_one_connection(tmp_path: Path, start: int) -> None:
    rows, connections = read(tmp_path, by_direction(talk().frames[start:], (7, 8)))
    assert len(connections) == 1
    assert [row["outcome"] for row in rows if row["target"] == b"/c"] == [0]
    assert [row["target"] for row in rows][-2:] == [b"/b", b"/c"]


def test_it_is_found_out_from_block_to_block(tmp_path: Path) -> None:
    rows, connections = read(tmp_path, by_direction(talk().frames, (7, 8)), block=400)
    assert [row["outcome"] for row in rows if row["target"] == b"/c"] == [0]
    assert sum(row["request_frame"] > 0 for row in rows) == 3
    assert len(connections) <= 2


def test_two_servers_asked_with_equal_numbers_are_two(tmp_path: Path) -> None:
    one, two = talk().frames, talk(isns=(1_000, 900_000), start=1_700_000_000_000_500_000).frames
    frames = in_time([mirrored(f, 7) for f in one], [mirrored(f, 8) for f in two])
    rows, connections = read(tmp_path, frames)
    assert len(connections) == 2
    assert [row["outcome"] for row in rows] == [0] * 6


def test_the_same_traffic_in_two_tunnels_stays_apart(tmp_path: Path) -> None:
    frames = in_time(*([mirrored(f, key) for f in talk().frames] for key in (7, 8)))
    for block in (1 << 24, 300):
        _, connections = read(tmp_path, frames, block=block)
        assert len(connections) == 2


def test_halves_with_other_numbers_stay_apart(tmp_path: Path) -> None:
    asked = [f for f in talk().frames if side_of(f) == CLIENT]
    answered = [f for f in talk(isns=(5_000_000, 77)).frames if side_of(f) == SERVER]
    frames = in_time([mirrored(f, 7) for f in asked], [mirrored(f, 8) for f in answered])
    rows, connections = read(tmp_path, frames)
    assert len(connections) == 2
    assert not any(row["outcome"] == 0 for row in rows)


def test_of_three_halves_none_is_joined(tmp_path: Path) -> None:
    frames = talk().frames
    asked = [mirrored(f, 7) for f in frames if side_of(f) == CLIENT]
    answered = [mirrored(f, key) for f in frames if side_of(f) == SERVER for key in (8, 9)]
    _, connections = read(tmp_path, in_time(asked, answered))
    assert len(connections) == 3


def test_what_lies_behind_holes_of_one_direction_is_read(tmp_path: Path) -> None:
    one = Conversation().open(captured=False)
    for number in range(5):
        one.send(CLIENT, request(f"/{number}"))
        one.send(SERVER, response(b"{}"), captured=False)
        one.send(CLIENT, request("/lost"), captured=False)
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(one.frames))
    found = extracted(path)
    assert [row["target"] for row in rows_of(found)] == [b"/0", b"/1", b"/2", b"/3", b"/4"]
    assert found.extraction.anomalies["gap-unacknowledged"] == 4
