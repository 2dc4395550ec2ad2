"""802.11 and what monitors write before it: bytes in, what follows and where it begins out.

Law: only data in plain text is read; what is encrypted, damaged, in parts or many packets in one
frame ends as `WLAN_UNREAD`, management and control as `NOT_IP`. Sources: IEEE 802.11-2020 §9.2 and
§9.3, radiotap.org, and the headers of the Prism and AVS drivers and of CACE's PPI.
"""

import struct
from collections.abc import Callable

from analyzer.packets import headers
from analyzer.packets.headers import Kind

# Given a frame, where the header begins and where what was captured ends: what follows, and where.
Step = Callable[[bytes, int, int], tuple[int, int]]

_DATA = 2  # of the types of frames
_SNAP = b"\xaa\xaa\x03"
_AVS = 0x80211  # how the magic number of an AVS header begins
_MOST_PRESENT = 32  # words that say which fields a radiotap header has


def wlan(frame: bytes, at: int, stop: int) -> tuple[int, int]:
    """A MAC header; LLC follows in data."""
    return _body(frame, at, stop, 1)


def wlan_padded(frame: bytes, at: int, stop: int) -> tuple[int, int]:
    """A MAC header that some drivers pad, so that what follows begins at four bytes."""
    return _body(frame, at, stop, 4)


def _body(frame: bytes, at: int, stop: int, multiple: int) -> tuple[int, int]:
    control, flags = frame[at], frame[at + 1]
    no_data = control & 0x40
    if control & 0x03 or control >> 2 & 3 != _DATA or no_data:
        return Kind.NOT_IP, at
    quality = control & 0x80
    size = 24 + (6 if flags & 0x03 == 0x03 else 0)  # between access points: a fourth address
    aggregated = quality and frame[at + size] & 0x80
    size += (2 if quality else 0) + (4 if quality and flags & 0x80 else 0)  # HT control
    (sequence,) = struct.unpack_from("<H", frame, at + 22)
    in_parts = flags & 0x04 or sequence & 0x0F
    body = at + -(-size // multiple) * multiple
    if flags & 0x40:
        # Decrypted in the capture, it may keep its mark, and the eight bytes before its data.
        body = next((b for b in (body, body + 8) if frame[b : b + 3] == _SNAP), -1)
        if body < 0:
            return Kind.WLAN_UNREAD, at
    if in_parts:
        return Kind.WLAN_UNREAD, at
    if aggregated:
        (length,) = struct.unpack_from(">H", frame, body + 12)
        if body + 14 + length + 14 <= stop:
            return Kind.WLAN_UNREAD, at
        body += 14
    return Kind.LLC, body


def radiotap(frame: bytes, at: int, stop: int) -> tuple[int, int]:
    """The header says by bits which fields it has; of those, the flags matter."""
    version, length, present = struct.unpack_from("<BxHI", frame, at)
    if version or length < 8:
        return Kind.INVALID, at
    fields, word = at + 8, present
    for _ in range(_MOST_PRESENT):
        if not word >> 31:
            break
        (word,) = struct.unpack_from("<I", frame, fields)
        fields += 4
    flags = 0
    if present & 2:
        if present & 1:  # a time of eight bytes stands before them
            fields += -(fields - at) % 8 + 8
        flags = frame[fields] if fields < at + length else 0
    if flags & 0x40:  # its checksum is wrong
        return Kind.WLAN_UNREAD, at
    return (Kind.WLAN_PADDED if flags & 0x20 else Kind.WLAN), at + length


def prism(frame: bytes, at: int, stop: int) -> tuple[int, int]:
    """Prism's header has its length in either byte order, AVS's big-endian."""
    magic, length = struct.unpack_from(">II", frame, at)
    if magic >> 12 != _AVS:
        length = min(length, *struct.unpack_from("<I", frame, at + 4))
    return (Kind.WLAN if length >= 8 else Kind.INVALID), at + length


def ppi(frame: bytes, at: int, stop: int) -> tuple[int, int]:
    """The header says its length and the link type that follows."""
    length, link_type = struct.unpack_from("<2xHI", frame, at)
    if length < 8:
        return Kind.INVALID, at
    return headers.LINKS.get(link_type, Kind.LINK_UNKNOWN), at + length


STEPS: dict[Kind, Step] = {
    Kind.WLAN: wlan,
    Kind.WLAN_PADDED: wlan_padded,
    Kind.RADIOTAP: radiotap,
    Kind.PRISM: prism,
    Kind.PPI: ppi,
}
