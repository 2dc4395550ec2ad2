"""A capture as a host with another clock would have written it.

All hosts of the lab are one machine with one clock, and the kernel stamps packets with it: neither
a time namespace nor faketime reaches that. So the stamps of a finished capture are shifted, as
`editcap -t` does, and truth.json says so. No packet is limited.
"""

import struct
from pathlib import Path

from captures.lab.compress import HEADER, RECORD

MICROSECONDS = 0xA1B2C3D4


def shift(path: Path, ahead: float, drift: float) -> None:
    """Shift all stamps of a little-endian pcap file in µs, in place.

    `ahead`: seconds that the clock is ahead at the first packet; `drift`: what it gains from then
    on, in millionths.
    """
    data = bytearray(path.read_bytes())
    (magic,) = struct.unpack_from("<I", data, 0)
    if magic != MICROSECONDS:
        raise ValueError(f"{path}: not a little-endian pcap file in microseconds")
    at, first = HEADER, None
    while at + RECORD <= len(data):
        seconds, micros, length = struct.unpack_from("<III", data, at)
        time = seconds * 1_000_000 + micros
        first = time if first is None else first
        time += round(ahead * 1e6 + (time - first) * drift / 1e6)
        struct.pack_into("<II", data, at, *divmod(time, 1_000_000))
        at += RECORD + length
    path.write_bytes(data)
