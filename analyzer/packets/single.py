"""The one-frame decoder: what the block decoder declines, and the oracle beside it.

Law: given one frame, it returns one segment or the name of the anomaly. It uses dpkt for the
headers and checks lengths itself, because dpkt trusts some of them. Sources: RFC 8200 §4 for
extension headers, IEEE 802.2 for LLC and SNAP.
"""

import struct
from typing import NamedTuple

import dpkt

from analyzer.packets.block import (
    COOKED,
    COOKED2,
    ETHERNET,
    IPV4,
    IPV6,
    LINK_TYPES,
    LOOP,
    LOOPBACK_FAMILIES,
    MAPPED,
    NULL,
    TCP,
    VLAN_TYPES,
)

_MOST_HEADERS = 16  # VLAN tags, or IPv6 extension headers, in one frame
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = (_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION)


class Segment(NamedTuple):
    """One TCP segment; the fields are those of `segments.Segments`, offsets in the frame."""

    scope: int
    source_high: int
    source_low: int
    target_high: int
    target_low: int
    source_port: int
    target_port: int
    seq: int
    ack: int
    flags: int
    window: int
    payload: int
    captured: int
    wire: int


def decode(frame: bytes, wire: int, link_type: int) -> Segment | str:
    """The TCP segment in `frame` (its captured bytes; `wire` bytes on the wire), or an anomaly."""
    if link_type not in LINK_TYPES:
        return "link-type-unsupported"
    try:
        family, network, scope = _link(frame, link_type)
        if family == IPV4:
            return _ipv4(frame, wire, network, scope)
        if family == IPV6:
            return _ipv6(frame, wire, network, scope)
        return "not-ip"
    except (IndexError, struct.error, dpkt.NeedData):
        return "frame-cut-in-headers"
    except dpkt.UnpackError:
        return "header-invalid"


def _link(frame: bytes, link_type: int) -> tuple[int, int, int]:
    """Network protocol, where its header begins, scope."""
    scope = 0
    if link_type == ETHERNET:
        at = 14
        (family,) = struct.unpack_from(">H", frame, 12)
    elif link_type == COOKED:
        at = 16
        (family,) = struct.unpack_from(">H", frame, 14)
    elif link_type == COOKED2:
        at = 20
        (family,) = struct.unpack_from(">H", frame, 0)
        (scope,) = struct.unpack_from(">I", frame, 4)
    elif link_type in (NULL, LOOP):
        at = 4
        number = min(struct.unpack_from(">I", frame)[0], struct.unpack_from("<I", frame)[0])
        family = LOOPBACK_FAMILIES.get(number, 0)
    else:
        version = frame[0] >> 4
        return {4: IPV4, 6: IPV6}.get(version, 0), 0, 0
    if len(frame) <= at:
        raise IndexError
    for _ in range(_MOST_HEADERS):
        if family not in VLAN_TYPES:
            break
        (family,) = struct.unpack_from(">H", frame, at + 2)
        at += 4
    # A length or cooked "802.2" instead of a type: LLC, and IP behind a SNAP header.
    if family < 0x0600 and frame[at : at + 3] == b"\xaa\xaa\x03":
        (family,) = struct.unpack_from(">H", frame, at + 6)
        at += 8
    return family, at, scope


def _ipv4(frame: bytes, wire: int, at: int, scope: int) -> Segment | str:
    if len(frame) - at < 20:
        return "frame-cut-in-headers"
    size = (frame[at] & 15) * 4
    (total,) = struct.unpack_from(">H", frame, at + 2)
    total = total or wire - at
    if frame[at] >> 4 != 4 or size < 20 or total < size:
        return "header-invalid"
    # Only the fixed header: dpkt would decode the payload by lengths we have yet to check.
    header = dpkt.ip.IP(bytes([0x45]) + frame[at + 1 : at + 9] + b"\xff" + frame[at + 10 : at + 20])
    if frame[at + 9] != TCP:
        return "not-tcp"
    if header.mf or header.offset:
        return "ip-fragment"
    source, target = (MAPPED | int.from_bytes(a, "big") for a in (header.src, header.dst))
    return _tcp(frame, at + size, at + total, scope, (0, source, 0, target))


def _ipv6(frame: bytes, wire: int, at: int, scope: int) -> Segment | str:
    if len(frame) - at < 40:
        return "frame-cut-in-headers"
    if frame[at] >> 4 != 6:
        return "header-invalid"
    length, following = struct.unpack_from(">HB", frame, at + 4)
    end = at + 40 + (length or wire - at - 40)
    words = struct.unpack_from(">QQQQ", frame, at + 8)
    at += 40
    for _ in range(_MOST_HEADERS):
        if following == TCP:
            return _tcp(frame, at, end, scope, words)
        if following == _FRAGMENT:
            header = dpkt.ip6.IP6FragmentHeader(frame[at : at + 8])
            if header.frag_off or header.m_flag:
                return "ip-fragment"
            following, at = header.nxt, at + 8
        elif following in _EXTENSIONS:
            unit, extra = (4, 2) if following == _AUTHENTICATION else (8, 1)
            following, at = frame[at], at + (frame[at + 1] + extra) * unit
        else:
            break
    return "not-tcp"


def _tcp(
    frame: bytes, at: int, end: int, scope: int, words: tuple[int, int, int, int]
) -> Segment | str:
    if len(frame) - at < 20:
        return "frame-cut-in-headers"
    size = (frame[at + 12] >> 4) * 4
    if size < 20 or at + size > end:
        return "header-invalid"
    # Options are not needed, and may be cut off: the fixed header alone is decoded.
    header = dpkt.tcp.TCP(frame[at : at + 12] + b"\x50" + frame[at + 13 : at + 20])
    payload = at + size
    return Segment(
        scope,
        *words,
        header.sport,
        header.dport,
        header.seq,
        header.ack,
        header.flags & 0xFF,
        header.win,
        payload,
        max(0, min(len(frame), end) - payload),
        end - payload,
    )
