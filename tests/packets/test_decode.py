"""Headers: link types, tags, options, extension headers, and what is no TCP segment."""

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

import numpy as np
import pytest

from analyzer.anomalies import Anomalies, Fates
from analyzer.capture.frames import Capture, Frames
from analyzer.packets import block, scopes
from analyzer.packets.decode import Decoder
from analyzer.packets.scopes import Scopes
from analyzer.packets.segments import Segments
from tests.builder import (
    COOKED,
    COOKED2,
    ETHERNET,
    IPV4_ONLY,
    LOOP,
    NULL,
    PSH,
    RAW,
    START,
    linked,
    packet,
)

V4 = ("192.0.2.1", 40_000), ("198.51.100.7", 8080)
V6 = ("2001:db8::1", 40_000), ("2001:db8::2:3", 8080)
LINKS = (ETHERNET, COOKED, COOKED2, NULL, LOOP, RAW)


def frames_of(parts: Sequence[bytes], wires: Sequence[int] = ()) -> Frames:
    """A block of frames."""
    sizes = [len(part) for part in parts]
    count = len(parts)
    return Frames(
        data=b"".join(parts),
        number=np.arange(1, count + 1, dtype=np.int64),
        time=np.full(count, START, np.int64),
        interface=np.zeros(count, np.int64),
        captured=np.array(sizes, np.int64),
        wire=np.array(wires or sizes, np.int64),
        offset=np.cumsum([0, *sizes[:-1]], dtype=np.int64) if count else np.empty(0, np.int64),
    )


class Both(NamedTuple):
    """What both decoders read; `data` holds the payloads."""

    segments: Segments
    data: bytes
    fates: Fates
    anomalies: Anomalies

    def payloads(self) -> list[bytes]:
        """What was captured of each segment's payload."""
        starts, sizes = self.segments.payload.tolist(), self.segments.captured.tolist()
        return [self.data[at : at + size] for at, size in zip(starts, sizes, strict=True)]


def both_decoders(frames: Frames, link_types: Sequence[int]) -> Both:
    """What the block decoder (with its fallback) reads, having checked the other one agrees."""
    links = np.array(link_types, np.int64)
    fast, slow = (Capture(str(n), frames=len(frames)) for n in range(2))
    by_block, alone = (Decoder(c.fates, c.anomalies) for c in (fast, slow))
    alone.scopes = by_block.scopes
    data, found, *_ = by_block.segments(frames, links)
    other_data, one, *_ = alone.one_by_one(frames, links, np.arange(len(frames)))
    both = Both(found, data, fast.fates, fast.anomalies)
    assert rows(found) == rows(one)
    assert both.payloads() == Both(one, other_data, slow.fates, slow.anomalies).payloads()
    for decoder, capture in ((by_block, fast), (alone, slow)):
        decoder.finish()
        capture.settle()
    assert fast.fates == slow.fates
    assert fast.anomalies == slow.anomalies
    return both


def rows(found: Segments) -> list[tuple[int, ...]]:
    """The segments, but for where their payloads lie."""
    names = [name for name in Segments.__dataclass_fields__ if name != "payload"]
    return [tuple(int(getattr(found, name)[n]) for name in names) for n in range(len(found))]


def decode(frame: bytes, link_type: int = ETHERNET, wire: int = 0) -> dict[str, int] | str:
    """The one segment in a frame, or the frame's fate."""
    found = both_decoders(frames_of([frame], [wire or len(frame)]), [link_type])
    if not len(found.segments):
        (name,) = found.fates
        return name
    assert found.fates == {"analysed": 1}
    names = Segments.__dataclass_fields__
    return {name: int(getattr(found.segments, name)[0]) for name in names}


def segment(frame: bytes, link_type: int = ETHERNET, wire: int = 0) -> dict[str, int]:
    found = decode(frame, link_type, wire)
    assert isinstance(found, dict), found
    return found


