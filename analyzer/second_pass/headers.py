"""What of a frame's headers the tables don't have: MAC addresses, TTL, IP id, TCP timestamps.

Law: found from the inside out. The block decoder knows where the payload is; the TCP header ends
there, and the IP header is the one with the segment's addresses before it, whatever tunnels lie
outside. What a damaged or cut frame does not have is None or "", never an error.
"""

import struct
from typing import NamedTuple

from analyzer.packets.headers import COOKED, COOKED2, ETHERNET, MAPPED

_SMALLEST, _LARGEST = 20, 60  # bytes of a TCP header
_V4 = MAPPED >> 32
_WORD = 0xFFFFFFFF


class Headers(NamedTuple):
    """Fields of the headers of one frame, as in `model.Packet`."""

    source_mac: str
    target_mac: str
    ttl: int
    ip_id: int | None
    stamp: int | None
    echo: int | None


def headers(
    frame: bytes,
    link_type: int,
    payload: int,
    source: tuple[int, int, int],
    target: tuple[int, int, int],
) -> Headers:
    """The headers of `frame` whose TCP payload begins at `payload`.

    `source` and `target` are addresses in two words, and ports.
    """
    sender, receiver = _macs(frame, link_type)
    ttl, ip_id = 0, None
    transport = _transport(frame, payload, source[2], target[2])
    if transport < 0:
        return Headers(sender, receiver, ttl, ip_id, None, None)
    ttl, ip_id = _network(frame, transport, source, target)
    return Headers(sender, receiver, ttl, ip_id, *_timestamps(frame[transport + 20 : payload]))


def _macs(frame: bytes, link_type: int) -> tuple[str, str]:
    if link_type == ETHERNET and len(frame) >= 12:
        return frame[6:12].hex(":"), frame[:6].hex(":")
    # A cooked header has the sender's alone.
    if link_type == COOKED and len(frame) >= 12 and frame[4:6] == b"\0\6":
        return frame[6:12].hex(":"), ""
    if link_type == COOKED2 and len(frame) >= 18 and frame[11] == 6:
        return frame[12:18].hex(":"), ""
    return "", ""


def _transport(frame: bytes, payload: int, source: int, target: int) -> int:
    """Where the TCP header begins that ends at `payload`; -1: not found."""
    ports = struct.pack(">HH", source, target)
    for size in range(_SMALLEST, _LARGEST + 1, 4):
        at = payload - size
        if at < 0 or at + _SMALLEST > len(frame):
            continue
        if frame[at + 12] >> 4 == size // 4 and frame[at : at + 4] == ports:
            return at
    return -1


def _network(
    frame: bytes, transport: int, source: tuple[int, int, int], target: tuple[int, int, int]
) -> tuple[int, int | None]:
    """TTL (or hop limit) and IP id, from the header with these addresses before `transport`."""
    if source[0] == 0 and source[1] >> 32 == _V4:
        at = frame.rfind(struct.pack(">II", source[1] & _WORD, target[1] & _WORD), 0, transport)
        if at >= 12:
            return frame[at - 4], int.from_bytes(frame[at - 8 : at - 6], "big")
        return 0, None
    at = frame.rfind(struct.pack(">QQQQ", *source[:2], *target[:2]), 0, transport)
    return (frame[at - 1], None) if at >= 8 else (0, None)


def _timestamps(options: bytes) -> tuple[int | None, int | None]:
    if not options:
        return None, None
    import dpkt  # slow to import: it loads every protocol that it knows

    try:
        for option in dpkt.tcp.parse_opts(options):
            if option is None:  # what it gives for options that are cut or lie
                break
            kind, value = option
            if kind == dpkt.tcp.TCP_OPT_TIMESTAMP and len(value) == 8:
                return struct.unpack(">II", value)
    except (dpkt.Error, IndexError, struct.error):
        pass
    return None, None
