"""Classic pcap: both byte orders, microseconds and nanoseconds.

Source: the format's description in draft-ietf-opsawg-pcap. A record is 16 bytes of header
(seconds, fraction, captured length, wire length) and the captured bytes. The upper half of the link
type word holds flags (frame check sequence length), so it is masked.
"""

import sys
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from analyzer.capture.frames import LONGEST_FRAME, Capture, Frames, Interface, Ints

# first four bytes of the file -> byte order, ns per unit of the fraction
MAGICS: dict[bytes, tuple[str, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_HEADER = 24
_RECORD = 16


def read(stream: BinaryIO, capture: Capture, block: int) -> Iterator[Frames]:
    """Yield blocks of frames; anomalies go to `capture`. The magic number has been checked."""
    header = stream.read(_HEADER)
    order, unit = MAGICS[header[:4]]
    capture.format = "pcap" if unit == 1000 else "pcap-ns"
    if len(header) < _HEADER:
        capture.anomalies.count("capture-cut-short")
        return
    link_type = int.from_bytes(header[20:24], "little" if order == "<" else "big") & 0xFFFF
    capture.interfaces.append(Interface(link_type))
    swapped = (order == "<") != (sys.byteorder == "little")
    rest = b""
    number = 0
    while True:
        fresh = stream.read(block)
        data = rest + fresh if rest else fresh
        offsets, end, valid = record_offsets(data, swapped)
        if len(offsets):
            yield _frames(data, offsets, order, unit, number)
            number += len(offsets)
        rest = data[end:]
        if not valid:
            capture.anomalies.count("record-invalid")
            capture.given_up = True
            return
        if not fresh:
            if rest:
                capture.anomalies.count("capture-cut-short")
            return


def record_offsets(data: bytes, swapped: bool) -> tuple[list[int], int, bool]:
    """Offsets of the whole records in `data`, where the rest begins, whether lengths are possible.

    The chain of lengths is the one part of a capture that must be walked step by step. Reading
    them through four views of the bytes, one per alignment, costs a third of unpacking each.
    """
    views = []
    for phase in range(4):
        part = memoryview(data)[phase : phase + max(0, len(data) - phase) // 4 * 4]
        views.append(np.frombuffer(part, ">u4").astype("=u4").data if swapped else part.cast("I"))
    offsets: list[int] = []
    add = offsets.append
    at, end = 0, len(data)
    while at + _RECORD <= end:
        length = views[at & 3][(at >> 2) + 2]
        if length > LONGEST_FRAME:
            return offsets, at, False
        following = at + _RECORD + length
        if following > end:
            break
        add(at)
        at = following
    return offsets, at, True


def _frames(data: bytes, offsets: list[int], order: str, unit: int, number: int) -> Frames:
    at: Ints = np.array(offsets, dtype=np.int64)
    octets = np.frombuffer(data, np.uint8)
    words = octets[at[:, None] + np.arange(_RECORD)].view(f"{order}u4").astype(np.int64)
    return Frames(
        data=data,
        number=np.arange(number + 1, number + 1 + len(at), dtype=np.int64),
        time=words[:, 0] * 1_000_000_000 + words[:, 1] * unit,
        interface=np.zeros(len(at), dtype=np.int64),
        captured=words[:, 2],
        wire=np.maximum(words[:, 3], words[:, 2]),
        offset=at + _RECORD,
    )