@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("link_type", LINKS)
def test_every_field_of_a_segment(link_type: int, ends: tuple[Any, Any]) -> None:
    whole = packet(*ends, 4_000_000_000, 123, PSH | 16, b"payload", window=9_000)
    frame = linked(whole, link_type, scope=3)
    found = segment(frame, link_type)
    numbers = [ip_address(place[0]) for place in ends]
    words = [int(n) | (0xFFFF << 32 if n.version == 4 else 0) for n in numbers]
    assert found["source_high"] << 64 | found["source_low"] == words[0]
    assert found["target_high"] << 64 | found["target_low"] == words[1]
    assert (found["source_port"], found["target_port"]) == (40_000, 8080)
    assert (found["seq"], found["ack"], found["flags"]) == (4_000_000_000, 123, PSH | 16)
    assert found["window"] == 9_000
    assert (found["captured"], found["wire"]) == (7, 7)
    assert frame[found["payload"] :] == b"payload"
    assert found["scope"] == (1 if link_type == COOKED2 else 0)


@pytest.mark.parametrize("link_type", [ETHERNET, COOKED, COOKED2])
@pytest.mark.parametrize(
    "vlans", [[0x8100], [0x88A8, 0x8100], [0x9100, 0x8100], [0x88A8, 0x8100, 0x8100]]
)
def test_vlan_tags(link_type: int, vlans: list[int]) -> None:
    frame = linked(packet(*V4, 1, payload=b"x"), link_type, vlans=vlans)
    assert frame[segment(frame, link_type)["payload"] :] == b"x"


def test_ip_and_tcp_options() -> None:
    whole = packet(*V4, 1, payload=b"data", ip_options=bytes([1] * 8), tcp_options=bytes([1] * 12))
    found = segment(linked(whole, ETHERNET))
    assert (found["wire"], found["payload"]) == (4, 14 + 28 + 32)


@pytest.mark.parametrize(
    "extensions",
    [
        [(0, bytes([0] * 7))],
        [(60, bytes([1] + [0] * 14))],
        [(43, bytes([0] * 7)), (60, bytes([0] * 7))],
        [(51, bytes([4] + [0] * 22))],
        [(44, bytes([0] * 7))],
    ],
    ids=["hop by hop", "long options", "routing and options", "authentication", "atomic fragment"],
)
def test_ipv6_extension_headers(extensions: list[tuple[int, bytes]]) -> None:
    frame = linked(packet(*V6, 5, payload=b"data", extensions=extensions), ETHERNET)
    found = segment(frame)
    assert (found["seq"], found["wire"], frame[found["payload"] :]) == (5, 4, b"data")


@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
def test_a_length_of_zero_means_the_wire_length(ends: tuple[Any, Any]) -> None:
    frame = linked(packet(*ends, 1, payload=b"x" * 3_000, length_zero=True), ETHERNET)
    assert segment(frame)["wire"] == 3_000
    cut = segment(frame[:200], wire=len(frame))
    assert cut["wire"] == 3_000
    assert cut["captured"] == 200 - (len(frame) - 3_000)


def test_link_padding_is_no_payload() -> None:
    frame = linked(packet(*V4, 1), ETHERNET) + bytes(6)
    assert (segment(frame)["captured"], segment(frame)["wire"]) == (0, 0)


def test_a_short_snaplen_cuts_the_payload() -> None:
    frame = linked(packet(*V4, 1, payload=b"abcdefgh"), ETHERNET)
    found, _, _, anomalies = both_decoders(frames_of([frame[:-5]], [len(frame)]), [ETHERNET])
    assert (found.captured.tolist(), found.wire.tolist()) == ([3], [8])
    assert anomalies == {"snaplen-cut": 1}


@pytest.mark.parametrize("link_type", LINKS)
@pytest.mark.parametrize("ends", [V4, V6], ids=["IPv4", "IPv6"])
def test_cut_anywhere_in_the_headers(link_type: int, ends: tuple[Any, Any]) -> None:
    frame = linked(packet(*ends, 1, payload=b"data"), link_type)
    for size in range(len(frame) - 4):
        assert decode(frame[:size], link_type, len(frame)) in ("frame-cut-in-headers",), size
    assert isinstance(decode(frame[:-4], link_type, len(frame)), dict)


