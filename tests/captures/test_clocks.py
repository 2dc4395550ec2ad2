"""A shifted capture has other stamps and the same packets; a late copy has a right checksum."""

import struct
from pathlib import Path

import pytest

from captures.lab import clocks, late_copy

STAMPS = [(1795400000, 999_900), (1795400001, 100), (1795400011, 100)]


def capture(path: Path) -> Path:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, (seconds, micros) in enumerate(STAMPS):
        packet = bytes([number]) * (number + 1)
        data += struct.pack("<IIII", seconds, micros, len(packet), len(packet)) + packet
    path.write_bytes(data)
    return path


def read(path: Path) -> list[tuple[int, bytes]]:
    data, at, found = path.read_bytes(), 24, []
    while at < len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
        found.append((seconds * 1_000_000 + micros, data[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


@pytest.mark.parametrize(
    ("ahead", "drift", "by"),
    [
        (1.7, 0.0, [1_700_000] * 3),
        (-0.035, 0.0, [-35_000] * 3),
        (0.4, 3000.0, [400_000, 400_001, 430_001]),
    ],
)
def test_a_clock_ahead_or_drifting_shifts_every_stamp(
    ahead: float, drift: float, by: list[int], tmp_path: Path
) -> None:
    before = read(capture(tmp_path / "plain.pcap"))
    shifted = capture(tmp_path / "shifted.pcap")
    clocks.shift(shifted, ahead, drift)
    after = read(shifted)
    assert [late - early for (late, _), (early, _) in zip(after, before, strict=True)] == by
    assert [packet for _, packet in after] == [packet for _, packet in before]


def test_other_formats_are_refused(tmp_path: Path) -> None:
    path = capture(tmp_path / "nano.pcap")
    path.write_bytes(struct.pack("<I", 0xA1B23C4D) + path.read_bytes()[4:])
    with pytest.raises(ValueError, match="not a little-endian pcap"):
        clocks.shift(path, 1.0, 0.0)


def frame(payload: bytes, sport: int = 45051) -> bytes:
    tcp = struct.pack(">HHIIBBHHH", sport, 8080, 7, 9, 5 << 4, 0x18, 512, 0, 0) + payload
    addresses = bytes([172, 31, 17, 21, 172, 31, 16, 10])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 63, 6, 0) + addresses
    return b"\0" * 12 + b"\x08\0" + ip + tcp


@pytest.mark.parametrize("payload", [b"GET / HTTP/1.1\r\n\r\n", b"odd"])
def test_a_late_copy_has_its_checksum_filled_in(payload: bytes) -> None:
    copied = late_copy.with_checksum(frame(payload))
    segment = copied[34:]
    pseudo = copied[26:34] + b"\0\x06" + len(segment).to_bytes(2, "big")
    assert late_copy.ones_complement(pseudo + segment) == 0
    assert copied[:50] == frame(payload)[:50]
    assert copied[52:] == frame(payload)[52:]


def test_only_data_of_the_port_is_copied() -> None:
    assert late_copy.carries(frame(b"x"), 45051)
    assert late_copy.carries(frame(b"x"), 8080)
    assert not late_copy.carries(frame(b""), 45051)
    assert not late_copy.carries(frame(b"x"), 45052)
