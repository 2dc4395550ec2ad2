"""IP fragments put together once more, for verification: by the plainest way, sharing no code.

Law: first come, first kept; a packet is whole with the fragment that completes it.
Source: RFC 791 §3.2, RFC 8200 §4.5.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

_MOST = 1_024  # packets that wait for more
_TAGS = (b"\x81\x00", b"\x88\xa8", b"\x91\x00")
# Bytes before the IP header by link type: cooked, BSD loopback, raw.
_BEFORE = {113: 16, 276: 20, 0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
_OPTIONS = (0, 43, 60)  # IPv6 headers that may stand before the one of a fragment


class _Fragment(NamedTuple):
    ends: bytes  # both addresses
    key: bytes
    offset: int
    more: bool
    data: bytes


@dataclass(slots=True)
class _Packet:
    pieces: dict[int, _Fragment] = field(default_factory=dict)
    bytes: int = 0
    end: int | None = None


class Rejoined:
    """Takes frames in their order."""

    def __init__(self, pairs: Iterable[bytes]) -> None:
        """`pairs` are the addresses, source and target, of packets that matter inside of others."""
        self._pairs = list(pairs)
        self._waiting: dict[bytes, _Packet] = {}

    def contents(self, frame: bytes, link_type: int) -> list[bytes]:
        """The frame, and every packet that it completes: its addresses and its data."""
        found = [frame]
        for data in found:  # grows: a packet that is whole may have a fragment inside
            starts = dict.fromkeys(self._starts(data))
            if data is frame:
                starts = dict.fromkeys([_network(frame, link_type), *starts])
            for start in starts:
                fragment = _fragment(data, start)
                whole = self._add(fragment) if fragment is not None else None
                if whole is not None:
                    found.append(fragment.ends + whole if fragment else whole)
        return found

    def _starts(self, data: bytes) -> Iterator[int]:
        for pair in self._pairs:
            before = 12 if len(pair) == 8 else 8
            at = data.find(pair, before)
            while at >= 0:
                yield at - before
                at = data.find(pair, at + 1)

    def _add(self, fragment: _Fragment) -> bytes | None:
        packet = self._waiting.setdefault(fragment.key, _Packet())
        if fragment.offset not in packet.pieces:
            packet.pieces[fragment.offset] = fragment
            packet.bytes += len(fragment.data)
        if not fragment.more:
            packet.end = fragment.offset + len(fragment.data)
        if packet.end is None or packet.bytes < packet.end:
            if len(self._waiting) > _MOST:
                del self._waiting[next(iter(self._waiting))]
            return None
        whole = b""
        for offset, piece in sorted(packet.pieces.items()):
            if offset > len(whole):
                return None
            whole += piece.data[len(whole) - offset :]
        del self._waiting[fragment.key]
        return whole[: packet.end]


def _network(frame: bytes, link_type: int) -> int:
    """Where the outermost IP header begins; -1 where that is not known."""
    if link_type != 1:
        return _BEFORE.get(link_type, -1)
    at = 12
    while frame[at : at + 2] in _TAGS:
        at += 4
    return at + 2


def _fragment(data: bytes, start: int) -> _Fragment | None:
    """The fragment whose IP header begins at `start`, if there is one."""
    if start < 0 or len(data) < start + 20:
        return None
    version = data[start] >> 4
    if version == 4:
        size = (data[start] & 0xF) * 4
        total, number, word = struct.unpack_from(">HHH", data, start + 2)
        more, offset = bool(word & 0x2000), (word & 0x1FFF) * 8
        if not more and not offset:
            return None
        ends = data[start + 12 : start + 20]
        key = ends + struct.pack(">HB", number, data[start + 9])
        return _Fragment(ends, key, offset, more, data[start + size : start + total])
    if version != 6 or len(data) < start + 40:
        return None
    end = start + 40 + struct.unpack_from(">H", data, start + 4)[0]
    kind, at = data[start + 6], start + 40
    while kind in _OPTIONS and at + 8 <= len(data):
        kind, at = data[at], at + (data[at + 1] + 1) * 8
    if kind != 44 or at + 8 > len(data):
        return None
    word = struct.unpack_from(">H", data, at + 2)[0]
    ends = data[start + 8 : start + 40]
    return _Fragment(
        ends, ends + data[at + 4 : at + 8], word & 0xFFF8, bool(word & 1), data[at + 8 : end]
    )