ARP = bytes(12) + b"\x08\x06" + bytes(28)
UDP = bytearray(linked(packet(*V4, 1), ETHERNET))
UDP[23] = 17
NO_NEXT = linked(packet(*V6, 1, extensions=[(59, bytes(7))]), ETHERNET)


@pytest.mark.parametrize(
    ("frame", "link_type", "fate"),
    [
        (ARP, ETHERNET, "arp"),
        (b"\x50" + bytes(60), RAW, "not-ip"),
        (struct.pack("<I", 7) + bytes(60), NULL, "not-ip"),
        (bytes(UDP), ETHERNET, "udp"),
        (NO_NEXT, ETHERNET, "not-tcp"),
        (linked(packet(*V4, 1, fragment=0x2000), ETHERNET), ETHERNET, "header-invalid"),
        (linked(packet(*V4, 1, fragment=3), ETHERNET), ETHERNET, "ip-fragment-incomplete"),
        (
            linked(packet(*V6, 1, extensions=[(44, b"\0\0\x08" + bytes(4))]), ETHERNET),
            ETHERNET,
            "ip-fragment-incomplete",
        ),
        (linked(packet(*V4, 1), RAW), 9_999, "link-type-unknown"),
        (bytes(12) + b"\x08\x00\x44" + bytes(60), ETHERNET, "header-invalid"),
        (bytes(12) + b"\x08\x00\x65" + bytes(60), ETHERNET, "header-invalid"),
        (bytes(12) + b"\x86\xdd\x45" + bytes(60), ETHERNET, "header-invalid"),
    ],
)
def test_what_is_no_tcp_segment_is_named(frame: bytes, link_type: int, fate: str) -> None:
    assert decode(frame, link_type) == fate


def test_dont_fragment_is_no_fragment() -> None:
    assert segment(linked(packet(*V4, 1, fragment=0x4000), ETHERNET))["seq"] == 1


@pytest.mark.parametrize("offset", [0, 4, 15])
def test_a_tcp_header_length_that_cannot_be_true(offset: int) -> None:
    whole = bytearray(linked(packet(*V4, 1), ETHERNET))
    whole[14 + 20 + 12] = offset << 4
    assert decode(bytes(whole)) == "header-invalid"


def test_llc_and_snap() -> None:
    whole = packet(*V4, 9, payload=b"data")
    frame = bytes(12) + struct.pack(">H", len(whole) + 8) + b"\xaa\xaa\x03\0\0\0\x08\x00" + whole
    assert segment(frame)["seq"] == 9


def test_loopback_family_in_either_byte_order() -> None:
    whole = packet(*V6, 9)
    for family in (10, 24, 28, 30):
        for order in "<>":
            assert segment(struct.pack(f"{order}I", family) + whole, NULL)["seq"] == 9


def test_ipv4_only_links() -> None:
    assert segment(packet(*V4, 9), IPV4_ONLY)["seq"] == 9


def test_the_block_decoder_declines_only_the_rare() -> None:
    common = [linked(packet(*ends, 1), ETHERNET, vlans=[0x8100]) for ends in (V4, V6)]
    frames = frames_of(common)
    decoded = block.decode(frames, np.array([1, 1]), Scopes(), Fates(), Anomalies())
    assert len(decoded.segments) == 2
    assert not len(decoded.declined)


def test_an_empty_block() -> None:
    found = both_decoders(frames_of([]), [])
    assert (len(found.segments), found.fates, found.anomalies) == (0, {}, {})


def test_scopes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "MOST_SCOPES", 4)
    frames = [linked(packet(*V4, n), COOKED2, scope=n + 1) for n in range(6)]
    both = both_decoders(frames_of([*frames, frames[0]]), [COOKED2] * 7)
    assert both.fates == {"analysed": 4, "tunnels-limit": 3}
    assert both.segments.scope.tolist() == [1, 2, 3, 1]


def test_segments_are_in_the_order_of_the_frames() -> None:
    frames = [
        linked(packet(*(V6 if n % 3 else V4), n), ETHERNET, vlans=[0x8100] * (n % 2))
        for n in range(12)
    ]
    both = both_decoders(frames_of(frames), [ETHERNET] * 12)
    assert both.segments.seq.tolist() == list(range(12))
