"""The block decoder: link, IP and TCP headers of a whole block of frames with numpy.

Law: it decodes the common shapes of a frame (Ethernet with up to two VLAN tags, Linux cooked,
raw IP, BSD loopback; IPv4, IPv6 without extension headers; TCP) and declines the others, so that
`single.py` remains the only place for what is rare. Lengths are never trusted beyond what was
captured. Sources: RFC 791, RFC 8200, RFC 9293; link types as registered at tcpdump.org.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analyzer.anomalies import Anomalies
from analyzer.capture.frames import Frames
from analyzer.packets.segments import Ints, Segments, Words

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

NULL, ETHERNET, RAW_BSD, RAW_OPENBSD, RAW, LOOP, COOKED, COOKED2 = 0, 1, 12, 14, 101, 108, 113, 276
IPV4_ONLY, IPV6_ONLY = 228, 229
_RAW_TYPES = (RAW_BSD, RAW_OPENBSD, RAW, IPV4_ONLY, IPV6_ONLY)
LINK_TYPES = frozenset({NULL, ETHERNET, LOOP, COOKED, COOKED2, *_RAW_TYPES})

IPV4, IPV6 = 0x0800, 0x86DD
VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
# Address family numbers of IPv6 in a loopback header differ from system to system.
LOOPBACK_FAMILIES = {2: IPV4, 10: IPV6, 24: IPV6, 28: IPV6, 30: IPV6}
TCP = 6
MAPPED = 0xFFFF00000000

_LINK_HEADER = {ETHERNET: 14, COOKED: 16, COOKED2: 20, NULL: 4, LOOP: 4}


@dataclass(slots=True)
class Decoded:
    """Segments of the block, and the rows that the block decoder leaves to `single.py`."""

    segments: Segments
    declined: Ints


def decode(frames: Frames, link_types: Ints, anomalies: Anomalies) -> Decoded:
    """Decode a block; `link_types` has the link type of every frame, shape (n,)."""
    # Room behind the last frame, so that a fixed-width look never leaves the buffer.
    octets = np.frombuffer(frames.data, np.uint8)
    octets = octets if len(octets) >= 64 else np.concatenate([octets, np.zeros(64, np.uint8)])
    parts: list[Segments] = []
    declined: list[Ints] = []
    for link_type in np.unique(link_types):
        rows = np.flatnonzero(link_types == link_type)
        if int(link_type) not in LINK_TYPES:
            anomalies.count("link-type-unsupported", len(rows))
            continue
        link = _link(octets, frames, rows, int(link_type), anomalies)
        declined.append(link.declined)
        for family, decoder in ((IPV4, _ipv4), (IPV6, _ipv6)):
            chosen = link.family == family
            if chosen.any():
                part, left = decoder(octets, frames, link.take(chosen), anomalies)
                parts.append(part)
                declined.append(left)
        other = (link.family != IPV4) & (link.family != IPV6)
        anomalies.count("not-ip", int(other.sum()))
    nothing = np.empty(0, np.int64)
    return Decoded(
        Segments.join(parts) if parts else _none(),
        np.sort(np.concatenate(declined)) if declined else nothing,
    )


def _none() -> Segments:
    no, words = np.empty(0, np.int64), np.empty(0, np.uint64)
    return Segments(no, no, words, words, words, words, no, no, no, no, no, no, no, no, no)


@dataclass(slots=True)
class _Link:
    """Rows that begin with a known link header: where the network header is, and of which kind."""

    rows: Ints
    scope: Ints
    family: Ints
    network: Ints
    declined: Ints

    def take(self, chosen: Mask) -> "_Link":
        return _Link(
            self.rows[chosen],
            self.scope[chosen],
            self.family[chosen],
            self.network[chosen],
            self.declined,
        )


def _u8(octets: Bytes, at: Ints) -> Ints:
    """One byte at each offset; offsets beyond the end read the last byte."""
    return octets.take(at, mode="clip").astype(np.int64)


def _u16(octets: Bytes, at: Ints) -> Ints:
    return _u8(octets, at) << 8 | _u8(octets, at + 1)


def _rows(octets: Bytes, at: Ints, width: int) -> Bytes:
    """`width` bytes from each offset, shape (n, width); moved inward near the end."""
    windows = np.lib.stride_tricks.sliding_window_view(octets, width)
    rows: Bytes = windows[np.minimum(at, len(windows) - 1)]
    return rows


def _link(octets: Bytes, frames: Frames, rows: Ints, link_type: int, anomalies: Anomalies) -> _Link:
    """Look past the link header."""
    start, captured = frames.offset[rows], frames.captured[rows]
    header = _LINK_HEADER.get(link_type, 0)
    whole = captured >= header + 1
    anomalies.count("frame-cut-in-headers", int((~whole).sum()))
    rows, start, captured = rows[whole], start[whole], captured[whole]
    scope = np.zeros(len(rows), np.int64)
    network = start + header
    if link_type == ETHERNET:
        family = _u16(octets, start + 12)
    elif link_type == COOKED:
        family = _u16(octets, start + 14)
    elif link_type == COOKED2:
        family = _u16(octets, start)
        scope = _u16(octets, start + 4) << 16 | _u16(octets, start + 6)
    elif link_type in (NULL, LOOP):
        big = _u16(octets, start) << 16 | _u16(octets, start + 2)
        little = _u8(octets, start + 3) << 24 | _u8(octets, start + 2) << 16
        little |= _u8(octets, start + 1) << 8 | _u8(octets, start)
        # The family is a small number, in the byte order of the machine that captured.
        number = np.minimum(big, little)
        family = np.zeros(len(rows), np.int64)
        for code, kind in LOOPBACK_FAMILIES.items():
            family[number == code] = kind
    else:
        version = _u8(octets, start) >> 4
        family = np.where(version == 4, IPV4, np.where(version == 6, IPV6, 0))
    for _ in range(2):
        tagged = np.isin(family, VLAN_TYPES) & (network + 4 < start + captured)
        if not tagged.any():
            break
        family = np.where(tagged, _u16(octets, network + 2), family)
        network = np.where(tagged, network + 4, network)
    # LLC and SNAP instead of an Ethernet type, further tags, and the like.
    odd = np.isin(family, VLAN_TYPES)
    if link_type in (ETHERNET, COOKED, COOKED2):
        odd |= family < 0x0600
    kept = ~odd
    return _Link(rows[kept], scope[kept], family[kept], network[kept], rows[odd])


def _ipv4(
    octets: Bytes, frames: Frames, link: _Link, anomalies: Anomalies
) -> tuple[Segments, Ints]:
    end = frames.offset[link.rows] + frames.captured[link.rows]
    enough = link.network + 20 <= end
    anomalies.count("frame-cut-in-headers", int((~enough).sum()))
    link, end = link.take(enough), end[enough]
    head = _rows(octets, link.network, 20)
    size = (head[:, 0] & 0x0F).astype(np.int64) * 4
    total = head[:, 2].astype(np.int64) << 8 | head[:, 3]
    beyond = frames.offset[link.rows] + frames.wire[link.rows] - link.network
    # Segmentation offload leaves the total length 0: then the wire length tells.
    total = np.where(total == 0, beyond, total)
    fine = (head[:, 0] >> 4 == 4) & (size >= 20) & (total >= size)
    fragment = ((head[:, 6] & 0x3F) | head[:, 7]) != 0
    tcp = head[:, 9] == TCP
    anomalies.count("header-invalid", int((~fine).sum()))
    anomalies.count("not-tcp", int((fine & ~tcp).sum()))
    anomalies.count("ip-fragment", int((fine & tcp & fragment).sum()))
    kept = fine & tcp & ~fragment
    addresses = np.ascontiguousarray(head[kept, 12:20]).view(">u4").astype(np.uint64)
    mapped = np.uint64(MAPPED)
    high = np.zeros(len(addresses), np.uint64)
    return _tcp(
        octets,
        frames,
        link.take(kept),
        (high, addresses[:, 0] | mapped, high, addresses[:, 1] | mapped),
        (link.network + size)[kept],
        (link.network + total)[kept],
        end[kept],
        anomalies,
    ), np.empty(0, np.int64)


def _ipv6(
    octets: Bytes, frames: Frames, link: _Link, anomalies: Anomalies
) -> tuple[Segments, Ints]:
    end = frames.offset[link.rows] + frames.captured[link.rows]
    enough = link.network + 40 <= end
    anomalies.count("frame-cut-in-headers", int((~enough).sum()))
    link, end = link.take(enough), end[enough]
    head = _rows(octets, link.network, 40)
    length = head[:, 4].astype(np.int64) << 8 | head[:, 5]
    beyond = frames.offset[link.rows] + frames.wire[link.rows] - link.network - 40
    length = np.where(length == 0, beyond, length)
    fine = head[:, 0] >> 4 == 6
    anomalies.count("header-invalid", int((~fine).sum()))
    tcp = fine & (head[:, 6] == TCP)
    words = np.ascontiguousarray(head[tcp, 8:40]).view(">u8").astype(np.uint64)
    return _tcp(
        octets,
        frames,
        link.take(tcp),
        (words[:, 0], words[:, 1], words[:, 2], words[:, 3]),
        link.network[tcp] + 40,
        (link.network + 40 + length)[tcp],
        end[tcp],
        anomalies,
    ), link.rows[fine & ~tcp]


def _tcp(
    octets: Bytes,
    frames: Frames,
    link: _Link,
    addresses: tuple[Words, Words, Words, Words],
    transport: Ints,
    packet_end: Ints,
    captured_end: Ints,
    anomalies: Anomalies,
) -> Segments:
    """TCP headers at `transport`; the IP packet ends at `packet_end`, the frame's bytes earlier."""
    whole = transport + 20 <= captured_end
    anomalies.count("frame-cut-in-headers", int((~whole).sum()))
    head = _rows(octets, transport, 20)
    size = (head[:, 12] >> 4).astype(np.int64) * 4
    fine = (size >= 20) & (transport + size <= packet_end)
    anomalies.count("header-invalid", int((whole & ~fine).sum()))
    kept = whole & fine
    head, size, transport = head[kept], size[kept], transport[kept]
    ports = np.ascontiguousarray(head[:, 0:4]).view(">u2").astype(np.int64)
    numbers = np.ascontiguousarray(head[:, 4:12]).view(">u4").astype(np.int64)
    payload = transport + size
    wire = packet_end[kept] - payload
    captured = np.clip(captured_end[kept] - payload, 0, wire)
    anomalies.count("snaplen-cut", int((captured < wire).sum()))
    return Segments(
        row=link.rows[kept],
        scope=link.scope[kept],
        source_high=addresses[0][kept],
        source_low=addresses[1][kept],
        target_high=addresses[2][kept],
        target_low=addresses[3][kept],
        source_port=ports[:, 0],
        target_port=ports[:, 1],
        seq=numbers[:, 0],
        ack=numbers[:, 1],
        flags=head[:, 13].astype(np.int64),
        window=head[:, 14].astype(np.int64) << 8 | head[:, 15],
        payload=payload,
        captured=captured,
        wire=wire,
    )
