"""Classic pcap: both byte orders, microseconds and nanoseconds.

Source: the format's description in draft-ietf-opsawg-pcap. A record is 16 bytes of header
(seconds, fraction, captured length, wire length) and the captured bytes. The upper half of the link
type word holds flags (frame check sequence length), so it is masked.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from analyzer import compiled
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
    rest = b""
    number = 0
    while True:
        fresh = stream.read(block)
        data = rest + fresh if rest else fresh
        offsets, end, valid = record_offsets(data, order)
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


def record_offsets(data: bytes, order: str) -> tuple[Ints, int, bool]:
    """Offsets of the whole records in `data`, where the rest begins, whether lengths are possible.

    The chain of lengths is the one part of a capture that must be walked step by step.
    """
    if compiled.kernels is not None:
        return compiled.kernels.record_offsets(data, order == ">", LONGEST_FRAME)
    length_at = struct.Struct(f"{order}8xI").unpack_from
    offsets: list[int] = []
    at, end, valid = 0, len(data), True
    while at + _RECORD <= end:
        (length,) = length_at(data, at)
        valid = length <= LONGEST_FRAME
        if not valid or at + _RECORD + length > end:
            break
        offsets.append(at)
        at += _RECORD + length
    return np.array(offsets, dtype=np.int64), at, valid


def _frames(data: bytes, at: Ints, order: str, unit: int, number: int) -> Frames:
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
