"""An incident's packets as pcapng, commented.

Law: what is written holds packets, hence bodies, and says so in the file's own comment. Scapy's
PcapNgWriter is not used: it counts time in floating-point seconds, whose digits end before the
nanoseconds by which requests are named, and writes neither a section's comment nor names of
interfaces. Source: draft-ietf-opsawg-pcapng.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from analyzer.report.escape import visible

_SECTION, _INTERFACE, _ENHANCED = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_COMMENT, _END = 1, 0
_APPLICATION = 4  # of a section
_NAME, _DESCRIPTION, _RESOLUTION = 2, 3, 9  # of an interface
_NANOSECONDS = b"\x09"
_LONGEST_TEXT = 8_192  # bytes of one option


class Interface(NamedTuple):
    """Where packets were captured."""

    name: str
    description: str
    link_type: int


class Packet(NamedTuple):
    """A packet as it was captured; `interface` is its interface's place in the list."""

    interface: int
    time: int  # ns since 1970
    wire: int
    data: bytes
    comments: tuple[str, ...] = ()


def pcapng(
    comment: str, application: str, interfaces: Sequence[Interface], packets: Iterable[Packet]
) -> Iterator[bytes]:
    """The blocks of a pcapng file; text is made harmless."""
    body = struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1)
    options = [(_COMMENT, _text(comment)), (_APPLICATION, _text(application))]
    yield _block(_SECTION, body, options)
    for interface in interfaces:
        yield _block(
            _INTERFACE,
            struct.pack("<HHI", interface.link_type, 0, 0),
            [
                (_NAME, _text(interface.name)),
                (_DESCRIPTION, _text(interface.description)),
                (_RESOLUTION, _NANOSECONDS),
            ],
        )
    for packet in packets:
        time = max(0, packet.time)
        size = len(packet.data)
        head = struct.pack(
            "<IIIII", packet.interface, time >> 32, time & 0xFFFFFFFF, size, packet.wire
        )
        comments = [(_COMMENT, _text(text)) for text in packet.comments]
        yield _block(_ENHANCED, head + _padded(packet.data), comments)


def _text(text: str) -> bytes:
    lines = "\n".join(visible(line) for line in text.split("\n"))
    return lines.encode("utf-8", "replace")[:_LONGEST_TEXT].decode("utf-8", "ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes, options: Sequence[tuple[int, bytes]]) -> bytes:
    parts = [
        struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options if value
    ]
    if parts:
        parts.append(struct.pack("<HH", _END, 0))
    whole = body + b"".join(parts)
    length = struct.pack("<I", len(whole) + 12)
    return struct.pack("<I", kind) + length + whole + length
