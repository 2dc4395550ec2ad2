"""pcapng: sections of either byte order, several interfaces, unknown blocks skipped.

Source: draft-ietf-opsawg-pcapng. Every block starts with its type and total length and ends with
the total length again. Interfaces are numbered from 0 in each section.
"""

import struct
import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from analyzer import compiled
from analyzer.capture.frames import LONGEST_FRAME, Capture, Frames, Interface, Ints

MAGIC = b"\x0a\x0d\x0d\x0a"
_LONGEST_BLOCK = LONGEST_FRAME + 65_536

_SECTION, _INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 5, 6
_COMMENT, _FLAGS = 1, 2  # options of any block, of packets
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _IF_TSOFFSET = 2, 3, 9, 14
_ISB_IFDROP, _ISB_OSDROP = 5, 7

MOST_INTERFACES = 65_536  # of one file
_MOST_COMMENT = 4_096  # characters of the comments on a section or an interface


class _Clock:
    """How an interface counts time: `resolution` as if_tsresol gives it, `offset` in seconds."""

    __slots__ = ("offset", "resolution")

    def __init__(self, resolution: int = 6, offset: int = 0) -> None:
        self.resolution = resolution
        self.offset = offset

    def nanoseconds(self, ticks: Ints) -> Ints:
        """Ticks (unsigned 64-bit, shape (n,)) as ns since 1970."""
        exponent = self.resolution & 0x7F
        base = self.offset * 1_000_000_000
        if self.resolution & 0x80:
            exact = [(int(t) * 1_000_000_000 >> exponent) + base for t in ticks]
            return np.array([_bounded(t) for t in exact], dtype=np.int64)
        if exponent <= 9:
            return np.asarray(ticks.astype(np.int64) * 10 ** (9 - exponent) + base)
        return np.asarray((ticks // np.uint64(10 ** min(exponent - 9, 19))).astype(np.int64) + base)


def _bounded(value: int) -> int:
    return max(-(2**62), min(2**62, value))


class _Section:
    """The section being read: its byte order, and its interfaces' numbers and clocks."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[int] = []
        self.clocks: list[_Clock] = []
        self.snaplens: list[int] = []


def read(stream: BinaryIO, capture: Capture, block: int) -> Iterator[Frames]:
    """Yield blocks of frames; anomalies go to `capture`. The magic number has been checked."""
    capture.format = "pcapng"
    section: _Section | None = None
    rest = b""
    number = 0
    while True:
        fresh = stream.read(block)
        data = rest + fresh if rest else fresh
        at = 0
        valid = True
        # A block of data may hold several sections; each run of packets has one byte order.
        while True:
            if section is None or data[at : at + 4] == MAGIC:
                if len(data) - at < 12:
                    break
                opened = _open_section(data, at)
                if opened is None:
                    valid = False
                    break
                section = opened
            packets, at, state = _blocks(data, at, section, capture)
            if len(packets):
                frames = _frames(data, packets, section, capture, number)
                number += len(frames)
                yield frames
            if state != "section":
                valid = state == "more"
                break
        rest = data[at:]
        if not valid:
            capture.anomalies.count("record-invalid")
            capture.given_up = True
            return
        if not fresh:
            if rest:
                capture.anomalies.count("capture-cut-short")
            return


def _open_section(data: bytes, at: int) -> _Section | None:
    mark = data[at + 8 : at + 12]
    if data[at : at + 4] != MAGIC:
        return None
    if mark == b"\x4d\x3c\x2b\x1a":
        return _Section("<")
    if mark == b"\x1a\x2b\x3c\x4d":
        return _Section(">")
    return None


class _Packets:
    """Packet blocks in their order: singly, or many at once."""

    def __init__(self) -> None:
        self._parts: list[Ints] = []
        self._singly: list[tuple[int, int, int]] = []

    def append(self, at: int, kind: int, described: int) -> None:
        self._singly.append((at, kind, described))

    def add(self, offsets: Ints, described: int) -> None:
        """Enhanced packet blocks at these offsets."""
        self._close()
        rows = np.empty((len(offsets), 3), dtype=np.int64)
        rows[:, 0], rows[:, 1], rows[:, 2] = offsets, _ENHANCED, described
        self._parts.append(rows)

    def table(self) -> Ints:
        """All of them, shape (n, 3)."""
        self._close()
        return np.concatenate([np.empty((0, 3), dtype=np.int64), *self._parts])

    def _close(self) -> None:
        if self._singly:
            self._parts.append(np.array(self._singly, dtype=np.int64))
            self._singly = []


def _blocks(data: bytes, at: int, section: _Section, capture: Capture) -> tuple[Ints, int, str]:
    """Packet blocks (offset, type, interfaces so far) from `at` on, where reading stopped, and why.

    Shape (n, 3).
    Why is "more" (the data ends), "section" (another section begins) or "invalid".
    """
    # Blocks are whole multiples of four bytes, and `data` begins with one: all is aligned.
    words = np.frombuffer(data, np.uint32, len(data) // 4)
    if (section.order == "<") != (sys.byteorder == "little"):
        words = words.byteswap()
    view = memoryview(words.data)
    packets = _Packets()
    described = len(section.interfaces)
    end = len(data)
    begun = False
    while at + 12 <= end:
        if compiled.kernels is not None and view[at >> 2] == _ENHANCED:
            # Most files are nearly all of these.
            big = section.order == ">"
            offsets, at = compiled.kernels.packet_blocks(data, at, big, _LONGEST_BLOCK)
            packets.add(offsets, described)
            if len(offsets):
                begun = True
                continue
        index = at >> 2
        kind, length = view[index], view[index + 1]
        if kind == _SECTION and begun:
            return packets.table(), at, "section"
        if length < 12 or length & 3 or length > _LONGEST_BLOCK:
            return packets.table(), at, "invalid"
        if at + length > end:
            break
        if view[index + (length >> 2) - 1] != length:
            return packets.table(), at, "invalid"
        if kind == _SECTION:
            for code, value in _options(data[at : at + length], 24, section.order):
                if code == _COMMENT:
                    capture.comment = _with(capture.comment, value)
        begun = True
        if kind in (_ENHANCED, _PACKET):
            if length < 32 or view[index + 5] > length - 32:
                return packets.table(), at, "invalid"
            packets.append(at, kind, described)
        elif kind == _SIMPLE:
            if length < 16 or not section.interfaces:
                return packets.table(), at, "invalid"
            packets.append(at, kind, described)
        elif kind == _INTERFACE and length >= 20:
            _add_interface(data[at : at + length], section, capture)
            described = len(section.interfaces)
        elif kind == _STATISTICS and length >= 24:
            _add_statistics(data[at : at + length], section, capture)
        at += length
    return packets.table(), at, "more"


def _options(block: bytes, at: int, order: str) -> Iterator[tuple[int, bytes]]:
    """(code, value) of the options from `at` to the block's closing length."""
    end = len(block) - 4
    while at + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", block, at)
        if code == 0 or at + 4 + length > end:
            return
        yield code, block[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _with(known: str, value: bytes) -> str:
    """What is known so far, and one more comment."""
    return "\n".join(part for part in (known, _text(value)) if part)[:_MOST_COMMENT]


def _add_interface(block: bytes, section: _Section, capture: Capture) -> None:
    link_type, _, snaplen = struct.unpack_from(f"{section.order}HHI", block, 8)
    if len(capture.interfaces) >= MOST_INTERFACES:
        capture.anomalies.count("interfaces-limit")
        return
    interface, clock = Interface(link_type), _Clock()
    for code, value in _options(block, 16, section.order):
        if code == _IF_NAME:
            interface.name = _text(value)
        elif code == _IF_DESCRIPTION:
            interface.description = _text(value)
        elif code == _COMMENT:
            interface.comment = _with(interface.comment, value)
        elif code == _IF_TSRESOL and value:
            clock.resolution = value[0]
        elif code == _IF_TSOFFSET and len(value) == 8:
            clock.offset = max(-(2**33), min(2**33, _integer(value, section.order, signed=True)))
    section.interfaces.append(len(capture.interfaces))
    section.clocks.append(clock)
    section.snaplens.append(snaplen or LONGEST_FRAME)
    capture.interfaces.append(interface)


def _integer(value: bytes, order: str, *, signed: bool = False) -> int:
    return int.from_bytes(value, "little" if order == "<" else "big", signed=signed)


def _add_statistics(block: bytes, section: _Section, capture: Capture) -> None:
    (local,) = struct.unpack_from(f"{section.order}I", block, 8)
    if local >= len(section.interfaces):
        return
    interface = capture.interfaces[section.interfaces[local]]
    dropped = 0
    for code, value in _options(block, 20, section.order):
        if code in (_ISB_IFDROP, _ISB_OSDROP) and len(value) == 8:
            dropped += _integer(value, section.order)
    # The counters run from the start of the capture, so a later block replaces an earlier one.
    capture.anomalies.count("drops-reported", max(0, dropped - interface.dropped))
    interface.dropped = max(interface.dropped, dropped)


def _add_comments(
    data: bytes, at: Ints, captured: Ints, number: Ints, section: _Section, capture: Capture
) -> None:
    """The comments on the packets of blocks at `at`, whose frames have these numbers."""
    octets = np.frombuffer(data, np.uint8)
    options = at + 28 + (captured + 3 & ~3)
    length = octets[at[:, None] + np.arange(4, 8)].view(f"{section.order}u4")[:, 0]
    found = np.flatnonzero(options + 8 <= at + length)
    if not len(found):
        return
    code = octets[options[found][:, None] + np.arange(2)].view(f"{section.order}u2")[:, 0]
    # Flags alone, as many tools write them on every packet, are of no interest here.
    alone = (code == _FLAGS) & (length[found] + at[found] - options[found] <= 16)
    for n in found[~alone].tolist():
        start = int(at[n])
        block = data[start : start + int(length[n])]
        for kind, value in _options(block, int(options[n]) - start, section.order):
            if kind == _COMMENT and not capture.comments.add(int(number[n]), _text(value)):
                capture.anomalies.count("comments-limit")


def _frames(
    data: bytes,
    table: Ints,
    section: _Section,
    capture: Capture,
    number: int,
) -> Frames:
    at, kind, described = table.T
    # A simple packet block may be shorter than the 28 bytes looked at here.
    spare = np.frombuffer(data + bytes(32) if len(data) - int(at[-1]) < 32 else data, np.uint8)
    words = spare[at[:, None] + np.arange(28)].view(f"{section.order}u4")
    enhanced, simple = kind == _ENHANCED, kind == _SIMPLE
    # The obsolete packet block has 16 bits of interface number and 16 of drop count.
    halves = np.ascontiguousarray(words[:, 2:3]).view(f"{section.order}u2")
    local = np.where(enhanced, words[:, 2], halves[:, 0]).astype(np.int64)
    local[simple] = 0
    ticks = (words[:, 3].astype(np.uint64) << np.uint64(32)) | words[:, 4].astype(np.uint64)
    captured = words[:, 5].astype(np.int64)
    wire = words[:, 6].astype(np.int64)
    offset = at + 28
    if simple.any():
        capture.anomalies.count("no-timestamp", int(simple.sum()))
        room = words[:, 1].astype(np.int64) - 16
        wire[simple] = words[simple, 2]
        limit = np.minimum(wire, section.snaplens[0])
        captured[simple] = np.minimum(limit, room)[simple]
        offset[simple] = at[simple] + 12
        ticks[simple] = 0
    _add_comments(
        data,
        table[~simple, 0],
        captured[~simple],
        number + 1 + np.flatnonzero(~simple),
        section,
        capture,
    )
    # An interface that is described only later is none yet.
    known = local < described
    if not known.all():
        capture.anomalies.count("record-invalid", int((~known).sum()))
    time = np.zeros(len(at), dtype=np.int64)
    interface = np.full(len(at), -1, dtype=np.int64)
    for index in np.unique(local[known]):
        rows = known & (local == index)
        time[rows] = section.clocks[index].nanoseconds(ticks[rows])
        interface[rows] = section.interfaces[index]
    time[simple] = 0
    return Frames(
        data=data,
        number=np.arange(number + 1, number + 1 + len(at), dtype=np.int64),
        time=time,
        interface=interface,
        captured=captured,
        wire=np.maximum(wire, captured),
        offset=offset,
    )
